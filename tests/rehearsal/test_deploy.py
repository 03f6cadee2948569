"""The stack that `sam deploy` makes of the translated template, in an account played by moto.

CREATE_COMPLETE proves nothing there: moto passes over what it does not know. So every resource is looked for, and what
moto skips or gets wrong is listed and looked at on the translated template.
"""

import ast
import base64
import hashlib
import json
import re
from collections import Counter, defaultdict
from typing import Any

import pytest
from moto.cloudformation.parsing import resource_class_from_type

from tests.rehearsal.conftest import Deployed, Packaged
from tests.support import stack_findings

pytestmark = pytest.mark.timeout(900)

# The types that moto makes nothing of, of those that a stack like this one may have.
SKIPPED = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Logs::MetricFilter",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::S3::BucketPolicy",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::SecretsManager::Secret",
}


def resolved(deployed: Deployed, value: Any) -> Any:
    """Put the names that the account has given in the place of references: `<Name>`, `<Name.Arn>`."""
    if isinstance(value, list):
        return [resolved(deployed, item) for item in value]
    if isinstance(value, dict):
        return {key: resolved(deployed, item) for key, item in value.items()}
    return (
        re.sub(r"<(\w+)(\.Arn)?>", lambda found: _name(deployed, *found.groups()), value)
        if isinstance(value, str)
        else value
    )


def _name(deployed: Deployed, logical_id: str, arn: str | None) -> str:
    if logical_id not in deployed.resources:
        return "None"  # which moto writes for what it has skipped
    kind, name = deployed.resources[logical_id]
    if not arn:
        return name
    form = {
        "AWS::Lambda::Function": "arn:aws:lambda:us-east-1:123456789012:function:{}",
        "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{}",
        "AWS::S3::Bucket": "arn:aws:s3:::{}",
        "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:{}",
        "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:123456789012:log-group:{}:*",
    }[kind]
    return form.format(name.rpartition("/")[2] if kind == "AWS::SQS::Queue" else name)


def of_type(deployed: Deployed, kind: str) -> dict[str, dict[str, Any]]:
    """Give the properties that the resources of a type should have, by logical id; there is one at least."""
    found = deployed.expected.of_type(kind)
    assert found
    return {name: resolved(deployed, properties) for name, properties in found.items()}


def test_sam_deploys_it(deployed: Deployed) -> None:
    assert f"Successfully created/updated stack - {deployed.name} in us-east-1" in deployed.printed


def test_every_resource_is_made_but_those_that_moto_skips(deployed: Deployed) -> None:
    wanted = Counter(resource["Type"] for resource in deployed.expected.resources.values())
    made = Counter(kind for kind, _ in deployed.resources.values())
    skipped = SKIPPED & wanted.keys()
    assert made == Counter({kind: count for kind, count in wanted.items() if kind not in skipped})
    assert deployed.resources.keys() == {
        name for name, resource in deployed.expected.resources.items() if resource["Type"] not in skipped
    }


def test_moto_still_skips_what_is_listed() -> None:
    """Whatever moto has learnt to make is to be looked for there, not on the template."""
    assert {kind for kind in SKIPPED if resource_class_from_type(kind)} == set()


def test_what_moto_skips_is_right_in_the_template(deployed: Deployed, native: Packaged) -> None:
    """The API with its routes, integrations and authorizer, the destinations, the schedules, every link by name."""
    for parameters in ({}, {"CorsOrigins": "https://a.example", "EnableSearch": "false"}):
        stack = native.template.deployed(**parameters)
        assert stack_findings.open_routes(stack) == []
        assert stack_findings.wildcards(stack) == []
        assert stack_findings.lost_failures(stack) == []
        assert stack_findings.slow_functions(stack) == []
        assert stack_findings.dangling_references(stack) == []
    integrations = Counter(stack_findings.targets(deployed.expected).values())
    providers = [name for name in integrations if name != "RegistryFunction"]
    assert {integrations[name] for name in providers} == {2}
    assert integrations["RegistryFunction"] == 7
    assert providers
    assert {"AuthorizerFunction", *integrations} == deployed.expected.of_type("AWS::Lambda::Function").keys()
    (stage,) = deployed.expected.of_type("AWS::ApiGatewayV2::Stage").values()
    assert (stage["ApiId"], stage["StageName"], stage["AutoDeploy"]) == ("<Api>", "$default", True)
    assert stage["AccessLogSettings"]["DestinationArn"] == "<ApiLogGroup.Arn>"
    assert "x-amazon-apigateway-cors" not in deployed.expected.resources["Api"]["Properties"]["Body"]


