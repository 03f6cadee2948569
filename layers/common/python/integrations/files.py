"""Files in arguments: base64, a data URI, or an https URL that is fetched under the policy of `urls.py`."""

import base64
import binascii
import hashlib
import re
import threading
import time
from dataclasses import dataclass
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
    UpstreamDenied,
    UpstreamRejected,
    UrlDenied,
)
from integrations.findings import finding, sentence
from integrations.http import SHORTEST_ATTEMPT, Meter

MAX_BYTES = 20_000_000  # of a file that is fetched; what comes in a call is bounded by the call
MAX_REDIRECTS = 5

_TITLE = "the server of the URL"
_WITHOUT = hashlib.sha256(b"no credentials").digest()
_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*(?P<base64>;base64)?,", re.ASCII)
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_Place = tuple[str | int, ...]


def _checked(value: str) -> str:
    if _is_url(value):
        return value
    data_uri = _DATA_URI.match(value)
    if value.startswith("data:") and not data_uri:
        raise PydanticCustomError("file", "Not a data URI: data:TYPE/SUBTYPE;base64,...")
    if (data_uri is None or data_uri["base64"]) and _decoded(value[data_uri.end() if data_uri else 0 :]) is None:
        raise PydanticCustomError("file", "Neither base64, nor a data URI, nor an https URL")
    return value


FileInput = Annotated[str, Field(min_length=1), AfterValidator(_checked)]
"""A file as an argument. A method that has one is declared with `files=True` and reads it with `files.read`."""


class File(NamedTuple):
    """A file that was given: its bytes, and its media type and name where they came with it."""

    content: bytes
    media_type: str | None = None
    name: str | None = None


@dataclass(eq=False, repr=False, kw_only=True)
class Files:
    """The files of one call. `deadline` is on the monotonic clock."""

    deadline: float
    meter: Meter

    def read(self, value: str, *place: str | int, max_bytes: int = MAX_BYTES) -> File:
        """Give the file behind a `FileInput`; `place` is the argument that holds it.

        Raise UrlDenied for a URL that callers may not send this bundle to, InvalidArguments for a file of more than
        `max_bytes`, UpstreamRejected for a URL that gives none, and the upstream errors of `errors.py`.
        """
        if _is_url(value):
            return self._fetched(value, ("arguments", *place), max_bytes)
        data_uri = _DATA_URI.match(value)
        text = value[data_uri.end() :] if data_uri else value
        plain = data_uri is not None and not data_uri["base64"]
        content = unquote_to_bytes(text) if plain else _decoded(text) or b""
        if len(content) > max_bytes:
            found = [finding(["arguments", *place], "file_size", f"Larger than {max_bytes:,} bytes")]
            raise InvalidArguments(sentence(found), errors=found)
        return File(content, data_uri["type"] if data_uri else None)

    def _fetched(self, url: str, place: _Place, max_bytes: int) -> File:
        """Fetch the file, by way of at most five redirects, each of which the policy lets pass as it does the first."""
        secured = False
        for _ in range(MAX_REDIRECTS + 1):
            try:
                target = _safe(url, secured=secured)
                secured = target.scheme == "https"
                return self._asked(target, max_bytes)
            except Redirected as redirected:
                url = urljoin(str(target), redirected.args[0])
            except Denied as denied:
                raise _at(place, UrlDenied, "url_denied", str(denied)) from None
            except UrlDenied as denied:
                raise _at(place, UrlDenied, "url_denied", denied.detail.rstrip(".")) from None
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
        request = Request("GET", str(target), {}, "*/*", guarded=True, redirects=True)

        def attempt() -> File:
            self.meter.attempts += 1
            content, headers = exchange(
                request,
                bytes,
                form="a file",
                title=_TITLE,
                credentials=_WITHOUT,
                until=self.deadline,
                max_bytes=max_bytes,
            )
            media_type = _MEDIA_TYPE.match(headers.get("content-type", ""))
            name = unquote(target.path.partition("?")[0].rpartition("/")[2])
            return File(content, media_type[0].lower() if media_type else None, name or None)

        try:
            return attempt()
        except IntegrationError as error:
            if error.retryable is False or isinstance(error, DeadlineExceeded):
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


def _is_url(value: str) -> bool:
    return value[:8].lower().startswith(("https://", "http://"))


def _decoded(text: str) -> bytes | None:
    """Decode base64, the URL-safe kind too, with line breaks and with or without padding; None where it is none."""
    dense = re.sub(r"\s+", "", text).rstrip("=")
    try:
        return base64.b64decode(dense + "=" * (-len(dense) % 4), altchars=b"-_" if {"-", "_"} & {*dense} else None,
                                validate=True)  # fmt: skip
    except (binascii.Error, ValueError):
        return None


def _at(
    place: _Place, kind: type[IntegrationError], code: str, why: str, status: int | None = None
) -> IntegrationError:
    found = [finding([*place], code, why)]
    return kind(sentence(found), errors=found, upstream_status=status)


def _transient(error: BaseException) -> bool:
    return (
        isinstance(error, IntegrationError) and error.retryable is not False and not isinstance(error, DeadlineExceeded)
    )
