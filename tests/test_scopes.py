"""What a limited key may call and see: the provider's function and the registry, after the authorizer has let it in."""

import copy
import importlib.util
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.catalog import catalog, definitions
from devtools.tools import compiled_all
from functions.authorizer.app import Key
from tests.support import upstream as script
from tests.support.calls import Response, call, http_event, respond
from tests.support.sample import SETUP, provider
from tests.support.stack import ROOT
from tests.support.upstream import Upstream

CANARY = "canary-value-of-the-caller"
METHODS = tuple(provider.methods)
READ, WRITE = "sample.read", "sample.write"

roomy = copy.copy(provider)
"""The same provider under another name."""
roomy.name = "roomy"

Ask = Callable[..., Any]


def limited(event: dict[str, Any], scopes: Any) -> dict[str, Any]:
    """Give the event as API Gateway makes it once the authorizer has let in a key with these scopes."""
    context = event["requestContext"] | {"authorizer": {"lambda": {"keyId": "alice", "scopes": scopes}}}
    return event | {"requestContext": context}


# The provider's function.


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url)


def post(scopes: Any, method: str | None = None, body: Any = None) -> Response:
    event = http_event(provider, {"setup": SETUP} if body is None else body, method=method)
    return respond(provider, limited(event, scopes))


@pytest.mark.parametrize(
    ("scopes", "method"),
    [
        ("sample.*", None),
        ("sample.*", "write"),
        ("*.*", "write"),
        ("sample.read", None),
        ("sample.read", "read"),
        ("other.* *.write", "write"),
        ("sam?le.r*d", "read"),
    ],
)
def test_a_method_within_the_scopes_is_called(upstream: Upstream, scopes: str, method: str | None) -> None:
    upstream.replies(script.json({"value": "tea"}))
    assert post(scopes, method).status == 200


@pytest.mark.parametrize(
    ("scopes", "method", "name"),
    [
        ("sample.read", "write", WRITE),
        ("sample.write", None, READ),
        ("sample.write", "read", READ),
        ("other.*", "read", READ),
        ("other.read *.writ *.rea? other.*", "write", WRITE),
        ("samplex.* xsample.*", "read", READ),
        ("sample.*x", "read", READ),
    ],
)
@pytest.mark.parametrize("body", [None, "not JSON", {"arguments": {"unknown": CANARY}}])
def test_any_other_method_is_forbidden_before_anything_is_read_or_sent(
    upstream: Upstream, scopes: str, method: str | None, name: str, body: Any
) -> None:
    reply = post(scopes, method, body)
    assert (reply.status, reply.headers["content-type"]) == (403, "application/problem+json")
    assert (reply.body["code"], reply.body["retryable"]) == ("forbidden", False)
    assert (reply.body["provider"], reply.body["method"]) == ("sample", name.partition(".")[2])
    assert reply.body["detail"] == (
        f"The scopes of this API key do not hold {name}; "
        f"have one made that does, with `integrations keys create --scope '{name}'`."
    )
    assert CANARY not in reply.text
    assert upstream.requests == []


def test_of_an_unknown_method_only_what_is_held_is_told() -> None:
    reply = post("sample.write", CANARY)
    assert (reply.status, reply.body["code"]) == (404, "unknown_method")
    assert reply.body["detail"] == "sample has no method of that name; it has: write."
    reply = post("other.*", CANARY)
    assert (reply.status, reply.body["code"]) == (403, "forbidden")
    assert "do not hold any method of sample" in reply.body["detail"]
    assert CANARY not in reply.text


DAMAGED = [
    None,
    "",
    " ",
    "sample",
    "sample.* ",
    "sample.*  other.*",
    "sample.*,other.*",
    "Sample.*",
    "sample.[rw]*",
    "sample.*\n",
    "a.b.c",
    5,
    True,
    [],
    ["sample.*"],
    {"sample.*": True},
]


