"""The state machines, executed: moto's interpreter calls the built functions, which call services on loopback."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from devtools.asl import states
from devtools.project import find_method
from devtools.runtime_api import Environment as Function
from devtools.runtime_api import Result
from tests.support import mail
from tests.support import upstream as reply
from tests.support.artifact import Artifact
from tests.support.aws import Secrets
from tests.support.lambda_api import Hang, LambdaApi, failing, throttled
from tests.support.processes import free_port
from tests.support.searches import feed, wiki
from tests.support.stack import ROOT, Template
from tests.support.state_machines import Execution, Interpreter, changed, filled, machine
from tests.support.upstream import LOOPBACK, Message, Upstream

QUESTION = {"query": 'tea "and" \\ scones'}

# What a call is told that it may take, in seconds: the bundle keeps 1.5 of them for itself.
USUAL, SHORT = 29.0, 3.0


def limited() -> Message:
    """Ask for more patience than a call has, so that the function gives up at once and says when to come again."""
    return reply.json({"message": "slow down"}, 429, {"retry-after": "60"})


@dataclass
class Timed:
    """A function that is told how long a call may take."""

    function: Function
    seconds: float = USUAL

    def __call__(self, event: Any) -> Result:
        return self.function.invoke(event, seconds=self.seconds)


@dataclass
class Research:
    """The services that are asked, the functions between, and the machine."""

    wikipedia: Upstream
    arxiv: Upstream
    functions: dict[str, Timed]
    api: LambdaApi
    interpreter: Interpreter

    def run(self, given: dict[str, Any] = QUESTION, **fields: int) -> Execution:
        return self.interpreter.execute(changed(machine("research"), **fields), given)


@pytest.fixture
def research(
    artifact: Artifact, tmp_path: Path, interpreter: Interpreter, lambda_api: Callable[..., LambdaApi]
) -> Iterator[Research]:
    with contextlib.ExitStack() as stack:
        services = {name: stack.enter_context(Upstream()) for name in ("wikipedia", "arxiv")}
        functions: dict[str, Timed] = {}
        for name, service in services.items():
            logical_id = f"{name.capitalize()}Function"
            base_url = {f"{name.upper()}_BASE_URL": f"{service.url}/w"}
            # One for each test: a function that has asked arXiv would wait for its turn.
            function = artifact.function(logical_id, tmp_path / f"{name}.log", **base_url)
            stack.callback(function.close)
            functions[logical_id] = Timed(function)
        services["wikipedia"].route(wiki("Tea", "Green tea"))
        services["arxiv"].route(lambda _: feed("The physics of tea"))
        yield Research(**services, functions=functions, api=lambda_api(**functions), interpreter=interpreter)


WIKIPEDIAS = [
    {"provider": "wikipedia", "title": "Tea", "url": "http://wiki.test/1", "text": "Tea."},
    {"provider": "wikipedia", "title": "Green tea", "url": "http://wiki.test/2", "text": "Tea."},
]
ARXIVS = [
    {
        "provider": "arxiv",
        "title": "The physics of tea",
        "url": "http://arxiv.org/abs/2101.00001v1",
        "text": "On tea.",
    }
]


def test_research_merges_what_both_found(research: Research) -> None:
    done = research.run(QUESTION | {"limit": 2})
    assert (done.status, done.error, done.cause) == ("SUCCEEDED", None, None)
    assert done.output == {**QUESTION, "documents": WIKIPEDIAS + ARXIVS, "failures": []}
    assert research.api.calls["WikipediaFunction"] == [
        {"method": "search", "arguments": {**QUESTION, "limit": 2, "max_chars": 1000}}
    ]
    assert research.arxiv.last.query["search_query"] == [QUESTION["query"]]
    assert research.arxiv.last.query["max_results"] == ["2"]
    assert research.interpreter.waits == []


def test_research_gives_a_list_also_of_one_document(research: Research) -> None:
    research.wikipedia.route(wiki())
    done = research.run()
    assert done.output == {**QUESTION, "documents": ARXIVS, "failures": []}
    assert research.arxiv.last.query["max_results"] == ["3"]


def test_research_finds_nothing(research: Research) -> None:
    research.wikipedia.route(wiki())
    research.arxiv.route(lambda _: feed())
    done = research.run()
    assert (done.status, done.output["documents"], done.output["failures"]) == ("SUCCEEDED", [], [])


def test_research_waits_where_a_service_or_lambda_asks_for_fewer_calls(research: Research) -> None:
    research.wikipedia.replies(limited(), limited())
    research.api.scripted("ArxivFunction", throttled(), failing())
    done = research.run()
    assert done.output["documents"] == WIKIPEDIAS + ARXIVS
    assert done.output["failures"] == []
    assert len(research.api.calls["WikipediaFunction"]) == 3
    assert len(research.api.calls["ArxivFunction"]) == 3
    # Full jitter: anything from nothing to the interval, which doubles.
    waits = sorted(research.interpreter.waits)
    assert len(waits) == 4
    assert 0 <= waits[0] <= waits[-1] <= 10
    failures = [event["taskFailedEventDetails"]["error"] for event in done.events if "taskFailedEventDetails" in event]
    assert sorted(failures) == [
        "Lambda.ServiceException", "Lambda.TooManyRequestsException", "UpstreamRateLimited", "UpstreamRateLimited",
    ]  # fmt: skip


def test_research_keeps_one_result_where_the_other_service_denies(research: Research) -> None:
    research.arxiv.replies(reply.json({"message": "no"}, 403))
    done = research.run()
    assert done.status == "SUCCEEDED"
    assert done.output["documents"] == WIKIPEDIAS
    (failure,) = done.output["failures"]
    assert (failure["provider"], failure["error"]) == ("arxiv", "UpstreamDenied")
    assert failure["detail"]
    assert len(research.api.calls["ArxivFunction"]) == 1, "a denial is not repeated"
    assert "Go on without arXiv" in done.entered()


def test_research_keeps_one_result_where_the_other_service_never_answers(research: Research) -> None:
    research.wikipedia.replies(reply.hang(), reply.hang(), reply.hang())
    research.functions["WikipediaFunction"].seconds = SHORT
    done = research.run()
    assert done.output["documents"] == ARXIVS
    (failure,) = done.output["failures"]
    assert (failure["provider"], failure["error"]) == ("wikipedia", "UpstreamTimeout")
    assert len(research.api.calls["WikipediaFunction"]) == 3, "a read is repeated twice"


def test_research_keeps_one_result_where_the_other_function_never_answers(research: Research) -> None:
    research.api.scripted("WikipediaFunction", Hang())
    done = research.run(TimeoutSeconds=1)
    assert done.output["documents"] == ARXIVS
    assert done.output["failures"] == [{"provider": "wikipedia", "error": "States.Timeout"}]


def test_research_fails_where_nobody_answered_and_says_why(research: Research) -> None:
    research.wikipedia.replies(reply.json({"message": "no"}, 403))
    research.arxiv.replies(reply.content(b"no", "text/plain", 400))
    done = research.run()
    assert (done.status, done.error) == ("FAILED", "NoneAnswered")
    assert done.cause is not None
    assert done.cause.startswith("wikipedia: UpstreamDenied ")
    assert "; arxiv: UpstreamRejected " in done.cause
    assert done.entered()[-1] == "None answered"


def test_research_takes_what_its_schedule_sends(research: Research, template: Template) -> None:
    stack = template.deployed(EnableStateMachines="true", ResearchQuery="green tea")
    (schedule,) = stack.of_type("AWS::Scheduler::Schedule").values()
    done = research.run(json.loads(schedule["Target"]["Input"]))
    assert (done.status, done.output["query"]) == ("SUCCEEDED", "green tea")
    assert done.output["documents"] == WIKIPEDIAS + ARXIVS
    assert research.arxiv.last.query["max_results"] == ["5"]


def test_the_printed_states_run_as_they_are(research: Research) -> None:
    """What `integrations asl` prints, with nothing changed: its input is the arguments, its output the method's."""
    printed = states(*find_method("wikipedia.search"), 29)
    definition = filled(json.dumps({"StartAt": "wikipedia.search", "States": printed}))
    done = research.interpreter.execute(definition, {"query": "tea", "max_chars": 2})
    assert done.status == "SUCCEEDED"
    assert [document["page_content"] for document in done.output["documents"]] == ["Te", "Te"]
    wrong = research.interpreter.execute(definition, {"query": "tea", "limit": 11})
    assert (wrong.status, wrong.error) == ("FAILED", "invalid_arguments")
    assert wrong.cause is not None
    assert wrong.cause.startswith("arguments.limit: ")
    assert wrong.entered()[-1] == "Fix wikipedia.search"
    research.wikipedia.replies(*[limited()] * 5)
    later = research.interpreter.execute(definition, {"query": "tea"})
    assert (later.error, later.entered()[-1]) == ("upstream_rate_limited", "Repeat wikipedia.search later")
    research.api.scripted("WikipediaFunction", *[throttled()] * 4)
    throttled_for_good = research.interpreter.execute(definition, {"query": "tea"})
    assert (throttled_for_good.error, throttled_for_good.entered()[-1]) == (
        "throttled", "Repeat wikipedia.search later",
    )  # fmt: skip
    timeless = research.interpreter.execute(changed(definition, FunctionName="Gone"), {"query": "tea"})
    assert (timeless.error, timeless.entered()[-1]) == ("failed", "wikipedia.search failed")
    assert timeless.cause is not None
    assert timeless.cause.startswith("Lambda.ResourceNotFoundException ")


