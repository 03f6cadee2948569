"""The schema compiler: what each method is in each format, and what the lint says of a tool that a vendor refuses."""

import copy
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

from devtools.cli import _FORMATS
from devtools.errors import CommandError
from devtools.tools import FORMATS, Tool, compiled, compiled_all
from devtools.tools.lint import lint
from integrations import Arguments, Provider
from tests.support.tools import ClosedArguments, Range, provider, tool_of

ROOT = Path(__file__).parents[1]
PROVIDERS: list[Provider] = [
    importlib.import_module(f"functions.{path.parent.name}.provider").provider
    for path in sorted(ROOT.glob("functions/*/provider.py"))
]
TOOLS = [compiled(of, method) for of in PROVIDERS for method in of.methods.values()]
SHAPES = {name: compiled(provider, method) for name, method in provider.methods.items()}


class PlainArguments(Arguments):
    query: str = Field(description="What to look for.", min_length=1)
    limit: int = Field(10, description="How many.", ge=1, le=50)
    places: list[Range] | None = Field(None, description="Where.")


PLAIN = tool_of(PlainArguments)

every_format = pytest.mark.parametrize("name", FORMATS)
every_tool = pytest.mark.parametrize("tool", [*TOOLS, *SHAPES.values(), PLAIN], ids=lambda tool: tool.name)


def test_there_are_tools_to_judge() -> None:
    assert len(TOOLS) >= len(PROVIDERS) >= 2
    assert tuple(FORMATS) == _FORMATS
    assert len(FORMATS) == 7


@every_format
@every_tool
def test_no_vendor_refuses_it(tool: Tool, name: str) -> None:
    assert lint(name, tool.definitions[name]) == []


@every_tool
def test_its_cost_is_estimated(tool: Tool) -> None:
    assert tool.tokens.keys() == FORMATS.keys()
    length = len(json.dumps(tool.definitions["mcp"], separators=(",", ":")))
    assert length / 4 <= tool.tokens["mcp"] <= length / 4 + 1


# What the formats say.


def parameters(tool: Tool, name: str) -> Any:
    node: Any = tool.definitions[name]
    path = {
        "openai": ("function", "parameters"),
        "openai-responses": ("parameters",),
        "anthropic": ("input_schema",),
        "gemini": ("parameters",),
        "bedrock": ("toolSpec", "inputSchema", "json"),
        "agentcore": ("inputSchema",),
        "mcp": ("inputSchema",),
    }[name]
    for key in path:
        node = node[key]
    return node


OBJECT = {
    "type": "object",
    "description": "From here to there.",
    "additionalProperties": False,
    "properties": {
        "first": {"type": "integer", "description": "The first."},
        "last": {"type": "integer", "description": "The last."},
    },
    "required": ["first"],
}
JSON_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "query": {"type": "string", "description": "What to look for.", "minLength": 1},
        "limit": {"type": "integer", "description": "How many.", "default": 10, "maximum": 50, "minimum": 1},
        "places": {"type": "array", "items": OBJECT, "description": "Where."},
    },
    "required": ["query"],
}


@pytest.mark.parametrize("name", ["openai", "anthropic", "mcp"])
def test_where_json_schema_is_taken_whole(name: str) -> None:
    assert parameters(PLAIN, name) == JSON_SCHEMA


def test_the_members_of_each_definition() -> None:
    told = {"name": "acme_search", "description": "Find things."}
    assert PLAIN.definitions["openai"] == {"type": "function", "function": told | {"parameters": JSON_SCHEMA}}
    assert PLAIN.definitions["anthropic"] == told | {"input_schema": JSON_SCHEMA}
    root = {key: value for key, value in JSON_SCHEMA.items() if key != "additionalProperties"}
    assert PLAIN.definitions["bedrock"] == {"toolSpec": told | {"inputSchema": {"json": root}}}
    mcp = PLAIN.definitions["mcp"]
    assert {name: mcp[name] for name in told} == told
    assert mcp.keys() == told.keys() | {"inputSchema", "outputSchema", "annotations"}


def test_strict_requires_every_key_and_lets_an_optional_one_be_null() -> None:
    place = OBJECT | {
        "properties": {
            "first": {"type": "integer", "description": "The first."},
            "last": {"type": ["integer", "null"], "description": "The last. Null means left out."},
        },
        "required": ["first", "last"],
    }
    assert PLAIN.definitions["openai-responses"] == {
        "type": "function",
        "name": "acme_search",
        "description": "Find things.",
        "strict": True,
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "query": {"type": "string", "description": "What to look for. Not empty."},
                "limit": {
                    "type": ["integer", "null"],
                    "description": "How many. Null means 10.",
                    "maximum": 50,
                    "minimum": 1,
                },
                "places": {
                    "anyOf": [{"type": "array", "items": place}, {"type": "null"}],
                    "description": "Where. Null means left out.",
                },
            },
            "required": ["query", "limit", "places"],
        },
    }


