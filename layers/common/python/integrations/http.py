"""A service as a method sees it: paths below the base URL, JSON out, models in.

A request is sent again only where the error and the method's effect allow it, see `retries.py`.
"""

import base64
import functools
import hashlib
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from integrations.egress import Request, Upload, exchange
from integrations.errors import (
    DeadlineExceeded,
    IntegrationError,
    InvalidArguments,
    InvalidSetup,
    Misconfigured,
    RateLimited,
    UpstreamBadResponse,
    UpstreamRateLimited,
    UrlDenied,
)
from integrations.findings import finding, sentence
from integrations.redaction import remembered
from integrations.replies import Reply

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from integrations.provider import Arguments, Provider, Setup

SHORTEST_ATTEMPT = 0.5  # no attempt is started with less time than this, in seconds
MAX_PARALLEL = 32  # requests under way at once, of all calls in this process

_FIELD = re.compile(r"\{(\w+)\}")
_HOST_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_HEADER_PART = re.compile(r"[\x21-\x7e]+")
_R = TypeVar("_R", bound=Reply)
_T = TypeVar("_T")
_Item = TypeVar("_Item")


@dataclass(eq=False, repr=False)
class Meter:
    """What is noted of one call's requests.

    That is the most attempts that one took, when each was under way, the tokens that services gave for them, and
    whether it was made with what the caller brought along and not with what is stored here.
    """

    attempts: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    own_setup: bool = False


