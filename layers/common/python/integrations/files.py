"""Files in arguments and in outputs.

In: base64, a data URI, an https URL that is fetched under the policy of `urls.py`, or an object of the bundle's own
bucket. Out: in base64 while it fits what the caller can take, else as an object of that bucket, with a URL to get it.
"""

import base64
import binascii
import hashlib
import itertools
import os
import re
import secrets
import threading
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple
from urllib.parse import unquote, unquote_to_bytes, urljoin

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from integrations import urls
from integrations.addresses import Denied
from integrations.egress import Redirected, Request, exchange
from integrations.errors import (
    DeadlineExceeded,
    IntegrationError,
    InvalidArguments,
    ResponseTooLarge,
    UpstreamDenied,
    UpstreamRejected,
    UrlDenied,
)
from integrations.findings import finding, sentence
from integrations.http import SHORTEST_ATTEMPT, Meter
from integrations.provider import Output

MAX_BYTES = 20_000_000  # of a file that is fetched; what comes in a call is bounded by the call
MAX_OBJECT = 30_000_000  # of a file that is made: it is in memory, more than once on its way to the bucket
MAX_REDIRECTS = 5
LONGEST_NAME = 150  # characters
URL_LIVES = timedelta(hours=1)

# Bytes of files in one output, of which base64 makes four thirds. What is left is for the words around them.
INLINE_OF_LAMBDA = 4_400_000  # of the 6 MB that Lambda returns
INLINE_OF_STATE = 96 * 1024  # of the 256 KiB that a state of Step Functions holds: half, for there is more in it

_TITLE = "the server of the URL"
_WITHOUT = hashlib.sha256(b"no credentials").digest()
_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*(?P<base64>;base64)?,", re.ASCII)
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_OBJECT = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.{1,1024})", re.DOTALL)
_Place = tuple[str | int, ...]


def _checked(value: str) -> str:
    if is_url(value) or _OBJECT.fullmatch(value):
        return value
    if value.startswith("s3:"):
        raise PydanticCustomError("file", "Not the URL of an object: s3://BUCKET/KEY")
    data_uri = _DATA_URI.match(value)
    if value.startswith("data:") and not data_uri:
        raise PydanticCustomError("file", "Not a data URI: data:TYPE/SUBTYPE;base64,...")
    if (data_uri is None or data_uri["base64"]) and _decoded(value[data_uri.end() if data_uri else 0 :]) is None:
        raise PydanticCustomError("file", "Neither base64, nor a data URI, nor an https or s3 URL")
    return value


FileInput = Annotated[str, Field(min_length=1), AfterValidator(_checked)]
"""A file as an argument. A method that has one is declared with `files=True` and reads it with `files.read`."""


class File(NamedTuple):
    """A file that was given: its bytes, and its media type and name where they came with it."""

    content: bytes
    media_type: str | None = None
    name: str | None = None


class FileOutput(Output):
    """A file as a part of an output, made by `files.write`: `base64` or `url` is set, never both."""

    base64: str | None = Field(None, description="The file in base64, if it is small enough for whoever called.")
    url: str | None = Field(None, description="Else where it can be downloaded from, by anyone who has this URL.")
    expires_at: str | None = Field(None, description="Until when the URL holds, such as 2026-11-21T12:00:00Z.")
    size: int = Field(description="How many bytes the file has.")
    sha256: str = Field(description="The SHA-256 of its bytes, in hex.")
    media_type: str = Field(description="What it is, such as image/png.")
    name: str | None = Field(None, description="What it is called.")


