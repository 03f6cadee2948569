"""The parts of template.yaml that follow from the providers: parameters, conditions, functions, outputs."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import yaml

from devtools import dashboard
from devtools.errors import CommandError
from integrations import Provider

Block = dict[str, Any]

_SIMPLE = re.compile(r"[A-Za-z0-9_./:$-]+")


def sections(providers: list[Provider], alarms: Sequence[str] = ()) -> dict[str, str]:
    """Give the YAML for each top-level section of the template; `alarms` are those that the dashboard shows."""
    providers = sorted(providers, key=lambda provider: provider.name)
    categories: dict[str, list[Provider]] = defaultdict(list)
    for provider in providers:
        categories[provider.category].append(provider)
    by_category = sorted(categories.items())
    resources = [(name, block) for provider in providers for name, block in _resources(provider)]
    resources.append(("Dashboard", _dashboard(dict(by_category), alarms)))
    return {
        "Parameters": _text({f"Enable{pascal(name)}": _parameter(name, of) for name, of in by_category}),
        "Conditions": _text({f"{pascal(name)}Enabled": _condition(name) for name, _ in by_category}),
        "Resources": "\n".join(_text({name: block}) for name, block in resources),
        "Outputs": _text({pascal(provider.name): _output(provider) for provider in providers}),
    }


def _parameter(category: str, providers: list[Provider]) -> Block:
    names = ", ".join(provider.name for provider in providers)
    return {
        "Description": f"Deploy the providers of the category {category} ({names})",
        "Type": "String",
        "Default": "true",
        "AllowedValues": _Line(["true", "false"]),
    }


def _condition(category: str) -> "_Tag":
    return _Tag("Equals", [_Tag("Ref", f"Enable{pascal(category)}"), "true"])


def _resources(provider: Provider) -> list[tuple[str, Block]]:
    name, condition = pascal(provider.name), f"{pascal(provider.category)}Enabled"
    function = {
        "Type": "AWS::Serverless::Function",
        "Condition": condition,
        "Metadata": {"BuildMethod": "makefile", "ContextPath": _Tag("Sub", "make/${Architecture}")},
        "Properties": _merged(_properties(provider), provider.function, provider.name),
    }
    log_group = {
        "Type": "AWS::Logs::LogGroup",
        "Condition": condition,
        "Properties": {
            "LogGroupName": _Tag("Sub", f"/aws/lambda/${{{name}Function}}"),
            "RetentionInDays": _Tag("Ref", "LogRetentionDays"),
        },
    }
    return [(f"{name}Function", function), (f"{name}LogGroup", log_group)]


def _dashboard(by_category: dict[str, list[Provider]], alarms: Sequence[str]) -> Block:
    body = [
        _Tag("If", [f"{pascal(category)}Enabled", _filled(text), ""]) if category else _filled(text)
        for category, text in dashboard.parts(by_category, alarms)
    ]
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": _Tag("Ref", "AWS::StackName"),
            "DashboardBody": {"Fn::Join": ["", body]},  # in its long form, so that each part has its line
        },
    }


def _filled(text: str) -> "_Tag | str":
    return _Tag("Sub", text) if "${" in text else text  # a Sub without a variable is a finding of cfn-lint


def _properties(provider: Provider) -> Block:
    name = provider.name
    concurrency = [_Tag("Ref", "ReservedConcurrency"), _Tag("Ref", "AWS::NoValue")]
    secret = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${Prefix}/" + name + "/*"
    read_own_connections = {
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": _Tag("Sub", secret),
    }
    variables = {f"{name.upper()}_BASE_URL": _base_url(name)} if provider.base_urls else {}
    statements = [read_own_connections]
    if _has_files(provider):
        variables["INTEGRATIONS_BUCKET"] = _Tag("Ref", "FilesBucket")
        statements.append(_READ_AND_WRITE_OBJECTS)
    authorities = [_Tag("Ref", "CertificateAuthorities"), _Tag("Ref", "AWS::NoValue")]
    dead_letters = {"Type": "SQS", "Destination": _Tag("GetAtt", "DeadLetterQueue.Arn")}
    return {
        "CodeUri": f"functions/{name}/",
        "Layers": _Line([_Tag("Ref", "CommonLayer"), _Tag("If", ["HasCertificateAuthorities", *authorities])]),
        "ReservedConcurrentExecutions": _Tag("If", ["HasReservedConcurrency", *concurrency]),
        "Environment": {"Variables": variables},
        "Policies": [{"Statement": statements}],
        "EventInvokeConfig": {
            "MaximumRetryAttempts": 0,
            "DestinationConfig": _Line({"OnFailure": dead_letters}),
        },
        "Events": {
            "Default": _route(f"/execute/{name}"),
            "Method": _route(f"/execute/{name}/{{method}}"),
        },
    }


def _has_files(provider: Provider) -> bool:
    """Say whether a method of the provider takes or gives files."""
    return any(method.files or "files" in method.parameters for method in provider.methods.values())


def _base_url(name: str) -> "_Tag":
    """Cut the provider's part out of the parameter BaseUrls: `algolia=URL[,URL];wikipedia=URL`; empty where none is."""
    after = _Tag("Split", [f";{name}=", _Tag("Sub", f";${{BaseUrls}};{name}=;")])
    return _Tag("Select", [0, _Tag("Split", [";", _Tag("Select", [1, after])])])


