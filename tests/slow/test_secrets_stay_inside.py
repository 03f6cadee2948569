"""No credential leaves the process but to its service: not in logs, replies or errors, whatever goes wrong.

Every credential field of every provider is given a canary, and every call is made with logs at DEBUG, once over HTTP
with the setup in the call and once directly with a stored one, against services that fail in each way and repeat
everything they were sent. Searched for is the canary in each form that it can travel in.
"""

import base64
import importlib
import io
import json
import logging
import ssl
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
import trustme
from pydantic import SecretStr

from integrations import IntegrationError, Provider
from integrations.egress import tls_context
from integrations.observability import logger
from integrations.provider import Method
from integrations.setup import resolve
from tests.support import mail
from tests.support import upstream as script
from tests.support.aws import Secrets
from tests.support.calls import RESERVE, Context, aimed_at, http_event
from tests.support.mail import ScriptedServer
from tests.support.upstream import LOOPBACK, Message, Reply, Request, Upstream, refused_url, server_context

ROOT = Path(__file__).parents[2]
PROVIDERS: list[Provider] = [
    importlib.import_module(f"functions.{path.parent.name}.provider").provider
    for path in sorted(ROOT.glob("functions/*/provider.py"))
]


def credentials(provider: Provider) -> list[str]:
    """Name the fields of the setup that are secret."""
    fields = provider.setup.model_fields if provider.setup else {}
    return [name for name, info in fields.items() if SecretStr.__name__ in repr(info.annotation)]


METHODS = [
    (provider, method) for provider in PROVIDERS if credentials(provider) for method in provider.methods.values()
]
OVER_HTTP = [case for case in METHODS if case[0].base_urls]
OVER_SMTP = [case for case in METHODS if not case[0].base_urls]


def names(cases: list[tuple[Provider, Method]]) -> list[str]:
    return [f"{provider.name}.{method.name}" for provider, method in cases]


# The canary holds what each encoding writes in another way, and is found by a part that none of them changes.
MARK = "cAnArY0f7e3b9d"


def canary(name: str) -> str:
    """Give the value of a credential field."""
    return f'{name}/+="&%\\~{MARK}{len(name):02}'


def traces(text: str) -> list[str]:
    """Name the encodings in which a canary, or the part that marks it, is in the text."""
    folded = text.lower()
    raw = MARK.encode()
    cores = {
        f"base64 at {shift}": base64.b64encode(bytes(shift) + raw).decode()[(0, 2, 3)[shift] : -4] for shift in range(3)
    }
    looked_for = {"plain": MARK, "hex": raw.hex(), **cores}
    return [name for name, form in looked_for.items() if (form if "base64" in name else form.lower()) in
            (text if "base64" in name else folded)]  # fmt: skip


def encoded(value: str) -> dict[str, str]:
    """Give a value in the encodings that `traces` must find."""
    return {
        "plain": value,
        "json": json.dumps(json.dumps(value)),
        "url": quote(value, safe=""),
        "form": quote_plus(value),
        "base64": base64.b64encode(value.encode()).decode(),
        "base64url of user:password": base64.urlsafe_b64encode(f"someone:{value}".encode()).decode(),
        "hex": value.encode().hex(),
    }


@pytest.mark.parametrize("form", encoded("x"))
def test_the_search_finds_a_canary_in_each_encoding(form: str) -> None:
    for name in ("key", "token", "api_key", "password"):
        assert traces(f"before {encoded(canary(name))[form]} after"), name
    assert not traces("before and after")


