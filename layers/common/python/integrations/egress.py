"""The way out over HTTP: the only importer of httpx.

An exchange is one request and what its answer says, bounded by a moment in all it does: looking up the name,
connecting, writing, waiting, reading a body that drips. The answer is bounded in size and decoded under that bound.

httpx's transport is used without its client: no cookie jar, no redirects, no environment, no log line with a URL.
"""

import contextlib
import ipaddress
import json
import os
import platform
import re
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpcore
import httpx
from pydantic import ValidationError

from integrations.decoding import TooLarge, Undecodable, decoded
from integrations.errors import (
    IntegrationError,
    Misconfigured,
    ResponseTooLarge,
    UpstreamBadResponse,
    UpstreamDenied,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
    UrlDenied,
)
from integrations.redaction import silence
from integrations.version import VERSION

CONNECT_TIMEOUT = 2.0  # seconds for each address of a host
RESOLVE_TIMEOUT = 2.0  # seconds for the name
REFUSAL_BYTES = 65_536  # of the body of an error, some of which are whole pages
MAX_CLIENTS = 32
MAX_CONNECTIONS = 16  # of one client

_T = TypeVar("_T")
_until: ContextVar[float] = ContextVar("until")  # the monotonic moment at which the exchange is cut off


silence("httpx", "httpcore")


class Upload(NamedTuple):
    """A file as it is sent in a form: the form's field, the file's name, its bytes and their media type."""

    field: str
    name: str
    content: bytes
    media_type: str


class Request(NamedTuple):
    """One request. `accept` is the media type of the answer.

    What is sent is `json`, or a `form` (lists are repeated fields), which with `files` is multipart/form-data, also
    where that list is empty.
    `guarded` says that a caller named the host: it is checked with every address behind it before it is connected to.
    `redirects` says that a redirect is raised as Redirected, for whoever follows it.
    """

    method: str
    url: str
    headers: dict[str, str]
    accept: str
    params: dict[str, Any] | None = None
    json: Any = None
    form: dict[str, Any] | None = None
    files: list[Upload] | None = None
    guarded: bool = False
    redirects: bool = False


class Redirected(Exception):
    """The answer is elsewhere; its one argument is the Location, as it came."""


def exchange(
    request: Request,
    read: Callable[[bytes], _T],
    *,
    form: str,
    title: str,
    credentials: bytes,
    until: float,
    max_bytes: int,
    refusal: Callable[[bytes], IntegrationError | None] | None = None,
) -> tuple[_T, Mapping[str, str]]:
    """Send the request, once, and give what `read` makes of the body of a 2xx answer, and its headers.

    `read` raises Undecodable for a body that is not in its `form`, and ValidationError for one that says something else
    than the service documents; `form` and `title`, the service's name, are for errors. `refusal` makes an error of the
    body of a 4xx answer where the status alone says too little; where it gives None or raises ValueError the status
    decides. `credentials` is a fingerprint: connections are never shared between two. `until` is on the monotonic
    clock. Raise Redirected where the request says so, and the upstream errors of `errors.py`.
    """
    token = _until.set(until)
    try:
        with _translated(title):
            client = _client(credentials, guarded=request.guarded)
            return _exchange(client, request, read, form, title, max_bytes, refusal)
    finally:
        _until.reset(token)


def close_clients() -> None:
    """Close every connection that is kept."""
    with _clients_lock:
        while _clients:
            _clients.popitem()[1].close()


