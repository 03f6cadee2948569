"""`agentcore`: a tool of an AgentCore gateway target that is a Lambda function.

Its schemas have type, properties, required, items and description; all else is said in words. There is no output
schema: fields that may be null cannot be written in these words, and a wrong promise is worse than none.
"""

from typing import Any

from devtools.tools.rules import AGENTCORE_KEYWORDS
from devtools.tools.schema import Schema, with_children
from devtools.tools.source import Source
from devtools.tools.wording import reduced, said


def definition(source: Source) -> dict[str, Any]:
    """Give the member of `toolSchema.inlinePayload`."""
    schema = _typed(reduced(source.arguments, AGENTCORE_KEYWORDS))
    return {"name": source.name, "description": source.description, "inputSchema": schema}


def _typed(schema: Schema) -> Schema:
    """Give every schema a type, and every array its items, as the service demands."""
    node = with_children(schema, _typed)
    if "type" not in node:
        return said({**node, "type": "string"}, "Any JSON value is taken.")
    if node["type"] == "array" and "items" not in node:
        return {**node, "items": _typed({})}
    return node
