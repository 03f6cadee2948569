"""The forms in which a service may answer, and where a path may start."""

from typing import Any, Self

import pytest
from pydantic import Field

from integrations import Arguments, Http, Output, Provider, Reply
from integrations.decoding import Undecodable
from integrations.errors import IntegrationError, ResponseTooLarge, UpstreamBadResponse
from integrations.replies import RawReply
from tests.support import upstream as script
from tests.support.calls import call
from tests.support.upstream import Upstream

provider = Provider(
    name="sample",
    title="Sample",
    url="https://sample.example",
    docs="https://sample.example/docs",
    category="search",
    base_url="https://sample.invalid/api/v1",
    max_response_bytes=1000,
)


class NoArguments(Arguments):
    pass


class LineArguments(Arguments):
    most: int | None = Field(None, description="The most bytes.")


class AnyOutput(Output):
    value: Any = Field(description="What the service said.")


class Table(Reply):
    """Lines of names and numbers."""

    form = "a table"
    media_type = "text/csv"

    rows: list[tuple[str, int]]

    @classmethod
    def read(cls, body: bytes) -> Self:
        if not body.startswith(b"name,count\n"):
            raise Undecodable("no table")
        return cls.model_validate({"rows": [line.split(",") for line in body.decode().splitlines()[1:]]})


class Picture(RawReply):
    form = "a picture"
    media_type = "image/png"


@provider.method(read_only=False, destructive=False, idempotent=False)
def table(args: LineArguments, http: Http) -> AnyOutput:
    """Give a table."""
    return AnyOutput(value=http.get("/tables/{}", "a b", reply=Table, max_bytes=args.most).rows)


@provider.method(read_only=False, destructive=False, idempotent=False)
def picture(args: NoArguments, http: Http) -> AnyOutput:
    """Give a picture."""
    content = http.get("/pictures/{}/{}", "a/b", "..c", reply=Picture, params={"size": 2}, from_root=True).content
    return AnyOutput(value=content.hex())


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url)


def give(method: str, **arguments: Any) -> Any:
    return call(provider, method=method, arguments=arguments)["value"]


def csv(body: str) -> script.Message:
    return script.content(body.encode(), "text/csv")


def test_an_answer_is_read_in_its_own_form(upstream: Upstream) -> None:
    upstream.replies(csv("name,count\ntea,3\n"), script.coded(csv("name,count\ntea,4\n"), "gzip"))
    assert give("table") == [["tea", 3]]
    assert give("table") == [["tea", 4]]
    assert upstream.last.headers["accept"] == "text/csv"


def test_bytes_are_taken_as_they_are(upstream: Upstream) -> None:
    upstream.replies(script.content(b"\x89PNG\0\xff", "image/png"), script.content(b"", "image/png"))
    assert give("picture") == b"\x89PNG\0\xff".hex()
    assert give("picture") == ""
    assert upstream.last.headers["accept"] == "image/png"


@pytest.mark.parametrize(
    ("method", "reply", "sentence"),
    [
        ("table", script.html(), "Sample answered something else than a table."),
        ("table", script.empty(), "Sample answered something else than a table."),
        ("table", csv("name,count\ntea,many\n"), "Sample answered something else than it documents."),
        ("picture", script.coded(csv("x"), "br"), "Sample answered something else than a picture."),
    ],
)
def test_another_form_is_named(upstream: Upstream, method: str, reply: script.Message, sentence: str) -> None:
    upstream.replies(reply)
    with pytest.raises(UpstreamBadResponse) as raised:
        give(method)
    assert raised.value.detail == sentence


def test_a_longer_body_than_said_does_not_reach_the_next_reply(upstream: Upstream) -> None:
    """Also where it is not JSON: the connection is closed as soon as its answer cannot be read."""
    upstream.replies(script.long_body(csv("nothing like a table"), extra=10), csv("name,count\ntea,3\n"))
    with pytest.raises(UpstreamBadResponse):
        give("table")
    assert give("table") == [["tea", 3]]
    first, second = (request.connection for request in upstream.requests)
    assert first != second


def test_a_connection_is_kept_where_only_the_content_was_wrong(upstream: Upstream) -> None:
    upstream.replies(csv("name,count\ntea,many\n"), csv("name,count\ntea,3\n"))
    with pytest.raises(UpstreamBadResponse):
        give("table")
    assert give("table") == [["tea", 3]]
    first, second = (request.connection for request in upstream.requests)
    assert first == second


def test_one_answer_has_a_bound_of_its_own(upstream: Upstream) -> None:
    upstream.replies(*[csv("name,count\ntea,3\n")] * 2)
    assert give("table", most=17) == [["tea", 3]]
    with pytest.raises(ResponseTooLarge, match="more than 16 bytes"):
        give("table", most=16)


@pytest.mark.parametrize("prefix", ["", "/", "/api/v1", "/gateway/sample/"])
def test_a_path_from_the_root_leaves_the_path_of_the_base_url(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", f"{upstream.url}{prefix}")
    upstream.replies(script.content(b"", "image/png"), csv("name,count\n"))
    give("picture")
    assert upstream.last.target == "/pictures/a%2Fb/..c?size=2"
    give("table")
    below = {"/gateway/sample/": "/gateway/sample", "/": ""}.get(prefix, "/api/v1")
    assert upstream.last.target == f"{below}/tables/a%20b"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "http://{foo}.x"])
def test_a_base_url_that_is_none_has_no_root_either(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", url)
    with pytest.raises(IntegrationError) as raised:
        give("picture")
    assert raised.value.code == "misconfigured"
