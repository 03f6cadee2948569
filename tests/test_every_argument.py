"""No argument is silently dropped: a call in which one is another sends something else, or is refused, or is listed.

For each argument of each method, at every depth, two calls are made that differ in it alone. What counts is what
reaches the service, mail server or program. An argument that does nothing on purpose is an entry of docs/differences/
of the kind "ignored" that names it in `arguments`, as METHOD.ARGUMENT.

The other value is derived from the argument's schema. Where that cannot know better, the tests of the provider say it:

    OTHER_VALUES = {"search.language": "fr", "search.order": ({"sort_by": "date"}, "ascending")}

the second with what both calls need besides, so that the argument means something. What acts on the answer alone is
there too, and then it is what comes back that must be another:

    OF_THE_ANSWER = {"search.max_chars"}
"""

import importlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from devtools.pages import differences
from integrations import Provider
from integrations.pacing import slots
from integrations.provider import Method
from tests.support import upstream as script
from tests.support.calls import Response, post
from tests.support.ffmpeg import Recorder
from tests.support.mail import MailServer
from tests.support.sample import SETUP
from tests.support.sample import provider as sample
from tests.support.upstream import LOOPBACK, Request, Upstream
from tests.test_every_provider import METHODS, PROVIDERS, ROOT

Schema = dict[str, Any]
Path = tuple[str | int, ...]
Values = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An argument, the call that both calls are like, and the value that the second one has."""

    provider: Provider
    method: Method
    path: Path
    base: Values
    other: Any

    @property
    def name(self) -> str:
        """The case's name: METHOD.ARGUMENT, without the numbers of items."""
        return ".".join([self.method.name, *(str(part) for part in self.path if isinstance(part, str))])


# Which calls.


def cases() -> Iterator[Case]:
    for provider, method in METHODS:
        yield from of_method(provider, method)


def of_method(provider: Provider, method: Method) -> Iterator[Case]:
    schema = method.arguments.model_json_schema()
    names = _canonical(method)
    base = {names[name]: value for name, value in event_of(provider, method)["arguments"].items()}
    told = getattr(judged_by(provider), "OTHER_VALUES", {})
    for path, argument in _paths(schema, schema, base, ()):
        case = Case(provider, method, path, base, None)
        given = told.get(case.name)
        besides, other = given if isinstance(given, tuple) else ({}, given)
        with_besides = base | besides
        if given is None:
            other = another(_resolved(argument, schema), _at(with_besides, path), schema)
        yield Case(provider, method, path, with_besides, other)


def event_of(provider: Provider, method: Method) -> dict[str, Any]:
    """Give the example call that the project ships; for the sample there is none."""
    if provider is sample:
        return {"arguments": {"inner": {"flag": True}}, "setup": SETUP}
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{provider.name}.{method.name}.json").read_text())
    return event


def judged_by(provider: Provider) -> ModuleType:
    """Give the tests of a provider; those of the sample are the layer's own."""
    return importlib.import_module(
        "tests.support.sample" if provider is sample else f"tests.providers.test_{provider.name}"
    )


def _canonical(method: Method) -> dict[str, str]:
    """Give for each name that an argument may be sent under the one that its schema has."""
    properties = method.arguments.model_json_schema()["properties"]
    fields = method.argument_names
    by_field = {fields[name]: name for name in properties}
    return {name: by_field[field] for name, field in fields.items()}


def _paths(schema: Schema, whole: Schema, value: Any, path: Path) -> Iterator[tuple[Path, Schema]]:
    """Give each argument with its schema: those of the call, and those inside of what the example holds."""
    for name, inner in _resolved(schema, whole).get("properties", {}).items():
        place = (*path, name)
        yield place, inner
        inside = value.get(name) if isinstance(value, dict) else None
        resolved = _resolved(inner, whole)
        if resolved.get("type") == "array" and inside:
            yield from _paths(resolved.get("items", {}), whole, inside[0], (*place, 0))
        elif "properties" in resolved and inside:
            yield from _paths(resolved, whole, inside, place)


def _resolved(schema: Schema, whole: Schema) -> Schema:
    """Follow references, and of alternatives take the first that is not null."""
    for _ in range(10):
        if "$ref" in schema:
            schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(branch for branch in schema["anyOf"] if branch.get("type") != "null")
        else:
            break
    return schema


