"""The way out, against an upstream that does all a service should not."""

import contextlib
import gzip
import logging
import re
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from integrations import egress
from integrations.errors import (
    DeadlineExceeded,
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
)
from integrations.plain import refuse_infinite
from integrations.replies import strict_json
from tests.support import upstream as script
from tests.support.calls import RESERVE, call
from tests.support.sample import SETUP, provider, roomy
from tests.support.upstream import Upstream, json, refused_url, server_context, unanswered_url

if TYPE_CHECKING:
    import trustme

OK = json({"value": "tea"})


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", f"{upstream.url}/v1")


def read(seconds: float = 30.0, **arguments: Any) -> Any:
    return call(provider, method="read", setup=SETUP, arguments=arguments, seconds=seconds)["value"]


def write(seconds: float = 30.0) -> Any:
    return call(provider, method="write", setup=SETUP, arguments={}, seconds=seconds)["value"]


def test_what_is_sent(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_CONTACT", "ops@example.com")
    upstream.replies(OK, OK)
    assert read(query="green tea & more", exact=True) == "tea"
    assert write() == "tea"
    got, posted = upstream.requests
    assert (got.method, got.path, got.body) == ("GET", "/v1/items", b"")
    assert got.query == {"q": ["green tea & more"], "limit": ["2"], "exact": ["true"]}
    assert got.headers["authorization"] == "Bearer sample-key-0123456789"
    assert got.headers["accept-encoding"] == "gzip"
    assert re.fullmatch(
        r"integrations-bundle/\S+ \(AWS Lambda; ops@example\.com\) httpx/\S+ Python/3\S+", got.headers["user-agent"]
    )
    assert (posted.method, posted.path, posted.json()) == ("POST", "/v1/items/eu", {"text": "hello"})
    assert posted.headers["content-type"] == "application/json"
    assert not {"cookie", "referer", "traceparent"} & (got.headers.keys() | posted.headers.keys())


@pytest.mark.parametrize(
    ("segment", "sent"), [("a/b", "a%2Fb"), ("ü ?#", "%C3%BC%20%3F%23"), ("..a", "..a"), ("%2e", "%252e")]
)
def test_a_segment_stays_one_segment(upstream: Upstream, segment: str, sent: str) -> None:
    upstream.replies(OK, OK)
    read(places=[segment, segment])
    assert [request.target for request in upstream.requests] == [f"/v1/{sent}"] * 2


@pytest.mark.parametrize("segment", [".", "..", ""])
def test_a_segment_cannot_leave_its_place(upstream: Upstream, segment: str) -> None:
    upstream.route(lambda _: OK)
    with pytest.raises(IntegrationError) as raised:
        read(places=["a", segment])
    assert raised.value.code == "invalid_arguments"
    assert all(request.path == "/v1/a" for request in upstream.requests)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, UpstreamBadResponse),
        (400, UpstreamRejected),
        (401, UpstreamDenied),
        (402, UpstreamDenied),
        (403, UpstreamDenied),
        (404, UpstreamRejected),
        (405, UpstreamRejected),
        (408, UpstreamError),
        (409, UpstreamRejected),
        (422, UpstreamRejected),
        (425, UpstreamError),
        (429, UpstreamRateLimited),
        (500, UpstreamError),
        (503, UpstreamError),
        (529, UpstreamError),
    ],
)
def test_each_status_has_its_error(upstream: Upstream, status: int, error: type[IntegrationError]) -> None:
    upstream.replies(json({"message": "the service's own words"}, status=status, headers={"location": "/elsewhere"}))
    with pytest.raises(IntegrationError) as raised:
        write()  # not repeatable, so one request
    assert type(raised.value) is error
    assert raised.value.problem is not None
    assert raised.value.problem["upstream_status"] == status
    assert "own words" not in str(raised.value)


