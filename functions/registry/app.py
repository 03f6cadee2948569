"""The registry: what the bundle offers, its tools, and the answer to whatever no other route takes.

It imports no provider and nothing beyond the standard library. All that it says was written by `integrations sync`:
the catalog is read at the start, the tools of a format when they are first asked for.

A key that is limited to scopes sees what it may call and nothing else; the rest is as unknown as what does not exist.
"""

import functools
import json
import re
import uuid
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_CATALOG = json.loads((_HERE / "catalog.json").read_text(encoding="utf-8"))
_HEALTH = json.dumps({"status": "ok", "version": _CATALOG["version"]})
_FORMATS = _CATALOG["formats"]
_DEFAULT_LIMIT, _MOST = 100, 500

# As the layer has it, which is not on this function's path: its packages would cost more than all the rest here.
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_SCOPE = re.compile(r"[a-z0-9_*?]{1,64}\.[a-z0-9_*?]{1,64}")

Response = dict[str, Any]
Query = dict[str, str]


class View:
    """What a caller sees of the catalog.

    `entries` holds each provider as JSON and `catalog` all of them; `tools` says what each tool is, by the name that a
    language model calls it; `defaults` names the default method of each provider, or None.
    """

    def __init__(self, providers: list[dict[str, Any]], etag: str) -> None:
        self.catalog = json.dumps(providers)
        self.entries = {entry["provider"]: json.dumps(entry) for entry in providers}
        self.defaults = {entry["provider"]: entry["default_method"] for entry in providers}
        self.tools = {
            method["tool"]["name"]: {
                **method["tool"],
                **method,
                "provider": entry["provider"],
                "category": entry["category"],
            }
            for entry in providers
            for method in entry["methods"]
        }
        self.etag = f'"{etag}"'


_EVERYTHING = View(_CATALOG["providers"], _CATALOG["etag"])


@functools.lru_cache(maxsize=64)
def _view(scopes: tuple[str, ...]) -> View:
    """Give what a key with these scopes may call. Its tag is that of what it shows, whatever the scopes are called."""
    import hashlib  # most callers are not limited, and it takes 2 ms to load

    limited = [entry for entry in (_within(scopes, entry) for entry in _CATALOG["providers"]) if entry["methods"]]
    names = [f"{entry['provider']}.{method['method']}" for entry in limited for method in entry["methods"]]
    return View(limited, hashlib.sha256(" ".join([_CATALOG["etag"], *names]).encode()).hexdigest()[:16])


def _within(scopes: tuple[str, ...], entry: dict[str, Any]) -> dict[str, Any]:
    """Give a provider's entry with the methods within the scopes; a default method that is not is null."""

    def held(method: str) -> bool:
        return any(fnmatchcase(f"{entry['provider']}.{method}", scope) for scope in scopes)

    default = entry["default_method"]
    methods = [method for method in entry["methods"] if held(method["method"])]
    return {**entry, "default_method": default if held(default) else None, "methods": methods}


class _Refused(Exception):
    """A query parameter is not taken: its name, and what it may be."""


def handler(event: dict[str, Any], context: Any) -> Response:  # noqa: ARG001  # Lambda passes it
    """Answer an event of the HTTP API, payload format 2.0."""
    http = event["requestContext"]["http"]
    query = event.get("queryStringParameters") or {}
    view = _view_of(event)
    path = http["path"].removeprefix("/").split("/")
    response = _unless_known(_answer(view, http["method"], path, query) if view else _unreadable_scopes(), event)
    correlation_id = _correlation_id(event)
    response["headers"]["X-Correlation-Id"] = correlation_id
    if isinstance(response["body"], dict):
        response["body"] = json.dumps(response["body"] | {"correlation_id": correlation_id})
    return response


def _view_of(event: dict[str, Any]) -> View | None:
    """Give what the caller may see, by the scopes that the authorizer handed over; None where they are damaged."""
    authorizer = event["requestContext"].get("authorizer") or {}
    context = authorizer.get("lambda") if isinstance(authorizer, dict) else authorizer
    if context is None or (isinstance(context, dict) and "scopes" not in context):
        return _EVERYTHING
    given = context["scopes"] if isinstance(context, dict) else None
    scopes = tuple(given.split(" ")) if isinstance(given, str) else ()
    return _view(scopes) if scopes and all(map(_SCOPE.fullmatch, scopes)) else None


