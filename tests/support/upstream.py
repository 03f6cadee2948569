"""A scripted upstream on loopback: an HTTP/1.1 server that can also break every rule.

It stands on raw sockets, because what a client must survive (a reset in the middle of a body, a
length that lies, a byte every half second) is what a well-behaved server library refuses to send.

    upstream.replies(json({"hits": []}), json({}, status=503), reset_before_reply())
    ...
    assert upstream.requests[0].query == {"q": ["tea"]}

A reply answers one request, in the order queued. It is a `Message` (`json`, `text`, `html` …), a
`Fault` (`hang`, `drip_body`, `gzip_bomb` …), or a function that takes the request and returns one
of these. `Upstream.route` sets a function for all requests that find the queue empty.
"""

import contextlib
import functools
import json as jsonlib
import socket
import ssl
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import pytest

if TYPE_CHECKING:
    import trustme

LOOPBACK = "127.0.0.1"
CLOSING_SECONDS = 5.0
UNEXPECTED = 501  # not a status that a client may repeat: an unplanned request stays one request
MEGABYTE = 1 << 20

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    """Path and query, exactly as sent."""
    headers: dict[str, str]
    """Names in lower case; the values of a repeated header are joined with a comma."""
    body: bytes
    connection: int
    """The number of the connection that carried it, counted from 1."""
    at: float
    """`time.monotonic()` when it was complete."""

    @property
    def path(self) -> str:
        """The path without the query, percent-encoded as sent."""
        return self.target.partition("?")[0]

    @property
    def raw_query(self) -> str:
        """The query exactly as sent."""
        return self.target.partition("?")[2]

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded query; a parameter without a value is kept."""
        return parse_qs(self.raw_query, keep_blank_values=True)

    def json(self) -> Any:
        """The body read as JSON."""
        return jsonlib.loads(self.body)


class Wire:
    """What a reply can do to the connection its request came on.

    Each method raises a `ConnectionError`, or another `OSError`, once the client has left or the
    server is closing.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes) -> None:
        """Write bytes, all of them, now."""
        self._sock.settimeout(None)
        self._sock.sendall(data)

    def receive(self) -> bytes:
        """Read what has come, at least a byte."""
        self._sock.settimeout(None)
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError("the client has closed the connection")
        return data

    def idle(self, seconds: float | None = None) -> None:
        """Say nothing for some seconds, or for ever; a client that leaves ends it."""
        if seconds == 0:
            return
        try:
            self._sock.settimeout(seconds)
            self._sock.recv(1)
        except TimeoutError:
            return
        raise ConnectionError("the client has not waited for the reply")

    def reset(self) -> None:
        """Close with RST instead of FIN: a linger time of zero makes the kernel do that."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionError("reset, as the script says")


@dataclass(frozen=True)
class Message:
    """A reply that keeps to HTTP."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    judged: bool = True
    """False for a body that is wrong on purpose: no contract can be asked to allow it."""

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_headers(self, headers: Headers) -> "Message":
        """The same reply with these headers instead of its own of the same name."""
        new = _pairs(headers)
        names = {name.lower() for name, _ in new}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in names)
        return replace(self, headers=kept + new)

    def head(self) -> bytes:
        """Status line and headers, with the length where HTTP wants one."""
        headers = self.headers
        framed = self.header("content-length") or self.header("transfer-encoding")
        if not framed and self.status >= 200 and self.status not in (204, 304):
            headers += (("content-length", str(len(self.body))),)
        return _head(self.status, headers)


@dataclass(frozen=True)
class Fault:
    """A reply that breaks the protocol, the connection or the client's patience."""

    name: str
    play: Callable[[Wire], None]
    keeps_open: bool = False
    """True when the connection is used for a next request, as if nothing were wrong."""


Reply = Message | Fault
Script = Reply | Callable[[Request], Reply]


def _pairs(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)


def _head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    phrase = next((known.phrase for known in HTTPStatus if known == status), "Unknown")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


# Replies that keep to HTTP.