@pytest.mark.parametrize("reply", [script.html(), json([1, 2]), json({"value": "x" * 200_000})])
def test_an_answer_that_is_no_use_has_its_status_too(upstream: Upstream, reply: script.Reply) -> None:
    upstream.replies(reply)
    with pytest.raises(IntegrationError) as raised:
        write()
    assert raised.value.upstream_status == 200


FAULTS: dict[str, tuple[script.Reply, type[IntegrationError]]] = {
    "hangs": (script.hang(), UpstreamTimeout),
    "hangs in the headers": (script.hang_headers(), UpstreamTimeout),
    "hangs in the body": (script.hang_body(), UpstreamTimeout),
    "drips headers": (script.drip_headers(0.1), UpstreamTimeout),
    "drips the body": (script.drip_body(0.2, json({"value": "x" * 500})), UpstreamTimeout),
    "never ends": (script.endless_chunks(), ResponseTooLarge),
    "resets before the reply": (script.reset_before_reply(), UpstreamUnreachable),
    "resets in the body": (script.reset_mid_body(), UpstreamUnreachable),
    "closes before the reply": (script.close_before_reply(), UpstreamBadResponse),
    "sends less than it said": (script.short_body(), UpstreamBadResponse),
    "sends half a chunked body": (script.cut_chunks(), UpstreamBadResponse),
    "says a negative length": (script.negative_length(), UpstreamBadResponse),
    "does not speak HTTP": (script.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), UpstreamBadResponse),
    "sends 100,000 headers": (script.many_headers(100_000), UpstreamBadResponse),
    "sends HTML": (script.html(), UpstreamBadResponse),
    "sends half a JSON": (script.half_json({"value": "tea"}), UpstreamBadResponse),
    "sends NaN": (script.not_a_number_json(), UpstreamBadResponse),
    "sends an infinite number": (script.infinite_json(), UpstreamBadResponse),
    "sends 100,000 brackets": (script.deep_json(20_000), UpstreamBadResponse),
    "sends nothing": (script.empty(), UpstreamBadResponse),
    "sends no content": (script.no_content(), UpstreamBadResponse),
    "sends a list": (json([1, 2]), UpstreamBadResponse),
    "sends too much": (json({"value": "x" * 200_000}), ResponseTooLarge),
    "sends a bomb": (script.gzip_bomb(64), ResponseTooLarge),
    "sends a bomb in a bomb": (script.double_gzip_bomb(), UpstreamBadResponse),
    "sends brotli": (script.coded(OK, "br"), UpstreamBadResponse),
    "sends deflate": (script.coded(OK, "deflate"), UpstreamBadResponse),
    "says gzip and is not": (OK.with_headers({"content-encoding": "gzip"}), UpstreamBadResponse),
    "redirects": (script.redirect("http://127.0.0.1:1/"), UpstreamBadResponse),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_ends_in_time_with_its_error(upstream: Upstream, fault: str) -> None:
    reply, error = FAULTS[fault]
    upstream.replies(reply)
    started = time.monotonic()
    with pytest.raises(IntegrationError) as raised:
        write(seconds=RESERVE + 1.0)
    assert type(raised.value) is error
    assert time.monotonic() - started < 1.0 + 0.5
    assert len(upstream.requests) == 1, "a write is sent once"


def test_longer_body_than_said_does_not_reach_the_next_reply(upstream: Upstream) -> None:
    upstream.replies(script.long_body(OK), json({"value": "second"}))
    with pytest.raises(UpstreamBadResponse):
        write()
    assert read() == "second"


def test_gzip_is_read_also_in_several_members(upstream: Upstream) -> None:
    whole = gzip.compress(b'{"value": ') + gzip.compress(b'"tea"}')
    upstream.replies(
        script.coded(OK, "gzip"), script.content(whole, "application/json", headers={"content-encoding": "gzip"})
    )
    assert read() == "tea"
    assert read() == "tea"


def test_bombs_do_not_grow_memory(upstream: Upstream) -> None:
    upstream.replies(script.double_gzip_bomb(256), script.gzip_bomb(256))
    tracemalloc.start()
    try:
        for _ in range(2):
            with pytest.raises(IntegrationError):
                write()
        assert tracemalloc.get_traced_memory()[1] < 8 * script.MEGABYTE
    finally:
        tracemalloc.stop()


