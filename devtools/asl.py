"""A method as a state of the Amazon States Language, to be pasted into `States` of a state machine.

The language: https://states-language.net, in JSONata. How a function is invoked, and how Lambda's own errors are named:
https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html,
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception.
What is repeated and what is caught follows from the table in integrations/errors.py and from the method's effect.
"""

import json
import re
from typing import Any

from devtools.connections import required_fields
from devtools.error_tree import groups
from devtools.provider_blocks import pascal
from integrations import Provider
from integrations.provider import Method

State = dict[str, Any]

# Lambda took no call: nothing has run.
THROTTLED = "Lambda.TooManyRequestsException"
# Lambda or the way to it failed; the function may have run all the same.
LAMBDA_FAILED = (
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
)
# Lambda gives a function so many seconds to start before its own timeout begins to count.
START = 10

# The Cause of a function's error is its error as JSON, in which the message is the problem as JSON.
PROBLEM = "{% $parse($parse($states.errorOutput.Cause).errorMessage) %}"


def states(provider: Provider, method: Method, timeout: float) -> dict[str, State]:
    """Give the state that calls a method, and the states that its failures lead to.

    The input of the state is the arguments; its output is the method's. `timeout` is that of the function, in seconds:
    the state waits longer, so that the function can say by itself that there was no time left.
    """
    name = f"{provider.name}.{method.name}"
    caught = _caught(repeatable=method.repeatable)
    task = {
        "Type": "Task",
        "QueryLanguage": "JSONata",
        "Comment": f"{method.description} Retry-After cannot be honoured here: Retry waits by its own figures.",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": f"${{{pascal(provider.name)}Function}}", "Payload": _payload(provider, method)},
        "Output": "{% $states.result.Payload %}",
        "TimeoutSeconds": round(timeout) + START,
        "Retry": retry(repeatable=method.repeatable),
        "Catch": [
            *({"ErrorEquals": names, "Output": PROBLEM, "Next": what.format(name)} for what, names in caught.items()),
            {"ErrorEquals": [THROTTLED], "Output": _NOT_TAKEN, "Next": _LATER.format(name)},
            {"ErrorEquals": ["States.ALL"], "Next": _FAILED.format(name)},
        ],
        "End": True,
    }
    return {
        name: task,
        **{what.format(name): _fail("{% $states.input.code %}", "{% $states.input.detail %}") for what in caught},
        _FAILED.format(name): _fail("failed", "{% $states.input.Error & ' ' & $states.input.Cause %}"),
    }


def text(written: dict[str, State]) -> str:
    """Write states as JSON, each list of names on one line."""
    indented = json.dumps(written, indent=2, ensure_ascii=False)
    return re.sub(r'\[\s+("[^\[\]{}]*")\s+\]', lambda names: "[" + " ".join(names[1].split()) + "]", indented)


def retry(*, repeatable: bool) -> list[State]:
    """Give what a state repeats, for a method that may or may not be repeated.

    One that may not is repeated only where it is certain that nothing was done.
    """
    again = [
        _retrier([THROTTLED, *(LAMBDA_FAILED if repeatable else ())], interval=1, attempts=3, longest=10),
        _retrier(names(retryable=True), interval=5, attempts=4, longest=60),
    ]
    if repeatable:
        again.append(_retrier(names(retryable=None), interval=2, attempts=2, longest=30))
    return again


def names(*, retryable: bool | None) -> list[str]:
    """Name the classes of errors for which the table says so; None is by the method's effect."""
    return [kind.__name__ for leaves in groups().values() for kind, _ in leaves if kind.retryable is retryable]


# In the members of a problem that are looked at: Lambda's own errors have a Cause in prose.
_NOT_TAKEN = {"code": "throttled", "detail": "Lambda took no call: too many of the account's functions run at once."}

_FIX, _SET_UP, _LATER, _DOUBT, _FAILED = "Fix {}", "Set up {}", "Repeat {} later", "Doubt about {}", "{} failed"


def _caught(*, repeatable: bool) -> dict[str, list[str]]:
    """Give the names of the errors by what is to be done about them, where that is known."""
    by_group = groups()
    caught = {
        what: [kind.__name__ for kind, _ in by_group[group]]
        for what, group in {_FIX: "fix the call", _SET_UP: "configure the provider"}.items()
    }
    waited, by_effect = names(retryable=True), names(retryable=None)
    if repeatable:
        return caught | {_LATER: waited + by_effect}
    return caught | {_LATER: waited, _DOUBT: by_effect}


def _payload(provider: Provider, method: Method) -> State:
    """Give the call. A setup would stand in the history of each execution: a stored connection stands for it."""
    connection = {"connection": "default"} if required_fields(provider) else {}
    return {"method": method.name, **connection, "arguments": "{% $states.input %}"}


def _retrier(errors: list[str], *, interval: int, attempts: int, longest: int) -> State:
    """Give one entry of Retry. Full jitter waits anything between nothing and the interval, which doubles."""
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": interval,
        "BackoffRate": 2,
        "MaxAttempts": attempts,
        "MaxDelaySeconds": longest,
        "JitterStrategy": "FULL",
    }


def _fail(error: str, cause: str) -> State:
    return {"Type": "Fail", "QueryLanguage": "JSONata", "Error": error, "Cause": cause}
