"""`bedrock`: a tool of the Converse API, which hands its schema to the model chosen.

Amazon Nova takes only type, properties and required at the root, the other models take those too.
"""

from typing import Any

from devtools.tools.rules import BEDROCK_ROOT
from devtools.tools.source import Source


def definition(source: Source) -> dict[str, Any]:
    """Give the member of `toolConfig.tools`."""
    root = {key: value for key, value in source.arguments.items() if key in BEDROCK_ROOT}
    return {
        "toolSpec": {"name": source.name, "description": source.description, "inputSchema": {"json": root}},
    }
