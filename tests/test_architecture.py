"""The way of a call is straight, and the page that describes it is true."""

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from functions.algolia.provider import provider
from tests.support.calls import Context, http_event
from tests.support.upstream import Upstream, drip_body, json

ROOT = Path(__file__).parents[1]


def our_file(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(ROOT / "layers") and not path.is_relative_to(ROOT / "functions"):
        return None
    return str(path.relative_to(ROOT))


class Tracer:
    """Notes each file of ours that is entered from another one of ours."""

    def __init__(self) -> None:
        self.entered: list[str] = []

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        file = our_file(frame) if event == "call" else None
        if file is None:
            return
        caller = frame.f_back
        while caller is not None and our_file(caller) is None:
            caller = caller.f_back
        came_from = our_file(caller) if caller is not None else None
        # Two entries in a row without leaving are one visit: pydantic asks for each number of the arguments.
        if came_from != file and self.entered[-1:] != [file]:
            self.entered.append(file)


@pytest.fixture
def way(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("ALGOLIA_BASE_URL", upstream.url)
    upstream.route(lambda _: drip_body(0.001, json({"hits": []})))
    setup = {"application_id": "TESTAPP", "api_key": "search-key-0123456789"}
    event = http_event(provider, {"setup": setup, "arguments": {"index_name": "i", "query": "q", "page": 1}})
    handler = provider.handler
    tracer = Tracer()
    before = sys.getprofile()
    sys.setprofile(tracer)
    try:
        reply = handler(event, Context())
    finally:
        sys.setprofile(before)
    assert reply["statusCode"] == 200
    return tracer.entered


def test_no_file_is_entered_twice(way: list[str]) -> None:
    assert len(way) == len(set(way)), way


def test_the_page_describes_the_way(way: list[str]) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    described = re.findall(r"^\| \d+ \| `([^`]+)` \|", page, re.MULTILINE)
    assert described == way


def test_the_picture_shows_the_way(way: list[str]) -> None:
    picture = (ROOT / "docs/call.svg").read_text()
    shown = re.findall(r">(\d+) ([\w/]+\.py)<", picture)
    assert [int(number) for number, _ in shown] == list(range(1, len(way) + 1))
    assert all(file.endswith(name) for file, (_, name) in zip(way, shown, strict=True))


# Who may open a connection, and why it cannot be left to egress.py.
SOCKETS = {
    "egress.py": "HTTP",
    "tcp.py": "what is not HTTP: the one door of the protocol providers, with the same cut-off and the address rule",
    "authorizer": "the API keys: it runs without the layer, and boto3 would make it start five times slower",
}
# Providers that speak another protocol than HTTP, through `tcp: Tcp`.
PROTOCOLS = {"email": "SMTP"}


def importers(names: str) -> set[str]:
    files = [*ROOT.glob("layers/common/python/integrations/**/*.py"), *ROOT.glob("functions/**/*.py")]
    wanted = re.compile(rf"^\s*(?:import|from) (?:{names})\b", re.MULTILINE)
    return {
        path.name if "layers" in path.parts else path.parent.name for path in files if wanted.search(path.read_text())
    }


def test_one_file_imports_the_http_library() -> None:
    assert importers(r"httpx|httpcore|requests|urllib\.request|http\.client|aiohttp") == {"egress.py"}


def test_the_layer_knows_no_provider_by_name() -> None:
    """A name in the layer would be a fact about one provider that its own folder does not say."""
    names = [path.parent.name for path in ROOT.glob("functions/*/provider.py")]
    assert len(names) > 2
    known = re.compile(rf"(?<![a-z])(?:{'|'.join(name.replace('_', '[_ ]?') for name in names)})(?![a-z])")
    # The one that is also a module of the standard library.
    allowed = re.compile(r"^from email\.", re.MULTILINE)
    for path in (ROOT / "layers/common/python").rglob("*.py"):
        assert not known.search(allowed.sub("", path.read_text().lower())), path


def test_the_files_with_sockets_are_those_with_a_reason() -> None:
    assert importers(r"socket|ssl|asyncio|smtplib|imaplib|poplib|ftplib|telnetlib") == set(SOCKETS)


def test_the_providers_that_do_not_speak_http_are_those_with_a_protocol() -> None:
    assert importers(r"integrations\.tcp") == set(PROTOCOLS) | {"execution.py"}