def test_the_example_waits_as_long_as_the_service_asks(research: Research) -> None:
    definition = filled((ROOT / "docs/examples/retry-after.asl.json").read_text())
    soon = reply.json({}, 429, {"retry-after": "1"})
    # Three attempts of one call, each after a second, and then a second in the machine.
    research.wikipedia.replies(soon, soon, soon)
    started = time.monotonic()
    done = research.interpreter.execute(definition, {"query": "tea", "max_chars": 2})
    assert [document["page_content"] for document in done.output["documents"]] == ["Te", "Te"]
    assert done.entered() == ["Remember", "Search", "Often enough", "Wait as asked", "Search"]
    assert time.monotonic() - started >= 3
    without = changed(definition, Seconds=1)
    research.wikipedia.replies(*[limited()] * 4)
    given_up = research.interpreter.execute(without, {"query": "tea"})
    assert (given_up.error, given_up.entered().count("Search")) == ("upstream_rate_limited", 4)


# notify


CALL = {
    "from": "ann@example.com",
    "subject": 'Tea "at" five',
    "text": "Come.\n",
    "recipients": ["bob@example.org", "eve@example.org"],
}
USER = {"user": "ann@example.com", "password": "example-password"}


@dataclass
class Notify:
    """A function that sends, by a connection that is stored when the mail server is known."""

    function: Timed
    api: LambdaApi
    interpreter: Interpreter
    secrets: Secrets

    def run(self, server: mail.MailServer | mail.ScriptedServer, setup: dict[str, str], **fields: int) -> Execution:
        stored = {"setup": {"host": LOOPBACK, "port": server.port, **setup}}
        self.secrets.put("email/default", stored)
        assert self.function({"connection": "default"}).payload["errorType"] == "InvalidArguments"  # has read it now
        return self.interpreter.execute(changed(machine("notify"), **fields), CALL)