@dataclass(eq=False, repr=False, kw_only=True)
class Files:
    """The files of one call. `deadline` is on the monotonic clock, `over_http` says that an HTTP request is answered.

    Any other event is taken for a state of Step Functions: nothing in an event tells one from a direct invocation, a
    state that is given too much fails, and a program that calls directly can follow a URL. Without a bucket all get
    what Lambda returns, for nothing else can be done.
    """

    deadline: float
    meter: Meter
    over_http: bool
    _bucket: str = field(init=False)
    _inline: int = field(init=False)  # bytes of files that still fit into the output
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Look for the bundle's bucket."""
        self._bucket = os.environ.get("INTEGRATIONS_BUCKET", "")
        self._inline = INLINE_OF_STATE if self._bucket and not self.over_http else INLINE_OF_LAMBDA

    @property
    def most(self) -> int:
        """Give how many bytes the next file may have that `write` is given."""
        return MAX_OBJECT if self._bucket else self._inline

    def read(self, value: str, *place: str | int, max_bytes: int = MAX_BYTES) -> File:
        """Give the file behind a `FileInput`; `place` is the argument that holds it.

        Raise UrlDenied for a URL that callers may not send this bundle to, InvalidArguments for a file of more than
        `max_bytes` and for an object that is not there, UpstreamRejected for a URL that gives none, and the upstream
        errors of `errors.py`.
        """
        at = ("arguments", *place)
        if is_url(value):
            return self._fetched(value, at, max_bytes)
        if found := _OBJECT.fullmatch(value):
            return self._stored(found["bucket"], found["key"], at, max_bytes)
        data_uri = _DATA_URI.match(value)
        text = value[data_uri.end() :] if data_uri else value
        plain = data_uri is not None and not data_uri["base64"]
        content = unquote_to_bytes(text) if plain else _decoded(text) or b""
        if len(content) > max_bytes:
            raise _too_large(at, max_bytes)
        return File(content, data_uri["type"] if data_uri else None)

    def write(self, content: bytes, *, media_type: str, name: str | None = None) -> FileOutput:
        """Give the file as a part of the output: inline while that fits, else as an object with a URL for an hour.

        Raise ResponseTooLarge where it does not fit and there is no bucket, and DependencyUnavailable when S3 does
        not take it.
        """
        made = FileOutput(
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            media_type=_media_type(media_type) or "application/octet-stream",
            name=_plain(name),
        )
        if self._takes(len(content)):
            return made.model_copy(update={"base64": base64.b64encode(content).decode()})
        if not self._bucket:
            raise ResponseTooLarge(
                f"The file has {len(content):,} bytes, more than an answer holds, and there is no bucket to leave it "
                "in; ask for less, or have the operators set INTEGRATIONS_BUCKET."
            )
        from integrations.bucket import Bucket

        # The name in the key is what a download is called by programs that do not read the headers.
        key = f"results/{secrets.token_hex(16)}/{made.name or 'file'}"
        bucket = Bucket(self._bucket, self.deadline)
        bucket.put(key, content, made.media_type, made.name)
        expires, url = datetime.now(UTC) + URL_LIVES, bucket.presigned(key, int(URL_LIVES.total_seconds()))
        return made.model_copy(update={"url": url, "expires_at": f"{expires:%Y-%m-%dT%H:%M:%SZ}"})

    def _takes(self, size: int) -> bool:
        """Take up this much of what fits into the output, if it still does."""
        with self._lock:
            if size > self._inline:
                return False
            self._inline -= size
            return True

    def _stored(self, bucket: str, key: str, place: _Place, max_bytes: int) -> File:
        if not self._bucket:
            raise _at(place, UrlDenied, "url_denied", "No bucket is set up here; send the file itself, or an https URL")
        if bucket != self._bucket:
            raise _at(place, UrlDenied, "url_denied", "Not in the bundle's own bucket; no other one is read")
        from integrations.bucket import Bucket, Missing, TooLarge

        start = time.monotonic()
        try:
            content, media_type = Bucket(bucket, self.deadline).get(key, max_bytes)
        except Missing:
            found = [finding([*place], "missing_object", "No such object in the bucket; objects are kept for a day")]
            raise InvalidArguments(sentence(found), errors=found) from None
        except TooLarge:
            raise _too_large(place, max_bytes) from None
        finally:
            self.meter.spans.append((start, time.monotonic()))
        return File(content, _media_type(media_type), _plain(key.rpartition("/")[2]))

    def _fetched(self, url: str, place: _Place, max_bytes: int) -> File:
        """Fetch the file, by way of at most five redirects, each of which the policy lets pass as it does the first."""
        secured = False
        for _ in range(MAX_REDIRECTS + 1):
            try:
                target = _safe(url, secured=secured)
                secured = target.scheme == "https"
                return self._asked(target, max_bytes)
            except Redirected as redirected:
                url = _joined(target, redirected.args[0], place)
            except Denied as denied:
                raise _at(place, UrlDenied, "url_denied", str(denied)) from None
            except UrlDenied as denied:
                raise _at(place, UrlDenied, "url_denied", denied.detail.rstrip(".")) from None
            except ResponseTooLarge:
                raise _too_large(place, max_bytes) from None
            except (UpstreamDenied, UpstreamRejected) as refused:
                status = refused.upstream_status
                raise _at(place, UpstreamRejected, "refused", f"{_TITLE} answers {status}", status) from None
            except IntegrationError as error:
                error.detail = f"{'.'.join(map(str, place))}: {error.detail}"
                raise
        raise _at(place, UrlDenied, "url_denied", f"Leads through more than {MAX_REDIRECTS} redirects")

    def _asked(self, target: urls.Url, max_bytes: int) -> File:
        start = time.monotonic()
        if self.deadline - start < SHORTEST_ATTEMPT:
            raise DeadlineExceeded(f"No time was left to ask {_TITLE}.")
        request, numbers = Request("GET", str(target), {}, "*/*", guarded=True, redirects=True), itertools.count(1)

        def attempt() -> File:
            self.meter.attempts = max(self.meter.attempts, next(numbers))
            content, headers = exchange(
                request,
                bytes,
                form="a file",
                title=_TITLE,
                credentials=_WITHOUT,
                until=self.deadline,
                max_bytes=max_bytes,
            )
            name = unquote(target.path.partition("?")[0].rpartition("/")[2])
            return File(content, _media_type(headers.get("content-type", "")), _plain(name))

        try:
            return attempt()
        except IntegrationError as error:
            if not _transient(error):
                raise
            from integrations.retries import repeat

            never = threading.Event()
            return repeat(attempt, error, may_repeat=_transient, hosts=1, deadline=self.deadline, ended=never)
        finally:
            self.meter.spans.append((start, time.monotonic()))