@pytest.mark.parametrize("scopes", DAMAGED)
def test_scopes_that_cannot_be_read_hold_nothing(upstream: Upstream, scopes: Any) -> None:
    reply = post(scopes)
    assert (reply.status, reply.body["code"]) == (403, "forbidden")
    assert "scopes of this API key cannot be read" in reply.body["detail"]
    assert upstream.requests == []


@pytest.mark.parametrize("authorizer", ["text", ["lambda"], {"lambda": "text"}, {"lambda": ["scopes"]}])
def test_a_context_that_is_none_holds_nothing(upstream: Upstream, authorizer: Any) -> None:
    event = http_event(provider, {"setup": SETUP})
    event["requestContext"]["authorizer"] = authorizer
    assert respond(provider, event).body["code"] == "forbidden"
    assert upstream.requests == []


@pytest.mark.parametrize(
    "authorizer", [None, {}, {"lambda": None}, {"lambda": {"keyId": "alice"}}, {"iam": {"userArn": "arn:aws:iam::1:x"}}]
)
def test_who_has_no_scopes_is_not_limited(upstream: Upstream, authorizer: Any) -> None:
    upstream.replies(script.json({"value": "tea"}))
    event = http_event(provider, {"setup": SETUP})
    event["requestContext"]["authorizer"] = authorizer
    assert respond(provider, event).status == 200


def test_a_direct_invoke_has_none(upstream: Upstream) -> None:
    """Who may invoke a function is up to IAM, and a context in the event is no more than a caller's own words."""
    upstream.replies(script.json({"value": "tea"}))
    assert call(provider, method="write", setup=SETUP) == {"value": "tea"}


