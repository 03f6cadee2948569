"""What a method has for a job that a service does in its own time: pauses, questions that are repeated, an own end."""

import time
from typing import Any

import pytest

from integrations import Arguments, Http, IntegrationError, Output, Provider, Reply
from integrations.replies import TextReply
from tests.support import upstream as script
from tests.support.calls import RESERVE, call
from tests.support.upstream import Upstream

provider = Provider(
    name="sample",
    title="Sample",
    url="https://sample.example",
    docs="https://sample.example/docs",
    category="search",
    base_url="https://sample.invalid",
)


class DoArguments(Arguments):
    pause: float = 0.1
    seconds: float = 100.0


class DoOutput(Output):
    said: list[str]


class State(Reply):
    state: str


class Words(TextReply):
    form = "words"


@provider.method(read_only=False, destructive=False, idempotent=False)
def do(args: DoArguments, http: Http) -> DoOutput:
    """Do something."""
    http = http.within(args.seconds)
    said = [http.post("/jobs", reply=State).state]
    while http.pause(args.pause):
        said.append(http.repeating().get("/jobs/1", reply=State).state)
        if said[-1] == "done":
            break
    return DoOutput(said=said)


@provider.method(read_only=True)
def words(args: DoArguments, http: Http) -> DoOutput:
    """Say words."""
    return DoOutput(said=[http.get("/words", reply=Words).text])


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url)


def done(of_call: float = 30.0, **arguments: Any) -> Any:
    return call(provider, method="do", arguments=arguments, seconds=of_call)["said"]


def state(name: str) -> script.Message:
    return script.json({"state": name})


def test_a_job_is_asked_about_after_a_pause(upstream: Upstream) -> None:
    upstream.replies(state("new"), state("busy"), state("done"))
    assert done() == ["new", "busy", "done"]
    first, second, third = (request.at for request in upstream.requests)
    assert second - first >= 0.1
    assert third - second >= 0.1


def test_a_question_is_repeated_though_the_method_is_not(upstream: Upstream) -> None:
    upstream.replies(state("new"), script.json({}, 503), state("done"))
    assert done() == ["new", "done"]
    upstream.replies(script.json({}, 503))
    with pytest.raises(IntegrationError):
        done()


def test_a_pause_after_which_nothing_can_be_asked_is_left_out(upstream: Upstream) -> None:
    upstream.replies(state("new"))
    started = time.monotonic()
    assert done(RESERVE + 10, pause=20.0) == ["new"]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(("own", "of_call"), [(1.2, 30.0), (100.0, RESERVE + 1.2)])
def test_the_earlier_end_holds(upstream: Upstream, own: float, of_call: float) -> None:
    upstream.route(lambda _: state("busy"))
    started = time.monotonic()
    assert done(of_call, pause=0.2, seconds=own) == ["busy"] * len(upstream.requests)
    assert time.monotonic() - started < 5


def test_an_answer_is_taken_as_text(upstream: Upstream) -> None:
    upstream.replies(script.text("Grüße, \ufffd"))
    assert call(provider, method="words", arguments={})["said"] == ["Grüße, \ufffd"]
    assert upstream.last.headers["accept"] == "text/*"


def test_what_is_no_text_is_told(upstream: Upstream) -> None:
    upstream.route(lambda _: script.content(b"\xff\xfe", "text/plain"))
    with pytest.raises(IntegrationError) as raised:
        call(provider, method="words", arguments={})
    assert raised.value.detail == "Sample answered something else than words."
