"""Wikipedia: judged by a real MediaWiki; what that cannot be made to do is scripted."""

import time
from typing import Any

import pytest

from functions.wikipedia.provider import QueryReply, SearchArguments, provider
from integrations.errors import UpstreamRejected
from integrations.http import Http, Meter
from tests.support import upstream as script
from tests.support.calls import RESERVE, post
from tests.support.upstream import Request, Upstream

JUDGE = {"kind": "server", "name": "MediaWiki", "fixture": "mediawiki"}

# Against MediaWiki.


@pytest.fixture
def wiki(mediawiki: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WIKIPEDIA_BASE_URL", mediawiki)
    return mediawiki


def search(**arguments: Any) -> Any:
    reply = post(provider, {"arguments": arguments}, method="search")
    assert reply.status == 200, reply.body
    return reply.body


def titles(body: Any) -> list[str]:
    return [document["metadata"]["title"] for document in body["documents"]]


def test_what_comes_back_has_the_shape_of_the_original(wiki: str) -> None:
    [document, *_] = search(query="Matcha")["documents"]
    assert set(document) == {"id", "metadata", "page_content", "type"}
    assert (document["id"], document["type"]) == (None, "Document")
    assert {"title", "summary", "source"} <= set(document["metadata"])
    assert document["metadata"]["title"] == "Matcha"
    assert document["metadata"]["source"].endswith("/wiki/Matcha")
    assert document["page_content"].startswith("Matcha is Green tea ground to a fine powder.")


def test_the_summary_is_the_text_before_the_first_heading(wiki: str) -> None:
    [document, *_] = search(query="Coffee", exact_title=True)["documents"]
    summary = document["metadata"]["summary"]
    assert summary.startswith("Coffee is a drink")
    assert "==" not in summary
    assert document["page_content"].startswith(summary.strip()[:200])
    assert "==" in document["page_content"]


def test_a_long_page_is_cut_after_4000_characters_as_in_the_original(wiki: str) -> None:
    [document] = search(query="Lighthouse", exact_title=True)["documents"]
    assert len(document["page_content"]) == 4000
    assert document["metadata"]["truncated"] is True
    [whole] = search(query="Lighthouse", exact_title=True, max_chars=100_000)["documents"]
    assert len(whole["page_content"]) > 4000
    assert whole["metadata"]["truncated"] is False
    assert whole["page_content"].startswith(document["page_content"])


@pytest.mark.parametrize("name", ["limit", "load_max_docs"])
def test_the_limit_counts_pages(wiki: str, name: str) -> None:
    assert len(search(query="tea", **{name: 1})["documents"]) == 1
    assert len(search(query="tea")["documents"]) == 2
    assert len(search(query="tea", **{name: 10})["documents"]) >= 3


def test_the_best_match_comes_first(wiki: str) -> None:
    found = search(query="Honey bee", limit=5)
    assert titles(found)[0] == "Honey bee"


def test_an_exact_title_gives_that_page_or_none(wiki: str) -> None:
    assert titles(search(query="Green tea", exact_title=True)) == ["Green tea"]
    assert titles(search(query="tea", exact_title=True)) == ["Tea"]
    assert search(query="Green te", exact_title=True) == {"documents": [], "skipped": []}
    assert search(query="A|B", exact_title=True) == {"documents": [], "skipped": []}
    assert search(query="Bad[title]", exact_title=True) == {"documents": [], "skipped": []}


def test_an_exact_title_follows_redirects(wiki: str) -> None:
    [document] = search(query="Quicksilver", exact_title=True)["documents"]
    assert document["metadata"]["title"] == "Mercury (element)"
    assert "chemical element" in document["page_content"]


def test_a_redirect_that_matches_too_gives_no_empty_document(wiki: str) -> None:
    found = search(query="ceremonies", limit=5)
    assert titles(found) == ["Tea"], "and not the redirect `Tea ceremony` beside it"


def test_a_disambiguation_page_is_skipped_and_said_so(wiki: str) -> None:
    found = search(query="Mercury", limit=10)
    assert "Mercury" not in titles(found)
    assert {"Mercury (planet)", "Mercury (element)"} <= set(titles(found))
    [skipped] = found["skipped"]
    assert (skipped["title"], skipped["reason"]) == ("Mercury", "disambiguation")
    assert skipped["source"].endswith("/wiki/Mercury")


@pytest.mark.parametrize("title", ["Łódź", "東京", "Café de olla", "Salt & pepper", "C++"])
def test_titles_of_any_writing(wiki: str, title: str) -> None:
    [document] = search(query=title, exact_title=True)["documents"]
    assert document["metadata"]["title"] == title
    assert document["page_content"]


def test_nothing_found(wiki: str) -> None:
    assert search(query="zzzqqqxxx") == {"documents": [], "skipped": []}


def test_the_event_of_this_method_works(wiki: str) -> None:
    assert provider.handler({"method": "search", "arguments": {"query": "Tea"}}, None)["documents"]


# What is sent, and what MediaWiki cannot be made to answer.


def page(number: int, title: str, **more: Any) -> dict[str, Any]:
    return {
        "pageid": number,
        "index": number,
        "title": title,
        "fullurl": f"https://en.wikipedia.org/wiki/{title}",
        "extract": f"About {title}.",
        **more,
    }


OTHER_VALUES = {"search.max_chars": 3, "search.language": "de"}
OF_THE_ANSWER = {"search.max_chars"}
EXAMPLE = script.json({"batchcomplete": True, "query": {"pages": [page(1, "Ada Lovelace")]}})


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("WIKIPEDIA_BASE_URL", f"{upstream.url}/w")
    return upstream


def found(*pages: dict[str, Any]) -> script.Message:
    return script.json({"batchcomplete": True, "query": {"pages": list(pages)}})


def test_what_is_sent(fake: Upstream) -> None:
    def answer(request: Request) -> script.Reply:
        if "generator" in request.query:
            return found(page(2, "B"), page(1, "A"))
        return found({"pageid": 1, "title": "A", "extract": f"All about {request.query['pageids'][0]}."})

    fake.route(answer)
    body = search(query="tea & cake", limit=3, language="de")
    assert titles(body) == ["A", "B"], "in the order of the search, not of the answer"
    assert [document["page_content"] for document in body["documents"]] == ["All about 1.", "All about 2."]
    first, *others = fake.requests
    assert (first.method, first.path, first.body) == ("GET", "/w/api.php", b"")
    assert first.headers["user-agent"].startswith("integrations-bundle/")
    assert first.query == {
        "action": ["query"],
        "format": ["json"],
        "formatversion": ["2"],
        "generator": ["search"],
        "gsrsearch": ["tea & cake"],
        "gsrwhat": ["text"],
        "gsrlimit": ["3"],
        "redirects": ["1"],
        "prop": ["extracts|info|pageprops"],
        "explaintext": ["1"],
        "exintro": ["1"],
        "exlimit": ["max"],
        "inprop": ["url"],
        "ppprop": ["disambiguation"],
        "uselang": ["de"],
    }
    assert sorted(request.query["pageids"][0] for request in others) == ["1", "2"]
    assert all("exintro" not in request.query for request in others), "the whole page"


def test_pages_are_read_in_parallel(fake: Upstream) -> None:
    def answer(request: Request) -> script.Reply:
        if "generator" in request.query:
            return found(*[page(number, f"P{number}") for number in range(1, 9)])
        return script.slow(0.5, found({"title": "P", "extract": "text"}))

    fake.route(answer)
    started = time.monotonic()
    assert len(search(query="x", limit=8)["documents"]) == 8
    assert time.monotonic() - started < 1.5


def test_the_language_is_part_of_the_host(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provider.base_urls == ("https://{language}.wikipedia.org/w",)
    # What replaces the base URL may hold {language} anywhere: loopback has no names to put it into.
    monkeypatch.setenv("WIKIPEDIA_BASE_URL", f"{fake.url}/{{language}}/w")
    fake.replies(found())
    search(query="x", language="zh-yue")
    assert fake.last.path == "/zh-yue/w/api.php"


@pytest.mark.parametrize("language", ["evil.example/", "EN", "e", "en.", "en-", "a-b", "ü", ""])
def test_a_language_is_nothing_but_a_language(language: str) -> None:
    reply = post(provider, {"arguments": {"query": "x", "language": language}})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "language"])


