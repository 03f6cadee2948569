"""What the rehearsal has: both builds, packaged and translated, and an account to deploy them into."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support import artifact
from tests.support.artifact import ARCHITECTURE, BUCKET
from tests.support.processes import accepts, free_port, served
from tests.support.stack import ROOT, Stack, Template, sam_tool, translate

ARCHITECTURES = ("arm64", "x86_64")


@dataclass
class Packaged:
    """One architecture's build as `sam package` has uploaded it."""

    architecture: str
    folder: Path
    built: Path
    """What `sam build` has written."""
    template: Template
    """What `sam package` has written, and what AWS makes of that."""

    @cached_property
    def uploads(self) -> dict[str, Path]:
        """The zip of the layer and of each function, fetched again, by logical id."""
        return {path.stem: path for path in sorted((self.folder / "uploads").iterdir())}

    @cached_property
    def code(self) -> dict[str, Path]:
        """What is in the zips, by logical id."""
        return {name: self._unzipped(name, upload) for name, upload in self.uploads.items()}

    def _unzipped(self, name: str, upload: Path) -> Path:
        folder = self.folder / "code" / name
        artifact.unzip(upload, folder)
        return folder

    def layers(self, name: str) -> list[Path]:
        """Give the folders that a function's own layers put on its path."""
        layers = self.template.written["Resources"][name]["Properties"].get("Layers", [])
        return [self.code[layer["Ref"]] / "python" for layer in layers if "Ref" in layer]

    def handler(self, name: str) -> str:
        """Give the handler of a function."""
        properties = self.template.written["Resources"][name]["Properties"]
        handler: str = properties.get("Handler") or self.template.written["Globals"]["Function"]["Handler"]
        return handler


@dataclass
class Account:
    """An AWS account on loopback."""

    endpoint: str

    @property
    def variables(self) -> dict[str, str]:
        """What leads a program to it."""
        return artifact.account(self.endpoint)

    def client(self, service: str) -> Any:
        """Give a client of one of its services."""
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def resources(self, stack: str) -> dict[str, tuple[str, str]]:
        """Give type and physical name of each resource that was made for a stack, by logical id.

        Of a type that moto skips it lists a resource without a type.
        """
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        return {
            resource["LogicalResourceId"]: (resource["ResourceType"], resource.get("PhysicalResourceId", ""))
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"]
        }

    def deploy(self, folder: Path, template: Mapping[str, Any], name: str, **parameters: str) -> str:
        """Run `sam deploy` of a translated template, and give what it printed."""
        path = folder / f"{name}.json"
        path.write_text(json.dumps(template))
        overrides = [f"{key}={value}" for key, value in parameters.items()]
        return artifact.run(
            [
                *(sam_tool("sam"), "deploy", "--template-file", path, "--stack-name", name),
                *("--s3-bucket", BUCKET, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
                *(("--parameter-overrides", *overrides) if overrides else ()),
            ],
            folder,
            **self.variables,
        )


@dataclass
class Deployed:
    """A stack in the account, and what the template makes of its parameters."""

    name: str
    account: Account
    expected: Stack
    printed: str

    @cached_property
    def resources(self) -> dict[str, tuple[str, str]]:
        """Type and physical name of what was made, by logical id."""
        return self.account.resources(self.name)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs that the account tells."""
        [found] = self.account.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def physical(self, logical_id: str) -> str:
        """Give the name that the account has given to a resource."""
        return self.resources[logical_id][1]


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Give an account with the bucket that code is uploaded to."""
    port = free_port()
    log = tmp_path_factory.mktemp("account") / "moto.log"
    argv = [sys.executable, "-m", "tests.rehearsal.account", str(port)]
    with served(argv, lambda _: accepts(port), log, cwd=ROOT):
        # By this name and not by its number: SAM and CloudFormation read bucket and key out of the URL.
        account = Account(f"http://localhost:{port}")
        account.client("s3").create_bucket(Bucket=BUCKET)
        yield account


@pytest.fixture(scope="session", params=ARCHITECTURES)
def packaged(request: pytest.FixtureRequest, both: dict[str, Packaged]) -> Packaged:
    """Give one architecture's build after the other."""
    return both[request.param]


@pytest.fixture(scope="session")
def native(both: dict[str, Packaged]) -> Packaged:
    """Give the build whose compiled code loads on this machine."""
    return both[ARCHITECTURE]


@pytest.fixture(scope="session")
def both(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Packaged]]:
    """Build for each architecture, package and translate. Some 600 MB, which are gone afterwards."""
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder:
        yield {of: _packaged(account, Path(folder) / of, of) for of in ARCHITECTURES}


def _packaged(account: Account, folder: Path, architecture: str) -> Packaged:
    folder.mkdir()
    built = artifact.build(folder, architecture)
    resources = artifact.package(built, account.endpoint, folder)
    (folder / "uploads").mkdir()
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if uri := properties.get("CodeUri") or properties.get("ContentUri"):
            key = uri.removeprefix(f"s3://{BUCKET}/")
            account.client("s3").download_file(BUCKET, key, str(folder / "uploads" / f"{name}.zip"))
    return Packaged(architecture, folder, built, translate(folder / "packaged.json"))


@pytest.fixture(scope="session")
def stack_name() -> str:
    """Name the stack that most tests look at."""
    return "integrations-rehearsal"


@pytest.fixture(scope="session")
def deployed(account: Account, native: Packaged, stack_name: str) -> Deployed:
    """Deploy the stack with every parameter at its default but the architecture."""
    return deploy(account, native, stack_name, Prefix=stack_name, Architecture=native.architecture)


def deploy(account: Account, packaged: Packaged, name: str, **parameters: str) -> Deployed:
    """Deploy a stack of this name."""
    printed = account.deploy(packaged.folder, packaged.template.translated, name, **parameters)
    return Deployed(name, account, packaged.template.deployed(named=name, **parameters), printed)