def test_geminis_own_schema() -> None:
    place = {
        "type": "OBJECT",
        "description": "From here to there.",
        "properties": {
            "first": {"type": "INTEGER", "description": "The first."},
            "last": {"type": "INTEGER", "description": "The last."},
        },
        "required": ["first"],
    }
    assert parameters(PLAIN, "gemini") == {
        "type": "OBJECT",
        "properties": {
            "query": {"type": "STRING", "description": "What to look for.", "minLength": "1"},
            "limit": {
                "type": "INTEGER",
                "description": "How many. Left out, it is 10.",
                "maximum": 50,
                "minimum": 1,
            },
            "places": {"type": "ARRAY", "items": place, "description": "Where."},
        },
        "required": ["query"],
    }


def test_agentcore_says_in_words_what_its_schema_cannot() -> None:
    shown = parameters(SHAPES["closed"], "agentcore")["properties"]
    assert {name: shown[name]["description"] for name in ("title", "pattern", "sides", "pair", "either")} == {
        "title": "An argument that is called like a keyword. Not empty. At most 9 characters.",
        "pattern": 'With a pattern. Matches ^[a-z]+$. Left out, it is "a".',
        "sides": "How many sides. One of: 3, 4. Left out, it is 3.",
        "pair": "A pair. In this order: integer, string. At least 2 items. At most 2 items.",
        "either": "A number or texts. Also taken: array of string. Left out, it is 0.",
    }


def test_a_tool_with_an_object_of_any_keys_is_not_strict_and_says_so() -> None:
    definition = SHAPES["free"].definitions["openai-responses"]
    assert definition["strict"] is False
    assert definition["parameters"] == parameters(SHAPES["free"], "openai")
    assert SHAPES["free"].free_places[:2] == ["arguments.filters", "arguments.counts"]
    assert SHAPES["closed"].definitions["openai-responses"]["strict"] is True
    assert "parametersJsonSchema" in SHAPES["free"].definitions["gemini"]


def test_a_tool_without_arguments() -> None:
    assert SHAPES["nothing"].definitions["gemini"] == {"name": "shapes_nothing", "description": "Take nothing."}
    assert parameters(SHAPES["nothing"], "openai-responses") == {
        "type": "object",
        "additionalProperties": False,
        "properties": {},
        "required": [],
    }


def test_the_effect_becomes_annotations() -> None:
    assert SHAPES["closed"].definitions["mcp"]["annotations"] == {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": True,
        "openWorldHint": False,
    }


def test_what_comes_back_keeps_its_nulls() -> None:
    output = SHAPES["closed"].definitions["mcp"]["outputSchema"]
    assert output["properties"]["total"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert output["properties"]["children"]["items"]["properties"]["name"]["anyOf"][1] == {"type": "null"}


def test_arguments_that_are_called_like_keywords_stay() -> None:
    for name in FORMATS:
        assert {"title", "default", "pattern"} <= parameters(SHAPES["closed"], name)["properties"].keys(), name


# Versions.


def test_the_version_changes_with_any_definition_and_with_nothing_else() -> None:
    class Same(Arguments):
        query: str = Field(description="What to look for.")

    class Other(Arguments):
        query: str = Field(description="What to look for?")

    assert tool_of(Same).version == tool_of(Same).version
    assert len({tool_of(Same).version, tool_of(Other).version, tool_of(Same, "find").version}) == 3
    assert len(tool_of(Same).version) == 16


# Null for an optional argument.


def test_null_for_an_optional_argument_means_absent() -> None:
    sent = {"title": "t", "default": None, "shape": {"kind": "circle", "radius": 1}}
    optional = dict.fromkeys(set(ClosedArguments.model_fields) - set(sent))
    given = ClosedArguments.model_validate({**sent, **optional, "range": {"first": 3, "last": None}})
    left_out = ClosedArguments.model_validate({**sent, "range": {"first": 3}})
    assert given == left_out
    assert (given.default, given.sides, given.pattern) == (None, 3, "a")
    assert ClosedArguments.model_validate({**sent, "old_flag": None}).flag is False


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"title": None}, "string_type"),
        ({"unknown": None}, "extra_forbidden"),
        ({"range": {"first": None}}, "int_type"),
        ({"range": {"first": 1, "unknown": None}}, "extra_forbidden"),
    ],
)
def test_any_other_null_is_refused(data: dict[str, Any], kind: str) -> None:
    sent = {"title": "t", "default": None, "shape": {"kind": "circle", "radius": 1}}
    with pytest.raises(ValidationError) as caught:
        ClosedArguments.model_validate(sent | data)
    assert kind in [error["type"] for error in caught.value.errors()]