@pytest.mark.parametrize("query", ["", "   ", "x" * 301])
def test_a_query_that_the_search_would_not_take(query: str) -> None:
    reply = post(provider, {"arguments": {"query": query}})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "query"])


def test_a_rejected_caller(fake: Upstream) -> None:
    """There is no key; Wikimedia answers 403 with HTML to a User-Agent it does not accept."""
    fake.replies(script.html(status=403))
    reply = post(provider, {"arguments": {"query": "x"}})
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", 403)


def test_rate_limit_that_fits(fake: Upstream) -> None:
    fake.replies(script.json({}, status=429, headers={"retry-after": "1"}), found())
    started = time.monotonic()
    assert search(query="x")["documents"] == []
    assert time.monotonic() - started >= 1


def test_rate_limit_that_does_not_fit(fake: Upstream) -> None:
    fake.replies(script.html(status=429).with_headers({"retry-after": "60"}))
    reply = post(provider, {"arguments": {"query": "x"}})
    assert (reply.status, reply.headers["retry-after"]) == (503, "60")


@pytest.mark.parametrize(
    ("code", "error", "requests"),
    [
        ("ratelimited", "upstream_rate_limited", 3),
        ("maxlag", "upstream_error", 3),
        ("internal_api_error_DBQueryError", "upstream_error", 3),
        ("badvalue", "upstream_rejected", 1),
    ],
)
def test_an_error_in_an_answer_of_status_200(fake: Upstream, code: str, error: str, requests: int) -> None:
    fake.route(lambda _: script.json({"error": {"code": code, "info": "the wiki's own words"}}))
    reply = post(provider, {"arguments": {"query": "x"}})
    assert reply.body["code"] == error
    assert len(fake.requests) == requests
    assert "own words" not in reply.text


