"""The lint: what a vendor would refuse about a tool, before the vendor does.

One bad tool makes a vendor refuse the whole request with all the others in it. A finding names the tool, the vendor,
the place and the remedy.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from devtools.tools import rules
from devtools.tools.rules import Rules
from devtools.tools.schema import Schema, free_places, walk

Definition = dict[str, Any]
Finding = tuple[str, str, str]
"""Place, what is refused, remedy."""


def lint(tool_format: str, definition: Definition) -> list[str]:
    """Say what the vendor of a format would refuse about a definition."""
    taken = _rules(tool_format, definition)
    level = _at(definition, taken.level)
    if not isinstance(level, dict):
        return [f"a tool: {taken.vendor} refuses the definition: it lacks {'.'.join(taken.level)}; add it."]
    name = level.get("name", "a tool without a name")
    found = _findings(tool_format, taken, level)
    return [f"{name}: {taken.vendor} refuses {place}: {what}; {remedy}." for place, what, remedy in found]


def _rules(tool_format: str, definition: Definition) -> Rules:
    """Choose the rules: two formats have two forms."""
    if tool_format == "openai-responses":
        return rules.OPENAI_STRICT if definition.get("strict") is True else rules.OPENAI_RESPONSES
    if tool_format == "gemini" and "parametersJsonSchema" in definition:
        return rules.GEMINI_JSON_SCHEMA
    return {
        "openai": rules.OPENAI,
        "anthropic": rules.ANTHROPIC,
        "gemini": rules.GEMINI,
        "bedrock": rules.BEDROCK,
        "agentcore": rules.AGENTCORE,
        "mcp": rules.MCP,
    }[tool_format]


def _at(node: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _findings(tool_format: str, taken: Rules, level: Definition) -> Iterator[Finding]:
    yield from _outside(taken, level)
    schema = _at(level, taken.schema)
    if schema is None and taken is rules.GEMINI:
        return  # a function without parameters
    if not isinstance(schema, dict) or str(schema.get("type")).lower() != "object":
        yield "arguments", "a root that is no object", "write the arguments as a model"
        return
    yield from _root(taken, schema)
    for place, node in walk(schema):
        yield from _node(taken, place, node)
        yield from _properties(taken, place, node)
    for check in _EXTRA.get(tool_format, ()):
        yield from check(level, schema)


def _outside(taken: Rules, level: Definition) -> Iterator[Finding]:
    name, text = level.get("name"), level.get("description")
    if not (isinstance(name, str) and taken.name.fullmatch(name)):
        yield "the name", f"it is not {taken.name_is}", "rename the provider or the method"
    if not (isinstance(text, str) and text.strip()):
        yield "the description", "there is none", "write the method's docstring"
    elif taken.most_text and len(text) > taken.most_text:
        yield "the description", f"over {taken.most_text} characters", "shorten the method's docstring"
    for member in sorted(level.keys() - taken.members):
        yield f"the member {member}", "it is unknown", "leave it out of the format"


def _root(taken: Rules, schema: Schema) -> Iterator[Finding]:
    for keyword in sorted((schema.keys() & taken.keywords) - taken.root):
        remedy = _REMEDIES.get(keyword, "leave it out of the format")
        yield "arguments", f"{keyword} at the top level", remedy
    if not isinstance(schema.get("properties"), dict):
        yield "arguments", "an object without properties", "write the arguments as a model"


_ONE_MODEL = "give the method one model, with optional fields instead of a choice"
_REMEDIES = {
    **dict.fromkeys(("anyOf", "oneOf", "allOf"), _ONE_MODEL),
    **dict.fromkeys(("$ref", "$defs"), "put the model in its place"),
    **dict.fromkeys(("$schema", "title", "examples"), "leave it out of the format"),
}


def _node(taken: Rules, place: str, node: Schema) -> Iterator[Finding]:
    for keyword in sorted(node.keys() - taken.keywords):
        yield place, f"the keyword {keyword}", _REMEDIES.get(keyword, "say it in the field's description")
    kind = node.get("type", [])
    several = isinstance(kind, list)
    if not set(kind if several else [kind]) <= taken.types or (kind and several and not taken.several_types):
        yield place, "its type", f"use one of {', '.join(sorted(taken.types))}"
    if taken.needs_type and not (kind or "anyOf" in node):
        yield place, "a value of any type", "give the field a type"
    if _is_foreign(node.get("pattern", "")):
        yield place, "a pattern that is not ECMA 262", r"use neither lookarounds, \A and \Z nor named groups"


def _is_foreign(pattern: str) -> bool:
    """Say whether only some languages read the pattern."""
    return bool(re.search(r"\(\?(?!:)|\\[AzZ]", pattern))


# The parameters of a method that are no arguments, and what frameworks hand around.
_INTERNAL = re.compile(r"_.*|self|cls|args|kwargs|http|setup|ctx|api_client")


def _properties(taken: Rules, place: str, node: Schema) -> Iterator[Finding]:
    properties = node.get("properties", {})
    for name, child in properties.items():
        where = f"{place}.{name}"
        if not any(branch.get("description") for branch in (child, *child.get("anyOf", []))):
            yield where, "a field without a description", "describe it with Field(description=...)"
        if _INTERNAL.fullmatch(name):
            yield where, "an internal of the bundle", "keep it out of the arguments' model"
        if taken.key and not taken.key.fullmatch(name):
            yield where, "its name", f"use 1 to 64 letters, digits, _, . and -, as in {taken.key.pattern}"
    for name in node.get("required", []):
        if name not in properties:
            yield place, f"{name} is required and not among the properties", "add the field or drop the name"


# What one format asks beyond the table.


def _strict_flag(level: Definition, _: Schema) -> Iterator[Finding]:
    if not isinstance(level.get("strict"), bool):
        yield "the definition", "strict is neither true nor false", "say which"


def _strict(level: Definition, schema: Schema) -> Iterator[Finding]:
    if level.get("strict") is not True:
        return
    for place in free_places(schema):
        yield place, "a form that is not fixed", "emit the tool with strict false, or close the object"
    for place, node in walk(schema):
        missing = [name for name in node.get("properties", {}) if name not in node.get("required", [])]
        if missing:
            yield place, f"{missing[0]} is not required", "require every key and let an optional one be null"
        if node.get("format", "uuid") not in rules.STRICT_FORMATS:
            yield place, f"the format {node['format']}", "say it in the field's description"


def _strict_size(level: Definition, schema: Schema) -> Iterator[Finding]:
    """Judge the sizes, which are documented beside the keywords."""
    if level.get("strict") is not True:
        return
    nodes = [node for _, node in walk(schema)]
    keys = [name for node in nodes for name in node.get("properties", {})]
    values = [str(value) for node in nodes for value in node.get("enum", [])]
    for what, size, most in (
        ("levels of objects", _depth(schema), 10),
        ("properties", len(keys), 5000),
        ("enum values", len(values), 1000),
        ("characters in names and enum values", len("".join(keys + values)), 120_000),
    ):
        if size > most:
            yield "arguments", f"{size} {what}, over {most}", "take less in one method"


def _depth(node: Schema) -> int:
    children = [*node.get("properties", {}).values(), *node.get("anyOf", []), node.get("items")]
    below = max((_depth(child) for child in children if child), default=0)
    return below + ("properties" in node)


def _gemini(level: Definition, schema: Schema) -> Iterator[Finding]:
    """Judge by what the API answers (agno-agi/agno#2112, anomalyco/opencode#14788)."""
    for place, node in walk(schema):
        kind = node.get("type")
        if kind == "OBJECT" and not node.get("properties"):
            yield place, "an object without properties", "emit the tool with parametersJsonSchema"
        if kind == "ARRAY" and "items" not in node:
            yield place, "an array without items", "give the list a type"
        if "enum" in node and not all(isinstance(value, str) and value for value in node["enum"]):
            yield place, "an enum of something else than text", "say it in the field's description"
        if "anyOf" in node and "parameters" in level and len(node) > 1:
            yield place, "anyOf beside something else", "put that into the branches"


def _gemini_items(_: Definition, schema: Schema) -> Iterator[Finding]:
    total = sum(int(node.get("maxItems", 0)) for _, node in walk(schema))
    if total > _MOST_ITEMS:
        yield "arguments", f"maxItems that add up to {total}, over {_MOST_ITEMS}", "say it in the fields' descriptions"


_MOST_ITEMS = 960


def _agentcore(_: Definition, schema: Schema) -> Iterator[Finding]:
    for place, node in walk(schema):
        if node.get("type") == "array" and "items" not in node:
            yield place, "an array without items", "give the list a type"


def _mcp(level: Definition, _: Schema) -> Iterator[Finding]:
    output = level.get("outputSchema")
    if output is not None and (not isinstance(output, dict) or output.get("type") != "object"):
        yield "outputSchema", "a root that is no object", "write the output as a model"
    hints = level.get("annotations", {})
    for name, value in hints.items():
        if name not in _HINTS or not isinstance(value, bool):
            yield f"annotations.{name}", "it is no hint", f"use {', '.join(_HINTS)} with true or false"
    if hints.get("readOnlyHint") and hints.get("destructiveHint"):
        yield "annotations", "what only reads destroys nothing", "declare one of the two effects"


_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")

_EXTRA: dict[str, tuple[Callable[[Definition, Schema], Iterator[Finding]], ...]] = {
    "openai-responses": (_strict_flag, _strict, _strict_size),
    "gemini": (_gemini, _gemini_items),
    "agentcore": (_agentcore,),
    "mcp": (_mcp,),
}
