"""The peers of the tests do what they say: on the wire, and when a test must fail because of them."""

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support import upstream as reply
from tests.support.contract_peer import ContractPeer
from tests.support.processes import Server, accepts, ends, free_port, served
from tests.support.upstream import Fault, Message, Request, Upstream, refused_url, unanswered_url

if TYPE_CHECKING:
    import trustme

ROOT = Path(__file__).parents[1]
TEN = reply.json(list("ab"))  # ten bytes of JSON: ["a", "b"]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def exchange(url: str, expected: bytes, ending: str) -> tuple[bytes, str]:
    """What comes back for a plain GET, and how it ends: closed, reset, or open after a silence.

    What is expected only says how long to wait, so that a busy machine does not fail the test.
    """
    address = urlsplit(url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: peer\r\n\r\n")
        while True:
            done = ending == "open" and len(received) >= len(expected)
            client.settimeout(0.1 if done else 5)
            try:
                data = client.recv(65536)
            except TimeoutError:
                return received, "open"
            except ConnectionResetError:
                return received, "reset"
            if not data:
                return received, "closed"
            received += data


# Replies on the wire.


@pytest.mark.parametrize(
    ("fault", "expected", "ending"),
    [
        (TEN, HEAD + b'content-length: 10\r\n\r\n["a", "b"]', "open"),
        (
            TEN.with_headers({"connection": "close"}),
            HEAD + b'connection: close\r\ncontent-length: 10\r\n\r\n["a", "b"]',
            "closed",
        ),
        (reply.drip_headers(60, TEN), b"H", "open"),
        (reply.drip_body(60, TEN), HEAD + b"content-length: 10\r\n\r\n[", "open"),
        (reply.slow(60, TEN), b"", "open"),
        (reply.hang(), b"", "open"),
        (reply.hang_headers(), b"HTTP/1.1 200 OK\r\ncontent-ty", "open"),
        (reply.hang_body(TEN), HEAD + b'content-length: 10\r\n\r\n["a",', "open"),
        (reply.close_before_reply(), b"", "closed"),
        (reply.reset_before_reply(), b"", "reset"),
        (reply.reset_mid_body(TEN), HEAD + b'content-length: 10\r\n\r\n["a",', "reset"),
        (reply.raw(b"\x00\xffgarbage"), b"\x00\xffgarbage", "closed"),
        (reply.short_body(TEN, 7), HEAD + b'content-length: 17\r\n\r\n["a", "b"]', "closed"),
        (reply.long_body(TEN, 7), HEAD + b'content-length: 3\r\n\r\n["a", "b"]', "open"),
        (reply.negative_length(TEN), HEAD + b'content-length: -1\r\n\r\n["a", "b"]', "closed"),
        (
            reply.chunked_body(TEN, 6),
            HEAD + b'transfer-encoding: chunked\r\n\r\n6\r\n["a", \r\n4\r\n"b"]\r\n0\r\n\r\n',
            "open",
        ),
        (
            reply.cut_chunks(TEN),
            HEAD + b'transfer-encoding: chunked\r\n\r\na\r\n["a", "b"]\r\n',
            "closed",
        ),
        (reply.no_content(), b"HTTP/1.1 204 No Content\r\n\r\n", "open"),
        (
            reply.no_content_with_body(b"{}"),
            b"HTTP/1.1 204 No Content\r\ncontent-type: application/json\r\n\r\n{}",
            "closed",
        ),
        (reply.empty(), HEAD + b"content-length: 0\r\n\r\n", "open"),
        (reply.half_json(["a", "b"]), HEAD + b'content-length: 5\r\n\r\n["a",', "open"),
        (
            reply.redirect("http://other.test/", 307),
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://other.test/\r\ncontent-length: 0\r\n\r\n",
            "open",
        ),
        (
            reply.many_headers(2),
            b"HTTP/1.1 200 OK\r\nx-0: 1\r\nx-1: 1\r\ncontent-length: 0\r\n\r\n",
            "closed",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else None,
)
def test_each_reply_is_on_the_wire_what_it_says(
    upstream: Upstream, fault: Message | Fault, expected: bytes, ending: str
) -> None:
    upstream.replies(fault)
    assert exchange(upstream.url, expected, ending) == (expected, ending)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (reply.drip_headers(0.002, TEN), 0.002 * (len(TEN.head()) - 1)),
        (reply.drip_body(0.02, TEN), 0.02 * (len(TEN.body) - 1)),
        (reply.slow(0.15, TEN), 0.15),
    ],
    ids=["drip_headers", "drip_body", "slow"],
)
def test_a_late_reply_takes_its_time_and_is_whole(upstream: Upstream, fault: Fault, seconds: float) -> None:
    upstream.replies(fault, TEN)
    with httpx.Client() as client:
        begun = time.monotonic()
        assert client.get(upstream.url).json() == ["a", "b"]
        assert time.monotonic() - begun >= seconds
        assert client.get(upstream.url).json() == ["a", "b"]
    assert upstream.connections == 1


def test_endless_chunks_go_on_until_the_client_leaves(upstream: Upstream) -> None:
    upstream.replies(reply.endless_chunks())
    size = 0
    with httpx.stream("GET", upstream.url) as response:
        for data in response.iter_raw():
            size += len(data)
            if size > 3_000_000:
                break
    assert size > 3_000_000


def test_a_bomb_unfolds_to_the_zeros_it_promises() -> None:
    once = reply.gzip_bomb(8)
    assert once.header("content-encoding") == "gzip"
    assert len(once.body) < 8 * reply.MEGABYTE / 1000
    assert gzip.decompress(once.body) == bytes(8 * reply.MEGABYTE)


def test_a_double_bomb_of_a_quarter_gigabyte_is_smaller_than_a_kilobyte() -> None:
    twice = reply.double_gzip_bomb()
    assert twice.header("content-encoding") == "gzip, gzip"
    assert len(twice.body) < 1000
    inner, size = zlib.decompressobj(wbits=31), 0
    data = gzip.decompress(twice.body)
    while data:
        size += len(inner.decompress(data, reply.MEGABYTE))
        data = inner.unconsumed_tail
    assert size == 256 * reply.MEGABYTE


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip", "deflate, gzip"])
def test_content_codings_are_true(upstream: Upstream, coding: str) -> None:
    upstream.replies(reply.coded(TEN, coding))
    response = httpx.get(upstream.url)
    assert response.headers["content-encoding"] == coding
    assert response.json() == ["a", "b"]


def test_the_brotli_coding_is_what_a_brotli_decoder_reads() -> None:
    # The bytes were read back with Google's decoder; it is no dependency of the tests.
    assert reply.coded(reply.text("tea"), "br").body == b"\x20\x00\x10tea\x03"
    assert reply.coded(reply.text(""), "br").body == b"\x06"


def test_hostile_json_is_hostile() -> None:
    assert json.loads(reply.infinite_json().body)["value"] == float("inf")
    assert reply.not_a_number_json().body == b'{"value": NaN}'
    assert reply.deep_json(3).body == b"[[[]]]"
    assert reply.json_text('"\ud800"').body == b'"\xed\xa0\x80"'
    with pytest.raises(RecursionError):
        json.loads(reply.deep_json().body)


def test_headers_may_repeat_and_replace(upstream: Upstream) -> None:
    cookies = [("set-cookie", "a=1"), ("set-cookie", "b=2")]
    upstream.replies(reply.text("tea", 201, cookies), reply.json({}, headers={"Content-Type": "x"}))
    response = httpx.get(upstream.url)
    assert (response.status_code, response.text) == (201, "tea")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert httpx.get(upstream.url).headers.get_list("content-type") == ["x"]


def test_a_head_request_gets_no_body(upstream: Upstream) -> None:
    upstream.replies(TEN, reply.html())
    with httpx.Client() as client:
        assert client.head(upstream.url).headers["content-length"] == "10"
        assert client.get(upstream.url).headers["content-type"].startswith("text/html")
    assert upstream.connections == 1


# What the upstream remembers.


def test_a_request_is_recorded_as_it_was_sent(upstream: Upstream) -> None:
    upstream.replies(TEN)
    before = time.monotonic()
    httpx.post(
        f"{upstream.url}/a%2Fb/c?q=x+y&q=%26&empty=",
        json={"tea": 1},
        headers=[("X-Key", "1"), ("X-Key", "2")],
    )
    (request,) = upstream.requests
    assert request is upstream.last
    assert (request.method, request.path) == ("POST", "/a%2Fb/c")
    assert request.raw_query == "q=x+y&q=%26&empty="
    assert request.query == {"q": ["x y", "&"], "empty": [""]}
    assert request.headers["x-key"] == "1, 2"
    assert request.body == b'{"tea":1}'
    assert request.json() == {"tea": 1}
    assert request.connection == upstream.connections == 1
    assert before <= request.at <= time.monotonic()


def test_a_chunked_request_is_read_whole_and_the_connection_kept(upstream: Upstream) -> None:
    upstream.replies(TEN, TEN)

    def pieces() -> Iterator[bytes]:
        yield b"te"
        yield b"a" * 70_000

    with httpx.Client() as client:
        client.post(upstream.url, content=pieces())
        client.get(upstream.url)
    first, second = upstream.requests
    assert first.body == b"te" + b"a" * 70_000
    assert (second.method, second.connection) == ("GET", 1)


def test_connections_are_counted(upstream: Upstream) -> None:
    upstream.replies(TEN, TEN, reply.slow(0, TEN))
    httpx.get(upstream.url)
    with httpx.Client() as client:
        client.get(upstream.url)
        client.get(upstream.url)
    assert [request.connection for request in upstream.requests] == [1, 2, 2]
    assert upstream.connections == 2


def test_replies_come_in_order_then_the_route_answers(upstream: Upstream) -> None:
    upstream.replies(reply.text("first"), lambda request: reply.text(request.path, 404))
    upstream.route(lambda request: reply.text(f"route {request.query['n'][0]}"))
    assert upstream.pending == 2
    assert httpx.get(upstream.url).text == "first"
    assert (httpx.get(f"{upstream.url}/second")).text == "/second"
    assert [httpx.get(upstream.url, params={"n": n}).text for n in "12"] == ["route 1", "route 2"]


# When script and requests do not meet.


@contextlib.contextmanager
def closed_after() -> Iterator[Upstream]:
    with contextlib.closing(Upstream()) as server:
        yield server


def test_a_reply_nobody_asked_for_is_an_error() -> None:
    with closed_after() as server:
        server.replies(TEN, TEN)
        httpx.get(f"{server.url}/once")
        with pytest.raises(AssertionError, match=r"1 queued replies .*GET /once"):
            server.verify()


def test_a_request_nobody_planned_is_an_error() -> None:
    with closed_after() as server:
        assert httpx.get(f"{server.url}/surprise").status_code == reply.UNEXPECTED
        with pytest.raises(AssertionError, match=r"no reply queued.*GET /surprise"):
            server.verify()


def test_a_route_that_raises_is_an_error() -> None:
    def broken(request: Request) -> Message:
        raise LookupError(request.path)

    with closed_after() as server:
        server.route(broken)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{server.url}/route")
        with pytest.raises(AssertionError, match=r"LookupError\('/route'\)"):
            server.verify()


def test_the_block_verifies_only_when_it_succeeded() -> None:
    with pytest.raises(AssertionError, match="never asked for"), Upstream() as server:
        server.replies(TEN)
    with pytest.raises(KeyError), Upstream() as server:
        httpx.get(server.url).json()["a key that the error for unplanned requests has not"]


def test_closing_is_prompt_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    server = Upstream()
    server.replies(reply.hang(), reply.drip_body(60), reply.endless_chunks())
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    for client in clients[:3]:  # the fourth never speaks
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    while server.pending or server.connections < 4:
        time.sleep(0.01)
    begun = time.monotonic()
    server.close()
    assert time.monotonic() - begun < 2
    assert set(threading.enumerate()) <= before
    server.verify()
    for client in clients:
        client.close()


# Ports that do not serve, and certificates.


def test_a_refused_url_refuses_and_an_unanswered_one_does_not_answer() -> None:
    with refused_url() as url, pytest.raises(httpx.ConnectError):
        httpx.get(url)
    with unanswered_url() as url, pytest.raises(httpx.ConnectTimeout):
        httpx.get(url, timeout=0.2)


def test_tls_is_trusted_by_who_knows_the_authority_and_the_name(
    certificate_authority: "trustme.CA",
) -> None:
    trusting = ssl.create_default_context()
    certificate_authority.configure_trust(trusting)
    with Upstream(tls=reply.server_context(certificate_authority)) as server:
        server.replies(TEN, reply.reset_mid_body(TEN))
        with httpx.Client(verify=trusting, trust_env=False) as client:
            assert client.get(server.url).json() == ["a", "b"]
            # Before Python 3.13 a reset under TLS is told as an end of the stream.
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                client.get(server.url)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(server.url, trust_env=False)
    assert server.failed_handshakes == 1
    other = reply.server_context(certificate_authority, "other.test")
    with Upstream(tls=other) as server, pytest.raises(httpx.ConnectError, match="not valid for"):
        httpx.get(server.url, verify=trusting, trust_env=False)
    assert server.requests == []


def test_a_client_that_never_shakes_hands_does_not_hold_the_server(
    certificate_authority: "trustme.CA",
) -> None:
    server = Upstream(tls=reply.server_context(certificate_authority))
    with socket.create_connection(("127.0.0.1", server.port)):
        while not server.connections:
            time.sleep(0.01)
        begun = time.monotonic()
        server.close()
        assert time.monotonic() - begun < 2
    server.verify()


# The judge.

TEA = {"type": "object", "required": ["leaf"], "properties": {"leaf": {"type": "string"}}}
MINUTES = {"type": "object", "properties": {"minutes": {"type": "integer", "maximum": 10}}}
CUP = {"type": "object", "required": ["cup"], "properties": {"cup": {"type": "string"}}}
POT: dict[str, Any] = {
    "openapi": "3.0.2",
    "info": {"title": "Teapot", "version": "1"},
    "servers": [{"url": "https://teapot.test/v1"}],
    "security": [{"key": []}, {"login": []}],
    "paths": {
        "/brew/{pot}": {
            "post": {
                "parameters": [
                    {"name": "pot", "in": "path", "required": True, "schema": {"enum": ["sample"]}},
                    {"name": "sugar", "in": "query", "schema": {"type": "integer"}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/B"}}},
                },
                "responses": {"200": {"content": {"application/json": {"schema": CUP}}}},
            }
        },
        "/label": {
            "post": {
                "requestBody": {"content": {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/L"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": CUP}}}},
            }
        },
    },
    "components": {
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "x-key"},
            "login": {"type": "oauth2", "flows": {}},
        },
        "schemas": {
            # Closed parts that are added up, one of them a choice: word for word nothing matches.
            "B": {"allOf": [{"$ref": "#/components/schemas/C"}, MINUTES]},
            "C": {"oneOf": [{"$ref": "#/components/schemas/T"}, CUP | {"additionalProperties": False}]},
            "T": TEA | {"additionalProperties": False},
            "L": {
                "properties": {
                    "picture": {"type": "string", "format": "binary"},
                    "glossy": {"type": "boolean"},
                    "copies": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    "width": {"$ref": "#/components/schemas/W"},
                    "words": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["picture"],
            },
            "W": {"type": "number"},
        },
    },
}
KEY = {"x-key": "k"}
BREW = {"leaf": "oolong", "minutes": 3}


