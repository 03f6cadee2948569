"""Calls handlers in this process and times them: for each line on standard input, one on standard output.

In: `{"folder", "handler", "event", "calls"}`. Out: the median seconds of a call.
"""

import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CONTEXT = SimpleNamespace(
    aws_request_id="8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    function_name="benchmark",
    function_version="$LATEST",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:benchmark",
    memory_limit_in_mb=256,
    get_remaining_time_in_millis=lambda: 29_000,
)


@cache
def loaded(folder: str, handler: str) -> Callable[[Any, Any], Any]:
    """Load a handler from its file, because two providers are both called `provider`."""
    module, function = handler.split(".")
    spec = importlib.util.spec_from_file_location(f"{Path(folder).name}_{module}", Path(folder) / f"{module}.py")
    assert spec is not None  # noqa: S101  # for the type checker: it ends in .py
    assert spec.loader is not None  # noqa: S101  # the same
    loading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loading)
    found: Callable[[Any, Any], Any] = getattr(loading, function)
    return found


def timed(handler: Callable[[Any, Any], Any], event: Any, calls: int) -> float:
    """Give the median seconds of a call."""
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        reply = handler(event, CONTEXT)
        taken.append(time.perf_counter() - started)
        if isinstance(reply, dict) and reply.get("statusCode", 200) != 200:
            raise RuntimeError(f"The call failed: {reply}")
    return statistics.median(taken)


def main() -> None:
    """Answer until standard input ends. What the handlers write goes nowhere, as log lines leave a function."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        handler = loaded(asked["folder"], asked["handler"])
        timed(handler, asked["event"], 20)
        print(timed(handler, asked["event"], asked["calls"]), file=answers)


if __name__ == "__main__":
    main()
