"""`openai`: a function of Chat Completions. Its parameters are any JSON Schema whose root is an object."""

from typing import Any

from devtools.tools.source import Source


def definition(source: Source) -> dict[str, Any]:
    """Give the member of `tools`."""
    function = {"name": source.name, "description": source.description, "parameters": source.arguments}
    return {"type": "function", "function": function}
