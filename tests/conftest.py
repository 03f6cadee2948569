"""What every test has: fixtures for the peers, a clean environment, and no way off this machine."""

import ipaddress
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.bucket import close_client
from integrations.egress import close_clients
from integrations.pacing import slots
from integrations.redaction import remembered
from integrations.setup import connections

pytest_plugins = [
    "tests.support.upstream",
    "tests.support.contract_peer",
    "tests.support.mediawiki",
    "tests.support.mail",
    "tests.support.aws",
    "tests.support.stack",
    "tests.support.artifact",
    "tests.support.network",
    "tests.support.peers",
    "tests.support.ffmpeg",
]


def _refuse_the_network(event: str, args: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(args[1], tuple):
        return
    host = args[1][0]
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise RuntimeError("a test tried to leave this machine")


sys.addaudithook(_refuse_the_network)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take away what the machine has set, and say that this is a laptop."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "INTEGRATIONS_", "POWERTOOLS_")) or name.endswith(("_BASE_URL", "_API_KEY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("INTEGRATIONS_LOCAL", "1")
    yield
    connections.forget()
    close_client()
    close_clients()
    slots.forget()
    remembered.clear()
