"""`anthropic`: a tool of the Messages API. Its input schema is JSON Schema 2020-12 whose root is a plain object."""

from typing import Any

from devtools.tools.source import Source


def definition(source: Source) -> dict[str, Any]:
    """Give the member of `tools`."""
    return {"name": source.name, "description": source.description, "input_schema": source.arguments}
