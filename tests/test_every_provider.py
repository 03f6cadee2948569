"""What must hold for every provider holds for every folder found: nobody has to remember a list."""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from devtools.pages.providers import judge_of
from integrations import Provider, Setup
from integrations.provider import Method

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in ROOT.glob("functions/*/provider.py"))
PROVIDERS: list[Provider] = [
    importlib.import_module(f"functions.{folder.name}.provider").provider for folder in FOLDERS
]
METHODS = [(provider, method) for provider in PROVIDERS for method in provider.methods.values()]

TOOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")  # the narrowest rule among the vendors of language models
SECRET_WORDS = ("key", "token", "secret", "password", "credential")
LIGHT = {"integrations", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"} | {
    "httpx", "httpcore", "h11", "certifi", "idna", "anyio", "tenacity", "aws_lambda_powertools", "jmespath",
    # httpx and Powertools pick these up where they are installed, which they are not in the layer.
    "botocore", "click", "pygments", "rich",
}  # fmt: skip

every_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
every_method = pytest.mark.parametrize(
    ("provider", "method"), METHODS, ids=[f"{provider.name}.{method.name}" for provider, method in METHODS]
)


def test_there_are_providers() -> None:
    assert len(PROVIDERS) == len(FOLDERS) >= 2


@every_provider
def test_name_is_the_folder(provider: Provider) -> None:
    assert (ROOT / "functions" / provider.name / "provider.py").is_file()
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,39}", provider.name)


@every_provider
def test_facts(provider: Provider) -> None:
    assert provider.title
    assert provider.url.startswith("https://")
    assert provider.docs.startswith("https://")
    assert provider.icon is None or provider.icon.startswith("https://")
    assert re.fullmatch(r"[a-z]+", provider.category)
    assert all(url.startswith("https://") and not url.endswith("/") for url in provider.base_urls)
    assert bool(provider.base_urls) == any("http" in method.parameters for method in provider.methods.values())
    assert 0 < provider.attempt_timeout <= 27


@every_provider
def test_handler_is_the_last_line(provider: Provider) -> None:
    source = (ROOT / "functions" / provider.name / "provider.py").read_text()
    assert source.rstrip().endswith("\nhandler = provider.handler")


LONGEST_FILE = 250  # lines

# What no file of a provider imports: the environment, and other ways out than `http` and `tcp`.
FORBIDDEN = {
    "os", "httpx", "httpcore", "requests", "urllib", "socket", "aiohttp", "boto3", "ssl", "smtplib", "subprocess",
    "signal", "multiprocessing", "ctypes",
}  # fmt: skip
# Who may all the same, and why.
EXEMPT = {
    "cloudinary/values.py": (
        {"urllib"},
        "writes part of a URL, percent-encoded as the vendor's package does it; urllib.parse opens nothing",
    ),
    "ffmpeg/process.py": (
        {"os", "subprocess", "signal"},
        "runs a program, bounds it and ends it; the operator's choice of the program is read here",
    ),
}


@every_provider
def test_files_read_like_a_spec_sheet(provider: Provider) -> None:
    """No error is swallowed, nothing is read from the environment, no client but `http` is used."""
    for path in (ROOT / "functions" / provider.name).rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        allowed, _ = EXEMPT.get(f"{provider.name}/{path.name}", (set(), ""))
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, path
                assert not re.search(r"\b(Base)?Exception\b", ast.unparse(node.type)), path
            assert not imported(node) & (FORBIDDEN - allowed), path


@every_provider
def test_a_provider_file_is_short(provider: Provider) -> None:
    """What is longer is parted: the provider's facts and methods stay, the protocol or the wording goes beside them."""
    for path in (ROOT / "functions" / provider.name).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= LONGEST_FILE, path


def test_what_is_exempt_needs_to_be() -> None:
    for name, (allowed, reason) in EXEMPT.items():
        nodes = list(ast.walk(ast.parse((ROOT / "functions" / name).read_text())))
        assert set().union(*map(imported, nodes)) & FORBIDDEN == allowed, name
        assert reason


@every_method
def test_texts_for_language_models(provider: Provider, method: Method) -> None:
    assert TOOL_NAME.fullmatch(f"{provider.name}_{method.name}")
    assert re.fullmatch(r"[A-Z][^.]*\..*", method.description), "a sentence"
    assert len(method.description) <= 1024
    assert not [name for name, field in method.arguments.model_fields.items() if not described(field)]
    assert not [
        name for name, field in method.output.model_fields.items() if not described(field) and not nested(field)
    ]


@every_method
def test_effects(method: Method, provider: Provider) -> None:
    assert not (method.read_only and method.destructive), f"{provider.name}: what only reads destroys nothing"


@every_method
def test_unknown_arguments_are_refused_at_every_depth(provider: Provider, method: Method) -> None:
    """A model inside the arguments is a subclass of Arguments too, or typing errors in it would be dropped."""
    for schema in objects(method.arguments.model_json_schema()):
        assert schema.get("additionalProperties") is False, f"{provider.name}.{method.name}: {schema.get('title')}"


@every_method
def test_booleans_are_never_coerced(provider: Provider, method: Method) -> None:
    for name, value in mistaken_booleans(method.arguments):
        assert (name,) in refusal(method.arguments, {name: value}), (
            f"{provider.name}.{method.name}: {name} takes {value!r}"
        )