def test_each_function_has_its_code_its_role_and_its_variables(deployed: Deployed, native: Packaged) -> None:
    client = deployed.account.client("lambda")
    for name, wanted in of_type(deployed, "AWS::Lambda::Function").items():
        made = client.get_function_configuration(FunctionName=deployed.physical(name))
        digest = base64.b64encode(hashlib.sha256(native.uploads[name].read_bytes()).digest()).decode()
        assert made["CodeSha256"] == digest, name
        for member in ("Handler", "Runtime", "MemorySize", "Timeout", "Environment", "Role"):
            assert made[member] == wanted[member], (name, member)
        assert wanted["Role"].endswith(deployed.physical(f"{name}Role"))


def test_what_moto_gets_wrong_of_a_function_is_right_in_the_template(deployed: Deployed, native: Packaged) -> None:
    client = deployed.account.client("lambda")
    for name, wanted in deployed.expected.of_type("AWS::Lambda::Function").items():
        made = client.get_function_configuration(FunctionName=deployed.physical(name))
        assert (made["Layers"], made["TracingConfig"]["Mode"]) == ([], "PassThrough"), "moto has learnt it: look there"
        assert wanted["TracingConfig"] == {"Mode": "Active"}
        assert wanted["Architectures"] == [native.architecture]
        uses_the_layer = "Layers" in native.template.written["Resources"][name]["Properties"]
        assert len(wanted.get("Layers", [])) == uses_the_layer


def test_the_layer_is_the_one_that_was_built(deployed: Deployed, native: Packaged) -> None:
    (wanted,) = of_type(deployed, "AWS::Lambda::LayerVersion").values()
    client = deployed.account.client("lambda")
    (layer,) = [layer for layer in client.list_layers()["Layers"] if layer["LayerName"].startswith(deployed.name)]
    made = client.get_layer_version(LayerName=layer["LayerName"], VersionNumber=1)
    upload = native.uploads["CommonLayer"].read_bytes()
    assert made["Content"]["CodeSize"] == len(upload)
    assert made["Content"]["CodeSha256"] == base64.b64encode(hashlib.sha256(upload).digest()).decode()
    assert made["CompatibleRuntimes"] == wanted["CompatibleRuntimes"] == ["python3.13"]
    assert wanted["LayerName"] == f"{deployed.name}-common"


def test_each_role_may_do_what_the_template_says(deployed: Deployed) -> None:
    client = deployed.account.client("iam")
    roles = of_type(deployed, "AWS::IAM::Role")
    for name, wanted in roles.items():
        role = deployed.physical(name)
        trust = client.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        assert trust == wanted["AssumeRolePolicyDocument"]
        policies = client.list_role_policies(RoleName=role)["PolicyNames"]
        made = {policy: _document(client.get_role_policy(RoleName=role, PolicyName=policy)) for policy in policies}
        assert made == {policy["PolicyName"]: policy["PolicyDocument"] for policy in wanted.get("Policies", [])}
    prefix = f":secret:{deployed.name}/"
    readers = [name for name, wanted in roles.items() if prefix in json.dumps(wanted)]
    assert len(readers) == len(roles) - 1, "each role but the registry's reads something below the stack's own prefix"


def _document(answer: dict[str, Any]) -> Any:
    document = answer["PolicyDocument"]
    return ast.literal_eval(document) if isinstance(document, str) else document  # moto prints Python's own form


