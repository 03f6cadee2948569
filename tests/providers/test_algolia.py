"""Algolia: requests and answers judged by Algolia's own API description; faults are scripted."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.algolia.provider import provider
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, post
from tests.support.contract_peer import ContractPeer
from tests.support.upstream import Upstream, refused_url

JUDGE = {"kind": "contract", "name": "algolia/search.yml", "fixture": "contract_peer"}

SETUP = {"application_id": "TESTAPP", "api_key": "search-key-0123456789"}
RECORD = {"objectID": "1", "name": "Phone", "price": 19.5, "_highlightResult": {}}
ANSWER = {
    "hits": [RECORD],
    "nbHits": 21,
    "page": 2,
    "nbPages": 5,
    "hitsPerPage": 5,
    "processingTimeMS": 3,
    "query": "phone",
    "params": "query=phone",
    "facets": {"brand": {"acme": 12, "other": 9}},
    "exhaustive": {"nbHits": True},
}
EXAMPLE = script.json(ANSWER)


@pytest.fixture
def algolia(contract_peer: Callable[..., ContractPeer], monkeypatch: pytest.MonkeyPatch) -> ContractPeer:
    peer = contract_peer("algolia/search.yml")
    monkeypatch.setenv("ALGOLIA_BASE_URL", f"{peer.url}/1")
    return peer


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("ALGOLIA_BASE_URL", f"{upstream.url}/1")
    return upstream


def search(seconds: float = 30.0, **arguments: Any) -> Response:
    arguments = {"index_name": "products", "query": "phone", **arguments}
    return post(provider, {"setup": SETUP, "arguments": arguments}, method="search", seconds=seconds)


# By the contract.


def test_what_is_sent_with_every_argument(algolia: ContractPeer) -> None:
    algolia.replies(script.json(ANSWER))
    search(
        attributes_to_retrieve=["name", "price"],
        hits_per_page="5",
        page=2,
        filters="brand:acme AND price < 20",
        facets=["brand"],
    )
    [request] = algolia.requests
    assert (request.method, request.path, request.raw_query) == ("POST", "/1/indexes/products/query", "")
    assert request.headers["x-algolia-application-id"] == "TESTAPP"
    assert request.headers["x-algolia-api-key"] == "search-key-0123456789"
    assert request.json() == {
        "query": "phone",
        "hitsPerPage": 5,
        "page": 2,
        "attributesToRetrieve": ["name", "price"],
        "filters": "brand:acme AND price < 20",
        "facets": ["brand"],
    }


def test_what_is_sent_by_default(algolia: ContractPeer) -> None:
    algolia.replies(script.json(ANSWER))
    search()
    assert algolia.last.json() == {"query": "phone", "hitsPerPage": 10, "page": 0}


def test_what_comes_back(algolia: ContractPeer) -> None:
    algolia.replies(script.json(ANSWER))
    reply = search()
    assert reply.status == 200
    assert reply.body == {
        "hits": [RECORD],
        "metadata": {
            "query": "phone",
            "nbHits": 21,
            "page": 2,
            "nbPages": 5,
            "processingTimeMS": 3,
            "hitsPerPage": 5,
        },
        "facets": {"brand": {"acme": 12, "other": 9}},
    }


def test_nothing_found(algolia: ContractPeer) -> None:
    algolia.replies(script.json({**ANSWER, "hits": [], "nbHits": 0, "nbPages": 0, "facets": {}}))
    assert search(query="").body["hits"] == []


@pytest.mark.parametrize("index", ["a/b", "prod ü", "../keys", "50%"])
def test_an_index_name_stays_one_segment(fake: Upstream, index: str) -> None:
    fake.replies(script.json(ANSWER))
    assert search(index_name=index).status == 200
    assert fake.last.path.count("/") == 4
    assert fake.last.path.startswith("/1/indexes/")


@pytest.mark.parametrize("index", [".", ".."])
def test_an_index_name_that_would_leave_its_place_is_named(fake: Upstream, index: str) -> None:
    reply = search(index_name=index)
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "index_name"])
    assert fake.requests == []


@pytest.mark.parametrize("status", [403, 401])
def test_a_rejected_key(algolia: ContractPeer, status: int) -> None:
    algolia.replies(script.json({"message": "Invalid Application-ID or API key", "status": status}, status=status))
    reply = search()
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "Invalid Application-ID" not in reply.text
    assert "search-key" not in reply.text


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_request(algolia: ContractPeer, status: int) -> None:
    algolia.replies(script.json({"message": "Index products does not exist", "status": status}, status=status))
    reply = search()
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "does not exist" not in reply.text


def test_rate_limit_that_fits(algolia: ContractPeer) -> None:
    limited = script.json({"message": "Too many requests", "status": 429}, status=429, headers={"retry-after": "1"})
    algolia.replies(limited, script.json(ANSWER))
    started = time.monotonic()
    reply = search()
    assert (reply.status, reply.headers["x-attempts"]) == (200, "2")
    assert time.monotonic() - started >= 1


def test_rate_limit_that_does_not_fit(algolia: ContractPeer) -> None:
    algolia.replies(script.json({"message": "Too many", "status": 429}, status=429, headers={"retry-after": "3600"}))
    reply = search()
    assert (reply.status, reply.body["code"]) == (503, "upstream_rate_limited")
    assert (reply.headers["retry-after"], reply.body["retry_after"]) == ("3600", 3600)


def test_upstream_failure(algolia: ContractPeer) -> None:
    algolia.replies(*[script.json({"message": "oops", "status": 500}, status=500)] * 3)
    reply = search()
    assert (reply.status, reply.body["code"], reply.headers["x-attempts"]) == (502, "upstream_error", "3")
    assert "oops" not in reply.text


# The hosts.


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Upstream, Upstream, Upstream]]:
    with Upstream() as first, Upstream() as second, Upstream() as third:
        monkeypatch.setenv("ALGOLIA_BASE_URL", ",".join(f"{host.url}/1" for host in (first, second, third)))
        yield first, second, third


def test_the_declared_hosts_are_algolias() -> None:
    assert provider.base_urls == (
        "https://{application_id}-dsn.algolia.net/1",
        "https://{application_id}-1.algolianet.com/1",
        "https://{application_id}-2.algolianet.com/1",
        "https://{application_id}-3.algolianet.com/1",
    )


def test_a_failing_host_is_replaced_at_once(hosts: tuple[Upstream, Upstream, Upstream]) -> None:
    first, second, third = hosts
    first.replies(script.json({}, status=503))
    second.replies(script.reset_before_reply())
    third.replies(script.json(ANSWER))
    started = time.monotonic()
    reply = search()
    assert (reply.status, reply.headers["x-attempts"]) == (200, "3")
    assert time.monotonic() - started < 0.5
    assert third.last.json() == first.last.json()


def test_a_hanging_host_is_left_after_five_seconds(hosts: tuple[Upstream, Upstream, Upstream]) -> None:
    first, second, _ = hosts
    first.replies(script.hang())
    second.replies(script.json(ANSWER))
    started = time.monotonic()
    assert search().status == 200
    assert 4.9 < time.monotonic() - started < 6


def test_no_other_host_is_asked_about_a_refusal(hosts: tuple[Upstream, Upstream, Upstream]) -> None:
    first, _, _ = hosts
    first.replies(script.json({"message": "no"}, status=400))
    assert search().status == 422


# Faults.


@pytest.mark.parametrize(
    "body",
    [
        script.html(),
        script.half_json(ANSWER),
        script.json({}),
        script.json({"hits": {}}),
        script.json({"hits": ["text"]}),
        script.json({**ANSWER, "nbHits": "many"}),
        script.json({**ANSWER, "facets": {"brand": ["acme"]}}),
    ],
)
def test_malformed_body(fake: Upstream, body: script.Message) -> None:
    fake.route(lambda _: body)
    reply = search()
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


def test_timeout(fake: Upstream) -> None:
    fake.route(lambda _: script.hang())
    started = time.monotonic()
    reply = search(seconds=RESERVE + 1)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1.5


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("ALGOLIA_BASE_URL", url)
        assert search(seconds=RESERVE + 1).body["code"] == "upstream_unreachable"


@pytest.mark.parametrize("application_id", ["", "evil.example/", "a-b", "x" * 41, "a@b", "ä"])
def test_an_application_id_is_nothing_but_one(application_id: str) -> None:
    reply = post(
        provider, {"setup": {**SETUP, "application_id": application_id}, "arguments": {"index_name": "i", "query": ""}}
    )
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["setup", "application_id"])


def test_the_names_of_the_original_work(fake: Upstream) -> None:
    fake.replies(script.json(ANSWER))
    setup = {"algolia_application_id": "TESTAPP", "algolia_api_key": "search-key-0123456789"}
    assert post(provider, {"setup": setup, "arguments": {"index_name": "i", "query": "q"}}).status == 200


def test_the_environment_of_a_laptop(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.replies(script.json(ANSWER))
    monkeypatch.setenv("ALGOLIA_APPLICATION_ID", "TESTAPP")
    monkeypatch.setenv("ALGOLIA_API_KEY", "key-of-the-environment")
    assert post(provider, {"arguments": {"index_name": "i", "query": "q"}}).status == 200
    assert fake.last.headers["x-algolia-api-key"] == "key-of-the-environment"


def test_the_event_of_this_method_works(fake: Upstream) -> None:
    fake.replies(script.json(ANSWER))
    event = json.loads(Path("events/algolia.search.json").read_text())
    assert provider.handler(event, None)["hits"] == [RECORD]