@every_provider
def test_booleans_are_never_coerced_in_a_setup(provider: Provider) -> None:
    setup = provider.setup or Setup
    for name, value in mistaken_booleans(setup):
        assert (name,) in refusal(setup, {name: value}), f"{provider.name}: setup.{name} takes {value!r}"


@every_provider
def test_setup_is_described_and_its_secrets_are_typed(provider: Provider) -> None:
    for name, field in provider.setup.model_fields.items() if provider.setup else ():
        assert field.description, f"{provider.name}: setup field {name} has no description"
        if any(word in name for word in SECRET_WORDS):
            assert SecretStr.__name__ in repr(field.annotation), f"{provider.name}: {name} is not a SecretStr"


@every_provider
def test_secrets_go_into_headers_not_into_urls(provider: Provider) -> None:
    secret = {
        name
        for name, field in (provider.setup.model_fields if provider.setup else {}).items()
        if SecretStr.__name__ in repr(field.annotation)
    }
    assert not [url for url in provider.base_urls if any(f"{{{name}}}" in url for name in secret)]


@every_method
def test_event_is_a_valid_call(provider: Provider, method: Method) -> None:
    event = json.loads((ROOT / "events" / f"{provider.name}.{method.name}.json").read_text())
    assert set(event) <= {"method", "arguments", "setup", "connection"}
    assert event["method"] == method.name
    method.arguments.model_validate(event["arguments"])
    if provider.setup:
        provider.setup.model_validate(event["setup"])


def test_every_event_belongs_to_a_method() -> None:
    known = {f"{provider.name}.{method.name}.json" for provider, method in METHODS}
    assert {path.name for path in (ROOT / "events").glob("*.json")} == known


@every_provider
def test_there_are_tests_of_it(provider: Provider) -> None:
    source = (ROOT / "tests" / "providers" / f"test_{provider.name}.py").read_text()
    kinds = {"sent", "comes_back", "rejected", "rate_limit", "failure", "malformed", "timeout"}
    if not any(method.open_world for method in provider.methods.values()):
        kinds.remove("rate_limit")  # what asks nobody is told by nobody to wait
    for kind in kinds:
        assert re.search(rf"def test_\w*{kind}", source), kind


@every_provider
def test_the_judge_of_its_tests_is_declared_and_true(provider: Provider) -> None:
    """The page about providers repeats it: a fixture of that judge is what the tests ask for."""
    path = ROOT / "tests" / "providers" / f"test_{provider.name}.py"
    declared = judge_of(path)
    assert declared, 'say what judges the tests: JUDGE = {"kind": ..., "name": ..., "fixture": ...}'
    tree = ast.parse(path.read_text())
    asked = {
        argument.arg for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for argument in node.args.args
    }
    assert declared["fixture"] in asked
    if declared["kind"] == "contract":
        # In the call of the fixture that reads it, and in the declaration itself.
        assert [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)].count(declared["name"]) > 1


# What our own code must not do while it is imported: read the environment, open a socket, start a thread.
IMPORT = """
import json, os, sys, threading

sockets, environment, before = [], [], set(sys.modules)
sys.addaudithook(lambda event, _: event.startswith("socket.") and event != "socket.__new__" and sockets.append(event))
read = type(os.environ).__getitem__

def watched(environ, name):
    frame = sys._getframe(1)
    while frame.f_code.co_filename.endswith("os.py") or "_collections_abc" in frame.f_code.co_filename:
        frame = frame.f_back
    if {"integrations", "functions"} & set(frame.f_code.co_filename.split("/")):
        environment.append(name)
    return read(environ, name)

type(os.environ).__getitem__ = watched
import functions.FOLDER.provider
roots = sorted({name.split(".")[0] for name in set(sys.modules) - before})
print(json.dumps([roots, sockets, environment, threading.active_count()]))
"""


@every_provider
def test_import_is_light(provider: Provider) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.replace("FOLDER", provider.name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    roots, sockets, environment, threads = json.loads(done.stdout)
    heavy = {name for name in roots if not name.startswith("_")} - sys.stdlib_module_names - LIGHT - {"functions"}
    assert not heavy, "a heavy package is imported inside the method that needs it"
    assert (sockets, environment, threads) == ([], [], 1)


def test_generated_files_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "devtools.cli", "sync", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What the tests above ask of a model.


def described(field: FieldInfo) -> bool:
    """Say whether the field has a text."""
    return bool(field.description)


def imported(node: ast.AST) -> set[str]:
    """Give the first part of each module that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {(node.module or "").split(".")[0]} if isinstance(node, ast.ImportFrom) else set()


def nested(field: FieldInfo) -> bool:
    """Say whether the field is a model, whose own fields have the texts."""
    return hasattr(field.annotation, "model_fields")


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Give every object with declared fields in a JSON Schema."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from objects(item)


def mistaken_booleans(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Give each field that is a number with a boolean, and each that is a boolean with what only looks like one."""
    for name, schema in model.model_json_schema().get("properties", {}).items():
        kinds = {schema.get("type"), *(branch.get("type") for branch in schema.get("anyOf", []))}
        wrong: list[Any] = [True] if kinds & {"integer", "number"} else ["true", 1] if "boolean" in kinds else []
        yield from ((name, value) for value in wrong)


def refusal(model: type[BaseModel], data: dict[str, Any]) -> set[tuple[Any, ...]]:
    """Give the places that validation refuses."""
    from pydantic import ValidationError

    try:
        model.model_validate(data)
    except ValidationError as invalid:
        return {error["loc"] for error in invalid.errors() if error["type"] != "missing"}
    return set()