@dataclass
class Heard:
    """Everything that left the process by another way than to the service."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, where: str, text: str) -> None:
        self.texts[where] = self.texts.get(where, "") + text

    def check(self) -> None:
        assert {where: found for where, text in self.texts.items() if (found := traces(text))} == {}


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Give what all loggers write at DEBUG, but those of the peers, which run in this process too."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(lambda record: record.name.partition(".")[0] not in ("werkzeug", "moto", "mail"))
    root, ours = logging.getLogger(), logger.log_level
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logger.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)
    logger.setLevel(ours)


SECONDS = RESERVE + 0.6  # so that a service which hangs, and one that is asked again, does not take longer
LONGER = 15.0  # for an answer that comes at once, in as many requests as it takes


@dataclass
class Calls:
    """Makes the same call in two ways, and keeps what can be seen of it from outside."""

    secrets: Secrets
    logs: io.StringIO
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    seconds: float = SECONDS

    def make(
        self, provider: Provider, method: Method, url: str, *, seconds: float | None = None, **setup: Any
    ) -> list[str]:
        """Call with canaries; give the code of each answer, `ok` where it was none."""
        tests = module_of(provider)
        # What asks for a token signs for it first.
        self.seconds = seconds or SECONDS + (0.4 if hasattr(tests, "token") else 0)
        event, environment = aimed_at(provider, example(provider, method), url)
        for name, value in environment.items():
            self.monkeypatch.setenv(name, value)
        sent = event["setup"] | {name: credential(provider, name) for name in credentials(provider)} | setup
        self.store(f"{provider.name}/default", {"setup": sent})
        # On a busy machine these take longer to make than the service is given, and nothing would be asked.
        tls_context("http/1.1")
        resolve(provider, None, None)
        for package in getattr(tests, "LOADED_LATE", ()):
            importlib.import_module(package)
        heard = Heard()
        codes = [
            self.over_http(provider, {**event, "setup": sent}, heard),
            self.directly(provider, {**event, "setup": None}, heard),
        ]
        heard.add("logs", self.logs.getvalue())
        heard.add("output", "".join(self.capture.readouterr()))
        heard.check()
        assert '"outcome":' in heard.texts["output"], "the log is not where it is looked for"
        return codes

    def store(self, name: str, value: Any) -> None:
        """Store a connection. What the client that does it here writes at DEBUG is not looked at."""
        self.secrets.put(name, value)
        self.logs.seek(0)
        self.logs.truncate()

    def over_http(self, provider: Provider, event: dict[str, Any], heard: Heard) -> str:
        body = {name: event[name] for name in ("arguments", "setup")}
        reply = provider.handler(http_event(provider, body, method=event["method"]), Context(self.seconds))
        heard.add("reply", json.dumps(reply))
        heard.add("reply's body", reply["body"])
        return str(json.loads(reply["body"]).get("code", "ok"))

    def directly(self, provider: Provider, event: dict[str, Any], heard: Heard) -> str:
        try:
            heard.add("output of the call", json.dumps(provider.handler(event, Context(self.seconds))))
        except IntegrationError as error:
            heard.add("error", f"{error} {error!r} {vars(error)} {''.join(traceback.format_exception(error))}")
            return error.code
        return "ok"


@pytest.fixture
def calls(
    secrets: Secrets, logs: io.StringIO, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Calls:
    return Calls(secrets, logs, capfd, monkeypatch)


def example(provider: Provider, method: Method) -> dict[str, Any]:
    """Give the example of a call that the project ships."""
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{provider.name}.{method.name}.json").read_text())
    return event


def credential(provider: Provider, name: str) -> str:
    """Give a credential with the canary in it, which is the canary itself where the provider's tests say nothing else.

    A key file is one that is something else: with nothing but a canary in it no call gets as far as the service.
    """
    written: Callable[[str], str] = getattr(module_of(provider), "credential", str)
    return written(canary(name))


def test_there_are_credentials_to_look_for() -> None:
    assert {provider.name for provider, _ in METHODS} >= {"algolia", "email"}


# Services that speak HTTP.


def mirrored(request: Request) -> str:
    """Give all that came with a request, in words and in two encodings."""
    headers = " ".join(f"{name}: {value}" for name, value in request.headers.items())
    words = f"{request.method} {request.target} {headers} {request.body.decode('utf-8', 'replace')}"
    whole = " ".join([*request.headers.values(), request.target])
    return f"{words} {quote(whole)} {base64.b64encode(whole.encode()).decode()} {whole.encode().hex()}"


def one_line(request: Request) -> str:
    return quote(mirrored(request), safe="/+= ")[:4000]


def failing(status: int, **headers: str) -> Callable[[Request], Reply]:
    return lambda request: script.json({"message": mirrored(request), "error": {"message": mirrored(request)}}, status,
                                       headers)  # fmt: skip


TOO_LARGE = 8_000_000  # bytes: more than Lambda can return, so more than any provider takes

FAULTS: dict[str, Callable[[Request], Reply]] = {
    **{f"status {status}": failing(status) for status in (400, 401, 402, 403, 404, 409, 422, 500, 502, 503)},
    "rate limit": failing(429, **{"retry-after": "3600"}),
    "rate limit, Retry-After repeats": lambda request: failing(429, **{"retry-after": one_line(request)})(request),
    "unauthorized, the challenge repeats": lambda request: failing(
        401, **{"www-authenticate": f'Basic realm="{one_line(request)}"'}
    )(request),
    "text": lambda request: script.text(mirrored(request)),
    "page": lambda request: script.html(f"<h1>{mirrored(request)}</h1>"),
    "other JSON": lambda request: script.json({"said": mirrored(request)}),
    "text for every field": lambda request: script.json([mirrored(request)]),
    "half of a JSON": lambda request: script.half_json({"said": mirrored(request), "more": mirrored(request)}),
    "redirect": lambda request: script.redirect(f"/elsewhere?{one_line(request)}"),
    "redirect away": lambda request: script.redirect(f"https://example.invalid/?{one_line(request)}", 307),
    "content type repeats": lambda request: script.content(b"{}", one_line(request)),
    "coding repeats": lambda request: script.json({}, headers={"content-encoding": one_line(request)}),
    "status line repeats": lambda request: script.raw(f"HTTP/1.1 500 {one_line(request)}\r\n\r\n".encode()),
    "no HTTP": lambda request: script.raw(mirrored(request).encode()),
    "header without an end": lambda request: script.raw(b"HTTP/1.1 200 OK\r\n" + mirrored(request).encode()),
    "length is wrong": lambda request: script.short_body(script.json({"said": mirrored(request)})),
    "body too large": lambda request: script.json(
        {"said": mirrored(request) * (TOO_LARGE // len(mirrored(request)) + 1)}
    ),
    "gzip is none": lambda request: script.content(
        mirrored(request).encode(), "application/json", headers={"content-encoding": "gzip"}
    ),
    "reset": lambda request: script.reset_mid_body(script.json({"said": mirrored(request)})),
    "closed": lambda _: script.close_before_reply(),
    "hangs": lambda _: script.hang(),
    "hangs in the body": lambda request: script.hang_body(script.json({"said": mirrored(request)})),
}

over_http = pytest.mark.parametrize(("provider", "method"), OVER_HTTP, ids=names(OVER_HTTP))

# What a method may make something of itself: refusals, and bodies that are read. What is behind the other faults, the
# connection and the headers, is the same for all methods of a provider, so one of them meets every fault.
OF_EVERY_METHOD = {
    "status 400", "status 401", "status 403", "status 404", "status 422", "text", "other JSON", "text for every field",
    "half of a JSON",
}  # fmt: skip


def faulty() -> Iterator[tuple[Provider, Method, str]]:
    met = set()
    for provider, method in OVER_HTTP:
        without: Collection[str] = getattr(module_of(provider), "WITHOUT_CREDENTIALS", ())
        first = provider.name not in met and method.name not in without
        met |= {provider.name} if first else set()
        yield from ((provider, method, fault) for fault in FAULTS if first or fault in OF_EVERY_METHOD)


def module_of(provider: Provider) -> ModuleType:
    """Give the module of the provider's own tests."""
    return importlib.import_module(f"tests.providers.test_{provider.name}")


