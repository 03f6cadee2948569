"""The HTTP surface, through the real `integrations serve`."""

import base64
import contextlib
import hashlib
import json
import re
import shlex
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server

from devtools import keys
from devtools.gateway import Event, Gateway
from devtools.store import LocalStore
from devtools.template import Function, Route, match, read_routes
from integrations.version import VERSION
from tests.support import upstream as script
from tests.support.keys import wrong_keys
from tests.support.processes import PATIENCE
from tests.support.serving import COMMAND, KEY, ROOT, Bundle, environment, integrations, serving
from tests.support.upstream import Upstream

SETUP = {"application_id": "TESTAPP", "api_key": "search-key-0123456789"}
ARGUMENTS = {"index_name": "products", "query": "phone"}
FOUND = {"hits": [{"name": "Phone"}], "query": "phone"}
SEARCH = {"setup": SETUP, "arguments": ARGUMENTS}
# What no answer may hold, wherever it was sent.
MARK = "n3v3r-t0-b3-s33n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bundle, Upstream]]:
    with (
        Upstream() as service,
        serving(
            tmp_path_factory.mktemp("serve"), ALGOLIA_BASE_URL=service.url, WIKIPEDIA_BASE_URL=service.url
        ) as bundle,
    ):
        yield bundle, service


@pytest.fixture
def bundle(served: tuple[Bundle, Upstream]) -> Bundle:
    return served[0]


@pytest.fixture
def service(served: tuple[Bundle, Upstream]) -> Iterator[Upstream]:
    service = served[1]
    service.requests.clear()
    service.route(lambda _: script.json({"upstream": "nothing was queued"}, status=501))
    yield service
    service.verify()


# Who may call.


def test_health_needs_no_key(bundle: Bundle) -> None:
    reply = bundle.ask("GET", "/health", headers={})
    assert (reply.status_code, reply.json()) == (200, {"status": "ok", "version": VERSION})
    assert reply.headers["x-correlation-id"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "test"},
        {"x-api-key": KEY + "0"},
        {"x-api-key": KEY.replace("test", "tset")},
        {"x-api-key": "x" * 5000},
        {"x-api-key": b"\xff\xfe.\x80"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/execute/wikipedia"), ("GET", "/integrations"), ("GET", "/no/such/path")]
)
def test_no_other_key_is_let_in(bundle: Bundle, headers: Any, method: str, path: str) -> None:
    reply = bundle.ask(method, path, headers=headers)
    assert (reply.status_code, reply.text) == (403, '{"message":"Forbidden"}')
    assert reply.headers["content-type"] == "application/json"


def test_the_same_key_twice_is_no_key(bundle: Bundle) -> None:
    reply = httpx.get(f"{bundle.url}/integrations", headers=[("x-api-key", KEY), ("x-api-key", KEY)], trust_env=False)
    assert reply.status_code == 403


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}])
def test_both_headers_carry_a_key(bundle: Bundle, headers: dict[str, str]) -> None:
    assert bundle.ask("GET", "/integrations", headers=headers).status_code == 200


def make(bundle: Bundle, scopes: list[str] | None = None, expires: timedelta | None = None) -> str:
    """Make a key in the local store; what has expired already, the command would not make."""
    key = keys.generate()
    entry = keys.record(key, None, scopes, None if expires is None else datetime.now(UTC) + expires)
    LocalStore(bundle.home).update("api-keys", lambda value: keys.added(value, entry))
    return key


def asked(bundle: Bundle, key: str, path: str = "/integrations", method: str = "GET") -> int:
    return bundle.ask(method, path, headers={"x-api-key": key}).status_code


def test_a_hundred_wrong_keys_are_closed(bundle: Bundle) -> None:
    valid, other = make(bundle), make(bundle)
    wrong = wrong_keys(valid, other, hashlib.sha256(valid.partition(".")[2].encode()).hexdigest())
    assert len(wrong) == 100
    before = len(bundle.log())
    for name, headers in wrong.items():
        sent = [(header.encode(), value.encode("latin-1")) for header, value in headers]
        reply = bundle.client.get(f"{bundle.url}/integrations", headers=sent)
        assert (reply.status_code, reply.text) == (403, '{"message":"Forbidden"}'), name
    assert len(bundle.log()) == before, "who is not known fills no log"
    assert (asked(bundle, valid), asked(bundle, other), asked(bundle, KEY)) == (200, 200, 200)
    assert valid.partition(".")[2] not in bundle.server.output()


