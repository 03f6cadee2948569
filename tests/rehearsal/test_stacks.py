"""Several stacks in one account, of parts of the bundle, and the command in front of one that answers."""

import copy
import json
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from devtools.project import load_provider, provider_names
from devtools.provider_blocks import pascal
from integrations.version import VERSION
from tests.rehearsal.conftest import Account, Deployed, Packaged, deploy
from tests.rehearsal.running import RunningStack
from tests.support import upstream as reply
from tests.support.peers import answer_examples
from tests.support.serving import integrations
from tests.support.stack import ROOT, Template
from tests.support.upstream import Upstream, server_context

pytestmark = pytest.mark.timeout(900)

BLUE, GREEN = "blue", "green"
LEFT_OUT = sorted({load_provider(name).category for name in provider_names()} - {"search"})


@pytest.fixture(scope="module")
def green(account: Account, native: Packaged) -> Deployed:
    """Give a stack of the search providers alone."""
    switches = {f"Enable{pascal(category)}": "false" for category in LEFT_OUT}
    return deploy(account, native, GREEN, Prefix=f"team/{GREEN}", Architecture=native.architecture, **switches)


@pytest.fixture(scope="module")
def service(certificate_authority: trustme.CA) -> Iterator[Upstream]:
    """Give a service whose certificate is of a private authority."""
    with Upstream(tls=server_context(certificate_authority, "127.0.0.1")) as service:
        answer_examples("algolia", service)
        yield service


