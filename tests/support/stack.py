"""The stack that template.yaml describes, as AWS would see it."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.requirements_of_peers import peer_is_missing

ROOT = Path(__file__).parents[2]
SAM_TOOLS = ROOT / ".venv/sam/bin"

# What an attribute or a pseudo parameter stands for, recognisable in what is compared.
PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
}
ABSENT = object()


@dataclass(frozen=True)
class Stack:
    """The resources and outputs that exist for one choice of parameters, with every intrinsic function worked out."""

    resources: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the properties of each resource of this type, by its logical id."""
        return {name: resource["Properties"] for name, resource in self.resources.items() if resource["Type"] == kind}

    def routes(self) -> dict[str, dict[str, Any]]:
        """Give each route's operation, by its key as API Gateway writes it: `GET /health`, `$default`."""
        return dict(self._operations())

    def _operations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for path, operations in self.resources["Api"]["Properties"]["Body"]["paths"].items():
            for method, operation in operations.items():
                yield path.strip("/") if "$" in path else f"{method.upper()} {path}", operation


@dataclass(frozen=True)
class Template:
    """template.yaml as written, and translated to plain CloudFormation."""

    written: dict[str, Any]
    translated: dict[str, Any]

    def deployed(self, *, named: str = "stack", **parameters: str) -> Stack:
        """Work out the stack of this name for these parameters; the others keep their defaults."""
        return _Evaluation(self.translated, self.written["Parameters"], parameters, named).stack()


class _Evaluation:
    def __init__(self, template: dict[str, Any], declared: dict[str, Any], given: dict[str, str], named: str) -> None:
        unknown = given.keys() - declared.keys()
        assert not unknown, f"template.yaml declares no parameter {unknown}"
        self._template = template
        self._values = {name: parameter["Default"] for name, parameter in declared.items()}
        self._values |= given | PSEUDO_PARAMETERS | {"AWS::StackName": named}

    def stack(self) -> Stack:
        return Stack(*(self._existing(section) for section in ("Resources", "Outputs")))

    def _existing(self, section: str) -> dict[str, dict[str, Any]]:
        return {
            name: self.value(entry)
            for name, entry in self._template[section].items()
            if "Condition" not in entry or self._holds(entry["Condition"])
        }

    def _holds(self, condition: str) -> bool:
        return bool(self.value(self._template["Conditions"][condition]))

    def value(self, node: Any) -> Any:
        """Work out one node; members and items that become `AWS::NoValue` are dropped, as CloudFormation does."""
        if isinstance(node, list):
            return [value for item in node if (value := self.value(item)) is not ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, operand), *_ = node.items()
            if name == "Ref" or name.startswith("Fn::") or (name == "Condition" and isinstance(operand, str)):
                return self._function(name, operand)
        return {key: value for key, item in node.items() if (value := self.value(item)) is not ABSENT}

    def _function(self, name: str, operand: Any) -> Any:
        known: dict[str, Callable[..., Any]] = {
            "Ref": self._ref,
            "Fn::And": lambda *parts: all(self.value(part) for part in parts),
            "Condition": self._holds,
            "Fn::Equals": lambda left, right: self.value(left) == self.value(right),
            "Fn::GetAtt": lambda *path: f"<{'.'.join(path)}>",
            "Fn::If": lambda name, yes, no: self.value(yes if self._holds(name) else no),
            "Fn::Join": lambda separator, items: separator.join(self.value(items)),
            "Fn::Not": lambda negated: not self.value(negated),
            "Fn::Select": lambda index, items: self.value(items)[int(index)],
            "Fn::Split": lambda separator, text: self.value(text).split(separator),
            "Fn::Sub": self._sub,
        }
        assert name in known, f"tests/support/stack.py does not know {name}"
        return known[name](*operand if isinstance(operand, list) else [operand])

    def _ref(self, name: str) -> Any:
        return ABSENT if name == "AWS::NoValue" else self._values.get(name, f"<{name}>")

    def _sub(self, text: str, own: dict[str, Any] | None = None) -> str:
        names = self._values | {name: self.value(node) for name, node in (own or {}).items()}
        return re.sub(r"\$\{([\w:.]+)\}", lambda m: str(names.get(m.group(1), f"<{m.group(1)}>")), text)


def sam_tool(name: str) -> Path:
    """Give the path of a program of the SAM tools' own environment."""
    path = SAM_TOOLS / name
    if not path.exists():
        peer_is_missing("the SAM tools are not installed: run `make setup`")
    return path


@pytest.fixture(scope="session")
def template() -> Template:
    """template.yaml, translated."""
    return translate(ROOT / "template.yaml")


@pytest.fixture(scope="session")
def canary() -> Template:
    """template.canary.yaml, translated as a deployment by Linear10PercentEvery1Minute would be."""
    return translate(ROOT / "template.canary.yaml", DeploymentPreference="Linear10PercentEvery1Minute")


def translate(path: Path, **resolved: str) -> Template:
    """Translate a template by the SAM tools, without an AWS account. What is packaged already stays where it is.

    `resolved` are the parameters that SAM works out itself.
    """
    given = [f"{name}={value}" for name, value in resolved.items()]
    done = subprocess.run(
        [sam_tool("python"), ROOT / "tests/support/translate.py", path, *given],
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Template(*json.loads(done.stdout).values())


@pytest.fixture(scope="session")
def stack(template: Template) -> Stack:
    """Give the stack as it is deployed with every parameter at its default."""
    return template.deployed()
