"""What is installed is what is deployed, and the pins name packages and nothing of where they came from."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.stack import ROOT

LAYER = ROOT / "layers/common/python/requirements.txt"
OF_FUNCTIONS = sorted(ROOT.glob("functions/*/requirements.txt"))
PINNED = [LAYER, *OF_FUNCTIONS, *sorted((ROOT / "requirements").glob("*.txt"))]
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==([^ ;\\]+)", re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    return dict(PIN.findall(path.read_text()))


def test_the_layers_packages_are_installed_in_the_layers_versions() -> None:
    layer = pins(LAYER)
    assert {"aws-lambda-powertools", "httpx", "pydantic", "pydantic-core", "tenacity"} <= set(layer)
    assert {name: metadata.version(name) for name in layer} == layer


def test_the_layer_leaves_out_what_lambda_has_and_what_is_slow_to_start() -> None:
    assert not {"boto3", "botocore", "aws-xray-sdk"} & set(pins(LAYER))


def test_the_runtimes_packages_are_those_that_the_tests_use() -> None:
    development = pins(ROOT / "requirements/dev.txt")
    runtime = pins(ROOT / "requirements/runtime.txt")
    shared = runtime.keys() & development.keys()
    assert {"awslambdaric", "boto3", "botocore"} <= shared
    assert {name: runtime[name] for name in shared} == {name: development[name] for name in shared}


@pytest.mark.parametrize("path", OF_FUNCTIONS, ids=lambda path: path.parent.name)
def test_a_functions_packages_are_installed_in_its_versions(path: Path) -> None:
    assert {name: metadata.version(name) for name in pins(path)} == pins(path)


@pytest.mark.parametrize("path", PINNED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pin_has_hashes_and_names_no_place(path: Path) -> None:
    text = path.read_text()
    entries = re.split(r"\n(?=\S)(?!#)", text)
    assert pins(path)
    for entry in entries:
        assert PIN.match(entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert not re.search(r"--(index|extra-index|find-links|trusted-host)|(?<!\w)/\w", text)


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.in")), ids=lambda path: path.stem)
def test_every_wanted_package_is_pinned(path: Path) -> None:
    wanted = set(re.findall(r"^([a-z0-9][a-z0-9-]*)", path.read_text(), re.MULTILINE))
    of_functions = {pinned.parent.name: pinned for pinned in OF_FUNCTIONS}
    pinned = ({"layer": LAYER} | of_functions).get(path.stem, path.with_suffix(".txt"))
    assert wanted
    assert wanted <= set(pins(pinned))


def find_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Look for a Python on a PATH that is this folder alone."""
    return subprocess.run(
        ["/bin/sh", ROOT / "make/python.sh", *arguments],
        env={"PATH": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_only_prints_an_error_is_passed_over(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    pretender = tmp_path / "python3"
    pretender.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    pretender.chmod(0o755)
    real = tmp_path / f"python{version}"
    real.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    real.chmod(0o755)
    found = find_python(tmp_path, version, "--", "venv")
    assert (found.stdout, found.stderr, found.returncode) == (f"{real}\n", "", 0)


def test_a_missing_python_is_named_with_the_remedy(tmp_path: Path) -> None:
    found = find_python(tmp_path, "3.13", "--", "pip")
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr == (
        "No Python that runs was found for one of the versions: 3.13.\n"
        "Install one (python.org, your system's packages, pyenv or uv) and put it on PATH.\n"
    )


def test_a_python_without_a_module_is_named_with_the_remedy(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / "python3").symlink_to(os.path.realpath(sys.executable))
    found = find_python(tmp_path, version, "--", "venv", "no_such_module")
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr == (
        f"{tmp_path}/python3 runs but lacks one of the modules: venv no_such_module.\n"
        "Debian and Ubuntu keep them apart: apt-get install python3-venv python3-pip.\n"
    )


def test_no_lock_file_of_another_tool_is_kept() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {Path(line).name for line in listed.stdout.splitlines()}
    assert "pyproject.toml" in names
    assert not [name for name in names if name.endswith((".lock", ".lockb")) or name == "Pipfile"]
