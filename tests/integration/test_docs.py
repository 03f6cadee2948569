"""What the pages show is what happens: every command is run, every other block is checked as it says."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import pytest

from devtools import connections
from devtools.cli import main
from devtools.project import TEMPLATE, find_provider, provider_names
from devtools.template import match, read_routes
from tests.support.artifact import Artifact
from tests.support.aws import Secrets
from tests.support.lambda_api import LambdaApi
from tests.support.pages import (
    GENERATED,
    PAGES,
    ROOT,
    Block,
    Command,
    anchors,
    blocks,
    commands,
    links,
    matches,
    names_in_the_source,
    names_of_tests,
    words_in_code,
)
from tests.support.peers import Peers
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.serving import Bundle, environment
from tests.support.state_machines import Interpreter, machine

SERVER = "http://127.0.0.1:8000"
STACK = "integrations"

# The commands that are shown and cannot be run here, each with its reason.
NOT_RUN = {
    "make test": "it is what runs this",
    "make test-slow": "it takes minutes, and the checks run it",
    "make check": "the build runs it, and it takes a minute",
    "make build": "the build runs it, and it takes minutes",
    "make sam-local": "the build runs it, and it needs a container engine",
    ".venv/bin/python -m benchmarks.cold_start": "it takes minutes; tests/slow/test_benchmarks.py runs it in short",
    ".venv/bin/python -m benchmarks.warm": "it takes minutes; tests/slow/test_benchmarks.py runs it in short",
    ".venv/bin/python -m benchmarks.catalog": "it takes minutes; tests/slow/test_benchmarks.py runs it in short",
    ".venv/sam/bin/sam deploy --guided": "it needs an AWS account",
    ".venv/sam/bin/sam build --config-env dev": "the rehearsal builds, and it takes minutes",
    ".venv/sam/bin/sam deploy --config-env dev": "it needs an AWS account",
    ".venv/sam/bin/sam build --config-env prod": "the rehearsal builds, and it takes minutes",
    ".venv/sam/bin/sam deploy --config-env prod": "it needs an AWS account",
    ".venv/sam/bin/sam deploy --config-env prod --parameter-overrides AlarmsTo=ops@example.org "
    "Release=$(git rev-parse --short HEAD)": "it needs an AWS account",
    ".venv/sam/bin/sam delete --stack-name integrations": "it needs an AWS account",
    "aws s3 rm s3://$FILES_BUCKET --recursive": "it needs an AWS account",
    ".venv/sam/bin/sam deploy --parameter-overrides EnableStateMachines=true": "it needs an AWS account",
    ".venv/sam/bin/sam deploy --parameter-overrides EnableStateMachines=true "
    "'ResearchSchedule=\"cron(0 6 * * ? *)\"' 'ResearchQuery=\"green tea\"'": "it needs an AWS account",
    "make deploy-rehearsal": "it takes minutes, and the checks run it",
    ".venv/bin/integrations doctor --stack integrations-prod": "tests/rehearsal/test_stacks.py runs it",
    ".venv/bin/integrations invoke wikipedia -a query=tea --stack integrations-prod": "the same",
}
# The pages whose commands another verb runs.
RUN_ELSEWHERE = {"docs/sam-local.md": "tests/sam_local/test_page.py, which needs a container engine"}
# `make run` is running already: what it prints is compared with what that server has printed.
RUNNING = "make run"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@dataclass
class Checkout:
    """A folder in which a command of a page runs as in the checkout: with .venv/, .integrations/, events/."""

    folder: Path
    bundle: Bundle
    peers: Peers
    environment: dict[str, str]

    def run(self, command: Command) -> None:
        """Run the command and assert that it prints what is shown."""
        if command.line in NOT_RUN:
            assert not command.shown, f"{command.place}: no test knows what `{command.line}` prints"
            return
        assert command.shown != "...", f"{command.place}: this would match anything"
        printed = self._printed_by_the_server() if command.line == RUNNING else self._printed(command)
        printed = printed.replace(self.bundle.url, SERVER)
        if not matches(command.shown, printed):
            pytest.fail(f"{command.place}: $ {command.line}\nprints\n{printed}", pytrace=False)

    def _here(self, text: str) -> str:
        return self.peers.aimed(text.replace(SERVER, self.bundle.url))

    def _printed(self, command: Command) -> str:
        # The page's own line, as a person pastes it.
        done = subprocess.run(  # noqa: S602  # the pages are ours
            self._here(command.line),
            shell=True,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        # Our own command fails where it prints a problem; a line that goes on after it has the exit code of its end.
        fails = re.fullmatch(r"[^;|]*\.venv/bin/integrations invoke [^;|]*", command.line) is not None
        if done.returncode != (1 if fails and "urn:integrations:error:" in command.shown else 0):
            pytest.fail(f"{command.place}: $ {command.line}\nexit code {done.returncode}\n{done.stdout}", pytrace=False)
        # A terminal shows the log lines of the handlers too; a page leaves them out.
        return "\n".join(line for line in done.stdout.splitlines() if not line.startswith('{"level":'))

    def _printed_by_the_server(self) -> str:
        return "\n".join(self.bundle.server.output().splitlines()[:3])


@pytest.fixture(scope="module")
def folder(documented: Bundle, peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder: the checkout's own files, and in place of what is installed and stored that of this run."""
    if shutil.which("curl") is None:
        peer_is_missing("curl, which the pages use, is not installed")
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name != "events":
            (folder / path.name).symlink_to(path)
    (folder / ".integrations").symlink_to(documented.home)
    (folder / "events").mkdir()
    for event in (ROOT / "events").iterdir():
        (folder / "events" / event.name).write_text(peers.aimed(event.read_text()))
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    packages = os.pathsep.join([str(ROOT), str(ROOT / "layers/common/python")])
    for name, module in {"python": "", "integrations": "-m devtools.cli "}.items():
        script = f'#!/bin/sh\nPYTHONPATH={packages} exec "{sys.executable}" {module}"$@"\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return folder


