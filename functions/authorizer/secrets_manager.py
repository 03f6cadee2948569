"""Reads one secret from AWS Secrets Manager with the standard library alone.

boto3 would do it in a line, and would be four fifths of the authorizer's cold start, which is part of every cold call.

Written from AWS's documentation: GetSecretValue in the JSON 1.1 protocol (Secrets Manager API Reference) and Signature
Version 4 (IAM User Guide, "Create a signed AWS API request"). Credentials and region are those that Lambda puts into
the environment. AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL and AWS_CA_BUNDLE mean what they mean to AWS's own
SDKs; there is no proxy and no configuration file.
"""

import contextlib
import functools
import hashlib
import hmac
import json
import os
import re
import socket
import threading
import time

# Loading `typing` would be a twentieth of the start; type checkers know this name wherever it comes from.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL")

# Needed wherever the endpoint is not on loopback, and then loaded at the start: Lambda gives it a whole core there, and
# at the first call a seventh of one. What is done does not depend on this line, only when it is paid for.
if not any(os.environ.get(name, "").startswith("http:") for name in _ENDPOINT_VARIABLES):
    import ssl

    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the first one sets OpenSSL up

ATTEMPTS = 2
ATTEMPT_TIMEOUT = 2.0  # seconds, for all of an attempt: name look-up, connecting, handshake, answer
CONNECT_TIMEOUT = 1.0  # seconds, for one address of the host
PAUSE = 0.1  # seconds between two attempts
LARGEST_ANSWER = 1_048_576  # bytes; a secret has at most 65,536, which JSON may write with six characters each

# Where the build puts certificate authorities, one a file under its hash: the one that is needed is read. Opening a
# bundle of all of them takes 20 ms of a whole core.
AUTHORITIES = __file__.rpartition("/")[0] + "/authorities"

TARGET = "secretsmanager.GetSecretValue"
CONTENT_TYPE = "application/x-amz-json-1.1"

_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})\b")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?:\r\n|$)", re.IGNORECASE)
_CODE = re.compile(r"[A-Za-z]{1,64}")
_THROTTLED = {"ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"}


class ReadError(Exception):
    """The secret could not be read. The text is AWS's error code or names what failed, and holds no value.

    `outage` says that Secrets Manager did not answer, rather than answered that there is nothing for us.
    """

    def __init__(self, code: str, *, outage: bool) -> None:
        super().__init__(code)
        self.outage = outage


class Endpoint:
    """Where Secrets Manager is. `host` is as a URL has it, with an IPv6 address in brackets."""

    def __init__(self, *, tls: bool, host: str, port: int) -> None:
        self.tls = tls
        self.host = host
        self.port = port

    @property
    def authority(self) -> str:
        """Give the Host header."""
        return self.host if self.port == (443 if self.tls else 80) else f"{self.host}:{self.port}"


class Credentials:
    """The function's own credentials."""

    def __init__(self, access_key: str, secret_key: str, token: str | None) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.token = token


def read(secret_id: str) -> str:
    """Give the current SecretString of a secret, by its name or ARN. Raise ReadError, after five seconds at most."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    endpoint, credentials = endpoint_of(region), _credentials()
    body = json.dumps({"SecretId": secret_id, "VersionStage": "AWSCURRENT"}).encode()
    attempt = 1
    while True:
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = signed_headers(endpoint.authority, body, region, moment, credentials)
        try:
            return _secret_string(*_exchange(endpoint, headers, body, time.monotonic() + ATTEMPT_TIMEOUT))
        except ReadError as error:
            if not error.outage or attempt == ATTEMPTS:
                raise
        attempt += 1
        time.sleep(PAUSE)


def endpoint_of(region: str) -> Endpoint:
    """Give the endpoint that the environment names, else the region's own. Raise ReadError where there is neither."""
    named = next(filter(None, map(os.environ.get, _ENDPOINT_VARIABLES)), None)
    if not _REGION.fullmatch(region):
        raise ReadError("NoRegion", outage=False)
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = _URL.fullmatch(named or f"https://secretsmanager.{region}.{suffix}")
    if url is None or int(url[3] or 1) > 65_535:
        raise ReadError("InvalidEndpointUrl", outage=False)
    tls = url[1] == "https"
    return Endpoint(tls=tls, host=url[2].lower(), port=int(url[3] or (443 if tls else 80)))


def _credentials() -> Credentials:
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not (access_key and secret_key):
        raise ReadError("NoCredentials", outage=False)
    return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN") or None)


# The signature.


