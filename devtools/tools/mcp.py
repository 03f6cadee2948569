"""`mcp`: a tool of the Model Context Protocol, with the effect of the method as its annotations."""

from typing import Any

from devtools.tools.source import Source


def definition(source: Source) -> dict[str, Any]:
    """Give the member of `tools` in the answer to tools/list."""
    return {
        "name": source.name,
        "description": source.description,
        "inputSchema": source.arguments,
        "outputSchema": source.output,
        "annotations": {
            "readOnlyHint": source.method.read_only,
            "destructiveHint": source.method.destructive,
            "idempotentHint": source.method.idempotent,
            "openWorldHint": source.method.open_world,
        },
    }
