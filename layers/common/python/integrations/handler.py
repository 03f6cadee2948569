"""Event in, call, event out, for every AWS caller.

* HTTP API (payload 2.0) and Function URL: the body is the call, the path names the method; the answer is a response.
* Step Functions, direct invoke, Scheduler: the event is the call; the output is returned, an error is raised.
* EventBridge: `detail` is the call; as above.
"""

import base64
import json
import math
import os
import re
import sys
import time
import uuid
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import BaseModel, ConfigDict, StrictStr, ValidationError
from pydantic_core import from_json

from integrations import findings
from integrations.errors import (
    Forbidden,
    IntegrationError,
    InternalError,
    InvalidArguments,
    InvalidRequest,
    InvalidSetup,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    ResponseTooLarge,
    UnknownMethod,
)
from integrations.execution import Call, execute
from integrations.http import Meter
from integrations.observability import record
from integrations.plain import NotPlain, check, parse_request
from integrations.redaction import MASK, forms

if TYPE_CHECKING:
    from integrations.provider import Method, Output, Provider

MAX_BODY = 1_048_576  # bytes
MAX_BODY_WITH_FILES = 6 * 1_048_576  # what Lambda itself takes
MAX_RESPONSE = 6_200_000  # bytes of the 6,291,556 that Lambda returns, the rest being the headers

# Characters of a secret that is masked in an output. A shorter one may be a word of the user's own data.
SHORTEST_SECRET = 12

# What stays for the reply and the log line after the last byte from the service, in seconds.
RESERVE = 1.5
# API Gateway gives up at 30 s whatever the function's own timeout is; a caller without a clock gets the same.
LONGEST = 27.0

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_SCOPE = re.compile(r"[a-z0-9_*?]{1,64}\.[a-z0-9_*?]{1,64}")  # as the authorizer hands it over


def handle(provider: "Provider", event: Any, context: Any) -> Any:
    """Answer one event: an HTTP event with a response, any other with the output or by raising."""
    started = time.perf_counter()
    vars(sys).pop("tracebacklimit", None)  # what an earlier error left behind, see _raise
    http = _is_http(event)
    correlation_id = _correlation_id_of_http(event) if http else _correlation_id(event, context)
    meter, text = Meter(), ""
    secrets: list[str] = []
    method: Method | None = None
    error: IntegrationError | None = None
    fault: Exception | None = None
    try:
        deadline = _deadline(context)
        scopes = _scopes(event) if http else None
        call = event if http else _call_of_event(event)
        method = _method(provider, _method_of_route(provider, event) if http else _method_of_call(call), scopes)
        _check_scopes(provider, method, scopes)
        body = _read_http(method, event) if http else _read_call(call)
        output, secrets = execute(provider, method, body.call(deadline, over_http=http), meter)
        text = _text(output)
    except IntegrationError as raised:
        error = raised
    except Exception as raised:  # noqa: BLE001  # the last resort: the caller gets a problem, the log the place
        fault = raised
        error = InternalError("A fault of this bundle; its log has the place under the correlation id.")
    total = time.perf_counter() - started
    facts = {
        "provider": provider.name,
        "method": method.name if method else "unknown",
        "correlation_id": correlation_id,
        "own_setup": meter.own_setup,
        "function_request_id": getattr(context, "aws_request_id", None),
        "attempts": meter.attempts,
        "upstream_status": error.upstream_status if error else None,
    }
    record(facts, error.code if error else "ok", total, fault)
    if error:
        error.explain(provider.name, method, correlation_id)
        if not http:
            _raise(error)
    text = _without(secrets, text)
    return _response(text, error, correlation_id, meter, total) if http else from_json(text)


class _Body(BaseModel):
    """The body of a call. Null is the same as absent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    arguments: dict[str, Any] | None = None
    setup: dict[str, Any] | None = None
    connection: StrictStr | None = None

    def call(self, deadline: float, *, over_http: bool) -> Call:
        return Call(self.arguments or {}, self.setup, self.connection, deadline, over_http)


class _Event(_Body):
    """The call as an event: the method is named in it, not in a path."""

    method: StrictStr | None = None


def _deadline(context: Any) -> float:
    """Give the moment on the monotonic clock by which the service must have answered."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 - RESERVE if remaining else LONGEST
    return time.monotonic() + min(seconds, LONGEST)


def _is_http(event: Any) -> bool:
    context = event.get("requestContext") if isinstance(event, dict) else None
    return isinstance(context, dict) and event.get("version") == "2.0" and isinstance(context.get("http"), dict)


