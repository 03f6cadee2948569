"""Brave: requests and answers judged by the connector's file and the vendor's tables; faults are scripted."""

import copy
import itertools
import json
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from functions.brave.provider import provider
from integrations import Provider
from integrations.pacing import LEEWAY
from tests.support import upstream as script
from tests.support.aws import Secrets
from tests.support.calls import RESERVE, Response, call, post
from tests.support.contract_peer import ContractPeer
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.upstream import Reply, Request, Upstream, refused_url

JUDGE = {"kind": "contract", "name": "brave/brave-connector.swagger.oas3.json", "fixture": "contract_peer"}

# Some tests are about answers that are as bad the second time.
once = copy.copy(provider)
once.methods = {name: method._replace(repeatable=False) for name, method in provider.methods.items()}

SETUP = {"api_key": "subscription-token-0123456789"}
PAGE = {
    "title": "Tea &amp; <strong>Coffee</strong>",
    "url": "https://example.com/tea",
    "description": "All about <strong>tea</strong> &#x27;n&#x27; more",
    "extra_snippets": ["5 &lt; 6", "<b class='x'>Green</b>\n tea"],
    "age": "2 days ago",
    "page_age": "2026-01-15T14:30:00",
    "language": "en",
    "profile": {"name": "Example", "url": "https://example.com", "img": "https://example.com/i.png"},
    "meta_url": {"scheme": "https", "netloc": "example.com", "hostname": "example.com", "path": "/tea"},
    "thumbnail": {"src": "https://imgs.example.com/tea.png"},
}
ANSWER = {
    "type": "search",
    "query": {"original": "tea", "altered": "teas", "more_results_available": True},
    "web": {"type": "search", "results": [PAGE], "family_friendly": True},
}
NEWS = {"type": "news", "query": {"original": "tea"}, "results": [{**PAGE, "type": "news_result"}]}
QUOTA = {
    "x-ratelimit-policy": "50;w=1, 15000;w=2592000",
    "x-ratelimit-limit": "50, 15000",
    "x-ratelimit-remaining": "49, 14523",
    "x-ratelimit-reset": "1, 1419704",
}
ONE_A_SECOND = {
    "x-ratelimit-policy": "1;w=1, 0;w=2592000",
    "x-ratelimit-limit": "1, 0",
    "x-ratelimit-remaining": "0, 0",
    "x-ratelimit-reset": "1, 1419704",
}


def answered(request: Request) -> Reply:
    """Answer well, whichever method asks."""
    return script.json(NEWS if "/news/" in request.path else ANSWER, headers=QUOTA)


EXAMPLE = answered
OTHER_VALUES = {
    f"{method}.{name}": value
    for method in ("search", "news")
    for name, value in {"country": "DE", "language": "de", "freshness": "pm"}.items()
}

RESULT = {
    "title": "Tea & Coffee",
    "link": "https://example.com/tea",
    "snippet": "All about tea 'n' more 5 < 6 Green tea",
    "age": "2 days ago",
    "published": "2026-01-15T14:30:00",
    "language": "en",
    "source": "Example",
    "thumbnail": "https://imgs.example.com/tea.png",
}
RATE_LIMITS = [
    {"limit": 50, "remaining": 49, "window": 1, "reset": 1},
    {"limit": 15000, "remaining": 14523, "window": 2592000, "reset": 1419704},
]

both = pytest.mark.parametrize("method", ["search", "news"])


@pytest.fixture
def brave(contract_peer: Callable[..., ContractPeer], monkeypatch: pytest.MonkeyPatch) -> ContractPeer:
    peer = contract_peer("brave/brave-connector.swagger.oas3.json")
    monkeypatch.setenv("BRAVE_BASE_URL", f"{peer.url}/res/v1")
    return peer


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("BRAVE_BASE_URL", upstream.url)
    return upstream


def ask(method: str = "search", seconds: float = 30.0, by: Provider = provider, **arguments: Any) -> Response:
    body = {"setup": SETUP, "arguments": {"query": "tea", **arguments}}
    return post(by, body, method=method, seconds=seconds)