def _exchange(
    client: httpx.HTTPTransport,
    request: Request,
    read: Callable[[bytes], _T],
    form: str,
    title: str,
    max_bytes: int,
    refusal: Callable[[bytes], IntegrationError | None] | None,
) -> tuple[_T, Mapping[str, str]]:
    ours = {"accept": request.accept, "accept-encoding": "gzip", "user-agent": _user_agent()}
    response = client.handle_request(
        httpx.Request(
            request.method,
            request.url,
            headers={**request.headers, **ours},
            params=request.params,
            json=request.json,
            data=request.form if request.files is None else None,
            files=_parts(request),
            # Below the pool the cut-off holds by itself; this is the wait for a free connection of it.
            extensions={"timeout": {"pool": max(_left(), 0.001)}},
        )
    )
    status = response.status_code
    try:
        if request.redirects and status in _FOLLOWED and "location" in response.headers:
            raise Redirected(response.headers["location"])
        if refusal and status in _REFUSED and (named := _named(response, refusal)):
            raise named
        _raise_for_status(response, title)
        return read(_body(response, max_bytes)), response.headers
    except TooLarge:
        detail = f"{title} answered more than {max_bytes:,} bytes; ask for less."
        raise ResponseTooLarge(detail, upstream_status=status) from None
    except Undecodable:
        # The length may have been a lie, and the rest would be read as the next answer.
        response.extensions["network_stream"].close()
        raise UpstreamBadResponse(f"{title} answered something else than {form}.", upstream_status=status) from None
    except ValidationError:
        detail = f"{title} answered something else than it documents."
        raise UpstreamBadResponse(detail, upstream_status=status) from None
    finally:
        response.close()


def _parts(request: Request) -> list[tuple[str, Any]] | None:
    """Give the parts of multipart/form-data, the fields among them: beside no file httpx writes them another way."""
    if request.files is None:
        return None
    fields = [
        (name, (None, item if isinstance(item, str) else json.dumps(item)))
        for name, value in (request.form or {}).items()
        for item in (value if isinstance(value, list) else [value])
    ]
    return [*fields, *((file.field, (file.name, file.content, file.media_type)) for file in request.files)]


def _body(response: httpx.Response, limit: int) -> bytes:
    """Read the body, at most `limit` bytes, and take it out of its content coding, which can only make it larger."""
    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101  # it is the synchronous transport's
    body = bytearray()
    for chunk in response.stream:
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return decoded(bytes(body), response.headers.get("content-encoding", "").strip().lower(), limit)


def _named(response: httpx.Response, refusal: Callable[[bytes], IntegrationError | None]) -> IntegrationError | None:
    """Give the error that the body of a refusal names; a body that cannot be read names none."""
    try:
        error = refusal(_body(response, REFUSAL_BYTES))
    except (ValueError, httpx.TransportError):
        response.extensions["network_stream"].close()  # the length may have been a lie
        return None
    if error and error.upstream_status is None:
        error.upstream_status = response.status_code
    return error


@contextlib.contextmanager
def _translated(title: str) -> Iterator[None]:
    """Raise httpx's errors as ours; their texts stay behind."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise unverified(title) from None
        unreachable = UpstreamUnreachable(
            f"No connection to {title} could be made; check the way there and the base URL, or call again."
        )
        unreachable.nothing_sent = True
        raise unreachable from None
    except httpx.TimeoutException:
        raise UpstreamTimeout(f"{title} did not answer in time; call again later, or ask for less.") from None
    except httpx.NetworkError:
        raise UpstreamUnreachable(f"The connection to {title} broke; call again.") from None
    except httpx.ProtocolError:
        raise UpstreamBadResponse(f"{title} broke off its answer or does not speak HTTP.") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise Misconfigured(f"The base URL set for {title} is not an http or https URL.") from None


def unverified(title: str) -> Misconfigured:
    """Give the error of a certificate that is not vouched for."""
    return Misconfigured(
        f"The certificate of {title} could not be verified; "
        "if it is your own authority's, name it in INTEGRATIONS_CA_FILE."
    )


def _user_agent() -> str:
    """Say who calls, as Wikimedia's User-Agent policy asks: name/version (contact) library/version."""
    contact = os.environ.get("INTEGRATIONS_CONTACT", "")
    about = f"AWS Lambda; {contact}" if _CONTACT.fullmatch(contact) else "AWS Lambda"
    return f"integrations-bundle/{VERSION} ({about}) httpx/{httpx.__version__} Python/{platform.python_version()}"


