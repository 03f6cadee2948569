"""The page about `sam local`: each command is run, in a folder as the checkout is, and prints what is shown."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sam_local.conftest import Sam
from tests.support.pages import ROOT, Command, blocks, commands, matches
from tests.support.processes import accepts, free_port, served
from tests.support.serving import KEY

PAGE = ROOT / "docs/sam-local.md"
NOT_RUN = {
    "make sam-local": "it is what runs this",
    ".venv/sam/bin/sam build --config-env local": "what is run is what `make sam-local` has built",
}
PORTS = {"start-api": "3000", "start-lambda": "3001"}


@pytest.fixture
def checkout(sam: Sam) -> Iterator[Path]:
    """Give the folder, with samconfig.toml as it is but for what leads to the services of the tests."""
    for name in ("events", ".venv"):
        if not (sam.folder / name).exists():
            (sam.folder / name).symlink_to(ROOT / name)
    sam.options()
    text = (ROOT / "samconfig.toml").read_text()
    overrides = [f"{name}={value}" for name, value in sam.parameters.items() if name != "BaseUrls"]
    for command in ("local_invoke", "local_start_api", "local_start_lambda"):
        more = f'skip_pull_image = true\nenv_vars = "variables.json"\nparameter_overrides = {json.dumps(overrides)}\n'
        head = f"[local.{command}.parameters]\n"
        text = text.replace(head, head + more) if head in text else f"{text}\n{head}{more}"
    (sam.folder / "samconfig.toml").write_text(text)
    yield sam.folder
    (sam.folder / "samconfig.toml").unlink()


def test_each_command_prints_what_the_page_shows(sam: Sam, checkout: Path) -> None:
    shown = [command for block in blocks(PAGE) if block.kind == "console" for command in commands(block)]
    assert sum("sam local" in command.line for command in shown) >= 4
    ports = {usual: str(free_port()) for usual in PORTS.values()}
    with contextlib.ExitStack() as servers:
        for command in shown:
            if command.line in NOT_RUN:
                assert not command.shown
            elif command.line.endswith("&"):
                servers.enter_context(_in_the_background(sam, command, ports))
            else:
                _run(sam, command, ports)


@contextlib.contextmanager
def _in_the_background(sam: Sam, command: Command, ports: dict[str, str]) -> Iterator[None]:
    argv = command.line.removesuffix("&").split()
    port = ports[PORTS[argv[2]]]
    log = sam.folder / "page.log"
    environment = dict(sam.environment)
    with served(
        [*argv, "--port", port], lambda _: accepts(int(port)), log, env=environment, cwd=sam.folder, timeout=60
    ):
        yield


def _run(sam: Sam, command: Command, ports: dict[str, str]) -> None:
    line = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports[found[1]]}", command.line)
    done = subprocess.run(  # noqa: S602  # the page is ours
        line,
        shell=True,
        cwd=sam.folder,
        env=sam.environment | {"INTEGRATIONS_API_KEY": KEY},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # Now and then the runtime asks for the next event while its container is ended already, and says so.
    printed = re.sub(
        r"^\[ERROR\] \[\d+\] LAMBDA_RUNTIME Failed to get next invocation.*\n", "", done.stdout, flags=re.M
    )
    assert matches(command.shown, printed), f"{command.place}: $ {command.line}\nprints\n{done.stdout}"
