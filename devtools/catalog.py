"""The catalog: what the registry says about every provider, with JSON Schemas from the models."""

import json
from typing import Any

from integrations import Provider
from integrations.provider import Method
from integrations.version import VERSION


def catalog(providers: list[Provider]) -> str:
    """Give functions/registry/catalog.json."""
    content = {
        "version": VERSION,
        "providers": sorted(map(_entry, providers), key=lambda entry: str(entry["provider"])),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


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
        "methods": [_method(method) for method in provider.methods.values()],
    }


def _method(method: Method) -> dict[str, Any]:
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
    }