def refused(status: int, code: str) -> script.Message:
    """Give the body of Brave's errors."""
    error = {"id": "1", "status": status, "code": code, "detail": "What Brave says.", "meta": {}}
    return script.json({"type": "ErrorResponse", "error": error, "time": 1773685964}, status=status)


# By the connector's file and the vendor's tables.


@both
def test_what_is_sent_with_every_argument(brave: ContractPeer, method: str) -> None:
    brave.route(answered)
    arguments: dict[str, Any] = {
        "offset": 2,
        "country": "DE",
        "language": "pt-br",
        "freshness": "pw",
        "safesearch": "off",
    }
    assert ask(method, query="green tea & more", count="20", **arguments).status == 200
    [request] = brave.requests
    assert (request.method, request.path) == (
        "GET",
        {"search": "/res/v1/web/search", "news": "/res/v1/news/search"}[method],
    )
    assert request.headers["x-subscription-token"] == "subscription-token-0123456789"
    assert request.headers["accept"] == "application/json"
    assert request.query == {
        "q": ["green tea & more"],
        "count": ["20"],
        "offset": ["2"],
        "country": ["DE"],
        "search_lang": ["pt-br"],
        "freshness": ["pw"],
        "safesearch": ["off"],
        "extra_snippets": ["true"],
        **({"result_filter": ["web"]} if method == "search" else {}),
    }


@both
def test_what_is_sent_by_default(brave: ContractPeer, method: str) -> None:
    """The original asks for three results with their extra snippets; what is left out is Brave's to choose."""
    brave.route(answered)
    ask(method)
    sent = {"q": ["tea"], "count": ["3"], "extra_snippets": ["true"]}
    assert brave.last.query == sent | ({"result_filter": ["web"]} if method == "search" else {})


@pytest.mark.parametrize(("method", "file"), [("search", "web-search"), ("news", "news-search")])
def test_every_parameter_sent_is_in_the_vendors_table(fake: Upstream, method: str, file: str) -> None:
    folder = os.environ.get("CONTRACTS_DIR")
    if not folder:
        peer_is_missing("CONTRACTS_DIR does not name the folder with Brave's tables")
    text = (Path(folder) / "brave" / f"{file}.SKILL.md").read_text()
    table = text.partition("## Parameters")[2].partition("###")[0]
    fake.route(answered)
    arguments: dict[str, Any] = {"offset": 2, "country": "DE", "language": "de", "safesearch": "moderate"}
    assert ask(method, freshness="2026-01-01to2026-01-31", **arguments).status == 200
    assert set(fake.last.query) <= set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert fake.last.query["safesearch"] == ["moderate"]
    assert fake.last.query["freshness"] == ["2026-01-01to2026-01-31"]


@both
def test_what_comes_back(brave: ContractPeer, method: str) -> None:
    brave.route(answered)
    reply = ask(method)
    assert reply.status == 200
    assert reply.body == {
        "result": [RESULT],
        "metadata": {
            "query": "tea",
            "altered_query": "teas" if method == "search" else None,
            "more_results": True if method == "search" else None,
            "rate_limits": RATE_LIMITS,
        },
    }


@both
def test_nothing_found(fake: Upstream, method: str) -> None:
    fake.replies(script.json({"type": "search", "query": {"original": "xyzzy"}}))
    reply = ask(method)
    assert (reply.body["result"], reply.body["metadata"]["rate_limits"]) == ([], [])


def test_a_result_without_a_title_or_an_address_does_not_break_the_others(fake: Upstream) -> None:
    pages = [
        {"url": "https://example.com/a"},
        {"title": "no address"},
        {"title": None, "url": "https://b.example"},
        PAGE,
    ]
    fake.replies(script.json({"type": "search", "web": {"results": pages}}))
    result = ask().body["result"]
    assert [page["title"] for page in result] == ["https://example.com/a", "https://b.example", "Tea & Coffee"]
    assert result[0] | {"title": "", "link": ""} == {**dict.fromkeys(RESULT), "title": "", "link": "", "snippet": ""}


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a <strong>b</strong> c", "a b c"),
        ("vector&lt;int&gt; &amp;amp; &quot;x&quot;", 'vector<int> &amp; "x"'),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<img src=x onerror=alert(1)>x<!-- y\n -->", "x"),
        ("one<br/>\n  two\u00a0", "one two"),
    ],
)
def test_html_is_read_as_text(fake: Upstream, text: str, plain: str) -> None:
    fake.replies(script.json({"type": "search", "web": {"results": [{**PAGE, "title": text, "description": text}]}}))
    [page] = ask().body["result"]
    assert page["title"] == plain
    assert page["snippet"].startswith(plain)