def _route(path: str) -> Block:
    properties = {"ApiId": _Tag("Ref", "Api"), "Method": "POST", "Path": path}
    return {"Type": "HttpApi", "Properties": _Line(properties)}


def _output(provider: Provider) -> Block:
    return {
        "Description": f"ARN of the function of {provider.name}, for state machines and schedules",
        "Condition": f"{pascal(provider.category)}Enabled",
        "Value": _Tag("GetAtt", f"{pascal(provider.name)}Function.Arn"),
    }


def _merged(generated: Block, declared: Block, place: str) -> Block:
    """Put what a provider declares for its function on top: mappings are merged, lists go on, the rest replaces."""
    merged = dict(generated)
    for name, value in declared.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = type(before)(_merged(before, value, f"{place}.{name}"))
        elif isinstance(before, list) and isinstance(value, list):
            merged[name] = type(before)([*before, *value])
        elif name in ("CodeUri", "Events") or isinstance(before, dict | list):
            raise CommandError(f"{place}: function[{name!r}] does not fit what is generated there.")
        else:
            merged[name] = value
    return merged


def pascal(name: str) -> str:
    """Give the name as the first part of logical ids: llama_parse is LlamaParse."""
    return "".join(part.capitalize() for part in name.split("_"))


class _Tag:
    """A CloudFormation function in its short form, `!Ref Name`."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value


class _Line:
    """A mapping or a list that is written on one line."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Dumper(yaml.SafeDumper):
    """YAML as the rest of the template has it: lists indented, no anchors, no line broken."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  # as yaml calls it
        """Indent lists below their key."""
        return super().increase_indent(flow, indentless=False)

    def choose_scalar_style(self) -> str:
        """Quote only what needs it, with double quotes; on one line also what would be hard to read without."""
        assert isinstance(self.event, yaml.ScalarEvent)  # noqa: S101  # it is what asks for a style
        value = self.event.value
        plain = self.analyze_scalar(value).allow_block_plain and self.event.tag not in (None, "tag:yaml.org,2002:str")
        if self.flow_level and not _SIMPLE.fullmatch(value):
            return '"'
        return "" if plain else super().choose_scalar_style().replace("'", '"')

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # as yaml calls it
        """Write a value out each time it occurs."""
        return True


def _tagged(dumper: _Dumper, tag: _Tag) -> yaml.Node:
    if isinstance(tag.value, str):
        return dumper.represent_scalar(f"!{tag.name}", tag.value)
    return dumper.represent_sequence(f"!{tag.name}", tag.value, flow_style=True)


def _on_one_line(dumper: _Dumper, line: _Line) -> yaml.Node:
    node = dumper.represent_data(line.value)
    assert isinstance(node, yaml.CollectionNode)  # noqa: S101  # a mapping or a list
    node.flow_style = True
    return node


# Objects and not the bucket: who may not list it has to know the name of an object to get it.
_READ_AND_WRITE_OBJECTS = {
    "Effect": "Allow",
    "Action": _Line(["s3:GetObject", "s3:PutObject"]),
    "Resource": _Tag("Sub", "${FilesBucket.Arn}/*"),
}

_Dumper.add_representer(_Tag, _tagged)
_Dumper.add_representer(_Line, _on_one_line)


def _text(block: Block) -> str:
    """Write a block as YAML, indented as part of a top-level section."""
    lines = yaml.dump(block, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True).splitlines()
    return "".join(f"  {line}\n" for line in lines)
