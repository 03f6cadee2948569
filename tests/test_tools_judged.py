"""The tools, judged by others: the vendors' contracts, botocore's shapes, JSON Schema, and the models themselves."""

import functools
import importlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError, create_model

from devtools.tools import FORMATS, Tool, compiled
from devtools.tools.schema import with_children
from integrations import Arguments
from tests.support.contract_peer import load_contract
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.tools import provider as shapes
from tests.support.tools import tool_of
from tests.support.upstream import Request

ROOT = Path(__file__).parents[1]
PROVIDERS = [
    importlib.import_module(f"functions.{path.parent.name}.provider").provider
    for path in sorted(ROOT.glob("functions/*/provider.py"))
]
TOOLS = [compiled(of, method) for of in [*PROVIDERS, shapes] for method in of.methods.values()]
every_tool = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)


# The vendors' contracts.


@pytest.fixture
def contracts() -> Path:
    folder = os.environ.get("CONTRACTS_DIR")
    if not folder:
        peer_is_missing("CONTRACTS_DIR does not name the folder with the vendors' OpenAPI files")
    return Path(folder)


def request_with(tools: list[Any], name: str) -> tuple[str, Any]:
    """Give the path and the body of a request with these tools."""
    message = {"role": "user", "content": "Hello"}
    return {
        "openai": ("/chat/completions", {"model": "m", "messages": [message], "tools": tools}),
        "openai-responses": ("/responses", {"model": "m", "input": "Hello", "tools": tools}),
        "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": [message], "tools": tools}),
        "gemini": (
            "/models/m:generateContent",
            {
                "model": "models/m",
                "contents": [{"parts": [{"text": "Hello"}]}],
                "tools": [{"functionDeclarations": tools}],
            },
        ),
    }[name]


FILES = {
    "openai": "openai/openapi.yaml",
    "openai-responses": "openai/openapi.yaml",
    "anthropic": "anthropic/openapi.yaml",
    "gemini": "gemini/openapi-from-discovery.json",
}


def refusal(contracts: Path, name: str, tools: list[Any]) -> str | None:
    path, body = request_with(tools, name)
    headers = {"content-type": "application/json", "authorization": "Bearer k", "anthropic-version": "2023-06-01"}
    request = Request("POST", path, headers, json.dumps(body).encode(), 1, 0.0)
    return load_contract(contracts / FILES[name]).judge_request(request, "")


@pytest.mark.parametrize("name", FILES)
def test_a_request_with_every_tool_keeps_the_vendors_contract(contracts: Path, name: str) -> None:
    assert refusal(contracts, name, [tool.definitions[name] for tool in TOOLS]) is None


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("openai", {"type": "function", "function": {"description": "No name."}}, "'name' is a required property"),
        ("openai-responses", {"type": "function", "strict": True, "parameters": {}}, "'name' is a required property"),
        ("anthropic", {"name": "a b", "input_schema": {"type": "object"}}, "$.tools[0].name"),
        ("gemini", {"name": "a", "parameters": {"type": "object"}}, "'object' is not one of"),
    ],
)
def test_the_contract_refuses_what_is_wrong(contracts: Path, name: str, wrong: Any, told: str) -> None:
    assert told in str(refusal(contracts, name, [wrong]))


@functools.cache
def of_gemini(file: Path) -> dict[str, Any]:
    """Give the two schemas that a tool is made of; the file takes half a second to read."""
    schemas = yaml.safe_load(file.read_text())["components"]["schemas"]
    return {name: schemas[name] for name in ("FunctionDeclaration", "Schema")}


@every_tool
def test_gemini_knows_every_member(contracts: Path, tool: Tool) -> None:
    """Its contract leaves objects open, while the API answers `Unknown name` to a member that it does not have."""
    known = of_gemini(contracts / FILES["gemini"])
    closed = {name: schema | {"additionalProperties": False} for name, schema in known.items()}
    judge = {"$ref": "#/components/schemas/FunctionDeclaration", "components": {"schemas": closed}}
    Draft202012Validator(judge).validate(tool.definitions["gemini"])
    unknown = {"name": "a", "parameters": {"type": "OBJECT", "additionalProperties": False}}
    assert not Draft202012Validator(judge).is_valid(unknown)


# AWS's own shapes.


def shape_errors(service: str, shape: str, value: Any) -> str:
    model = ServiceModel(Loader().load_service_model(service, "service-2"))
    return str(ParamValidator().validate(value, model.shape_for(shape)).generate_report())


AWS = {"bedrock": ("bedrock-runtime", "ToolConfiguration"), "agentcore": ("bedrock-agentcore-control", "ToolSchema")}


def aws_errors(name: str, tools: list[Any]) -> str:
    service, shape = AWS[name]
    return shape_errors(service, shape, {"tools": tools} if name == "bedrock" else {"inlinePayload": tools})


