"""The schema compiler: a method becomes a tool in the form of each vendor of language models.

`schema.py` reads the models, one file a format writes the definition, `lint.py` says what a vendor would refuse.
"""

import hashlib
import json
import math
from typing import Any, NamedTuple

from devtools.errors import CommandError
from devtools.tools import agentcore, anthropic, bedrock, gemini, mcp, openai, openai_responses
from devtools.tools.lint import lint
from devtools.tools.schema import free_places
from devtools.tools.source import source_of
from integrations import Provider
from integrations.provider import Method

FORMATS = {
    "openai": openai.definition,
    "openai-responses": openai_responses.definition,
    "anthropic": anthropic.definition,
    "gemini": gemini.definition,
    "bedrock": bedrock.definition,
    "agentcore": agentcore.definition,
    "mcp": mcp.definition,
}


class Tool(NamedTuple):
    """A method in every format."""

    name: str
    definitions: dict[str, dict[str, Any]]
    free_places: list[str]
    """Where any keys or values are taken; with such a place the strict format is not strict."""

    @property
    def version(self) -> str:
        """Give a hash that changes whenever one of the definitions does."""
        return hashlib.sha256(_compact(self.definitions).encode()).hexdigest()[:16]

    @property
    def tokens(self) -> dict[str, int]:
        """Estimate what each definition costs a language model: four characters of JSON to a token."""
        return {name: math.ceil(len(_compact(definition)) / 4) for name, definition in self.definitions.items()}


def compiled(provider: Provider, method: Method) -> Tool:
    """Give the tool of a method."""
    source = source_of(provider, method)
    definitions = {name: definition(source) for name, definition in FORMATS.items()}
    return Tool(source.name, definitions, free_places(source.arguments))


def compiled_all(providers: list[Provider]) -> list[Tool]:
    """Give every tool by name. Raise CommandError with all that a vendor would refuse."""
    tools = [compiled(provider, method) for provider in providers for method in provider.methods.values()]
    refused = [
        finding for tool in tools for name, definition in tool.definitions.items() for finding in lint(name, definition)
    ]
    if refused:
        raise CommandError("\n".join(refused))
    return sorted(tools, key=lambda tool: tool.name)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