@pytest.fixture
def teapot(tmp_path: Path) -> Iterator[ContractPeer]:
    """A peer whose violations a test looks at itself: it is closed, and not verified."""
    file = tmp_path / "teapot.json"
    file.write_text(json.dumps(POT), encoding="utf-8")
    with contextlib.closing(ContractPeer(file, base="/v1")) as peer:
        peer.route(lambda _: reply.json({"cup": "full"}))
        yield peer


def brew(peer: ContractPeer, path: str = "/brew/blue", body: object = BREW) -> httpx.Response:
    return httpx.post(f"{peer.url}{path}", json=body, headers=KEY)


def test_a_right_request_and_reply_pass(teapot: ContractPeer) -> None:
    assert brew(teapot, "/brew/blue?sugar=2").json() == {"cup": "full"}
    assert brew(teapot, body={"cup": "mine", "minutes": 10}).json() == {"cup": "full"}
    bearer = {"authorization": "Bearer t"}
    assert httpx.post(f"{teapot.url}/brew/red", json=BREW, headers=bearer).status_code == 200
    teapot.verify()
    assert teapot.requests[0].path == "/v1/brew/blue"


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/brew/blue", {"leaf": 3}, r"\$\.leaf: 3 is not of type 'string'"),
        ("/brew/blue", BREW | {"minutes": 11}, r"\$\.minutes: 11 is greater than the maximum"),
        ("/brew/blue", BREW | {"minuts": 3}, r"'minuts' was unexpected"),
        ("/brew/blue", {"minutes": 3}, r"'leaf' is a required property"),
        ("/brew/blue?sugar=two", BREW, r"(?i)sugar|two"),
        ("/brew/blue?suger=2", BREW, r"unknown query parameters: \['suger'\]"),
        ("/boil/blue", BREW, r"(?i)path not found"),
    ],
)
def test_a_wrong_request_is_refused_and_remembered(teapot: ContractPeer, path: str, body: object, why: str) -> None:
    response = brew(teapot, path, body)
    assert response.status_code == 400
    (violation,) = teapot.violations
    assert violation.side == "request"
    assert violation.where == f"POST /v1{path}"
    assert re.search(why, violation.why), violation.why
    assert response.json() == {"contract": violation.why}
    with pytest.raises(AssertionError, match=f"request POST /v1/{path[1:5]}"):
        teapot.verify()