FAULTY = list(faulty())


def test_every_provider_meets_every_fault() -> None:
    providers = {provider.name for provider, _ in OVER_HTTP}
    assert {(provider.name, fault) for provider, _, fault in FAULTY} == {
        (name, fault) for name in providers for fault in FAULTS
    }


@pytest.mark.parametrize(
    ("provider", "method", "fault"),
    FAULTY,
    ids=[f"{provider.name}.{method.name}-{fault}" for provider, method, fault in FAULTY],
)
def test_a_service_that_fails_and_repeats_what_it_was_sent(
    calls: Calls, upstream: Upstream, provider: Provider, method: Method, fault: str
) -> None:
    """A test module names as WITHOUT_CREDENTIALS the methods that send none: there it must be none.

    Where a token is asked for first, its `token` answers that, and the fault comes then and there, and behind it.
    """
    carried = method.name not in getattr(module_of(provider), "WITHOUT_CREDENTIALS", ())
    token: Callable[[Request], Reply | None] | None = getattr(module_of(provider), "token", None)
    upstream.route(FAULTS[fault])
    calls.make(provider, method, upstream.url)
    if token:
        upstream.route(lambda request: token(request) or FAULTS[fault](request))
        calls.make(provider, method, upstream.url)
    assert len(upstream.requests) >= 2
    assert {bool(traces(mirrored(request))) for request in upstream.requests} == {carried}


@over_http
def test_a_good_answer(calls: Calls, upstream: Upstream, provider: Provider, method: Method) -> None:
    upstream.route(good(provider))
    assert calls.make(provider, method, upstream.url, seconds=LONGER) == ["ok", "ok"]