@pytest.fixture
def checkout(folder: Path, documented: Bundle, peers: Peers, secrets: Secrets) -> Iterator[Checkout]:
    """Give the folder with nothing stored, and an AWS account with a stack of this project."""
    secrets.deploy(STACK, Prefix="integrations")
    account = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    yield Checkout(folder, documented, peers, environment(documented.home, **peers.variables, **account))
    (documented.home / "secrets.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if str(page.relative_to(ROOT)) not in RUN_ELSEWHERE],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_each_command_prints_what_the_page_shows(checkout: Checkout, page: Path) -> None:
    for block in blocks(page):
        for command in commands(block) if block.kind == "console" else ():
            checkout.run(command)


def test_there_are_commands_of_each_kind() -> None:
    lines = [command.line for page in PAGES for block in blocks(page) if block.kind == "console"
             for command in commands(block)]  # fmt: skip
    assert sum(line.startswith("curl ") for line in lines) >= 12
    assert sum(line.startswith(".venv/bin/integrations ") for line in lines) >= 12
    assert RUNNING in lines
    assert set(NOT_RUN) <= set(lines), "what no page shows needs no reason"


# Blocks that are no commands.


def is_part_of(block: Block, what: str) -> None:
    assert block.text.strip("\n") in (ROOT / what).read_text(encoding="utf-8"), f"{block.place}: not in {what}"


def is_a_call_of(block: Block, what: str) -> None:
    """A call in a body, or with `method` in an event, fits the models."""
    name, _, operation = what.partition(".")
    provider, call = find_provider(name), json.loads(block.text)
    method = provider.methods[operation or call.get("method") or provider.default_method]
    assert call.keys() <= {"method", "arguments", "setup", "connection"}, block.place
    assert call.get("method", method.name) == method.name
    method.arguments.model_validate(call["arguments"])
    if "setup" in call:
        assert provider.setup is not None
        provider.setup.model_validate(call["setup"])


def is_a_connection_of(block: Block, what: str) -> None:
    connections.checked(find_provider(what), json.loads(block.text), None)


def is_an_event_of(block: Block, what: str) -> None:
    """An event of EventBridge holds a call; `tests/integration/test_events.py` runs one like it."""
    event = json.loads(block.text)
    assert {"version", "id", "detail-type", "source"} < event.keys(), block.place
    is_a_call_of(replace(block, text=json.dumps(event["detail"])), what)


def is_of_a_machine(block: Block, what: str) -> None:
    """An input or an output of a state machine; the test below gives the one and gets the other."""
    assert isinstance(json.loads(block.text.replace("...\n", "0\n")), dict), block.place
    assert (ROOT / f"statemachines/{what}.asl.json").exists(), block.place


CHECKS: dict[str, Callable[[Block, str], None]] = {
    "part of": is_part_of,
    "call of": is_a_call_of,
    "connection of": is_a_connection_of,
    "event of": is_an_event_of,
    "input of": is_of_a_machine,
    "output of": is_of_a_machine,
}


@every_page
def test_each_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    generated = GENERATED.match(page.read_text(encoding="utf-8"))
    for block in blocks(page):
        if block.kind == "console":
            assert commands(block), block.place
        elif generated:
            json.loads(block.text)  # and `integrations sync --check` compares the page
        else:
            kind, _, what = re.sub(r"^(\w+ of) ", r"\1|", block.mark).partition("|")
            assert kind in CHECKS, f"{block.place}: say how it is checked: <!-- checked: {' | '.join(CHECKS)} WHAT -->"
            CHECKS[kind](block, what)


def test_a_block_of_an_unknown_kind_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n<!-- checked: part of LICENSE -->\n```text\nnot in it\n```\n\n```json\n{}\n```\n")
    marked, unmarked = (
        Block(ROOT / "README.md", block.line, block.kind, block.text, block.mark) for block in blocks(page)
    )
    assert (marked.mark, unmarked.mark) == ("part of LICENSE", "")
    with pytest.raises(AssertionError, match="not in LICENSE"):
        is_part_of(marked, "LICENSE")


MACHINES = {block.mark.removeprefix("input of "): block for page in PAGES for block in blocks(page)
            if block.mark.startswith("input of ")}  # fmt: skip


def test_each_state_machine_is_shown() -> None:
    assert MACHINES.keys() == {path.name.removesuffix(".asl.json") for path in ROOT.glob("statemachines/*.asl.json")}


@pytest.mark.parametrize("name", MACHINES)
def test_each_state_machine_gives_what_the_page_shows(
    name: str,
    artifact: Artifact,
    peers: Peers,
    interpreter: Interpreter,
    secrets: Secrets,
    lambda_api: Callable[..., LambdaApi],
    tmp_path: Path,
) -> None:
    given = MACHINES[name]
    (shown,) = (block.text for block in blocks(given.page) if block.mark == f"output of {name}")
    setup = json.loads(peers.aimed((ROOT / "events/email.send.json").read_text()))["setup"]
    secrets.put("email/default", {"setup": setup})
    own = {**peers.variables, "AWS_ENDPOINT_URL": secrets.url, "INTEGRATIONS_PREFIX": "integrations"}
    names = set(re.findall(r"\$\{(\w+)\}", (ROOT / f"statemachines/{name}.asl.json").read_text()))
    with contextlib.ExitStack() as stack:
        functions = {of: artifact.function(of, tmp_path / f"{of}.log", **own) for of in names}
        for function in functions.values():
            stack.callback(function.close)
        lambda_api(**{of: function.invoke for of, function in functions.items()})
        done = interpreter.execute(machine(name), json.loads(given.text))
    assert done.status == "SUCCEEDED", done.cause
    printed = json.dumps(done.output)
    if not matches(re.sub(r"\s*\n\s*", " ", shown.strip()).replace("{ ", "{").replace(" }", "}")
                   .replace("[ ", "[").replace(" ]", "]"), printed):  # fmt: skip
        pytest.fail(f"{given.place}: {name} gives\n{json.dumps(done.output, indent=2)}", pytrace=False)


# Links, and words in code.


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        target, _, fragment = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not fragment or fragment in anchors(path), link


def test_every_page_is_reached_from_the_readme() -> None:
    seen, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        seen.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link}
        new |= {path for path in targets if path.suffix == ".md"} - seen
    assert set(PAGES) <= seen


