"""`sam local invoke` with the event of every method, as a person would who has just built the bundle."""

import json

import pytest

from devtools.project import load_provider, provider_names
from tests.sam_local.conftest import Sam, aimed
from tests.support.stack import ROOT

EVENTS = sorted(path.stem for path in ROOT.glob("events/*.json"))


def function_name(provider: str) -> str:
    return "".join(word.capitalize() for word in provider.split("_")) + "Function"


@pytest.mark.parametrize("name", EVENTS)
def test_each_method_takes_its_event(sam: Sam, name: str) -> None:
    provider, _, method = name.partition(".")
    payload = sam.invoke(function_name(provider), aimed(sam, (ROOT / f"events/{name}.json").read_text()))
    assert "errorType" not in payload, payload
    load_provider(provider).methods[method].output.model_validate(payload)


def test_there_are_events_of_every_provider() -> None:
    assert {name.partition(".")[0] for name in EVENTS} == set(provider_names())


def test_what_fails_is_raised_by_name(sam: Sam) -> None:
    payload = sam.invoke("WikipediaFunction", json.dumps({"method": "search", "arguments": {}}))
    assert payload["errorType"] == "InvalidArguments"
    assert json.loads(payload["errorMessage"])["code"] == "invalid_arguments"
