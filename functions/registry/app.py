"""The registry: what the bundle offers, its tools, and the answer to whatever no other route takes.

It imports no provider and nothing beyond the standard library. All that it says was written by `integrations sync`:
the catalog is read at the start, the tools of a format when they are first asked for.
"""

import functools
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_CATALOG = json.loads((_HERE / "catalog.json").read_text(encoding="utf-8"))
_HEALTH = json.dumps({"status": "ok", "version": _CATALOG["version"]})
_LIST = json.dumps(_CATALOG["providers"])
_ENTRIES = {entry["provider"]: json.dumps(entry) for entry in _CATALOG["providers"]}
_ETAG = f'"{_CATALOG["etag"]}"'

_FORMATS = _CATALOG["formats"]
_DEFAULT_LIMIT, _MOST = 100, 500
# What each tool is, by the name that a language model calls it.
_TOOLS = {
    method["tool"]["name"]: {**method["tool"], **method, "provider": entry["provider"], "category": entry["category"]}
    for entry in _CATALOG["providers"]
    for method in entry["methods"]
}

# As the layer has it, which is not on this function's path: its packages would cost more than all the rest here.
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

Response = dict[str, Any]
Query = dict[str, str]


class _Refused(Exception):
    """A query parameter is not taken: its name, and what it may be."""


def handler(event: dict[str, Any], context: Any) -> Response:  # noqa: ARG001  # Lambda passes it
    """Answer an event of the HTTP API, payload format 2.0."""
    http = event["requestContext"]["http"]
    query = event.get("queryStringParameters") or {}
    response = _unless_known(_answer(http["method"], http["path"].removeprefix("/").split("/"), query), event)
    correlation_id = _correlation_id(event)
    response["headers"]["X-Correlation-Id"] = correlation_id
    if isinstance(response["body"], dict):
        response["body"] = json.dumps(response["body"] | {"correlation_id": correlation_id})
    return response


def _answer(method: str, path: list[str], query: Query) -> Response:
    """Answer by the path, then by the HTTP method."""
    match path:
        case _ if "" in path:
            return _not_found()
        case ["health"]:
            return _only("GET", method) or _json(_HEALTH)
        case ["execute", name] | ["execute", name, _] if name not in _ENTRIES:
            return _unknown_provider()
        case ["execute", _] | ["execute", _, _]:
            # A call of a provider that is there goes to its own function, by a route of its own.
            return _only("POST", method) or _not_deployed()
        case ["tools"]:
            return _only("GET", method) or _asked(_tools, query)
        case ["integrations", *names]:
            return _integrations(method, names, query)
        case _:
            return _not_found()


def _integrations(method: str, names: list[str], query: Query) -> Response:
    match names:
        case []:
            return _only("GET", method) or _json(_LIST, _ETAG)
        case [name] | [name, "tool"] | [name, _, "tool"] if name not in _ENTRIES:
            return _only("GET", method) or _unknown_provider()
        case [name]:
            return _only("GET", method) or _json(_ENTRIES[name], _ETAG)
        case [name, "tool"]:
            return _only("GET", method) or _asked(_tool, query, name, None)
        case [name, operation, "tool"]:
            return _only("GET", method) or _asked(_tool, query, name, operation)
        case _:
            return _not_found()


# Tools.


def _tool(query: Query, provider: str, operation: str | None) -> Response:
    """Give one tool, as it goes into the list of tools of a request."""
    chosen = _format(_only_parameters(query, "format"))
    methods = {tool["method"]: name for name, tool in _TOOLS.items() if tool["provider"] == provider}
    if operation is None:
        operation = next(entry["default_method"] for entry in _CATALOG["providers"] if entry["provider"] == provider)
    if operation not in methods:
        return _unknown_method(methods)
    tool = _TOOLS[methods[operation]]
    response = _json(json.dumps(_definitions(chosen)[tool["name"]]), f'"{tool["version"]}"')
    response["headers"]["X-Tool-Tokens"] = str(tool["tokens"][chosen])
    return response


def _tools(query: Query) -> Response:
    """Give the tools that all filters let pass, a page at a time, in the order of their names."""
    query = _only_parameters(query, "format", "providers", "tools", "category", "read_only", "limit", "cursor")
    chosen, limit, after = _format(query), _limit(query), _position(query)
    found = sorted(_filtered(query))
    rest = [name for name in found if name > after]
    page = rest[:limit]
    body = {
        "format": chosen,
        "tools": [_definitions(chosen)[name] for name in page],
        "total": len(found),
        "next_cursor": _cursor(page[-1]) if len(rest) > limit else None,
    }
    response = _json(json.dumps(body), _ETAG)
    response["headers"]["X-Tool-Tokens"] = str(sum(_TOOLS[name]["tokens"][chosen] for name in page))
    return response


@functools.cache
def _definitions(chosen: str) -> dict[str, Any]:
    """Read the tools of one format."""
    definitions: dict[str, Any] = json.loads((_HERE / "tools" / f"{chosen}.json").read_text(encoding="utf-8"))
    return definitions


