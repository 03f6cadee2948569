"""Call a provider as AWS does: by its handler, with an event and a context."""

import copy
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from integrations import Provider

RESERVE = 1.5
"""Seconds that the bundle keeps for its reply; a call with `seconds` left has so many less for the service."""


@dataclass
class Context:
    """The part of a Lambda context that the handler reads."""

    seconds: float = 30.0
    aws_request_id: str = "5f1c2d3e-0000-4000-8000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Response:
    """An HTTP response in payload format 2.0, with its body parsed."""

    status: int
    headers: dict[str, str]
    body: Any
    text: str


def call(provider: Provider, *, seconds: float = 30.0, **event: Any) -> Any:
    """Invoke directly: `call(provider, method="search", arguments={...})`. Failures are raised."""
    return provider.handler(event, Context(seconds))


def http_event(
    provider: Provider, body: Any, *, method: str | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Make the event of API Gateway's HTTP API, payload format 2.0. Text is sent as it is."""
    path = f"/execute/{provider.name}" + (f"/{method}" if method else "")
    route = f"POST /execute/{provider.name}" + ("/{method}" if method else "")
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t"},
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route,
            "stage": "$default",
        },
        **({"pathParameters": {"method": method}} if method else {}),
        "body": body if isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def post(
    provider: Provider,
    body: Any,
    *,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    seconds: float = 30.0,
) -> Response:
    """Call over HTTP."""
    return respond(provider, http_event(provider, body, method=method, headers=headers), seconds)


def respond(provider: Provider, event: dict[str, Any], seconds: float = 30.0) -> Response:
    """Answer an HTTP event."""
    reply = provider.handler(event, Context(seconds))
    assert reply["isBase64Encoded"] is False
    headers = {name.lower(): value for name, value in reply["headers"].items()}
    return Response(reply["statusCode"], headers, json.loads(reply["body"]), reply["body"])


def aimed_at(provider: Provider, event: Any, url: str) -> tuple[Any, dict[str, str]]:
    """Give a call and its environment, so that the service is looked for at this URL on loopback.

    What speaks HTTP is told by its base URL, anything else by the host and port of its setup.
    """
    if provider.base_urls:
        return event, {f"{provider.name.upper()}_BASE_URL": url}
    address = urlsplit(url)
    aimed = copy.deepcopy(event)
    aimed["setup"] |= {"host": address.hostname, "port": address.port}
    return aimed, {"INTEGRATIONS_ALLOWED_HOSTS": str(address.hostname)}
