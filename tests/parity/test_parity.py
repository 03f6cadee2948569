"""A call written for the original service runs unchanged: its names go in, its keys come out.

Each case is a file beside this one, `<provider>.<method>.json` or `<provider>.<method>.<what>.json`:

    {"provider": "acme", "method": "search",
     "setup": {the original's names}, "arguments": {the original's names},
     "upstream": [the JSON of each answer of the service, in order],
     "output": {the original's keys, with what they must hold}}

`output` may leave out what was added since. Where `method` is the original's default, it is called without it too.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from integrations import Provider
from tests.support import upstream as script
from tests.support.calls import post
from tests.support.upstream import Upstream

CASES = sorted(Path(__file__).parent.glob("*.json"))


def load(case: Path) -> tuple[Provider, dict[str, Any]]:
    """Give the provider of a case, and the case."""
    import importlib

    whole: dict[str, Any] = json.loads(case.read_text())
    provider: Provider = importlib.import_module(f"functions.{whole['provider']}.provider").provider
    return provider, whole


def missing(wanted: Any, given: Any, place: str = "output") -> list[str]:
    """Name the places where `given` has not what is wanted."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        gone = [f"{place}.{name}" for name in wanted if name not in given]
        return gone + [
            item for name in wanted if name in given for item in missing(wanted[name], given[name], f"{place}.{name}")
        ]
    if isinstance(wanted, list) and isinstance(given, list) and len(wanted) == len(given):
        pairs = enumerate(zip(wanted, given, strict=True))
        return [item for number, pair in pairs for item in missing(*pair, f"{place}.{number}")]
    return [] if wanted == given else [place]


def test_what_is_missing_is_found() -> None:
    given = {"a": [{"b": 1, "c": 2}], "d": None}
    assert missing({"a": [{"b": 1}]}, given) == []
    assert missing({"a": [{"b": 2}], "e": 1}, given) == ["output.e", "output.a.0.b"]
    assert missing({"a": []}, given) == ["output.a"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_call_of_the_original(case: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, whole = load(case)
    method, body = whole["method"], {name: whole[name] for name in ("setup", "arguments") if name in whole}
    assert case.name.startswith(f"{provider.name}.{method}.")
    monkeypatch.setenv(f"{provider.name.upper()}_BASE_URL", upstream.url)
    for called in {method, None if method == provider.default_method else method}:
        upstream.replies(*map(script.json, whole["upstream"]))
        reply = post(provider, body, method=called)
        assert (reply.status, missing(whole["output"], reply.body)) == (200, []), reply.text
