"""API Gateway's HTTP API on a laptop: a request becomes an event of payload format 2.0, a result becomes a response.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from devtools.cors import Cors
from devtools.local import ACCOUNT, REGION, FunctionError, report_fault, within
from devtools.template import Function, Route, match

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# What Lambda takes as an event and as a response; API Gateway itself would take ten megabytes.
MAX_PAYLOAD = 6 * 1024 * 1024
# JSON may write a character of a body with six: what is smaller than this fits in any case.
SURELY_FITS = MAX_PAYLOAD // 7
PATIENCE = 30.0
"""Seconds that an HTTP API waits for a function."""
API_ID = "local"
DEFAULT_STAGE = "$default"

_TEXT = ("application/json", "application/javascript", "application/xml")

Event = dict[str, Any]
Run = Callable[[Function, Event], Any]


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Gateway:
    """A WSGI application that answers as the HTTP API does. `run` calls a function with an event.

    `stage` is the first part of every path unless it is `$default`, `cors` answers pages of other origins, `patience`
    is what a function may take, in seconds.
    """

    def __init__(
        self,
        routes: list[Route],
        run: Run,
        *,
        stage: str = DEFAULT_STAGE,
        cors: Cors | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._routes = routes
        self._run = run
        self._stage = stage
        self._cors = cors
        self._patience = patience

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        response = self._answer(environ)
        phrase = HTTPStatus(response.status).phrase if response.status in set(HTTPStatus) else "Unknown"
        headers = [pair for pair in response.headers if pair[0].lower() != "content-length"]
        if self._cors:
            headers = self._cors.answered(headers, _preflight(environ), environ.get("HTTP_ORIGIN"))
        if response.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers.append(("content-length", str(len(response.body))))
        start_response(f"{response.status} {phrase}", headers)
        return [b""] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    def _answer(self, environ: "WSGIEnvironment") -> Response:
        body = environ["wsgi.input"].read(_length(environ))
        path = _path(environ)
        segments = [unquote(part) for part in path.removeprefix("/").split("/")]
        if self._stage != DEFAULT_STAGE:
            if segments[0] != self._stage:
                return _message(HTTPStatus.NOT_FOUND, "Not Found")
            segments = segments[1:] or [""]
        found = match(self._routes, environ["REQUEST_METHOD"], segments)
        if found is None:
            if self._cors and _preflight(environ):
                return Response(HTTPStatus.NO_CONTENT, [], b"")
            return _message(HTTPStatus.NOT_FOUND, "Not Found")
        route, values = found
        event = _event(environ, unquote(path), body, route.key, values, self._stage)
        if len(body) > SURELY_FITS and len(json.dumps(event)) > MAX_PAYLOAD:
            return _message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
        return self._refusal(route, event) or self._called(route.function, event)

    def _refusal(self, route: Route, event: Event) -> Response | None:
        """Ask the authorizer, if the route has one; what it hands over is put into the event."""
        if route.authorizer is None:
            return None
        try:
            verdict = self._run(route.authorizer, _question(event))
            allowed, context = verdict["isAuthorized"] is True, verdict.get("context")
        except Exception:  # noqa: BLE001  # whatever an authorizer raises, API Gateway answers this
            report_fault(route.authorizer)
            return _message(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
        if not allowed:
            return _message(HTTPStatus.FORBIDDEN, "Forbidden")
        event["requestContext"]["authorizer"] = {"lambda": context}
        return None

    def _called(self, function: Function, event: Event) -> Response:
        if function.timeout <= self._patience:  # `run` sees to it that it ends by then
            return self._response(function, event)
        try:
            answer: Response = within(self._patience, lambda: self._response(function, event))
        except FunctionError:
            return _message(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")
        return answer

    def _response(self, function: Function, event: Event) -> Response:
        try:
            return _response(self._run(function, event), event["requestContext"]["requestId"])
        except Exception:  # noqa: BLE001  # whatever a handler raises, API Gateway answers this
            report_fault(function)
            return _message(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")


def _preflight(environ: "WSGIEnvironment") -> bool:
    """Say whether a browser asks what a page may send."""
    asks = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ORIGIN" in environ
    return asks and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ


def _length(environ: "WSGIEnvironment") -> int:
    """Say how much of the body to read: all of it, and no more than shows that it is too large."""
    if environ.get("wsgi.input_terminated"):
        return MAX_PAYLOAD + 1
    declared = environ.get("CONTENT_LENGTH") or "0"
    return min(int(declared), MAX_PAYLOAD + 1) if declared.isdecimal() else 0


def _path(environ: "WSGIEnvironment") -> str:
    """Give the path as it was sent: WSGI's own is decoded, in which a quoted slash is lost."""
    target: str = environ["REQUEST_URI"].partition("?")[0]
    return "/" + target.partition("://")[2].partition("/")[2] if target.startswith(("http://", "https://")) else target