@pytest.mark.parametrize("name", AWS)
def test_botocore_takes_every_tool(name: str) -> None:
    assert aws_errors(name, [tool.definitions[name] for tool in TOOLS]) == ""


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("bedrock", {"toolSpec": {"name": "a"}}, "inputSchema"),
        ("bedrock", {"toolSpec": {"name": "a", "inputSchema": {"json": {}}, "x": 1}}, "Unknown parameter"),
        ("agentcore", {"name": "a", "description": "b", "inputSchema": {"type": "object", "enum": []}}, "enum"),
        ("agentcore", {"name": "a", "description": "b", "inputSchema": {}}, "type"),
    ],
)
def test_botocore_refuses_what_is_wrong(name: str, wrong: Any, told: str) -> None:
    assert told in aws_errors(name, [wrong])


# JSON Schema, and the models.


@every_tool
def test_mcp_schemas_are_json_schema(tool: Tool) -> None:
    definition = tool.definitions["mcp"]
    for member in ("inputSchema", "outputSchema"):
        Draft202012Validator.check_schema(definition[member])
        assert definition[member]["type"] == "object"
        assert "$ref" not in json.dumps(definition[member])


@every_tool
def test_the_event_of_a_method_fits_every_form_of_its_tool(tool: Tool) -> None:
    if tool.name.startswith("shapes_"):
        return
    # Where the provider's name ends the tool's name does not say.
    [path] = [path for path in ROOT.glob("events/*.json") if path.stem.replace(".", "_") == tool.name]
    arguments = json.loads(path.read_text())["arguments"]
    for name in FORMATS:
        judge = judge_of(tool, name)
        sent = with_every_key(arguments, judge.schema) if tool.definitions[name].get("strict") else arguments
        judge.validate(sent)


def judge_of(tool: Tool, name: str) -> Draft202012Validator:
    """Give the tool's arguments, in one format, as what JSON Schema can judge."""
    definition = tool.definitions[name]
    schema = {
        "openai": lambda: definition["function"]["parameters"],
        "openai-responses": lambda: definition["parameters"],
        "anthropic": lambda: definition["input_schema"],
        "gemini": lambda: from_gemini(definition),
        "bedrock": lambda: definition["toolSpec"]["inputSchema"]["json"],
        "agentcore": lambda: definition["inputSchema"],
        "mcp": lambda: definition["inputSchema"],
    }[name]()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def from_gemini(definition: Any) -> Any:
    if "parameters" not in definition:
        return definition.get("parametersJsonSchema", {"type": "object"})

    def plain(schema: dict[str, Any]) -> dict[str, Any]:
        node = with_children(schema, plain)
        if "type" in node:
            node["type"] = node["type"].lower()
        for key in node.keys() & {"minLength", "maxLength", "minItems"}:
            node[key] = int(node[key])
        return {"anyOf": [node, {"type": "null"}]} if node.pop("nullable", False) else node

    return plain(definition["parameters"])


def with_every_key(value: Any, schema: Any) -> Any:
    """Write what a strict tool is sent: null where an optional argument is left out."""
    for branch in schema.get("anyOf", []):
        if branch.get("type") in ("object", "array"):
            schema = branch
    if isinstance(value, dict) and "properties" in schema:
        known = {name: with_every_key(value.get(name), child) for name, child in schema["properties"].items()}
        return value | known
    if isinstance(value, list) and "items" in schema:
        return [with_every_key(item, schema["items"]) for item in value]
    return value


# Random models. Of each kind of field: its type, its facts, what is sent (right and wrong), and the formats whose
# schema says all of it; in the others the schema takes more than the model, since the rest is said in words.

EVERY = frozenset(FORMATS)
WHOLE = frozenset({"openai", "anthropic", "mcp", "bedrock"})
STRICT = WHOLE | {"openai-responses"}

# Neither numeric text, which a number field takes and its schema does not show, nor line breaks, at which Python's `$`
# (in the judge) and that of the other languages differ.
texts = st.text("abxyzÄ𝄞 -", max_size=6)
numbers = st.integers(-20, 20)
ratios = st.floats(-2, 2, allow_nan=False)
anything: st.SearchStrategy[Any] = st.one_of(
    texts, numbers, ratios, st.booleans(), st.lists(numbers, max_size=3), st.just({})
)


class Point(Arguments):
    x: int = Field(description="X.")
    note: str | None = Field(None, description="Note.")


points = st.fixed_dictionaries({"x": numbers}, optional={"note": texts})
bad_points = st.one_of(points, st.fixed_dictionaries({"note": texts}), st.fixed_dictionaries({"x": texts}))

