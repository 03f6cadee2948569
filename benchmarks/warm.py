"""Warm calls: what a call costs once a function runs, next to plain httpx on the same loopback service.

    python -m benchmarks.warm [--rounds 15] [--calls 300] [--artifact .aws-sam/build]

First in one process, where the handler is called as a function; then under AWS's own runtime client, as the Lambda
service sees it. Plain httpx is one kept client that sends the same requests and parses the answers. Logging and
metrics are on, and written to /dev/null.
"""

import contextlib
import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks import setting as settings
from benchmarks.rounds import Rounds, Sample, alternated, least_and_median, table
from benchmarks.setting import Function, Setting, say

PLAIN, AGAIN, PLAIN_THREE = "plain httpx", "plain httpx, again", "plain httpx, three requests"
ALGOLIA = "algolia, setup in the call"
EMPTY = "empty handler"

MOST_TIMES_PLAIN = 2.2
WARM_UP = 20  # calls
# In one process a case costs nothing to switch to: shorter turns lie closer together, and share more of the noise.
SHORTER = 5


@dataclass(frozen=True)
class Case:
    """A function, the event of its calls, and the plain case that sends the same requests."""

    function: Function
    event: Any
    base: str


def cases(setting: Setting) -> dict[str, Case]:
    """Give the cases that run both in one process and under the runtime client."""
    plain = Case(Function(setting.handlers / "plain", "app.handler", setting.layer), None, PLAIN)
    three = Function(setting.handlers / "plain", "app.three_requests", setting.layer)
    algolia, wikipedia = setting.provider("algolia"), setting.provider("wikipedia")
    return {
        PLAIN: plain,
        AGAIN: plain,
        ALGOLIA: Case(algolia, settings.ALGOLIA, PLAIN),
        "algolia, stored connection": Case(algolia, settings.ALGOLIA_STORED, PLAIN),
        "algolia, direct invoke": Case(algolia, {"arguments": settings.SEARCH, "setup": settings.SETUP}, PLAIN),
        "naive, bytecode": Case(setting.naive(source_only=False), settings.ALGOLIA, PLAIN),
        PLAIN_THREE: Case(three, None, PLAIN_THREE),
        "wikipedia, three requests": Case(wikipedia, settings.WIKIPEDIA, PLAIN_THREE),
    }


@contextlib.contextmanager
def in_process(setting: Setting, calls: int) -> Iterator[Callable[[Case], Callable[[], Sample]]]:
    """Start the one process; give what measures a case in it."""
    with subprocess.Popen(
        [setting.python, setting.handlers / "in_process" / "in_process.py"],
        env=setting.environment(setting.provider("algolia")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        asked, answers = process.stdin, process.stdout
        assert asked is not None  # noqa: S101  # for the type checker: both are pipes
        assert answers is not None  # noqa: S101  # the same

        def measured(case: Case) -> Callable[[], Sample]:
            order = {"folder": str(case.function.folder), "handler": case.function.handler, "event": case.event}
            line = json.dumps({**order, "calls": calls}) + "\n"

            def once() -> Sample:
                asked.write(line)
                asked.flush()
                if answer := answers.readline():
                    return {"call": float(answer)}
                raise RuntimeError("The process that is measured has ended; what it wrote is above.")

            return once

        yield measured


def under_runtime(setting: Setting, case: Case, calls: int) -> Callable[[], Sample]:
    """Give what starts the function and measures a block of calls."""

    def once() -> Sample:
        with setting.start(case.function) as runtime:
            for _ in range(WARM_UP):
                settings.answered(runtime, case.event)
            return {"call": statistics.median(settings.answered(runtime, case.event).seconds for _ in range(calls))}

    return once


def calls_table(result: Rounds, chosen: dict[str, Case], where: str) -> str:
    """Write the ratios first, then what they were made of."""
    rows = [
        [
            name,
            f"{result.ratio(name, chosen[name].base, 'call'):.2f}" if name in chosen else "",
            least_and_median(result.values(name, "call"), 1e6),
            f"{result.difference(name, chosen[name].base, 'call') * 1e6:+.0f}" if name in chosen else "",
        ]
        for name in result.samples
    ]
    return table([where, "x plain httpx", "us", "us more than plain httpx"], rows)


@click.command()
@click.option("--rounds", default=15, show_default=True, help="How often all cases take turns; 10 at least to quote.")
@click.option("--calls", default=300, show_default=True, help="How many calls of a case make one figure of a round.")
@click.option("--artifact", type=click.Path(exists=True, path_type=Path), help="A folder that `sam build` has written.")
def main(rounds: int, calls: int, artifact: Path | None) -> None:
    """Measure warm calls of the built functions."""
    with settings.prepared(artifact) as setting:
        chosen = cases(setting)
        say("in one process")
        with in_process(setting, max(calls // SHORTER, 1)) as measured:
            inside = alternated({name: measured(case) for name, case in chosen.items()}, rounds * SHORTER)
        say("under the runtime client")
        empty = Case(setting.empty, {}, PLAIN)
        outside = alternated(
            {name: under_runtime(setting, case, calls) for name, case in {EMPTY: empty, **chosen}.items()}, rounds
        )
    click.echo(f"{rounds} rounds of {calls} calls (in one process {SHORTER} times the rounds, each that much shorter);")
    click.echo("a figure of a round is the median call; times are least / median\n")
    click.echo(calls_table(inside, chosen, "in one process") + "\n")
    click.echo(calls_table(outside, chosen, "under the runtime client") + "\n")
    ratio = inside.ratio(ALGOLIA, PLAIN, "call")
    aim = [f"{ALGOLIA}, in one process, times {PLAIN}", f"{MOST_TIMES_PLAIN}", f"{ratio:.2f}"]
    click.echo(table(["aim", "at most", "is", "met"], [[*aim, "yes" if ratio <= MOST_TIMES_PLAIN else "no"]]))


if __name__ == "__main__":
    main()