def test_a_missing_key_is_refused(teapot: ContractPeer) -> None:
    assert httpx.post(f"{teapot.url}/brew/blue", json=BREW).status_code == 400
    (violation,) = teapot.violations
    assert "Security not found" in violation.why


@pytest.mark.parametrize(
    ("canned", "why"),
    [
        (reply.json({"cup": 3}), r"\$\.cup: 3 is not of type 'string'"),
        (reply.json({}), r"'cup' is a required property"),
        (reply.text("full"), r"(?i)text/plain"),
        (reply.json({"cup": "full"}, 202), r"202"),
    ],
)
def test_a_canned_reply_the_vendor_would_not_give_is_remembered(
    teapot: ContractPeer, canned: Message, why: str
) -> None:
    teapot.replies(canned)
    assert brew(teapot).status_code == canned.status
    (violation,) = teapot.violations
    assert violation.side == "reply"
    assert re.search(why, violation.why), violation.why


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"glossy": "true", "copies": "3", "width": "0.5", "words": ["a", "b"]}, None),
        ({"glossy": "yes"}, "glossy"),
        ({"copies": "three"}, "copies"),
        ({"width": "wide"}, "width"),
    ],
)
def test_the_fields_of_a_form_are_judged_as_they_are_written(
    teapot: ContractPeer, fields: dict[str, Any], why: str | None
) -> None:
    files = {"picture": ("p.png", b"\x89PNG", "image/png")}
    response = httpx.post(f"{teapot.url}/label", data=fields, files=files, headers=KEY)
    assert response.status_code == (400 if why else 200)
    assert [violation.why.split(":")[0] for violation in teapot.violations] == ([f"$.{why}"] if why else [])


