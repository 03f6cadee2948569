"""`openai-responses`: a function of the Responses API, strict: what the model sends always fits the schema.

Strict is a subset of JSON Schema: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas.
Every key is required, so an optional argument may be null, and null means absent. A tool with an object of any keys
cannot be strict; it is sent as any other function, and its `strict` is false, since a left out one would mean "if
possible".
"""

import json
from typing import Any

from devtools.tools.rules import STRICT_FORMATS, STRICT_KEYWORDS
from devtools.tools.schema import Schema, free_places, with_children
from devtools.tools.source import Source
from devtools.tools.wording import reduced, said


def definition(source: Source) -> dict[str, Any]:
    """Give the member of `tools`."""
    strict = not free_places(source.arguments)
    return {
        "type": "function",
        "name": source.name,
        "description": source.description,
        "parameters": parameters(source.arguments) if strict else source.arguments,
        "strict": strict,
    }


def parameters(schema: Schema) -> Schema:
    """Give the strict form of a schema without free places."""
    # The default stays until it is known whether the argument may be null.
    return _with_every_key(reduced(_without_odd_formats(schema), STRICT_KEYWORDS | {"default"}))


def _without_odd_formats(schema: Schema) -> Schema:
    node = with_children(schema, _without_odd_formats)
    if node.get("format", "uuid") in STRICT_FORMATS:
        return node
    return said({key: value for key, value in node.items() if key != "format"}, f"Format: {node['format']}.")


def _with_every_key(schema: Schema) -> Schema:
    node = with_children(schema, _with_every_key)
    node.pop("default", None)
    if node.get("type") == "object":
        needed = node.get("required", [])
        node["properties"] = {
            name: child if name in needed else _nullable(child, schema["properties"][name].get("default"))
            for name, child in node["properties"].items()
        }
        node["required"] = list(node["properties"])
    return node


def _nullable(schema: Schema, default: Any) -> Schema:
    means = "left out" if default is None else json.dumps(default, ensure_ascii=False)
    node = said(schema, f"Null means {means}.")
    if "anyOf" in node:
        return {**node, "anyOf": [*node["anyOf"], {"type": "null"}]}
    if node["type"] in ("object", "array"):
        description = node.pop("description")
        return {"anyOf": [node, {"type": "null"}], "description": description}
    values = {"enum": [*node["enum"], None]} if "enum" in node else {}
    return {**node, "type": [node["type"], "null"], **values}
