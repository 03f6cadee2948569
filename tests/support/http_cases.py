"""What an HTTP API answers, as one table of cases: for the bundle, and for a stack that shows what a gateway does.

Each case is sent to `integrations serve`, to `integrations serve --runtime` and, by `make sam-local`, to `sam local
start-api`; where the last differs from AWS, tests/sam_local/ lists the case by name, with the reason.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from devtools.gateway import MAX_PAYLOAD
from integrations.version import VERSION
from tests.support import upstream as script
from tests.support.serving import KEY

Headers = list[tuple[str, str]]

FORBIDDEN = '{"message":"Forbidden"}'
INTERNAL = '{"message":"Internal Server Error"}'
JSON = ("content-type", "application/json")
WITH_KEY = ("x-api-key", KEY)
SETUP = {"application_id": "TESTAPP", "api_key": "search-key-0123456789"}
SEARCH = json.dumps({"setup": SETUP, "arguments": {"index_name": "products", "query": "phone"}}).encode()
FOUND = script.json({"hits": [{"name": "Phone"}], "query": "phone"})
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """A request, and what must come back: a body as it is, a part of a JSON object, or whatever is found right."""

    name: str
    request: str
    status: int
    body: str | dict[str, Any] | Callable[[Any], bool]
    headers: tuple[tuple[str, str], ...] = (WITH_KEY,)
    content: bytes = b""
    answered: tuple[tuple[str, str], ...] = ()

    def send(self, client: httpx.Client, url: str) -> httpx.Response:
        """Send it."""
        method, _, path = self.request.partition(" ")
        return client.request(method, url + path, headers=list(self.headers), content=self.content or None)

    def differences(self, reply: httpx.Response) -> list[str]:
        """Say in which ways the answer is another one."""
        found = [] if reply.status_code == self.status else [f"status {reply.status_code}"]
        if not self._is_right(reply):
            found.append(f"body {reply.text[:300]}")
        pairs = [(name, value) for name, value in reply.headers.multi_items()]
        return found + [f"header {name}: {reply.headers.get(name)}" for name, value in self.answered
                        if (name, value) not in pairs]  # fmt: skip

    def _is_right(self, reply: httpx.Response) -> bool:
        if isinstance(self.body, str):
            return reply.text == self.body
        try:
            sent = reply.json()
        except ValueError:
            return False
        if isinstance(self.body, dict):
            return isinstance(sent, dict) and self.body.items() <= sent.items()
        return self.body(sent)


def _problem(name: str, request: str, status: int, code: str, **more: Any) -> Case:
    return Case(name, request, status, {"code": code}, answered=(("content-type", "application/problem+json"),), **more)


CALL = "POST /execute/algolia/search"
BUNDLE = [
    Case("health needs no key", "GET /health", 200, {"status": "ok", "version": VERSION}, headers=()),
    Case("no key", "GET /integrations", 403, FORBIDDEN, headers=(), answered=(JSON,)),
    Case("no key, no route", "GET /no/such/path", 403, FORBIDDEN, headers=()),
    Case("a wrong key", CALL, 403, FORBIDDEN, headers=(("x-api-key", f"{KEY}0"), JSON), content=SEARCH),
    Case("a key sent twice", "GET /integrations", 403, FORBIDDEN, headers=(WITH_KEY, WITH_KEY)),
    Case("a key", "GET /integrations", 200, lambda sent: "algolia" in [entry["provider"] for entry in sent]),
    Case("a bearer", "GET /integrations/algolia", 200, {"provider": "algolia"},
         headers=(("authorization", f"Bearer {KEY}"),)),
    Case("a call", CALL, 200, lambda sent: sent["hits"] == [{"name": "Phone"}], headers=(WITH_KEY, JSON),
         content=SEARCH, answered=(JSON, ("x-attempts", "1"))),
    Case("the default method", "POST /execute/algolia", 200, lambda sent: sent["hits"] == [{"name": "Phone"}],
         headers=(WITH_KEY, JSON), content=SEARCH),
    Case("a correlation id", CALL, 200, {"facets": None}, headers=(WITH_KEY, JSON, ("x-correlation-id", "order-7")),
         content=SEARCH, answered=(("x-correlation-id", "order-7"),)),
    Case("an escaped path", "POST /execute/algolia/sear%63h", 200, lambda sent: len(sent["hits"]) == 1,
         headers=(WITH_KEY, JSON), content=SEARCH),
    Case("a call sent as a form", CALL, 200, lambda sent: len(sent["hits"]) == 1,
         headers=(WITH_KEY, ("content-type", "application/x-www-form-urlencoded")), content=SEARCH),
    _problem("a body that is no text", CALL, 400, "invalid_request", headers=(WITH_KEY, JSON), content=b"\xff\xfe\x00"),
    _problem("invalid arguments", CALL, 422, "invalid_arguments", headers=(WITH_KEY, JSON),
             content=json.dumps({"setup": SETUP, "arguments": {}}).encode()),
    _problem("a body above the bundle's limit", CALL, 413, "payload_too_large", headers=(WITH_KEY, JSON),
             content=b" " * (MEGABYTE + 1)),
    Case("a body above Lambda's limit", CALL, 413, '{"message":"Request Entity Too Large"}',
         headers=(WITH_KEY, JSON), content=b" " * (6 * MEGABYTE + 1)),
    Case("a repeated parameter", "GET /tools?format=mcp&providers=wikipedia&providers=algolia", 200, {"total": 2}),
    _problem("no route", "GET /no/such/path", 404, "not_found"),
    _problem("an unknown provider", "POST /execute/nobody", 404, "unknown_provider"),
    _problem("an unknown method", "POST /execute/algolia/find", 404, "unknown_method", headers=(WITH_KEY, JSON)),
    _problem("a slash at the end", "POST /execute/algolia/", 404, "not_found"),
    _problem("an escaped slash", "POST /execute/algolia/a%2Fb", 404, "unknown_method"),
    _problem("two slashes", "GET //execute//algolia", 404, "not_found"),
    _problem("another HTTP method", "GET /execute/algolia", 405, "method_not_allowed"),
    Case("HEAD", "HEAD /integrations", 405, ""),
]  # fmt: skip


# A stack of its own, tests/support/probe/, which gives back the event, or answers what the body says.

RIGHT = ("x-api-key", "right")


def _event(**expected: Any) -> Callable[[Any], bool]:
    """Say whether an event has these members; None is a member that it must not have."""
    return lambda event: all(event.get(name) == value for name, value in expected.items())


def _in_context(**expected: Any) -> Callable[[Any], bool]:
    return lambda event: expected.items() <= (event["requestContext"] | event["requestContext"]["http"]).items()


def _answer(name: str, result: Any, status: int, body: Any, **answered: str) -> Case:
    told = tuple((key.replace("_", "-"), value) for key, value in answered.items())
    content = json.dumps({"result": result}).encode()
    return Case(name, "POST /answer", status, body, headers=(JSON,), content=content, answered=told)


def _body(name: str, kind: str, content: bytes, **expected: Any) -> Case:
    return Case(name, "POST /echo/a", 200, _event(**expected), headers=(("content-type", kind),), content=content)


PROBE = [
    Case("a request in short", "GET /echo/a", 200,
         _event(version="2.0", routeKey="ANY /echo/{name}", rawPath="/echo/a", rawQueryString="",
                pathParameters={"name": "a"}, isBase64Encoded=False), headers=()),
    Case("what is absent", "GET /echo/a", 200, _event(body=None, cookies=None, queryStringParameters=None), headers=()),
    Case("a query", "GET /echo/a?x=1&y=%20&x=2&empty=", 200,
         _event(rawQueryString="x=1&y=%20&x=2&empty=", queryStringParameters={"x": "1,2", "y": " ", "empty": ""}),
         headers=()),
    Case("an escaped segment", "GET /echo/caf%C3%A9", 200,
         _event(rawPath="/echo/caf\u00e9", pathParameters={"name": "caf\u00e9"}), headers=()),
    Case("a greedy path", "GET /all/b/c", 200, _event(pathParameters={"rest": "b/c"}), headers=()),
    Case("cookies", "GET /echo/a", 200, _event(cookies=["k=v", "l=w"]), headers=(("cookie", "k=v; l=w"),)),
    Case("names of headers", "GET /echo/a", 200,
         lambda event: event["headers"].get("x-one") == "1" and all(name == name.lower() for name in event["headers"]),
         headers=(("X-One", "1"),)),
    Case("a repeated header", "GET /echo/a", 200,
         lambda event: {name.lower(): value for name, value in event["headers"].items()}["x-many"] == "a,b",
         headers=(("x-many", "a"), ("x-many", "b"))),
    Case("the request's context", "PUT /echo/a", 200,
         _in_context(stage="$default", routeKey="ANY /echo/{name}", method="PUT", path="/echo/a", protocol="HTTP/1.1"),
         headers=()),
    _body("JSON", "application/json", b'{"q":"\xc3\xbc"}', body='{"q":"\u00fc"}', isBase64Encoded=False),
    _body("text", "text/csv", b"a,b", body="a,b", isBase64Encoded=False),
    _body("bytes", "application/octet-stream", b"\x00\xff", body="AP8=", isBase64Encoded=True),
    _body("a picture", "image/png", b"\x89PNG", body="iVBORw==", isBase64Encoded=True),
    _body("a form", "application/x-www-form-urlencoded", b"a=b", body="YT1i", isBase64Encoded=True),
    _answer("a result with a status", {"statusCode": 201, "headers": {"X-A": "1"}, "body": "x"}, 201, "x", x_a="1"),
    _answer("no content type", {"statusCode": 200, "body": "x"}, 200, "x", content_type="text/plain;charset=UTF-8"),
    _answer("a result in base64", {"statusCode": 200, "body": "eA==", "isBase64Encoded": True}, 200, "x"),
    _answer("two cookies", {"statusCode": 200, "cookies": ["a=b", "c=d"], "body": ""}, 200, "", set_cookie="c=d"),
    _answer("a result without a status", {"plain": True}, 200, {"plain": True}, content_type="application/json"),
    _answer("a result that is text", "text", 200, "text", content_type="application/json"),
    _answer("a status that is none", {"statusCode": "no"}, 500, INTERNAL),
    _answer("a result whose body is no text", {"statusCode": 200, "body": {"a": 1}}, 500, INTERNAL),
    _answer("a response above Lambda's limit", {"statusCode": 200, "body": {"times": MAX_PAYLOAD}}, 500, INTERNAL),
    Case("a function that raises", "POST /answer", 500, INTERNAL, headers=(JSON,), content=b'{"raise": "broken"}'),
    Case("a function that ends", "POST /leave", 500, INTERNAL, headers=()),
    Case("a function out of time", "POST /sleep", 500, INTERNAL, headers=()),
    Case("let in", "GET /guarded", 200,
         lambda event: event["requestContext"]["authorizer"] == {"lambda": {"keyId": "me"}}, headers=(RIGHT,)),
    Case("kept out", "GET /guarded", 403, FORBIDDEN, headers=(("x-api-key", "wrong"),)),
    Case("nobody", "GET /guarded", 403, FORBIDDEN, headers=()),
    Case("an authorizer that raises", "GET /guarded", 500, INTERNAL, headers=(("x-api-key", "raise"),)),
    Case("an authorizer that says nothing", "GET /guarded", 500, INTERNAL, headers=(("x-api-key", "nothing"),)),
    Case("no route of the stack", "GET /nowhere", 404, '{"message":"Not Found"}', headers=(), answered=(JSON,)),
    Case("no route for the method", "GET /answer", 404, '{"message":"Not Found"}', headers=()),
]  # fmt: skip


def by_name(cases: list[Case]) -> dict[str, Case]:
    """Give the cases by their names, which are those of the tests."""
    named = {case.name: case for case in cases}
    assert len(named) == len(cases)
    return named


# In which cases `sam local start-api` is not as AWS, and what it does instead.
START_API_DIFFERS = {
    "no key": "403 says `User is not authorized to access this resource`, as a REST API does",
    "no key, no route": "the same",
    "a wrong key": "the same",
    "a key sent twice": "the same",
    "kept out": "the same",
    "nobody": "the same",
    "an authorizer that raises": "502 instead of 500",
    "an authorizer that says nothing": "502 instead of 500",
    "a function that raises": "status 200 with Lambda's error as the body, instead of 500",
    "a function that ends": "502 with another text, instead of 500",
    "a function out of time": "502 instead of 500",
    "a status that is none": "502 instead of 500",
    "a result whose body is no text": "status 200 with Python's text of it, instead of 500",
    "a response above Lambda's limit": "it has no limit",
    "a body above Lambda's limit": "502 instead of 413",
    "a body that is no text": "502: a body of bytes is not put into base64",
    "bytes": "the same",
    "a picture": "the same",
    "a form": "it comes as text, not in base64",
    "no route of the stack": "403 `Missing Authentication Token`, as a REST API does, instead of 404",
    "no route for the method": "the same",
    "a slash at the end": "the last part of a path may be empty: a call of a method without a name",
    "an escaped slash": "it parts the path",
    "HEAD": "502: HEAD is taken for the GET of the route",
    "names of headers": "they are in title case; the bundle's functions take both",
    "a request in short": "`routeKey` has the method of the request in place of `ANY`",
    "the request's context": "the same",
    "what is absent": "`body` is empty and `cookies` an empty list, instead of absent",
    "no content type": "application/json instead of text/plain",
}