def test_what_is_wrong_on_purpose_is_not_judged(teapot: ContractPeer) -> None:
    teapot.replies(reply.html(), reply.half_json({"cup": "full"}), reply.empty())
    teapot.replies(reply.json({"error": "busy"}, 503), reply.short_body(), reply.gzip_bomb(1))
    assert [brew(teapot).status_code for _ in range(4)] == [200, 200, 200, 503]
    with pytest.raises(httpx.RemoteProtocolError):
        brew(teapot)
    assert len(brew(teapot).content) == reply.MEGABYTE
    teapot.verify()


ALGOLIA = {"x-algolia-application-id": "A", "x-algolia-api-key": "k"}
FOUND = {"hits": [], "nbHits": 0, "page": 0, "nbPages": 0, "hitsPerPage": 5, "query": "x"}


def test_a_vendors_own_file_judges(contract_peer: Callable[..., ContractPeer]) -> None:
    peer = contract_peer("algolia/search.yml")
    search = f"{peer.url}/1/indexes/i/query"
    answer = FOUND | {"processingTimeMS": 1, "params": ""}
    peer.replies(reply.json(answer), *[reply.json(answer)] * 3, reply.json(answer | {"hits": 3}))
    assert httpx.post(search, json={"query": "x"}, headers=ALGOLIA).json() == answer
    assert peer.violations == []
    for body in ({"hitsPerPage": "five"}, {"hitPerPage": 5}):
        assert httpx.post(search, json=body, headers=ALGOLIA).status_code == 400
    assert httpx.post(search, json={"query": "x"}).status_code == 400
    assert httpx.post(search, json={"query": "x"}, headers=ALGOLIA).json()["hits"] == 3
    sides = [violation.side for violation in peer.violations]
    assert sides == ["request", "request", "request", "reply"]
    assert "hitPerPage" in peer.violations[1].why
    peer.violations.clear()


