"""The `integrations` command, as a person runs it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from devtools.cli import main
from devtools.project import load_provider
from devtools.tools import FORMATS
from tests.support import upstream as script
from tests.support.calls import aimed_at
from tests.support.serving import KEY, ROOT, copy_of_the_checkout, in_copy, integrations, serving
from tests.support.upstream import Upstream, refused_url

SETUP = {"application_id": "TESTAPP", "api_key": "search-key-0123456789"}
CALL = {"setup": SETUP, "arguments": {"index_name": "products", "query": "phone"}}
PROVIDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/provider.py"))
FOUND = {"hits": [{"name": "Phöne"}], "query": "phone"}


@pytest.fixture
def event(tmp_path: Path) -> str:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(CALL))
    return str(path)


def leaves(command: click.Command, *names: str) -> Iterator[tuple[str, ...]]:
    """Name every command that does something."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, *names, name)
    else:
        yield names


COMMANDS = sorted(leaves(main))


def test_the_commands_are_those_that_are_documented() -> None:
    assert {" ".join(names) for names in COMMANDS} == {
        "serve", "invoke", "asl", "new", "sync", "tools", "doctor",
        "secrets put", "secrets get", "secrets list", "secrets rm",
        "keys create", "keys list", "keys revoke",
    }  # fmt: skip


@pytest.mark.parametrize("names", [(), ("secrets",), ("keys",), *COMMANDS], ids=" ".join)
def test_help(names: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*names, "--help"])
    assert done.exit_code == 0
    assert done.output.startswith("Usage: ")
    assert "\\b" not in done.output
    assert len(done.output.splitlines()) >= 5


@pytest.mark.parametrize("name", FORMATS)
def test_tools_are_printed_in_a_format(tmp_path: Path, name: str) -> None:
    done = integrations(tmp_path, "tools", *(["--format", name] if name != "openai" else []))
    written = json.loads((ROOT / f"functions/registry/tools/{name}.json").read_text())
    loose = [tool for tool, definition in written.items() if definition.get("strict") is False]
    assert [
        line.partition(": strict is false; any keys are taken at ")[0] for line in done.stderr.splitlines()
    ] == loose
    assert done.returncode == 0
    assert json.loads(done.stdout) == [*written.values()]
    assert len(written) >= 2


def test_an_unknown_format_is_a_usage_error(tmp_path: Path) -> None:
    done = integrations(tmp_path, "tools", "--format", "cohere")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'openai-responses'" in done.stderr


