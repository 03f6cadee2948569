"""What the tests of `sam local` need: a container engine, the built bundle, and services that containers can reach."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from devtools import engine as engines
from devtools.embedded_aws import EmbeddedAws
from devtools.errors import CommandError
from devtools.project import provider_names
from devtools.store import LocalStore
from devtools.template import parse
from tests.support import mail
from tests.support.artifact import ARCHITECTURE
from tests.support.peers import MAIL_HOST, USERS, Peers
from tests.support.processes import Server, accepts, free_port, served
from tests.support.relay import relayed
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.serving import KEY
from tests.support.stack import sam_tool
from tests.support.upstream import LOOPBACK

if TYPE_CHECKING:
    import trustme

# What SAM makes containers of.
IMAGES = ("samcli/lambda-", "public.ecr.aws/lambda/")
CERTIFICATES = "authorities.pem"


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The container engine, as DOCKER_HOST has it. Containers that SAM leaves behind are removed at the end."""
    try:
        host = engines.find()
    except CommandError as error:
        peer_is_missing(str(error))
    before = _containers(host)
    yield host
    for container in _containers(host) - before:
        engines.ask(host, f"/containers/{container}?force=true", "DELETE")


def _containers(host: str) -> set[str]:
    found = engines.ask(host, "/containers/json?all=true")
    return {container["Id"] for container in found if container["Image"].startswith(IMAGES)}


@pytest.fixture(scope="session")
def address(engine: str) -> str:
    """The address of this machine that containers reach."""
    try:
        address = engines.bridge(engine)
        socket.create_server((address, 0)).close()
    except (CommandError, OSError) as error:
        peer_is_missing(f"containers could not reach this machine: {error}")
    return address


@dataclass
class Sam:
    """The SAM tools in the folder of a project that is built, with services in the place of the world's."""

    folder: Path
    engine: str
    variables: dict[str, dict[str, str]]
    base_urls: dict[str, str]
    address: str
    mail_server: mail.MailServer | None = None
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Without credentials SAM asks nobody who they belong to."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return inherited | {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "DOCKER_HOST": self.engine,
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(self.folder / ".sam"),
        }

    def options(self) -> list[str]:
        """What each `sam local` command is given."""
        (self.folder / "variables.json").write_text(json.dumps(self.variables))
        given = [f"ParameterKey={name},ParameterValue={value}" for name, value in self.parameters.items()]
        return [
            "--skip-pull-image",
            "--env-vars",
            "variables.json",
            *(("--parameter-overrides", *given) if given else ()),
        ]

    def invoke(self, function: str, event: str) -> Any:
        """`sam local invoke`: give what the function returns, or raises."""
        done = subprocess.run(
            [sam_tool("sam"), "local", "invoke", function, "-e", "-", *self.options()],
            cwd=self.folder,
            env=self.environment,
            input=event,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip(), done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    @contextlib.contextmanager
    def serving(self, command: str, *options: str) -> Iterator[tuple[str, Server]]:
        """`sam local start-api` or `start-lambda`: give its address."""
        port = free_port()
        with served(
            [sam_tool("sam"), "local", command, "--port", str(port), *self.options(), *options],
            lambda _: accepts(port),
            self.folder / f"{command}.log",
            env=dict(self.environment),
            cwd=self.folder,
            timeout=120,
        ) as server:
            yield f"http://{LOOPBACK}:{port}", server


@pytest.fixture(scope="session")
def sam(
    engine: str,
    address: str,
    built: Path,
    peers: Peers,
    certificate_authority: "trustme.CA",
    authority_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sam]:
    """The bundle as built, whose functions reach the peers and an AWS, both on the engine's bridge."""
    folder = tmp_path_factory.mktemp("sam")
    aws = EmbeddedAws(LocalStore(folder / "store"), run_key=KEY, names=[address])
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(mail.running(certificate_authority, "starttls", USERS, name=address))
        base_urls = {
            name: peers.variables[f"{name.upper()}_BASE_URL"].replace(LOOPBACK, address)
            for name in provider_names()
            if f"{name.upper()}_BASE_URL" in peers.variables
        }
        for url in {aws.url, *base_urls.values()}:
            stack.enter_context(relayed(address, urlsplit(url).port or 0))
        stack.enter_context(relayed(address, server.port))
        variables = {
            "AWS_ENDPOINT_URL": aws.url.replace(LOOPBACK, address),
            "INTEGRATIONS_CA_FILE": f"/var/task/{CERTIFICATES}",
        }
        _copy(built, folder / ".aws-sam/build", authority_file, variables)
        parameters = {
            "AllowedHosts": address,
            "BaseUrls": ";".join(f"{name}={url}" for name, url in base_urls.items()),
            "Architecture": ARCHITECTURE,
        }
        yield Sam(folder, engine, {"Parameters": variables}, base_urls, address, server, parameters)


def _copy(built: Path, folder: Path, authority: Path, variables: dict[str, str]) -> None:
    """Copy what was built; each function has the certificate authority, and declares the variables.

    SAM hands over no variable that the template does not declare for the function.
    """
    shutil.copytree(built, folder, copy_function=os.link)
    template = parse((folder / "template.yaml").read_text())
    template["Globals"]["Function"]["Environment"]["Variables"] |= dict.fromkeys(variables, "")
    (folder / "template.yaml").unlink()  # the copy is the same file
    (folder / "template.yaml").write_text(json.dumps(template))
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            shutil.copy(authority, folder / name / CERTIFICATES)


def aimed(sam: Sam, event: str) -> str:
    """Give the text of an event whose mail server is the one on the bridge."""
    assert sam.mail_server
    found = f'"host": "{MAIL_HOST}", "port": 587'
    return event.replace(found, f'"host": "{sam.address}", "port": {sam.mail_server.port}')
