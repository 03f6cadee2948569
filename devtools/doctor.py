"""`integrations doctor`: is everything there that the project's verbs need?"""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from devtools import engine, sync
from devtools.connections import required_fields
from devtools.errors import CommandError
from devtools.project import ROOT, load_provider, provider_names, store_folder
from devtools.store import LocalStore, StoreError
from integrations import Provider

_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` is empty where all is well; `needed` by `make run` or `make test`."""

    what: str
    remedy: str = ""
    needed: bool = False


def examine() -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield _python()
    yield _layer()
    yield _python_for_builds()
    yield _sam()
    yield _engine()
    yield _node()
    yield _generated()
    yield from _store()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    remedy = "" if fits else "run `make clean setup` with PYTHON=/path/to/python3.13 (or 3.11, 3.12)"
    return Finding(f"Python {version}", remedy, needed=True)


def _layer() -> Finding:
    pins = dict(_PIN.findall((ROOT / "layers/common/python/requirements.txt").read_text(encoding="utf-8")))
    other = [name for name, version in pins.items() if _installed(name) != version]
    what = "packages as the layer pins them" + (f", except {', '.join(other)}" if other else "")
    return Finding(what, "run `make setup`" if other else "", needed=True)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _python_for_builds() -> Finding:
    found = _run("sh", "make/python.sh", "3.13", "--", "pip", "compileall")
    if found.returncode == 0:
        return Finding(f"Python 3.13 for `make build`: {found.stdout.strip()}")
    return Finding("Python 3.13 for `make build`", " ".join(found.stderr.split()))


def _sam() -> Finding:
    there = (ROOT / ".venv/sam/bin/sam").exists()
    return Finding("SAM for `make check`, `make build` and deploying", "" if there else "run `make setup`")


def _engine() -> Finding:
    try:
        return Finding(f"a container engine, only for `sam local`: {engine.find()}")
    except CommandError as error:
        return Finding("a container engine, only for `sam local`", str(error))


def _node() -> Finding:
    missing = " and ".join(name for name in ("node", "npm") if shutil.which(name) is None)
    remedy = f"install {missing}; without, the tests that lint state machines are left out" if missing else ""
    return Finding("node and npm, only for the validator of state machines", remedy)


def _generated() -> Finding:
    names = ", ".join(str(path.relative_to(ROOT)) for path in sync.stale())
    what = "generated files" + (f", except {names}" if names else "")
    return Finding(what, "run `integrations sync`" if names else "", needed=True)


def _store() -> Iterator[Finding]:
    store = LocalStore(store_folder())
    for path in (store.folder, store.path):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(f"{path} is closed to others", f"run `chmod go-rwx {path}`")
    try:
        stored = set(store.names())
    except StoreError as error:
        yield Finding("the local store", str(error), needed=True)
        return
    for name in provider_names():
        yield Finding(f"{name}: {_setup_of(load_provider(name), stored)}")


def _setup_of(provider: Provider, stored: set[str]) -> str:
    if provider.setup is None:
        return "needs no setup"
    if f"{provider.name}/default" in stored:
        return "setup stored"
    required = required_fields(provider)
    variables = [f"{provider.name.upper()}_{name.upper()}" for name in required or provider.setup.model_fields]
    if all(variable in os.environ for variable in variables):
        return "setup in the environment"
    how = f"`integrations secrets put {provider.name}` stores one, or set {', '.join(variables)}"
    return f"no setup; {how}" if required else f"no setup, and it needs none; {how}"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "it did not answer within 20 seconds")
