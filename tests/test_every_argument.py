"""No argument is silently dropped: a call in which one is another sends something else, or is refused, or is listed.

For each argument of each method, at every depth, two calls are made that differ in it alone. What counts is what
reaches the service, mail server or program. An argument that does nothing on purpose is an entry of docs/differences/
of the kind "ignored" that names it in `arguments`, as METHOD.ARGUMENT.

The other value is derived from the argument's schema. Where that cannot know better, the tests of the provider say it:

    OTHER_VALUES = {"search.language": "fr", "search.order": ({"sort_by": "date"}, "ascending")}

the second with what both calls need besides, so that the argument means something. A name may go on inside of an
object whose members the schema does not name, `parse.params.language`: each of those is an argument too. What acts on
the answer alone is there too, and then it is what comes back that must be another:

    OF_THE_ANSWER = {"search.max_chars"}

What acts on neither, such as how long to wait, is there with the name of the test that shows what it does:

    OF_THE_WAIT = {"parse.check_interval": "test_how_often_a_job_is_asked_about"}

What no argument says is left out of the comparison: requests that the tests' `token` answers, which ask for one, and
what in a body is of the time, by a pattern:

    OF_THE_TIME = re.compile(rb'name="timestamp"\r\n\r\n[0-9]+')
"""

import importlib
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from devtools.pages import differences
from integrations import Arguments, Http, Output, Provider, Reply
from integrations.pacing import slots
from integrations.provider import Method
from tests.support import upstream as script
from tests.support.calls import Response, post
from tests.support.ffmpeg import Recorder
from tests.support.mail import MailServer
from tests.support.upstream import LOOPBACK, Request, Upstream
from tests.test_every_provider import METHODS, PROVIDERS, ROOT

Schema = dict[str, Any]
Path = tuple[str | int, ...]
Values = dict[str, Any]


@dataclass(frozen=True)
class Walked:
    """A method, the example call that the project ships, and where its tests say what a schema cannot."""

    provider: Provider
    method: Method
    event: dict[str, Any]
    tests: Any

    def told(self, name: str, otherwise: Any) -> Any:
        """Give what the tests say under this name."""
        return getattr(self.tests, name, otherwise)


@dataclass(frozen=True)
class Case:
    """An argument, the call that both calls are like, and the value that the second one has."""

    walked: Walked
    path: Path
    base: Values
    other: Any

    @property
    def name(self) -> str:
        """The case's name: METHOD.ARGUMENT, without the numbers of items."""
        return ".".join([self.walked.method.name, *(str(part) for part in self.path if isinstance(part, str))])

    @property
    def full_name(self) -> str:
        """The name with its provider's."""
        return f"{self.walked.provider.name}.{self.name}"


# Which calls.


def cases() -> Iterator[Case]:
    for provider, method in METHODS:
        event = json.loads((ROOT / "events" / f"{provider.name}.{method.name}.json").read_text())
        tests = importlib.import_module(f"tests.providers.test_{provider.name}")
        yield from of_method(Walked(provider, method, event, tests))


def of_method(walked: Walked) -> Iterator[Case]:
    schema = walked.method.arguments.model_json_schema()
    names = _canonical(walked.method)
    base = {names[name]: value for name, value in walked.event["arguments"].items()}
    told = walked.told("OTHER_VALUES", {})
    seen = set()
    for path, argument in _paths(schema, schema, base, ()):
        case = Case(walked, path, base, None)
        seen.add(case.name)
        given = told.get(case.name)
        besides, other = given if isinstance(given, tuple) else ({}, given)
        with_besides = base | besides
        if given is None:
            other = another(_resolved(argument, schema), _at(with_besides, path), schema)
        yield Case(walked, path, with_besides, other)
    for name, given in sorted(told.items()):
        method, *parts = name.split(".")
        if method == walked.method.name and name not in seen:
            besides, other = given if isinstance(given, tuple) else ({}, given)
            path = tuple(int(part) if part.isdigit() else part for part in parts)
            yield Case(walked, path, base | besides, other)


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

    def call(self, walked: Walked, arguments: Values) -> tuple[Response, list[Any]]:
        slots.forget()
        provider, method = walked.provider, walked.method
        body = {"arguments": arguments} | ({"setup": walked.event["setup"]} if "setup" in walked.event else {})
        if provider.base_urls:
            return self._over_http(walked, body)
        return self._by_mail(provider, method, body) if provider.setup else self._by_program(provider, method, body)

    def _over_http(self, walked: Walked, body: Values) -> tuple[Response, list[Any]]:
        provider, example = walked.provider, walked.tests.EXAMPLE
        self.upstream.route(example if callable(example) else lambda _: example)
        self.monkeypatch.setenv(f"{provider.name.upper()}_BASE_URL", self.upstream.url)
        # Files of the example calls may be where nobody is asked by a test; this host may be.
        self.monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
        self.upstream.requests.clear()
        reply = post(provider, body, method=walked.method.name)
        token, of_the_time = walked.told("token", lambda _: None), walked.told("OF_THE_TIME", None)
        told = [_seen(request, of_the_time) for request in self.upstream.requests if not token(request)]
        # What is asked for in parallel comes in no order.
        return reply, sorted(told, key=repr)

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