@over_http
def test_a_good_answer_that_repeats_what_was_sent(
    calls: Calls, upstream: Upstream, provider: Provider, method: Method
) -> None:
    """The secret of a stored connection is none of the caller's business, even where a service tells it.

    A test module names as FIXED the fields that hold a word of the service's protocol: with more in it no answer is
    good.
    """
    fixed: frozenset[str] = getattr(module_of(provider), "FIXED", frozenset())

    def repeating(value: Any, words: str) -> Any:
        if isinstance(value, dict):
            return {key: item if key in fixed else repeating(item, words) for key, item in value.items()}
        if isinstance(value, list):
            return [repeating(item, words) for item in value]
        return f"{value} {words}" if isinstance(value, str) else value

    def answer(request: Request) -> Reply:
        reply = good(provider)(request)
        assert isinstance(reply, Message)
        if reply.header("content-type") != "application/json":
            return replace(reply, body=reply.body + mirrored(request).encode())
        body = json.dumps(repeating(json.loads(reply.body), mirrored(request))).encode()
        return replace(reply, body=body, headers=(("content-type", "application/json"),))

    upstream.route(answer)
    assert calls.make(provider, method, upstream.url, seconds=LONGER) == ["ok", "ok"]


def good(provider: Provider) -> Callable[[Request], Reply]:
    """Give the answer that the provider's own tests have for a good one, or the function that finds it."""
    module = module_of(provider)
    answered: Callable[[Request], Reply] | None = getattr(module, "answered", None)
    return answered or (lambda _: script.json(module.ANSWER))


@over_http
def test_a_service_that_cannot_be_reached(
    calls: Calls, certificate_authority: trustme.CA, provider: Provider, method: Method
) -> None:
    with refused_url() as url:
        assert set(calls.make(provider, method, url)) <= {"upstream_unreachable", "deadline_exceeded"}
    with Upstream(tls=server_context(certificate_authority, LOOPBACK)) as server:
        assert calls.make(provider, method, server.url) == ["misconfigured", "misconfigured"]
    assert "ok" not in calls.make(provider, method, "http://nowhere.invalid")
    with_canary = f"http://{quote(canary('user'), safe='')}@{LOOPBACK}:1"
    assert "ok" not in calls.make(provider, method, with_canary)


# Mail servers.

over_smtp = pytest.mark.parametrize(("provider", "method"), OVER_SMTP, ids=names(OVER_SMTP))