def _event(
    environ: "WSGIEnvironment", path: str, body: bytes, route_key: str, values: dict[str, str], stage: str
) -> Event:
    """Make the event. A member is absent, not null, where the request has nothing for it."""
    headers = _headers(environ)
    cookies = headers.pop("cookie", "")
    now = datetime.now(UTC)
    text = _as_text(body, headers.get("content-type", ""))
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": environ.get("QUERY_STRING", ""),
        "cookies": [cookie.strip() for cookie in cookies.split(";") if cookie.strip()],
        "headers": headers,
        "queryStringParameters": _joined(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": headers.get("host", ""),
            "domainPrefix": headers.get("host", "").partition(".")[0],
            "http": {
                "method": environ["REQUEST_METHOD"],
                "path": path,
                "protocol": environ["SERVER_PROTOCOL"],
                "sourceIp": environ["REMOTE_ADDR"],
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": secrets.token_urlsafe(11) + "=",
            "routeKey": route_key,
            "stage": stage,
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "pathParameters": values,
        "body": base64.b64encode(body).decode() if text is None else text,
        "isBase64Encoded": text is None,
    }
    absent = [name for name in ("cookies", "queryStringParameters", "pathParameters", "body") if not event[name]]
    return {name: value for name, value in event.items() if name not in absent}


def _headers(environ: "WSGIEnvironment") -> dict[str, str]:
    """Give the headers with lower-case names and those that API Gateway adds; repeated ones are joined by a comma."""
    sent = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    sent |= {name: environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    headers = {name.lower().replace("_", "-"): value for name, value in sent.items()}
    forwarded = [*filter(None, [headers.get("x-forwarded-for")]), environ["REMOTE_ADDR"]]
    return headers | {
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}",
        "x-forwarded-for": ", ".join(forwarded),
        "x-forwarded-port": environ["SERVER_PORT"],
        "x-forwarded-proto": "http",
    }


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _as_text(body: bytes, content_type: str) -> str | None:
    """Give the body as text, or None where it travels in base64, as a form does."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and not kind.startswith("text/") and kind not in _TEXT:
        return None if body else ""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _question(event: Event) -> Event:
    """Make the event of a REQUEST authorizer, payload format 2.0: the request without its body."""
    http = event["requestContext"]["http"]
    stage = event["requestContext"]["stage"]
    path = http["path"] if stage == DEFAULT_STAGE else http["path"].removeprefix(f"/{stage}")
    arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API_ID}/{stage}/{http['method']}{path}"
    rest = {name: value for name, value in event.items() if name not in ("version", "body", "isBase64Encoded")}
    return {"version": "2.0", "type": "REQUEST", "routeArn": arn, "identitySource": None, **rest}


def _response(result: Any, request_id: str) -> Response:
    """Read a function's result: a response, or anything else as the JSON body of one. Raise where it is neither."""
    if not (isinstance(result, dict) and "statusCode" in result):
        text = result if isinstance(result, str) else json.dumps(result)
        result = {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": text}
    body = result.get("body") or ""
    if len(body) > SURELY_FITS and len(json.dumps(result)) > MAX_PAYLOAD:
        raise FunctionError("Response payload size exceeded maximum allowed payload size (6291556 bytes).")
    headers = [(name.lower(), str(value)) for name, value in (result.get("headers") or {}).items()]
    headers += [("set-cookie", cookie) for cookie in result.get("cookies") or []]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    return Response(
        status=int(result["statusCode"]),
        headers=[*headers, ("apigw-requestid", request_id)],
        body=base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else body.encode(),
    )


def _message(status: HTTPStatus, message: str) -> Response:
    return Response(status, [("content-type", "application/json")], f'{{"message":"{message}"}}'.encode())