def test_many_small_gzip_members_cost_no_time(upstream: Upstream) -> None:
    body = gzip.compress(b"") * 150_000
    upstream.replies(script.content(body, "application/json", headers={"content-encoding": "gzip"}))
    started = time.process_time()
    with pytest.raises(UpstreamBadResponse):
        call(roomy, method="write", setup=SETUP)
    assert time.process_time() - started < 2


def test_looking_for_infinite_numbers_takes_memory_by_depth_only() -> None:
    text = b'{"a": [1e100,' + b"1," * 1_000_000 + b"1]}"
    data = strict_json(text)
    tracemalloc.start()
    try:
        refuse_infinite(data)
        assert tracemalloc.get_traced_memory()[1] < script.MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("number", ["1" * 310, "1" * 290 + "e50", "1e999", "0.1e400", "-1E+309", "1e0400"])
def test_a_number_that_overflows_is_refused_in_every_spelling(upstream: Upstream, number: str) -> None:
    upstream.replies(script.json_text(f'{{"value": {number}.0}}' if number.isdigit() else f'{{"value": {number}}}'))
    with pytest.raises(UpstreamBadResponse):
        write()


def test_waiting_for_a_free_connection_is_bounded_too(upstream: Upstream) -> None:
    upstream.route(lambda _: script.hang())
    with ThreadPoolExecutor(egress.MAX_CONNECTIONS) as pool:
        hung = [pool.submit(write, RESERVE + 2.5) for _ in range(egress.MAX_CONNECTIONS)]
        while len(upstream.requests) < egress.MAX_CONNECTIONS:
            time.sleep(0.01)
        started = time.monotonic()
        with pytest.raises(UpstreamTimeout):
            write(seconds=RESERVE + 1.0)
        assert time.monotonic() - started < 1.4
        assert all(isinstance(task.exception(), UpstreamTimeout) for task in hung)


def test_nothing_is_sent_for_a_call_that_is_answered(upstream: Upstream) -> None:
    upstream.route(lambda request: script.json({}, status=400 if request.path == "/v1/bad" else 503))
    started = time.monotonic()
    with pytest.raises(UpstreamRejected):
        read(places=["a", "b", "bad", "c"])
    assert time.monotonic() - started < 1
    time.sleep(1.5)  # longer than the first wait before a second attempt
    sent = [request.path for request in upstream.requests]
    assert len(sent) == len(set(sent)), "what was under way may still arrive, but nothing is sent again"


