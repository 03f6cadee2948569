"""What watches over a stack: alarms, their pages, the dashboard; releases that are taken back; what a stack leaves."""

import copy
import io
import json
import re
import shlex
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import jmespath
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from moto import mock_aws

from devtools import dashboard
from devtools.canary import ROLLBACK_ALARMS, variant
from devtools.error_tree import groups
from devtools.errors import CommandError
from devtools.project import load_provider, provider_names
from functions.authorizer import app
from tests.support.aws import Secrets
from tests.support.calls import post
from tests.support.pages import blocks, links
from tests.support.sample import provider as sample
from tests.support.stack import ROOT, Stack, Template, translate
from tests.support.upstream import Reply, Request, Upstream
from tests.support.upstream import json as answer

RUNBOOK = ROOT / "docs/runbook"
PAGES = {path.stem: path for path in RUNBOOK.glob("*.md")}
NAMESPACE = "Integrations/stack"
CODES = {kind.code for kinds in groups().values() for kind, _ in kinds}
SETUP = {"api_key": "sk-abc0123456789"}
CATEGORIES = sorted({load_provider(name).category for name in provider_names()})
NOTHING = {f"Enable{category.capitalize()}": "false" for category in CATEGORIES}
Lines = list[dict[str, Any]]


def alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    """Give the alarms by their names without the stack's."""
    of = stack.of_type("AWS::CloudWatch::Alarm").values()
    assert all(alarm["AlarmName"].startswith("stack-") for alarm in of)
    return {alarm["AlarmName"].removeprefix("stack-"): alarm for alarm in of}


def reply(status: int, _: Request) -> Reply:
    return answer({"value": "tea"}, status=status)


@pytest.fixture
def written(upstream: Upstream, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Give the lines of a provider's log: of a call that went well, that a service failed and refused, of a fault."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("SAMPLE_API_KEY", SETUP["api_key"])
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url)
    calls: tuple[tuple[int, dict[str, Any], str], ...] = (
        (200, {"setup": SETUP}, "ok"),
        (404, {"setup": SETUP}, "upstream_rejected"),
        (401, {}, "upstream_denied"),
    )
    for status, call, _ in calls:
        upstream.route(partial(reply, status))
        post(sample, call)
    post(sample, {"setup": SETUP, "arguments": {"text": "x"}}, method="fault")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    outcomes = [outcome for _, _, outcome in calls]
    assert [line["outcome"] for line in lines if "_aws" not in line] == [*outcomes, "internal"]
    return lines


