"""The internet on loopback: names, addresses and what answers there, in place of the standard library's sockets.

A public address is answered by the web, over TLS with a certificate for its name, or in the clear. Whoever connects to
another one is noted, and refused. Which addresses are public is written down, not asked of the code that is tested.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.upstream import LOOPBACK, Upstream, server_context, text

if TYPE_CHECKING:
    import trustme

PUBLIC = "93.184.215.14"
TLS_PORTS = (443, 8443)
NAMES = (
    "example.com", "*.example.com", "sub.example.co.uk", "192.168.0.1.example.com", "xn--mnchen-3ya.de",
    "www.xn--mnchen-3ya.de", "bucket.s3.us-east-1.amazonaws.com",
)  # fmt: skip
ADDRESSES = (
    PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "100.63.255.255",
    "100.128.0.1", "169.253.255.255", "11.0.0.1", "192.167.255.255", "126.255.255.255", "128.0.0.1", "192.0.1.1",
    "172.15.255.255", "172.32.0.1", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "1.0.0.1",
    "168.63.129.17", "2a00:1450:4001:82a::200e", "3ffe:ffff::1", "2001:200::1",
)  # fmt: skip


@dataclass
class Network:
    """Where names lead to and what was connected to. A name that is not in `names` has one public address."""

    tls: Upstream
    plain: Upstream
    names: dict[str, list[str]] = field(default_factory=dict)
    resolve: Callable[[str], list[str]] | None = None
    asked: list[str] = field(default_factory=list)
    """The names that were looked up."""
    connected: list[tuple[str, int]] = field(default_factory=list)
    """Each address that was connected to, with the port."""
    inside: list[tuple[str, int]] = field(default_factory=list)
    """Those among them that no caller may send this bundle to."""

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        """Answer as a resolver does: an address in any spelling that the system knows is read, not looked up."""
        with contextlib.suppress(OSError):
            return _system_getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        self.asked.append(host)
        answers = self.resolve(host) if self.resolve else self.names.get(host, [PUBLIC])
        return [
            (socket.AF_INET6 if ":" in answer else socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))
            for answer in answers
        ]

    def create_connection(self, address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        """Connect to the web or to nothing. What the servers do among themselves goes on as ever."""
        host, port = address
        if address in {(LOOPBACK, server.port) for server in (self.tls, self.plain)}:
            return _system_create_connection(address, *arguments, **options)
        self.connected.append((host, port))
        if host not in ADDRESSES:
            self.inside.append((host, port))
            raise ConnectionRefusedError
        server = self.tls if port in TLS_PORTS else self.plain
        return _system_create_connection((LOOPBACK, server.port), *arguments, **options)

    def forget(self) -> None:
        """Begin anew."""
        for seen in (self.names, self.asked, self.connected, self.tls.requests, self.plain.requests):
            seen.clear()
        self.resolve = None


_system_getaddrinfo = socket.getaddrinfo
_system_create_connection = socket.create_connection


@pytest.fixture(scope="session")
def web_context(certificate_authority: "trustme.CA") -> ssl.SSLContext:
    """A certificate for all of the web that is played here."""
    return server_context(certificate_authority, *NAMES, *ADDRESSES)


@pytest.fixture
def network(web_context: ssl.SSLContext, authority_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Give the internet, whose every page says "the web", for as long as the test takes."""
    monkeypatch.setenv("INTEGRATIONS_CA_FILE", str(authority_file))
    network = Network(Upstream(tls=web_context), Upstream())
    for server in (network.tls, network.plain):
        server.route(lambda _: text("the web"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", network.getaddrinfo)
        patch.setattr(socket, "create_connection", network.create_connection)
        yield network
    for server in (network.tls, network.plain):
        server.close()
        server.verify()
    assert network.inside == [], "someone came to where callers may not send this bundle"
