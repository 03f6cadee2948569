"""`gemini`: a function declaration of generateContent.

`parameters` is Google's own Schema, an OpenAPI 3.0 subset that every version of the API takes: types in capitals, whole
numbers as text, `nullable` for null, nothing beside a choice, and no object without properties. A tool with an object
of any keys goes into `parametersJsonSchema` instead; one without arguments has neither.
"""

from typing import Any

from devtools.tools.rules import GEMINI_JSON_SCHEMA_KEYWORDS, GEMINI_KEYWORDS
from devtools.tools.schema import Schema, free_places, walk, with_children
from devtools.tools.source import Source
from devtools.tools.wording import in_words, reduced, said


def definition(source: Source) -> dict[str, Any]:
    """Give the member of `functionDeclarations`."""
    declaration: dict[str, Any] = {"name": source.name, "description": source.description}
    if not source.arguments["properties"]:
        return declaration
    schema = _with_text_choices(source.arguments)
    if free_places(schema) or any(node.get("properties") == {} for _, node in walk(schema)):
        return declaration | {"parametersJsonSchema": reduced(schema, GEMINI_JSON_SCHEMA_KEYWORDS)}
    return declaration | {"parameters": _capital(_choices_alone(reduced(_nullable(schema), GEMINI_KEYWORDS)))}


def _with_text_choices(schema: Schema) -> Schema:
    """Say a choice of numbers or booleans in words: an enum holds text only, and no empty one."""
    node = with_children(schema, _with_text_choices)
    if "enum" not in node or all(isinstance(value, str) and value for value in node["enum"]):
        return node
    kept = {key: value for key, value in node.items() if key != "enum"}
    return said(kept, *filter(None, [in_words("enum", node["enum"])]))


def _nullable(schema: Schema) -> Schema:
    """Write null as `nullable`, on each branch of a choice."""
    node = with_children(schema, _nullable)
    branches = [branch for branch in node.get("anyOf", []) if branch.get("type") != "null"]
    if len(branches) == len(node.get("anyOf", [])):
        return node
    branches = [{**branch, "nullable": True} for branch in branches]
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    return {**branches[0], **beside} if len(branches) == 1 else {"anyOf": branches, **beside}


def _choices_alone(schema: Schema) -> Schema:
    """Move what is said beside a choice into its first branch: beside anyOf nothing else may stand."""
    node = with_children(schema, _choices_alone)
    if "anyOf" not in node:
        return node
    first, *others = node["anyOf"]
    text = [node["description"]] if "description" in node else []
    text += [first["description"]] if "description" in first else []
    return {"anyOf": [{**first, **({"description": " ".join(text)} if text else {})}, *others]}


def _capital(schema: Schema) -> Schema:
    """Write types as the enum of the protocol buffer has them, and its 64-bit numbers as JSON has them."""
    node = with_children(schema, _capital)
    if "type" in node:
        node["type"] = node["type"].upper()
    for key in node.keys() & {"minLength", "maxLength", "minItems"}:
        node[key] = str(node[key])
    return node