@pytest.fixture
def refused(secrets: Secrets, capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Give the lines of the authorizer's log where it finds no keys, then a damaged one, then one that is over."""
    event = {
        "headers": {"x-api-key": "alice.secret"},
        "rawPath": "/execute/wikipedia",
        "requestContext": {"http": {"method": "POST"}, "requestId": "r"},
    }
    digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # of "secret"
    for keys in (None, {"alice": {"sha256": 1}}, {"alice": {"sha256": digest, "expires": "2020-01-01T00:00:00+00:00"}}):
        app.forget()
        if keys:
            secrets.put("api-keys", {"keys": keys})
        app.handler({"version": "2.0", **event}, None)
    yield [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    app.forget()


def metrics_in(lines: Lines) -> set[tuple[str, str, frozenset[str]]]:
    """Give namespace, name and dimensions of each metric that CloudWatch would read off these lines."""
    found = set()
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for metric in directive["Metrics"]:
                assert isinstance(line[metric["Name"]], int | float)
                for dimensions in directive["Dimensions"]:
                    assert all(isinstance(line[name], str) for name in dimensions)
                    found.add((directive["Namespace"], metric["Name"], frozenset(dimensions)))
    return found


# Alarms.


def test_there_is_an_alarm_for_each_way_in_which_a_bundle_fails(stack: Stack) -> None:
    assert alarms(stack).keys() == {
        "server-errors",
        "faults",
        "throttles",
        "slow-calls",
        "dead-letters",
        "rejected-credentials",
        "authorizer-errors",
    }


def test_the_alarms_do_not_grow_with_the_providers(template: Template, stack: Stack) -> None:
    assert alarms(template.deployed(**NOTHING)) == alarms(stack)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_each_page_is_named_by_its_alarm(stack: Stack, name: str) -> None:
    description = alarms(stack)[name]["AlarmDescription"]
    assert description.endswith(f" See docs/runbook/{name}.md")
    assert PAGES[name].read_text().startswith(f"# Alarm: {name}\n")


def test_each_alarm_has_its_page_and_operations_leads_to_it(stack: Stack) -> None:
    assert alarms(stack).keys() == PAGES.keys()
    assert {link for link in links(ROOT / "docs/operations.md") if link.startswith("runbook/")} == {
        f"runbook/{name}.md" for name in PAGES
    }


def test_no_calls_are_no_alarm(stack: Stack) -> None:
    for name, alarm in alarms(stack).items():
        assert alarm["TreatMissingData"] == "notBreaching", name


@pytest.mark.parametrize(
    ("told", "action", "subscribed"),
    [
        ("", None, []),
        ("arn:aws:sns:us-east-1:123456789012:pager", "arn:aws:sns:us-east-1:123456789012:pager", []),
        ("ops@example.org", "<AlarmTopic>", [{"Protocol": "email", "Endpoint": "ops@example.org"}]),
    ],
)
def test_whom_an_alarm_tells(template: Template, told: str, action: str | None, subscribed: list[Any]) -> None:
    stack = template.deployed(AlarmsTo=told)
    for alarm in alarms(stack).values():
        for kind in ("AlarmActions", "OKActions"):
            assert alarm.get(kind) == ([action] if action else None)
    topics = stack.of_type("AWS::SNS::Topic").values()
    assert [subscription for topic in topics for subscription in topic["Subscription"]] == subscribed


@pytest.mark.parametrize("told", ["a b@example.org", "ops", "arn:aws:sqs:us-east-1:1:queue", "ops@example.org:x"])
def test_what_nobody_can_be_told_by_is_refused(template: Template, told: str) -> None:
    pattern = template.written["Parameters"]["AlarmsTo"]["AllowedPattern"]
    assert not re.fullmatch(pattern, told)
    assert re.fullmatch(pattern, "")


def test_alarms_keep_within_what_cloudwatch_takes(stack: Stack) -> None:
    for name, alarm in alarms(stack).items():
        metrics = {metric["Id"]: metric for metric in alarm["Metrics"]}
        assert len(metrics) == len(alarm["Metrics"]) <= 10, name
        [returned] = [metric for metric in metrics.values() if metric.get("ReturnData", True)]
        expression = returned.get("Expression", "")
        assert "SEARCH" not in expression
        used = set(re.findall(r"\b[a-z]+\b", expression))
        assert used == (metrics.keys() - {returned["Id"]}), name
        periods = {metric["MetricStat"]["Period"] for metric in metrics.values() if "MetricStat" in metric}
        assert len(periods) == 1, name
        assert alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"]
        # CloudWatch evaluates a day at most.
        assert periods.pop() * alarm["EvaluationPeriods"] <= 86_400


def test_a_value_that_comes_late_is_not_taken_for_none(stack: Stack) -> None:
    """FILL puts a number where the last period has no value yet, and CloudWatch then looks at no earlier period."""
    filled = {
        name: alarm
        for name, alarm in alarms(stack).items()
        if any("FILL" in metric.get("Expression", "") for metric in alarm["Metrics"])
    }
    assert filled.keys() == {"faults", "throttles", "slow-calls"}
    for name, alarm in filled.items():
        assert alarm["DatapointsToAlarm"] < alarm["EvaluationPeriods"], name


# What AWS writes by itself, with these dimensions: the developer guides of API Gateway, Lambda and SQS.
OF_AWS = {
    ("AWS/ApiGateway", "Count", frozenset({"ApiId"})),
    ("AWS/ApiGateway", "4xx", frozenset({"ApiId"})),
    ("AWS/ApiGateway", "5xx", frozenset({"ApiId"})),
    ("AWS/ApiGateway", "Latency", frozenset({"ApiId"})),
    ("AWS/Lambda", "Invocations", frozenset()),
    ("AWS/Lambda", "Throttles", frozenset()),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", frozenset({"QueueName"})),
}


def test_every_metric_of_an_alarm_is_one_that_is_written(stack: Stack, written: Lines) -> None:
    transformations = [
        transformation
        for filtered in stack.of_type("AWS::Logs::MetricFilter").values()
        for transformation in filtered["MetricTransformations"]
    ]
    of_logs = {(each["MetricNamespace"], each["MetricName"], frozenset[str]()) for each in transformations}
    for name, alarm in alarms(stack).items():
        asked = [metric["MetricStat"]["Metric"] for metric in alarm["Metrics"] if "MetricStat" in metric]
        assert asked
        for metric in asked:
            dimensions = frozenset(dimension["Name"] for dimension in metric.get("Dimensions", []))
            known = OF_AWS | metrics_in(written) | of_logs
            assert (metric["Namespace"], metric["MetricName"], dimensions) in known, name


def test_the_namespace_is_what_the_functions_are_told(stack: Stack) -> None:
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE


def test_outcomes_that_an_alarm_looks_for_are_codes_of_errors(stack: Stack) -> None:
    outcomes = {
        dimension["Value"]
        for alarm in alarms(stack).values()
        for metric in alarm["Metrics"]
        for dimension in metric.get("MetricStat", {}).get("Metric", {}).get("Dimensions", [])
        if dimension["Name"] == "outcome"
    }
    assert outcomes == {"internal", "misconfigured"} <= CODES


def test_cloudwatch_knows_every_member_of_an_alarm(stack: Stack) -> None:
    """An alarm of CloudFormation has the members of PutMetricAlarm, which botocore holds to their names and types."""
    shape = botocore.session.get_session().get_service_model("cloudwatch").operation_model("PutMetricAlarm").input_shape
    assert shape is not None
    for name, alarm in alarms(stack).items():
        report = ParamValidator().validate(alarm, shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"


def test_slow_is_less_than_what_a_call_is_given(stack: Stack) -> None:
    from integrations.handler import LONGEST

    assert 0.8 * LONGEST < alarms(stack)["slow-calls"]["Threshold"] / 1000 < LONGEST


def test_the_authorizers_errors_are_counted_and_its_refusals_are_not(stack: Stack, refused: Lines) -> None:
    filtered = stack.of_type("AWS::Logs::MetricFilter")["AuthorizerErrors"]
    assert filtered["LogGroupName"] == "<AuthorizerLogGroup>"
    assert filtered["FilterPattern"] == '{ $.level = "ERROR" }'
    assert [line["level"] for line in refused] == ["ERROR", "ERROR", "WARNING"]


def test_a_function_that_gives_no_answer_is_a_fault(stack: Stack) -> None:
    """It writes no metric; API Gateway's 500 stands in the access log, as text."""
    filtered = stack.of_type("AWS::Logs::MetricFilter")["InternalServerErrors"]
    assert filtered["LogGroupName"] == "<ApiLogGroup>"
    assert filtered["FilterPattern"] == '{ $.status = "500" }'
    [stage] = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    assert json.loads(stage["AccessLogSettings"]["Format"])["status"] == "$context.status"
    [transformation] = filtered["MetricTransformations"]
    asked = [metric["MetricStat"]["Metric"] for metric in alarms(stack)["faults"]["Metrics"] if "MetricStat" in metric]
    assert {"Namespace": NAMESPACE, "MetricName": transformation["MetricName"]} in asked
    # Else an alarm that wakes somebody would go off for what a service or a caller does.
    assert {kind.code for kinds in groups().values() for kind, _ in kinds if kind.status == 500} == {
        "internal",
        "misconfigured",
    }


# The runbook. Its blocks are commands of the AWS command line, of which botocore's models know every option.

ACCESS_LOG = "/aws/vendedlogs/"
OF_LAMBDA = {"type", "record"}  # of its own lines in a log that is JSON
OF_CLOUDWATCH = {"@timestamp", "@message", "@log"}
EVERY = {"query", "output", "region", "cli-binary-format", "max-items"}
# What a shell works out; its place is taken by a number.
WORKED_OUT = re.compile(r"\$\(\(\$\(date \+%s\) - \d+\)\)|\$\(date \+%s\)")


def commands_of(page: Path) -> list[list[str]]:
    found = [shlex.split(WORKED_OUT.sub("1", block.text.replace("\\\n", ""))) for block in blocks(page)]
    assert found
    assert {block.kind for block in blocks(page)} == {"bash"}
    return found


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_command_of_a_page_is_one_that_aws_has(name: str) -> None:
    session = botocore.session.get_session()
    for program, service, operation, *rest in commands_of(PAGES[name]):
        assert program == "aws"
        model = session.get_service_model(service)
        operations = {xform_name(each, "-"): each for each in model.operation_names}
        assert operation in operations, operation
        shape = model.operation_model(operations[operation]).input_shape
        assert shape is not None
        options = {xform_name(member, "-") for member in shape.members}
        given = {word.removeprefix("--") for word in rest if word.startswith("--")}
        assert given <= options | EVERY, given
        required = {xform_name(member, "-") for member in shape.required_members}
        assert required <= given, required


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_field_of_a_query_is_in_the_log_that_it_reads(
    stack: Stack, written: Lines, refused: Lines, name: str
) -> None:
    [stage] = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    of_providers = {key for line in written if "_aws" not in line for key in line}
    of_authorizer = {key for line in refused for key in line}
    for command in commands_of(PAGES[name]):
        if command[1:3] != ["logs", "start-query"]:
            continue
        options = dict(zip(command[3::2], command[4::2], strict=True))
        query = options["--query-string"]
        if ACCESS_LOG in options.get("--log-group-names", ""):
            known = set(json.loads(stage["AccessLogSettings"]["Format"]))
        else:
            assert "SOURCE logGroups(namePrefix: ['/aws/lambda/$STACK-" in query
            known = of_authorizer if "AuthorizerFunction" in query else of_providers | OF_LAMBDA
        assert fields_of(query) <= known | OF_CLOUDWATCH, name


# Words of the query language, and names that a query gives itself.
_WORDS = set(
    re.findall(r"\w+", "filter stats sort limit display by as desc asc and in like count max min avg pct bin m")
)


def fields_of(query: str) -> set[str]:
    """Give the names of fields in a query of CloudWatch Logs Insights; of `record.metrics.x` the first part."""
    query = re.sub(r"SOURCE logGroups\([^)]*\)", "", query)
    query = re.sub(r"'[^']*'|/[^/]*/", "", query)
    own = set(re.findall(r" as (\w+)", query))
    return {word.partition(".")[0] for word in re.findall(r"@?[a-zA-Z_][\w.]*", query)} - _WORDS - own


def test_fields_are_found_in_a_query() -> None:
    source = "SOURCE logGroups(namePrefix: ['/x-'])"
    query = f"{source} | filter a = 'b' and c like /^d/ | stats max(e.f) as g by @log | sort g desc"
    assert fields_of(query) == {"a", "c", "e", "@log"}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    for link in links(PAGES[name]):
        assert (RUNBOOK / link).resolve().is_file(), link


def test_codes_on_the_pages_are_codes_of_errors() -> None:
    for page in PAGES.values():
        for word in re.findall(r"`((?:upstream|rate|deadline|internal|misconf|missing|invalid)\w*)`", page.read_text()):
            assert word in CODES | {"upstream_status"}, f"{page.name}: {word}"


# The dashboard.


def widgets(stack: Stack) -> list[dict[str, Any]]:
    [board] = stack.of_type("AWS::CloudWatch::Dashboard").values()
    assert board["DashboardName"] == "stack"
    body = json.loads(board["DashboardBody"])
    found: list[dict[str, Any]] = body["widgets"]
    return found


def titles(stack: Stack) -> list[str]:
    return [widget["properties"]["title"] for widget in widgets(stack)]


PROVIDERS = {name: load_provider(name) for name in provider_names()}
COMMON = ["Alarms", "Requests", "Latency of the API, ms", "Calls by outcome"]


def test_each_provider_has_a_widget(stack: Stack) -> None:
    assert Counter(titles(stack)) == Counter([*COMMON, *(provider.title for provider in PROVIDERS.values())])


@pytest.mark.parametrize("category", CATEGORIES)
def test_what_is_not_deployed_has_no_widget(template: Template, category: str) -> None:
    stack = template.deployed(**{f"Enable{category.capitalize()}": "false"})
    left = [provider.title for provider in PROVIDERS.values() if provider.category != category]
    assert Counter(titles(stack)) == Counter(COMMON + left)


def test_a_stack_without_providers_has_a_dashboard(template: Template) -> None:
    assert titles(template.deployed(**NOTHING)) == COMMON


def test_the_dashboard_shows_every_alarm(stack: Stack) -> None:
    first = widgets(stack)[0]
    assert first["type"] == "alarm"
    names = [alarm["AlarmName"] for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()]
    arns = [f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}" for name in names]
    assert first["properties"]["alarms"] == arns


def test_what_the_dashboard_searches_for_is_written(stack: Stack, written: Lines) -> None:
    known = metrics_in(written)
    searches = [
        series[0]["expression"]
        for widget in widgets(stack)
        for series in widget["properties"].get("metrics", [])
        if isinstance(series[0], dict)
    ]
    assert len(searches) == 1 + 2 * len(PROVIDERS)
    for search in searches:
        found = re.fullmatch(
            r"SEARCH\('\{\"([^\"]+)\",([a-z,]+)\} MetricName=\"(\w+)\"(?: provider=\"(\w+)\")?', '(Sum|p99)', 300\)",
            search,
        )
        assert found, search
        assert (found[1], found[3], frozenset(found[2].split(","))) in known
        assert found[4] is None or found[4] in PROVIDERS


def test_the_dashboard_keeps_within_what_cloudwatch_takes_for_many_providers() -> None:
    many = {"search": list(PROVIDERS.values()) * 45}
    body = "".join(text for _, text in dashboard.parts(many, ["A"]))
    assert len(json.loads(body)["widgets"]) == len(COMMON) + 45 * len(PROVIDERS) > 500
    enough = {"search": [*PROVIDERS.values()] * 3 + [*PROVIDERS.values()][:6]}
    body = "".join(text for _, text in dashboard.parts(enough, ["A"]))
    assert len(json.loads(body)["widgets"]) <= 500
    assert len(body) < 100_000


# The canary: a deployment that is taken back.


def test_every_function_has_an_alias_and_is_shifted_to_it_step_by_step(canary: Template) -> None:
    stack = canary.deployed()
    functions = stack.of_type("AWS::Lambda::Function").keys()
    aliases = {alias["FunctionName"]: alias for alias in stack.of_type("AWS::Lambda::Alias").values()}
    assert aliases.keys() == {f"<{name}>" for name in functions}
    assert {alias["Name"] for alias in aliases.values()} == {"live"}
    groups = stack.of_type("AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {f"{name}DeploymentGroup" for name in functions}
    for name in functions:
        [policy] = stack.resources[f"{name}Aliaslive"]["UpdatePolicy"].values()
        assert policy["DeploymentGroupName"] == f"<{name}DeploymentGroup>"
        assert groups[f"{name}DeploymentGroup"]["DeploymentConfigName"] == (
            "CodeDeployDefault.LambdaLinear10PercentEvery1Minute"
        )


def test_a_deployment_is_taken_back_on_alarms_that_there_are(canary: Template) -> None:
    stack = canary.deployed()
    known = {alarm["AlarmName"] for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()}
    for group in stack.of_type("AWS::CodeDeploy::DeploymentGroup").values():
        watched = {alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]}
        assert watched == {f"stack-{name}" for name in ROLLBACK_ALARMS} <= known
        assert group["AlarmConfiguration"]["Enabled"] is True
        assert group["AutoRollbackConfiguration"]["Enabled"] is True
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


def test_an_alarm_goes_off_before_all_traffic_goes_over(canary: Template) -> None:
    pace = canary.written["Parameters"]["DeploymentPreference"]["Default"]
    found = re.fullmatch(r"Canary10Percent(\d+)Minutes", pace)
    assert found, pace
    known = alarms(canary.deployed())
    for name in ROLLBACK_ALARMS:
        [period] = {each["MetricStat"]["Period"] for each in known[name]["Metrics"] if "MetricStat" in each}
        needed = known[name].get("DatapointsToAlarm", known[name]["EvaluationPeriods"])
        assert period * needed < 60 * int(found[1]), name


def test_a_release_can_pass_that_mends_what_an_alarm_is_on_for(canary: Template) -> None:
    """CodeDeploy stops a deployment that finds one of its alarms on."""
    stack = canary.deployed(RollbackOnAlarms="false")
    deployments = stack.of_type("AWS::CodeDeploy::DeploymentGroup")
    assert deployments
    for group in deployments.values():
        assert not group["AlarmConfiguration"]


def test_whoever_calls_calls_the_alias(canary: Template) -> None:
    """The API, its authorizer, its permissions, asynchronous calls, and those who have the ARN from the outputs."""
    stack = canary.deployed()
    api = json.dumps(stack.resources["Api"]["Properties"]["Body"])
    called = re.findall(r"functions/<([\w.]+)>/invocations", api)
    assert len(called) == len(stack.routes()) + 1
    assert all(name.endswith("FunctionAliaslive") for name in called)
    for permission in stack.of_type("AWS::Lambda::Permission").values():
        assert permission["FunctionName"].endswith("Aliaslive>")
    for configuration in stack.of_type("AWS::Lambda::EventInvokeConfig").values():
        assert configuration["Qualifier"] == "live"
    arns = [output["Value"] for output in stack.outputs.values() if "Function" in output["Value"]]
    assert len(arns) == len(PROVIDERS)
    assert all(arn.endswith("Aliaslive>") for arn in arns)


def test_a_category_that_is_not_deployed_has_no_deployment(canary: Template) -> None:
    stack = canary.deployed(EnableSearch="false")
    assert not [name for name in stack.resources if name.startswith("Wikipedia")]


def test_a_change_of_the_layer_alone_publishes_every_provider_anew(canary: Template, tmp_path: Path) -> None:
    def versions(template: Template) -> set[str]:
        return {name for name, of in template.translated["Resources"].items() if of["Type"] == "AWS::Lambda::Version"}

    changed = tmp_path / "template.yaml"
    text = (ROOT / "template.canary.yaml").read_text()
    changed.write_text(text.replace("ContentUri: layers/common/python/", "ContentUri: layers/common/changed/"))
    before, after = versions(canary), versions(translate(changed, DeploymentPreference="AllAtOnce"))
    assert len(before) == len(after) == len(PROVIDERS) + 2
    # The two functions that are no provider have no layer.
    assert {re.sub(r"Version\w+$", "", name) for name in before & after} == {"AuthorizerFunction", "RegistryFunction"}


def test_a_release_reaches_the_version_and_the_function(canary: Template) -> None:
    stack = canary.deployed(Release="2026-11-21.1")
    assert {version["Description"] for version in stack.of_type("AWS::Lambda::Version").values()} == {"2026-11-21.1"}
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert function["Environment"]["Variables"]["INTEGRATIONS_RELEASE"] == "2026-11-21.1"


@pytest.mark.parametrize("which", ["template", "canary"])
def test_nothing_depends_on_itself(which: str, request: pytest.FixtureRequest) -> None:
    """CloudFormation refuses circles, also those through the policy by which an alias is updated."""
    resources = request.getfixturevalue(which).translated["Resources"]
    needs = {name: set(references(resource)) & resources.keys() for name, resource in resources.items()}
    while free := {name for name, needed in needs.items() if not needed}:
        needs = {name: needed - free for name, needed in needs.items() if name not in free}
    assert not needs


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.partition(".")[0]
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from re.findall(r"\$\{(\w+)", text)
                yield from references([] if isinstance(value, str) else value[1])
            elif key == "DependsOn":
                yield from [value] if isinstance(value, str) else value
            else:
                yield from references(value)


def test_only_production_is_deployed_step_by_step(stack: Stack) -> None:
    configurations = tomllib.loads((ROOT / "samconfig.toml").read_text())
    files = {
        name: of["build"]["parameters"].get("template_file") for name, of in configurations.items() if name != "version"
    }
    assert files == {"default": None, "dev": None, "local": None, "prod": "template.canary.yaml"}
    assert not stack.of_type("AWS::Lambda::Alias")
    assert not stack.of_type("AWS::CodeDeploy::DeploymentGroup")


def test_a_template_that_is_not_as_expected_is_told() -> None:
    with pytest.raises(CommandError, match=r"must stand there once, for template\.canary\.yaml"):
        variant("Resources: {}\n")


MOST = 450
"""Resources of a stack; CloudFormation takes 500."""


@pytest.mark.parametrize("which", ["template", "canary"])
def test_a_stack_of_forty_five_functions_fits(which: str, request: pytest.FixtureRequest) -> None:
    """Two of them are the authorizer and the registry."""
    resources = request.getfixturevalue(which).translated["Resources"]
    of_providers = sum(name.startswith(pascal) for name in resources for pascal in map(function_of, PROVIDERS))
    each, rest = divmod(of_providers, len(PROVIDERS))
    assert rest == 0
    assert len(resources) - of_providers + 43 * each < MOST


def function_of(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


# What stays when a stack is deleted.


def test_a_stack_that_is_deleted_leaves_no_resource(stack: Stack) -> None:
    assert len(stack.resources) > 50
    kept = {name for name, resource in stack.resources.items() if resource.get("DeletionPolicy", "Delete") != "Delete"}
    assert kept == set()
    # What it is made of holds no secret: connections and keys are stored beside it, and stay.
    assert not [kind for kind in (of["Type"] for of in stack.resources.values()) if "SecretsManager" in kind]


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_a_stack_that_is_deleted_leaves_what_it_did_not_make(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In moto, as far as it knows the types; what it passes over is told by the test above."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    body = copy.deepcopy(template.translated)
    for name, parameter in body["Parameters"].items():
        parameter["Default"] = template.written["Parameters"][name]["Default"]
    with mock_aws():
        cloudformation, s3 = boto3.client("cloudformation"), boto3.client("s3")
        s3.create_bucket(Bucket="bucket")
        for resource in body["Resources"].values():
            code = resource["Properties"].get("Code") or resource["Properties"].get("Content") or {}
            if "S3Key" in code:
                s3.put_object(Bucket="bucket", Key=code["S3Key"], Body=empty_zip())
        s3.put_object(Bucket="bucket", Key="template.json", Body=json.dumps(body))
        boto3.client("secretsmanager").create_secret(Name="integrations/api-keys", SecretString="{}")
        before = account()
        cloudformation.create_stack(
            StackName="stack",
            TemplateURL="https://s3.amazonaws.com/bucket/template.json",
            Capabilities=["CAPABILITY_IAM"],
        )
        made = account()
        assert {name: len(made[name]) - len(before[name]) for name in made} == {
            "functions": len(PROVIDERS) + 2,
            "logs": len(PROVIDERS) + 3,
            "roles": len(PROVIDERS) + 2,
            "queues": 1,
            "buckets": 1,
            "dashboards": 1,
            "secrets": 0,
        }
        cloudformation.delete_stack(StackName="stack")
        assert account() == before
        assert before["secrets"] == ["integrations/api-keys"]


def account() -> dict[str, list[str]]:
    """Give what the account holds, by kind."""
    clients = botocore.session.get_session()
    listed = {
        "functions": ("lambda", "list_functions", "Functions[].FunctionName"),
        "logs": ("logs", "describe_log_groups", "logGroups[].logGroupName"),
        "roles": ("iam", "list_roles", "Roles[].RoleName"),
        "queues": ("sqs", "list_queues", "QueueUrls"),
        "buckets": ("s3", "list_buckets", "Buckets[].Name"),
        "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries[].DashboardName"),
        "secrets": ("secretsmanager", "list_secrets", "SecretList[].Name"),
    }
    return {
        kind: jmespath.search(names, getattr(clients.create_client(service), operation)()) or []
        for kind, (service, operation, names) in listed.items()
    }


def empty_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("empty.py", "")
    return file.getvalue()


def test_the_page_counts_resources_as_they_are(template: Template, canary: Template) -> None:
    counts = []
    for each in (canary, template):
        resources = each.translated["Resources"]
        of_one = [name for name in resources if name.startswith("Wikipedia")]
        counts += [len(of_one), len(resources) - len(of_one) * len(PROVIDERS) + len(of_one) * 43]
    own, all_with, own_without, all_without = counts
    page = " ".join((ROOT / "docs/operations.md").read_text().split())
    numbers = {6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
    assert f"takes {numbers[own]} resources of the stack in place of {numbers[own_without]}: " in page
    assert f"45 functions make {all_with} in place of {all_without}, of the 500" in page


def test_versions_that_are_kept_go_with_their_function(canary: Template) -> None:
    stack = canary.deployed()
    kept = {resource["Type"] for resource in stack.resources.values() if "DeletionPolicy" in resource}
    assert kept == {"AWS::Lambda::Version", "AWS::S3::Bucket", "AWS::Lambda::LayerVersion"}


def test_every_log_of_the_stack_is_the_stacks_own(stack: Stack) -> None:
    """A log group that Lambda made by itself would stay, for ever and without an end."""
    groups = {group["LogGroupName"] for group in stack.of_type("AWS::Logs::LogGroup").values()}
    assert {f"/aws/lambda/<{name}>" for name in stack.of_type("AWS::Lambda::Function")} <= groups
    assert all("RetentionInDays" in group for group in stack.of_type("AWS::Logs::LogGroup").values())