@pytest.fixture
def notify(
    artifact: Artifact,
    tmp_path: Path,
    authority_file: Path,
    interpreter: Interpreter,
    secrets: Secrets,
    lambda_api: Callable[..., LambdaApi],
) -> Iterator[Notify]:
    function = artifact.function(
        "EmailFunction",
        tmp_path / "email.log",
        AWS_ENDPOINT_URL=secrets.url,
        INTEGRATIONS_PREFIX="integrations",
        INTEGRATIONS_ALLOWED_HOSTS=LOOPBACK,
        INTEGRATIONS_CA_FILE=str(authority_file),
    )
    timed = Timed(function)
    yield Notify(timed, lambda_api(EmailFunction=timed), interpreter, secrets)
    function.close()


@pytest.fixture
def server(certificate_authority: trustme.CA) -> Iterator[mail.MailServer]:
    """A mail server that wants STARTTLS and a password."""
    with mail.running(certificate_authority, "starttls", {USER["user"]: USER["password"]}) as running:
        yield running


def recipients(server: mail.MailServer) -> list[str]:
    return sorted(address for received in server.received for address in received.recipients)


def test_notify_sends_to_each(notify: Notify, server: mail.MailServer) -> None:
    done = notify.run(server, USER)
    assert (done.status, done.error, done.cause) == ("SUCCEEDED", None, None)
    assert done.output == {"sent": CALL["recipients"], "not_sent": [], "in_doubt": []}
    assert recipients(server) == CALL["recipients"]
    assert {received.message["subject"] for received in server.received} == {CALL["subject"]}
    kept = json.dumps(notify.api.calls) + json.dumps(done.output) + json.dumps(done.events, default=str)
    assert USER["password"] not in kept, "the history of an execution shows what states are given"