# What no vendor would take.


def test_a_model_that_contains_itself_is_told() -> None:
    with pytest.raises(CommandError) as caught:
        tool_of(Tree)
    assert str(caught.value) == (
        "acme_search: every vendor refuses the model Tree: it contains itself; write its levels as models."
    )


class Tree(Arguments):
    children: list["Tree"] = Field([], description="Below.")


def test_every_refused_tool_is_told_at_once() -> None:
    class Undescribed(Arguments):
        query: str
        http: str = Field(description="Where.")

    told = [lint(name, definition) for name, definition in tool_of(Undescribed).definitions.items()]
    assert all(len(findings) == 2 for findings in told)
    bad = Provider(name="bad", title="B", url="", docs="", category="x", base_url="")

    def search(args: Undescribed) -> Any:
        """Find things."""

    search.__annotations__["return"] = provider.methods["closed"].output
    bad.method(read_only=True)(search)
    with pytest.raises(CommandError) as caught:
        compiled_all([bad])
    assert len(str(caught.value).splitlines()) == 2 * len(FORMATS)


Change = Callable[[Any], object]
TEXT = {"type": "string", "description": "Text."}


def change(name: str, **values: Any) -> Change:
    """Set keywords of the argument `query`; None takes one away."""

    def changed(definition: Any) -> None:
        node = root(name, definition)["properties"]["query"]
        node.update(values)
        for key in [key for key, value in values.items() if value is None]:
            del node[key]

    return changed


def root(name: str, definition: Any) -> Any:
    return parameters(PLAIN._replace(definitions={name: definition}), name)


def top(name: str, **values: Any) -> Change:
    return lambda definition: root(name, definition).update(values)


def member(*path: str, **values: Any) -> Change:
    def changed(definition: Any) -> None:
        for key in path:
            definition = definition[key]
        definition.update(values)

    return changed


