"""Cold start: from the start of the process to the end of the first call, under AWS's own runtime client.

    python -m benchmarks.cold_start [--rounds 15] [--artifact .aws-sam/build]

Every case runs in a fresh process. Compared are the providers as built, the same as SAM's default builder ships
them, a naive handler on the same libraries, and an empty handler; and with the latter the registry, and the authorizer
with a valid key, which it reads from Secrets Manager.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks import setting as settings
from benchmarks.rounds import Rounds, Sample, alternated, least_and_median, table
from benchmarks.setting import Function, Setting, say

EMPTY, AGAIN = "empty handler", "empty handler, again"
NAIVE, NAIVE_STORED = "naive, source only", "naive, stored connection, source only"
SOURCE_ONLY = ", source only"
ALGOLIA, ALGOLIA_STORED = "algolia, setup in the call", "algolia, stored connection"
WIKIPEDIA, WIKIPEDIA_STORED = "wikipedia, no setup", "wikipedia, stored connection"
REGISTRY, AUTHORIZER = "registry, catalog", "authorizer, valid key"
AUTHORIZER_OVER_TLS = "authorizer, valid key, over TLS"
OTHERS = (REGISTRY, AUTHORIZER, AUTHORIZER_OVER_TLS)
PROVIDERS = (ALGOLIA, ALGOLIA_STORED, WIKIPEDIA, WIKIPEDIA_STORED)

MOST_TIMES_EMPTY = 5.5
MOST_TIMES_EMPTY_OF_OTHERS = 1.3
MOST_TIMES_SOURCE_ONLY = 0.4
MOST_LAYER_MB = 24


@dataclass(frozen=True)
class Case:
    """A function and the event of its first call."""

    function: Function
    event: Any


def cases(setting: Setting) -> dict[str, Case]:
    """Give all cases, by what the tables call them."""
    events = {
        ALGOLIA: ("algolia", settings.ALGOLIA),
        ALGOLIA_STORED: ("algolia", settings.ALGOLIA_STORED),
        WIKIPEDIA: ("wikipedia", settings.WIKIPEDIA),
        WIKIPEDIA_STORED: ("wikipedia", settings.WIKIPEDIA_STORED),
    }
    empty = Case(setting.empty, settings.ALGOLIA)
    return {
        EMPTY: empty,
        AGAIN: empty,
        REGISTRY: Case(setting.other("registry"), settings.CATALOG),
        AUTHORIZER: Case(setting.other("authorizer"), settings.QUESTION),
        AUTHORIZER_OVER_TLS: Case(setting.other("authorizer", over_tls=True), settings.QUESTION),
        **{name: Case(setting.provider(provider), event) for name, (provider, event) in events.items()},
        **{
            name + SOURCE_ONLY: Case(setting.provider(provider, source_only=True), event)
            for name, (provider, event) in events.items()
        },
        "naive, bytecode": Case(setting.naive(source_only=False), settings.ALGOLIA),
        NAIVE: Case(setting.naive(source_only=True), settings.ALGOLIA),
        NAIVE_STORED: Case(setting.naive(source_only=True), settings.ALGOLIA_STORED),
    }


def measured(setting: Setting, case: Case) -> Callable[[], Sample]:
    """Give what starts the case once and takes its figures."""

    def once() -> Sample:
        with setting.start(case.function) as runtime:
            init = runtime.init_seconds
            result = settings.answered(runtime, case.event)
            reply = result.payload
            if reply.get("statusCode", 200) != 200 or not reply.get("isAuthorized", True):
                raise RuntimeError(f"The call failed: {reply}")
            return {
                "init": init,
                "call": result.seconds,
                "cold": init + result.seconds,
                "cpu": runtime.cpu_seconds(),
                "peak": runtime.peak_bytes(),
            }

    return once


def times_table(result: Rounds) -> str:
    """Write the ratios first, then what they were made of."""
    rows = []
    for name in result.samples:
        naive = NAIVE_STORED if "stored" in name else NAIVE
        shipped = f"{name}{SOURCE_ONLY}"
        rows.append(
            [
                name,
                f"{result.ratio(name, EMPTY, 'cold'):.2f}",
                f"{result.ratio(name, shipped, 'cold'):.2f}" if shipped in result.samples else "",
                "" if name in OTHERS else f"{result.ratio(name, naive, 'cold'):.2f}",
                f"{result.ratio(name, EMPTY, 'init'):.2f}",
                f"{result.ratio(name, EMPTY, 'cpu'):.2f}",
                least_and_median(result.values(name, "init"), 1e3),
                least_and_median(result.values(name, "call"), 1e3),
                f"{statistics.median(result.values(name, 'peak')) / 1e6:.0f}",
            ]
        )
    heads = ["init and first call", "x empty", "x source only", "x naive", "init alone x empty", "processor x empty"]
    return table([*heads, "init ms", "first call ms", "peak MB"], rows)


def counts_table(audits: dict[str, dict[str, Any]]) -> str:
    """Write what init and the first call load, on top of the runtime client."""
    rows = []
    for name, audit in audits.items():
        init, call = audit["init"], audit["call"]
        rows.append(
            [
                name,
                *(str(init[figure]) for figure in ("modules", "files")),
                f"{init['bytes'] / 1e3:,.0f}",
                str(len(init["compiled"])),
                str(call["modules"] - init["modules"]),
                str(call["files"] - init["files"]),
                str(len(call["compiled"]) - len(init["compiled"])),
            ]
        )
    heads = ["loaded", "modules", "files", "kB", "sources compiled"]
    return table([*heads, "modules at the first call", "files", "sources compiled"], rows)


def ours(compiled: list[str]) -> list[str]:
    """Give the sources of this project among those compiled."""
    own = ("/provider.py", "/app.py")
    return [path for path in compiled if "/integrations/" in path or "/functions/" in path or path.endswith(own)]


def aims_table(result: Rounds, audits: dict[str, dict[str, Any]], layer_bytes: int) -> str:
    """Compare with what this project sets itself."""
    rows = []
    aims = [(name, EMPTY, MOST_TIMES_EMPTY_OF_OTHERS) for name in (REGISTRY, AUTHORIZER)]
    for name in (ALGOLIA, WIKIPEDIA):
        aims += [(name, EMPTY, MOST_TIMES_EMPTY), (name, name + SOURCE_ONLY, MOST_TIMES_SOURCE_ONLY)]
    for name, base, most in aims:
        ratio = result.ratio(name, base, "cold")
        rows.append([f"{name}, times {base}", f"{most}", f"{ratio:.2f}", "yes" if ratio <= most else "no"])
    compiled = [path for name in (*OTHERS, *PROVIDERS) for path in audits[name]["call"]["compiled"]]
    mine = len(ours(compiled))
    rows.append(["sources of ours compiled", "0", str(mine), "no" if mine else "yes"])
    megabytes = layer_bytes / 1e6
    met = "yes" if megabytes <= MOST_LAYER_MB else "no"
    rows.append(["layer unzipped, with its bytecode, MB", str(MOST_LAYER_MB), f"{megabytes:.1f}", met])
    return table(["aim", "at most", "is", "met"], rows)


def size(folder: Path) -> int:
    """Give the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@click.command()
@click.option("--rounds", default=15, show_default=True, help="How often each case is started; 10 at least to quote.")
@click.option("--artifact", type=click.Path(exists=True, path_type=Path), help="A folder that `sam build` has written.")
def main(rounds: int, artifact: Path | None) -> None:
    """Measure the cold start of the built functions."""
    with settings.prepared(artifact) as setting:
        chosen = cases(setting)
        say("counting what is loaded")
        audits = {name: setting.audit(case.function, case.event) for name, case in chosen.items() if name != AGAIN}
        result = alternated({name: measured(setting, case) for name, case in chosen.items()}, rounds)
        click.echo(f"{rounds} rounds; times are least / median\n")
        click.echo(times_table(result) + "\n")
        click.echo(counts_table(audits) + "\n")
        click.echo(aims_table(result, audits, size(setting.layer)))


if __name__ == "__main__":
    main()