def test_a_revoked_key_is_closed_at_once(bundle: Bundle) -> None:
    revoked, kept = make(bundle), make(bundle)
    assert (asked(bundle, revoked), asked(bundle, kept)) == (200, 200)
    LocalStore(bundle.home).update("api-keys", lambda value: keys.without(value, revoked.partition(".")[0]))
    assert (asked(bundle, revoked), asked(bundle, kept)) == (403, 200)


def test_an_expired_key_is_closed(bundle: Bundle) -> None:
    over, to_come = make(bundle, expires=timedelta(seconds=-1)), make(bundle, expires=timedelta(hours=1))
    assert (asked(bundle, over), asked(bundle, to_come)) == (403, 200)
    [line] = [line for line in bundle.log() if line.get("key_id") == over.partition(".")[0]]
    assert (line["message"], line["reason"]) == ("key refused", "expired")


def test_a_key_is_closed_beyond_its_scopes(bundle: Bundle, service: Upstream) -> None:
    key = make(bundle, ["algolia.*", "*.send"])
    service.replies(script.json(FOUND))
    reply = bundle.call("algolia/search", SEARCH, x_api_key=key)
    assert (reply.status_code, reply.json()["hits"]) == (200, FOUND["hits"])
    service.requests.clear()
    # Of wikipedia a scope names another method, so the function itself refuses, also its default one.
    for path in ("wikipedia/search", "wikipedia"):
        problem = bundle.call(path, {"arguments": {"query": "tea"}}, x_api_key=key)
        assert (problem.status_code, problem.json()["code"]) == (403, "forbidden")
        assert "do not hold wikipedia.search" in problem.json()["detail"]
    assert service.requests == []
    narrow = make(bundle, ["algolia.*"])
    for path in ("/execute/wikipedia", "/execute/wikipedia/search", "/execute/nobody"):
        assert asked(bundle, narrow, path, "POST") == 403
    for path in ("/integrations/wikipedia", "/integrations/email/send/tool"):
        assert asked(bundle, narrow, path) == 403
    assert "out of scope" in [line.get("reason") for line in bundle.log()]


def test_a_limited_key_sees_what_it_may_call(bundle: Bundle) -> None:
    headers = {"x-api-key": make(bundle, ["algolia.*"])}
    listed = bundle.ask("GET", "/integrations", headers=headers)
    assert [entry["provider"] for entry in listed.json()] == ["algolia"]
    tools = bundle.ask("GET", "/tools?format=mcp", headers=headers).json()
    assert [tool["name"] for tool in tools["tools"]] == ["algolia_search"]
    assert bundle.ask("GET", "/integrations/algolia", headers=headers).json() == listed.json()[0]
    assert listed.headers["etag"] != bundle.ask("GET", "/integrations").headers["etag"]


# A call.


@pytest.mark.parametrize("path", ["algolia", "algolia/search", "algolia/sear%63h", "%61lgolia/search"])
def test_a_call(bundle: Bundle, service: Upstream, path: str) -> None:
    service.replies(script.json(FOUND))
    reply = bundle.call(path, SEARCH)
    assert (reply.status_code, reply.json()["hits"]) == (200, [{"name": "Phone"}])
    assert reply.headers["content-type"] == "application/json"
    assert service.last.path == "/1/indexes/products/query"
    assert service.last.headers["x-algolia-api-key"] == "search-key-0123456789"
    assert reply.headers["x-attempts"] == "1"
    assert re.fullmatch(r"upstream;dur=\d+\.\d, total;dur=\d+\.\d", reply.headers["server-timing"])


def test_a_body_in_base64_is_the_same_call(bundle: Bundle, service: Upstream) -> None:
    """API Gateway sends on a body whose content type is not text in base64."""
    service.replies(script.json(FOUND))
    assert bundle.call("algolia", SEARCH, content_type="application/x-www-form-urlencoded").status_code == 200


def test_a_chunked_body_is_the_same_call(bundle: Bundle, service: Upstream) -> None:
    service.replies(script.json(FOUND))
    text = json.dumps(SEARCH).encode()
    chunks = iter([text[:10], text[10:]])
    assert bundle.ask("POST", "/execute/algolia", headers={"x-api-key": KEY}, content=chunks).status_code == 200


def test_failures_are_problems(bundle: Bundle, service: Upstream) -> None:
    limited = script.json({"message": MARK}, status=429, headers={"retry-after": "3600"})
    service.replies(limited)
    reply = bundle.call("algolia", SEARCH)
    assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
    assert (reply.json()["code"], reply.headers["retry-after"]) == ("upstream_rate_limited", "3600")
    assert MARK not in reply.text


