"""What one call takes, for docs/cost.md: processor time, memory, bytes of log and of traffic.

    python -m benchmarks.cost [--calls 500] [--artifact .aws-sam/build]

It writes docs/cost/measured.json; `integrations sync` then writes the page from it and from docs/cost/prices.json.
The call is a search of algolia with a stored connection, and the authorizer's answer to it, as built, under AWS's own
runtime client. Processor time and not time is taken, because Lambda gives a function its memory's share of a processor,
and what the service takes to answer is no matter of the bundle.
"""

import contextlib
import datetime
import io
import json
import math
import os
import platform
from pathlib import Path
from typing import Any

import click

from benchmarks import setting as settings
from benchmarks.setting import Function, Setting
from devtools.project import ROOT

MEASURED = ROOT / "docs/cost/measured.json"
NAMES = {"provider": "algolia", "authorizer": "authorizer"}


class _Context:
    """The part of a Lambda context that the handler reads."""

    aws_request_id = "5f1c2d3e-0000-4000-8000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        """Give what a call has left."""
        return 29_000


def processor(setting: Setting, function: Function, event: Any, calls: int) -> dict[str, float]:
    """Give the processor time of a start with its first call, and of a warm call, in ms, and the peak memory in MB."""
    with setting.start(function) as runtime:
        settings.answered(runtime, event)
        start = runtime.cpu_seconds()
        for _ in range(calls):
            settings.answered(runtime, event)
        warm = (runtime.cpu_seconds() - start) / calls
        return {
            "start_processor_ms": round(start * 1000, 1),
            "call_processor_ms": round(warm * 1000, 3),
            "peak_mb": math.ceil(runtime.peak_bytes() / 1e6),
        }


def written(event: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Call the provider in this process, its base URL in the environment; give its lines of log and its response."""
    from functions.algolia.provider import provider

    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        provider.handler(event, _Context())  # the first call has lines that no other has
        log.truncate(0)
        log.seek(0)
        response = provider.handler(event, _Context())
    if response["statusCode"] != 200:
        raise RuntimeError(f"The call failed: {response}")
    return log.getvalue().splitlines(), response


def traffic(event: dict[str, Any]) -> dict[str, int]:
    """Give the bytes of the log and of the answer of one call."""
    lines, response = written(event)
    headers = "".join(f"{name}: {value}\r\n" for name, value in response["headers"].items())
    return {
        "log_lines": len(lines),
        "log_bytes": sum(len(line.encode()) for line in lines),
        "response_bytes": len(response["body"].encode()) + len(headers),
    }


@click.command()
@click.option("--calls", default=500, show_default=True, help="Warm calls of which the mean is taken.")
@click.option("--artifact", type=click.Path(exists=True, path_type=Path), help="A folder that `sam build` has written.")
@click.option("--to", type=click.Path(path_type=Path), default=MEASURED, show_default=True, help="The file to write.")
def main(calls: int, artifact: Path | None, to: Path) -> None:
    """Measure what a call takes, and keep it for the page."""
    with settings.prepared(artifact) as setting:
        found: dict[str, Any] = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": f"CPython 3.13, {platform.machine()}",
            "calls": calls,
            "provider": processor(setting, setting.provider("algolia"), settings.ALGOLIA_STORED, calls),
            "authorizer": processor(setting, setting.other("authorizer"), settings.QUESTION, calls),
        }
        os.environ["ALGOLIA_BASE_URL"] = setting.upstream
        found["provider"] |= traffic(settings.ALGOLIA)
    to.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    click.echo(f"wrote {to.name}; `integrations sync` writes the page from it")


if __name__ == "__main__":
    main()
