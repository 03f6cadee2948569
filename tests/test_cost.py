"""docs/cost.md: the arithmetic done again from what it shows, and what was measured against what is written."""

import json
import math
import re
from typing import Any

import pytest

from benchmarks.cost import written
from benchmarks.setting import ALGOLIA
from devtools.pages import cost
from devtools.pages.cost import COMPRESSED, DATA, Line, at_the_share, bill
from tests.support.stack import ROOT, Stack
from tests.support.upstream import Upstream
from tests.support.upstream import json as answer

PAGE = (ROOT / "docs/cost.md").read_text(encoding="utf-8")
PRICES = json.loads((DATA / "prices.json").read_text(encoding="utf-8"))
MEASURED = json.loads((DATA / "measured.json").read_text(encoding="utf-8"))
STACK = {"memory_mb": 256, "architecture": "arm64", "retention_days": 30, "alarm_metrics": 12, "access_log_bytes": 300}

AMOUNT = re.compile(
    r"^\| (?P<what>[^|*]+) \| (?P<quantity>[\d,.]+) (?P<unit>[\w-]+) "
    r"\| \[(?P<usd>[\d.]+)(?: for (?P<per>[\d,]+))?\]\(https://aws\.amazon\.com/[^)]+\) \| (?P<amount>[\d.]+) \|",
    re.MULTILINE,
)


def number(text: str | None) -> float:
    return float((text or "1").replace(",", ""))


def test_each_line_is_its_quantity_at_its_price_and_the_sum_is_theirs() -> None:
    lines = list(AMOUNT.finditer(PAGE))
    assert len(lines) == len(bill(MEASURED, STACK))
    for line in lines:
        due = number(line["quantity"]) * number(line["usd"]) / number(line["per"])
        # The quantity of a line that is printed rounded decides about half a cent.
        assert number(line["amount"]) == pytest.approx(due, abs=0.006), line["what"]
    together = re.search(r"\*\*Together\*\* \|  \|  \| \*\*([\d.]+)\*\*", PAGE)
    assert together
    assert number(together[1]) == pytest.approx(sum(number(line["amount"]) for line in lines), abs=0.005 * len(lines))


def test_the_page_says_when_and_where_its_prices_hold() -> None:
    assert PRICES["region"] == "us-east-1"
    page = " ".join(PAGE.split())
    assert f"list prices in us-east-1 as of {PRICES['date']}" in page
    assert f"measured on {MEASURED['date']}" in page
    assert {line.price for line in bill(MEASURED, STACK)} <= PRICES["prices"].keys()


def test_what_the_stack_is_made_of_is_what_is_deployed(stack: Stack) -> None:
    found = cost._stack()
    function = stack.of_type("AWS::Lambda::Function")["AlgoliaFunction"]
    assert (found["memory_mb"], [found["architecture"]]) == (function["MemorySize"], function["Architectures"])
    alarms = stack.of_type("AWS::CloudWatch::Alarm").values()
    assert found["alarm_metrics"] == sum("MetricStat" in of for alarm in alarms for of in alarm["Metrics"])
    [log] = {group["RetentionInDays"] for group in stack.of_type("AWS::Logs::LogGroup").values()}
    assert found["retention_days"] == log


def line(what: str, lines: list[Line]) -> Line:
    [found] = [each for each in lines if each.what == what]
    return found


def test_time_is_paid_for_by_the_millisecond_and_by_the_memory() -> None:
    """By hand: 1.5 ms of a processor are 10.37 ms of a seventh; with 300 ms of waiting 311; a quarter of a GB."""
    measured: dict[str, Any] = {**MEASURED, "provider": {**MEASURED["provider"], "call_processor_ms": 1.5}}
    assert at_the_share(1.5, 256) == pytest.approx(10.365, abs=0.001)
    assert at_the_share(1.5, 3538) == 1.5
    assert line("Lambda, provider, time", bill(measured, STACK)).quantity == 1_000_000 * 0.311 / 4
    slower = line("Lambda, provider, time", bill(measured, STACK, 5000))
    assert slower.quantity == 1_000_000 * 5.011 / 4


def test_logs_are_paid_for_when_they_come_and_while_they_are_kept() -> None:
    lines = bill(MEASURED, STACK)
    coming, kept = line("CloudWatch, logs in", lines), line("CloudWatch, logs kept", lines)
    assert coming.quantity * 1e9 / cost.CALLS == cost.log_bytes(MEASURED, STACK) > MEASURED["provider"]["log_bytes"]
    assert kept.quantity == pytest.approx(coming.quantity * COMPRESSED)
    assert line("CloudWatch, logs kept", bill(MEASURED, {**STACK, "retention_days": 90})).quantity == pytest.approx(
        3 * kept.quantity
    )


def test_reads_of_secrets_do_not_grow_with_the_calls() -> None:
    """By hand: two environments, 43,800 minutes, the keys each minute and a connection each five."""
    reads = line("Secrets Manager, reads", bill(MEASURED, STACK))
    assert (reads.quantity, reads.grows) == (2 * 43_800 * 1.2, False)


def test_what_was_measured_is_still_what_a_call_writes(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are the same everywhere; where this fails, run `python -m benchmarks.cost` and `integrations sync`."""
    monkeypatch.setenv("ALGOLIA_BASE_URL", upstream.url)
    upstream.route(lambda _: answer({"hits": [], "nbHits": 0}))
    lines, _ = written(ALGOLIA)
    assert len(lines) == MEASURED["provider"]["log_lines"]
    assert math.isclose(sum(map(len, lines)), MEASURED["provider"]["log_bytes"], rel_tol=0.1)


def test_what_was_measured_is_possible() -> None:
    for name in ("provider", "authorizer"):
        of = MEASURED[name]
        assert 0 < of["call_processor_ms"] < of["start_processor_ms"] < 10_000
        assert 0 < of["peak_mb"] < STACK["memory_mb"]