@pytest.mark.parametrize(
    ("method", "field", "value"),
    [
        ("search", "count", 21),
        ("news", "count", 51),
        *[("search", "count", 0), ("search", "offset", 10), ("search", "offset", -1)],
        *[("search", "query", ""), ("search", "query", "  "), ("search", "query", "q" * 401)],
        *[("search", "query", "q " * 51), ("search", "country", "Germany"), ("search", "country", "de")],
        *[("search", "language", "EN"), ("search", "language", "german"), ("search", "safesearch", "on")],
        *[("search", "freshness", "day"), ("search", "freshness", "2026-01-01"), ("news", "freshness", "pd ")],
    ],
)
def test_a_value_out_of_bounds_is_named(fake: Upstream, method: str, field: str, value: Any) -> None:
    reply = ask(method, **{field: value})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", field])
    assert fake.requests == []


# What Brave refuses.


@both
@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key(brave: ContractPeer, method: str, status: int) -> None:
    brave.replies(refused(status, "RESOURCE_NOT_ALLOWED"))
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "What Brave says" not in reply.text
    assert "subscription-token" not in reply.text


@both
def test_a_rejected_key_is_told_from_rejected_arguments(fake: Upstream, method: str) -> None:
    """Both are a 422."""
    fake.replies(refused(422, "SUBSCRIPTION_TOKEN_INVALID"), refused(422, "VALIDATION"))
    key, arguments = ask(method), ask(method)
    assert (key.status, key.body["code"], key.body["upstream_status"]) == (502, "upstream_denied", 422)
    assert key.body["detail"] == "Brave Search refused the key; check api_key in the setup."
    assert (arguments.status, arguments.body["code"]) == (422, "upstream_rejected")
    assert "What Brave says" not in key.text + arguments.text


def test_a_stored_key_that_was_replaced_is_read_again(fake: Upstream, secrets: Secrets) -> None:
    """A 422 about the key does what a 401 does elsewhere."""
    secrets.put("brave/default", {"setup": {"api_key": "old-token-0123456789"}})
    fake.replies(answered, refused(422, "SUBSCRIPTION_TOKEN_INVALID"), answered)
    arguments = {"query": "tea"}
    assert post(provider, {"arguments": arguments}).status == 200
    secrets.put("brave/default", {"setup": {"api_key": "new-token-0123456789"}})
    assert post(provider, {"arguments": arguments}).status == 200
    keys = [request.headers["x-subscription-token"][:3] for request in fake.requests]
    assert keys == ["old", "old", "new"]


def test_what_the_plan_does_not_hold(fake: Upstream) -> None:
    fake.replies(refused(400, "OPTION_NOT_IN_PLAN"))
    reply = ask()
    assert reply.body["code"] == "upstream_denied"
    assert reply.body["detail"] == "The plan of this key does not allow this; change it in Brave's dashboard."


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "text"}', b'{"error": {"code": 7}}', b"x" * 70_000])
def test_a_rejected_request_that_says_nothing_of_use(fake: Upstream, body: bytes) -> None:
    fake.replies(script.content(body, "application/json", 422))
    assert ask().body["code"] == "upstream_rejected"


# The quota.


def one_a_second() -> Callable[[Request], Reply]:
    """Answer as Brave does on a plan of one request a second, in windows that begin with what comes after the last."""
    last = [0.0]

    def answer(request: Request) -> Reply:
        if request.at - last[0] < 1.0:
            return refused(429, "RATE_LIMITED").with_headers(ONE_A_SECOND)
        last[0] = request.at
        return script.json(NEWS if "/news/" in request.path else ANSWER, headers=ONE_A_SECOND)

    return answer