def _method(provider: "Provider", name: str | None, scopes: tuple[str, ...] | None) -> "Method":
    """Give the method of that name, or the default one. Raise UnknownMethod, which names what the caller may call."""
    method = provider.methods.get(provider.default_method if name is None else name)
    if method is None:
        held = [known for known in provider.methods if _holds(scopes, provider, known)]
        if not held:
            raise _out_of_scope(f"any method of {provider.name}", f"{provider.name}.*")
        raise UnknownMethod(f"{provider.name} has no method of that name; it has: {', '.join(held)}.")
    return method


def _scopes(event: dict[str, Any]) -> tuple[str, ...] | None:
    """Give the scopes that the authorizer handed over, as globs on `provider.method`; None is everything.

    Other callers have no such context: API Gateway and Function URLs with IAM, and everybody who invokes directly.
    Raise Forbidden where there is one that cannot be read.
    """
    authorizer = event["requestContext"].get("authorizer") or {}
    context = authorizer.get("lambda") if isinstance(authorizer, dict) else authorizer
    if context is None or (isinstance(context, dict) and "scopes" not in context):
        return None
    given = context["scopes"] if isinstance(context, dict) else None
    scopes = tuple(given.split(" ")) if isinstance(given, str) else ()
    if not scopes or not all(map(_SCOPE.fullmatch, scopes)):
        raise Forbidden("The scopes of this API key cannot be read; have one made with `integrations keys create`.")
    return scopes


def _check_scopes(provider: "Provider", method: "Method", scopes: tuple[str, ...] | None) -> None:
    """Raise Forbidden where the API key does not hold the method."""
    if not _holds(scopes, provider, method.name):
        name = f"{provider.name}.{method.name}"
        raise _out_of_scope(name, name)


def _holds(scopes: tuple[str, ...] | None, provider: "Provider", method: str) -> bool:
    return scopes is None or any(fnmatchcase(f"{provider.name}.{method}", scope) for scope in scopes)


def _out_of_scope(what: str, scope: str) -> Forbidden:
    return Forbidden(
        f"The scopes of this API key do not hold {what}; "
        f"have one made that does, with `integrations keys create --scope '{scope}'`."
    )


def _read_http(method: "Method", event: dict[str, Any]) -> _Body:
    """Read a call off an HTTP API or Function URL event."""
    body, in_base64 = event.get("body") or "", event.get("isBase64Encoded")
    if not isinstance(body, str):
        raise InvalidRequest("The body is not text.")
    limit = MAX_BODY_WITH_FILES if method.files else MAX_BODY
    if len(body) > (4 * math.ceil(limit / 3) if in_base64 else limit):  # before any work is done on it
        raise _too_large(limit)
    try:
        raw = base64.b64decode(body, validate=True) if in_base64 else body.encode()
    except ValueError:
        raise InvalidRequest("The body is not text in UTF-8.") from None
    if len(raw) > limit:
        raise _too_large(limit)
    try:
        data = parse_request(raw) if raw.strip() else {}
    except NotPlain as fault:
        raise _not_plain(fault) from None
    return _body(data, _Body)


def _call_of_event(event: Any) -> Any:
    """Give the call that is the event itself, or the `detail` of an EventBridge event."""
    data = event["detail"] if isinstance(event, dict) and "detail" in event else event
    if not isinstance(data, str):
        return data
    try:  # a schedule without an input of its own sends the text "{}"
        return parse_request(data.encode("utf-8", "surrogatepass"))
    except NotPlain as fault:
        raise _not_plain(fault) from None


def _method_of_call(call: Any) -> str | None:
    """Name the method, as far as the call is in order; what is not is told when it is read."""
    name = call.get("method") if isinstance(call, dict) else None
    return name if isinstance(name, str) else None


def _read_call(call: Any) -> _Body:
    """Read a call off what an event holds."""
    try:
        check(call)
    except NotPlain as fault:
        raise _not_plain(fault) from None
    return _body(call, _Event)


def _body(data: Any, model: type[_Body]) -> _Body:
    if not isinstance(data, dict):
        raise InvalidRequest('A call is an object: {"arguments": {...}, "setup": {...}, "connection": "..."}.')
    try:
        body = model.model_validate(data)
    except ValidationError as invalid:
        found = findings.of_validation(invalid)
        raise _by_place(found)(findings.sentence(found), errors=found) from None
    if body.setup is not None and body.connection is not None:
        found = [findings.finding(["setup"], "exclusive", "Not together with a connection")]
        raise InvalidRequest(findings.sentence(found), errors=found)
    return body


