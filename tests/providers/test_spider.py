"""Spider: what is sent is as its own client (spider-client 0.1.88) sends it, below /v1; no description judges it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from functions.spider.provider import provider
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, post
from tests.support.upstream import Reply, Request, Upstream, refused_url

JUDGE = {"kind": "script", "fixture": "upstream"}

SETUP = {"api_key": "spider-key-0123456789"}
COSTS = {"ai_cost": 0, "bytes_transferred_cost": 0.00002, "compute_cost": 0.00001, "total_cost": 0.00003}
PAGE = {"url": "https://example.com/", "status": 200, "content": "# Example", "error": None, "costs": COSTS}
FAILED = {"url": "https://example.com/gone", "status": 404, "content": "", "error": "not found", "costs": COSTS}
ANSWER = [PAGE, FAILED]
FORMS = {
    "text/csv": "url,content\nhttps://example.com/,# Example\n",
    "application/xml": "<pages><page>Example</page></pages>",
    "application/jsonl": '{"url": "https://example.com/"}\n',
}


def answered(request: Request) -> Reply:
    """Answer well, in the form that is asked for."""
    kind = request.headers["content-type"]
    return script.content(FORMS[kind].encode(), kind) if kind in FORMS else script.json(ANSWER)


EXAMPLE = answered
OTHER_VALUES = {"search.country": "de", "search.language": "de"}
OUTPUT = [{**page, "title": None, "description": None} for page in ANSWER]

# The least that each method takes, and what of it is sent.
LEAST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "crawl": ({"url": "https://example.com"}, {"url": "https://example.com", "limit": 10}),
    "links": ({"url": "https://example.com"}, {"url": "https://example.com", "limit": 10}),
    "screenshot": ({"url": "https://example.com"}, {"url": "https://example.com", "limit": 1}),
    "scrape": ({"url": "https://example.com"}, {"url": "https://example.com"}),
    "search": ({"query": "green tea"}, {"search": "green tea", "search_limit": 10}),
}

every_method = pytest.mark.parametrize("method", LEAST)


@pytest.fixture
def spider(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("SPIDER_BASE_URL", upstream.url)
    return upstream


def ask(method: str, seconds: float = 30.0, **arguments: Any) -> Response:
    return post(
        provider, {"setup": SETUP, "arguments": {**LEAST[method][0], **arguments}}, method=method, seconds=seconds
    )


def test_every_method_is_tested() -> None:
    assert set(LEAST) == set(provider.methods)
    assert provider.default_method == "crawl"


def test_where_spider_is() -> None:
    assert provider.base_urls == ("https://api.spider.cloud/v1",)


# What is sent.


@every_method
def test_what_is_sent_by_default(spider: Upstream, method: str) -> None:
    spider.replies(script.json(ANSWER))
    assert ask(method).status == 200
    request = spider.last
    assert (request.method, request.target) == ("POST", f"/v1/{method}")
    assert request.headers["authorization"] == "Bearer spider-key-0123456789"
    assert request.headers["content-type"] == "application/json"
    assert request.json() == LEAST[method][1]


@every_method
def test_what_is_sent_of_what_all_methods_take(spider: Upstream, method: str) -> None:
    spider.replies(script.json(ANSWER))
    ask(
        method,
        return_format="markdown",
        request="chrome",
        readability=True,
        metadata=False,
        params={"proxy_enabled": True, "whitelist": ["/blog"], "wait_for": {"page_navigations": True}, "tld": None},
    )
    assert spider.last.json() == {
        **LEAST[method][1],
        "return_format": "markdown",
        "request": "chrome",
        "readability": True,
        "metadata": False,
        "proxy_enabled": True,
        "whitelist": ["/blog"],
        "wait_for": {"page_navigations": True},
    }


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("crawl", {"limit": 3, "depth": 0}),
        ("links", {"limit": 3}),
        ("screenshot", {"limit": 2, "full_page": False}),
        ("search", {"search_limit": 3, "page": 2, "fetch_page_content": False}),
        ("search", {"country": "us", "language": "en", "location": "London, UK"}),
    ],
)
def test_what_is_sent_of_what_one_method_takes(spider: Upstream, method: str, arguments: dict[str, Any]) -> None:
    spider.replies(script.json(ANSWER))
    ask(method, **arguments)
    assert spider.last.json() == LEAST[method][1] | arguments


@pytest.mark.parametrize(("time_range", "sent"), [("hour", "qdr:h"), ("month", "qdr:m"), ("year", "qdr:y")])
def test_a_range_of_time_is_sent_as_spider_has_it(spider: Upstream, time_range: str, sent: str) -> None:
    spider.replies(script.json(ANSWER))
    ask("search", time_range=time_range)
    assert spider.last.json() == {**LEAST["search"][1], "tbs": sent}


@pytest.mark.parametrize(
    ("method", "arguments", "limit"),
    [
        ("crawl", {}, 10),
        ("crawl", {"params": {"limit": None}}, 10),
        ("crawl", {"params": {"limit": 3}}, 3),
        ("crawl", {"params": {"limit": 0}}, 0),  # the whole site, which somebody asked for
        ("links", {}, 10),
        ("screenshot", {}, 1),
        ("search", {"fetch_page_content": True}, 1),
        ("search", {"params": {"fetch_page_content": True}}, 1),
        ("search", {"fetch_page_content": True, "params": {"limit": 4}}, 4),
    ],
)
def test_no_more_is_billed_than_somebody_said(
    spider: Upstream, method: str, arguments: dict[str, Any], limit: int
) -> None:
    spider.replies(script.json(ANSWER))
    ask(method, **arguments)
    assert spider.last.json()["limit"] == limit


@pytest.mark.parametrize("name", ["query", "search", "q"])
def test_the_query_has_three_names(spider: Upstream, name: str) -> None:
    spider.replies(script.json(ANSWER))
    assert post(provider, {"setup": SETUP, "arguments": {name: "tea"}}, method="search").status == 200
    assert spider.last.json()["search"] == "tea"


@pytest.mark.parametrize(
    ("arguments", "place", "says"),
    [
        ({"limit": 5, "params": {"limit": 500}}, [], "limit is in params too; say it once"),
        ({"return_format": "raw", "params": {"return_format": "text"}}, [], "return_format is in params too"),
        ({"params": {"url": "https://example.org"}}, ["params"], "url is an argument of its own"),
        ({"params": {"url": ""}}, ["params"], "url is an argument of its own"),
        ({"params": {"search": "tea"}}, ["params"], "search is the argument query of the method search"),
        ({"params": {"binary": True}}, ["params"], "binary asks for bytes"),
        ({"params": {"cron": "daily"}}, ["params"], "cron starts crawls that go on after this call"),
        ({"params": {"webhooks": {}}}, ["params"], "webhooks sends to others"),
        ({"params": {"run_in_background": True}}, ["params"], "run_in_background gives no pages"),
        ({"limit": 0}, ["limit"], "greater than or equal to 1"),
        ({"limit": True}, ["limit"], "not a boolean"),
        ({"depth": -1}, ["depth"], "greater than or equal to 0"),
        ({"url": "example.com"}, ["url"], "match pattern"),
        ({"url": "file:///etc/passwd"}, ["url"], "match pattern"),
        ({"url": "https://"}, ["url"], "match pattern"),
        ({"content_type": "text/html"}, ["content_type"], "text/csv"),
        ({"return_format": "pdf"}, ["return_format"], "markdown"),
        ({"pages": 3}, ["pages"], "not permitted"),
    ],
)
def test_what_is_refused_is_named_and_not_sent(
    spider: Upstream, arguments: dict[str, Any], place: list[str], says: str
) -> None:
    reply = ask("crawl", **arguments)
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"] == ["arguments", *place]
    assert says in reply.body["errors"][0]["message"]
    assert spider.requests == []


def test_a_flag_that_is_off_may_be_said(spider: Upstream) -> None:
    spider.replies(script.json(ANSWER))
    ask("screenshot", params={"binary": False, "run_in_background": False})
    assert spider.last.json() == {**LEAST["screenshot"][1], "binary": False, "run_in_background": False}


def test_searching_for_a_url_says_what_is_missing(spider: Upstream) -> None:
    reply = post(provider, {"setup": SETUP, "arguments": {"url": "https://example.com"}}, method="search")
    assert reply.status == 422
    assert ["arguments", "query"] in [error["loc"] for error in reply.body["errors"]]


# What comes back.


@every_method
def test_what_comes_back(spider: Upstream, method: str) -> None:
    spider.replies(script.json(ANSWER))
    reply = ask(method)
    assert (reply.status, reply.body) == (200, {"result": OUTPUT})


@every_method
def test_what_comes_back_when_there_is_nothing(spider: Upstream, method: str) -> None:
    spider.replies(script.json([]))
    assert ask(method).body == {"result": []}


def test_what_comes_back_of_one_page_alone(spider: Upstream) -> None:
    spider.replies(script.json(PAGE))
    assert ask("scrape").body == {"result": OUTPUT[:1]}


def test_what_comes_back_beyond_the_promised_keeps_its_name(spider: Upstream) -> None:
    page = {**PAGE, "content": {"markdown": "# A", "raw": "<h1>A</h1>"}, "metadata": {"title": "A"}, "links": ["/b"]}
    spider.replies(script.json([page]))
    assert ask("crawl").body["result"] == [{**page, "title": None, "description": None}]


FOUND = [{"title": "Tea", "description": "A drink.", "url": "https://tea.example/"}]


@pytest.mark.parametrize("answer", [{"content": FOUND}, FOUND], ids=["as the guide has it", "as the reference has it"])
def test_what_comes_back_of_a_search_that_reads_no_page(spider: Upstream, answer: Any) -> None:
    spider.replies(script.json(answer))
    assert ask("search").body == {
        "result": [
            {
                "url": "https://tea.example/",
                "status": None,
                "content": "A drink.",
                "error": None,
                "costs": None,
                "title": "Tea",
                "description": "A drink.",
            }
        ]
    }


def test_what_comes_back_of_a_screenshot(spider: Upstream) -> None:
    spider.replies(script.json([{**PAGE, "content": ["iVBORw0KGgo="]}]))
    assert ask("screenshot").body["result"][0]["content"] == ["iVBORw0KGgo="]


TEXTS = {
    "text/csv": 'url,content\nhttps://example.com/,"# Exämple"\n',
    "application/xml": '<?xml version="1.0"?><pages><page><url>https://example.com/</url></page></pages>',
    "application/jsonl": '{"url":"https://example.com/","content":"# Exämple"}\n{"url":"https://example.com/b"}\n',
}


@every_method
@pytest.mark.parametrize("content_type", TEXTS)
def test_what_comes_back_in_another_form_than_json(spider: Upstream, method: str, content_type: str) -> None:
    spider.replies(script.content(b"\xef\xbb\xbf" + TEXTS[content_type].encode(), content_type))
    reply = ask(method, content_type=content_type)
    assert reply.status == 200
    assert [page["content"] for page in reply.body["result"]] == [TEXTS[content_type]]
    assert spider.last.headers["content-type"] == spider.last.headers["accept"] == content_type
    assert spider.last.json() == LEAST[method][1]


@pytest.mark.parametrize("content_type", TEXTS)
def test_what_comes_back_when_there_is_no_text(spider: Upstream, content_type: str) -> None:
    spider.replies(script.content(b"\n", content_type))
    assert ask("crawl", content_type=content_type).body == {"result": []}


# What goes wrong.


@every_method
@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key(spider: Upstream, method: str, status: int) -> None:
    spider.replies(script.json({"error": "Unauthorized spider-key-0123456789", "status": status}, status=status))
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "spider-key" not in reply.text
    assert "Unauthorized" not in reply.text


@every_method
def test_a_rejected_request_for_want_of_credits(spider: Upstream, method: str) -> None:
    spider.replies(script.json({"error": "no credits"}, status=402))
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_denied", False)
    assert reply.body["detail"] == "Spider wants to be paid; check the credit and the plan of the account."


@every_method
@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_rejected_request(spider: Upstream, method: str, status: int) -> None:
    spider.replies(script.json({"error": "bad"}, status=status))
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)


@every_method
def test_rate_limit(spider: Upstream, method: str) -> None:
    limited = script.json({"error": "Rate limit exceeded", "status": 429}, status=429, headers={"retry-after": "1"})
    spider.replies(limited)
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.headers["retry-after"]) == (503, "upstream_rate_limited", "1")
    assert (reply.body["retryable"], reply.headers["x-attempts"]) == (True, "1")


@every_method
@pytest.mark.parametrize(
    "fault",
    [script.json({"error": "oops"}, status=500), script.json({}, status=503), script.reset_before_reply()],
    ids=["500", "503", "reset"],
)
def test_a_failure_is_not_billed_again(spider: Upstream, method: str, fault: script.Reply) -> None:
    spider.replies(fault)
    reply = ask(method)
    assert reply.body["code"] in ("upstream_error", "upstream_unreachable")
    assert (reply.status, reply.body["retryable"]) == (502, False)
    assert len(spider.requests) == 1
    assert "oops" not in reply.text


@every_method
@pytest.mark.parametrize(
    "body",
    [
        script.html(),
        script.half_json(ANSWER),
        script.json({}),
        script.json({"error": "Rate limit exceeded", "status": 429}),
        script.json({"content": "text"}),
        script.json(["text"]),
        script.json([{**PAGE, "status": "fine"}]),
        script.json([{**PAGE, "costs": 3}]),
        script.json([{**PAGE, "content": 3}]),
    ],
)
def test_malformed_body(spider: Upstream, method: str, body: script.Message) -> None:
    spider.replies(body)
    reply = ask(method)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


@pytest.mark.parametrize("content_type", TEXTS)
@pytest.mark.parametrize("body", ["<!DOCTYPE html><html></html>", " <html>", "[]", "<HTML>"])
def test_malformed_text(spider: Upstream, content_type: str, body: str) -> None:
    spider.replies(script.content(body.encode(), content_type))
    reply = ask("crawl", content_type=content_type)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


def test_more_than_can_be_returned(spider: Upstream) -> None:
    spider.replies(script.json([{**PAGE, "content": "a" * 6_000_001}]))
    assert ask("crawl").body["code"] == "response_too_large"


@every_method
def test_timeout(spider: Upstream, method: str) -> None:
    spider.replies(script.hang())
    started = time.monotonic()
    reply = ask(method, seconds=RESERVE + 0.6)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1.5
    assert len(spider.requests) == 1


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("SPIDER_BASE_URL", url)
        assert ask("crawl", seconds=RESERVE + 0.6).body["code"] == "upstream_unreachable"


def test_the_environment_of_a_laptop(spider: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    spider.replies(script.json(ANSWER))
    monkeypatch.setenv("SPIDER_API_KEY", "key-of-the-environment")
    assert post(provider, {"arguments": {"url": "https://example.com"}}).status == 200
    assert spider.last.headers["authorization"] == "Bearer key-of-the-environment"


@every_method
def test_the_event_of_this_method_works(spider: Upstream, method: str) -> None:
    spider.replies(script.json(ANSWER))
    event = json.loads(Path(f"events/spider.{method}.json").read_text())
    assert provider.handler(event, None)["result"] == OUTPUT