def _filtered(query: Query) -> list[str]:
    wanted = {
        "provider": _names(query, "providers", set(_ENTRIES), "of `GET /integrations`"),
        "name": _names(query, "tools", set(_TOOLS), "of `GET /tools`"),
        "category": _names(query, "category", {tool["category"] for tool in _TOOLS.values()}, "of the catalog"),
    }
    only_reading = _choice(query, "read_only", "false", ["true", "false"]) == "true"
    return [
        name
        for name, tool in _TOOLS.items()
        if (tool["read_only"] or not only_reading)
        and all(names is None or tool[kind] in names for kind, names in wanted.items())
    ]


# The query. What is not understood is refused: a filter with a typing error in it would give too much.


def _asked(answer: Callable[..., Response], query: Query, *names: str | None) -> Response:
    try:
        return answer(query, *names)
    except _Refused as refused:
        name, allowed = refused.args
        problem = _problem(400, "invalid_request", "Invalid request", f"query.{name}: {allowed}.")
        problem["body"]["errors"] = [{"loc": ["query", name], "type": "query", "message": allowed}]
        return problem


def _only_parameters(query: Query, *known: str) -> Query:
    for name in query:
        if name not in known:
            shown = name if re.fullmatch(r"[A-Za-z_]{1,40}", name) else "?"
            raise _Refused(shown, f"Unknown parameter; there are: {', '.join(known)}")
    return query


def _choice(query: Query, name: str, default: str, allowed: list[str]) -> str:
    value = query.get(name, default)
    if value not in allowed:
        raise _Refused(name, f"One of: {', '.join(allowed)}")
    return value


def _format(query: Query) -> str:
    return _choice(query, "format", _FORMATS[0], _FORMATS)


def _names(query: Query, name: str, known: set[str], where: str) -> set[str] | None:
    """Read a comma list of names; None means no filter."""
    if name not in query:
        return None
    wanted = {part.strip() for part in query[name].split(",")}
    if not wanted <= known:
        few = f": {', '.join(sorted(known))}" if len(known) <= _DEFAULT_LIMIT else ""
        raise _Refused(name, f"Names {where}, separated by commas{few}")
    return wanted


def _limit(query: Query) -> int:
    value = query.get("limit", str(_DEFAULT_LIMIT))
    if not re.fullmatch(r"[0-9]{1,3}", value) or not 1 <= int(value) <= _MOST:
        raise _Refused("limit", f"A whole number from 1 to {_MOST}")
    return int(value)


# A cursor holds the name of the last tool given, so that it stays right when tools come and go. In hexadecimal nobody
# takes it for a name to be made up, and no package has to be loaded for it.
_CURSOR = b"after:"


def _cursor(name: str) -> str:
    return (_CURSOR + name.encode()).hex()


def _position(query: Query) -> str:
    """Give the name after which the page begins; the first page begins after the empty one."""
    if "cursor" not in query:
        return ""
    try:
        text = bytes.fromhex(query["cursor"])
    except ValueError:
        text = b""
    name = text.removeprefix(_CURSOR)
    if name == text or not re.fullmatch(rb"[A-Za-z0-9_-]{1,64}", name):
        raise _Refused("cursor", "The next_cursor of the page before, as it was given")
    return name.decode()


# Responses.


def _only(allowed: str, method: str) -> Response | None:
    """Refuse every other method; OPTIONS is answered, because a browser asks so before it calls."""
    if method == allowed:
        return None
    if method == "OPTIONS":
        return {"statusCode": 204, "headers": {"Allow": f"{allowed}, OPTIONS"}, "body": ""}
    refusal = _problem(405, "method_not_allowed", "Method not allowed", f"This path takes {allowed}.")
    refusal["headers"]["Allow"] = f"{allowed}, OPTIONS"
    return refusal


def _json(body: str, etag: str | None = None) -> Response:
    headers = {"Content-Type": "application/json"} | ({"ETag": etag} if etag else {})
    return {"statusCode": 200, "headers": headers, "body": body}


def _unless_known(response: Response, event: dict[str, Any]) -> Response:
    """Answer 304 where the caller has this very version; the comparison is the weak one of RFC 9110, 13.1.2."""
    etag = response["headers"].get("ETag")
    given = (event.get("headers") or {}).get("if-none-match", "")
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    if etag and (etag in tags or tags == ["*"]):
        return {"statusCode": 304, "headers": {"ETag": etag}, "body": ""}
    return response


def _unknown_provider() -> Response:
    return _problem(
        404,
        "unknown_provider",
        "Unknown provider",
        f"There is no provider of that name; there are: {', '.join(_ENTRIES)}.",
    )


def _unknown_method(methods: dict[str, str]) -> Response:
    return _problem(
        404,
        "unknown_method",
        "Unknown method",
        f"The provider has no method of that name; it has: {', '.join(methods)}.",
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
        "No route goes there; calls are POST /execute/{provider}[/{method}], the catalog is GET /integrations, the "
        "tools are GET /tools.",
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