def _seen(request: Request, of_the_time: re.Pattern[bytes] | None) -> Any:
    """Give a request without what is of the connection, of chance or of the time, such as the boundary of a form."""
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    found = re.search(r"boundary=([^;]+)", headers.get("content-type", ""))
    body = request.body
    if found:
        headers["content-type"] = headers["content-type"].replace(found[1], "BOUNDARY")
        body = body.replace(found[1].encode(), b"BOUNDARY")
    return request.method, request.target, headers, of_the_time.sub(b"", body) if of_the_time else body


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
REFUSED = {
    f"llama_parse.{method}.params.ignore_errors": "a document that could not be read is an error, and no empty list"
    for method in ("parse", "submit")
}


def test_every_argument_is_walked() -> None:
    walked = {(case.walked.provider.name, case.walked.method.name, case.path[0]) for case in CASES}
    for provider, method in METHODS:
        for name in method.arguments.model_json_schema()["properties"]:
            assert (provider.name, method.name, name) in walked
    assert {provider.name for provider in PROVIDERS} == {name for name, _, _ in walked}


def test_what_is_listed_is_there() -> None:
    names = {case.full_name for case in CASES}
    assert names >= IGNORED
    assert names >= REFUSED.keys()
    for case in CASES:
        listed = [case.walked.told(name, ()) for name in ("OTHER_VALUES", "OF_THE_ANSWER", "OF_THE_WAIT")]
        plain = {re.sub(r"\.\d+", "", name) for name in itertools.chain(*listed)}
        assert {f"{case.walked.provider.name}.{name}" for name in plain} <= names
        assert all(hasattr(case.walked.tests, test) for test in case.walked.told("OF_THE_WAIT", {}).values())
        # What is inside of an object goes on from an argument that there is.
        assert case.path[0] in case.walked.method.argument_names


@pytest.mark.parametrize("case", CASES, ids=[case.full_name for case in CASES])
def test_an_argument_changes_what_is_sent(observer: Observer, case: Case) -> None:
    walk(observer, case, IGNORED)


def walk(observer: Observer, case: Case, ignored: Collection[str]) -> None:
    """Make the two calls, and assert that the argument does something, or nothing if it is one that is ignored."""
    assert case.other is not None, f"OTHER_VALUES of its tests must say another value for {case.name}"
    reply, sent = observer.call(case.walked, case.base)
    again, same = observer.call(case.walked, case.base)
    assert sent, f"the example call sends nothing: {reply.text}"
    # A program's stand-in notes what it is given, and makes nothing of it that could be read.
    good = (200,) if case.walked.provider.base_urls or case.walked.provider.setup else (200, 422)
    assert reply.status in good, reply.text
    assert again.status == reply.status
    assert sent == same, "the same call sends the same"
    other, changed = observer.call(case.walked, _with(case.base, case.path, case.other))
    if other.status == 422 and changed == []:
        # A value that is refused shows that it is looked at, and not that it does anything: so only where all are.
        assert case.full_name in REFUSED, f"{other.text}: say a value that is taken in OTHER_VALUES"
        return
    assert other.status in good, other.text
    told = f"{case.name} = {case.other!r}"
    if case.full_name in ignored:
        assert (changed, unlike(reply, other)) == (sent, False), f"{told} changes something, and is listed as ignored"
    elif case.name in case.walked.told("OF_THE_WAIT", ()):
        assert (changed, unlike(reply, other)) == (sent, False), f"{told} changes more than how long it takes"
    elif case.name in case.walked.told("OF_THE_ANSWER", ()):
        assert changed == sent, f"{told} changes what is sent"
        assert unlike(reply, other), f"{told} does not change what comes back"
    else:
        assert changed != sent, f"{told} does not change what is sent: {other.text[:500]}"


