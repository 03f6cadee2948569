"""What may not be so in code as it is uploaded: each function gives a sentence for each place, and else nothing."""

import json
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

# What an ELF file says of the machine it is for, in two bytes after sixteen and two others.
# https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html, with the numbers of the System V registry
_MAGIC = b"\x7fELF"
_MACHINES = {62: "x86_64", 183: "arm64"}
_HEADER = 20

# Run by Lambda's Python, whose magic number and source hashes it compares with.
_CHECK_BYTECODE = """
import importlib.util, json, pathlib, sys
bad, good = [], 0
for source in pathlib.Path(sys.argv[1]).rglob("*.py"):
    compiled = pathlib.Path(importlib.util.cache_from_source(source))
    expected = importlib.util.MAGIC_NUMBER + b"\\1\\0\\0\\0" + importlib.util.source_hash(source.read_bytes())
    if compiled.is_file() and compiled.read_bytes()[:16] == expected:
        good += 1
    else:
        bad.append(str(source))
print(json.dumps([bad, good]))
"""

_CHECK_HANDLER = """
import importlib, sys
module, name = sys.argv[1].rsplit(".", 1)
sys.path[:0] = sys.argv[2:]
assert callable(getattr(importlib.import_module(module), name)), f"{name} is not callable"
"""


def bytecode(python: str, folder: Path) -> tuple[list[str], int]:
    """Give the sources without valid unchecked bytecode, and how many have it."""
    done = subprocess.run(
        [python, "-I", "-c", _CHECK_BYTECODE, folder],
        capture_output=True,
        text=True,
        check=True,
    )
    bad, good = json.loads(done.stdout)
    return bad, good


def sources_only(python: str, folder: Path) -> list[str]:
    """Name each source that Lambda would compile at each cold start."""
    bad, good = bytecode(python, folder)
    assert bad or good, f"there is no source in {folder}"
    return [f"{Path(path).relative_to(folder)} has no bytecode that Lambda takes as it is" for path in sorted(bad)]


def machine(header: bytes) -> str | None:
    """Say for which machine a file of compiled code is, by its first bytes; None where it is something else."""
    if not header.startswith(_MAGIC):
        return None
    number = int.from_bytes(header[18:20], "little")
    return _MACHINES.get(number, f"machine {number}")


def compiled_files(upload: Path) -> dict[str, str]:
    """Give each file of compiled code in a zip, with its machine: libraries, extensions, programs."""
    with zipfile.ZipFile(upload) as archive:
        machines = {}
        for entry in archive.infolist():
            with archive.open(entry) as file:
                if of := machine(file.read(_HEADER)):
                    machines[entry.filename] = of
    return machines


def foreign_code(upload: Path, architecture: str) -> list[str]:
    """Name each file in a zip that functions of this architecture cannot load."""
    return [
        f"{name} is for {of}, not {architecture}" for name, of in compiled_files(upload).items() if of != architecture
    ]


def unloadable_handler(python: str, handler: str, paths: Iterable[Path]) -> list[str]:
    """Import a handler as Lambda does, with nothing on the path but these folders, and say why it does not go."""
    done = subprocess.run(
        [python, "-I", "-S", "-c", _CHECK_HANDLER, handler, *paths],
        env={"PATH": "/usr/bin:/bin", "AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return [] if done.returncode == 0 else [f"{handler} does not import: {done.stderr.strip().splitlines()[-1]}"]
