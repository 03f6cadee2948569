"""What is installed is what is deployed, and the pins name packages and nothing of where they came from."""

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.stack import ROOT

LAYER = ROOT / "layers/common/python/requirements.txt"
PINNED = [LAYER, *sorted((ROOT / "requirements").glob("*.txt"))]
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