STAGES = ["CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "END"]
AUTH = b"250-mail.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
LINES = [b"421 ", b"450 ", b"451 ", b"535 5.7.8 ", b"550-", b"250 ", b"334 ", b"", b"999 "]


def repeated(server: list[ScriptedServer], line: bytes) -> mail.Answer:
    """Answer with a line that repeats everything that came so far, decoded too."""

    def answer(sock: Any) -> None:
        said = " ".join(server[0].commands)
        decoded = " ".join(
            base64.b64decode(word).decode("latin-1").replace("\0", " ")
            for word in said.split()
            if len(word) > 16 and len(word) % 4 == 0 and word.rstrip("=").isalnum()
        )
        sock.sendall(line + f"{said} {decoded}".replace("\n", " ").encode("latin-1", "replace") + b"\r\n")

    return answer


@pytest.fixture
def mail_context(
    certificate_authority: trustme.CA, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    monkeypatch.setenv("INTEGRATIONS_CA_FILE", str(authority_file))
    return server_context(certificate_authority, LOOPBACK)


@over_smtp
@pytest.mark.parametrize("stage", STAGES)
def test_a_mail_server_that_fails_and_repeats_what_it_was_sent(
    calls: Calls, mail_context: ssl.SSLContext, provider: Provider, method: Method, stage: str
) -> None:
    for line in LINES:
        itself: list[ScriptedServer] = []
        with ScriptedServer(mail_context, **({"EHLO": AUTH} | {stage: repeated(itself, line)})) as server:
            itself.append(server)
            calls.make(provider, method, f"smtps://{LOOPBACK}:{server.port}", security="tls")
            told = traces(" ".join(server.commands))
        assert told or stage in ("CONNECT", "EHLO"), (stage, line)


@over_smtp
def test_a_mail_server_that_takes_the_message_hangs_or_leaves(
    calls: Calls, mail_context: ssl.SSLContext, provider: Provider, method: Method
) -> None:
    answers: dict[str, mail.Answer | None] = {"ok": None, "hangs": mail.hang, "leaves": mail.leave}
    for name, answer in answers.items():
        with ScriptedServer(mail_context, **({"EHLO": AUTH} | ({"END": answer} if answer else {}))) as server:
            codes = calls.make(provider, method, f"smtps://{LOOPBACK}:{server.port}", security="tls")
            assert traces(" ".join(server.commands))
        assert (codes == ["ok", "ok"]) is (name == "ok")


# What a caller does wrong.


def wrong_calls(provider: Provider, method: Method) -> dict[str, Any]:
    """Give bodies with a canary where it does not belong, or in a shape that is refused."""
    whole = example(provider, method)
    arguments, setup = whole["arguments"], whole.get("setup") or {}
    word = canary("key")
    fields = credentials(provider)
    shapes: list[Any] = [[word], {"value": word}, {word: word}, word + "\n", word + "é", word * 4000, [[word]]]
    return {
        **{
            f"{name} as {type(shape).__name__} {number}": {"arguments": arguments, "setup": {**setup, name: shape}}
            for name in fields
            for number, shape in enumerate(shapes)
        },
        "a setup that is text": {"arguments": arguments, "setup": word},
        "a field that is not there": {"arguments": arguments, "setup": {**setup, word: word}},
        "a setup of nothing else": {"arguments": arguments, "setup": {"other": word}},
        "a setup and a connection": {"arguments": arguments, "setup": {**setup, **dict.fromkeys(fields, word)},
                                     "connection": word},
        "a connection": {"arguments": arguments, "connection": word},
        "an argument that is not there": {"arguments": {**arguments, word: word}},
        "a member that is not there": {"arguments": arguments, word: word},
        "arguments of other types": {"arguments": {name: {word: word} for name in arguments}},
        "no JSON": json.dumps({"arguments": arguments, "setup": dict.fromkeys(fields, word)})[:-1],
        "no object": json.dumps([word]),
    }  # fmt: skip


every_method = pytest.mark.parametrize(("provider", "method"), METHODS, ids=names(METHODS))


@every_method
def test_a_call_that_is_wrong(calls: Calls, provider: Provider, method: Method) -> None:
    _, environment = aimed_at(provider, {"setup": {}}, "http://127.0.0.1:1")
    for name, value in environment.items():
        calls.monkeypatch.setenv(name, value)
    for case, body in wrong_calls(provider, method).items():
        heard = Heard()
        reply = provider.handler(http_event(provider, body, method=method.name), Context(SECONDS))
        assert reply["statusCode"] >= 400, case
        heard.add(f"reply to {case}", json.dumps(reply) + reply["body"])
        if not isinstance(body, str):
            assert calls.directly(provider, {"method": method.name, **body}, heard) != "ok", case
        heard.add(f"logs of {case}", calls.logs.getvalue() + "".join(calls.capture.readouterr()))
        heard.check()


@every_method
def test_a_stored_connection_that_does_not_fit(calls: Calls, provider: Provider, method: Method) -> None:
    """What an operator stored wrongly is told to a caller who must not see it."""
    word = canary("key")
    arguments = example(provider, method)["arguments"]
    for value in (
        {"setup": {word: word}},
        {"setup": [word]},
        {"setup": {}, word: word},
        {"arguments": {word: word}},
        {
            "setup": {name: [word] for name in credentials(provider)},
            "base_url": f"http://{quote(word, safe='')}.example",
        },
        f'{{"setup": "{MARK}',
    ):
        calls.store(f"{provider.name}/other", value)
        heard = Heard()
        event = {"method": method.name, "arguments": arguments, "connection": "other"}
        assert calls.directly(provider, event, heard) != "ok"
        heard.add("logs", calls.logs.getvalue() + "".join(calls.capture.readouterr()))
        heard.check()
        reset()


def reset() -> None:
    """Read connections anew."""
    from integrations.setup import connections

    connections.forget()


def test_a_setup_from_the_environment_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, calls: Calls) -> None:
    for provider, method in METHODS:
        for name in credentials(provider):
            monkeypatch.setenv(f"{provider.name.upper()}_{name.upper()}", canary(name) + "é\n")
        heard = Heard()
        arguments = example(provider, method)["arguments"]
        assert calls.directly(provider, {"method": method.name, "arguments": arguments}, heard) != "ok"
        heard.add("logs", calls.logs.getvalue() + "".join(calls.capture.readouterr()))
        heard.check()
    assert urlsplit(calls.secrets.url).hostname == LOOPBACK