@pytest.fixture(scope="module")
def authorities(
    account: Account, certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Publish a layer of the operators' own, as docs/deploying.md tells; give its ARN and what it puts into /opt."""
    folder = tmp_path_factory.mktemp("opt")
    certificate_authority.cert_pem.write_to_path(str(folder / "authorities.pem"))
    zipped = tmp_path_factory.mktemp("layer") / "authorities.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(folder / "authorities.pem", "authorities.pem")
    made = account.client("lambda").publish_layer_version(
        LayerName="company-authorities", Content={"ZipFile": zipped.read_bytes()}
    )
    return made["LayerVersionArn"], folder


@pytest.fixture(scope="module")
def running(
    account: Account, native: Packaged, authorities: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    """Give the gateway and the functions of the stack `blue`, before it is deployed."""
    running = RunningStack(account, native, tmp_path_factory.mktemp("logs"), authorities[1])
    yield running
    running.close()


@pytest.fixture(scope="module")
def blue(
    account: Account, native: Packaged, running: RunningStack, service: Upstream, authorities: tuple[str, Path]
) -> Deployed:
    """Give a stack that answers: moto makes no API, so the output that names it names the local gateway instead."""
    template = copy.deepcopy(native.template.translated)
    template["Outputs"]["ApiUrl"]["Value"] = running.url
    parameters = {
        "Prefix": f"team/{BLUE}",
        "Architecture": native.architecture,
        "BaseUrls": f"algolia={service.url}/1;wikipedia=http://127.0.0.1:9",
        "CertificateAuthorities": authorities[0],
        "LogRetentionDays": "7",
    }
    packaged = replace(native, template=Template(native.template.written, template))
    deployed = deploy(account, packaged, BLUE, **parameters)
    running.is_stack(deployed.resources)
    return deployed


def command(
    home: Path, account: Account, *arguments: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return integrations(home, *arguments, stdin=stdin, **account.variables, **variables)


# Two stacks.


def test_two_stacks_live_in_one_account(blue: Deployed, green: Deployed) -> None:
    # What nobody can name, such as a permission, has no name at all.
    ours = {(kind, name) for kind, name in blue.resources.values() if name}
    theirs = {(kind, name) for kind, name in green.resources.values() if name}
    assert len(ours) > len(theirs) > 20
    assert ours.isdisjoint(theirs)
    assert set(blue.outputs.values()).isdisjoint(green.outputs.values())
    names = [bucket["Name"] for bucket in blue.account.client("s3").list_buckets()["Buckets"]]
    assert {blue.physical("FilesBucket"), green.physical("FilesBucket")} <= set(names)


def test_each_stack_reads_its_own_secrets(blue: Deployed, green: Deployed) -> None:
    client = blue.account.client("lambda")
    for stack in (blue, green):
        for name, (kind, physical) in stack.resources.items():
            if kind == "AWS::Lambda::Function":
                variables = client.get_function_configuration(FunctionName=physical)["Environment"]["Variables"]
                assert variables["INTEGRATIONS_PREFIX"] == f"team/{stack.name}", name
        secrets = {
            statement["Resource"].partition(":secret:")[2].rpartition("/")[0].removeprefix(f"team/{stack.name}")
            for role in stack.expected.of_type("AWS::IAM::Role").values()
            for policy in role.get("Policies", [])
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Action"] == "secretsmanager:GetSecretValue"
        }
        assert "" in secrets, "the authorizer reads <prefix>/api-keys"
        assert all(name == "" or name.startswith("/") for name in secrets), "and nobody what is not below the prefix"


# Chosen parts.


def test_the_providers_of_a_category_that_is_left_out_are_not_deployed(green: Deployed) -> None:
    kept = {name for name in provider_names() if load_provider(name).category == "search"}
    functions = {name for name, (kind, _) in green.resources.items() if kind == "AWS::Lambda::Function"}
    assert functions == {f"{pascal(name)}Function" for name in kept} | {"AuthorizerFunction", "RegistryFunction"}
    assert green.outputs.keys() == {"ApiUrl", "FilesBucket"} | {pascal(name) for name in kept}
    everywhere = json.dumps([green.resources, green.outputs])
    for name in set(provider_names()) - kept:
        assert f"{pascal(name)}Function" not in everywhere


def test_base_urls_and_retention_are_what_was_asked_for(blue: Deployed, service: Upstream) -> None:
    client = blue.account.client("lambda")

    def variables(name: str) -> dict[str, str]:
        told: dict[str, str] = client.get_function_configuration(FunctionName=blue.physical(name))["Environment"][
            "Variables"
        ]
        return told

    assert variables("AlgoliaFunction")["ALGOLIA_BASE_URL"] == f"{service.url}/1"
    assert variables("WikipediaFunction")["WIKIPEDIA_BASE_URL"] == "http://127.0.0.1:9"
    assert variables("BraveFunction")["BRAVE_BASE_URL"] == ""
    group = f"/aws/lambda/{blue.physical('AlgoliaFunction')}"
    [found] = blue.account.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found["retentionInDays"] == 7


# The command in front of a stack that answers.


@pytest.fixture(scope="module")
def key(blue: Deployed, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a key in the stack, and store a connection of algolia there."""
    home = tmp_path_factory.mktemp("home")
    setup = json.dumps({"application_id": "STACKAPP", "api_key": "stored-in-the-stack"})
    stored = command(home, blue.account, "secrets", "put", "algolia", "--stack", BLUE, stdin=setup)
    assert (stored.returncode, stored.stdout) == (0, "Stored algolia/default.\n"), stored.stderr
    made = command(home, blue.account, "keys", "create", "--label", "rehearsal", "--stack", BLUE)
    assert made.returncode == 0, made.stderr
    assert not list(home.iterdir()), "nothing was written to this machine"
    return made.stdout.strip()


CALL = ("invoke", "algolia", "-a", "index_name=products", "-a", "query=phone", "--stack", BLUE)


def test_a_call_of_the_stacks_api_uses_what_is_stored_there(
    blue: Deployed, key: str, service: Upstream, tmp_path: Path
) -> None:
    """Key, authorizer, function, connection, base URL and private authority: all as they were deployed."""
    before = len(service.requests)
    done = command(tmp_path, blue.account, *CALL, INTEGRATIONS_API_KEY=key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["hits"]
    [request] = service.requests[before:]
    assert request.headers["x-algolia-application-id"] == "STACKAPP"
    assert request.headers["x-algolia-api-key"] == "stored-in-the-stack"


def test_a_call_of_the_stacks_function_needs_no_key(
    blue: Deployed, key: str, running: RunningStack, service: Upstream, tmp_path: Path
) -> None:
    before = len(service.requests)
    done = command(tmp_path, blue.account, *CALL, AWS_ENDPOINT_URL_LAMBDA=running.functions_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["hits"]
    assert len(service.requests) == before + 1


def test_what_the_function_raises_is_told_as_the_api_tells_it(
    blue: Deployed, key: str, running: RunningStack, service: Upstream, tmp_path: Path
) -> None:
    problems = []
    for variables in ({"INTEGRATIONS_API_KEY": key}, {"AWS_ENDPOINT_URL_LAMBDA": running.functions_url}):
        service.replies(reply.json({"message": "Invalid Application-ID or API key"}, 403))
        done = command(tmp_path, blue.account, *CALL, **variables)
        assert (done.returncode, done.stdout) == (1, "")
        problem = json.loads(done.stderr)
        problem.pop("correlation_id")
        problems.append(problem)
    assert problems[0] == problems[1]
    assert problems[0]["code"] == "upstream_denied"


def test_a_key_that_was_revoked_is_refused(blue: Deployed, tmp_path: Path, key: str) -> None:
    done = command(tmp_path, blue.account, *CALL, INTEGRATIONS_API_KEY=f"{key.partition('.')[0]}.wrong")
    assert (done.returncode, json.loads(done.stderr)) == (1, {"message": "Forbidden"})


def test_a_provider_that_is_not_deployed_is_told(green: Deployed, tmp_path: Path) -> None:
    done = command(
        tmp_path, green.account, "invoke", "email", "-e", str(ROOT / "events/email.send.json"), "--stack", GREEN
    )
    assert done.returncode == 1
    assert "The stack green does not have email: deploy it again, with the provider's category." in done.stderr
    assert "wikipedia" in done.stderr


def test_a_call_goes_to_one_place(tmp_path: Path) -> None:
    done = integrations(tmp_path, *CALL, "--url", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "--url and --stack name two places" in done.stderr


def test_the_doctor_finds_a_stack_that_works(blue: Deployed, key: str, running: RunningStack, tmp_path: Path) -> None:
    done = command(tmp_path, blue.account, "doctor", "--stack", BLUE)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "ok      stack blue: CREATE_COMPLETE",
        f"ok      GET {running.url}/health: ok, version {VERSION}",
        "ok      API keys: 1 of 1 can be used",
    ]
    assert "ok      algolia: setup stored" in lines
    assert "ok      wikipedia: needs no setup" in lines
    assert any(line.startswith("ok      weather: no setup, and it needs none; callers send one, or ") for line in lines)
    assert f"ok      wikipedia: function {blue.physical('WikipediaFunction')}" in lines
    assert (
        "ok      brave: no setup; callers send one, or `integrations secrets put brave --stack blue` stores one"
        in lines
    )
    assert not [line for line in lines if line.startswith("missing")]
    assert "stored-in-the-stack" not in done.stdout


def test_the_doctor_finds_what_callers_would_miss(green: Deployed, tmp_path: Path) -> None:
    """No API answers there, nobody has a key, one function is gone and one connection was written by hand."""
    client = green.account.client("secretsmanager")
    client.create_secret(
        Name="team/green/algolia/default", SecretString=json.dumps({"setup": {"api_key": "only-this"}})
    )
    green.account.client("lambda").delete_function(FunctionName=green.physical("BraveFunction"))
    done = command(tmp_path, green.account, "doctor", "--stack", GREEN)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "ok      stack green: CREATE_COMPLETE"
    assert lines[1].startswith("missing GET https://")
    assert lines[2] == "missing API keys: 0 of 0 can be used: `integrations keys create --stack green` makes one"
    assert "missing brave: its function is gone: deploy again" in lines
    assert "ok      email: not deployed" in lines
    assert any(line.startswith("missing algolia: the stored setup does not fit (") for line in lines)
    assert "only-this" not in done.stdout
    assert "Something that callers of the stack green need is missing." in done.stderr


@pytest.mark.parametrize("arguments", [("doctor",), ("invoke", "wikipedia"), ("keys", "list"), ("secrets", "list")])
def test_a_stack_that_is_not_there_is_told(account: Account, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = command(tmp_path, account, *arguments, "--stack", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no stack nowhere in this account and region." in done.stderr


def test_other_stacks_of_the_account_are_left_alone(blue: Deployed, key: str, tmp_path: Path) -> None:
    def value(name: str) -> Any:
        return json.loads(blue.account.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])

    assert list(value("team/blue/api-keys")["keys"]) == [key.partition(".")[0]]
    names = [of["Name"] for of in blue.account.client("secretsmanager").list_secrets()["SecretList"]]
    assert [name for name in names if name.startswith("team/green/")] == ["team/green/algolia/default"]
