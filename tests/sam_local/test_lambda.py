"""`sam local start-lambda`, with boto3: what a Step Functions state or another program would call."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.sam_local.conftest import Sam
from tests.support.stack import ROOT

EVENT = (ROOT / "events/ffmpeg.probe.json").read_text()


@pytest.fixture(scope="module")
def client(sam: Sam) -> Iterator[Any]:
    with sam.serving("start-lambda", "--warm-containers", "LAZY") as (url, _):
        yield boto3.client(
            "lambda",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(read_timeout=60, retries={"max_attempts": 1}),
        )


def invoked(client: Any, function: str, event: str) -> tuple[Any, Any]:
    reply = client.invoke(FunctionName=function, Payload=event)
    return reply.get("FunctionError"), json.loads(reply["Payload"].read())


def test_boto3_invokes_a_function(client: Any) -> None:
    _, payload = invoked(client, "FfmpegFunction", EVENT)
    assert [stream["type"] for stream in payload["streams"]] == ["video", "audio"]


def test_a_function_is_found_by_its_arn(client: Any) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:FfmpegFunction"
    assert "streams" in invoked(client, arn, EVENT)[1]


def test_a_failure_is_in_the_payload_alone(client: Any) -> None:
    """AWS sets X-Amz-Function-Error too, by which Step Functions knows it: a state's Catch cannot be tried here."""
    error, payload = invoked(client, "WikipediaFunction", json.dumps({"arguments": {}}))
    assert (error, payload["errorType"]) == (None, "InvalidArguments")


def test_a_warm_container_answers_without_being_built_again(client: Any, sam: Sam) -> None:
    invoked(client, "FfmpegFunction", EVENT)
    log = sam.folder / "start-lambda.log"
    before = log.read_text().count("Building image")
    started = time.monotonic()
    invoked(client, "FfmpegFunction", EVENT)
    warm = time.monotonic() - started
    assert log.read_text().count("Building image") == before
    started = time.monotonic()
    sam.invoke("FfmpegFunction", EVENT)
    assert warm < time.monotonic() - started
