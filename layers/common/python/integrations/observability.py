"""One log line and one set of metrics for each call. Nothing here keeps state between calls."""

import logging
import sys
import traceback
from typing import Any, TextIO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from integrations.redaction import redact

NAMESPACE = "Integrations"


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
    """Write the call's line and metrics: calls, errors, duration, by provider, method and outcome.

    `facts` go into the line: provider, method, correlation_id, attempts and so on. `error` is given for a fault of
    ours; its place is logged and its text is not, for it may hold what a caller or a service sent.
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
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    metrics.add_dimension("provider", facts["provider"])
    metrics.add_dimension("method", facts["method"])
    metrics.add_dimension("outcome", outcome)
    metrics.add_metric("Calls", MetricUnit.Count, 1)
    metrics.add_metric("Errors", MetricUnit.Count, 0 if outcome == "ok" else 1)
    metrics.add_metric("Duration", MetricUnit.Milliseconds, round(seconds * 1000, 3))
    metrics.flush_metrics()