def test_a_repeated_request_is_counted(bundle: Bundle, service: Upstream) -> None:
    service.replies(script.json({}, status=503), script.json(FOUND))
    reply = bundle.call("algolia", SEARCH)
    assert (reply.status_code, reply.headers["x-attempts"]) == (200, "2")


@pytest.mark.parametrize("given", ["order-7", "a/b:c=d@e+f.g_h"])
def test_a_correlation_id_is_echoed_and_logged(bundle: Bundle, service: Upstream, given: str) -> None:
    service.replies(script.json(FOUND))
    reply = bundle.call("algolia", SEARCH, x_correlation_id=given)
    assert reply.headers["x-correlation-id"] == given
    assert given in [line.get("correlation_id") for line in bundle.log()]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>"])
def test_another_one_is_replaced(bundle: Bundle, given: str) -> None:
    reply = bundle.call("algolia", {}, x_correlation_id=given)
    made = reply.headers["x-correlation-id"]
    assert made == reply.json()["correlation_id"]
    assert re.fullmatch(r"[A-Za-z0-9_=-]{10,}", made)


# Bad input: the right 4xx, naming the place, and never what was sent.

DEEP = b'{"arguments": {"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


def text(query: str) -> bytes:
    """Give a call of algolia with this JSON text as its query."""
    return b'{"arguments": {"index_name": "i", "query": ' + query.encode() + b"}}"


@pytest.mark.parametrize(
    ("body", "status", "code", "loc"),
    [
        (MARK.encode(), 400, "invalid_request", None),
        (b'{"arguments": ' + MARK.encode(), 400, "invalid_request", None),
        (f'["{MARK}"]'.encode(), 400, "invalid_request", None),
        (f'"{MARK}"'.encode(), 400, "invalid_request", None),
        (b"\xff\xfe\x00" + MARK.encode(), 400, "invalid_request", None),
        ({"arguments": MARK}, 422, "invalid_arguments", ["arguments"]),
        ({"arguments": [MARK]}, 422, "invalid_arguments", ["arguments"]),
        ({"setup": MARK}, 422, "invalid_setup", ["setup"]),
        ({"connection": [MARK]}, 400, "invalid_request", ["connection"]),
        ({"connection": f"../{MARK}"}, 404, "unknown_connection", ["connection"]),
        ({"arguments": ARGUMENTS, "connection": MARK}, 404, "unknown_connection", ["connection"]),
        ({"setup": SETUP, "connection": "default"}, 400, "invalid_request", ["setup"]),
        ({"argument": MARK}, 400, "invalid_request", ["argument"]),
        ({"arguments": {**ARGUMENTS, "limit": MARK}}, 422, "invalid_arguments", ["arguments", "limit"]),
        ({"arguments": {**ARGUMENTS, "page": MARK}}, 422, "invalid_arguments", ["arguments", "page"]),
        ({"arguments": {**ARGUMENTS, "page": True}}, 422, "invalid_arguments", ["arguments", "page"]),
        ({"arguments": {**ARGUMENTS, "query": {MARK: 1}}}, 422, "invalid_arguments", ["arguments", "query"]),
        ({"arguments": {"query": MARK}}, 422, "invalid_arguments", ["arguments", "index_name"]),
        ({"arguments": ARGUMENTS}, 424, "missing_setup", ["setup", "application_id"]),
        ({**SEARCH, "setup": {**SETUP, "region": MARK}}, 422, "invalid_setup", ["setup", "region"]),
        ({**SEARCH, "setup": {"api_key": MARK}}, 422, "invalid_setup", ["setup", "application_id"]),
        (text("NaN"), 400, "invalid_request", ["arguments", "query"]),
        (text("1e400"), 400, "invalid_request", ["arguments", "query"]),
        (text(r'"\ud800"'), 400, "invalid_request", ["arguments", "query"]),
        (text(rf'"{MARK}\u0000"'), 422, "invalid_arguments", ["arguments", "query"]),
        (DEEP, 400, "invalid_request", None),
    ],
)
def test_bad_input(bundle: Bundle, body: Any, status: int, code: str, loc: list[str] | None, service: Upstream) -> None:
    if isinstance(body, dict) and "arguments" in body and "setup" not in body and status == 422:
        body = {**body, "setup": SETUP}  # or the missing setup would be told first
    elif isinstance(body, bytes) and b'"index_name"' in body:
        body = body[:-1] + b', "setup": ' + json.dumps(SETUP).encode() + b"}"
    reply = bundle.call("algolia", body)
    problem = reply.json()
    assert (reply.status_code, problem["code"]) == (status, code)
    assert MARK not in reply.text
    assert MARK not in str(reply.headers)
    if loc:
        assert loc in [finding["loc"] for finding in problem["errors"]]
    assert service.requests == []