def test_a_tool_that_cannot_be_strict_is_named(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path)
    path = checkout / "functions/wikipedia/provider.py"
    path.write_text(
        path.read_text().replace(
            "    limit: int = Field(\n",
            '    more: dict[str, Any] = Field({}, description="More.")\n    limit: int = Field(\n',
            1,
        )
    )
    done = in_copy(checkout, "devtools.cli", "tools", "--format", "openai-responses")
    assert "wikipedia_search: strict is false; any keys are taken at arguments.more" in done.stderr.splitlines()
    assert {tool["name"]: tool["strict"] for tool in json.loads(done.stdout)}["wikipedia_search"] is False


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    done = integrations(tmp_path, "serv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'serv'" in done.stderr


# invoke, in this process.


def test_output_is_on_standard_output_and_the_log_is_not(tmp_path: Path, upstream: Upstream, event: str) -> None:
    upstream.replies(script.json(FOUND))
    done = integrations(tmp_path, "invoke", "algolia.search", "-e", event, ALGOLIA_BASE_URL=upstream.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hits"] == FOUND["hits"]
    assert "Phöne" in done.stdout, "as it is, not escaped"
    assert done.stdout.startswith('{\n  "'), "for a person to read"
    [line] = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["message"], line["outcome"]) == ("call", "ok")
    assert "search-key" not in done.stderr


def test_what_an_argument_means(tmp_path: Path, upstream: Upstream, event: str) -> None:
    upstream.replies(script.json(FOUND))
    (tmp_path / "filter.txt").write_text("brand:acme\n")
    pairs = ['query="2024"', "page=3", 'facets=["brand"]', "index_name=a=b c", f"filters=@{tmp_path}/filter.txt"]
    options = [option for pair in pairs for option in ("-a", pair)]
    done = integrations(tmp_path, "invoke", "algolia", "-e", event, *options, ALGOLIA_BASE_URL=upstream.url)
    assert done.returncode == 0, done.stderr
    assert upstream.last.path == "/1/indexes/a%3Db%20c/query"
    sent = upstream.last.json()
    assert (sent["query"], sent["page"], sent["facets"], sent["filters"]) == ("2024", 3, ["brand"], "brand:acme\n")


def test_a_file_that_is_no_text_is_sent_in_base64(tmp_path: Path, upstream: Upstream, event: str) -> None:
    upstream.replies(script.json(FOUND))
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    argument = f"filters=@{tmp_path}/picture"
    done = integrations(tmp_path, "invoke", "algolia", "-e", event, "-a", argument, ALGOLIA_BASE_URL=upstream.url)
    assert done.returncode == 0, done.stderr
    assert upstream.last.json()["filters"] == "//4A"


@pytest.mark.parametrize("text", ["NaN", "[" * 4000])
def test_what_is_not_json_is_text(tmp_path: Path, upstream: Upstream, event: str, text: str) -> None:
    upstream.replies(script.json(FOUND))
    argument = f"filters={text}"
    done = integrations(tmp_path, "invoke", "algolia", "-e", event, "-a", argument, ALGOLIA_BASE_URL=upstream.url)
    assert done.returncode == 0, done.stderr
    assert upstream.last.json()["filters"] == text


def test_the_event_may_come_from_standard_input(tmp_path: Path, upstream: Upstream) -> None:
    upstream.replies(script.json(FOUND))
    given = json.dumps({**CALL, "method": "search"})
    done = integrations(tmp_path, "invoke", "algolia", "-e", "-", stdin=given, ALGOLIA_BASE_URL=upstream.url)
    assert done.returncode == 0, done.stderr


# One of each provider: that every event fits its method is tested for all, and costs no process.
EVENTS = {path.stem.partition(".")[0]: path for path in sorted((ROOT / "events").glob("*.json"))}


@pytest.mark.parametrize("path", EVENTS.values(), ids=lambda path: path.stem)
def test_the_events_of_the_project_are_calls(tmp_path: Path, path: Path) -> None:
    name, _, method = path.stem.partition(".")
    provider = load_provider(name)
    if not provider.methods[method].open_world:
        done = integrations(tmp_path, "invoke", provider.name, "-e", str(path))
        assert (done.returncode, isinstance(json.loads(done.stdout), dict)) == (0, True), done.stderr
        return
    with refused_url() as url:
        event, changes = aimed_at(provider, json.loads(path.read_text()), url)
        (tmp_path / "event.json").write_text(json.dumps(event))
        done = integrations(tmp_path, "invoke", provider.name, "-e", str(tmp_path / "event.json"), **changes)
    assert done.returncode == 1
    assert '"code": "upstream_unreachable"' in done.stderr, "it got as far as the service"


def test_a_failure_is_a_problem_on_standard_error(tmp_path: Path) -> None:
    done = integrations(tmp_path, "invoke", "algolia.search", "-a", "index_name=i", "-a", "query=q")
    assert (done.returncode, done.stdout) == (1, "")
    problem = json.loads(done.stderr[done.stderr.index("{\n") :])
    assert (problem["code"], problem["status"]) == ("missing_setup", 424)
    assert "integrations secrets put algolia" in problem["detail"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], f"There is no provider of that name; there are: {', '.join(PROVIDERS)}"),
        (["registry"], "There is no provider of that name"),
        (["../algolia"], "There is no provider of that name"),
        (["algolia", "-a", "query"], "An argument is KEY=VALUE"),
        (["algolia", "-a", "=x"], "An argument is KEY=VALUE"),
        (
            ["algolia", "-a", "query=@/no/such/file"],
            "query: the file /no/such/file cannot be read (No such",
        ),
        (["algolia", "-e", "/no/such/file"], "No such file"),
        (["algolia", "-e", "TEXT"], "The event is not JSON"),
        (["algolia", "-e", "LIST"], "The event is not an object"),
        (["algolia", "-e", "NOARGUMENTS", "-a", "x=1"], "`arguments` of the event is not an object"),
        ([], "Missing argument"),
    ],
)
def test_usage_errors(tmp_path: Path, arguments: list[str], told: str) -> None:
    files = {"TEXT": b"hello", "LIST": b"[]", "NOARGUMENTS": b'{"arguments": "x"}'}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    done = integrations(tmp_path, "invoke", *[_placed(argument, files, tmp_path) for argument in arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def _placed(argument: str, files: dict[str, bytes], folder: Path) -> str:
    for name in files:
        argument = argument.replace(name, str(folder / name))
    return argument


def test_a_stored_connection_is_used(tmp_path: Path, upstream: Upstream) -> None:
    for name, key in (("default", "default-key-0123456789"), ("other", "other-key-0123456789")):
        value = json.dumps({**SETUP, "api_key": key})
        assert integrations(tmp_path, "secrets", "put", "algolia", "--connection", name, stdin=value).returncode == 0
    sent = []
    for options in ([], ["--connection", "other"]):
        upstream.replies(script.json(FOUND))
        call = ["invoke", "algolia", "-a", "index_name=i", "-a", "query=q", *options]
        done = integrations(tmp_path, *call, ALGOLIA_BASE_URL=upstream.url)
        assert done.returncode == 0, done.stderr
        sent.append(upstream.last.headers["x-algolia-api-key"])
    assert sent == ["default-key-0123456789", "other-key-0123456789"]


def test_the_environment_stands_in_and_no_account_is_asked(tmp_path: Path, upstream: Upstream) -> None:
    upstream.replies(script.json(FOUND))
    with Upstream() as aws:
        done = integrations(
            tmp_path,
            *("invoke", "algolia", "-a", "index_name=i", "-a", "query=q"),
            ALGOLIA_BASE_URL=upstream.url,
            ALGOLIA_APPLICATION_ID="TESTAPP",
            ALGOLIA_API_KEY="key-of-the-environment",
            AWS_ENDPOINT_URL=aws.url,
            AWS_ACCESS_KEY_ID="real",
            AWS_SECRET_ACCESS_KEY="real",
        )
        assert aws.requests == []
    assert done.returncode == 0, done.stderr
    assert upstream.last.headers["x-algolia-api-key"] == "key-of-the-environment"


def test_a_connection_that_is_not_stored(tmp_path: Path) -> None:
    done = integrations(tmp_path, "invoke", "wikipedia", "-a", "query=q", "--connection", "nothere")
    assert done.returncode == 1
    assert '"code": "unknown_connection"' in done.stderr


# invoke, over HTTP.


def test_a_call_over_http(tmp_path: Path, upstream: Upstream, event: str) -> None:
    with serving(tmp_path, ALGOLIA_BASE_URL=upstream.url) as bundle:

        def call(*options: str, key: str = KEY) -> Any:
            return integrations(tmp_path, "invoke", *options, "--url", f"{bundle.url}/", INTEGRATIONS_API_KEY=key)

        upstream.replies(script.json(FOUND))
        done = call("algolia.search", "-e", event, "-a", "page=2")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["hits"] == FOUND["hits"]
        assert upstream.last.json()["page"] == 2
        failed = call("algolia.nothing", "-e", event)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert json.loads(failed.stderr)["code"] == "unknown_method"
        refused = call("algolia", "-e", event, key="wrong.key")
        assert (refused.returncode, json.loads(refused.stderr)) == (1, {"message": "Forbidden"})


def test_over_http_without_a_key_is_a_usage_error(tmp_path: Path, upstream: Upstream) -> None:
    done = integrations(tmp_path, "invoke", "wikipedia", "-a", "query=q", "--url", upstream.url)
    assert done.returncode == 2
    assert "INTEGRATIONS_API_KEY" in done.stderr
    assert upstream.requests == []


def test_the_password_of_a_url_is_not_shown(tmp_path: Path) -> None:
    with refused_url() as refused:
        address = refused.replace("://", "://me:a-password@")
        call = ("invoke", "wikipedia", "-a", "query=q", "--url", address)
        done = integrations(tmp_path, *call, INTEGRATIONS_API_KEY="key.of-a-caller")
    assert (done.returncode, done.stdout) == (1, "")
    assert "did not answer" in done.stderr
    assert "a-password" not in done.stderr


@pytest.mark.parametrize("url", ["REFUSED", "nonsense", "ftp://127.0.0.1"])
def test_a_server_that_does_not_answer_is_told(tmp_path: Path, url: str) -> None:
    with refused_url() as refused:
        address = url.replace("REFUSED", refused)
        done = integrations(
            tmp_path, "invoke", "wikipedia", "-a", "query=q", "--url", address, INTEGRATIONS_API_KEY="key.of-a-caller"
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{address} did not answer" in done.stderr
    assert "key.of-a-caller" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_that_is_not_json_is_shown(tmp_path: Path, upstream: Upstream) -> None:
    upstream.replies(script.html("<h1>Bad gateway</h1>", status=502))
    done = integrations(
        tmp_path, "invoke", "wikipedia", "-a", "query=q", "--url", upstream.url, INTEGRATIONS_API_KEY="a.b"
    )
    assert (done.returncode, done.stderr.strip()) == (1, "<h1>Bad gateway</h1>")


# new.


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_checkout(tmp_path_factory.mktemp("new"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Made:
    """What `integrations new` has made."""

    checkout: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    told: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    checkout = copy_of_the_checkout(tmp_path_factory.mktemp("made"))
    before = contents(checkout)
    done = in_copy(checkout, "devtools.cli", "new", "acme", "--title", "Acme & Two")
    assert done.returncode == 0, done.stderr
    return Made(checkout, before, contents(checkout), done.stdout)


def test_a_new_provider_touches_nobody_elses_file(made: Made) -> None:
    before, after = made.before, made.after
    changed = {name for name in after if after[name] != before.get(name)}
    assert before.keys() <= after.keys()
    assert changed == {
        "functions/acme/provider.py",
        "events/acme.search.json",
        "tests/providers/test_acme.py",
        "template.yaml",
        "template.canary.yaml",
        "docs/providers.md",
        "functions/registry/catalog.json",
        *(f"functions/registry/tools/{name}.json" for name in FORMATS),
    }
    assert {f"wrote {name}" for name in changed} == set(made.told.splitlines())


def test_a_new_provider_passes_every_check_at_once(made: Made) -> None:
    own = ["functions/acme/provider.py", "tests/providers/test_acme.py"]
    contract = ["tests/providers/test_acme.py", "tests/test_every_provider.py"]
    of_all = ["tests/test_architecture.py", "tests/test_asl.py", "tests/test_registry.py"]
    for argv in (
        ["ruff", "check", "--no-cache", *own],
        ["ruff", "format", "--no-cache", "--check", *own],
        ["mypy", *own],
        ["devtools.cli", "sync", "--check"],
        [
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "acme or layer_knows or what_is_not_there or what_is_not_understood",
            *contract,
            *of_all,
        ],
    ):
        done = in_copy(made.checkout, *argv)
        assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_a_new_provider_may_have_a_name_that_its_tests_use_or_hardly_have_room_for(checkout: Path) -> None:
    names = ["json", "search", "a" * 40]
    for name in names:
        done = in_copy(checkout, "devtools.cli", "new", name)
        assert done.returncode == 0, done.stderr
    own = [path for name in names for path in (f"functions/{name}", f"tests/providers/test_{name}.py")]
    for argv in (
        ["ruff", "check", "--no-cache", *own],
        ["ruff", "format", "--no-cache", "--check", *own],
        ["pytest", "-q", "-p", "no:cacheprovider", "-k", "event", *own],
    ):
        done = in_copy(checkout, *argv)
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(names)} passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Acme", "lower-case letters"),
        ("acme__two", "lower-case letters"),
        ("../acme", "lower-case letters"),
        ("a" * 41, "at most 40"),
        ("class", "means something else already"),
        ("aws", "means something else already"),
        ("wikipedia", "functions/wikipedia exists"),
        ("api", "template.yaml has a"),
    ],
)
def test_names_that_cannot_be(checkout: Path, name: str, told: str) -> None:
    before = contents(checkout)
    done = in_copy(checkout, "devtools.cli", "new", name)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert contents(checkout) == before


@pytest.mark.parametrize("title", [" ", 'A"b', "A\nb", "A" * 41])
def test_titles_that_cannot_be(checkout: Path, title: str) -> None:
    done = in_copy(checkout, "devtools.cli", "new", "acme_three", "--title", title)
    assert done.returncode == 2
    assert "A title is the service's name" in done.stderr
    assert (checkout / "functions/acme_three").exists() is False


# doctor.


def test_doctor_finds_nothing_missing_here(tmp_path: Path) -> None:
    done = integrations(tmp_path, "doctor", ALGOLIA_APPLICATION_ID="A", ALGOLIA_API_KEY="k", EMAIL_HOST="m")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith(("ok ", "missing ")) for line in lines)
    assert "ok      packages as the layer pins them" in lines
    assert "ok      generated files" in lines
    assert "ok      algolia: setup in the environment" in lines
    assert "ok      wikipedia: needs no setup" in lines


def test_doctor_tells_where_a_setup_is(tmp_path: Path) -> None:
    told = integrations(tmp_path, "doctor").stdout
    assert "algolia: no setup; `integrations secrets put algolia` stores one, or set ALGOLIA_APPLICATION_ID" in told
    assert (
        "weather: no setup, and it needs none; `integrations secrets put weather` stores one, or set WEATHER_API_KEY\n"
        in told
    )
    assert "ok      weather: setup in the environment" in integrations(tmp_path, "doctor", WEATHER_API_KEY="k").stdout
    integrations(tmp_path, "secrets", "put", "algolia", stdin=json.dumps(SETUP))
    assert "ok      algolia: setup stored" in integrations(tmp_path, "doctor").stdout


def test_doctor_finds_an_open_store(tmp_path: Path) -> None:
    integrations(tmp_path, "secrets", "put", "algolia", stdin=json.dumps(SETUP))
    path = tmp_path / "secrets.json"
    path.chmod(0o644)
    done = integrations(tmp_path, "doctor")
    assert f"missing {path} is closed to others: run `chmod go-rwx {path}`" in done.stdout
    assert done.returncode == 0, "it is no reason for `make run` to fail"


def test_doctor_finds_what_make_test_would_fail_of(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path)
    (checkout / "functions/registry/catalog.json").write_text("{}\n")
    requirements = checkout / "layers/common/python/requirements.txt"
    requirements.write_text(requirements.read_text().replace("httpx==", "httpx==9") + "not-there==1.0\n")
    done = in_copy(checkout, "devtools.cli", "doctor")
    assert done.returncode == 1
    assert "missing generated files, except functions/registry/catalog.json: run `integrations sync`" in done.stdout
    assert "missing packages as the layer pins them, except httpx, not-there: run `make setup`" in done.stdout
    assert "missing SAM" in done.stdout