def signed_headers(authority: str, body: bytes, region: str, moment: str, credentials: Credentials) -> dict[str, str]:
    """Give the headers of a POST to /, with the signature. `moment` is UTC, as 20260131T235959Z."""
    headers = {"content-type": CONTENT_TYPE, "host": authority, "x-amz-date": moment}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    headers["x-amz-target"] = TARGET
    # The canonical request: method, path, query, headers in the order of their names, the names, the body's hash.
    lines = [f"{name}:{value}" for name, value in headers.items()]
    names = ";".join(headers)
    canonical = "\n".join(["POST", "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    scope = f"{moment[:8]}/{region}/secretsmanager/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + credentials.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{credentials.access_key}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers


# The exchange, on a connection of its own: between two of them lies a minute, in which it may be frozen.


def _exchange(endpoint: Endpoint, headers: dict[str, str], body: bytes, deadline: float) -> tuple[int, bytes]:
    """Send the request and give the answer's status and body. Raise ReadError."""
    lines = ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"content-length: {len(body)}", "connection: close", "", ""]
    try:
        with _connected(endpoint, deadline) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall("\r\n".join(lines).encode() + body)
            return _answer(connection, deadline)
    except OSError as error:  # that of TLS is one, too
        raise ReadError(type(error).__name__, outage=True) from None


def _connected(endpoint: Endpoint, deadline: float) -> socket.socket:
    """Connect to the first address that answers. Raise the OSError of the last one that did not."""
    # As bytes: text would be put through the codec for international names, which takes 2 ms to load.
    host = endpoint.host.strip("[]").encode()
    context = _tls_context(os.environ.get("AWS_CA_BUNDLE")) if endpoint.tls else None
    failure = OSError()
    for family, kind, protocol, _, address in _addresses(host, endpoint.port, deadline):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(min(CONNECT_TIMEOUT, _left(deadline)))
            connection.connect(address)
            return context.wrap_socket(connection, server_hostname=host) if context else connection
        except OSError as error:
            connection.close()
            failure = error
    raise failure


def _addresses(host: bytes, port: int, deadline: float) -> "list[Any]":
    """Look the host up, in a thread: the C library knows no deadline, and a name server may be silent for long."""
    found: list[Any] = []

    def look_up() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if not found:
        raise socket.gaierror
    return list(found)


@functools.lru_cache(maxsize=1)
def _tls_context(bundle: str | None) -> "ssl.SSLContext":
    """Trust the authorities of AWS_CA_BUNDLE, else those that were built in, else the machine's."""
    import ssl  # loaded already, see above, unless the endpoint has changed

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # certificate and name are verified
    try:
        if bundle:
            context.load_verify_locations(cafile=bundle)
        elif os.path.isdir(AUTHORITIES):  # noqa: PTH112  # pathlib takes 2 ms to load
            context.load_verify_locations(capath=AUTHORITIES)
        else:
            context.load_default_certs()
    except OSError:
        raise ReadError("InvalidCaBundle", outage=False) from None
    return context


def _answer(connection: socket.socket, deadline: float) -> tuple[int, bytes]:
    received = b""
    while (answer := _parsed(received)) is None:
        connection.settimeout(_left(deadline))
        part = connection.recv(65_536)
        received += part
        if not part or len(received) > LARGEST_ANSWER:
            raise ReadError("BadAnswer", outage=True)
    return answer


def _parsed(received: bytes) -> tuple[int, bytes] | None:
    """Give status and body, or None until they are all there. Secrets Manager always tells the length."""
    head, complete, body = received.partition(b"\r\n\r\n")
    if not complete:
        return None
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if status is None or length is None:
        raise ReadError("BadAnswer", outage=True)
    return (int(status[1]), body[: int(length[1])]) if len(body) >= int(length[1]) else None


def _secret_string(status: int, body: bytes) -> str:
    """Give the secret, or raise the error that AWS answered."""
    try:
        answer = json.loads(body)
    except ValueError:
        raise ReadError(f"Status{status}", outage=True) from None
    told = answer if isinstance(answer, dict) else {}
    if status == 200 and isinstance(told.get("SecretString"), str):
        return str(told["SecretString"])
    # `__type` is the code, or a namespace, a hash sign and the code.
    code = str(told.get("__type", "")).rpartition("#")[2]
    outage = status >= 500 or status == 429 or code in _THROTTLED
    raise ReadError(code if _CODE.fullmatch(code) else f"Status{status}", outage=outage)


def _left(deadline: float) -> float:
    """Give the seconds that are left. Raise TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
