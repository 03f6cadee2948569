"""The functions as `sam build` has built them, each behind AWS's own runtime client, as in Lambda."""

import os
import platform
import subprocess
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

from devtools.errors import CommandError
from devtools.local import FunctionError
from devtools.project import BUILT, ROOT, provider_names
from devtools.runtime_api import Environment, variables
from devtools.template import Function, parse

RUNTIME = ROOT / ".venv/runtime"
SOURCES = ("functions", "layers/common/python")
MOST = 8
"""Environments of a function at once; further calls of it wait. Lambda would start more."""

_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class BuiltFunctions:
    """The functions that `sam build` has written to a folder.

    An environment is started where none is free, and kept, as Lambda does it. Raise CommandError, with the remedy,
    where there is nothing to run or nothing that can run it.
    """

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder = folder
        self._python = _python()
        self._template = _template(folder)
        _check_architecture(folder)
        self._lock = threading.Lock()
        self._free: dict[str, list[Environment]] = defaultdict(list)
        self._running: set[Environment] = set()
        self._bounds: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(MOST))
        self._generation = 0

    def run(self, function: Function, event: dict[str, Any]) -> Any:
        """Invoke the function. Raise FunctionError where it fails, also by raising."""
        with self._lock:
            bound = self._bounds[function.logical_id]
        with bound:
            environment, generation = self._taken(function)
            result = environment.invoke(event, function.timeout)
            self._put_back(function, environment, generation)
        if result.failed:
            raise FunctionError(f"{result.payload.get('errorType')}: {result.payload.get('errorMessage')}")
        return result.payload

    def forget(self) -> None:
        """Let every function start anew, and read its secrets again; a call that is under way is not disturbed."""
        with self._lock:
            self._generation += 1
            old = [environment for free in self._free.values() for environment in free]
            self._free.clear()
            self._running -= set(old)
        for environment in old:
            environment.close()

    def kill(self) -> None:
        """End every process, now: for a signal's handler, which must not wait for a lock."""
        for environment in list(self._running):
            environment.kill()

    def _taken(self, function: Function) -> tuple[Environment, int]:
        with self._lock:
            free = self._free[function.logical_id]
            if free:
                return free.pop(), self._generation
            environment = self._start(function)
            self._running.add(environment)
            return environment, self._generation

    def _put_back(self, function: Function, environment: Environment, generation: int) -> None:
        with self._lock:
            if environment.alive and generation == self._generation:
                self._free[function.logical_id].append(environment)
                return
            self._running.discard(environment)
        environment.close()

    def _start(self, function: Function) -> Environment:
        resource = self._template["Resources"].get(function.logical_id)
        if resource is None:
            raise FunctionError(f"{function.logical_id} is not among what was built; run `make build` again.")
        properties = resource["Properties"]
        code = self._folder / properties["CodeUri"]
        layers = [
            self._folder / self._template["Resources"][layer["Ref"]]["Properties"]["ContentUri"] / "python"
            for layer in properties.get("Layers", [])
            if "Ref" in layer  # and not one of the operators' own, which a parameter may name
        ]
        lambdas = variables(function.name, code, [*layers, RUNTIME], function.memory)
        handler = f"{function.module.rpartition('.')[2]}.{function.attribute}"
        return Environment(handler, python=self._python, code=code, variables=lambdas | _handed_over())


def _handed_over() -> dict[str, str]:
    """Give the variables of this process that are for the functions: `prepare_environment` has set those of AWS."""
    mine = ("AWS_", "INTEGRATIONS_", "POWERTOOLS_", *(f"{name.upper()}_" for name in provider_names()))
    return {name: value for name, value in os.environ.items() if name.startswith(mine)}


def _python() -> str:
    if platform.system() != "Linux":
        raise CommandError("What is built is for Linux, as Lambda is; without --runtime it runs on this machine too.")
    if not (RUNTIME / "awslambdaric").is_dir():
        raise CommandError("AWS's runtime client is not installed; run `make setup`.")
    found = subprocess.run(
        ["sh", ROOT / "make/python.sh", "3.13", "--", "ssl"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise CommandError(f"The functions run on Lambda's own Python, 3.13. {' '.join(found.stderr.split())}")
    return found.stdout.strip()


def _template(folder: Path) -> dict[str, Any]:
    path = folder / "template.yaml"
    if not path.exists():
        raise CommandError(f"There is nothing built; run `make build ARCHITECTURE={_machine()}`.")
    newest = max(file.stat().st_mtime for folder in SOURCES for file in (ROOT / folder).rglob("*.py"))
    if newest > path.stat().st_mtime:
        raise CommandError(f"What is built is older than the sources; run `make build ARCHITECTURE={_machine()}`.")
    return parse(path.read_text(encoding="utf-8"))


def _check_architecture(folder: Path) -> None:
    """Compiled packages name the machine that they are for: `….cpython-313-x86_64-linux-gnu.so`."""
    compiled = next(folder.glob("CommonLayer/python/**/*.cpython-*.so"))
    architecture = _MACHINES[compiled.name.rpartition(".cpython-")[2].split("-")[1]]
    if architecture != _machine():
        raise CommandError(
            f"What is built is for {architecture} and this machine is {_machine()}; "
            f"run `make build ARCHITECTURE={_machine()}`."
        )


def _machine() -> str:
    return _MACHINES.get(platform.machine().lower(), platform.machine())