@dataclass(eq=False, repr=False, kw_only=True)
class Http:
    """The service. A path's `{}` are filled with the segments that follow it, quoted."""

    provider: "Provider"
    setup: "Setup | None"
    arguments: "Arguments"
    base_urls: tuple[str, ...]
    deadline: float
    repeatable: bool
    meter: Meter
    ended: threading.Event = field(default_factory=threading.Event)
    declared: str = ""
    place: tuple[str, ...] = ()
    authorization: str = ""

    def at(self, name: str) -> "Http":
        """Give the way to another of the provider's services, one of its `other_urls`.

        What replaces the provider's base URL replaces this one too.
        """
        declared = self.provider.other_urls[name]
        replaced = self.base_urls != self.provider.base_urls
        return replace(self, declared=declared, base_urls=self.base_urls if replaced else (declared,))

    def at_url(self, url: str, *place: str) -> "Http":
        """Give the way to a base URL that the caller gave at this place of the call. Raise UrlDenied.

        It takes the provider's headers along. Only https is let pass, and only to public hosts, unless the operators
        let the host pass.
        """
        from integrations import addresses, urls

        try:
            base = str(urls.parsed(url))
        except addresses.Denied as denied:
            raise _denied(place, f"{denied}") from None
        if "?" in base:
            raise _denied(place, "A base URL has no query")
        return replace(self, base_urls=(base.rstrip("/"),), place=place)

    def with_bearer(self, token: str) -> "Http":
        """Give the way with a token that a service has just given, in `Authorization` (RFC 6750)."""
        if not _HEADER_PART.fullmatch(token):
            raise UpstreamBadResponse(f"{self.provider.title} gave a token that cannot be sent in a header.")
        if token not in remembered:
            remembered.append(token)
        self.meter.tokens.append(token)
        return replace(self, authorization=f"Bearer {token}")

    def with_basic(self, user: SecretStr, password: SecretStr) -> "Http":
        """Give the way with a user and a password in `Authorization`, where not all of the provider's requests have it.

        What all have is declared as the provider's `basic_auth`.
        """
        return replace(self, authorization=_basic(_reveal(user), _reveal(password)))

    def repeating(self) -> "Http":
        """Give the way for requests that may be sent again although the method may not: to ask how a job is."""
        return replace(self, repeatable=True)

    def within(self, seconds: float) -> "Http":
        """Give the way with an end of its own, where a caller says how long to wait; the call's deadline holds too."""
        return replace(self, deadline=min(self.deadline, time.monotonic() + seconds))

    def pause(self, seconds: float) -> bool:
        """Wait before asking again, as about a job that takes its time. Say whether there is time for a request then.

        Where there is none, the wait is left out.
        """
        if time.monotonic() + seconds + SHORTEST_ATTEMPT > self.deadline:
            return False
        return not self.ended.wait(seconds)

    def get(
        self,
        path: str,
        *segments: str,
        reply: type[_R],
        params: dict[str, Any] | None = None,
        from_root: bool = False,
        max_bytes: int | None = None,
    ) -> _R:
        """Send a GET and give its answer as a `reply`.

        `from_root` says that the path starts at the root of the base URL's host, not below the base URL's own path.
        `max_bytes` bounds this one answer, in place of the provider's bound. Raise the upstream errors of `errors.py`.
        """
        urls = self._urls(path, segments, from_root=from_root)
        return self._send("GET", urls, reply, max_bytes, params=params)

    def post(
        self,
        path: str,
        *segments: str,
        reply: type[_R],
        params: dict[str, Any] | None = None,
        json: Any = None,
        form: dict[str, Any] | None = None,
        files: list[Upload] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _R:
        """Send a POST with JSON, or with a form and the files in it, and give its answer as a `reply`.

        A form is multipart/form-data where there are `files`, if only an empty list. `headers` are of this request, in
        the method's own words, and go before the provider's. Raise the upstream errors.
        """
        content = {"params": params, "json": json, "form": form, "files": files}
        return self._send("POST", self._urls(path, segments), reply, headers=headers, **content)

    def put(
        self, path: str, *segments: str, reply: type[_R], params: dict[str, Any] | None = None, json: Any = None
    ) -> _R:
        """Send a PUT with JSON and give its answer as a `reply`. Raise the upstream errors."""
        return self._send("PUT", self._urls(path, segments), reply, params=params, json=json)

    def each(self, function: Callable[[_Item], _T], items: Iterable[_Item]) -> list[_T]:
        """Call `function` with each item, in parallel, and give the results in order; the first error is raised."""
        from concurrent.futures import FIRST_EXCEPTION, wait

        tasks = [_threads().submit(function, item) for item in items]
        done, running = wait(tasks, return_when=FIRST_EXCEPTION)
        failed = [task for task in tasks if task in done and task.exception()]
        if failed:
            # The call is answered now: nothing is sent for it any more, in this invocation or a later one.
            self.ended.set()
            for task in running:
                task.cancel()
            failed[0].result()
        return [task.result() for task in tasks]

    def _urls(self, path: str, segments: tuple[str, ...], *, from_root: bool = False) -> list[str]:
        """Give the URL at each host, in the order in which they are tried."""
        filled, bases = self._path(path, segments), self._filled_base_urls()
        return [(_root(base) if from_root else base) + filled for base in bases]

    def _path(self, template: str, segments: tuple[str, ...]) -> str:
        for segment in segments:
            # Dots survive quoting, and a URL with ".." goes elsewhere than the method meant.
            if segment in ("", ".", ".."):
                name = next((name for name, value in self.arguments if value == segment), "")
                found = [finding(["arguments", name], "segment", "Must not be empty, '.' or '..'")]
                raise InvalidArguments(sentence(found), errors=found)
        return template.format(*(quote(segment, safe="") for segment in segments))

    def _send(
        self,
        method: str,
        urls: list[str],
        reply: type[_R],
        max_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> _R:
        headers, accept, guarded = {**self._headers(), **(headers or {})}, reply.media_type, bool(self.place)
        if content.get("params"):
            content["params"] = {
                name: _reveal(value) if isinstance(value, SecretStr) else value
                for name, value in content["params"].items()
                if value is not None
            }
        requests = [
            Request(method=method, url=url, headers=headers, accept=accept, guarded=guarded, **content) for url in urls
        ]
        credentials = self._fingerprint()
        limit = self.provider.max_response_bytes if max_bytes is None else max_bytes
        hosts, numbers = itertools.cycle(requests), itertools.count(1)

        def attempt() -> _R:
            start = self._start(credentials)
            self.meter.attempts = max(self.meter.attempts, next(numbers))
            return self._attempt(next(hosts), start, credentials, reply, limit)

        try:
            return attempt()
        except IntegrationError as error:
            if not self.may_repeat(error):
                raise
            # Few calls come here, so few pay for tenacity: 4 ms of a cold start, 50 us of every call.
            from integrations.retries import repeat

            return repeat(
                attempt,
                error,
                may_repeat=self.may_repeat,
                hosts=len(requests),
                deadline=self.deadline,
                ended=self.ended,
            )

    def _attempt(self, request: Request, start: float, credentials: bytes, reply: type[_R], max_bytes: int) -> _R:
        provider = self.provider
        try:
            answer, came_with = exchange(
                request,
                reply.read,
                form=reply.form,
                title=provider.title,
                credentials=credentials,
                until=min(self.deadline, start + provider.attempt_timeout),
                max_bytes=max_bytes,
                refusal=_refusal_of(reply.refusal) if reply.refusal else None,
            )
        except UpstreamRateLimited as limited:
            if provider.paced_by_quotas:
                from integrations.pacing import heed

                heed(credentials, limited, start)
            raise
        except UrlDenied as denied:
            raise _denied(self.place, denied.detail) from None
        finally:
            self.meter.spans.append((start, time.monotonic()))
        if provider.paced_by_quotas:
            from integrations.pacing import keep

            keep(credentials, came_with, start)
        if failure := answer.with_headers(came_with).failure():
            raise failure
        return answer

    def _start(self, credentials: bytes) -> float:
        """Give the moment from which an attempt may go on, if there is time for one, after waiting for its slot."""
        self._check_time()
        if self.provider.min_interval or self.provider.paced_by_quotas:
            # Few providers have a pace to keep, so few load it.
            from integrations.pacing import wait_for_slot

            wait_for_slot(self.provider, credentials, deadline=self.deadline, ended=self.ended)
            self._check_time()
        return time.monotonic()

    def _check_time(self) -> None:
        if self.deadline - time.monotonic() < SHORTEST_ATTEMPT or self.ended.is_set():
            raise DeadlineExceeded(f"No time was left to ask {self.provider.title}.")

    def may_repeat(self, error: BaseException) -> bool:
        """Say whether the request may be sent again after this error."""
        return (
            isinstance(error, IntegrationError)
            and not isinstance(error, DeadlineExceeded | RateLimited)
            and error.retryable is not False
            and (self.repeatable or error.nothing_sent)
        )

    def _filled_base_urls(self) -> list[str]:
        """Fill in the base URLs. One that replaces the declared one and has no path of its own keeps that path."""
        path = "" if self.place else urlsplit(self.declared or self.provider.base_urls[0]).path
        urls = []
        for url in self.base_urls:
            try:
                parts = urlsplit(url)
                fits = parts.scheme in ("http", "https") and parts.netloc and parts.port != 0
            except ValueError:
                fits = False
            if not fits:
                raise Misconfigured(f"The base URL set for {self.provider.title} is not an http or https URL.")
            urls.append(_FIELD.sub(self._host_part, url.rstrip("/") if parts.path else url + path))
        return urls

    def _host_part(self, match: re.Match[str]) -> str:
        """Give the value of a `{field}` of the base URL: a piece of a host name and nothing else."""
        name = match[1]
        of_setup = name in self.provider.setup_fields
        value = getattr(self.setup if of_setup else self.arguments, name, None)
        if value is None or isinstance(value, SecretStr):
            raise Misconfigured(f"The base URL set for {self.provider.title} names a field that cannot be part of it.")
        if not _HOST_PART.fullmatch(str(value)):
            where, error = ("setup", InvalidSetup) if of_setup else ("arguments", InvalidArguments)
            raise error(
                f"{where}.{name}: only letters, digits and inner dashes can be part of a host name.",
                errors=[finding([where, name], "host_part", "Not part of a host name")],
            )
        return str(value)

    def _headers(self) -> dict[str, str]:
        headers = {name: _FIELD.sub(self._header_part, text) for name, text in self.provider.headers.items()}
        if self.provider.basic_auth:
            headers["authorization"] = _basic(*(_FIELD.sub(self._field, text) for text in self.provider.basic_auth))
        return headers | ({"authorization": self.authorization} if self.authorization else {})

    def _field(self, match: re.Match[str]) -> str:
        return _reveal(getattr(self.setup, match[1]))

    def _header_part(self, match: re.Match[str]) -> str:
        name = match[1]
        value = _reveal(getattr(self.setup, name))
        if not _HEADER_PART.fullmatch(value):
            raise InvalidSetup(
                f"setup.{name}: only printable ASCII without spaces can be sent in a header.",
                errors=[finding(["setup", name], "header", "Not printable ASCII")],
            )
        return value

    def _fingerprint(self) -> bytes:
        values = sorted((name, _reveal(value)) for name, value in self.setup or ())
        return hashlib.sha256(repr((self.provider.name, values)).encode()).digest()


def _denied(place: tuple[str, ...], why: str) -> UrlDenied:
    found = [finding([*place], "url_denied", why.rstrip("."))]
    return UrlDenied(sentence(found), errors=found)


def _basic(user: str, password: str) -> str:
    """Write credentials as RFC 7617 has them: in UTF-8, and the first colon ends the user."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@functools.cache
def _threads() -> "ThreadPoolExecutor":
    """Give the threads of this process: starting them anew for each call costs more than a request on loopback."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(MAX_PARALLEL, thread_name_prefix="each")


def _refusal_of(form: type[Reply]) -> Callable[[bytes], IntegrationError | None]:
    return lambda body: form.read(body).failure()


def _reveal(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
