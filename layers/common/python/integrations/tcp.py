"""The way out for what does not speak HTTP: one connection, to a host that the caller's setup names.

Every operation on a connection ends by its cut-off: looking up the name, connecting, the TLS handshake, each line that
drips in, each byte that goes out. The host is looked up once, every address checked, and a checked one connected to.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations import addresses
from integrations.egress import CONNECT_TIMEOUT, RESOLVE_TIMEOUT, look_up, tls_context, unverified
from integrations.errors import (
    DeadlineExceeded,
    IntegrationError,
    UpstreamBadResponse,
    UpstreamTimeout,
    UpstreamUnreachable,
    UrlDenied,
)
from integrations.findings import finding, sentence
from integrations.http import SHORTEST_ATTEMPT, Meter

if TYPE_CHECKING:
    from integrations.provider import Provider, Setup

IN_DOUBT = "It may have done what was asked all the same: look before you ask again."

_AT_ONCE = 8192  # bytes


@dataclass(eq=False, repr=False, kw_only=True)
class Tcp:
    """The service, reached by a connection of one's own."""

    provider: "Provider"
    setup: "Setup | None"
    deadline: float
    meter: Meter

    @contextlib.contextmanager
    def connected(self, host: str, port: int, *, ports: Collection[int], tls: bool) -> Iterator["Connection"]:
        """Connect, at most three times, and close the connection in the end.

        `ports` are those that a caller may name, and `tls` says whether TLS comes before anything else. An error
        inside counts as one before which nothing was done, unless the connection was in doubt. Raise UrlDenied for a
        host that callers may not reach, and the upstream errors of `errors.py`.
        """
        start = time.monotonic()
        try:
            with contextlib.closing(self._open(host, port, ports, tls=tls)) as connection, _doubted(connection):
                yield connection
        finally:
            self.meter.spans.append((start, time.monotonic()))

    def _open(self, host: str, port: int, ports: Collection[int], *, tls: bool) -> "Connection":
        def attempt() -> Connection:
            return self._attempt(host, port, ports, tls=tls)

        try:
            return attempt()
        except UpstreamUnreachable as error:
            from integrations.retries import repeat

            never = threading.Event()
            return repeat(attempt, error, may_repeat=_unreachable, hosts=1, deadline=self.deadline, ended=never)

    def _attempt(self, host: str, port: int, ports: Collection[int], *, tls: bool) -> "Connection":
        start = time.monotonic()
        if self.deadline - start < SHORTEST_ATTEMPT:
            raise DeadlineExceeded("No time was left to ask the server.")
        until = min(self.deadline, start + self.provider.attempt_timeout)
        try:
            with _translated():
                name, answers = self._looked_up(host, port, ports, until)
                self.meter.attempts += 1
                sock = _connect(answers, port, until)
            connection = Connection(sock, name, until, self.provider.max_response_bytes)
            if tls:
                connection.start_tls()
        except IntegrationError as error:
            error.nothing_sent = True
            raise
        return connection

    def _looked_up(self, host: str, port: int, ports: Collection[int], until: float) -> tuple[str, list[str]]:
        try:
            name = addresses.spelled(host)
            answers = look_up(name, port, min(RESOLVE_TIMEOUT, until - time.monotonic()))
            addresses.check(name, port, answers, ports)
        except addresses.Denied as denied:
            field = next((name for name, value in self.setup or () if value == host), "")
            found = [finding(["setup", field], "denied", str(denied))]
            raise UrlDenied(sentence(found), errors=found) from None
        return name, answers


class Connection:
    """An open connection that reads lines. All of it ends by `until`, on the monotonic clock.

    `in_doubt` is set by the method while the service may have acted without its answer having come.
    """

    def __init__(self, sock: socket.socket, host: str, until: float, max_bytes: int) -> None:
        self.in_doubt = False
        self._socket = sock
        self._host = host
        self._until = until
        self._max_bytes = max_bytes
        self._received = bytearray()

    def start_tls(self) -> None:
        """Secure the connection, with a certificate for the host and for no other."""
        try:
            # What came in the clear was not said by the server whose certificate is about to be seen.
            if self._received:
                raise UpstreamBadResponse("The server said more than was asked before TLS began.")
            with self._bounded() as sock:
                self._socket = tls_context(None).wrap_socket(sock, server_hostname=self._host)
        except IntegrationError:
            self.close()
            raise

    def read_line(self) -> str:
        """Give the next line without its end; what is not ASCII in it is replaced."""
        while (end := self._received.find(b"\n")) < 0:
            with self._bounded() as sock:
                data = sock.recv(_AT_ONCE)
            self._max_bytes -= len(data)
            if not data:
                raise UpstreamUnreachable("The server closed the connection.")
            if self._max_bytes < 0:
                raise UpstreamBadResponse("The server answered without an end.")
            self._received += data
        line = self._received[:end].removesuffix(b"\r").decode("ascii", "replace")
        del self._received[: end + 1]
        return line

    def write(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            with self._bounded() as sock:
                view = view[sock.send(view) :]

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[socket.socket]:
        left = self._until - time.monotonic()
        with _translated():
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            yield self._socket


@contextlib.contextmanager
def _doubted(connection: Connection) -> Iterator[None]:
    """Say of an error whether the service has done nothing, or nobody knows."""
    try:
        yield
    except IntegrationError as error:
        error.nothing_sent = not connection.in_doubt
        if connection.in_doubt:
            error.detail = f"{error.detail} {IN_DOUBT}"
        raise


def _connect(answers: list[str], port: int, until: float) -> socket.socket:
    failure: Exception = ConnectionError("no address")
    for address in answers:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            sock = socket.create_connection((address, port), min(CONNECT_TIMEOUT, left))
        except OSError as error:
            failure = error
        else:
            # A command after a command would otherwise wait 40 ms for the other side's delayed acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise ConnectionError from failure


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise the errors of sockets and TLS as ours; their texts stay behind."""
    try:
        yield
    except ssl.SSLCertVerificationError:
        raise unverified("the server") from None
    except TimeoutError:
        raise UpstreamTimeout("The server did not answer in time.") from None
    except OSError:
        raise UpstreamUnreachable("The connection to the server could not be made, or it broke.") from None


def _unreachable(error: BaseException) -> bool:
    return isinstance(error, UpstreamUnreachable)
