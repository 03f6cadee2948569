"""The JSON Schema of a model, as every tool format starts from it: one tree, without references or noise."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

# What only tools for people read, and what is put in place elsewhere.
_NOISE = {"title", "examples", "discriminator", "readOnly", "writeOnly", "deprecated", "$defs", "$schema"}

_TEXT = "description"
_ONE = ("items", "additionalProperties", "propertyNames", "contains", "not")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPPINGS = ("properties", "patternProperties")


class RecursiveModel(Exception):
    """A model contains itself, so no tree of it ends. The argument is its name."""


def of_arguments(model: type[BaseModel]) -> Schema:
    """Give the schema of what a language model sends. Null for an optional argument means absent: it is not shown."""
    root = model.model_json_schema()
    # What the arguments are together is the tool's own description.
    return {key: value for key, value in _Tree(root, _NOISE, null_is_absent=True).read(root).items() if key != _TEXT}


def of_output(model: type[BaseModel]) -> Schema:
    """Give the schema of what comes back. Its nulls are real ones, and a default means nothing to a reader."""
    root = model.model_json_schema(mode="serialization")
    return _Tree(root, _NOISE | {"default"}, null_is_absent=False).read(root)


def with_children(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Give the schema with each direct subschema changed. An argument may be called like a keyword and stays one."""
    changed = dict(schema)
    for key in schema.keys() & {*_ONE}:
        if isinstance(schema[key], dict):
            changed[key] = change(schema[key])
    for key in schema.keys() & {*_LISTS}:
        changed[key] = [change(child) for child in schema[key]]
    for key in schema.keys() & {*_MAPPINGS}:
        changed[key] = {name: change(child) for name, child in schema[key].items()}
    return changed


def walk(schema: Schema, place: str = "arguments") -> Iterator[tuple[str, Schema]]:
    """Give every schema of the tree with its place, as an author reads it: arguments.filters[].name."""
    yield place, schema
    below = [(place, child) for key in ("anyOf", "oneOf", "allOf") for child in schema.get(key, [])]
    below += [(f"{place}[{index}]", child) for index, child in enumerate(schema.get("prefixItems", []))]
    below += [(f"{place}.{name}", child) for key in _MAPPINGS for name, child in schema.get(key, {}).items()]
    suffixes = {"items": "[]", "contains": "[]", "additionalProperties": ".*", "propertyNames": ".*", "not": ""}
    below += [(place + suffix, schema[key]) for key, suffix in suffixes.items() if isinstance(schema.get(key), dict)]
    for where, child in below:
        yield from walk(child, where)


def free_places(schema: Schema) -> list[str]:
    """Name the places whose form is not fixed: an object of any keys, a list of anything, a value of any type."""
    return [place for place, node in walk(schema) if _is_free(node)]


def _is_free(node: Schema) -> bool:
    if node.get("type") == "object":
        return "properties" not in node or node.get("additionalProperties") is not False
    if node.get("type") == "array":
        return not (node.get("items") or node.get("prefixItems"))
    return not node.keys() & {"type", "anyOf"}


class _Tree:
    """Reads the schemas of one root."""

    def __init__(self, root: Schema, noise: set[str], *, null_is_absent: bool) -> None:
        self._definitions = root.get("$defs", {})
        self._noise = noise
        self._null_is_absent = null_is_absent

    def read(self, schema: Schema, inside: tuple[str, ...] = ()) -> Schema:
        """Give the schema in full. `inside` names the models it is a part of."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in inside:
                raise RecursiveModel(name)
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            return self.read(self._definitions[name] | beside, (*inside, name))
        first = {key: schema[key] for key in ("type", _TEXT) if key in schema}
        node = {key: value for key, value in (first | schema).items() if key not in self._noise}
        if "default" in node and node["default"] is None:
            del node["default"]
        node = with_children(_inclusive(_enumerated(node)), lambda child: self.read(child, inside))
        if self._null_is_absent and "properties" in node:
            needed = node.get("required", [])
            node["properties"] = {
                name: child if name in needed else _without_null(child) for name, child in node["properties"].items()
            }
        return _flat(node)


def _enumerated(node: Schema) -> Schema:
    """Write `const` as the `enum` of one value, `oneOf` as `anyOf`, and give an `enum` its type.

    Pydantic writes `oneOf` only for models told apart by a tag, of which no two can match.
    """
    node = dict(node)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if "enum" not in node or "type" in node:
        return node
    by_type: dict[str, list[Any]] = {}
    for value in node.pop("enum"):
        by_type.setdefault(_TYPES[type(value)], []).append(value)
    return {"anyOf": [{"type": kind, "enum": values} for kind, values in by_type.items()], **node}


_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _inclusive(node: Schema) -> Schema:
    """Write the bounds of an integer so that they belong to it: not every vendor takes the others."""
    if node.get("type") != "integer":
        return node
    node = dict(node)
    for bound, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        if isinstance(node.get(bound), int):
            node[inclusive] = node.pop(bound) + step
    return node


def _without_null(node: Schema) -> Schema:
    branches = [branch for branch in node.get("anyOf", []) if branch.get("type") != "null"]
    return _flat({**node, "anyOf": branches}) if branches else node


def _flat(node: Schema) -> Schema:
    """Put a choice inside a choice on one level, and a choice of one in its place; what stands beside it wins."""
    if "anyOf" not in node:
        return node
    branches: list[Schema] = []
    for branch in node["anyOf"]:
        branches += branch["anyOf"] if branch.keys() == {"anyOf"} else [branch]
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    unique = list({json.dumps(branch, sort_keys=True): branch for branch in branches}.values())
    return {**unique[0], **beside} if len(unique) == 1 else {"anyOf": unique, **beside}