def test_no_body_is_an_empty_call(bundle: Bundle) -> None:
    reply = bundle.call("wikipedia", b"")
    assert (reply.status_code, reply.json()["errors"][0]["loc"]) == (422, ["arguments", "query"])


def test_body_limits(bundle: Bundle) -> None:
    megabyte = 1024 * 1024
    ours = bundle.call("wikipedia", b" " * (megabyte + 1))
    assert (ours.status_code, ours.json()["code"]) == (413, "payload_too_large")
    assert bundle.call("wikipedia", b" " * megabyte).status_code == 422
    for kind in ("application/json", "application/octet-stream"):
        reply = bundle.call("wikipedia", b" " * (6 * megabyte + 1), content_type=kind)
        assert (reply.status_code, reply.text) == (413, '{"message":"Request Entity Too Large"}')


# Routes.


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("POST", f"/execute/{MARK}", 404, "unknown_provider", None),
        ("POST", f"/execute/{MARK}/search", 404, "unknown_provider", None),
        ("POST", f"/execute/wikipedia/{MARK}", 404, "unknown_method", None),
        ("POST", f"/execute/wikipedia/search/{MARK}", 404, "not_found", None),
        ("POST", "/execute/wikipedia/", 404, "not_found", None),
        ("POST", "/execute/wikipedia/a%2Fb", 404, "unknown_method", None),
        ("POST", "/execute/wikipedia%2Fsearch", 404, "unknown_provider", None),
        ("GET", f"/integrations/{MARK}", 404, "unknown_provider", None),
        ("GET", f"/{MARK}?q={MARK}", 404, "not_found", None),
        ("GET", "/%ff%00%zz", 404, "not_found", None),
        ("GET", "//execute//wikipedia", 404, "not_found", None),
        ("GET", "/execute/wikipedia", 405, "method_not_allowed", "POST, OPTIONS"),
        ("PUT", "/execute/wikipedia/search", 405, "method_not_allowed", "POST, OPTIONS"),
        ("POST", "/integrations", 405, "method_not_allowed", "GET, OPTIONS"),
        ("DELETE", "/health", 405, "method_not_allowed", "GET, OPTIONS"),
    ],
)
def test_what_is_not_there(bundle: Bundle, method: str, path: str, status: int, code: str, allow: str | None) -> None:
    reply = bundle.ask(method, path)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers.get("allow") == allow
    assert reply.headers["x-correlation-id"] == reply.json()["correlation_id"]
    assert MARK not in reply.text


def test_the_catalog(bundle: Bundle) -> None:
    listed = bundle.ask("GET", "/integrations").json()
    assert [entry["provider"] for entry in listed] == sorted(
        path.parent.name for path in ROOT.glob("functions/*/provider.py")
    )
    assert bundle.ask("GET", "/integrations/algolia").json() == next(e for e in listed if e["provider"] == "algolia")


def test_the_tools(bundle: Bundle) -> None:
    every = bundle.ask("GET", "/tools?format=anthropic")
    assert every.status_code == 200
    assert {"algolia_search", "wikipedia_search"} <= {tool["name"] for tool in every.json()["tools"]}
    one = bundle.ask("GET", "/integrations/algolia/search/tool?format=anthropic")
    assert one.json() in every.json()["tools"]
    assert bundle.ask("GET", "/integrations/algolia/tool?format=anthropic").json() == one.json()
    assert one.json()["input_schema"]["required"] == ["index_name", "query"]
    chosen = bundle.ask("GET", "/tools?format=mcp&providers=wikipedia&providers=algolia&read_only=true&limit=1").json()
    assert (chosen["total"], [tool["name"] for tool in chosen["tools"]]) == (2, ["algolia_search"])
    later = bundle.ask("GET", f"/tools?format=mcp&providers=wikipedia,algolia&cursor={chosen['next_cursor']}").json()
    assert ([tool["name"] for tool in later["tools"]], later["next_cursor"]) == (["wikipedia_search"], None)