def _answer(view: View, method: str, path: list[str], query: Query) -> Response:
    """Answer by the path, then by the HTTP method."""
    match path:
        case _ if "" in path:
            return _not_found()
        case ["health"]:
            return _only("GET", method) or _json(_HEALTH)
        case ["execute", name] | ["execute", name, _] if name not in view.entries:
            return _unknown_provider(view)
        case ["execute", _] | ["execute", _, _]:
            # A call of a provider that is there goes to its own function, by a route of its own.
            return _only("POST", method) or _not_deployed()
        case ["tools"]:
            return _only("GET", method) or _asked(_tools, view, query)
        case ["integrations", *names]:
            return _integrations(view, method, names, query)
        case _:
            return _not_found()


def _integrations(view: View, method: str, names: list[str], query: Query) -> Response:
    match names:
        case []:
            return _only("GET", method) or _json(view.catalog, view.etag)
        case [name] | [name, "tool"] | [name, _, "tool"] if name not in view.entries:
            return _only("GET", method) or _unknown_provider(view)
        case [name]:
            return _only("GET", method) or _json(view.entries[name], view.etag)
        case [name, "tool"]:
            return _only("GET", method) or _asked(_tool, view, query, name, view.defaults[name])
        case [name, operation, "tool"]:
            return _only("GET", method) or _asked(_tool, view, query, name, operation)
        case _:
            return _not_found()


# Tools.


def _tool(view: View, query: Query, provider: str, operation: str | None) -> Response:
    """Give one tool, as it goes into the list of tools of a request; no operation is a default one out of scope."""
    chosen = _format(_only_parameters(query, "format"))
    methods = {tool["method"]: tool for tool in view.tools.values() if tool["provider"] == provider}
    if operation is None:
        return _no_default_method(methods)
    if operation not in methods:
        return _unknown_method(methods)
    tool = methods[operation]
    response = _json(json.dumps(_definitions(chosen)[tool["name"]]), f'"{tool["version"]}"')
    response["headers"]["X-Tool-Tokens"] = str(tool["tokens"][chosen])
    return response


def _tools(view: View, query: Query) -> Response:
    """Give the tools that all filters let pass, a page at a time, in the order of their names."""
    query = _only_parameters(query, "format", "providers", "tools", "category", "read_only", "limit", "cursor")
    chosen, limit, after = _format(query), _limit(query), _position(query)
    found = sorted(_filtered(view, query))
    rest = [name for name in found if name > after]
    page = rest[:limit]
    body = {
        "format": chosen,
        "tools": [_definitions(chosen)[name] for name in page],
        "total": len(found),
        "next_cursor": _cursor(page[-1]) if len(rest) > limit else None,
    }
    response = _json(json.dumps(body), view.etag)
    response["headers"]["X-Tool-Tokens"] = str(sum(view.tools[name]["tokens"][chosen] for name in page))
    return response


@functools.cache
def _definitions(chosen: str) -> dict[str, Any]:
    """Read the tools of one format."""
    definitions: dict[str, Any] = json.loads((_HERE / "tools" / f"{chosen}.json").read_text(encoding="utf-8"))
    return definitions


def _filtered(view: View, query: Query) -> list[str]:
    wanted = {
        "provider": _names(query, "providers", set(view.entries), "of `GET /integrations`"),
        "name": _names(query, "tools", set(view.tools), "of `GET /tools`"),
        "category": _names(query, "category", {tool["category"] for tool in view.tools.values()}, "of the catalog"),
    }
    only_reading = _choice(query, "read_only", "false", ["true", "false"]) == "true"
    return [
        name
        for name, tool in view.tools.items()
        if (tool["read_only"] or not only_reading)
        and all(names is None or tool[kind] in names for kind, names in wanted.items())
    ]


# The query. What is not understood is refused: a filter with a typing error in it would give too much.


def _asked(answer: Callable[..., Response], view: View, query: Query, *names: str | None) -> Response:
    try:
        return answer(view, query, *names)
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


def _unknown_provider(view: View) -> Response:
    return _problem(
        404,
        "unknown_provider",
        "Unknown provider",
        f"There is no provider of that name; there are: {', '.join(view.entries)}.",
    )


def _unknown_method(methods: Iterable[str]) -> Response:
    return _problem(
        404,
        "unknown_method",
        "Unknown method",
        f"The provider has no method of that name; it has: {', '.join(methods)}.",
    )


def _no_default_method(methods: Iterable[str]) -> Response:
    return _problem(
        404,
        "unknown_method",
        "Unknown method",
        f"The provider's default method is not among those that this API key may call; name one of: "
        f"{', '.join(methods)}.",
    )


def _unreadable_scopes() -> Response:
    return _problem(
        403,
        "forbidden",
        "Forbidden",
        "The scopes of this API key cannot be read; have one made with `integrations keys create`.",
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