# The registry.


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Ask a registry of the sample providers with the key of these scopes; without, with one that is not limited."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "app.py").write_text((ROOT / "functions/registry/app.py").read_text())
    (folder / "catalog.json").write_text(catalog([provider, roomy]))
    (folder / "tools").mkdir()
    for name, text in definitions(compiled_all([provider, roomy])).items():
        (folder / "tools" / f"{name}.json").write_text(text)
    handler = load(folder / "app.py").handler

    def ask(path: str, scopes: Any = ..., method: str = "GET", **query: str) -> Any:
        context = {"http": {"method": method, "path": path}, "requestId": "req-1="}
        event = {"headers": {}, "queryStringParameters": query, "requestContext": context}
        reply = handler(event if scopes is ... else limited(event, scopes), None)
        return reply | {"body": json.loads(reply["body"])}

    return ask


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("registry_of_samples", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(registry: Ask, *scopes: str) -> dict[str, list[str]]:
    listed = registry("/integrations", *scopes)["body"]
    return {entry["provider"]: [method["method"] for method in entry["methods"]] for entry in listed}


def test_the_catalog_shows_what_the_key_may_call(registry: Ask) -> None:
    everything = shown(registry)
    assert everything == {"sample": list(METHODS), "roomy": list(roomy.methods)} == shown(registry, "*.*")
    assert shown(registry, "sample.write") == {"sample": ["write"]}
    assert shown(registry, "roomy.* sample.rea?") == {"roomy": everything["roomy"], "sample": ["read"]}
    assert shown(registry, "other.*") == {}
    entry = registry("/integrations/sample", "sample.write")["body"]
    assert entry == registry("/integrations", "sample.write")["body"][0]
    full = registry("/integrations/sample")["body"]
    assert entry == full | {
        "default_method": None,
        "methods": [method for method in full["methods"] if method["method"] == "write"],
    }
    assert registry("/integrations/sample", "sample.read")["body"]["default_method"] == "read"


def test_the_tools_are_those_that_the_key_may_call(registry: Ask) -> None:
    page = registry("/tools", "sample.write roomy.*", limit="1")["body"]
    names = [tool["function"]["name"] for tool in page["tools"]]
    assert (page["total"], names) == (1 + len(roomy.methods), [f"roomy_{min(roomy.methods)}"])
    assert registry("/tools", "other.*")["body"]["tools"] == []
    assert registry("/tools")["body"]["total"] == len(METHODS) + len(roomy.methods)
    tool = registry("/integrations/sample/write/tool", "sample.write")
    assert tool["body"] == registry("/integrations/sample/write/tool")["body"]


@pytest.mark.parametrize(
    ("method", "path", "nothing", "code"),
    [
        ("GET", "/integrations/roomy", "/integrations/nothing", "unknown_provider"),
        ("GET", "/integrations/roomy/tool", "/integrations/nothing/tool", "unknown_provider"),
        ("GET", "/integrations/roomy/read/tool", "/integrations/nothing/read/tool", "unknown_provider"),
        ("POST", "/execute/roomy", "/execute/nothing", "unknown_provider"),
        ("GET", "/integrations/sample/read/tool", "/integrations/sample/nothing/tool", "unknown_method"),
    ],
)
def test_the_rest_is_as_unknown_as_what_does_not_exist(
    registry: Ask, method: str, path: str, nothing: str, code: str
) -> None:
    reply = registry(path, "sample.write", method=method)
    assert (reply["statusCode"], reply["body"]["code"]) == (404, code)
    assert reply == registry(nothing, "sample.write", method=method)
    told = reply["body"]["detail"]
    assert told.endswith(" sample." if code == "unknown_provider" else " write.")


def test_a_default_method_out_of_scope_is_told_apart(registry: Ask) -> None:
    """The entry shows the caller already that it has no default method; which one it is remains untold."""
    assert registry("/integrations/sample", "sample.write")["body"]["default_method"] is None
    reply = registry("/integrations/sample/tool", "sample.write")
    assert (reply["statusCode"], reply["body"]["code"]) == (404, "unknown_method")
    assert reply["body"]["detail"] == (
        "The provider's default method is not among those that this API key may call; name one of: write."
    )


def test_a_filter_names_nothing_beyond_the_scopes(registry: Ask) -> None:
    for query in ({"providers": "roomy"}, {"tools": "sample_read"}, {"providers": "nothing"}):
        reply = registry("/tools", "sample.write", **query)
        assert (reply["statusCode"], reply["body"]["code"]) == (400, "invalid_request")
        assert "roomy" not in reply["body"]["detail"]
        assert "sample_read" not in reply["body"]["detail"]


def test_what_is_shown_has_a_tag_of_its_own(registry: Ask) -> None:
    views = [(), ("sample.read",), ("sample.write",), ("sample.*",), ("roomy.*",), ("other.*",)]
    for path in ("/integrations", "/tools"):
        tags = [registry(path, *scopes)["headers"]["ETag"] for scopes in views]
        assert all(re.fullmatch(r'"[0-9a-f]{16}"', tag) for tag in tags)
        assert all(one != other for one, other in itertools.combinations(tags, 2))
        assert registry(path, "sample.read")["headers"]["ETag"] == tags[1]
        assert registry(path, "sample.r* sample.rea?")["headers"]["ETag"] == tags[1], "the same is shown"


@pytest.mark.parametrize("scopes", DAMAGED)
@pytest.mark.parametrize("path", ["/integrations", "/tools", "/nothing"])
def test_scopes_that_cannot_be_read_show_nothing(registry: Ask, scopes: Any, path: str) -> None:
    reply = registry(path, scopes)
    assert (reply["statusCode"], reply["body"]["code"]) == (403, "forbidden")
    assert reply["headers"]["Content-Type"] == "application/problem+json"


# They agree.


@pytest.mark.parametrize(
    "scopes",
    [["sample"], ["*"], ["*.read"], ["sample.?rite"], ["roomy", "sample.w*"], ["s*e.*d"], ["?.?"], ["nothing.*"]],
)
def test_all_three_understand_a_scope_alike(registry: Ask, upstream: Upstream, scopes: list[str]) -> None:
    upstream.route(lambda _: script.json({"value": "tea"}))
    key = Key({"sha256": "0" * 64, "scopes": scopes})
    handed = " ".join(key.scopes or ())
    callable_ = {method for method in METHODS if post(handed, method).body.get("code") != "forbidden"}
    assert callable_ == set(shown(registry, handed).get("sample", []))
    assert key.names("sample") or not callable_
