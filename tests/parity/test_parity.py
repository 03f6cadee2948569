"""A call written for the original service runs unchanged: its names go in, its keys come out.

What its methods take and give is in original.toml. Each case is a file beside it, `<provider>.<method>.json` or
`<provider>.<method>.<what>.json`, and is sent to `integrations serve` over HTTP:

    {"provider": "acme", "method": "search",
     "setup": {the original's names}, "arguments": {the original's names},
     "upstream": [the JSON of each answer of the service, in order; texts of `upstream_type` where that is said],
     "sent": {a part of the last request or message},
     "output": {the original's keys, with what they must hold}}

`sent` may be left out, and `output` may leave out what was added since. Where `method` is the original's default, it is
called without it too. Without `upstream` the peer is the real one, as for the pages.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from devtools.project import load_provider
from tests.support import upstream as script
from tests.support.peers import Peers
from tests.support.serving import Bundle
from tests.support.shown import assert_contains, content, written

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.json"))
ORIGINAL: dict[str, dict[str, Any]] = {
    f"{provider}.{method}": facts
    for provider, methods in tomllib.loads((HERE / "original.toml").read_text()).items()
    for method, facts in methods.items()
}
# The first method of each there, which is called where none is named.
DEFAULTS = {name.partition(".")[0]: name.partition(".")[2] for name in reversed(ORIGINAL)}


def load(case: Path) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(case.read_text())
    return whole


def test_every_method_of_the_original_has_a_case() -> None:
    assert len({name.partition(".")[0] for name in ORIGINAL}) == 13
    cases = {case.stem for case in CASES}
    assert cases >= ORIGINAL.keys()
    for name, facts in ORIGINAL.items():
        whole = load(HERE / f"{name}.json")
        assert whole["output"].keys() >= set(facts["output"]), name
        assert whole["arguments"].keys() >= set(facts["required"]), name


@pytest.mark.parametrize("name", ORIGINAL)
def test_names_and_defaults_are_the_originals(name: str) -> None:
    facts, (provider_name, _, method_name) = ORIGINAL[name], name.partition(".")
    provider = load_provider(provider_name)
    assert provider.default_method == DEFAULTS[provider_name]
    method = provider.methods[method_name]
    defaults = facts.get("defaults", {})
    assert {*facts["required"], *defaults, *facts.get("empty", ())} <= method.argument_names.keys()
    whole = load(HERE / f"{name}.json")["arguments"]
    given = method.arguments.model_validate({name: whole[name] for name in facts["required"]})
    for argument, value in defaults.items():
        assert getattr(given, method.argument_names[argument]) == value, argument
    for argument in facts.get("empty", ()):
        left_out = getattr(given, method.argument_names[argument])
        nothing = left_out.model_dump(exclude_none=True) if hasattr(left_out, "model_dump") else left_out
        assert not nothing, argument


def test_what_is_missing_is_found() -> None:
    given = {"a": [{"b": 1, "c": 2}], "d": None}
    assert_contains(given, {"a": [{"b": 1}]})
    unlike: tuple[dict[str, Any], ...] = ({"a": [{"b": 2}]}, {"e": 1}, {"a": []}, {"d": 0})
    for wanted in unlike:
        with pytest.raises(AssertionError):
            assert_contains(given, wanted)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_call_of_the_original(documented: Bundle, scripted: Peers, case: Path) -> None:
    whole = load(case)
    provider, method = whole["provider"], whole["method"]
    assert case.name.startswith(f"{provider}.{method}.")
    body = {name: whole[name] for name in ("setup", "arguments") if name in whole}
    for path in {f"{provider}/{method}", provider if DEFAULTS.get(provider) == method else f"{provider}/{method}"}:
        if "upstream" in whole:
            kind = whole.get("upstream_type")
            answers = (script.content(item.encode(), kind) if kind else script.json(item) for item in whole["upstream"])
            scripted.upstreams[provider].replies(*answers)
        reply = documented.call(path, scripted.aimed(written(json.dumps(body))).encode())
        assert reply.status_code == 200, reply.text
        assert_contains(reply.json(), whole["output"])
        if "sent" in whole:
            assert_contains(last_sent(scripted, provider), whole["sent"])


def last_sent(peers: Peers, provider: str) -> dict[str, Any]:
    """Give the last request to a service, or the last message."""
    if provider in peers.upstreams:
        request = peers.upstreams[provider].requests[-1]
        return {"path": request.path, "query": request.query, **content(request)}
    [mail] = [message for server in peers.mail.values() for message in server.received[-1:]]
    return {
        "recipients": mail.recipients,
        "encrypted": mail.encrypted,
        "login": mail.login,
        "subject": mail.message["subject"],
        "type": mail.message.get_content_type(),
    }