def test_notify_goes_on_where_one_is_refused(notify: Notify, server: mail.MailServer) -> None:
    server.refuse["bob@example.org"] = "550 5.1.1 no such user"
    done = notify.run(server, USER)
    assert done.status == "SUCCEEDED"
    assert done.output["sent"] == ["eve@example.org"]
    (refused,) = done.output["not_sent"]
    assert (refused["recipient"], refused["error"]) == ("bob@example.org", "UpstreamRejected")
    assert refused["detail"] == "The server refused every recipient."
    assert done.output["in_doubt"] == []
    assert recipients(server) == ["eve@example.org"]


def test_notify_waits_where_the_server_or_lambda_asks_for_fewer_calls(notify: Notify, server: mail.MailServer) -> None:
    notify.api.scripted("EmailFunction", throttled(), throttled())
    done = notify.run(server, USER)
    assert sorted(done.output["sent"]) == CALL["recipients"]
    assert recipients(server) == CALL["recipients"]
    assert len(notify.api.calls["EmailFunction"]) == 4
    assert len(notify.interpreter.waits) == 2
    server.refuse["bob@example.org"] = "450 4.7.1 greylisted, come again"
    notify.interpreter.waits.clear()
    again = notify.run(server, USER)
    (waited,) = again.output["not_sent"]
    assert (waited["recipient"], waited["error"]) == ("bob@example.org", "UpstreamRateLimited")
    assert len(notify.interpreter.waits) == 4, "it was tried five times"


def test_notify_tells_that_the_credentials_are_denied(notify: Notify, server: mail.MailServer) -> None:
    done = notify.run(server, USER | {"password": "another-password"})
    assert done.status == "SUCCEEDED"
    assert done.output["sent"] == done.output["in_doubt"] == []
    assert {failure["error"] for failure in done.output["not_sent"]} == {"UpstreamDenied"}
    assert len(notify.api.calls["EmailFunction"]) == 2, "nobody tries a wrong password again and again"
    assert server.received == []


def test_notify_does_not_send_again_what_may_have_been_sent(notify: Notify) -> None:
    notify.function.seconds = SHORT
    with mail.ScriptedServer(END=mail.hang) as silent:
        done = notify.run(silent, {"security": "none"})
        assert silent.verbs.count("END") == 2, "each message was handed over once"
    assert done.status == "SUCCEEDED"
    assert done.output["sent"] == done.output["not_sent"] == []
    doubtful = done.output["in_doubt"]
    assert sorted(failure["recipient"] for failure in doubtful) == CALL["recipients"]
    assert {failure["error"] for failure in doubtful} == {"UpstreamTimeout"}
    assert notify.interpreter.waits == []


def test_notify_knows_what_certainly_was_not_sent(notify: Notify) -> None:
    """Nobody listens: by its class the error could mean anything, by its problem nothing was sent."""
    done = notify.run(mail.MailServer(free_port()), {"security": "none"})
    assert {failure["error"] for failure in done.output["not_sent"]} == {"UpstreamUnreachable"}
    assert done.output["in_doubt"] == []


def test_notify_is_in_doubt_where_the_function_does_not_answer(notify: Notify, server: mail.MailServer) -> None:
    notify.api.scripted("EmailFunction", Hang(), failing())
    done = notify.run(server, USER, TimeoutSeconds=1)
    assert done.output["sent"] == []
    assert sorted(failure["error"] for failure in done.output["in_doubt"]) == [
        "Lambda.ServiceException",
        "States.Timeout",
    ]
    assert len(notify.api.calls["EmailFunction"]) == 2