_CONTACT = re.compile(r"[\x21-\x27\x2a-\x7e]{1,200}")


_REJECTED_CREDENTIALS = (401, 403)
# Some services ask for fewer calls with 420, which no standard has.
_TOO_MANY = (420, 429)
_UNPAID = 402
_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)
_FOLLOWED = (301, 302, 303, 307, 308)
# Who asks for fewer calls says all by the status and the headers.
_REFUSED = frozenset(range(400, 500)) - frozenset(_TOO_MANY)
# Answers of 4xx that say "later": request timeout, too early.
_LATER = (408, 425)


def _raise_for_status(response: httpx.Response, title: str) -> None:
    status = response.status_code
    if status in _SUCCESS:
        return
    if status in _REDIRECT:
        raise UpstreamBadResponse(f"{title} answered with a redirect; check the base URL.", upstream_status=status)
    after = retry_after(response.headers)
    if status in _REJECTED_CREDENTIALS:
        raise UpstreamDenied(
            f"{title} refused the credentials; check the setup and what its key may do.",
            upstream_status=status,
        )
    if status == _UNPAID:
        raise UpstreamDenied(
            f"{title} wants to be paid; check the credit and the plan of the account.", upstream_status=status
        )
    if status in _TOO_MANY:
        from integrations import quotas

        limited = UpstreamRateLimited(
            f"{title} asks for fewer calls; call again later.",
            upstream_status=status,
            retry_after=after,
        )
        limited.quotas = quotas.read(response.headers)
        raise limited
    if status in _LATER or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise UpstreamError(f"{title} failed; call again later.", upstream_status=status, retry_after=after)
    raise UpstreamRejected(f"{title} refused the request; check the arguments.", upstream_status=status)