def content(body: bytes, content_type: str, status: int = 200, headers: Headers = ()) -> Message:
    """Any bytes under any media type."""
    return Message(status, (("content-type", content_type),), body).with_headers(headers)


def json(payload: object, status: int = 200, headers: Headers = ()) -> Message:
    """A payload as JSON."""
    return content(jsonlib.dumps(payload).encode(), "application/json", status, headers)


def json_text(body: str, status: int = 200) -> Message:
    """Text that claims to be JSON, whatever it is; a lone surrogate is written as it stands."""
    encoded = body.encode("utf-8", "surrogatepass")
    return replace(content(encoded, "application/json", status), judged=False)


def text(body: str, status: int = 200, headers: Headers = ()) -> Message:
    """Plain text."""
    return content(body.encode(), "text/plain; charset=utf-8", status, headers)


def html(body: str = "<html><h1>Error</h1></html>", status: int = 200) -> Message:
    """A page where JSON was expected, as proxies in the way answer."""
    return replace(content(body.encode(), "text/html; charset=utf-8", status), judged=False)


def empty(status: int = 200, headers: Headers = ()) -> Message:
    """A reply that claims JSON and has a length of zero."""
    return replace(content(b"", "application/json", status, headers), judged=False)


def no_content(headers: Headers = ()) -> Message:
    """204, without a body."""
    return Message(204, _pairs(headers))


def redirect(location: str, status: int = 302) -> Message:
    """A redirect."""
    return Message(status, (("location", location),), judged=False)


# Bodies that are wrong inside a right HTTP message.


def half_json(payload: object, status: int = 200) -> Message:
    """The first half of a payload's JSON, under the right length of that half."""
    whole = jsonlib.dumps(payload)
    return json_text(whole[: len(whole) // 2], status)


def not_a_number_json() -> Message:
    """`NaN`, which Python's own reader accepts and JSON does not have."""
    return json_text('{"value": NaN}')


def infinite_json() -> Message:
    """`1e400`, valid JSON that becomes infinity in a double."""
    return json_text('{"value": 1e400}')


def deep_json(depth: int = 100_000) -> Message:
    """Arrays in arrays, valid JSON that ends a recursive reader."""
    return json_text("[" * depth + "]" * depth)


# Content codings.


def coded(message: Message, coding: str) -> Message:
    """The same reply under content codings, in the order listed (`gzip`, `deflate`, `br`).

    A contract describes the plain body, so the coded one is not judged by it.
    """
    body = message.body
    for name in coding.split(","):
        body = _CODERS[name.strip()](body)
    return replace(message.with_headers({"content-encoding": coding}), body=body, judged=False)


def gzip_bomb(megabytes: int) -> Message:
    """Zeros that gzip has made about 1,000 times smaller."""
    return _bomb("gzip", _gzip_of_zeros(megabytes))


def double_gzip_bomb(megabytes: int = 256) -> Message:
    """Zeros under `gzip, gzip`: 256 MB of them are fewer than 1,000 bytes on the wire."""
    return _bomb("gzip, gzip", _gzip(_gzip_of_zeros(megabytes)))


def _bomb(coding: str, body: bytes) -> Message:
    message = content(body, "application/json", headers={"content-encoding": coding})
    return replace(message, judged=False)


def _gzip(body: bytes) -> bytes:
    coder = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return coder.compress(body) + coder.flush()


@functools.cache
def _gzip_of_zeros(megabytes: int) -> bytes:
    coder, zeros = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16), bytes(MEGABYTE)
    return b"".join([coder.compress(zeros) for _ in range(megabytes)] + [coder.flush()])


def _brotli(body: bytes) -> bytes:
    """Brotli (RFC 7932) without compression, since Python has no coder: uncompressed blocks."""
    coded = b""
    for start in range(0, len(body), 1 << 16):
        block = body[start : start + (1 << 16)]
        # From the lowest bit: not last (1), four nibbles of length (2), length - 1 (16),
        # uncompressed (1). The stream itself begins with one bit more, a window of 2^16.
        header = (len(block) - 1) << 3 | 1 << 19
        coded += (header << 1 if not start else header).to_bytes(3, "little") + block
    return coded + (b"\x03" if body else b"\x06")  # a last, empty block


_CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "deflate": zlib.compress,
    "br": _brotli,
}