def _at(values: Any, path: Path) -> Any:
    for part in path:
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int):
            values = values[part] if part < len(values) else None
        else:
            return None
    return values


# Which other value.


def another(schema: Schema, value: Any, whole: Schema) -> Any:
    """Give a value of the schema that is not this one, nor the default where this one is left out."""
    value = schema.get("default") if value is None else value
    if "enum" in schema or "const" in schema:
        return next((member for member in schema.get("enum", [schema.get("const")]) if member != value), None)
    return _OF_TYPE[schema.get("type", "string")](schema, value, whole)


def _boolean(schema: Schema, value: Any, whole: Schema) -> Any:
    return not value


def _number(schema: Schema, value: Any, whole: Schema) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    near = value if isinstance(value, int | float) else low if low is not None else 1
    for candidate in (near + 1, near - 1, near + 2):
        within = (low is None or candidate > low or candidate == schema.get("minimum")) and (
            high is None or candidate < high or candidate == schema.get("maximum")
        )
        if candidate != value and within:
            return candidate
    return None


def _string(schema: Schema, value: Any, whole: Schema) -> Any:
    return f"{value or ''}x"


def _array(schema: Schema, value: Any, whole: Schema) -> Any:
    items = _resolved(schema.get("items", {}), whole)
    if value and len(value) > schema.get("minItems", 0):
        return value[:-1] or [another(items, value[0], whole)]
    if value:
        return [another(items, value[0], whole), *value[1:]]
    return [another(items, None, whole)]


def _object(schema: Schema, value: Any, whole: Schema) -> Any:
    required = schema.get("required", list(schema.get("properties", {}))[:1])
    made = {
        name: another(_resolved(inner, whole), _at(value, (name,)), whole)
        for name, inner in schema.get("properties", {}).items()
        if name in required
    }
    return made or {**(value or {}), "another": 1}


_OF_TYPE: dict[str, Callable[[Schema, Any, Schema], Any]] = {
    "boolean": _boolean,
    "integer": _number,
    "number": _number,
    "string": _string,
    "array": _array,
    "object": _object,
}


# What is sent.


@dataclass
class Observer:
    """Makes calls, and tells what each of them has sent."""

    upstream: Upstream
    mail_server: Callable[..., MailServer]
    recorder: Callable[..., Recorder]
    monkeypatch: pytest.MonkeyPatch

    def call(self, provider: Provider, method: Method, arguments: Values) -> tuple[Response, list[Any]]:
        slots.forget()
        event = event_of(provider, method)
        body = {"arguments": arguments} | ({"setup": event["setup"]} if "setup" in event else {})
        if provider.base_urls:
            return self._over_http(provider, method, body)
        return self._by_mail(provider, method, body) if provider.setup else self._by_program(provider, method, body)

    def _over_http(self, provider: Provider, method: Method, body: Values) -> tuple[Response, list[Any]]:
        example = getattr(judged_by(provider), "EXAMPLE", None) or script.json(
            getattr(judged_by(provider), "ANSWER", {})
        )
        self.upstream.route(example if callable(example) else lambda _: example)
        self.monkeypatch.setenv(f"{provider.name.upper()}_BASE_URL", self.upstream.url)
        # Files of the example calls may be where nobody is asked by a test; this host may be.
        self.monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
        self.upstream.requests.clear()
        reply = post(provider, body, method=method.name)
        # What is asked for in parallel comes in no order.
        return reply, sorted((_seen(request) for request in self.upstream.requests), key=repr)

    def _by_mail(self, provider: Provider, method: Method, body: Values) -> tuple[Response, list[Any]]:
        server = self.mail_server()
        body["setup"] = {"host": LOOPBACK, "port": server.port, "security": "none"}
        reply = post(provider, body, method=method.name)
        return reply, [(mail.sender, mail.recipients, _without_chance(mail.data)) for mail in server.received]

    def _by_program(self, provider: Provider, method: Method, body: Values) -> tuple[Response, list[Any]]:
        stand_in = self.recorder()
        for path in stand_in.folder.glob("told-*"):
            path.unlink()
        reply = post(provider, body, method=method.name)
        return reply, [(told["argv"], told["input"]) for told in stand_in.told]