# The fixtures, in a test run of their own.

INNER_TESTS = """
from tests.support.upstream import json
import httpx

def test_meets(upstream):
    upstream.replies(json(1))
    assert httpx.get(upstream.url).json() == 1

def test_too_many_replies(upstream):
    upstream.replies(json(1))

def test_too_many_requests(upstream):
    httpx.get(upstream.url)

def test_judged(contract_peer):
    peer = contract_peer("teapot.json", "/v1")
    peer.replies(json(1))
    httpx.get(peer.url + "/nowhere")
"""


def test_the_fixtures_fail_a_test_whose_script_was_not_met(tmp_path: Path) -> None:
    (tmp_path / "teapot.json").write_text(json.dumps(POT), encoding="utf-8")
    (tmp_path / "test_inner.py").write_text(INNER_TESTS, encoding="utf-8")
    plugins = ("-p", "tests.support.upstream", "-p", "tests.support.contract_peer")
    options = ("-q", "-rA", "--no-header", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    environment = {
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": "200",
        "CONTRACTS_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options, "test_inner.py"],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = done.stdout + done.stderr
    assert "PASSED test_inner.py::test_meets" in output, output
    assert re.search(r"ERROR test_inner.py::test_too_many_replies.*never asked", output)
    assert re.search(r"ERROR test_inner.py::test_too_many_requests.*no reply queued", output)
    assert re.search(r"ERROR test_inner.py::test_judged.*request GET /v1/nowhere", output)
    assert "4 passed, 3 errors" in output


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_missing_peer_skips_unless_peers_are_required(
    required: str,
    outcome: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("REQUIRE_PEERS", required)
    monkeypatch.delenv("CONTRACTS_DIR", raising=False)
    with pytest.raises(outcome, match="CONTRACTS_DIR does not name the folder"):
        request.getfixturevalue("contract_peer")


# Server processes.


def test_a_server_is_waited_for_and_ended_with_its_children(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "print('child', child.pid, os.environ.get('TEA'), os.environ.get('HOME'), flush=True)\n"
        "time.sleep(600)"
    )

    def child(server: Server) -> str | None:
        return server.find(r"child (\d+) hot None")

    log, environment = tmp_path / "log", {"TEA": "hot", "HOME": None}
    with served([sys.executable, "-c", program], child, log, env=environment) as server:
        number = int(child(server) or 0)
        assert not ends(number, within=0)
    assert server.process.returncode == -signal.SIGTERM
    assert ends(number)


def test_a_server_that_ends_at_once_tells_what_it_wrote(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no leaves')"]
    with (
        pytest.raises(RuntimeError, match=r"(?s)ended with status 1:.*no leaves"),
        served(argv, lambda _: False, tmp_path / "log"),
    ):
        pytest.fail("the block ran")


def test_a_server_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    with (
        pytest.raises(TimeoutError, match=r"sleep 600 was not ready in 0\.1 s"),
        served(["sleep", "600"], lambda _: False, tmp_path / "log", timeout=0.1),
    ):
        pytest.fail("the block ran")
    assert time.monotonic() - begun < 5


def test_a_free_port_is_free_and_a_taken_one_accepts(upstream: Upstream) -> None:
    assert not accepts(free_port())
    assert accepts(upstream.port)


# The wiki.


def ask(wiki: str, **parameters: str | int) -> dict[str, Any]:
    base: dict[str, str | int] = {"action": "query", "format": "json", "formatversion": 2}
    response = httpx.get(f"{wiki}/api.php", params=base | parameters)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def test_the_wiki_finds_pages_with_their_introductions_in_one_request(mediawiki: str) -> None:
    answer = ask(
        mediawiki,
        generator="search",
        gsrsearch="mercury",
        gsrwhat="text",
        prop="extracts|info|pageprops",
        exintro=1,
        explaintext=1,
        exlimit=20,
        inprop="url",
        ppprop="disambiguation",
        redirects=1,
    )
    pages = {page["title"]: page for page in answer["query"]["pages"]}
    assert pages.keys() >= {"Mercury", "Mercury (planet)", "Mercury (element)"}
    assert "Quicksilver" not in pages
    assert pages["Mercury (planet)"]["extract"].startswith("Mercury is the smallest planet")
    assert "==" not in pages["Mercury (planet)"]["extract"]
    assert pages["Mercury (planet)"]["fullurl"].endswith("/wiki/Mercury_(planet)")
    listed = [title for title, page in pages.items() if "pageprops" in page]
    assert listed == ["Mercury"]
    assert pages["Mercury"]["pageprops"] == {"disambiguation": ""}


@pytest.mark.parametrize("title", ["Tea", "Coffee", "Lighthouse"])
def test_the_wiki_has_pages_longer_than_a_document(mediawiki: str, title: str) -> None:
    (page,) = ask(mediawiki, titles=title, prop="extracts", explaintext=1)["query"]["pages"]
    assert len(page["extract"]) > 4000
    assert "\n== Trade ==\n" in page["extract"] or "\n== Fog ==\n" in page["extract"]


def test_the_wiki_follows_redirects_and_knows_what_is_missing(mediawiki: str) -> None:
    found = ask(mediawiki, titles="Quicksilver|Tea ceremony|Nowhere", redirects=1)["query"]
    assert {(item["from"], item["to"]) for item in found["redirects"]} == {
        ("Quicksilver", "Mercury (element)"),
        ("Tea ceremony", "Tea"),
    }
    assert [page["title"] for page in found["pages"] if page.get("missing")] == ["Nowhere"]


@pytest.mark.parametrize("title", ["東京", "Łódź", "Café de olla", "Salt & pepper", "C++"])
def test_the_wiki_finds_titles_that_a_url_must_escape(mediawiki: str, title: str) -> None:
    hits = ask(mediawiki, list="search", srsearch=title, srwhat="text")["query"]["search"]
    assert title in [hit["title"] for hit in hits]
    (page,) = ask(mediawiki, titles=title, prop="extracts", explaintext=1)["query"]["pages"]
    assert page["extract"].startswith(title)


def test_the_wiki_answers_errors_with_status_200(mediawiki: str) -> None:
    assert ask(mediawiki, action="brew")["error"]["code"] == "badvalue"
    assert ask(mediawiki, list="search", srsearch="")["error"]["code"] == "missingparam"
    nothing = ask(mediawiki, list="search", srsearch="zzzqq", srwhat="text")
    assert nothing["query"]["search"] == []