@pytest.mark.parametrize("path", ["/tools", "/integrations/algolia/tool", "/integrations/algolia", "/integrations"])
def test_what_has_not_changed_is_not_sent_again(bundle: Bundle, path: str) -> None:
    etag = bundle.ask("GET", path).headers["etag"]
    again = bundle.ask("GET", path, headers={"x-api-key": KEY, "if-none-match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert bundle.ask("GET", path, headers={"if-none-match": etag}).status_code == 403


def test_a_filter_that_is_not_understood_is_a_problem(bundle: Bundle) -> None:
    reply = bundle.ask("GET", f"/tools?providers={MARK}")
    assert (reply.status_code, reply.json()["errors"][0]["loc"]) == (400, ["query", "providers"])
    assert reply.headers["content-type"] == "application/problem+json"
    assert MARK not in reply.text


def test_a_call_as_a_strict_tool_sends_it(bundle: Bundle, service: Upstream) -> None:
    """Every key is there, and null means absent."""
    tool = bundle.ask("GET", "/integrations/algolia/tool?format=openai-responses").json()
    service.replies(script.json(FOUND))
    arguments = dict.fromkeys(tool["parameters"]["required"]) | ARGUMENTS
    assert bundle.call("algolia/search", {"setup": SETUP, "arguments": arguments}).status_code == 200
    assert service.last.json() == {"query": "phone", "hitsPerPage": 10, "page": 0}


def test_every_route_of_the_template_is_served() -> None:
    keys = {route.key for route in read_routes(ROOT / "template.yaml")}
    assert {"GET /health", "GET /integrations", "POST /execute/algolia/{method}", "$default"} <= keys


# Threads.


def test_a_slow_call_does_not_block_another(bundle: Bundle, service: Upstream) -> None:
    hanging = threading.Event()

    def answer(request: script.Request) -> script.Reply:
        if request.path.startswith("/1/indexes/slow/"):
            hanging.set()
            return script.slow(2, script.json(FOUND))
        return script.json(FOUND)

    service.route(answer)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(bundle.call, "algolia", {**SEARCH, "arguments": {**ARGUMENTS, "index_name": "slow"}})
        assert hanging.wait(5)
        assert bundle.call("algolia", SEARCH).status_code == 200
        assert not slow.done()
        assert slow.result().status_code == 200


def test_calls_at_once_are_not_mixed_up(bundle: Bundle, service: Upstream) -> None:
    service.route(lambda request: script.json({"hits": [], "query": request.json()["query"]}))

    def ask(number: int) -> tuple[str, str]:
        body = {**SEARCH, "arguments": {**ARGUMENTS, "query": f"q{number}"}}
        reply = bundle.call("algolia", body, x_correlation_id=f"c{number}")
        return reply.json()["metadata"]["query"], reply.headers["x-correlation-id"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [(f"q{number}", f"c{number}") for number in range(40)]


# The local store.


def key_sent(bundle: Bundle, service: Upstream) -> str:
    service.replies(script.json(FOUND))
    assert bundle.call("algolia", {"arguments": ARGUMENTS}).status_code == 200
    return service.last.headers["x-algolia-api-key"]


def put(bundle: Bundle, api_key: str) -> None:
    setup = json.dumps({**SETUP, "api_key": api_key})
    done = integrations(bundle.home, "secrets", "put", "algolia", stdin=setup)
    assert done.returncode == 0, done.stderr


def test_what_another_process_stores_is_seen_and_survives(tmp_path: Path) -> None:
    with Upstream() as service:
        with serving(tmp_path, ALGOLIA_BASE_URL=service.url) as bundle:
            assert bundle.call("algolia", {"arguments": ARGUMENTS}).json()["code"] == "missing_setup"
            put(bundle, "first-key-0123456789")
            assert key_sent(bundle, service) == "first-key-0123456789"
            put(bundle, "second-key-0123456789")
            assert key_sent(bundle, service) == "second-key-0123456789"
            assert integrations(bundle.home, "secrets", "rm", "algolia").returncode == 0
            assert bundle.call("algolia", {"arguments": ARGUMENTS}).json()["code"] == "missing_setup"
            put(bundle, "third-key-0123456789")
            assert "key-0123456789" not in bundle.server.output()
        with serving(tmp_path, ALGOLIA_BASE_URL=service.url) as bundle:
            assert key_sent(bundle, service) == "third-key-0123456789"
            assert "key-0123456789" not in bundle.server.output()


def test_a_stored_connection_pins_arguments(tmp_path: Path) -> None:
    with Upstream() as service, serving(tmp_path, ALGOLIA_BASE_URL=service.url) as bundle:
        value = json.dumps({"setup": SETUP, "arguments": {"index_name": "allowed"}})
        assert (
            integrations(bundle.home, "secrets", "put", "algolia", "--connection", "shop", stdin=value).returncode == 0
        )
        service.replies(script.json(FOUND))
        assert bundle.call("algolia", {"arguments": ARGUMENTS, "connection": "shop"}).status_code == 200
        assert service.last.path == "/1/indexes/allowed/query"


def test_keys_of_another_process_are_seen_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as bundle:
        made = integrations(bundle.home, "keys", "create").stdout.strip()

        def status(key: str) -> int:
            return bundle.ask("GET", "/integrations", headers={"x-api-key": key}).status_code

        assert (status(made), status(KEY)) == (200, 200)
        assert integrations(bundle.home, "keys", "revoke", made.partition(".")[0]).returncode == 0
        assert (status(made), status(KEY)) == (403, 200)
        stored = (bundle.home / "secrets.json").read_text()
        assert made.partition(".")[2] not in stored
        assert KEY.partition(".")[0] + '"' not in stored, "the key of a run is not stored"


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    done = integrations(tmp_path, "serve", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is damaged; delete it" in done.stderr
    assert "Traceback" not in done.stderr


# The process.


def test_standard_output_is_three_lines_and_the_third_one_works(tmp_path: Path) -> None:
    with Upstream() as service, running(tmp_path, WIKIPEDIA_BASE_URL=service.url) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3)]
        url = lines[0].removeprefix("ready ").strip()
        key = lines[1].removeprefix("key ").strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert re.fullmatch(r"[0-9a-f]{12}\.[A-Za-z0-9_-]{43}", key), "256 bits"
        service.replies(script.json({"batchcomplete": True, "query": {"pages": []}}))
        # Sent word for word as the shell would hand it to curl.
        command, _, address, *options = shlex.split(lines[2])
        headers = dict(options[i + 1].split(": ", 1) for i in range(len(options)) if options[i] == "-H")
        reply = httpx.post(address, headers=headers, content=options[-1], trust_env=False)
        assert (command, reply.status_code, reply.json()) == ("curl", 200, {"documents": [], "skipped": []})
        process.terminate()
        out, log = process.communicate(timeout=PATIENCE)
    assert out == ""
    assert [json.loads(line)["outcome"] for line in log.splitlines()] == ["ok"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_without_a_trace(tmp_path: Path, number: signal.Signals) -> None:
    with Upstream() as service, running(tmp_path, WIKIPEDIA_BASE_URL=service.url) as process:
        assert process.stdout
        url = process.stdout.readline().split()[1]
        key = process.stdout.readline().split()[1]
        asked = threading.Event()

        def hang(_: script.Request) -> script.Reply:
            asked.set()
            return script.hang()

        # The second request is made by a thread of a pool, which Python waits for when it ends in the usual way.
        service.replies(script.json({"query": {"pages": [{"title": "Tea", "pageid": 1, "index": 1}]}}), hang)

        def call() -> None:
            with contextlib.suppress(httpx.HTTPError):
                body = {"arguments": {"query": "tea"}}
                httpx.post(
                    f"{url}/execute/wikipedia", headers={"x-api-key": key}, json=body, timeout=20, trust_env=False
                )

        caller = threading.Thread(target=call)
        caller.start()
        assert asked.wait(10), "a call is under way"
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - started < 1
        caller.join()
        assert process.stderr
        assert "Traceback" not in process.stderr.read()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))).close()


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        done = integrations(tmp_path, "serve", "--port", str(held.getsockname()[1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("key", ["nodot", "x.", "é.x"])
def test_a_key_that_is_none_is_a_usage_error(tmp_path: Path, key: str) -> None:
    done = integrations(tmp_path, "serve", "--port", "0", "--key", key)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ID.SECRET" in done.stderr


def test_the_key_of_a_run_is_in_a_file_of_its_own_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "store" / "key"
    path.parent.mkdir()
    path.write_text("left behind by a server that was killed")
    path.chmod(0o644)
    with serving(tmp_path) as bundle:
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (f"{KEY}\n", 0o600)
        assert not (bundle.home / "secrets.json").exists(), "the store keeps no key of a run"
        with serving(tmp_path, key=None) as later:
            assert path.read_text().strip() == later.key
            bundle.server.process.terminate()
            assert bundle.server.process.wait(PATIENCE) == 0
            assert path.read_text().strip() == later.key, "the other server's key stays"
        assert not path.exists()


def test_what_the_shell_says_about_aws_is_not_used(tmp_path: Path) -> None:
    """A profile, an endpoint or a proxy of the shell would lead elsewhere than to the store."""
    foreign = {
        "AWS_PROFILE": "production",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:9",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_CA_BUNDLE": "/nowhere",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "no_proxy": "example.com",
    }
    with serving(tmp_path, **foreign) as bundle:
        assert bundle.ask("GET", "/integrations").status_code == 200


@contextlib.contextmanager
def running(home: Path, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """Run `integrations serve` with its two streams apart."""
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"],
        cwd=ROOT,
        env=environment(home, **changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# The events, as API Gateway makes them. The function behind the routes here hands the event back.

ECHO = Function("EchoFunction", "echo", "echo", "handler", 29, 256)
GUARD = Function("GuardFunction", "guard", "guard", "handler", 9, 256)


def route(method: str, path: str, authorizer: Function | None = None) -> Route:
    key = path if path == "$default" else f"{method} {path}"
    return Route(key, method, () if path == "$default" else tuple(path[1:].split("/")), ECHO, authorizer)


@contextlib.contextmanager
def gateway(run: Callable[[Function, Event], Any], *routes: Route) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, Gateway(list(routes), run), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def echoed(method: str, path: str, **content: Any) -> Any:
    routes = [route("ANY", "/{first}/{rest+}"), route("ANY", "$default")]
    with gateway(lambda _, event: event, *routes) as url:
        return httpx.request(method, url + path, trust_env=False, **content).json()


def test_the_event_of_a_request() -> None:
    event = echoed(
        "POST",
        "/caf%C3%A9/a%2Fb/c?x=1&y=%20&x=2&empty=",
        headers=[
            ("X-Many", "a"),
            ("x-many", "b"),
            ("Cookie", "k=v; l=w"),
            ("User-Agent", "me"),
            ("Host", "api.test:1"),
        ],
        json={"q": "ü"},
    )
    now = time.time() * 1000
    context = event["requestContext"]
    assert {name: event[name] for name in ("version", "routeKey", "rawPath", "rawQueryString", "cookies", "body")} == {
        "version": "2.0",
        "routeKey": "ANY /{first}/{rest+}",
        "rawPath": "/café/a/b/c",
        "rawQueryString": "x=1&y=%20&x=2&empty=",
        "cookies": ["k=v", "l=w"],
        "body": '{"q":"ü"}',
    }
    assert event["isBase64Encoded"] is False
    assert event["queryStringParameters"] == {"x": "1,2", "y": " ", "empty": ""}
    assert event["pathParameters"] == {"first": "café", "rest": "a/b/c"}
    assert event["headers"]["x-many"] == "a,b"
    assert event["headers"]["content-type"] == "application/json"
    assert "cookie" not in event["headers"]
    assert {"x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"} <= set(event["headers"])
    assert all(name == name.lower() for name in event["headers"])
    assert context["http"] == {
        "method": "POST",
        "path": "/café/a/b/c",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "me",
    }
    assert (context["routeKey"], context["stage"]) == ("ANY /{first}/{rest+}", "$default")
    assert context["requestId"]
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context["time"])
    assert abs(context["timeEpoch"] - now) < 60_000
    assert "authorizer" not in context


def test_what_a_request_does_not_have_is_absent() -> None:
    event = echoed("GET", "/")
    assert not {"cookies", "queryStringParameters", "pathParameters", "body"} & set(event)
    assert (event["rawQueryString"], event["isBase64Encoded"], event["routeKey"]) == ("", False, "$default")


@pytest.mark.parametrize(
    ("kind", "body", "in_base64"),
    [
        ("application/json", b"{}", False),
        ("application/json; charset=utf-8", b"{}", False),
        ("text/csv", b"a,b", False),
        ("application/xml", b"<a/>", False),
        ("application/json", b"\xff", True),
        ("application/octet-stream", b"abc", True),
        ("application/x-www-form-urlencoded", b"a=b", True),
        ("image/png", b"\x89PNG", True),
    ],
)
def test_what_is_not_text_is_in_base64(kind: str, body: bytes, *, in_base64: bool) -> None:
    event = echoed("PUT", "/", headers={"content-type": kind}, content=body)
    assert event["isBase64Encoded"] is in_base64
    assert (base64.b64decode(event["body"]) if in_base64 else event["body"].encode()) == body


@pytest.mark.parametrize(
    ("result", "status", "headers", "body"),
    [
        ({"plain": True}, 200, {"content-type": "application/json"}, '{"plain": true}'),
        ("text", 200, {"content-type": "application/json"}, "text"),
        ({"statusCode": 201, "headers": {"X-A": "1"}, "body": "x"}, 201, {"x-a": "1"}, "x"),
        ({"statusCode": 200, "body": "eA==", "isBase64Encoded": True}, 200, {}, "x"),
        ({"statusCode": 200, "cookies": ["a=b", "c=d"], "body": ""}, 200, {"set-cookie": "a=b, c=d"}, ""),
        ({"statusCode": "no"}, 500, {}, '{"message":"Internal Server Error"}'),
        ({1, 2}, 500, {}, '{"message":"Internal Server Error"}'),
    ],
)
def test_the_response_of_a_result(result: Any, status: int, headers: dict[str, str], body: str) -> None:
    with gateway(lambda *_: result, route("ANY", "$default")) as url:
        reply = httpx.get(url, trust_env=False)
    assert (reply.status_code, reply.text) == (status, body)
    assert headers.items() <= dict(reply.headers).items()


def test_a_function_that_raises(capsys: pytest.CaptureFixture[str]) -> None:
    def run(function: Function, event: Event) -> Any:
        raise RuntimeError(f"{function.name} is broken")

    with gateway(run, route("ANY", "$default")) as url:
        reply = httpx.get(url, trust_env=False)
    assert (reply.status_code, reply.text) == (500, '{"message":"Internal Server Error"}')
    assert "echo is broken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        ({"isAuthorized": True, "context": {"keyId": "me"}}, 200),
        ({"isAuthorized": False}, 403),
        ({"isAuthorized": "true"}, 403),
        ({}, 500),
        (None, 500),
    ],
)
def test_the_authorizer_is_asked_about_the_request(verdict: Any, status: int) -> None:
    asked: list[Event] = []

    def run(function: Function, event: Event) -> Any:
        if function is GUARD:
            asked.append(event)
            return verdict
        return event

    with gateway(run, route("POST", "/a/{b}", GUARD)) as url:
        reply = httpx.post(f"{url}/a/x?q=1", content=b"secret", headers={"x-api-key": "k"}, trust_env=False)
    [question] = asked
    assert reply.status_code == status
    assert (question["version"], question["type"], question["identitySource"]) == ("2.0", "REQUEST", None)
    assert question["routeArn"].endswith("/$default/POST/a/x")
    assert (question["routeKey"], question["headers"]["x-api-key"]) == ("POST /a/{b}", "k")
    assert not {"body", "isBase64Encoded"} & set(question)
    if status == 200:
        assert reply.json()["requestContext"]["authorizer"] == {"lambda": {"keyId": "me"}}
    else:
        assert reply.json() == {"message": {403: "Forbidden", 500: "Internal Server Error"}[status]}


def test_no_route_at_all() -> None:
    with gateway(lambda *_: None, route("GET", "/a")) as url:
        reply = httpx.get(f"{url}/b", trust_env=False)
    assert (reply.status_code, reply.text) == (404, '{"message":"Not Found"}')


ROUTES = [
    route("ANY", "$default"),
    route("ANY", "/{all+}"),
    route("GET", "/pets/{rest+}"),
    route("ANY", "/pets/{name}"),
    route("GET", "/pets/{name}"),
    route("GET", "/pets/dog"),
    route("GET", "/{kind}/dog"),
    route("GET", "/pets/{name}/tool"),
    route("GET", "/farm/{rest+}"),
    route("GET", "/{kind}/barn"),
    route("GET", "/pets/{name}/{part}"),
]


@pytest.mark.parametrize(
    ("method", "path", "key", "values"),
    [
        ("GET", "pets/dog", "GET /pets/dog", {}),
        ("GET", "pets/cat", "GET /pets/{name}", {"name": "cat"}),
        ("PUT", "pets/dog", "ANY /pets/{name}", {"name": "dog"}),
        ("GET", "cars/dog", "GET /{kind}/dog", {"kind": "cars"}),
        ("GET", "farm/barn", "GET /{kind}/barn", {"kind": "farm"}),
        ("GET", "farm/barn/door", "GET /farm/{rest+}", {"rest": "barn/door"}),
        ("GET", "pets/dog/tool", "GET /pets/{name}/tool", {"name": "dog"}),
        ("GET", "pets/dog/ear", "GET /pets/{name}/{part}", {"name": "dog", "part": "ear"}),
        ("GET", "pets/a/b/c", "GET /pets/{rest+}", {"rest": "a/b/c"}),
        ("PUT", "pets/a/b", "ANY /{all+}", {"all": "pets/a/b"}),
        ("GET", "pets/", "ANY /{all+}", {"all": "pets/"}),
        ("GET", "", "$default", {}),
    ],
)
def test_the_most_specific_route_is_taken(method: str, path: str, key: str, values: dict[str, str]) -> None:
    found = match(ROUTES, method, path.split("/"))
    assert found
    assert (found[0].key, found[1]) == (key, values)
