"""A method as a state: what it calls, what it repeats, what it catches, and that a validator takes it."""

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from devtools import asl
from devtools.cli import main
from devtools.project import TEMPLATE, find_method, load_provider, provider_names
from devtools.template import read_functions
from integrations.errors import IntegrationError
from tests.support.stack import ROOT
from tests.support.state_machines import install_validator, lint

METHODS = [f"{name}.{method}" for name in provider_names() for method in load_provider(name).methods]
TIMEOUTS = {function.name: function.timeout for function in read_functions(TEMPLATE)}
MACHINES = sorted(ROOT.glob("statemachines/*.asl.json"))

every_method = pytest.mark.parametrize("call", METHODS)


@functools.cache
def output(call: str) -> str:
    done = CliRunner().invoke(main, ["asl", call])
    assert done.exit_code == 0, done.output
    return done.output


def printed(call: str) -> dict[str, Any]:
    states: dict[str, Any] = json.loads(output(call))
    return states


def function_of(provider: str) -> str:
    return "${" + "".join(part.capitalize() for part in provider.split("_")) + "Function}"


def task_of(call: str) -> dict[str, Any]:
    task: dict[str, Any] = printed(call)[call]
    return task


def as_machine(states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def test_every_methods_states_are_valid(tmp_path: Path) -> None:
    paths = []
    for call in METHODS:
        path = tmp_path / f"{call}.asl.json"
        path.write_text(json.dumps(as_machine(printed(call))))
        paths.append(path)
    assert len(paths) >= 9
    assert lint(*paths) == ""


def test_what_is_not_valid_is_noticed(tmp_path: Path) -> None:
    machine = as_machine(printed("wikipedia.search"))

    def faults(change: dict[str, Any]) -> str:
        path = tmp_path / "broken.asl.json"
        broken = copy.deepcopy(machine)
        broken["States"]["wikipedia.search"] |= change
        path.write_text(json.dumps(broken))
        return lint(path)

    assert faults({}) == ""
    nowhere = [{"ErrorEquals": ["States.ALL"], "Next": "Nowhere"}]
    assert "Missing 'StartAt'|'Next'|'Default' target: Nowhere" in faults({"Catch": nowhere})
    assert "is not reachable" in faults({"Catch": []})
    assert "Output" in faults({"Output": "{% $states.result.( %}"})


def test_without_node_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="node and npm, which asl-validator@"):
        install_validator("asl-validator@1.0.0", tmp_path / "validator")
    monkeypatch.setenv("REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="REQUIRE_PEERS=1, but node and npm"):
        install_validator("asl-validator@1.0.0", tmp_path / "validator")


@every_method
def test_a_state_calls_its_method_by_the_function_of_its_provider(call: str) -> None:
    name, _, operation = call.partition(".")
    task = task_of(call)
    assert task["Resource"] == "arn:aws:states:::lambda:invoke"
    arguments = task["Arguments"]
    assert arguments["FunctionName"] == function_of(name)
    payload = arguments["Payload"]
    assert payload.pop("connection", "default") == "default"
    assert payload == {"method": operation, "arguments": "{% $states.input %}"}
    assert task["Output"] == "{% $states.result.Payload %}"


@every_method
def test_a_state_waits_longer_than_its_function_may_take(call: str) -> None:
    assert task_of(call)["TimeoutSeconds"] == TIMEOUTS[call.partition(".")[0]] + 10


def retried(task: dict[str, Any]) -> set[str]:
    return {name for retrier in task["Retry"] for name in retrier["ErrorEquals"]}


@every_method
def test_a_state_repeats_what_may_be_repeated_and_nothing_else(call: str) -> None:
    _, method = find_method(call)
    task = task_of(call)
    for retrier in task["Retry"]:
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["IntervalSeconds"] <= retrier["MaxDelaySeconds"]
    kinds = {kind.__name__: kind.retryable for kind in IntegrationError.__subclasses__()}
    ours = {name for name in retried(task) if "." not in name}
    wanted = (True, None) if method.repeatable else (True,)
    assert ours == {name for name, again in kinds.items() if again in wanted}
    of_lambda = retried(task) - ours
    assert of_lambda == {asl.THROTTLED, *(asl.LAMBDA_FAILED if method.repeatable else ())}


def test_an_email_is_not_sent_again_where_it_may_have_been_sent() -> None:
    doubtful = {"UpstreamTimeout", "UpstreamError", "DeadlineExceeded", "Lambda.ServiceException", "States.ALL"}
    assert not retried(task_of("email.send")) & doubtful
    assert {"UpstreamTimeout", "Lambda.ServiceException"} <= retried(task_of("wikipedia.search"))


@every_method
def test_each_failure_leads_somewhere_by_its_name(call: str) -> None:
    states = printed(call)
    task = states.pop(call)
    *known, rest = task["Catch"]
    assert rest["ErrorEquals"] == ["States.ALL"]
    names = [name for catcher in known for name in catcher["ErrorEquals"]]
    assert len(names) == len(set(names))
    assert retried(task) - set(asl.LAMBDA_FAILED) <= set(names)
    assert {"InvalidArguments", "MissingSetup", "UpstreamDenied", "UpstreamTimeout"} <= set(names)
    assert {catcher["Next"] for catcher in task["Catch"]} == states.keys()
    # What may have been done leads elsewhere than what certainly was not.
    (timed_out,) = (catcher["Next"] for catcher in known if "UpstreamTimeout" in catcher["ErrorEquals"])
    (waited,) = (catcher["Next"] for catcher in known if "UpstreamRateLimited" in catcher["ErrorEquals"])
    assert (timed_out == waited) is find_method(call)[1].repeatable


def test_no_setup_is_asked_for_in_an_input() -> None:
    """The input of each execution is kept with it, and shown to whoever may look at it."""
    assert task_of("algolia.search")["Arguments"]["Payload"]["connection"] == "default"
    assert "connection" not in task_of("wikipedia.search")["Arguments"]["Payload"]


def test_without_a_method_it_is_the_default_one() -> None:
    assert printed("wikipedia") == printed("wikipedia.search")


def test_what_is_not_there_is_told() -> None:
    for call, sentence in {
        "wikipedia.find": "wikipedia has no method of that name; it has: search.",
        "Acme.search": "There is no provider of that name; there are: ",
    }.items():
        done = CliRunner().invoke(main, ["asl", call])
        assert done.exit_code == 2
        assert sentence in done.output


# The state machines of this project.


def tasks(node: Any) -> list[dict[str, Any]]:
    """Find the states that call a function, in branches and maps too."""
    if isinstance(node, list):
        return [task for item in node for task in tasks(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("Type") == "Task" else []
    return own + [task for value in node.values() for task in tasks(value)]


def test_the_state_machines_and_the_examples_are_valid() -> None:
    assert {path.name for path in MACHINES} >= {"notify.asl.json", "research.asl.json"}
    examples = sorted(ROOT.glob("docs/examples/*.asl.json"))
    assert examples
    assert lint(*MACHINES, *examples) == ""


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_a_state_machine_repeats_what_the_command_prints(path: Path) -> None:
    found = tasks(json.loads(path.read_text()))
    assert found
    for task in found:
        (provider,) = (name for name in provider_names() if task["Arguments"]["FunctionName"] == function_of(name))
        call = f"{provider}.{task['Arguments']['Payload']['method']}"
        generated = task_of(call)
        for member in ("Resource", "TimeoutSeconds", "Retry"):
            assert task[member] == generated[member], f"{path.name}: take {member} from `integrations asl {call}`"
        *known, rest = ([*catcher["ErrorEquals"]] for catcher in task["Catch"])
        assert rest == ["States.ALL"]
        expected = {name for catcher in generated["Catch"][:-1] for name in catcher["ErrorEquals"]}
        assert {name for names in known for name in names} | {asl.THROTTLED} == expected, call