KINDS: list[tuple[Any, dict[str, Any], st.SearchStrategy[Any], frozenset[str]]] = [
    (str, {}, texts, EVERY),
    (int, {}, numbers, EVERY),
    (float, {}, ratios, EVERY),
    (bool, {}, st.booleans(), EVERY),
    (str, {"min_length": 2, "max_length": 4}, texts, WHOLE | {"gemini"}),
    (str, {"pattern": "^[a-z]*$"}, texts, STRICT | {"gemini"}),
    (int, {"ge": 0, "le": 5}, numbers, STRICT | {"gemini"}),
    (int, {"gt": 0, "lt": 5}, numbers, STRICT | {"gemini"}),
    (int, {"multiple_of": 3}, numbers, STRICT),
    (float, {"gt": 0, "lt": 1}, ratios, STRICT),
    (Literal["a", "b"], {}, st.sampled_from(["a", "b", "c"]), STRICT | {"gemini"}),
    (Literal[1, 2], {}, st.sampled_from([1, 2, 3]), STRICT),
    (list[str], {}, st.lists(texts, max_size=3), EVERY),
    (list[int], {"min_length": 1, "max_length": 2}, st.lists(numbers, max_size=3), STRICT),
    (Point, {}, bad_points, EVERY),
    (list[Point], {}, st.lists(bad_points, max_size=2), EVERY),
    (int | list[str], {}, st.one_of(numbers, st.lists(texts, max_size=2)), STRICT | {"gemini"}),
    (dict[str, int], {}, st.dictionaries(texts, st.one_of(numbers, texts), max_size=2), STRICT),
    # Beside these, Gemini is told the rest in words.
    (dict[str, Any], {}, st.dictionaries(texts, anything, max_size=2), EVERY - {"gemini"}),
]
DEFAULTS = {int: 3, str: "abc", float: 0.5, bool: False}
# Where an object of any keys is shut off only by `additionalProperties`, which these have not, or not at the root.
OPEN = {"gemini", "bedrock", "agentcore"}


@st.composite
def models(draw: st.DrawFn) -> tuple[type[Arguments], st.SearchStrategy[dict[str, Any]], frozenset[str]]:
    """Draw a model, what may be sent to it, and the formats that say all of it."""
    chosen = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    fields: dict[str, Any] = {}
    needed, optional, exact = {}, {}, EVERY
    for index, (kind, facts, sent, formats) in enumerate(chosen):
        name = f"field_{index}"
        # A wrong type now and then, besides the wrong values that the kind itself has.
        sent = sent if draw(st.integers(0, 5)) else anything
        state = draw(st.sampled_from(["required", "nullable", "optional", "with a default"]))
        exact &= formats if state != "nullable" else formats - {"agentcore"}
        if state == "required":
            fields[name] = (kind, Field(description="A field.", **facts))
            needed[name] = sent
        elif state == "nullable":
            fields[name] = (kind | None, Field(description="A field.", **facts))
            needed[name] = st.one_of(st.none(), sent)
        elif state == "with a default" and kind in DEFAULTS and not facts:
            fields[name] = (kind, Field(DEFAULTS[kind], description="A field."))
            optional[name] = sent
        else:
            fields[name] = (kind | None, Field(None, description="A field.", **facts))
            optional[name] = sent
    model = create_model("RandomArguments", __base__=Arguments, **fields)
    whole = st.fixed_dictionaries(needed, optional=optional)
    less = st.fixed_dictionaries({}, optional=needed | optional)
    more = st.fixed_dictionaries(needed, optional=optional | {"unknown": st.none() | numbers})
    return model, st.one_of(whole, whole, less, more), exact


# Compiling is slow enough to be taken for a hang on a machine that does something else too.
@settings(deadline=None, max_examples=100)
@given(st.data())
def test_the_same_inputs_pass_and_fail_on_both_sides(data: st.DataObject) -> None:
    model, inputs, exact = data.draw(models())
    tool = tool_of(model)
    for sent in data.draw(st.lists(inputs, min_size=1, max_size=4)):
        taken = takes(model, sent)
        for name in FORMATS:
            judge = judge_of(tool, name)
            strict = tool.definitions[name].get("strict") is True
            shown = with_every_key(sent, judge.schema) if strict else sent
            valid = judge.is_valid(shown)
            # Of a choice, and of null, AgentCore's schema shows one branch.
            if taken and (name != "agentcore" or name in exact):
                assert valid, f"{name} refuses what the model takes: {sent}"
            if valid and name in exact and not (name in OPEN and "unknown" in sent):
                # A strict tool's input is complete: what it lacks was made null.
                assert takes(model, shown), f"{name} takes what the model refuses: {shown}"


def takes(model: type[BaseModel], sent: dict[str, Any]) -> bool:
    try:
        model.model_validate(sent)
    except ValidationError:
        return False
    return True
