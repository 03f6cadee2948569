"""One gateway for `serve` and `serve --runtime`: the same cases through both, and what only the gateway shows."""

import contextlib
import json
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server

from devtools import keys
from devtools.built import BuiltFunctions
from devtools.cors import Cors
from devtools.errors import CommandError
from devtools.gateway import Event, Gateway, Run
from devtools.local import FunctionError, Functions
from devtools.project import TEMPLATE
from devtools.runtime_api import Environment, variables
from devtools.store import LocalStore
from devtools.template import Function, Route, read_cors, read_routes
from tests.support.artifact import lambda_python
from tests.support.http_cases import BUNDLE, FOUND, PROBE, START_API_DIFFERS, by_name
from tests.support.processes import ends
from tests.support.serving import KEY, ROOT, Bundle, integrations, serving
from tests.support.upstream import Upstream

PROBE_TEMPLATE = ROOT / "tests/support/probe/template.yaml"
ORIGIN = "https://page.example"


# The bundle.


@pytest.fixture(scope="module", params=["serve", "serve --runtime"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """The command; with --runtime, on what was built."""
    options: tuple[str, ...] = ()
    if request.param == "serve --runtime":
        options = ("--runtime", "--build-dir", str(request.getfixturevalue("built")))
    with Upstream() as service, serving(tmp_path_factory.mktemp("serve"), *options, ALGOLIA_BASE_URL=service.url) as it:
        service.route(lambda _: FOUND)
        yield it


@pytest.mark.parametrize("name", by_name(BUNDLE))
def test_the_bundle_answers(bundle: Bundle, name: str) -> None:
    case = by_name(BUNDLE)[name]
    reply = case.send(bundle.client, bundle.url)
    assert case.differences(reply) == [], bundle.server.output()[-2000:]


def test_a_key_is_closed_at_once_and_a_stored_connection_is_seen(bundle: Bundle) -> None:
    made = keys.generate()
    store = LocalStore(bundle.home)
    store.update("api-keys", lambda value: keys.added(value, keys.record(made)))
    assert bundle.ask("GET", "/integrations", headers={"x-api-key": made}).status_code == 200
    store.update("api-keys", lambda value: keys.without(value, made.partition(".")[0]))
    assert bundle.ask("GET", "/integrations", headers={"x-api-key": made}).status_code == 403
    arguments = {"arguments": {"index_name": "products", "query": "phone"}}
    assert bundle.call("algolia", arguments).json()["code"] == "missing_setup"
    setup = json.dumps({"application_id": "TESTAPP", "api_key": "search-key-0123456789"})
    assert integrations(bundle.home, "secrets", "put", "algolia", stdin=setup).returncode == 0
    assert bundle.call("algolia", arguments).status_code == 200
    assert integrations(bundle.home, "secrets", "rm", "algolia").returncode == 0


def test_a_named_stage_starts_every_path_and_pages_of_an_origin_are_answered(tmp_path: Path) -> None:
    with serving(tmp_path, "--stage", "dev", INTEGRATIONS_CORS_ORIGINS=f"https://other.example, {ORIGIN}") as bundle:
        root = bundle.url.removesuffix("/dev")
        assert bundle.url == f"{root}/dev"
        assert bundle.ask("GET", "/health").status_code == 200
        assert bundle.ask("GET", "/integrations/algolia").json()["provider"] == "algolia"
        assert httpx.get(f"{root}/health", trust_env=False).text == '{"message":"Not Found"}'
        made = keys.generate()
        entry = keys.record(made, scopes=["algolia"])
        LocalStore(bundle.home).update("api-keys", lambda value: keys.added(value, entry))
        limited = bundle.ask("GET", "/integrations/wikipedia", headers={"x-api-key": made})
        assert (limited.status_code, limited.text) == (403, '{"message":"Forbidden"}'), "the door knows the provider"

        asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
        allowed = bundle.ask("OPTIONS", "/execute/wikipedia", headers=asks)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert "x-api-key" in allowed.headers["access-control-allow-headers"].split(",")
        assert allowed.headers["access-control-allow-methods"] == "GET,POST"
        foreign = bundle.ask("OPTIONS", "/execute/wikipedia", headers={**asks, "origin": "https://evil.example"})
        assert not [name for name in foreign.headers if name.startswith("access-control-")]
        read = bundle.ask("GET", "/integrations", headers={"origin": ORIGIN, "x-api-key": KEY})
        assert "etag" in read.headers["access-control-expose-headers"].split(",")
        refused = bundle.ask("GET", "/integrations", headers={"origin": ORIGIN})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (403, ORIGIN)


def test_without_origins_no_page_is_answered(bundle: Bundle) -> None:
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    reply = bundle.ask("OPTIONS", "/execute/wikipedia", headers=asks)
    assert reply.status_code == 403
    assert not [name for name in reply.headers if name.startswith("access-control-")]


# What can be built and not run is told before anything is served.


def test_nothing_built_is_told(tmp_path: Path) -> None:
    done = integrations(tmp_path, "serve", "--port", "0", "--runtime", "--build-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"There is nothing built; run `make build ARCHITECTURE=\w+`", done.stderr)


def fake_build(folder: Path, machine: str) -> Path:
    (folder / "CommonLayer/python/pydantic_core").mkdir(parents=True)
    (folder / f"CommonLayer/python/pydantic_core/_core.cpython-313-{machine}-linux-gnu.so").touch()
    (folder / "template.yaml").write_text("Resources: {}\n")
    return folder


def test_a_build_for_another_machine_is_told(tmp_path: Path) -> None:
    other = "x86_64" if platform.machine() == "aarch64" else "aarch64"
    with pytest.raises(CommandError, match=r"What is built is for \w+ and this machine is \w+; run `make build ARCH"):
        BuiltFunctions(fake_build(tmp_path, other))


def test_a_build_older_than_the_sources_is_told(tmp_path: Path) -> None:
    folder = fake_build(tmp_path, "x86_64")
    os.utime(folder / "template.yaml", (1, 1))
    with pytest.raises(CommandError, match="older than the sources; run `make build"):
        BuiltFunctions(folder)


# The stack that shows what a gateway does.


@contextlib.contextmanager
def behind_the_runtime(log: Path) -> Iterator[Run]:
    """Run the functions of the stack as processes; one that has ended is started again, as Lambda does it."""
    code, python = PROBE_TEMPLATE.parent, lambda_python()
    running: dict[str, Environment] = {}

    def run(function: Function, event: Event) -> Any:
        environment = running.get(function.logical_id)
        if environment is None or not environment.alive:
            handler = f"app.{function.attribute}"
            lambdas = variables(function.logical_id, code, [ROOT / ".venv/runtime"])
            environment = Environment(handler, python=python, code=code, variables=lambdas, log=log)
            running[function.logical_id] = environment
        result = environment.invoke(event, function.timeout)
        if result.failed:
            raise FunctionError(result.payload["errorType"])
        return result.payload

    yield run
    for environment in running.values():
        environment.close()


@contextlib.contextmanager
def served(gateway: Gateway) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, gateway, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module", params=["in process", "runtime"])
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        run: Run = Functions().run
        if request.param == "runtime":
            run = stack.enter_context(behind_the_runtime(tmp_path_factory.mktemp("probe") / "log"))
        yield stack.enter_context(served(Gateway(read_routes(PROBE_TEMPLATE), run)))


@pytest.mark.parametrize("name", by_name(PROBE))
def test_the_gateway_answers(probe: str, name: str, request: pytest.FixtureRequest) -> None:
    if name == "a function that ends" and request.node.callspec.params["probe"] == "in process":
        name = "a function that raises"  # there it would end the tests, as it would end `serve`
    case = by_name(PROBE)[name]
    with httpx.Client(trust_env=False, timeout=20) as client:
        assert case.differences(case.send(client, probe)) == []


def test_an_answer_that_differs_is_noticed() -> None:
    case = by_name(BUNDLE)["no key"]
    wrong = httpx.Response(200, headers={"content-type": "text/plain"}, text="{}")
    assert case.differences(wrong) == ["status 200", "body {}", "header content-type: text/plain"]


# What no function can show.

ECHO = Function("EchoFunction", "echo", "echo", "handler", 29, 256)


def route(function: Function = ECHO, method: str = "GET", path: str = "/a") -> Route:
    return Route(f"{method} {path}", method, tuple(path[1:].split("/")), function, None)


def ask(gateway: Gateway, method: str = "GET", path: str = "/a", **content: Any) -> httpx.Response:
    with served(gateway) as url:
        return httpx.request(method, url + path, trust_env=False, **content)


def test_a_function_that_may_take_longer_than_an_http_api_waits() -> None:
    ended = threading.Event()

    def run(function: Function, event: Event) -> Any:
        ended.wait(10)
        return {}

    reply = ask(Gateway([route()], run, patience=0.2))
    ended.set()
    assert (reply.status_code, reply.text) == (503, '{"message":"Service Unavailable"}')


def test_a_handler_that_takes_longer_than_its_function_may() -> None:
    slow = Function("SleepFunction", "sleep", "tests.support.probe.app", "sleep", 0.2, 128)
    started = time.monotonic()
    with pytest.raises(FunctionError, match=r"Task timed out after 0\.20 seconds"):
        Functions().run(slow, {})
    assert time.monotonic() - started < 2


def test_the_event_counts_and_not_the_body_alone() -> None:
    """A body of bytes grows by a third in base64, and its event may be too large where the body is not."""
    sizes: list[int] = []

    def run(function: Function, event: Event) -> Any:
        sizes.append(len(event["body"]))
        return {}

    gateway = Gateway([route(method="PUT")], run)
    for size, status in ((5_000_000, 413), (4_000_000, 200)):
        assert ask(gateway, "PUT", content=b"\xff" * size).status_code == status
    assert sizes == [5_333_336]


PREFLIGHT = {"origin": ORIGIN, "access-control-request-method": "GET"}


def with_cors(*origins: str, run: Callable[..., Any] = lambda *_: {"statusCode": 200, "body": "x"}) -> Gateway:
    return Gateway([route()], run, cors=Cors(origins, read_cors(TEMPLATE)))


def test_a_preflight_that_no_route_takes_is_answered_by_the_gateway() -> None:
    reply = ask(with_cors(ORIGIN), "OPTIONS", headers=PREFLIGHT)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (204, ORIGIN)
    assert reply.headers["access-control-max-age"] == "600"
    assert "access-control-expose-headers" not in reply.headers
    assert ask(with_cors(ORIGIN), "OPTIONS", headers={"origin": ORIGIN}).status_code == 404, "it asks for nothing"


@pytest.mark.parametrize(
    ("origins", "origin", "answered"),
    [
        ((ORIGIN,), ORIGIN, ORIGIN),
        (("https://other.example", ORIGIN), ORIGIN, ORIGIN),
        (("*",), ORIGIN, "*"),
        (("https://*",), ORIGIN, ORIGIN),
        (("https://*",), "http://page.example", None),
        ((ORIGIN,), f"{ORIGIN}.evil.example", None),
        ((ORIGIN,), None, None),
    ],
)
def test_the_origins_that_are_answered(origins: tuple[str, ...], origin: str | None, answered: str | None) -> None:
    reply = ask(with_cors(*origins), headers={"origin": origin} if origin else {})
    assert (reply.status_code, reply.headers.get("access-control-allow-origin")) == (200, answered)


def test_what_a_function_says_about_other_origins_is_dropped_where_the_api_does() -> None:
    def run(function: Function, event: Event) -> Any:
        return {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://evil.example"}, "body": ""}

    assert "access-control-allow-origin" not in ask(with_cors(ORIGIN, run=run)).headers
    assert ask(Gateway([route()], run)).headers["access-control-allow-origin"] == "https://evil.example"


# One environment, as Lambda has it.


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Environment]]:
    running: list[Environment] = []

    def environment(source: str, **changes: str) -> Environment:
        (tmp_path / "app.py").write_text(source)
        lambdas = variables("it", tmp_path, [ROOT / ".venv/runtime"]) | changes
        running.append(
            Environment("app.handler", python=lambda_python(), code=tmp_path, variables=lambdas, log=tmp_path / "log")
        )
        return running[-1]

    yield environment
    for environment_ in running:
        environment_.close()


def test_a_function_that_cannot_be_loaded_is_told_by_name(start: Callable[..., Environment]) -> None:
    environment = start("import nowhere_to_be_found\n")
    result = environment.invoke({})
    assert (result.failed, result.payload["errorType"]) == (True, "Runtime.ImportModuleError")
    assert "nowhere_to_be_found" in result.payload["errorMessage"]
    assert environment.invoke({}).failed, "it is not asked again"
    with pytest.raises(RuntimeError, match="nowhere_to_be_found"):
        _ = environment.init_seconds


def test_a_function_that_takes_too_long_is_ended_with_what_it_has_started(start: Callable[..., Environment]) -> None:
    source = """
import subprocess, time
def handler(event, context):
    print("pid", subprocess.Popen(["sleep", "60"]).pid, flush=True)
    time.sleep(60)
"""
    environment = start(source)
    assert environment.init_seconds < 30
    result = environment.invoke({}, seconds=1)
    assert result.payload["errorType"] == "Sandbox.Timedout"
    assert result.payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert not environment.alive
    child = re.search(r"pid (\d+)", environment.output())
    assert child
    assert ends(int(child[1]))


def test_a_large_event_and_a_large_result_pass(start: Callable[..., Environment]) -> None:
    environment = start("def handler(event, context):\n    return event\n")
    event = {"text": "\u00fc" * 700_000}
    for _ in range(2):
        result = environment.invoke(event)
        assert (result.failed, result.payload) == (False, event)


def test_a_function_that_ends_is_told(start: Callable[..., Environment]) -> None:
    result = start("import os\ndef handler(event, context):\n    os._exit(3)\n").invoke({})
    assert result.payload["errorType"] == "Runtime.ExitError"
    assert result.payload["errorMessage"].endswith("Runtime exited with error: exit status 3")


# Where SAM's own gateway is another one.


def test_the_page_lists_where_start_api_differs() -> None:
    page = (ROOT / "docs/sam-local.md").read_text(encoding="utf-8").partition("| case |")[2]
    assert dict(re.findall(r"^\| (?!---)([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)) == START_API_DIFFERS
    assert by_name([*BUNDLE, *PROBE]).keys() > START_API_DIFFERS.keys()
