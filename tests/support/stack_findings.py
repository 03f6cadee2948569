"""What may not be so in a stack: each function gives a sentence for each place where it is, and else nothing.

They work on the translated template, which is what AWS deploys. The tests of the template hold the bundle to them, and
the rehearsal holds them to templates that are broken on purpose.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.stack import Stack

# How long API Gateway waits for a function, less what a function needs to say that it was not done.
LONGEST = 29

# What may be allowed by a wildcard, as regular expressions of an action and a resource, each with its reason.
WILDCARDS = {
    (r"secretsmanager:GetSecretValue", r"arn:[^*?]*:secret:[^*?]+/[a-z0-9_]+/\*"): (
        "a provider's connections have names that operators choose"
    ),
    (r"secretsmanager:GetSecretValue", r"arn:[^*?]*:secret:[^*?]+/api-keys-\?{6}"): (
        "Secrets Manager appends six characters that nobody can know before"
    ),
    (
        r"s3:(Get|Put)Object",
        r"<FilesBucket\.Arn>/\*",
    ): "objects have names that nobody can guess, in a bucket of ours",
}

# The properties that name a thing in an account, where two stacks would collide.
NAMES = re.compile(r"(Alarm|Bucket|Dashboard|Function|Group|Layer|LogGroup|ManagedPolicy|Queue|Role|Rule|Schedule|"
                   r"StateMachine|Stream|Table|Topic)?Name")  # fmt: skip
# Those of them that stand in another thing, whose own name tells them apart.
INNER_NAMES = {("AWS::Lambda::Permission", "FunctionName"), ("AWS::Lambda::EventInvokeConfig", "FunctionName")}


def open_routes(stack: Stack) -> list[str]:
    """Name each route that nobody is asked at, but health, and each that a way round the authorizer leads to."""
    found = [
        f"{route} has no authorizer"
        for route, operation in stack.routes().items()
        if operation.get("security") != [{"Keys": []}] and route != "GET /health"
    ]
    body = stack.resources["Api"]["Properties"]["Body"]
    if "security" in body:
        found.append("the API has a security of its own for all routes")
    if body["components"]["securitySchemes"].keys() != {"Keys"}:
        found.append("the API has another authorizer than Keys")
    return found


def wildcards(stack: Stack) -> list[str]:
    """Name each permission whose action, resource or principal has a wildcard without a reason in the list."""
    found = []
    for place, statement in _statements(stack):
        if statement["Effect"] == "Deny":
            continue
        if negated := statement.keys() & {"NotAction", "NotResource", "NotPrincipal"}:
            found.append(f"{place} allows all but something: {', '.join(sorted(negated))}")
        if "*" in json.dumps(statement.get("Principal", "")):
            found.append(f"{place} allows something to everyone")
        found += [
            f"{place} allows {action} on {resource}"
            for action in _list(statement.get("Action", []))
            for resource in _list(statement.get("Resource", []))
            if re.search(r"[*?]", f"{action}{resource}") and not _has_a_reason(action, resource)
        ]
    return found


def _has_a_reason(action: str, resource: str) -> bool:
    return any(re.fullmatch(of, action) and re.fullmatch(on, resource) for of, on in WILDCARDS)


def _statements(stack: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in stack.resources.items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", []) if isinstance(policy, dict)]
        documents += [properties[member] for member in ("PolicyDocument", "KeyPolicy") if member in properties]
        for document in documents:
            for statement in _list(document["Statement"]):
                yield name, statement


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def lost_failures(stack: Stack) -> list[str]:
    """Name each asynchronous source whose failures would go nowhere."""
    queues = stack.of_type("AWS::SQS::Queue")
    kept = {
        configuration["FunctionName"]
        for configuration in stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        if configuration.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    }
    found = [f"a failed asynchronous call of {name} is lost" for name in _callable(stack) if f"<{name}>" not in kept]
    for name, rule in stack.of_type("AWS::Events::Rule").items():
        found += [f"a target of {name} has no dead-letter queue" for of in rule["Targets"] if not _dead_letters(of)]
    for name, schedule in stack.of_type("AWS::Scheduler::Schedule").items():
        if not _dead_letters(schedule["Target"]):
            found.append(f"{name} has no dead-letter queue")
    for name, subscription in stack.of_type("AWS::SNS::Subscription").items():
        if subscription["Protocol"] == "lambda" and "RedrivePolicy" not in subscription:
            found.append(f"{name} has no redrive policy")
    for name, mapping in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        source = re.fullmatch(r"<(\w+)\.Arn>", mapping["EventSourceArn"])
        queue = queues.get(source[1], {}) if source else {}
        if "RedrivePolicy" not in queue and not mapping.get("DestinationConfig", {}).get("OnFailure"):
            found.append(f"what {name} cannot handle goes nowhere")
    return found


def _callable(stack: Stack) -> list[str]:
    """Name the functions that others call by their ARN, which may be asynchronously: their ARN is an output."""
    arns = {output["Value"] for output in stack.outputs.values()}
    return [name for name in stack.of_type("AWS::Lambda::Function") if f"<{name}.Arn>" in arns]


def _dead_letters(target: dict[str, Any]) -> bool:
    return bool(target.get("DeadLetterConfig", {}).get("Arn"))


def slow_functions(stack: Stack) -> list[str]:
    """Name each function behind a route that API Gateway would not wait for."""
    functions = stack.of_type("AWS::Lambda::Function")
    return sorted(
        f"{name} may take {functions[name]['Timeout']} s, and API Gateway gives up after 30"
        for name in set(targets(stack).values())
        if functions[name]["Timeout"] > LONGEST
    )


def targets(stack: Stack) -> dict[str, str]:
    """Give the function behind each route, by its logical id."""
    uris = {route: of["x-amazon-apigateway-integration"]["uri"] for route, of in stack.routes().items()}
    return {route: uri.split("<")[1].split(".")[0].rstrip(">") for route, uri in uris.items()}


def dangling_references(stack: Stack) -> list[str]:
    """Name each reference to something that the stack, with its conditions, does not have."""
    found = set()
    for section in (stack.resources, stack.outputs):
        for place, entry in section.items():
            for name in re.findall(r"<(\w+)(?:\.[\w.]+)?>", json.dumps(entry)):
                if name not in stack.resources:
                    found.add(f"{place} names {name}, which is not there")
    return sorted(found)


def shared_names(one: Stack, other: Stack) -> list[str]:
    """Name what has the same name in two stacks of one account. What AWS names itself is shown as `<LogicalId>`."""
    ours, theirs = dict(_names(one)), dict(_names(other))
    return [
        f"{place} is called {name} in both"
        for place, name in ours.items()
        if theirs.get(place) == name and not re.search(r"<\w+>", name)
    ]


def _names(stack: Stack) -> Iterator[tuple[str, str]]:
    for logical_id, resource in stack.resources.items():
        for member, value in resource.get("Properties", {}).items():
            if NAMES.fullmatch(member) and (resource["Type"], member) not in INNER_NAMES and isinstance(value, str):
                yield f"{logical_id}.{member}", value
