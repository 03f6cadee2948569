"""The benchmarks run and print their tables. What they measure is not judged here: a test machine is shared."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.support.stack import ROOT


def benchmark(name: str, *options: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(printed: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column is headed so."""
    table = printed.partition(f"| {first} ")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_cold_start_compares_the_providers_with_an_empty_and_a_naive_handler(built: Path) -> None:
    printed = benchmark("cold_start", "--rounds", "1", "--artifact", built)
    times = {row[0]: row[1:] for row in rows(printed, "init and first call")}
    assert {"registry, catalog", "authorizer, valid key", "authorizer, valid key, over TLS"} <= {*times}
    assert {"empty handler", "algolia, setup in the call", "algolia, stored connection", "naive, source only"} <= {
        *times
    }
    assert times["empty handler"][0] == "1.00"
    assert float(times["naive, source only"][0]) > 1
    loaded = {row[0]: row[1:] for row in rows(printed, "loaded")}
    assert int(loaded["algolia, setup in the call, source only"][3]) > int(loaded["algolia, setup in the call"][3])
    aims = {row[0]: row[2:] for row in rows(printed, "aim")}
    assert aims["sources of ours compiled"] == ["0", "yes"]
    assert {"registry, catalog, times empty handler", "authorizer, valid key, times empty handler"} <= {*aims}
    assert int(loaded["authorizer, valid key"][4]) < 10, "boto3 would be 190"
    assert int(loaded["authorizer, valid key, over TLS"][4]) < 10, "TLS is loaded before the first call"


def test_warm_compares_with_plain_httpx_in_the_process_and_under_the_runtime_client(built: Path) -> None:
    printed = benchmark("warm", "--rounds", "1", "--calls", "10", "--artifact", built)
    for where in ("in one process", "under the runtime client"):
        times = {row[0]: row[1:] for row in rows(printed, where)}
        assert times["plain httpx"][0] == "1.00"
        assert re.fullmatch(r"[0-9]+\.[0-9]{2}", times["algolia, setup in the call"][0])
        assert re.fullmatch(r"[0-9]+\.[0-9]{2}", times["wikipedia, three requests"][0])


def test_cost_measures_what_a_call_takes(built: Path, tmp_path: Path) -> None:
    benchmark("cost", "--calls", "5", "--artifact", built, "--to", tmp_path / "measured.json")
    found = json.loads((tmp_path / "measured.json").read_text())
    kept = json.loads((ROOT / "docs/cost/measured.json").read_text())
    assert {name: of.keys() for name, of in found.items() if isinstance(of, dict)} == {
        name: of.keys() for name, of in kept.items() if isinstance(of, dict)
    }
    for figure in ("log_lines", "response_bytes"):
        assert found["provider"][figure] == kept["provider"][figure]


def test_catalog_compares_the_registry_with_making_the_schemas_live() -> None:
    printed = benchmark("catalog", "--rounds", "1")
    times = {row[0]: row[1:] for row in rows(printed, "catalog, warm")}
    assert times["catalog made live"][0] == times["tools made live"][0] == "1.000000"
    assert 0 < float(times["GET /integrations"][0]) < 1
    assert 0 < float(times["GET /tools"][0]) < 1
    assert len(rows(printed, "aim")) == 3
