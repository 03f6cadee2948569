"""What `sam deploy` would upload: built, packaged into an S3 on loopback, and unzipped as Lambda unzips it."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from devtools.runtime_api import Environment, variables
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.stack import ROOT, sam_tool

SOURCES = ("template.yaml", "make", "layers", "functions", "statemachines")
# The layer holds compiled code, which must load here.
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
BUCKET = "artifacts"
BUILT = ".aws-sam/build"  # where `sam build` writes


@dataclass(frozen=True)
class Artifact:
    """The uploaded code of the layer and of each function, by logical id, and Lambda's Python to run it."""

    python: str
    code: Mapping[str, Path]
    resources: Mapping[str, Any]

    def environment(self, name: str) -> dict[str, str]:
        """Give the variables that the template sets to plain text for a function."""
        variables = self.resources[name]["Properties"].get("Environment", {}).get("Variables", {})
        return {key: value for key, value in variables.items() if isinstance(value, str)}

    def function(self, name: str, log: Path, **environment: str) -> Environment:
        """Run a function as it was uploaded: its handler on its code, its layers and Lambda's own packages."""
        properties = self.resources[name]["Properties"]
        # A layer of the operators' own, which a parameter may name, is not among what is uploaded.
        layers = [self.code[layer["Ref"]] / "python" for layer in properties.get("Layers", []) if "Ref" in layer]
        code = self.code[name]
        return Environment(
            properties.get("Handler", "provider.handler"),
            python=self.python,
            code=code,
            variables=variables(name, code, [*layers, ROOT / ".venv/runtime"]) | self.environment(name) | environment,
            log=log,
        )


def lambda_python() -> str:
    """Give a Python of Lambda's version that runs, which is what the build compiles with."""
    found = subprocess.run(
        ["sh", ROOT / "make/python.sh", "3.13", "--", "pip"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        peer_is_missing("no Python 3.13 with pip, which Lambda runs and the build compiles with, was found")
    return found.stdout.strip()


def build(folder: Path, architecture: str = ARCHITECTURE, *, of: Path = ROOT, only: str | None = None) -> Path:
    """Run `sam build` on a copy of the sources of a checkout, and give the folder of what was built.

    With `only` it is one resource of the template that is built.
    """
    sam = sam_tool("sam")
    lambda_python()
    for name in SOURCES:
        source = of / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    what = [only] if only else ["--parallel"]
    run([sam, "build", *what, "--parameter-overrides", f"Architecture={architecture}"], folder)
    return folder / BUILT


def package(built: Path, endpoint: str, destination: Path) -> dict[str, Any]:
    """Run `sam package` on what was built, and give the resources of the template that it writes."""
    packaged = destination / "packaged.json"
    run(
        [
            *(sam_tool("sam"), "package", "--template-file", built / "template.yaml"),
            *("--s3-bucket", BUCKET, "--use-json", "--output-template-file", packaged),
        ],
        destination,
        **account(endpoint),
    )
    resources: dict[str, Any] = yaml.safe_load(packaged.read_text())["Resources"]
    return resources


def account(endpoint: str) -> dict[str, str]:
    """Give the variables that lead the tools to an AWS at this address."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
    }


def run(argv: list[str | Path], folder: Path, **environment: str) -> str:
    """Run a program of the SAM tools to its end in this folder, and give what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # SAM keeps a file about itself in the home folder, unless it is told of another place.
    own = {"SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(folder / ".sam")}
    done = subprocess.run(
        argv,
        cwd=folder,
        env=inherited | own | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def _object_store() -> Iterator[tuple[str, Any]]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    # By this name and not by its number: SAM reads bucket and key out of the URL.
    endpoint = f"http://localhost:{server.get_host_and_port()[1]}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=BUCKET)
    yield endpoint, client
    client.close()
    server.stop()


def digests(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of each file, by its place in the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Give a folder that is filled once for all workers of a run: the first that asks does it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker whose build failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` writes, or has written to the folder BUILT_BUNDLE. Nobody may change it."""
    lambda_python()
    if named := os.environ.get("BUILT_BUNDLE"):
        return Path(named).resolve()
    return once(tmp_path_factory, "build", build) / BUILT


@pytest.fixture(scope="session")
def artifact(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """What `sam package` uploads. Nobody may change it."""
    folder = once(tmp_path_factory, "package", lambda folder: _uploaded(built, folder))
    resources = json.loads((folder / "resources.json").read_text())
    return Artifact(lambda_python(), {path.name: path for path in (folder / "code").iterdir()}, resources)


def _uploaded(built: Path, folder: Path) -> None:
    """Upload what was built, fetch it again, and unzip it into `code`."""
    with _object_store() as (endpoint, client):
        resources = package(built, endpoint, folder)
        for name, resource in resources.items():
            properties = resource.get("Properties", {})
            if uri := properties.get("CodeUri") or properties.get("ContentUri"):
                zipped = folder / f"{name}.zip"
                client.download_file(BUCKET, uri.removeprefix(f"s3://{BUCKET}/"), zipped)
                unzip(zipped, folder / "code" / name)
                zipped.unlink()
    (folder / "resources.json").write_text(json.dumps(resources))


def unzip(zipped: Path, folder: Path) -> None:
    """Unzip as Lambda does, with the permissions that the zip holds."""
    with zipfile.ZipFile(zipped) as archive:
        for entry in archive.infolist():
            Path(archive.extract(entry, folder)).chmod(entry.external_attr >> 16 & 0o777)
