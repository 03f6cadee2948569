"""`integrations invoke`: one call, in this process or over HTTP."""

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic_core import from_json

from devtools.embedded_aws import EmbeddedAws
from devtools.errors import CommandError, UsageError
from devtools.local import Functions, prepare_environment
from devtools.project import TEMPLATE, find_provider, store_folder
from devtools.store import LocalStore
from devtools.template import read_routes
from integrations import IntegrationError
from integrations.redaction import redact

API_KEY = "INTEGRATIONS_API_KEY"
# What API Gateway waits for a function, and a little for the way.
HTTP_TIMEOUT = 35.0


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for: a provider, and the event of a direct invocation."""

    provider: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be printed, and whether it is a failure."""

    text: str
    failed: bool


def read_call(target: str, pairs: tuple[str, ...], event: bytes | None, connection: str | None) -> Call:
    """Read the command line: `target` is PROVIDER[.METHOD], `pairs` are KEY=VALUE, `event` is the text of a file."""
    provider, _, method = target.partition(".")
    call = _read_event(event) if event is not None else {}
    if method:
        call["method"] = method
    if connection is not None:
        call["connection"] = connection
    if pairs:
        arguments = call.get("arguments") or {}
        if not isinstance(arguments, dict):
            raise UsageError("`arguments` of the event is not an object, so -a cannot add to it.")
        call["arguments"] = arguments | dict(map(_pair, pairs))
    return Call(provider, call)


def _read_event(text: bytes) -> dict[str, Any]:
    try:
        event = from_json(text)
    except ValueError:
        raise UsageError("The event is not JSON.") from None
    if not isinstance(event, dict):
        raise UsageError('The event is not an object: {"arguments": {...}, "setup": {...}, "connection": "..."}.')
    return event


def _pair(pair: str) -> tuple[str, Any]:
    name, equals, text = pair.partition("=")
    if not (name and equals):
        raise UsageError("An argument is KEY=VALUE, as in -a query=Lovelace.")
    if text.startswith("@"):
        return name, _content(Path(text[1:]), name)
    try:
        return name, from_json(text, allow_inf_nan=False)
    except ValueError:
        return name, text


def _content(path: Path, name: str) -> str:
    """Give a file as an argument takes it: text as it is, anything else in base64."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: the file {path} cannot be read ({error.strerror}).") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()


def in_process(call: Call) -> Outcome:
    """Run the provider's handler here. Its log goes to standard error."""
    _prepare(call)
    route = next((route for route in read_routes(TEMPLATE) if route.function.name == call.provider), None)
    if route is None:
        raise CommandError(f"template.yaml does not have {call.provider} yet; run `integrations sync`.")
    try:
        output = Functions().run(route.function, call.event)
    except IntegrationError as error:
        return Outcome(pretty(error.problem), failed=True)
    return Outcome(pretty(output), failed=False)


def _prepare(call: Call) -> None:
    """Set this process up as `serve` does; the embedded AWS takes a second and is started where it is asked."""
    prepare_environment(None)
    takes_setup = find_provider(call.provider).setup is not None
    store = LocalStore(store_folder())
    named = call.event.get("connection") is not None
    stored = takes_setup and not call.event.get("setup") and store.get(f"{call.provider}/default")
    if named or stored:
        prepare_environment(EmbeddedAws(store).url)


def over_http(url: str, call: Call) -> Outcome:
    """Post the call to a server."""
    key = os.environ.get(API_KEY)
    if not key:
        raise UsageError(f"--url needs an API key: set {API_KEY} to ID.SECRET, as `serve` or `keys create` printed it.")
    return post(url, key, call)


def post(url: str, key: str, call: Call) -> Outcome:
    """Post the call with this key to the server at `url`. Raise CommandError where it does not answer."""
    body = dict(call.event)
    method = body.pop("method", None)
    address = "/".join([url.rstrip("/"), "execute", call.provider, *([method] if method else [])])
    try:
        response = httpx.post(address, json=body, headers={"x-api-key": key}, timeout=HTTP_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(
            f"{redact(url)} did not answer ({type(error).__name__}); is it what `serve` prints, or a stack's ApiUrl?"
        ) from None
    try:
        text = pretty(response.json())
    except ValueError:
        text = response.text
    return Outcome(text, failed=not response.is_success)


def pretty(data: Any) -> str:
    """Write JSON as a person reads it."""
    return json.dumps(data, indent=2, ensure_ascii=False)
