"""What each provider meets on loopback while the whole bundle is served: the judge that its tests name.

A provider that speaks HTTP and has no real server is answered by a script: `EXAMPLE` in the file of its tests, which
takes the calls of events/. Mail goes to aiosmtpd, and events/ name its host by a name that no test could look up.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devtools.project import load_provider, provider_names
from tests.support import mail
from tests.support.mail import MailServer
from tests.support.serving import Bundle, serving
from tests.support.upstream import LOOPBACK, Upstream

if TYPE_CHECKING:
    import trustme

# The mail server and the user of events/email.send.json.
MAIL_HOST = "smtp.example.com"
USERS = {"ann@example.com": "example-password"}
SECURITY = {587: "starttls", 465: "tls", 25: "none"}


@dataclass
class Peers:
    """The peers. `variables` are the environment that leads to them."""

    variables: dict[str, str] = field(default_factory=dict)
    upstreams: dict[str, Upstream] = field(default_factory=dict)
    mail: dict[int, MailServer] = field(default_factory=dict)

    def aimed(self, text: str) -> str:
        """Give a text in which the mail server is one of these: by the port that it is usually found at."""

        def address(found: re.Match[str]) -> str:
            return f'"host": "{LOOPBACK}", "port": {self.mail[int(found[1])].port}'

        return re.sub(rf'"host": "{re.escape(MAIL_HOST)}", "port": (\d+)', address, text)


@contextlib.contextmanager
def running(mediawiki: str, authority: "trustme.CA", authority_file: Path) -> Iterator[Peers]:
    """Run all of them until the block ends."""
    peers = Peers({"INTEGRATIONS_ALLOWED_HOSTS": LOOPBACK, "INTEGRATIONS_CA_FILE": str(authority_file)})
    with contextlib.ExitStack() as stack:
        for port, security in SECURITY.items():
            peers.mail[port] = stack.enter_context(mail.running(authority, security, USERS if port == 587 else {}))
        for name in provider_names():
            tests = importlib.import_module(f"tests.providers.test_{name}")
            if not load_provider(name).base_urls:
                continue
            if tests.JUDGE["fixture"] == "mediawiki":
                peers.variables[f"{name.upper()}_BASE_URL"] = mediawiki
                continue
            peers.upstreams[name] = upstream = Upstream()
            stack.callback(upstream.close)
            peers.variables[f"{name.upper()}_BASE_URL"] = upstream.url
            answer_examples(name, upstream)
        yield peers


def answer_examples(name: str, upstream: Upstream) -> None:
    """Let the upstream answer the calls of events/."""
    example = importlib.import_module(f"tests.providers.test_{name}").EXAMPLE
    upstream.route(example if callable(example) else lambda _: example)


@pytest.fixture(scope="session")
def peers(mediawiki: str, certificate_authority: "trustme.CA", authority_file: Path) -> Iterator[Peers]:
    """Give the peers of the bundle that the pages are tried on."""
    with running(mediawiki, certificate_authority, authority_file) as started:
        yield started


@pytest.fixture
def scripted(peers: Peers) -> Iterator[Peers]:
    """Give the peers to a test that scripts their answers: nothing was asked before, and every answer must be taken."""
    for server in peers.mail.values():
        server.received.clear()
        server.logins.clear()
    for upstream in peers.upstreams.values():
        upstream.requests.clear()
    yield peers
    for name, upstream in peers.upstreams.items():
        upstream.verify()
        answer_examples(name, upstream)


@pytest.fixture(scope="session")
def documented(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """Give `make run` as the pages have it, only that the services are the peers."""
    with serving(tmp_path_factory.mktemp("pages"), key=None, **peers.variables) as bundle:
        yield bundle
