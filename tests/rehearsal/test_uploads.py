"""The zips that `sam package` uploads, for each architecture."""

from pathlib import Path

import pytest

from tests.rehearsal.conftest import Packaged
from tests.support.artifact import build, digests, lambda_python
from tests.support.code_findings import compiled_files, foreign_code, sources_only, unloadable_handler
from tests.support.stack import ROOT

pytestmark = pytest.mark.timeout(900)


def functions(packaged: Packaged) -> list[str]:
    """Name the functions."""
    resources = packaged.template.written["Resources"]
    return [name for name, resource in resources.items() if resource["Type"] == "AWS::Serverless::Function"]


def test_the_layer_and_each_function_are_uploaded(packaged: Packaged) -> None:
    folders = {path.parent for path in ROOT.glob("functions/*/*.py")}
    assert len(functions(packaged)) == len(folders)
    assert packaged.uploads.keys() == {"CommonLayer", *functions(packaged)}


def test_every_compiled_file_is_of_the_templates_architecture(packaged: Packaged) -> None:
    found = {name: foreign_code(upload, packaged.architecture) for name, upload in packaged.uploads.items()}
    assert {name: files for name, files in found.items() if files} == {}
    # The layer's pydantic, and the program of ffmpeg, are what there is to look at.
    assert any("pydantic_core" in name for name in compiled_files(packaged.uploads["CommonLayer"]))
    assert any("ffmpeg" in name for name in compiled_files(packaged.uploads["FfmpegFunction"]))


def test_no_source_is_compiled_in_lambda(packaged: Packaged) -> None:
    python = lambda_python()
    found = {name: sources_only(python, code) for name, code in packaged.code.items()}
    assert {name: sources for name, sources in found.items() if sources} == {}


def test_each_handler_imports_on_lambdas_own_python(native: Packaged) -> None:
    python, runtime = lambda_python(), ROOT / ".venv/runtime"
    found = []
    for name in functions(native):
        found += unloadable_handler(python, native.handler(name), [native.code[name], *native.layers(name), runtime])
    assert found == []


def test_both_architectures_have_the_same_sources(both: dict[str, Packaged]) -> None:
    """What was tested on one is what runs on the other."""
    first, *others = both.values()
    for name, code in first.code.items():
        sources = {path.relative_to(code): path.read_bytes() for path in code.rglob("*.py")}
        for other in others:
            assert {
                path.relative_to(other.code[name]): path.read_bytes() for path in other.code[name].rglob("*.py")
            } == sources, name


def test_two_builds_in_two_places_are_the_same_byte_by_byte(native: Packaged, tmp_path: Path) -> None:
    first = digests(native.built)
    assert len(first) > 500
    assert digests(build(tmp_path, native.architecture)) == first