ROUTES = read_routes(TEMPLATE)
TOP = {path.name for path in ROOT.iterdir()}
NAME = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=\S*)?( .*)?")


@every_page
def test_words_in_code_are_of_the_project(page: Path) -> None:
    """Commands, verbs, routes, tests, files and variables that are named exist; other words are not looked at."""
    for word in words_in_code(page):
        first, _, rest = word.removeprefix(".venv/bin/").partition(" ")
        if first == "integrations" and rest:
            check_command(rest.split())
        elif first == "make" and rest:
            assert rest.split()[0] in verbs(), word
        elif first in ("GET", "POST") and rest:
            check_route(first, rest)
        elif "::" in word:
            file, _, test = word.partition("::")
            assert test in names_of_tests(ROOT / file), word
        elif word.partition("/")[0] in TOP:
            assert list(ROOT.glob(re.sub(r"<[^>]*>|\{[^}]*\}", "*", word).rstrip("/"))), word
        elif name := NAME.fullmatch(word):
            assert name[1] in names_in_the_source() | variables_of_providers(), word


def verbs() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def variables_of_providers() -> set[str]:
    providers = [find_provider(name) for name in provider_names()]
    fields = {of.name: [*of.setup_fields, *(["base_url"] if of.base_urls else [])] for of in providers}
    return {f"{name}_{field}".upper() for name, of in fields.items() for field in of}


def check_route(method: str, path: str) -> None:
    """Assert that there is a route of its own, not the one for the rest."""
    path = path.replace("/execute/{provider}", f"/execute/{provider_names()[0]}")
    for spelled in {path.replace("[", "").replace("]", ""), re.sub(r"\[.*\]", "", path)}:
        found = match(ROUTES, method, spelled.partition("?")[0].removeprefix("/").split("/"))
        assert found is not None, path
        assert found[0].key != "$default", path


def check_command(words: list[str]) -> None:
    """Assert that there is such a command with such options; what is written in capitals stands for something."""
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        if "|" in name:  # put|get|list|rm
            assert set(name.split("|")) <= command.commands.keys(), name
            return
        assert name in command.commands, name
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        assert not word.startswith("-") or word in options, word


def test_unknown_words_are_noticed() -> None:
    check_command(["secrets", "put", "algolia", "--stack", "NAME"])
    for words in (["secret"], ["serve", "--portt"], ["keys", "create|delete"]):
        with pytest.raises(AssertionError):
            check_command(words)
