"""What a vendor's schema cannot say is said in words: a language model reads descriptions too."""

import json
from typing import Any

from devtools.tools.schema import Schema, with_children

# Each of these holds whether or not a language model is told, so a format without the keyword keeps the meaning.
_SENTENCES = {
    "minLength": "At least {} characters.",
    "maxLength": "At most {} characters.",
    "pattern": "Matches {}.",
    "format": "Format: {}.",
    "contentEncoding": "Encoded as {}.",
    "contentMediaType": "Content: {}.",
    "minimum": "At least {}.",
    "maximum": "At most {}.",
    "exclusiveMinimum": "More than {}.",
    "exclusiveMaximum": "Less than {}.",
    "multipleOf": "A multiple of {}.",
    "minItems": "At least {} items.",
    "maxItems": "At most {} items.",
    "minProperties": "At least {} keys.",
    "maxProperties": "At most {} keys.",
}
ORDER = [*_SENTENCES, "enum", "uniqueItems", "additionalProperties", "propertyNames", "default"]


def reduced(schema: Schema, keywords: frozenset[str]) -> Schema:
    """Keep these keywords; what the others say is added to the description."""
    node = dict(schema)
    notes: list[str] = []
    if "anyOf" in node and "anyOf" not in keywords:
        notes += _take_first_branch(node)
    if "prefixItems" in node and "prefixItems" not in keywords:
        notes += _take_items_in_any_order(node)
    notes += [text for key in ORDER if key in node.keys() - keywords and (text := in_words(key, node[key]))]
    kept = {key: value for key, value in node.items() if key in keywords}
    return said(with_children(kept, lambda child: reduced(child, keywords)), *notes)


def said(schema: Schema, *notes: str) -> Schema:
    """Add sentences to the description."""
    texts = [*filter(None, [schema.get("description")]), *notes]
    return {**schema, "description": " ".join(texts)} if notes else schema


def in_words(key: str, value: Any) -> str | None:
    """Say what a keyword means; None where a language model need not know."""
    if key in ("minLength", "minItems") and value == 1:
        return "Not empty."
    if key in _SENTENCES:
        return _SENTENCES[key].format(value)
    if key == "enum":
        return f"One of: {', '.join(json.dumps(item, ensure_ascii=False) for item in value)}."
    if key == "default":
        return f"Left out, it is {json.dumps(value, ensure_ascii=False)}."
    if key == "uniqueItems" and value:
        return "No item twice."
    if key == "additionalProperties" and value is not False:
        return f"Any keys; each value: {_kind(value)}."
    if key == "propertyNames":
        return " ".join(["Each key:", *(text for name, item in value.items() if (text := in_words(name, item)))])
    return None


def _take_first_branch(node: Schema) -> list[str]:
    """Put the first branch in place of a choice; the others are taken as well, which only words can say."""
    first, *others = (branch for branch in node.pop("anyOf") if branch.get("type") != "null")
    node.update({key: value for key, value in first.items() if key != "description" or key not in node})
    kinds = dict.fromkeys(map(_kind, others))
    return [f"Also taken: {', '.join(kinds)}."] if kinds else []


def _take_items_in_any_order(node: Schema) -> list[str]:
    places = node.pop("prefixItems")
    different = list({json.dumps(item, sort_keys=True): item for item in places}.values())
    node["items"] = different[0] if len(different) == 1 else {"anyOf": different}
    return [f"In this order: {', '.join(map(_kind, places))}."]


def _kind(schema: Any) -> str:
    """Name what a schema takes, in a word or two."""
    if not isinstance(schema, dict) or not schema.keys() & {"type", "anyOf"}:
        return "anything"
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if schema["type"] == "array" and "items" in schema:
        return f"array of {_kind(schema['items'])}"
    return str(schema["type"])
