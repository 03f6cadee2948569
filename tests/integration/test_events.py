"""EventBridge and Scheduler: what they send runs on the built function, and what fails can be sent again."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest

from devtools.runtime_api import Environment as Function
from devtools.template import parse
from tests.support import upstream as reply
from tests.support.artifact import Artifact
from tests.support.aws import Secrets
from tests.support.lambda_api import LambdaApi
from tests.support.searches import wiki
from tests.support.stack import ROOT
from tests.support.upstream import Upstream

EXAMPLE = parse((ROOT / "docs/examples/events.yaml").read_text())["Resources"]
STACK = "integrations"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:WikipediaFunction:$LATEST"


def event_of(detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
    """Give an event as EventBridge hands it to a target."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": detail_type,
        "source": "shop",
        "account": "123456789012",
        "time": "2026-11-21T06:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


def transformed(transformer: dict[str, Any], event: dict[str, Any]) -> Any:
    """Do what EventBridge does with an InputTransformer: each `<name>` becomes the JSON of what its path leads to."""
    text = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = event
        for part in path.removeprefix("$.").split("."):
            value = value[part]
        text = text.replace(f"<{name}>", json.dumps(value))
    return json.loads(text)


def target(rule: str) -> dict[str, Any]:
    (only,) = EXAMPLE[rule]["Properties"]["Targets"]
    found: dict[str, Any] = only
    return found


@pytest.fixture
def wikipedia(artifact: Artifact, tmp_path: Path, upstream: Upstream) -> Iterator[Function]:
    upstream.route(wiki("Tea"))
    function = artifact.function("WikipediaFunction", tmp_path / "log", WIKIPEDIA_BASE_URL=f"{upstream.url}/w")
    yield function
    function.close()


def titles(function: Function, event: Any) -> list[str]:
    result = function.invoke(event)
    assert not result.failed, result.payload
    return [document["metadata"]["title"] for document in result.payload["documents"]]


def test_the_function_takes_what_the_schedule_of_the_example_sends(wikipedia: Function, upstream: Upstream) -> None:
    assert titles(wikipedia, json.loads(EXAMPLE["Morning"]["Properties"]["Target"]["Input"])) == ["Tea"]
    assert upstream.requests[0].query["gsrsearch"] == ["Tea"]


def test_the_function_takes_what_the_rules_of_the_example_send(wikipedia: Function, upstream: Upstream) -> None:
    added = event_of("ProductAdded", {"product": {"name": 'Tea, "green"'}})
    assert EXAMPLE["ProductAdded"]["Properties"]["EventPattern"]["detail-type"] == [added["detail-type"]]
    assert titles(wikipedia, transformed(target("ProductAdded")["InputTransformer"], added)) == ["Tea"]
    assert upstream.requests[0].query["gsrsearch"] == ['Tea, "green"']
    asked = event_of("WikipediaAsked", {"method": "search", "arguments": {"query": "Tea"}})
    assert target("Asked").keys().isdisjoint({"Input", "InputPath", "InputTransformer"})
    assert titles(wikipedia, asked) == ["Tea"]
    assert asked["id"] in wikipedia.output(), "the id of the event is the correlation id"


# Sending again.


def dead_letter(event: Any, function: Function | None = None, **context: str) -> dict[str, Any]:
    """Give the record that Lambda writes of a call that failed.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    record = {
        "version": "1.0",
        "timestamp": "2026-11-21T06:00:00.000Z",
        "requestContext": {
            "requestId": "5f1c2d3e-0000-4000-8000-000000000001",
            "functionArn": ARN,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
            **context,
        },
        "requestPayload": event,
    }
    if function is None:
        return record
    result = function.invoke(event)
    assert result.failed
    told = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    return record | {"responseContext": told, "responsePayload": result.payload}


def redrive(api: LambdaApi) -> list[str]:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/examples/redrive.py", STACK],
        env=os.environ | {"AWS_ENDPOINT_URL_LAMBDA": api.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_may_succeed_now_is_sent_again_and_the_rest_is_kept(
    wikipedia: Function, upstream: Upstream, secrets: Secrets, lambda_api: Callable[..., LambdaApi]
) -> None:
    secrets.deploy(STACK)
    resource = boto3.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="DeadLetterQueue"
    )
    queue = boto3.resource("sqs").Queue(resource["StackResourceDetail"]["PhysicalResourceId"])
    call = {"method": "search", "arguments": {"query": "Tea"}}
    upstream.replies(reply.json({}, 429, {"retry-after": "60"}), reply.json({}, 403))
    asked = event_of("WikipediaAsked", {**call, "arguments": {"query": "Old tea"}})
    letters = [
        dead_letter(call, wikipedia),  # 429
        dead_letter(call, wikipedia),  # 403
        dead_letter({"method": "find"}, wikipedia),
        dead_letter(asked, condition="EventAgeExceeded"),
        {"query": "tea", "limit": 5},  # of a schedule
    ]
    for letter in letters:
        queue.send_message(MessageBody=json.dumps(letter))
    api = lambda_api(WikipediaFunction=wikipedia.invoke)
    said = redrive(api)
    assert said[-1] == "2 sent again, 3 kept."
    assert sorted(said[:-1]) == sorted([
        "kept: UpstreamDenied: " + json.loads(letters[1]["responsePayload"]["errorMessage"])["detail"],
        "kept: UnknownMethod: wikipedia has no method of that name; it has: search.",
        "kept: not a failed call but what a schedule could not deliver; its attributes say why",
    ])  # fmt: skip
    for thread in api.asynchronous:
        thread.join()
    assert sorted(api.calls["WikipediaFunction"], key=str) == sorted([call, asked], key=str)
    queue.load()
    left = {name: int(queue.attributes[name]) for name in queue.attributes if name.startswith("ApproximateNumber")}
    assert sum(left.values()) == 3, left


class Queue:
    """A queue as boto3 gives it; an answer of SQS that does not wait may leave out what is there."""

    def __init__(self, letters: list[dict[str, Any]]) -> None:
        self.letters = letters

    def receive_messages(self, *, WaitTimeSeconds: int = 0, **_: Any) -> list[Any]:  # noqa: N803  # as boto3 has it
        found, self.letters = self.letters, []
        return [MagicMock(body=json.dumps(letter)) for letter in found] if WaitTimeSeconds else []


def test_what_fails_anew_meanwhile_is_not_sent_once_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    letter = dead_letter({}, condition="EventAgeExceeded")
    queue, calls = Queue([letter]), []

    def invoke(**call: Any) -> None:
        calls.append(call)
        queue.letters = [letter] if len(calls) < 5 else []

    monkeypatch.setattr(boto3, "client", lambda _: MagicMock(invoke=invoke))
    monkeypatch.setattr(boto3, "resource", lambda _: MagicMock(Queue=lambda _: queue))
    runpy.run_path(str(ROOT / "docs/examples/redrive.py"))["main"](STACK)
    assert capsys.readouterr().out == "1 sent again, 0 kept.\n"
    assert len(calls) == 1
    assert queue.letters == [letter]


def test_where_nothing_has_failed_nothing_is_sent(secrets: Secrets, lambda_api: Callable[..., LambdaApi]) -> None:
    secrets.deploy(STACK)
    assert redrive(lambda_api()) == ["0 sent again, 0 kept."]
