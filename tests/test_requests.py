"""What a method can say about one request: its form, its headers, whether it may be sent again."""

from typing import Any

import pytest

from integrations import Arguments, Http, Output, Provider, Reply
from integrations.egress import Upload
from integrations.errors import UpstreamDenied, UpstreamError
from tests.support.calls import call
from tests.support.forms import Part, parts
from tests.support.upstream import Upstream, json, reset_before_reply

provider = Provider(
    name="requests",
    title="Requests",
    url="https://requests.example",
    docs="https://requests.example/docs",
    category="search",
    base_url="https://requests.example/v1",
    headers={"x-form": "none", "x-version": "1"},
)


class Nothing(Arguments):
    pass


class Done(Output):
    pass


FORM = {"to": ["ann@example.com", "böb@example.org"], "count": 2, "test": True}


@provider.method(read_only=True, idempotent=False)
def billed(args: Nothing, http: Http) -> Done:
    """Read something that is paid for each time."""
    http.post("/billed", json={"a": 1}, headers={"content-type": "text/csv", "x-form": "csv"}, reply=Reply)
    return Done()


@provider.method(read_only=False, destructive=False, idempotent=False)
def form_alone(args: Nothing, http: Http) -> Done:
    """Send a form without a file."""
    http.post("/form", form=FORM, files=[], reply=Reply)
    return Done()


@provider.method(read_only=False, destructive=False, idempotent=False)
def form_with_files(args: Nothing, http: Http) -> Done:
    """Send a form with two files in one field."""
    files = [Upload("file", "a.txt", b"\0a", "text/plain"), Upload("file", "b.bin", b"b", "application/x-b")]
    http.post("/form", form=FORM, files=files, reply=Reply)
    return Done()


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_BASE_URL", f"{upstream.url}/v1")


def send(method: str) -> Any:
    return call(provider, method=method, arguments={})


FIELDS = [
    Part("to", b"ann@example.com"),
    Part("to", "böb@example.org".encode()),
    Part("count", b"2"),
    Part("test", b"true"),
]


def test_a_header_of_one_request_goes_before_the_providers(upstream: Upstream) -> None:
    upstream.replies(json({}))
    send("billed")
    sent = upstream.last.headers
    assert (sent["content-type"], sent["x-form"], sent["x-version"]) == ("text/csv", "csv", "1")
    assert upstream.last.json() == {"a": 1}


@pytest.mark.parametrize("fault", [json({}, status=503), reset_before_reply()], ids=["503", "reset"])
def test_a_read_that_is_billed_is_not_sent_again(upstream: Upstream, fault: Any) -> None:
    upstream.replies(fault)
    with pytest.raises(Exception, match='"retryable": false'):
        send("billed")
    assert len(upstream.requests) == 1


def test_an_account_without_credit_is_told_so(upstream: Upstream) -> None:
    upstream.replies(json({"error": "their words"}, status=402))
    with pytest.raises(UpstreamDenied, match="Requests wants to be paid; check the credit and the plan"):
        send("billed")


def test_a_form_without_a_file(upstream: Upstream) -> None:
    upstream.replies(json({}))
    send("form_alone")
    assert parts(upstream.last) == FIELDS


def test_a_form_with_files(upstream: Upstream) -> None:
    upstream.replies(json({}))
    send("form_with_files")
    assert parts(upstream.last) == [
        *FIELDS,
        Part("file", b"\0a", "a.txt", "text/plain"),
        Part("file", b"b", "b.bin", "application/x-b"),
    ]


def test_a_failed_form_is_not_sent_again(upstream: Upstream) -> None:
    upstream.replies(json({}, status=500))
    with pytest.raises(UpstreamError):
        send("form_alone")
    assert len(upstream.requests) == 1