def test_a_real_error_of_mediawiki_is_read(wiki: str) -> None:
    """The method itself sends nothing that MediaWiki refuses, so another request is made through its `http`."""
    http = Http(
        provider=provider,
        setup=None,
        arguments=SearchArguments(query="x"),
        base_urls=(wiki,),
        deadline=time.monotonic() + 10,
        repeatable=True,
        meter=Meter(),
    )
    with pytest.raises(UpstreamRejected):
        http.get("/api.php", reply=QueryReply, params={"action": "nonsense", "format": "json"})


def test_upstream_failure(fake: Upstream) -> None:
    fake.replies(*[script.html(status=503)] * 3)
    reply = post(provider, {"arguments": {"query": "x"}})
    assert (reply.status, reply.body["code"], reply.headers["x-attempts"]) == (502, "upstream_error", "3")


@pytest.mark.parametrize(
    "body",
    [
        script.html(),
        script.half_json({"query": {"pages": []}}),
        script.json([]),
        script.json({"query": []}),
        script.json({"query": {"pages": [{"pageid": "x"}]}}),
        script.json({"query": {"pages": [page(1, "A"), {"title": None}]}}),
    ],
)
def test_malformed_body(fake: Upstream, body: script.Message) -> None:
    fake.route(lambda _: body)
    reply = post(provider, {"arguments": {"query": "x"}})
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


def test_a_page_that_is_gone_between_the_requests(fake: Upstream) -> None:
    fake.route(
        lambda request: (
            found(page(1, "A")) if "generator" in request.query else found({"pageid": 1, "title": "A", "missing": True})
        )
    )
    [document] = search(query="x")["documents"]
    assert document["page_content"] == ""


def test_timeout(fake: Upstream) -> None:
    fake.route(lambda _: script.hang())
    started = time.monotonic()
    reply = post(provider, {"arguments": {"query": "x"}}, seconds=RESERVE + 1)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (504, "upstream_timeout", True)
    assert time.monotonic() - started < 1.5


def test_a_page_that_does_not_come_ends_the_call_in_time(fake: Upstream) -> None:
    fake.route(lambda request: found(page(1, "A"), page(2, "B")) if "generator" in request.query else script.hang())
    started = time.monotonic()
    reply = post(provider, {"arguments": {"query": "x"}}, seconds=RESERVE + 1)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1.5