@both
def test_rate_limit_of_one_request_a_second_is_kept_after_the_first_answer(fake: Upstream, method: str) -> None:
    fake.route(one_a_second())
    attempts = [ask(method).headers["x-attempts"] for _ in range(2)]
    assert attempts == ["1", "1"]
    first, second = (request.at for request in fake.requests)
    assert 1.0 <= second - first < 1 + LEEWAY + 1


def test_rate_limit_of_one_request_a_second_is_survived_by_calls_that_come_at_once(fake: Upstream) -> None:
    """Nothing is known yet, so all are sent; those that are refused then go one a second."""
    answer, numbers, all_are_there = one_a_second(), itertools.count(), threading.Barrier(3, timeout=10)

    def together(request: Request) -> Any:
        if next(numbers) < 3:
            all_are_there.wait()
        return answer(request)

    fake.route(together)
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda _: ask(), range(3)))
    assert [reply.status for reply in replies] == [200] * 3
    assert max(int(reply.headers["x-attempts"]) for reply in replies) == 2


def test_rate_limit_of_the_month_is_passed_on_at_once(fake: Upstream) -> None:
    fake.replies(refused(429, "RATE_LIMITED").with_headers({**QUOTA, "x-ratelimit-remaining": "1, 0"}))
    started = time.monotonic()
    reply = ask()
    assert (reply.status, reply.body["code"], reply.headers["x-attempts"]) == (503, "upstream_rate_limited", "1")
    assert reply.headers["retry-after"] == "1419704"
    assert time.monotonic() - started < 1


def test_a_turn_that_comes_too_late_is_told(fake: Upstream) -> None:
    fake.route(one_a_second())
    assert ask().status == 200
    reply = ask(seconds=RESERVE + 1)
    assert (reply.status, reply.body["code"]) == (429, "rate_limited")
    assert reply.headers["retry-after"] in ("1", "2")
    assert reply.body["detail"] == (
        "Brave Search is asked at the pace of its quota, and the next time comes too late for this call; "
        "call again later, or ask for less in one call."
    )
    assert len(fake.requests) == 1


def test_a_quota_with_something_left_makes_nobody_wait(fake: Upstream) -> None:
    fake.route(answered)
    started = time.monotonic()
    assert [ask().status for _ in range(3)] == [200] * 3
    assert time.monotonic() - started < 1


# Faults.


@both
def test_upstream_failure(fake: Upstream, method: str) -> None:
    fake.replies(*[script.json({"error": "oops"}, status=500)] * 3)
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.headers["x-attempts"]) == (502, "upstream_error", "3")
    assert "oops" not in reply.text


@both
@pytest.mark.parametrize(
    "body",
    [
        script.html(),
        script.half_json(ANSWER),
        script.json({}),
        script.json([]),
        script.json({"type": "search", "web": {"results": {}}, "results": {}}),
        script.json({"type": "search", "web": {"results": ["text"]}, "results": ["text"]}),
    ],
)
def test_malformed_body(fake: Upstream, method: str, body: script.Message) -> None:
    fake.route(lambda _: body)
    reply = ask(method, by=once)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


@both
def test_timeout(fake: Upstream, method: str) -> None:
    fake.route(lambda _: script.hang())
    started = time.monotonic()
    reply = ask(method, seconds=RESERVE + 1, by=once)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1.5


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("BRAVE_BASE_URL", url)
        assert ask().body["code"] == "upstream_unreachable"


# Names and examples.


def test_the_declared_facts() -> None:
    assert provider.base_urls == ("https://api.search.brave.com/res/v1",)
    assert provider.default_method == "search"


def test_the_environment_of_a_laptop(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.route(answered)
    monkeypatch.setenv("BRAVE_API_KEY", "key-of-the-environment")
    assert post(provider, {"arguments": {"query": "tea"}}).status == 200
    assert fake.last.headers["x-subscription-token"] == "key-of-the-environment"


@both
def test_the_event_of_this_method_works(fake: Upstream, method: str) -> None:
    fake.route(answered)
    event = json.loads(Path(f"events/brave.{method}.json").read_text())
    assert call(provider, **event)["result"] == [RESULT]