def unlike(one: Response, other: Response) -> bool:
    """Say whether two answers differ, but for the id that each message is given."""
    bodies = [{name: value for name, value in each.body.items() if name != "message_id"} for each in (one, other)]
    return bodies[0] != bodies[1]


# The walk itself: a provider that is deaf to some arguments, and what is found of it.


class Inner(Arguments):
    heard: int = Field(1, description="Is sent.")
    dropped: int = Field(1, description="Goes nowhere.")


class DeafArguments(Arguments):
    heard: str = Field("a", description="Is sent.")
    dropped: str = Field("a", description="Goes nowhere.")
    a_flag: bool = Field(default=False, description="Goes nowhere.")
    inner: Inner = Field(default_factory=Inner, description="Is sent in part.")
    options: dict[str, Any] = Field({}, description="Is sent in part.")
    of_the_answer: int = Field(1, description="Acts on the answer.")
    never_taken: Literal["a"] = Field("a", description="Takes one value alone.")


class DeafOutput(Output):
    said: str = Field(description="What came back.")


class Said(Reply):
    said: str


deaf = Provider(
    name="deaf", title="Deaf", url="https://example.com", docs="https://example.com", category="tests",
    base_url="https://api.example.com",
)  # fmt: skip


@deaf.method(read_only=True)
def listen(args: DeafArguments, http: Http) -> DeafOutput:
    """Send some of the arguments."""
    sent = {"heard": args.heard, "inner": args.inner.heard, "option": args.options.get("heard")}
    reply = http.post("/", json=sent, reply=Said)
    return DeafOutput(said=reply.said * args.of_the_answer)


class OfDeaf:
    """What the tests of that provider would say."""

    EXAMPLE = script.json({"said": "yes"})
    OTHER_VALUES: ClassVar[Values] = {
        "listen.options.heard": 1,
        "listen.options.dropped": 1,
        "listen.never_taken": "b",
    }
    OF_THE_ANSWER: ClassVar[set[str]] = {"listen.of_the_answer", "listen.a_flag"}


@pytest.fixture
def of_deaf() -> dict[str, Case]:
    event = {"arguments": {"heard": "a", "inner": {"heard": 1}}}
    return {case.name: case for case in of_method(Walked(deaf, deaf.methods["listen"], event, OfDeaf))}


NOT_SENT = "does not change what is sent"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("listen.dropped", NOT_SENT),
        ("listen.inner.dropped", NOT_SENT),
        ("listen.options.dropped", NOT_SENT),
        ("listen.a_flag", "does not change what comes back"),
        ("listen.never_taken", "say a value that is taken"),
    ],
)
def test_an_argument_that_is_dropped_is_found(
    observer: Observer, of_deaf: dict[str, Case], name: str, told: str
) -> None:
    with pytest.raises(AssertionError, match=told):
        walk(observer, of_deaf[name], ())


@pytest.mark.parametrize(
    "name", ["listen.heard", "listen.inner.heard", "listen.inner", "listen.options.heard", "listen.of_the_answer"]
)
def test_an_argument_that_does_something_passes_unless_it_is_listed(
    observer: Observer, of_deaf: dict[str, Case], name: str
) -> None:
    walk(observer, of_deaf[name], ())
    with pytest.raises(AssertionError, match="is listed as ignored"):
        walk(observer, of_deaf[name], {f"deaf.{name}"})


def test_an_argument_that_is_listed_passes_while_it_does_nothing(observer: Observer, of_deaf: dict[str, Case]) -> None:
    walk(observer, of_deaf["listen.dropped"], {"deaf.listen.dropped"})


def test_the_walk_over_the_deaf_is_whole(of_deaf: dict[str, Case]) -> None:
    assert of_deaf.keys() == {
        f"listen.{name}"
        for name in (
            "heard", "dropped", "a_flag", "inner", "inner.heard", "inner.dropped", "options", "options.heard",
            "options.dropped", "of_the_answer", "never_taken",
        )
    }  # fmt: skip


def _with(values: Any, path: Path, other: Any) -> Any:
    """Give the values with another one at this place."""
    if not path:
        return other
    head, rest = path[0], path[1:]
    if isinstance(values, list) and isinstance(head, int):
        return [*values[:head], _with(values[head], rest, other), *values[head + 1 :]]
    inside = values or {}
    return {**inside, head: _with(inside.get(head), rest, other)}