def test_the_api_may_call_each_function_by_its_routes_alone(deployed: Deployed) -> None:
    client = deployed.account.client("lambda")
    wanted = defaultdict(list)
    for permission in of_type(deployed, "AWS::Lambda::Permission").values():
        name = permission["FunctionName"].rpartition(":")[2]
        wanted[name].append((permission["Principal"], permission["SourceArn"]))
    functions = {deployed.physical(name) for name in deployed.expected.of_type("AWS::Lambda::Function")}
    assert wanted.keys() == functions
    for name in functions:
        policy = json.loads(client.get_policy(FunctionName=name)["Policy"])
        made = [
            (statement["Principal"]["Service"], statement["Condition"]["ArnLike"]["AWS:SourceArn"])
            for statement in policy["Statement"]
        ]
        assert sorted(made) == sorted(wanted[name])


def test_each_log_group_ends_its_logs(deployed: Deployed) -> None:
    pages = deployed.account.client("logs").get_paginator("describe_log_groups").paginate()
    made = {group["logGroupName"]: group.get("retentionInDays") for page in pages for group in page["logGroups"]}
    wanted = {
        group["LogGroupName"]: group["RetentionInDays"] for group in of_type(deployed, "AWS::Logs::LogGroup").values()
    }
    assert {name: days for name, days in made.items() if name in wanted} == {
        name: int(days) for name, days in wanted.items()
    }
    functions = {
        f"/aws/lambda/{deployed.physical(name)}" for name in deployed.expected.of_type("AWS::Lambda::Function")
    }
    assert functions < wanted.keys()


def test_each_queue_keeps_messages_encrypted_for_as_long_as_can_be(deployed: Deployed) -> None:
    client = deployed.account.client("sqs")
    for name, wanted in of_type(deployed, "AWS::SQS::Queue").items():
        url = f"{deployed.account.endpoint}/123456789012/{deployed.physical(name).rpartition('/')[2]}"
        made = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert int(made["MessageRetentionPeriod"]) == wanted["MessageRetentionPeriod"]
        assert made.get("SqsManagedSseEnabled", "true") == "true"


def test_the_bucket_is_encrypted_and_the_template_closes_it(deployed: Deployed) -> None:
    client = deployed.account.client("s3")
    for name, wanted in of_type(deployed, "AWS::S3::Bucket").items():
        bucket = deployed.physical(name)
        made = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        [rule] = wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert [of["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for of in made] == [
            rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        ]
        # moto's CloudFormation makes neither of these.
        assert set(wanted["PublicAccessBlockConfiguration"].values()) == {True}
        assert wanted["LifecycleConfiguration"]["Rules"]
    policies = deployed.expected.of_type("AWS::S3::BucketPolicy").values()
    assert {policy["Bucket"] for policy in policies} == {
        f"<{name}>" for name in deployed.expected.of_type("AWS::S3::Bucket")
    }


def test_each_dashboard_and_alarm_is_about_this_stack(deployed: Deployed) -> None:
    """None is there in a stack without operations; where there are some, their links lead to resources of the stack."""
    dashboards = deployed.expected.of_type("AWS::CloudWatch::Dashboard")
    client = deployed.account.client("cloudwatch")
    for name in dashboards:
        body = client.get_dashboard(DashboardName=deployed.physical(name))["DashboardBody"]
        assert json.loads(body)["widgets"]
    for alarm in deployed.expected.of_type("AWS::CloudWatch::Alarm").values():
        assert not alarm.get("AlarmName", deployed.name) or deployed.name in alarm.get("AlarmName", deployed.name)


def test_the_stack_makes_no_secret(deployed: Deployed) -> None:
    """A connection is put by its operators: with one in the template its value would be one, too."""
    assert deployed.expected.of_type("AWS::SecretsManager::Secret") == {}
    assert deployed.account.client("secretsmanager").list_secrets()["SecretList"] == []


def test_the_outputs_are_told(deployed: Deployed) -> None:
    wanted = {name: resolved(deployed, output["Value"]) for name, output in deployed.expected.outputs.items()}
    # Of an API that was not made moto cannot tell the id.
    assert deployed.outputs.keys() == wanted.keys()
    assert deployed.outputs | {"ApiUrl": wanted["ApiUrl"]} == wanted
    assert deployed.expected.outputs["ApiUrl"]["Value"] == "https://<Api>.execute-api.us-east-1.amazonaws.com"
    arns = [value for value in deployed.outputs.values() if ":function:" in value]
    assert len(arns) == len(set(arns)) == len(deployed.expected.of_type("AWS::Lambda::EventInvokeConfig"))
