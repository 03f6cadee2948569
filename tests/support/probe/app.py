"""Functions that show what a gateway makes of a request, and what it makes of a result."""

import json
import os
import time
from typing import Any

_VERDICTS = {"right": {"isAuthorized": True, "context": {"keyId": "me"}}, "nothing": {}}


def echo(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Give back the event."""
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}


def answer(event: dict[str, Any], context: Any) -> Any:
    """Give the result that the body names, or raise."""
    wanted = json.loads(event["body"])
    if "raise" in wanted:
        raise RuntimeError(wanted["raise"])
    result = wanted["result"]
    if isinstance(result, dict) and isinstance(result.get("body"), dict) and "times" in result["body"]:
        result["body"] = "x" * result["body"]["times"]
    return result


def leave(event: dict[str, Any], context: Any) -> None:
    """End the process."""
    os._exit(1)


def sleep(event: dict[str, Any], context: Any) -> None:
    """Take longer than the second that the template gives."""
    time.sleep(3)


def guard(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Let the right key in."""
    headers = {name.lower(): value for name, value in event["headers"].items()}
    key = headers.get("x-api-key")
    if key == "raise":
        raise RuntimeError("broken")
    return _VERDICTS.get(key or "", {"isAuthorized": False})
