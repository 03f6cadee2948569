"""docs/cost.md: what a million calls cost, line by line, from what was measured once and a table of prices.

The figures are in docs/cost/: measured.json, which `python -m benchmarks.cost` writes, and prices.json, which is kept
by hand. What the stack is made of is read from template.yaml.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.pages.markdown import head, table
from devtools.project import ROOT, TEMPLATE
from devtools.template import parse

DATA = ROOT / "docs/cost"
CALLS = 1_000_000

# What is assumed of a month, because it is the caller's and the services' and not the bundle's.
SERVICE_MS = 300  # that a service takes to answer
ENVIRONMENTS = 2  # of each of the two functions, that are kept running
STARTS = 0.01  # of the calls, that find none
METHODS, OUTCOMES = 5, 3  # that are used, and how their calls end
CONNECTIONS = 1  # beside the API keys
DEAD_LETTERS = 1000  # asynchronous calls that fail
MINUTES = 730 * 60  # of a month

# Of AWS. A vCPU: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html. What is added to an event:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html. Stored logs are
# compressed, to 0.15 in the examples of https://aws.amazon.com/cloudwatch/pricing/.
MB_OF_A_PROCESSOR = 1769
EVENT_BYTES = 26
COMPRESSED = 0.15

# The authorizer keeps the keys for a minute, the providers their connections for five.
KEYS_FOR, CONNECTION_FOR = 1, 5

_TRACE = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
_REQUEST = "5f1c2d3e-0000-4000-8000-000000000001"
_METRICS = {"durationMs": 311.482, "billedDurationMs": 312, "memorySizeMB": 256, "maxMemoryUsedMB": 90}
# What Lambda itself writes of each invocation where logs are JSON.
PLATFORM_LINES = [
    {"type": "platform.start", "record": {"requestId": _REQUEST, "version": "$LATEST"}},
    {
        "type": "platform.report",
        "record": {
            "requestId": _REQUEST,
            "metrics": _METRICS,
            "tracing": {"spanId": "1a2b3c4d5e6f7a8b", "type": "X-Amzn-Trace-Id", "value": _TRACE},
            "status": "success",
        },
    },
]
# How long a value of the access log is; those that are not named are short.
_LENGTHS = {"requestId": 16, "requestTimeEpoch": 13, "sourceIp": 13, "keyId": 8, "routeKey": 24, "path": 24}


@dataclass(frozen=True)
class Line:
    """One line of the bill: so many units at a price, and whether it grows with the calls."""

    what: str
    quantity: float
    price: str
    grows: bool = True
    note: str = ""


def page() -> str:
    """Give the page."""
    measured, prices, stack = _read(DATA / "measured.json"), _read(DATA / "prices.json"), _stack()
    lines = bill(measured, stack)
    amounts = [_amount(line, prices) for line in lines]
    rows = [_row(line, prices) for line in lines]
    growing = sum(amount for line, amount in zip(lines, amounts, strict=True) if line.grows)
    rows.append(("**Together**", "", "", f"**{sum(amounts):.2f}**", ""))
    slower = [
        (f"{seconds} s", f"{sum(_amount(line, prices) for line in bill(measured, stack, seconds * 1000)):.2f}")
        for seconds in (0.1, 0.3, 1, 5, 25)
    ]
    return "\n".join(
        [
            head("Cost", "`docs/cost/measured.json`, `docs/cost/prices.json` and `template.yaml`"),
            _INTRODUCTION.format(date=prices["date"], region=prices["region"], measured=measured["date"]),
            _assumptions(measured, stack),
            "## A million calls in a month\n",
            table(("line", "quantity", "price", prices["currency"], "how it comes about"), rows),
            f"{growing:.2f} of it grows with the calls; the rest is there with the first call, or with the stack.\n",
            "## When services take longer\n",
            "Lambda is paid for while it waits, and next to nothing else changes:\n",
            table(("a service takes", f"{prices['currency']} together"), slower),
            _SAVING,
        ]
    )


def bill(measured: dict[str, Any], stack: dict[str, Any], service_ms: float = SERVICE_MS) -> list[Line]:
    """Give the lines of a month with a million calls over HTTPS."""
    provider, authorizer = measured["provider"], measured["authorizer"]
    call_ms = math.ceil(service_ms + at_the_share(provider["call_processor_ms"], stack["memory_mb"]))
    door_ms = math.ceil(at_the_share(authorizer["call_processor_ms"], stack["memory_mb"]))
    starts_ms = STARTS * (provider["start_processor_ms"] + authorizer["start_processor_ms"])
    log_gb = CALLS * log_bytes(measured, stack) / 1e9
    gb_seconds = CALLS * stack["memory_mb"] / 1024 / 1000
    reads = ENVIRONMENTS * MINUTES * (1 / KEYS_FOR + CONNECTIONS / CONNECTION_FOR)
    metrics = METHODS * OUTCOMES + OUTCOMES + METHODS + 1
    seconds = f"lambda_gb_second_{stack['architecture']}"
    return [
        Line("API Gateway, requests", CALLS, "http_api_request"),
        Line("Lambda, authorizer, requests", CALLS, "lambda_request", note="asked for every request"),
        Line("Lambda, authorizer, time", gb_seconds * door_ms, seconds, note=f"{door_ms} ms a request"),
        Line("Lambda, provider, requests", CALLS, "lambda_request"),
        Line("Lambda, provider, time", gb_seconds * call_ms, seconds, note=f"{call_ms} ms a call"),
        Line("Lambda, starts", gb_seconds * starts_ms, seconds, note=f"{STARTS:.0%} of the calls"),
        Line("CloudWatch, logs in", log_gb, "log_ingestion_gb", note=f"{log_bytes(measured, stack):,} bytes a call"),
        Line(
            "CloudWatch, logs kept",
            log_gb * COMPRESSED * stack["retention_days"] / 30,
            "log_storage_gb_month",
            note=f"{stack['retention_days']} days, compressed",
        ),
        Line("X-Ray, traces", 2 * CALLS, "trace", note="two a call: see below"),
        Line("Data out, answers", CALLS * provider["response_bytes"] / 1e9, "transfer_out_gb"),
        Line("SQS, dead letters", DEAD_LETTERS, "sqs_request"),
        Line("CloudWatch, metrics", metrics, "custom_metric_month", grows=False, note=f"{METHODS} methods in use"),
        Line(
            "CloudWatch, alarms", stack["alarm_metrics"], "alarm_metric_month", grows=False, note="the metrics in them"
        ),
        Line("CloudWatch, dashboard", 1, "dashboard_month", grows=False),
        Line(
            "Secrets Manager, secrets", CONNECTIONS + 1, "secret_month", grows=False, note="a connection, the API keys"
        ),
        Line("Secrets Manager, reads", reads, "secret_read", grows=False, note="by the minute, not by the call"),
    ]


def at_the_share(processor_ms: float, memory_mb: int) -> float:
    """Give how long work takes on the share of a processor that comes with the memory."""
    return processor_ms * max(1.0, MB_OF_A_PROCESSOR / memory_mb)


def log_bytes(measured: dict[str, Any], stack: dict[str, Any]) -> int:
    """Give what one call adds to all logs: the provider's lines, Lambda's own of two functions, the access log."""
    provider = measured["provider"]
    stamped = [
        json.dumps({"time": "2026-11-21T14:36:43.118Z", **line}, separators=(",", ":")) for line in PLATFORM_LINES
    ]
    platform = sum(len(line) + EVENT_BYTES for line in stamped)
    own = provider["log_bytes"] + provider["log_lines"] * EVENT_BYTES
    return int(own + 2 * platform + stack["access_log_bytes"] + EVENT_BYTES)


def _stack() -> dict[str, Any]:
    template = parse(TEMPLATE.read_text(encoding="utf-8"))
    resources, parameters = template["Resources"], template["Parameters"]
    alarms = [of["Properties"]["Metrics"] for of in resources.values() if of["Type"] == "AWS::CloudWatch::Alarm"]
    access = resources["Api"]["Properties"]["AccessLogSettings"]["Format"]
    return {
        "memory_mb": template["Globals"]["Function"]["MemorySize"],
        "architecture": parameters["Architecture"]["Default"],
        "retention_days": parameters["LogRetentionDays"]["Default"],
        "alarm_metrics": sum("MetricStat" in metric for metrics in alarms for metric in metrics),
        "access_log_bytes": len(re.sub(r"\$context\.(?:\w+\.)?(\w+)", _of_its_length, access)),
    }


def _of_its_length(name: re.Match[str]) -> str:
    return "x" * _LENGTHS.get(name[1], 4)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _amount(line: Line, prices: dict[str, Any]) -> float:
    price = prices["prices"][line.price]
    amount: float = line.quantity * price["usd"] / price["per"]
    return amount


def _row(line: Line, prices: dict[str, Any]) -> tuple[str, ...]:
    price = prices["prices"][line.price]
    quantity = (
        f"{line.quantity:,.0f}"
        if line.quantity >= 100 or line.quantity == int(line.quantity)
        else f"{line.quantity:.3f}"
    )
    per = f" for {price['per']:,}" if price["per"] != 1 else ""
    listed = f"[{_plain(price['usd'])}{per}]({price['source']})"
    return line.what, f"{quantity} {price['unit']}", listed, f"{_amount(line, prices):.2f}", line.note


def _plain(usd: float) -> str:
    """Give a price without an exponent and with two decimals at least."""
    text = f"{usd:.10f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def _assumptions(measured: dict[str, Any], stack: dict[str, Any]) -> str:
    provider, authorizer = measured["provider"], measured["authorizer"]
    rows = [
        ("processor time of a call, provider", f"{provider['call_processor_ms']} ms", "measured"),
        ("the same, authorizer", f"{authorizer['call_processor_ms']} ms", "measured"),
        ("processor time of a start with its first call", f"{provider['start_processor_ms']} ms", "measured"),
        ("the same, authorizer", f"{authorizer['start_processor_ms']} ms", "measured"),
        ("memory that is used, provider", f"{provider['peak_mb']} MB", "measured"),
        ("lines and bytes of log, provider", f"{provider['log_lines']}, {provider['log_bytes']}", "measured"),
        ("bytes of an answer", f"{provider['response_bytes']}", "measured"),
        ("memory that is paid for", f"{stack['memory_mb']} MB, {stack['architecture']}", "template"),
        ("share of a processor", f"{stack['memory_mb']} of {MB_OF_A_PROCESSOR} MB", "Lambda"),
        ("a service answers in", f"{SERVICE_MS} ms", "assumed"),
        ("calls that find no running function", f"{STARTS:.0%}", "assumed"),
        ("running environments of each function", str(ENVIRONMENTS), "assumed"),
        ("methods in use, and outcomes of each", f"{METHODS}, {OUTCOMES}", "assumed"),
    ]
    return table(("figure", "value", "from"), rows)


_INTRODUCTION = """\
The prices are AWS's list prices in {region} as of {date}, written down by hand: check them before you rely on them,
at the pages that the table leads to. No free tier, discount or tax is counted. What a call takes was measured on
{measured} with `python -m benchmarks.cost`, on the functions as built; what a service charges is not in it.
"""

_SAVING = """\
## What to do about the largest lines

* **X-Ray.** Lambda asks X-Ray whether to trace, and by default it takes the first request of each second and one in
  twenty of the others. A million calls in a month are fewer than one in two seconds, so nearly each is taken; an HTTP
  API passes no trace on, so the authorizer and the provider make one each. A sampling rule with a lower rate, or
  `Tracing: PassThrough` in place of `Active` in `template.yaml`, takes the line away.
* **Lambda's time** is the services' time. Asking for less, and methods that submit a job and fetch its result
  later, is all that helps; more memory does not, because nothing is computed.
* **Metrics** are paid for by name and set of dimensions, and only in hours in which they are written: calls are counted
  by provider, method and outcome, but the time that they take is not kept by outcome.
* **Logs.** Two lines a call and Lambda's own. `LogRetentionDays` changes little.
* **The dashboard**: the first three of an account are free.
"""
