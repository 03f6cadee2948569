"""Step Functions on loopback: definitions linted by asl-validator, and executed by moto's interpreter.

The interpreter has no JSONata of its own; jsonata-python is put where it looks for one. Lambda is called at
AWS_ENDPOINT_URL_LAMBDA. The waits of Retry are written down instead of waited for.
"""

import fcntl
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.support.lambda_api import LambdaApi
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.stack import ROOT

VALIDATOR = ("asl-validator", "4.0.0")
PATIENCE = 60.0
"""Seconds that an execution may take."""

Definition = dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """How an execution ended."""

    status: str
    output: Any
    error: str | None
    cause: str | None
    events: list[dict[str, Any]]

    def entered(self) -> list[str]:
        """Name the states that were entered, in order."""
        details = (event.get("stateEnteredEventDetails") for event in self.events)
        return [detail["name"] for detail in details if detail]


@dataclass
class Interpreter:
    """Step Functions. `waits` are the seconds between the attempts of states."""

    client: Any
    role: str
    waits: list[float] = field(default_factory=list)

    def execute(self, definition: Definition, given: Any) -> Execution:
        """Run a definition to its end."""
        made = self.client.create_state_machine(
            name=f"machine-{time.monotonic_ns()}", definition=json.dumps(definition), roleArn=self.role
        )
        started = self.client.start_execution(stateMachineArn=made["stateMachineArn"], input=json.dumps(given))
        arn, end = started["executionArn"], time.monotonic() + PATIENCE
        while (told := self.client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < end, "the execution did not end"
            time.sleep(0.02)
        output = told.get("output")
        events = self.client.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return Execution(told["status"], output and json.loads(output), told.get("error"), told.get("cause"), events)


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interpreter]:
    """Give an empty Step Functions whose executions are run in this process."""
    from jsonata.jsonata import Jsonata
    from moto import mock_aws
    from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
    from moto.stepfunctions.parser.asl.jsonata import jsonata

    def evaluated(expression: str) -> Any:
        try:
            return Jsonata(expression).evaluate(None)
        except Exception as fault:  # whatever it is, it is an error of the expression
            raise jsonata.JSONataException("States.QueryEvaluationError", str(fault)) from fault

    waits: list[float] = []
    monkeypatch.setattr(jsonata, "_eval_jsonata", evaluated)
    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        role = boto3.client("iam").create_role(RoleName="machine", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        # By its address, for a test may have set AWS_ENDPOINT_URL.
        client = boto3.client("stepfunctions", endpoint_url="https://states.us-east-1.amazonaws.com")
        yield Interpreter(client, role, waits)
        client.close()


@pytest.fixture
def lambda_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LambdaApi]]:
    """Serve functions, by their names, as the Lambda that states call, until the test ends."""
    started: list[LambdaApi] = []

    def start(**functions: Any) -> LambdaApi:
        api = LambdaApi(functions)
        started.append(api)
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", api.url)
        return api

    yield start
    for api in started:
        api.close()


def machine(name: str) -> Definition:
    """Read a state machine as CloudFormation hands it over, each function's ARN in its place."""
    return filled((ROOT / f"statemachines/{name}.asl.json").read_text(encoding="utf-8"))


def filled(definition: str) -> Definition:
    """Put an ARN that ends in its logical id in the place of each `${...Function}`."""
    arns = re.sub(r"\$\{(\w+)\}", r"arn:aws:lambda:us-east-1:123456789012:function:\1", definition)
    complete: Definition = json.loads(arns)
    return complete


def changed(definition: Any, **fields: Any) -> Any:
    """Give a definition in which each of these fields has another value wherever it stands."""
    if isinstance(definition, list):
        return [changed(item, **fields) for item in definition]
    if not isinstance(definition, Mapping):
        return definition
    return {name: fields.get(name, changed(value, **fields)) for name, value in definition.items()}


def validator() -> Path:
    """Give the program of asl-validator, installed below .venv when it is first asked for."""
    name, version = VALIDATOR
    folder = ROOT / ".venv" / f"{name}-{version}"
    program = folder / "node_modules/.bin" / name
    with (ROOT / ".venv" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two workers of a run may ask at once
        if not program.exists():
            install_validator(f"{name}@{version}", folder)
    return program


def install_validator(package: str, folder: Path) -> None:
    """Install a package of npm with what it needs into a folder of its own."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        peer_is_missing(f"node and npm, which {package} needs, are not installed")
    shutil.rmtree(folder, ignore_errors=True)  # of an installation that was broken off
    done = subprocess.run(
        ["npm", "install", "--prefix", folder, "--no-package-lock", "--no-audit", "--no-fund", package],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if done.returncode:
        peer_is_missing(f"npm could not install {package}; its last words: {done.stderr[-300:]}")


def lint(*paths: Path) -> str:
    """Run asl-validator on definitions and give what it finds fault with; nothing where all are valid."""
    arguments = [argument for path in paths for argument in ("--json-path", path)]
    done = subprocess.run([validator(), *arguments], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode in (0, 1), done.stderr
    assert (done.returncode == 0) == ("is invalid" not in done.stdout + done.stderr), done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout + done.stderr
