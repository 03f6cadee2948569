"""The real `integrations` command: as a server, as a process, and in a copy of the checkout that it may write to."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import Server, served

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "devtools.cli"]
KEY = "test.0123456789abcdef0123456789abcdef"
WRITTEN_BY_TOOLS = shutil.ignore_patterns(".*", "__pycache__", "benchmarks", "*.egg-info")


@dataclass
class Bundle:
    """A running `integrations serve`."""

    server: Server
    url: str
    home: Path
    key: str | None = KEY
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=40, trust_env=False))

    def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **content: Any) -> httpx.Response:
        """Send a request with the key of this run, unless there are headers."""
        own = {"x-api-key": self.key or ""} if headers is None else headers
        return self.client.request(method, self.url + path, headers=own, **content)

    def call(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Post a call; a body that is bytes is sent as it is."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        own = {"x-api-key": self.key or "", "content-type": "application/json"}
        sent = own | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", f"/execute/{path}", headers=sent, content=content)

    def log(self) -> list[dict[str, Any]]:
        """Give the lines that the handlers have logged."""
        return [json.loads(line) for line in self.server.output().splitlines() if line.startswith("{")]


def environment(home: Path, **changes: str) -> dict[str, str]:
    """Give this process's environment without what it says about AWS and the bundle, and with a store in `home`.

    Nor what `make test` tells a make below it, which would then say which folder it enters.
    """
    told = re.compile(r"(AWS|INTEGRATIONS|POWERTOOLS)_|.*_(BASE_URL|API_KEY|APPLICATION_ID)$|(MAKE.*|MFLAGS)$")
    kept = {name: value for name, value in os.environ.items() if not told.match(name)}
    return {**kept, "INTEGRATIONS_HOME": str(home), **changes}


@contextlib.contextmanager
def serving(folder: Path, *options: str, key: str | None = KEY, **changes: str) -> Iterator[Bundle]:
    """Serve until the block ends, with the local store in `folder`/store. `changes` add to the environment."""
    home = folder / "store"
    wanted = environment(home, **changes)
    env: dict[str, str | None] = dict.fromkeys(os.environ.keys() - wanted.keys()) | wanted
    argv = [*COMMAND, "serve", "--port", "0", *(("--key", key) if key else ()), *options]
    with (
        served(argv, _is_ready, folder / "serve.log", env=env, cwd=ROOT) as server,
        httpx.Client(timeout=40, trust_env=False) as client,
    ):
        yield Bundle(server, server.find(_READY) or "", home, key or server.find(_KEY), client)


# The key and the example come after the address, in one write.
_READY = r"(?m)^ready (\S+)$"
_KEY = r"(?m)^key (\S+)$"


def _is_ready(server: Server) -> bool:
    return bool(server.find(_READY) and server.find(r"(?m)^(curl) .*\n"))


def integrations(home: Path, *arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(home, **changes),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def copy_of_the_checkout(folder: Path) -> Path:
    """Copy what is under version control, so that a command may write to it."""
    copy = folder / "checkout"
    shutil.copytree(ROOT, copy, ignore=WRITTEN_BY_TOOLS)
    return copy


def in_copy(copy: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a Python module inside a copy of the checkout, whose packages are then the copy's own."""
    path = os.pathsep.join([str(copy), str(copy / "layers/common/python")])
    return subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=copy,
        env=environment(copy / ".integrations", PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
