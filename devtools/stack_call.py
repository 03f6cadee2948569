"""`integrations invoke --stack`: one call of a deployed stack."""

import contextlib
import json
import os
from typing import Any

import boto3
from botocore.config import Config

from devtools.invocation import API_KEY, Call, Outcome, post, pretty
from devtools.stack import describe, explained

# The longest that Lambda lets a function run.
FUNCTION_TIMEOUT = 15 * 60.0


def to_stack(name: str, call: Call) -> Outcome:
    """Call the stack's API where there is a key for it, else the function, as whoever AWS takes us for."""
    stack = describe(name)
    function = stack.function(call.provider)
    key = os.environ.get(API_KEY)
    return post(stack.api_url, key, call) if key else _invoked(name, function, call)


def _invoked(stack: str, function: str, call: Call) -> Outcome:
    """Invoke the function, once: whether a call may be repeated is up to the bundle, which repeats it itself."""
    config = Config(read_timeout=FUNCTION_TIMEOUT, retries={"mode": "standard", "total_max_attempts": 1})
    with explained(stack):
        client: Any = boto3.client("lambda", config=config)
        answer = client.invoke(FunctionName=function, Payload=json.dumps(call.event).encode())
        payload = json.loads(answer["Payload"].read())
    if "FunctionError" not in answer:
        return Outcome(pretty(payload), failed=False)
    # What is raised has the problem as its message; Lambda's own failures, such as a timeout, have a sentence there.
    with contextlib.suppress(ValueError, KeyError, TypeError):
        payload = json.loads(payload["errorMessage"])
    return Outcome(pretty(payload), failed=True)