def test_the_longest_call_ends_before_the_gateway_gives_up(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function may have 15 minutes; API Gateway has 30 seconds, and a wait of 28 does not fit into them."""
    upstream.replies(script.json({}, status=429, headers={"retry-after": "28"}))
    started = time.monotonic()
    with pytest.raises(UpstreamRateLimited):
        read(seconds=900)
    assert time.monotonic() - started < 1


def test_refused_connection_is_repeated_even_for_a_write(monkeypatch: pytest.MonkeyPatch, upstream: Upstream) -> None:
    with refused_url() as url:
        monkeypatch.setenv("SAMPLE_BASE_URL", f"{url}/v1,{upstream.url}/v1")
        upstream.replies(OK)
        assert write() == "tea"


def test_refused_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("SAMPLE_BASE_URL", url)
        with pytest.raises(UpstreamUnreachable):
            read(seconds=RESERVE + 1.0)


def test_a_connection_that_is_not_taken_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with unanswered_url() as url:
        monkeypatch.setenv("SAMPLE_BASE_URL", url)
        started = time.monotonic()
        with pytest.raises(UpstreamUnreachable):
            read(seconds=RESERVE + 1.0)
        assert time.monotonic() - started < 1.5


def test_an_unknown_name_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", "http://no-such-host.invalid")
    with pytest.raises(UpstreamUnreachable):
        read(seconds=RESERVE + 1.5)


@contextlib.contextmanager
def slow_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the look-up of a name hang, as the C library's does when no name server answers."""
    released = threading.Event()
    real = socket.getaddrinfo

    def hanging(host: Any, *rest: Any, **options: Any) -> Any:
        released.wait(20)
        return real("127.0.0.1", *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", hanging)
        yield
    released.set()


def test_a_name_that_is_not_looked_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", "http://slow.example")
    with slow_name_server(monkeypatch):
        started = time.monotonic()
        with pytest.raises(UpstreamUnreachable):
            read(seconds=RESERVE + 1.0)
        assert time.monotonic() - started < 1.5


def test_no_attempt_is_started_without_time() -> None:
    with pytest.raises(DeadlineExceeded) as raised:
        read(seconds=RESERVE + 0.3)
    assert raised.value.problem is not None
    assert raised.value.problem["retryable"] is True


# Repeating.


def test_a_read_is_sent_three_times_at_most(upstream: Upstream) -> None:
    upstream.replies(*[json({}, status=503)] * 3)
    with pytest.raises(UpstreamError):
        read()
    assert len(upstream.requests) == 3


def test_a_read_succeeds_at_the_second_attempt(upstream: Upstream) -> None:
    upstream.replies(script.reset_mid_body(), OK)
    assert read() == "tea"


def test_waits_have_full_jitter(upstream: Upstream) -> None:
    upstream.replies(*[json({}, status=500), OK] * 8)
    for _ in range(8):
        read()
    times = [request.at for request in upstream.requests]
    waits = [second - first for first, second in zip(times[::2], times[1::2], strict=True)]
    assert max(waits) < 0.7, "the first wait is at most 0.5 s"
    assert max(waits) - min(waits) > 0.02, "and never twice the same"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_would_be_refused_again_is_not_repeated(upstream: Upstream, status: int) -> None:
    upstream.replies(json({}, status=status))
    with pytest.raises(IntegrationError):
        read()
    assert len(upstream.requests) == 1


def test_a_write_is_not_repeated_after_a_429(upstream: Upstream) -> None:
    upstream.replies(json({}, status=429, headers={"retry-after": "0"}))
    with pytest.raises(UpstreamRateLimited):
        write()
    assert len(upstream.requests) == 1


def test_an_error_inside_a_200_is_repeated_like_any_other(upstream: Upstream) -> None:
    upstream.replies(json({"error": "slow down"}), OK)
    assert read() == "tea"


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for(upstream: Upstream, form: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    headers = {
        "seconds": {"retry-after": "1"},
        # The service's clock is a day ahead of ours; its own Date header says so.
        "date": {
            "date": format_datetime(now + timedelta(days=1), usegmt=True),
            "retry-after": format_datetime(now + timedelta(days=1, seconds=1), usegmt=True),
        },
    }[form]
    upstream.replies(json({}, status=429, headers=headers), OK)
    assert read() == "tea"
    first, second = (request.at for request in upstream.requests)
    assert 1.0 <= second - first < 1.5


def test_retry_after_that_does_not_fit_is_passed_on_at_once(upstream: Upstream) -> None:
    upstream.replies(json({}, status=429, headers={"retry-after": "120"}))
    started = time.monotonic()
    with pytest.raises(UpstreamRateLimited) as raised:
        read()
    assert time.monotonic() - started < 1
    assert raised.value.problem is not None
    assert (raised.value.problem["retry_after"], raised.value.problem["retryable"]) == (120, True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("999999", 999999.0),
        ("1000000", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        ("Fri, 21 Nov 2025 10:00:30 GMT", 30.0),
        ("Friday, 21-Nov-25 10:00:30 GMT", 30.0),
        ("Fri Nov 21 10:00:30 2025", 30.0),
        ("Fri, 21 Nov 2025 09:59:00 GMT", 0.0),
        ("Fri, 99 Nov 2025 10:00:30 GMT", None),
        ("Fri, 21 Nov 99999999999999999999 10:00:30 GMT", None),
        ("Fri, 21 Nov 2025 10:00:30 +99999999999999999", None),
    ],
)
def test_spellings_of_retry_after(value: str, seconds: float | None) -> None:
    headers = httpx.Headers([(b"retry-after", value.encode()), (b"date", b"Fri, 21 Nov 2025 10:00:00 GMT")])
    assert egress.retry_after(headers) == seconds


def test_a_wait_that_a_503_asks_for_is_passed_on(upstream: Upstream) -> None:
    upstream.replies(json({}, status=503, headers={"retry-after": "90"}))
    with pytest.raises(UpstreamError) as raised:
        read()
    assert raised.value.problem is not None
    assert raised.value.problem["retry_after"] == 90


def test_a_rate_limit_is_waited_for_although_there_are_other_hosts(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Upstream() as second:
        monkeypatch.setenv("SAMPLE_BASE_URL", f"{upstream.url},{second.url}")
        upstream.replies(json({}, status=429, headers={"retry-after": "1"}))
        second.replies(OK)
        started = time.monotonic()
        assert read() == "tea"
        assert time.monotonic() - started >= 1


def test_fallback_hosts_are_tried_in_order_without_waiting(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream() as first, Upstream() as second:
        monkeypatch.setenv("SAMPLE_BASE_URL", f"{first.url}/v1, {second.url}/v1, {upstream.url}/v1")
        first.replies(json({}, status=500))
        second.replies(script.reset_before_reply())
        upstream.replies(OK)
        started = time.monotonic()
        assert read() == "tea"
        assert time.monotonic() - started < 0.4


def test_a_hanging_host_leaves_time_for_the_next(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream() as first:
        monkeypatch.setenv("SAMPLE_BASE_URL", f"{first.url}/v1,{upstream.url}/v1")
        first.replies(script.hang())
        upstream.replies(OK)
        started = time.monotonic()
        assert read() == "tea"
        assert time.monotonic() - started == pytest.approx(provider.attempt_timeout, abs=0.5)


def test_a_base_url_without_a_path_keeps_the_declared_one(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url)
    upstream.replies(OK)
    read()
    assert upstream.last.path == "/v1/items"


def test_a_base_url_with_a_path_replaces_it_whole(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", f"{upstream.url}/gateway/sample/")
    upstream.replies(OK)
    read()
    assert upstream.last.path == "/gateway/sample/items"


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "not a url", "http://", "http://[::1", "http://h:99999/", "http://{foo}.x"]
)
def test_a_base_url_that_is_none_is_told_to_the_operator(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", url)
    with pytest.raises(Misconfigured):
        read()


@pytest.mark.parametrize("region", ["evil.example/#", "a.b", "-x", "a@b", "", "ä", "a:1"])
def test_a_host_part_is_nothing_but_a_host_part(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.delenv("SAMPLE_BASE_URL")
    with pytest.raises(IntegrationError) as raised:
        call(provider, method="read", setup={**SETUP, "region": region}, arguments={})
    assert raised.value.code == "invalid_setup"
    assert raised.value.errors is not None
    assert raised.value.errors[0]["loc"] == ["setup", "region"]


@pytest.mark.parametrize("key", ["two\r\nx-evil: 1", "tab\tkey", "schlüssel", "with space", ""])
def test_a_header_part_is_printable_ascii(key: str) -> None:
    with pytest.raises(IntegrationError) as raised:
        call(provider, method="read", setup={"api_key": key}, arguments={})
    assert raised.value.code == "invalid_setup"
    assert raised.value.errors is not None
    assert raised.value.errors[0]["loc"] == ["setup", "api_key"]


# Clients.


def test_cookies_are_not_kept(upstream: Upstream) -> None:
    upstream.replies(OK.with_headers({"set-cookie": "session=1; Path=/"}), OK)
    read()
    read()
    assert "cookie" not in upstream.last.headers


def test_a_connection_is_kept_and_never_shared_between_credentials(upstream: Upstream) -> None:
    upstream.replies(OK, OK, OK, OK)
    for key in ("key-of-tenant-1", "key-of-tenant-1", "key-of-tenant-2", "key-of-tenant-1"):
        call(provider, method="read", setup={"api_key": key}, arguments={})
    first, again, other, later = (request.connection for request in upstream.requests)
    assert first == again == later != other


def test_clients_are_bounded(upstream: Upstream) -> None:
    upstream.route(lambda _: OK)
    for number in range(egress.MAX_CLIENTS + 5):
        call(provider, method="read", setup={"api_key": f"key-of-tenant-{number}"}, arguments={})
    assert len(egress._clients) == egress.MAX_CLIENTS


def test_the_environment_does_not_choose_a_proxy(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    upstream.replies(OK)
    assert read() == "tea"


def test_parallel_requests_really_are_parallel(upstream: Upstream) -> None:
    upstream.route(lambda request: script.slow(0.4, json({"value": request.path})))
    started = time.monotonic()
    assert read(places=["a", "b", "c", "d"]) == ["/v1/a", "/v1/b", "/v1/c", "/v1/d"]
    assert time.monotonic() - started < 1.2


def test_http_libraries_never_log(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    upstream.replies(OK)
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        read(query="a-query-that-must-not-be-logged")
    assert not [line for line in caplog.records if line.name.startswith("http")]
    assert "must-not-be-logged" not in caplog.text


# TLS.


@pytest.fixture
def certificate_file(certificate_authority: "trustme.CA", tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    certificate_authority.cert_pem.write_to_path(str(path))
    return path


def test_a_certificate_of_ones_own_authority(
    certificate_authority: "trustme.CA", certificate_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Upstream(tls=server_context(certificate_authority, "127.0.0.1")) as server:
        monkeypatch.setenv("SAMPLE_BASE_URL", f"{server.url}/v1")
        with pytest.raises(Misconfigured) as raised:
            read()
        assert "INTEGRATIONS_CA_FILE" in raised.value.detail
        monkeypatch.setenv("INTEGRATIONS_CA_FILE", str(certificate_file))
        egress.close_clients()
        server.replies(OK)
        assert read() == "tea"


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_authorities_that_cannot_be_read_are_told(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("INTEGRATIONS_CA_FILE", str(path))
    egress.close_clients()
    with pytest.raises(Misconfigured, match="parameter CertificateAuthorities"):
        read()
    assert upstream.requests == []


def test_a_certificate_for_another_name(
    certificate_authority: "trustme.CA", certificate_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTEGRATIONS_CA_FILE", str(certificate_file))
    egress.close_clients()
    with Upstream(tls=server_context(certificate_authority, "other.example")) as server:
        monkeypatch.setenv("SAMPLE_BASE_URL", f"{server.url}/v1")
        with pytest.raises(Misconfigured):
            read()
        assert server.requests == []


def test_a_peer_that_does_not_speak_tls(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url.replace("http://", "https://"))
    with pytest.raises(UpstreamUnreachable):
        read(seconds=RESERVE + 1.0)
    upstream.errors.clear()


def test_one_tls_context_serves_all_clients(upstream: Upstream) -> None:
    upstream.replies(OK, OK)
    for key in ("key-of-tenant-3", "key-of-tenant-4"):
        call(provider, method="read", setup={"api_key": key}, arguments={})
    contexts = {id(client._pool._ssl_context) for client in egress._clients.values()}
    assert len(contexts) == 1
    context = egress.tls_context("http/1.1")
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_every_connection_is_a_bounded_one(upstream: Upstream) -> None:
    """httpx may change the attribute through which the network backend is set: then no cut-off would hold."""
    upstream.replies(OK)
    read()
    [client] = list(egress._clients.values())[-1:]
    [connection] = client._pool.connections
    assert isinstance(connection._connection._network_stream, egress._BoundedStream)  # type: ignore[attr-defined]  # private