def _seen(request: Request) -> Any:
    """Give a request without what is of the connection or of chance, such as the boundary of a form."""
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    found = re.search(r"boundary=([^;]+)", headers.get("content-type", ""))
    body = request.body
    if found:
        headers["content-type"] = headers["content-type"].replace(found[1], "BOUNDARY")
        body = body.replace(found[1].encode(), b"BOUNDARY")
    return request.method, request.target, headers, body


def _without_chance(mail: bytes) -> bytes:
    for boundary in re.findall(rb'boundary="([^"]+)"', mail):
        mail = mail.replace(boundary, b"BOUNDARY")
    return re.sub(rb"(?m)^(?:Date: .*|Message-ID: <[^@]*)", b"", mail)


@pytest.fixture
def observer(
    upstream: Upstream,
    mail_server: Callable[..., MailServer],
    recorder: Callable[..., Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> Observer:
    return Observer(upstream, mail_server, recorder, monkeypatch)


# The walk.


CASES = list(cases())
IGNORED = {
    f"{provider}.{argument}"
    for provider, path in differences.files().items()
    for entry in differences.entries(path)
    if entry["kind"] == "ignored"
    for argument in entry.get("arguments", ())
}


# Arguments of which every other value is refused, with the reason.
REFUSED: dict[str, str] = {}


def test_every_argument_is_walked() -> None:
    walked = {(case.provider.name, case.method.name, case.path[0]) for case in CASES}
    for provider, method in METHODS:
        for name in method.arguments.model_json_schema()["properties"]:
            assert (provider.name, method.name, name) in walked
    assert {provider.name for provider in PROVIDERS} == {name for name, _, _ in walked}


def test_what_is_listed_is_there() -> None:
    names = {f"{case.provider.name}.{case.name}" for case in CASES}
    assert names >= IGNORED
    for provider in PROVIDERS:
        module = judged_by(provider)
        listed = {*getattr(module, "OTHER_VALUES", ()), *getattr(module, "OF_THE_ANSWER", ())}
        assert {f"{provider.name}.{name}" for name in listed} <= names


@pytest.mark.parametrize("case", CASES, ids=[f"{case.provider.name}.{case.name}" for case in CASES])
def test_an_argument_changes_what_is_sent(observer: Observer, case: Case) -> None:
    assert case.other is not None, f"OTHER_VALUES of its tests must say another value for {case.name}"
    reply, sent = observer.call(case.provider, case.method, case.base)
    _, same = observer.call(case.provider, case.method, case.base)
    assert sent, f"the example call sends nothing: {reply.text}"
    assert sent == same, "the same call sends the same"
    other, changed = observer.call(case.provider, case.method, _with(case.base, case.path, case.other))
    ignored = f"{case.provider.name}.{case.name}" in IGNORED
    refused = other.status == 422 and other.body["code"] in ("invalid_arguments", "url_denied", "command_denied")
    if refused and changed == []:
        # A value that is refused shows that it is looked at, and not that it does anything: so only where all are.
        assert f"{case.provider.name}.{case.name}" in REFUSED, (
            f"{other.text}: say a value that is taken in OTHER_VALUES"
        )
        return
    if case.name in getattr(judged_by(case.provider), "OF_THE_ANSWER", ()):
        assert (other.status, changed) == (200, sent)
        assert other.body != reply.body
        return
    told = f"{case.name} = {case.other!r} {'changes' if ignored else 'does not change'} what is sent"
    assert (changed == sent) is ignored, f"{told}: {other.text[:500]}"


def test_an_argument_that_is_dropped_is_found(observer: Observer) -> None:
    """Of the sample's method `read` the argument `inner` goes nowhere, and `limit` is sent."""
    found = {case.name: case for case in of_method(sample, sample.methods["read"])}
    assert {"read.query", "read.limit", "read.inner", "read.inner.flag", "read.inner.ratio"} <= found.keys()
    test_an_argument_changes_what_is_sent(observer, found["read.limit"])
    for name in ("read.inner", "read.inner.flag", "read.inner.ratio"):
        with pytest.raises(AssertionError, match="does not change what is sent"):
            test_an_argument_changes_what_is_sent(observer, found[name])


def _with(values: Any, path: Path, other: Any) -> Any:
    """Give the values with another one at this place."""
    if not path:
        return other
    head, rest = path[0], path[1:]
    if isinstance(values, list) and isinstance(head, int):
        return [*values[:head], _with(values[head], rest, other), *values[head + 1 :]]
    return {**values, head: _with(values.get(head), rest, other)}