def _safe(url: str, *, secured: bool) -> urls.Url:
    target = urls.parsed(url)
    if secured and target.scheme == "http":
        raise Denied("Leads from https to http")
    return target


def _joined(base: urls.Url, location: str, place: _Place) -> str:
    """Give the URL that a redirect leads to. What it means to leave out or to mend is not done: it is refused."""
    try:
        # Joining drops the controls and spaces that parsing refuses.
        urls.check_characters(location)
        return urljoin(str(base), location)
    except ValueError:
        raise _at(place, UrlDenied, "url_denied", "Leads to what is not a URL") from None


def is_url(value: str) -> bool:
    """Say whether a file is given by where it is on the web."""
    return value[:8].lower().startswith(("https://", "http://"))


def _media_type(header: str) -> str | None:
    found = _MEDIA_TYPE.match(header)
    return found[0].lower() if found else None


def _plain(name: str | None) -> str | None:
    """Give the name of a file if it is one: neither a path nor anything that a header or a shell would stumble over."""
    if not name or len(name) > LONGEST_NAME or set(name) <= {"."} or set(name) & set('/\\:*?"<>|'):
        return None
    return None if any(unicodedata.category(char)[0] in "CZ" and char != " " for char in name) else name


def _decoded(text: str) -> bytes | None:
    """Decode base64, the URL-safe kind too, with line breaks and with or without padding; None where it is none."""
    dense = re.sub(r"\s+", "", text).rstrip("=")
    url_safe = b"-_" if "-" in dense or "_" in dense else None
    try:
        return base64.b64decode(dense + "=" * (-len(dense) % 4), altchars=url_safe, validate=True)
    except (binascii.Error, ValueError):
        return None


def _too_large(place: _Place, max_bytes: int) -> IntegrationError:
    return _at(place, InvalidArguments, "file_size", f"Larger than {max_bytes:,} bytes")


def _at(
    place: _Place, kind: type[IntegrationError], code: str, why: str, status: int | None = None
) -> IntegrationError:
    found = [finding([*place], code, why)]
    return kind(sentence(found), errors=found, upstream_status=status)


def _transient(error: BaseException) -> bool:
    return (
        isinstance(error, IntegrationError) and error.retryable is not False and not isinstance(error, DeadlineExceeded)
    )
