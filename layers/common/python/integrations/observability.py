"""One log line and one set of metrics for each call. Nothing here keeps state between calls."""

import json
import logging
import os
import sys
import time
import traceback
from typing import Any, TextIO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from integrations.errors import UpstreamDenied
from integrations.redaction import redact

NAMESPACE = "Integrations"
"""Where the metrics are kept; a stack sets its own by POWERTOOLS_METRICS_NAMESPACE, so that two do not add up."""

# Our own words in a line. A caller may well send the key "status": that must not blank out what is not a secret.
_OURS = {"level", "timestamp", "service", "provider", "method", "outcome", "exception_name"}


class RedactingFormatter(LambdaPowertoolsFormatter):
    """Powertools' JSON lines, with secrets masked in every text, never in a name or a number."""

    def serialize(self, log: Any) -> str:
        """Give the line."""
        return super().serialize({key: value if key in _OURS else _redacted(value) for key, value in log.items()})


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value


class _Stdout(logging.StreamHandler[TextIO]):
    """Write to what standard output is now, not to what it was when this was imported."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # read-only here, as in logging's own handler of last resort
        """Give standard output."""
        return sys.stdout


logger = Logger(service="integrations", location=None, logger_formatter=RedactingFormatter(), logger_handler=_Stdout())


def record(facts: dict[str, Any], outcome: str, seconds: float, error: Exception | None) -> None:
    """Write the call's line and metrics.

    `facts` go into the line: provider, method, correlation_id, own_setup, attempts and so on. `error` is given for a
    fault of ours; its place is logged and its text is not, for it may hold what a caller or a service sent.
    """
    line = {**facts, "outcome": outcome, "duration_ms": round(seconds * 1000, 1)}
    if error is not None:
        frames = traceback.format_tb(error.__traceback__)
        logger.error(
            "call failed inside",
            extra={**line, "exception_name": type(error).__name__, "frames": frames},
        )
    else:
        logger.info("call", extra=line)
    if os.environ.get("POWERTOOLS_METRICS_DISABLED", "").lower() not in ("1", "true", "yes", "on", "y"):
        print(_metrics(facts, outcome, seconds), flush=True)  # noqa: T201  # CloudWatch reads them off the log


def _metrics(facts: dict[str, Any], outcome: str, seconds: float) -> str:
    """Give the metrics in CloudWatch's embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

    Each name with each set of dimensions is a metric that is paid for, and Powertools gives every name every set. So
    calls are counted by provider, method and outcome, and by outcome alone for alarms on the whole bundle; the time
    they take is kept by provider and method, and for the bundle; and CredentialsRejected is there only when a service
    refused what this bundle holds, not what a caller brought along.
    """
    directives = [
        (["Calls", "Count"], [["provider", "method", "outcome"], ["outcome"]]),
        (["Duration", "Milliseconds"], [["provider", "method"], []]),
    ]
    values = {"Calls": 1, "Duration": round(seconds * 1000, 3)}
    if outcome == UpstreamDenied.code and not facts["own_setup"]:
        directives.append((["CredentialsRejected", "Count"], [["provider"], []]))
        values["CredentialsRejected"] = 1
    namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE
    described = [
        {"Namespace": namespace, "Dimensions": sets, "Metrics": [{"Name": name, "Unit": unit}]}
        for (name, unit), sets in directives
    ]
    dimensions = {"provider": facts["provider"], "method": facts["method"], "outcome": outcome}
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": described}
    return json.dumps({"_aws": about, **dimensions, **values}, separators=(",", ":"))