@pytest.mark.parametrize(
    ("name", "breaking", "told"),
    [
        (
            "openai",
            member("function", name="acme.search"),
            "acme.search: OpenAI refuses the name: it is not 1 to 64 letters, digits, _ and -; "
            "rename the provider or the method.",
        ),
        (
            "openai",
            member("function", description="x" * 1025),
            "OpenAI refuses the description: over 1024 characters; shorten the method's docstring.",
        ),
        (
            "openai",
            member("function", description=" "),
            "the description: there is none; write the method's docstring.",
        ),
        (
            "openai",
            top("openai", anyOf=[{"required": ["query"]}]),
            "OpenAI refuses arguments: anyOf at the top level; "
            "give the method one model, with optional fields instead of a choice.",
        ),
        (
            "openai",
            top("openai", required=["nothing"]),
            "OpenAI refuses arguments: nothing is required and not among the properties; "
            "add the field or drop the name.",
        ),
        (
            "openai",
            change("openai", pattern="(?<=a)b"),
            "OpenAI refuses arguments.query: a pattern that is not ECMA 262; "
            r"use neither lookarounds, \A and \Z nor named groups.",
        ),
        (
            "openai-responses",
            top("openai-responses", additionalProperties=True),
            "OpenAI (strict) refuses arguments: a form that is not fixed; "
            "emit the tool with strict false, or close the object.",
        ),
        (
            "openai-responses",
            top("openai-responses", required=["query", "places"]),
            "OpenAI (strict) refuses arguments: limit is not required; "
            "require every key and let an optional one be null.",
        ),
        (
            "openai-responses",
            change("openai-responses", default="tea"),
            "OpenAI (strict) refuses arguments.query: the keyword default; say it in the field's description.",
        ),
        (
            "openai-responses",
            change("openai-responses", format="uri"),
            "OpenAI (strict) refuses arguments.query: the format uri; say it in the field's description.",
        ),
        (
            "openai-responses",
            change("openai-responses", enum=[str(number) for number in range(1001)]),
            "OpenAI (strict) refuses arguments: 1001 enum values, over 1000; take less in one method.",
        ),
        (
            "openai-responses",
            member(strict=None),
            "OpenAI refuses the definition: strict is neither true nor false; say which.",
        ),
        (
            "anthropic",
            top("anthropic", oneOf=[{"required": ["query"]}]),
            "acme_search: Anthropic refuses arguments: the keyword oneOf; "
            "give the method one model, with optional fields instead of a choice.",
        ),
        (
            "anthropic",
            top("anthropic", properties={"filter[id]": TEXT}, required=[]),
            "Anthropic refuses arguments.filter[id]: its name; "
            "use 1 to 64 letters, digits, _, . and -, as in [a-zA-Z0-9_.-]{1,64}.",
        ),
        (
            "anthropic",
            change("anthropic", **{"$ref": "#/$defs/X"}),
            "Anthropic refuses arguments.query: the keyword $ref; put the model in its place.",
        ),
        ("anthropic", member(type="function"), "Anthropic refuses the member type: it is unknown; leave it out"),
        (
            "gemini",
            top("gemini", **{"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            "Gemini refuses arguments: the keyword $schema; leave it out of the format.",
        ),
        (
            "gemini",
            top("gemini", additionalProperties=False),
            "Gemini refuses arguments: the keyword additionalProperties; say it in the field's description.",
        ),
        (
            "gemini",
            change("gemini", exclusiveMinimum=0),
            "Gemini refuses arguments.query: the keyword exclusiveMinimum; say it in the field's description.",
        ),
        (
            "gemini",
            change("gemini", type="string"),
            "Gemini refuses arguments.query: its type; "
            "use one of ARRAY, BOOLEAN, INTEGER, NULL, NUMBER, OBJECT, STRING.",
        ),
        (
            "gemini",
            change("gemini", enum=[1, 2]),
            "Gemini refuses arguments.query: an enum of something else than text; say it in the field's description.",
        ),
        (
            "gemini",
            change("gemini", type="OBJECT"),
            "Gemini refuses arguments.query: an object without properties; emit the tool with parametersJsonSchema.",
        ),
        (
            "gemini",
            change("gemini", type="ARRAY"),
            "Gemini refuses arguments.query: an array without items; give the list a type.",
        ),
        (
            "gemini",
            change("gemini", anyOf=[{"type": "STRING"}]),
            "Gemini refuses arguments.query: anyOf beside something else; put that into the branches.",
        ),
        (
            "gemini",
            change("gemini", type="ARRAY", items={"type": "STRING"}, maxItems="961"),
            "Gemini refuses arguments: maxItems that add up to 961, over 960; say it in the fields' descriptions.",
        ),
        (
            "bedrock",
            top("bedrock", additionalProperties=False),
            "Bedrock refuses arguments: additionalProperties at the top level; leave it out of the format.",
        ),
        (
            "bedrock",
            member("toolSpec", inputSchema={"json": {"type": "array"}}),
            "Bedrock refuses arguments: a root that is no object; write the arguments as a model.",
        ),
        ("bedrock", dict.clear, "a tool: Bedrock refuses the definition: it lacks toolSpec; add it."),
        (
            "agentcore",
            change("agentcore", enum=["a"]),
            "AgentCore refuses arguments.query: the keyword enum; say it in the field's description.",
        ),
        (
            "agentcore",
            change("agentcore", type=["string", "null"]),
            "AgentCore refuses arguments.query: its type; use one of array, boolean, integer, number, object, string.",
        ),
        (
            "agentcore",
            change("agentcore", type=None),
            "AgentCore refuses arguments.query: a value of any type; give the field a type.",
        ),
        (
            "agentcore",
            change("agentcore", type="array"),
            "AgentCore refuses arguments.query: an array without items; give the list a type.",
        ),
        (
            "mcp",
            member(outputSchema={"type": "array"}),
            "MCP refuses outputSchema: a root that is no object; write the output as a model.",
        ),
        (
            "mcp",
            member(annotations={"readOnly": True}),
            "MCP refuses annotations.readOnly: it is no hint; "
            "use readOnlyHint, destructiveHint, idempotentHint, openWorldHint with true or false.",
        ),
        (
            "mcp",
            member("annotations", destructiveHint=True),
            "MCP refuses annotations: what only reads destroys nothing; declare one of the two effects.",
        ),
        (
            "mcp",
            change("mcp", description=None),
            "MCP refuses arguments.query: a field without a description; describe it with Field(description=...).",
        ),
        (
            "mcp",
            top("mcp", properties={"ctx": TEXT}, required=[]),
            "MCP refuses arguments.ctx: an internal of the bundle; keep it out of the arguments' model.",
        ),
    ],
)
def test_the_lint_names_tool_vendor_place_and_remedy(name: str, breaking: Change, told: str) -> None:
    definition = copy.deepcopy(PLAIN.definitions[name])
    breaking(definition)
    findings = lint(name, definition)
    assert any(told in finding for finding in findings), findings


def test_a_tool_that_nests_too_deep_for_strict_is_told() -> None:
    definition = copy.deepcopy(PLAIN.definitions["openai-responses"])
    node = definition["parameters"]
    for _ in range(10):
        below = {"type": "object", "properties": {}, "required": ["a"], "additionalProperties": False}
        node["properties"]["a"] = {**below, "description": "Below."}
        node["required"] = list(node["properties"])
        node = node["properties"]["a"]
    node["required"] = []
    [told] = lint("openai-responses", definition)
    assert (
        told
        == "acme_search: OpenAI (strict) refuses arguments: 11 levels of objects, over 10; take less in one method."
    )
