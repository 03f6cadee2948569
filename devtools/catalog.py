"""The catalog: what the registry says about every provider, with JSON Schemas from the models."""

import hashlib
import json
from typing import Any

from devtools.tools import FORMATS, Tool, compiled
from integrations import Provider
from integrations.provider import Method
from integrations.version import VERSION


def catalog(providers: list[Provider]) -> str:
    """Give functions/registry/catalog.json."""
    content = {
        "version": VERSION,
        "formats": list(FORMATS),
        "providers": sorted(map(_entry, providers), key=lambda entry: str(entry["provider"])),
    }
    # It changes with the tools as well: the version of each is part of the catalog.
    etag = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    return json.dumps({"etag": etag, **content}, indent=1, ensure_ascii=False) + "\n"


def definitions(tools: list[Tool]) -> dict[str, str]:
    """Give functions/registry/tools/<format>.json for each format: the definitions by the name of the tool."""
    return {
        name: json.dumps({tool.name: tool.definitions[name] for tool in tools}, indent=1, ensure_ascii=False) + "\n"
        for name in FORMATS
    }


def _entry(provider: Provider) -> dict[str, Any]:
    return {
        "provider": provider.name,
        "category": provider.category,
        "default_method": provider.default_method,
        "info": {
            "friendly_name": provider.title,
            "url": provider.url,
            "docs": provider.docs,
            "icon": provider.icon,
        },
        "setup": provider.setup and provider.setup.model_json_schema(),
        "methods": [_method(provider, method) for method in provider.methods.values()],
    }


def _method(provider: Provider, method: Method) -> dict[str, Any]:
    tool = compiled(provider, method)
    return {
        "method": method.name,
        "description": method.description,
        "read_only": method.read_only,
        "destructive": method.destructive,
        "idempotent": method.idempotent,
        "open_world": method.open_world,
        # The first name of a field's aliases is its plain one, so these show what callers should send.
        "arguments": method.arguments.model_json_schema(),
        "output": method.output.model_json_schema(mode="serialization"),
        "tool": {
            "name": tool.name,
            "version": tool.version,
            "tokens": tool.tokens,
            "strict": not tool.free_places,
        },
    }