def _not_plain(fault: NotPlain) -> IntegrationError:
    """Give the error of data that no call can hold. What is not JSON at all is a bad request, wherever it is."""
    found = findings.of_text(fault)
    kind = InvalidRequest if fault.malformed else _by_place(found)
    return kind(findings.sentence(found), errors=found)


def _by_place(found: list[findings.Finding]) -> type[IntegrationError]:
    """Choose the error by the part of the call that is at fault."""
    place = found[0]["loc"][0] if found[0]["loc"] else None
    if place == "arguments":
        return InvalidArguments
    return InvalidSetup if place == "setup" else InvalidRequest


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {limit:,} bytes; send less.")


def _method_of_route(provider: "Provider", event: dict[str, Any]) -> str | None:
    """Name the method: API Gateway gives it as a path parameter, a Function URL only the path."""
    if event.get("routeKey") != "$default":
        name = (event.get("pathParameters") or {}).get("method")
        return name if name is None else str(name)
    if event["requestContext"]["http"].get("method") != "POST":
        raise MethodNotAllowed("A call is a POST.")
    path = [part for part in str(event.get("rawPath", "")).split("/") if part]
    if path[:2] == ["execute", provider.name]:
        path = path[2:]
    if len(path) > 1:
        raise NotFound(f"There is /execute/{provider.name} and /execute/{provider.name}/METHOD.")
    return path[0] if path else None


def _correlation_id_of_http(event: dict[str, Any]) -> str:
    """Take the caller's id if it is fit for a header and a log line, else API Gateway's."""
    headers = event.get("headers")
    headers = headers if isinstance(headers, dict) else {}
    # API Gateway writes names in lower case, that of `sam local start-api` in title case.
    sent = headers.get("x-correlation-id") or headers.get("X-Correlation-Id")
    for candidate in (sent, event["requestContext"].get("requestId")):
        if isinstance(candidate, str) and _CORRELATION_ID.fullmatch(candidate):
            return candidate
    return str(uuid.uuid4())


def _correlation_id(event: Any, context: Any) -> str:
    """Take the id of the EventBridge event, else of the invocation."""
    of_event = event.get("id") if isinstance(event, dict) and "detail-type" in event else None
    for candidate in (of_event, getattr(context, "aws_request_id", None)):
        if isinstance(candidate, str) and _CORRELATION_ID.fullmatch(candidate):
            return candidate
    return str(uuid.uuid4())


def _text(output: "Output") -> str:
    """Give the output as JSON. The runtime quotes it once more as a body, or spaces it out as a value."""
    text = output.model_dump_json(by_alias=True)
    if len(text) > MAX_RESPONSE / 7 and _size(text) > MAX_RESPONSE:  # seven: a character may take six bytes
        raise ResponseTooLarge(f"The output is larger than {MAX_RESPONSE:,} bytes on its way; ask for less.")
    return text


def _size(text: str) -> int:
    quoted = text.count('"') + text.count("\\")
    spaced = text.count(",") + text.count(":")
    return len(text.encode()) + max(quoted, spaced)


def _without(secrets: list[str], text: str) -> str:
    """Mask the secrets of this call's setup: a service may repeat what it was sent, and the setup may be stored."""
    for secret in secrets:
        for form in forms(secret) if len(secret) >= SHORTEST_SECRET else ():
            text = text.replace(form, MASK)
    return text


def _response(
    text: str, error: IntegrationError | None, correlation_id: str, meter: Meter, total: float
) -> dict[str, Any]:
    """Give the response in payload format 2.0."""
    headers = {
        "Content-Type": "application/problem+json" if error else "application/json",
        "X-Correlation-Id": correlation_id,
        "X-Attempts": str(meter.attempts),
        "Server-Timing": f"upstream;dur={_upstream_seconds(meter) * 1000:.1f}, total;dur={total * 1000:.1f}",
    }
    if error and error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = "POST"
    return {
        "statusCode": error.status if error else 200,
        "headers": headers,
        "body": json.dumps(error.problem) if error else text,
        "isBase64Encoded": False,
    }


def _upstream_seconds(meter: Meter) -> float:
    """Give the time in which at least one request was under way."""
    total, end = 0.0, 0.0
    for start, stop in sorted(meter.spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def _raise(error: IntegrationError) -> NoReturn:
    """Raise to the runtime, which turns the class name into the error name and the text into the message.

    The runtime client also copies the traceback, as far as `sys.tracebacklimit` lets it; callers get none.
    """
    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        sys.tracebacklimit = 0
    raise error.with_traceback(None) from None
