"""The registry: what the bundle offers, and the answer to whatever no other route takes.

It imports no provider and nothing beyond the standard library. The catalog is written by `integrations sync`; every
answer that does not depend on the request is prepared once.
"""

import json
import re
import uuid
from pathlib import Path
from typing import Any

_CATALOG = json.loads(Path(__file__).with_name("catalog.json").read_text(encoding="utf-8"))
_HEALTH = json.dumps({"status": "ok", "version": _CATALOG["version"]})
_LIST = json.dumps(_CATALOG["providers"])
_ENTRIES = {entry["provider"]: json.dumps(entry) for entry in _CATALOG["providers"]}

# As the layer has it, which is not on this function's path: its packages would cost more than all the rest here.
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

Response = dict[str, Any]


def handler(event: dict[str, Any], context: Any) -> Response:  # noqa: ARG001  # Lambda passes it
    """Answer an event of the HTTP API, payload format 2.0."""
    http = event["requestContext"]["http"]
    response = _answer(http["method"], http["path"].removeprefix("/").split("/"))
    correlation_id = _correlation_id(event)
    response["headers"]["X-Correlation-Id"] = correlation_id
    if isinstance(response["body"], dict):
        response["body"] = json.dumps(response["body"] | {"correlation_id": correlation_id})
    return response


def _answer(method: str, path: list[str]) -> Response:
    """Answer by the path, then by the HTTP method."""
    match path:
        case _ if "" in path:
            return _not_found()
        case ["health"]:
            return _only("GET", method) or _json(_HEALTH)
        case ["integrations"]:
            return _only("GET", method) or _json(_LIST)
        case ["integrations", name]:
            return _only("GET", method) or (_json(_ENTRIES[name]) if name in _ENTRIES else _unknown_provider())
        case ["execute", name] | ["execute", name, _] if name not in _ENTRIES:
            return _unknown_provider()
        case ["execute", _] | ["execute", _, _]:
            # A call of a provider that is there goes to its own function, by a route of its own.
            return _only("POST", method) or _not_deployed()
        case _:
            return _not_found()


def _only(allowed: str, method: str) -> Response | None:
    """Refuse every other method; OPTIONS is answered, because a browser asks so before it calls."""
    if method == allowed:
        return None
    if method == "OPTIONS":
        return {"statusCode": 204, "headers": {"Allow": f"{allowed}, OPTIONS"}, "body": ""}
    refusal = _problem(405, "method_not_allowed", "Method not allowed", f"This path takes {allowed}.")
    refusal["headers"]["Allow"] = f"{allowed}, OPTIONS"
    return refusal


def _json(body: str) -> Response:
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}


def _unknown_provider() -> Response:
    return _problem(
        404,
        "unknown_provider",
        "Unknown provider",
        f"There is no provider of that name; there are: {', '.join(_ENTRIES)}.",
    )


def _not_deployed() -> Response:
    return _problem(
        404,
        "unknown_provider",
        "Unknown provider",
        "That provider is not part of this deployment; its category is switched off in the stack's parameters.",
    )


def _not_found() -> Response:
    return _problem(
        404,
        "not_found",
        "Not found",
        "No route goes there; calls are POST /execute/{provider}[/{method}], the catalog is GET /integrations.",
    )


def _problem(status: int, code: str, title: str, detail: str) -> Response:
    body = {
        "type": f"urn:integrations:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "error": detail,
        "code": code,
        "retryable": False,
    }
    return {"statusCode": status, "headers": {"Content-Type": "application/problem+json"}, "body": body}


def _correlation_id(event: dict[str, Any]) -> str:
    """Take the caller's id if it is fit for a header, else API Gateway's."""
    for candidate in ((event.get("headers") or {}).get("x-correlation-id"), event["requestContext"].get("requestId")):
        if isinstance(candidate, str) and _CORRELATION_ID.fullmatch(candidate):
            return candidate
    return str(uuid.uuid4())