def retry_after(headers: httpx.Headers) -> float | None:
    """Give the seconds of a `Retry-After` header (RFC 9110 section 10.2.3): a number, or a date less the `Date`."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,6}", value, re.ASCII):
        return float(value)
    moment, now = _http_date(value), _http_date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # a year or an offset of twenty digits overflows
        return None
    # The asctime form has no zone; HTTP dates are in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_clients: OrderedDict[tuple[bytes, bool], httpx.HTTPTransport] = OrderedDict()
_clients_lock = threading.Lock()


def _client(credentials: bytes, *, guarded: bool) -> httpx.HTTPTransport:
    key = credentials, guarded
    with _clients_lock:
        client = _clients.pop(key, None) or (_new_guarded_client() if guarded else _new_client(_Bounded()))
        _clients[key] = client
        while len(_clients) > MAX_CLIENTS:
            _clients.popitem(last=False)[1].close()
    return client


def _new_guarded_client() -> httpx.HTTPTransport:
    """Make a client that goes to public hosts only, and prove it: httpx may change what the guard stands on."""
    client = _new_client(_Guarded())
    from integrations.addresses import lets_pass

    inside = next((address for address in ("127.0.0.1", "169.254.169.254") if not lets_pass(address)), None)
    if inside is None or _is_refused(client, f"http://{inside}/"):
        return client
    client.close()
    raise Misconfigured("The guard of URLs is not in place; no URL of a caller is asked for.")


def _is_refused(client: httpx.HTTPTransport, url: str) -> bool:
    """Say whether the guard refuses the URL, and not only the network."""
    try:
        client.handle_request(httpx.Request("GET", url)).close()
    except UrlDenied:
        return True
    except httpx.HTTPError:
        return False
    return False


def _new_client(backend: httpcore.NetworkBackend) -> httpx.HTTPTransport:
    context = tls_context("http/1.1")
    client = httpx.HTTPTransport(verify=context, trust_env=False)
    # httpx has no public way to set the network backend (encode/httpx#3749); a test fails should this cease to work.
    client._pool = httpcore.ConnectionPool(
        ssl_context=context,
        network_backend=backend,
        max_connections=MAX_CONNECTIONS,
        keepalive_expiry=55.0,  # less than the 60 s after which many load balancers close a connection
    )
    return client


_tls_contexts: dict[tuple[str | None, str | None], ssl.SSLContext] = {}


def tls_context(protocol: str | None) -> ssl.SSLContext:
    """Give the one TLS context of a protocol by ALPN, or of all that have no name there.

    The build puts the authorities into a folder by hash, which opens 13 ms sooner. Raise Misconfigured where the
    operators' own authorities cannot be read: calls would else fail later, and for no reason that is seen.
    """
    extra = os.environ.get("INTEGRATIONS_CA_FILE")
    if (extra, protocol) not in _tls_contexts:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        hashed = Path(__file__).with_name("authorities")
        if hashed.is_dir():
            context.load_verify_locations(capath=hashed)
        else:
            import certifi

            context.load_verify_locations(cafile=certifi.where())
        if extra:
            try:
                context.load_verify_locations(cafile=extra)
            except OSError:  # which an SSLError is, too
                raise Misconfigured(
                    "INTEGRATIONS_CA_FILE names no file of certificate authorities in PEM; "
                    "in AWS it is authorities.pem of the layer that the stack's parameter CertificateAuthorities names."
                ) from None
        if protocol:
            context.set_alpn_protocols([protocol])
        _tls_contexts[extra, protocol] = context
    return _tls_contexts[extra, protocol]


def _left() -> float:
    return _until.get() - time.monotonic()


class _Bounded(httpcore.NetworkBackend):
    """httpcore's blocking network, with the attempt's cut-off in place of its timeout for each operation."""

    def __init__(self) -> None:
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        try:
            answers = look_up(host, port, min(RESOLVE_TIMEOUT, _left()))
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name was not looked up in time") from None
        self.check(host, port, answers)
        for address in answers:
            left = _left()
            if left <= 0:
                raise httpcore.ConnectTimeout("no time left")
            try:
                stream = self._network.connect_tcp(address, port, min(CONNECT_TIMEOUT, left))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream)
        raise failure

    def check(self, host: str, port: int, answers: list[str]) -> None:
        """Refuse the host for what it was looked up to, one of which is connected to next. Nothing is refused here."""

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("no service is reached by a Unix socket")


class _Guarded(_Bounded):
    """The same, to where callers may send this bundle. What is checked is what is connected to: no second look-up."""

    def check(self, host: str, port: int, answers: list[str]) -> None:
        from integrations import addresses, urls

        try:
            addresses.check(host, port, answers, urls.OPEN_PORTS)
        except addresses.Denied as denied:
            raise UrlDenied(f"{denied}.") from None


class _BoundedStream(httpcore.NetworkStream):
    """A connection on which every operation ends by the cut-off, also where the peer sends a byte at a time."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = _left()
        if left <= 0:
            raise httpcore.ReadTimeout("no time left")
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        connection: socket.socket = self._stream.get_extra_info("socket")
        view = memoryview(buffer)
        while view:
            left = _left()
            if left <= 0:
                raise httpcore.WriteTimeout("no time left")
            connection.settimeout(left)
            try:
                view = view[connection.send(view) :]
            except TimeoutError:
                raise httpcore.WriteTimeout("no time left") from None
            except OSError:
                raise httpcore.WriteError("the connection broke") from None

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, max(_left(), 0.001)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def look_up(host: str, port: int, seconds: float) -> list[str]:
    """Give the addresses of a host, none for a name that nobody knows. Raise TimeoutError.

    A thread asks: the system's resolver takes no timeout and cannot be interrupted.
    """
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    found: list[Any] = []
    asked = threading.Event()

    def resolve() -> None:
        with contextlib.suppress(OSError, UnicodeError, OverflowError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        asked.set()

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    if not asked.wait(max(0.0, seconds)):
        raise TimeoutError
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
