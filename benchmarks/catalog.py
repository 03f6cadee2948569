"""The catalog: what an answer of the registry costs, next to making the same schemas at each request.

    python -m benchmarks.catalog [--rounds 15]

In one process: the registry's handler with the events of `GET /integrations` and `GET /tools`, and what it would do
instead: compile every method of every provider and write the result as JSON.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import click

from benchmarks import setting as settings
from benchmarks.rounds import Rounds, Sample, alternated, least_and_median, table
from devtools.catalog import catalog
from devtools.project import load_provider, provider_names
from devtools.tools import openai
from devtools.tools.source import source_of
from functions.registry.app import handler

LIVE_CATALOG, LIVE_TOOLS = "catalog made live", "tools made live"
CATALOG, TOOLS, LIMITED = "GET /integrations", "GET /tools", "GET /tools, limited key"
BASES = {
    LIVE_CATALOG: LIVE_CATALOG,
    LIVE_TOOLS: LIVE_TOOLS,
    CATALOG: LIVE_CATALOG,
    TOOLS: LIVE_TOOLS,
    LIMITED: LIVE_TOOLS,
}

MOST_TIMES_LIVE = 0.05
CALLS = 20  # of one case make one figure of a round


def cases() -> dict[str, Callable[[], Any]]:
    """Give what each case does once."""
    providers = [load_provider(name) for name in provider_names()]
    methods = [(provider, method) for provider in providers for method in provider.methods.values()]
    tools = {**settings.CATALOG, "requestContext": _asked("/tools")}
    limited = {**tools, "requestContext": _asked("/tools") | {"authorizer": {"lambda": {"scopes": "*.search"}}}}
    return {
        LIVE_CATALOG: lambda: catalog(providers),
        LIVE_TOOLS: lambda: json.dumps([openai.definition(source_of(*method)) for method in methods]),
        CATALOG: lambda: _answered(settings.CATALOG),
        TOOLS: lambda: _answered(tools),
        LIMITED: lambda: _answered(limited),
    }


def _asked(path: str) -> dict[str, Any]:
    return {"http": {"method": "GET", "path": path}, "requestId": "JKJaXmPLvHcESHA="}


def _answered(event: dict[str, Any]) -> None:
    reply = handler(event, None)
    if reply["statusCode"] != 200:
        raise RuntimeError(f"The registry did not answer: {reply}")


def measured(once: Callable[[], Any]) -> Callable[[], Sample]:
    """Give what takes the median of some calls."""

    def block() -> Sample:
        taken = []
        for _ in range(CALLS):
            started = time.perf_counter()
            once()
            taken.append(time.perf_counter() - started)
        return {"call": statistics.median(taken)}

    return block


def times_table(result: Rounds) -> str:
    """Write the ratios first, then what they were made of."""
    rows = [
        [name, f"{result.ratio(name, base, 'call'):.6f}", least_and_median(result.values(name, "call"), 1e6)]
        for name, base in BASES.items()
    ]
    return table(["catalog, warm", "x made live", "us"], rows)


def aims_table(result: Rounds) -> str:
    """Compare with what this project sets itself."""
    rows = []
    for name in (CATALOG, TOOLS, LIMITED):
        ratio = result.ratio(name, BASES[name], "call")
        met = "yes" if ratio <= MOST_TIMES_LIVE else "no"
        rows.append([f"{name}, times {BASES[name]}", f"{MOST_TIMES_LIVE}", f"{ratio:.6f}", met])
    return table(["aim", "at most", "is", "met"], rows)


@click.command()
@click.option("--rounds", default=15, show_default=True, help="How often all cases take turns; 10 at least to quote.")
def main(rounds: int) -> None:
    """Measure warm answers of the registry."""
    result = alternated({name: measured(once) for name, once in cases().items()}, rounds)
    click.echo(f"{rounds} rounds of {CALLS} calls; a figure of a round is the median call; times are least / median\n")
    click.echo(times_table(result) + "\n")
    click.echo(aims_table(result))


if __name__ == "__main__":
    main()
