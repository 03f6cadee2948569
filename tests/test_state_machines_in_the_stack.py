"""The state machines and their schedule as AWS would make them: off by default, never without their functions."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.asl import states
from devtools.project import load_provider, provider_names
from devtools.provider_blocks import pascal
from tests.support.stack import ROOT, Stack, Template, sam_tool

MACHINES = sorted(path.name.removesuffix(".asl.json") for path in ROOT.glob("statemachines/*.asl.json"))
ON = {"EnableStateMachines": "true"}
CATEGORIES = {pascal(name): pascal(load_provider(name).category) for name in provider_names()}
NEW = {"AWS::StepFunctions::StateMachine", "AWS::Scheduler::Schedule"}


def logical_id(machine: str) -> str:
    return f"{machine.capitalize()}StateMachine"


def functions_of(machine: str) -> set[str]:
    """Name the functions that a definition has placeholders for."""
    return set(re.findall(r"\$\{(\w+)\}", (ROOT / f"statemachines/{machine}.asl.json").read_text()))


def statements(stack: Stack, role: str) -> list[dict[str, Any]]:
    policies = stack.of_type("AWS::IAM::Role")[role].get("Policies", [])
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def test_nothing_of_them_is_deployed_unless_it_is_asked_for(template: Template) -> None:
    for parameters in ({}, {"ResearchSchedule": "rate(1 day)"}):
        stack = template.deployed(**parameters)
        assert not NEW & {resource["Type"] for resource in stack.resources.values()}
        assert not any("StateMachine" in name for name in (*stack.resources, *stack.outputs))


def test_each_definition_is_a_state_machine_with_the_functions_it_names(template: Template) -> None:
    stack = template.deployed(**ON)
    machines = stack.of_type("AWS::StepFunctions::StateMachine")
    assert machines.keys() == {logical_id(name) for name in MACHINES}
    for name in MACHINES:
        machine = machines[logical_id(name)]
        assert machine["DefinitionS3Location"]["Key"] == f"statemachines/{name}.asl.json"
        wanted = functions_of(name)
        assert wanted
        assert machine["DefinitionSubstitutions"] == {function: f"<{function}.Arn>" for function in wanted}
        assert stack.outputs[logical_id(name)]["Value"] == f"<{logical_id(name)}>"
        assert machine.get("StateMachineName") is None, "two stacks of an account would want the same name"


def test_there_is_no_state_machine_without_its_functions(template: Template) -> None:
    for left_out in sorted(set(CATEGORIES.values())):
        stack = template.deployed(**ON, **{f"Enable{left_out}": "false"})
        expected = {
            logical_id(name)
            for name in MACHINES
            if not any(CATEGORIES[function.removesuffix("Function")] == left_out for function in functions_of(name))
        }
        assert stack.of_type("AWS::StepFunctions::StateMachine").keys() == expected
        # Nor anything else that would name what is not there.
        named = set(re.findall(r"<(\w+?)(?:\.\w+)?>", json.dumps([stack.resources, stack.outputs])))
        assert named <= stack.resources.keys()


def test_a_state_machine_may_call_its_functions_and_no_other(template: Template) -> None:
    stack = template.deployed(**ON)
    for name in MACHINES:
        calls, logs = statements(stack, f"{logical_id(name)}Role")
        assert (calls["Effect"], calls["Action"]) == ("Allow", "lambda:InvokeFunction")
        assert sorted(calls["Resource"]) == sorted(f"<{function}.Arn>" for function in functions_of(name))
        # Delivering logs has actions that take no resource; none of them reads or writes a log.
        assert logs["Resource"] == "*"
        assert all(re.fullmatch(r"logs:\w*(LogDelivery|LogDeliveries|ResourcePolic\w+|LogGroups)", action)
                   for action in logs["Action"])  # fmt: skip


def test_a_state_machine_is_traced_and_logs_its_errors_without_what_it_was_given(template: Template) -> None:
    stack = template.deployed(**ON, LogRetentionDays="7")
    for name in MACHINES:
        machine = stack.of_type("AWS::StepFunctions::StateMachine")[logical_id(name)]
        assert machine["TracingConfiguration"] == {"Enabled": True}
        logging = machine["LoggingConfiguration"]
        assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
        group = f"{logical_id(name)}LogGroup"
        assert logging["Destinations"] == [{"CloudWatchLogsLogGroup": {"LogGroupArn": f"<{group}.Arn>"}}]
        assert stack.of_type("AWS::Logs::LogGroup")[group] == {
            # Under this prefix CloudWatch needs no resource policy that grows with each state machine.
            "LogGroupName": f"/aws/vendedlogs/states/stack/{name}",
            "RetentionInDays": "7",
        }


def test_a_schedule_without_its_state_machine_is_refused(template: Template) -> None:
    rule = template.translated["Rules"]["ScheduleHasItsStateMachine"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ResearchSchedule"}, ""]}]}
    [assertion] = rule["Assertions"]
    needed = {equal["Fn::Equals"][0]["Ref"]: equal["Fn::Equals"][1] for equal in assertion["Assert"]["Fn::And"]}
    assert needed == ON | {f"Enable{CATEGORIES[pascal(name)]}": "true" for name in ("wikipedia", "arxiv")}
    assert all(f"{name}={value}" in assertion["AssertDescription"] for name, value in needed.items())


def test_the_schedule_is_off_until_it_has_an_expression(template: Template) -> None:
    (off,) = template.deployed(**ON).of_type("AWS::Scheduler::Schedule").values()
    assert off["State"] == "DISABLED"
    stack = template.deployed(**ON, ResearchSchedule="cron(0 6 * * ? *)", ResearchQuery="green tea")
    (schedule,) = stack.of_type("AWS::Scheduler::Schedule").values()
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "cron(0 6 * * ? *)")
    assert "Name" not in schedule, "two stacks of an account would want the same name"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    target = schedule["Target"]
    assert target["Arn"] == "<ResearchStateMachine>"
    assert json.loads(target["Input"]) == {"query": "green tea", "limit": 5}
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 5, "MaximumEventAgeInSeconds": 3600}
    assert target["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}
    role = target["RoleArn"].strip("<>").partition(".")[0]
    allowed = {(statement["Action"], statement["Resource"]) for statement in statements(stack, role)}
    assert allowed == {
        ("states:StartExecution", "<ResearchStateMachine>"),
        ("sqs:SendMessage", "<DeadLetterQueue.Arn>"),
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_the_picture_shows_each_state(machine: str) -> None:
    picture = (ROOT / "docs/state-machines.svg").read_text()
    shown = set(re.findall(r">([^<:]+)[<:]", picture))
    definition = json.loads((ROOT / f"statemachines/{machine}.asl.json").read_text())
    assert {machine, *names_of_states(definition)} <= shown


def names_of_states(machine: dict[str, Any]) -> Iterator[str]:
    for name, state in machine["States"].items():
        yield name
        for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            yield from names_of_states(inner)


@pytest.mark.parametrize("query", ['say "tea"', "back\\slash", "new\nline", "", "x" * 301])
def test_a_query_that_would_break_the_input_is_refused(template: Template, query: str) -> None:
    pattern = template.written["Parameters"]["ResearchQuery"]["AllowedPattern"]
    assert re.fullmatch(pattern, "Tee, grün & schwarz: 100 %")
    assert not re.fullmatch(pattern, query)


def test_the_example_of_a_schedule_and_rules_is_valid() -> None:
    example = ROOT / "docs/examples/events.yaml"
    argv: list[str | Path] = [sam_tool("cfn-lint"), "-a", "cfn_lint_serverless.rules", "-r", "us-east-1", "-t", example]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_timeouts_in_the_definitions_are_longer_than_those_of_the_functions(template: Template) -> None:
    functions = template.deployed().of_type("AWS::Lambda::Function")
    for name in MACHINES:
        text = (ROOT / f"statemachines/{name}.asl.json").read_text()
        longest = max(functions[function]["Timeout"] for function in functions_of(name))
        assert all(int(seconds) > longest for seconds in re.findall(r'"TimeoutSeconds": (\d+)', text))
    wikipedia = load_provider("wikipedia")
    (task, *_) = states(wikipedia, wikipedia.methods["search"], 29).values()
    assert task["TimeoutSeconds"] > functions["WikipediaFunction"]["Timeout"]