# Faults of time.


def hang() -> Fault:
    """Take the request and never answer."""
    return Fault("hang", lambda wire: wire.idle())


def hang_headers() -> Fault:
    """Send the status line and half a header, then nothing."""

    def play(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\ncontent-ty")
        wire.idle()

    return Fault("hang_headers", play)


def hang_body(message: Message | None = None) -> Fault:
    """Send the headers and half of the body, then nothing."""
    whole = message or json({"hung": True})

    def play(wire: Wire) -> None:
        wire.send(whole.head() + whole.body[: len(whole.body) // 2])
        wire.idle()

    return Fault("hang_body", play)


def slow(seconds: float, message: Message | None = None) -> Fault:
    """Answer rightly, after some seconds."""
    whole = message or json({"slow": True})

    def play(wire: Wire) -> None:
        wire.idle(seconds)
        wire.send(whole.head() + whole.body)

    return Fault("slow", play, keeps_open=True)


def drip_headers(every: float, message: Message | None = None) -> Fault:
    """Send the headers a byte at a time, then the body."""
    whole = message or json({"dripped": True})

    def play(wire: Wire) -> None:
        _drip(wire, whole.head(), every)
        wire.send(whole.body)

    return Fault("drip_headers", play, keeps_open=True)


def drip_body(every: float, message: Message | None = None) -> Fault:
    """Send the headers at once, then the body a byte at a time."""
    whole = message or json({"dripped": True})

    def play(wire: Wire) -> None:
        wire.send(whole.head())
        _drip(wire, whole.body, every)

    return Fault("drip_body", play, keeps_open=True)


def _drip(wire: Wire, data: bytes, every: float) -> None:
    for at in range(len(data)):
        if at:  # not after the last byte: the client may speak again then
            wire.idle(every)
        wire.send(data[at : at + 1])


# Faults of the connection.


def close_before_reply() -> Fault:
    """Take the request and close the connection in order."""
    return Fault("close_before_reply", lambda _: None)


def reset_before_reply() -> Fault:
    """Take the request and reset the connection."""
    return Fault("reset_before_reply", lambda wire: wire.reset())


def reset_mid_body(message: Message | None = None) -> Fault:
    """Send the headers and half of the body, then reset the connection."""
    whole = message or json({"reset": True})

    def play(wire: Wire) -> None:
        wire.send(whole.head() + whole.body[: len(whole.body) // 2])
        wire.reset()

    return Fault("reset_mid_body", play)


# Faults of the framing.


def raw(data: bytes) -> Fault:
    """Any bytes at all, then the end of the connection."""
    return Fault("raw", lambda wire: wire.send(data))


def short_body(message: Message | None = None, missing: int = 10) -> Fault:
    """A length larger than what is sent before the connection ends."""
    whole = message or json({"short": True})
    return raw(_with_length(whole, len(whole.body) + missing) + whole.body)


def long_body(message: Message | None = None, extra: int = 10) -> Fault:
    """A length smaller than what is sent; the connection stays open with the rest in it."""
    whole = message or json({"long": True})
    data = _with_length(whole, len(whole.body) - extra) + whole.body
    return Fault("long_body", lambda wire: wire.send(data), keeps_open=True)


def negative_length(message: Message | None = None) -> Fault:
    """A length below zero."""
    whole = message or json({"negative": True})
    return raw(_with_length(whole, -1) + whole.body)


def no_content_with_body(body: bytes = b'{"a": 1}') -> Fault:
    """204, which has no body, with one."""
    return raw(_head(204, [("content-type", "application/json")]) + body)


def chunked_body(message: Message | None = None, size: int = 8) -> Fault:
    """A right reply in chunks of some bytes."""
    whole = message or json({"chunked": True})
    chunks = [whole.body[at : at + size] for at in range(0, len(whole.body), size)]
    data = _chunked_head(whole) + b"".join(map(_chunk, chunks)) + b"0\r\n\r\n"
    return Fault("chunked_body", lambda wire: wire.send(data), keeps_open=True)


def cut_chunks(message: Message | None = None) -> Fault:
    """A chunk, then the end of the connection without the last chunk."""
    whole = message or json({"cut": True})
    return raw(_chunked_head(whole) + _chunk(whole.body))


def endless_chunks(chunk: bytes = b" " * 65536) -> Fault:
    """Chunk after chunk, as fast as the client reads."""

    def play(wire: Wire) -> None:
        wire.send(_chunked_head(json(None)))
        while True:
            wire.send(_chunk(chunk))

    return Fault("endless_chunks", play)


def many_headers(count: int) -> Fault:
    """A head with many lines."""
    lines = b"".join(b"x-%d: 1\r\n" % number for number in range(count))
    return raw(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 0\r\n\r\n")


def _with_length(message: Message, length: int) -> bytes:
    return message.with_headers({"content-length": str(length)}).head()


def _chunked_head(message: Message) -> bytes:
    return message.with_headers({"transfer-encoding": "chunked"}).head()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


# The server.


class Upstream:
    """A scripted server on a free loopback port, from construction until `close`.

    With `tls` (a server-side context, see `server_context`) it speaks HTTPS. As a context manager
    it also verifies, when the block succeeded, that script and requests met.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        """Every request, in the order in which they were complete."""
        self.connections = 0
        """How many connections were accepted."""
        self.failed_handshakes = 0
        """How many clients left before the TLS handshake was done."""
        self.errors: list[Exception] = []
        """What went wrong in the server itself: a route that raised, a request it cannot read."""
        self.unexpected: list[Request] = []
        """Requests that found nothing queued and no route."""
        self._tls = tls
        self._lock = threading.Lock()
        self._queue: deque[Script] = deque()
        self._route: Callable[[Request], Reply] | None = None
        self._open: set[socket.socket] = set()
        self._closing = False
        self._listener = socket.create_server((LOOPBACK, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="upstream", daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self.port}"

    @property
    def last(self) -> Request:
        """The newest request."""
        return self.requests[-1]

    @property
    def pending(self) -> int:
        """How many queued replies nobody has asked for yet."""
        return len(self._queue)

    def replies(self, *scripts: Script) -> None:
        """Queue replies; each answers one request."""
        with self._lock:
            self._queue.extend(scripts)

    def route(self, answer: Callable[[Request], Reply]) -> None:
        """Answer by this function whenever nothing is queued."""
        self._route = answer

    def answer(self, request: Request) -> Reply:
        """Choose the reply to a request that has just been recorded."""
        with self._lock:
            script = self._queue.popleft() if self._queue else self._route
            if script is None:
                self.unexpected.append(request)
                return json({"upstream": "no reply was queued for this request"}, UNEXPECTED)
        return script if isinstance(script, Message | Fault) else script(request)

    def verify(self) -> None:
        """Assert that every queued reply was asked for and every request had one."""
        assert not self.errors, f"the upstream itself failed: {self.errors!r}"
        asked = [f"{request.method} {request.target}" for request in self.unexpected]
        assert not asked, f"requests came with no reply queued: {asked}"
        assert not self._queue, (
            f"{self.pending} queued replies were never asked for; requests: "
            f"{[f'{request.method} {request.target}' for request in self.requests]}"
        )

    def close(self) -> None:
        """End every connection, the hung ones too, and every thread."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            for sock in self._open:
                _shut(sock)
        with contextlib.suppress(OSError):  # wakes the accepting thread, which then sees the flag
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()
        end = time.monotonic() + CLOSING_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._listener.close()
        alive = [thread for thread in self._threads if thread.is_alive()]
        assert not alive, f"{len(alive)} upstream threads outlived the server"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if kind is None:
            self.verify()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with self._lock:
                if self._closing:
                    sock.close()
                    return
                self.connections += 1
                self._open.add(sock)
                number = self.connections
                thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        plain = sock
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._secure(sock, self._tls)
            self._converse(Wire(sock), number)
        except OSError:
            pass  # the client may leave at any moment: that is its right, not an error here
        except Exception as error:  # noqa: BLE001 - lost in a thread, so `verify` tells it
            self.errors.append(error)
        finally:
            with self._lock:
                self._open -= {plain, sock}
            sock.close()

    def _secure(self, plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        # The handshake comes after the bookkeeping: wrapping takes the descriptor away from the
        # plain socket, so only the wrapped one can be shut while a client lets it wait.
        sock = tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open = self._open - {plain} | {sock}
            if self._closing:
                _shut(sock)
        try:
            sock.do_handshake()
        except OSError:
            self.failed_handshakes += 1
            sock.close()
            raise
        return sock

    def _converse(self, wire: Wire, number: int) -> None:
        received = bytearray()
        keeps_open = True
        while keeps_open:
            request = _read_request(wire, received, number)
            with self._lock:
                self.requests.append(request)
            keeps_open = self._reply(wire, request)

    def _reply(self, wire: Wire, request: Request) -> bool:
        reply = self.answer(request)
        if isinstance(reply, Fault):
            reply.play(wire)
            return reply.keeps_open
        wire.send(reply.head() + (b"" if request.method == "HEAD" else reply.body))
        return "close" not in (reply.header("connection"), request.headers.get("connection"))


def _shut(sock: socket.socket) -> None:
    # Not by an SSLSocket's own method: it takes the TLS state away from under the other thread.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _read_request(wire: Wire, received: bytearray, number: int) -> Request:
    """Read one request from the connection; what comes after it stays in `received`."""
    first, *lines = _read_until(wire, received, b"\r\n\r\n").decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = b"".join(_read_chunks(wire, received))
    else:
        body = _read_exactly(wire, received, int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, number, time.monotonic())


def _read_chunks(wire: Wire, received: bytearray) -> Iterator[bytes]:
    while size := int(_read_until(wire, received, b"\r\n").partition(b";")[0], 16):
        yield _read_exactly(wire, received, size)
        _read_exactly(wire, received, 2)
    while _read_until(wire, received, b"\r\n"):
        pass  # trailer fields carry nothing that a test asks about


def _read_until(wire: Wire, received: bytearray, end: bytes) -> bytes:
    while (at := received.find(end)) < 0:
        received += wire.receive()
    return _take(received, at, at + len(end))


def _read_exactly(wire: Wire, received: bytearray, size: int) -> bytes:
    while len(received) < size:
        received += wire.receive()
    return _take(received, size, size)


def _take(received: bytearray, size: int, used: int) -> bytes:
    taken = bytes(received[:size])
    del received[:used]
    return taken


# Ports that do not serve.


@contextlib.contextmanager
def refused_url() -> Iterator[str]:
    """A URL whose port is held, so that nobody else gets it, and refuses every connection."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        yield f"http://{LOOPBACK}:{held.getsockname()[1]}"


@contextlib.contextmanager
def unanswered_url() -> Iterator[str]:
    """A URL whose port takes no connection and refuses none: the client waits for the handshake.

    The queue of a listener that never accepts is filled; from then on Linux drops what comes.
    """
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        full = False
        while not full:
            client = opened.enter_context(socket.socket())
            client.settimeout(0.1)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                full = True
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"


def hosts_looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that are looked up from now on, none of which is found."""
    asked: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "no name is found in this test")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


# Certificates.


def server_context(authority: "trustme.CA", *identities: str) -> ssl.SSLContext:
    """A server's TLS context with a certificate for these names or addresses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(identities or (LOOPBACK,))).configure_cert(context)
    return context


@pytest.fixture(scope="session")
def certificate_authority() -> "trustme.CA":
    """An authority that no machine trusts by itself."""
    import trustme

    return trustme.CA()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A scripted upstream; teardown fails when script and requests did not meet."""
    server = Upstream()
    yield server
    server.close()
    server.verify()
