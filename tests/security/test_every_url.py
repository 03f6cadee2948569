"""Every URL and every host that a caller can give, to any method of any provider, goes by the policy.

They are found, not listed: a file by its type, a URL or a host by its name.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from integrations import Provider
from integrations.files import FileInput
from integrations.provider import Method
from tests.support.calls import Response, post
from tests.support.network import Network
from tests.test_every_provider import METHODS, ROOT

NAMED_LIKE_A_HOST = re.compile(r"(?:.*_)?(?:url|urls|uri|host|hostname|server|endpoint)")
Path = tuple[str | int, ...]

# Of what callers may not name, one of each kind; the whole corpus is tried in test_urls.py.
DENIED = [
    "https://127.0.0.1/", "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next", "https://169.254.169.254/latest/",
    "https://[::1]/", "https://[fd00:ec2::254]/", "https://2130706433/", "https://0x7f.1/", "https://localhost/",
    "https://metadata.google.internal/", "https://user:password@example.com/", "https://example.com:22/",
    "ftp://example.com/file", "file:///proc/self/environ", "https://example.com\\@127.0.0.1/",
]  # fmt: skip
DENIED_HOSTS = [
    "127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "2130706433", "0x7f.1", "127.1", "localhost",
    "metadata.google.internal", "user@example.com", "example.com/x", "example.com%00",
]  # fmt: skip
HOSTS = ("host", "hostname", "server")
INSIDE = "https://inside.attacker.example.net/"  # which is looked up to a private address
# What is named like a URL or a host and is none that is asked from here, with the reason.
NEITHER = {
    "cloudinary.sign_url": "says whether to sign one",
    "unstructured.server": "one of some names, which the provider has the addresses of",
    "spider.url": "Spider asks for it, from its own network",
}
# Files whose URL the service asks for, from its own network: there it may be larger than what goes through here. Nobody
# here looks the host up, or connects to it; in all else such a file is a file.
HANDED_OVER = {("cloudinary", "media_upload"), ("llama_parse", "parse"), ("llama_parse", "submit")}


def places(model: type[BaseModel], value: Any, path: Path = ()) -> Iterator[tuple[Path, bool]]:
    """Give each place of a file or of what is named like a URL, and whether it is a file."""
    for name, info in model.model_fields.items():
        shown = next((key for key in (value or {}) if key in _names(name, info)), _names(name, info)[0])
        inside, place = (value or {}).get(shown), (*path, shown)
        if _holds_file(info.annotation, info.metadata):
            yield (*place, 0) if isinstance(inside, list) else place, True
        elif NAMED_LIKE_A_HOST.fullmatch(name):
            yield (*place, 0) if isinstance(inside, list) else place, False
        for inner in _models(info.annotation):
            many = isinstance(inside, list)
            yield from places(inner, inside[0] if many and inside else inside, (*place, 0) if many else place)


def _names(name: str, info: FieldInfo) -> list[str]:
    alias = info.validation_alias
    others = getattr(alias, "choices", [alias] if alias else [])
    return [*[other for other in others if isinstance(other, str)], name]


def _holds_file(annotation: Any, metadata: Any = ()) -> bool:
    marks = getattr(FileInput, "__metadata__", ())
    if all(any(mark is one for one in metadata) for mark in marks if not isinstance(mark, FieldInfo)) and metadata:
        return True
    return any(_holds_file(inner, getattr(inner, "__metadata__", ())) for inner in get_args(annotation))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def event(provider: Provider, method: Method) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "events" / f"{provider.name}.{method.name}.json").read_text())
    return read


def cases() -> Iterator[tuple[Provider, Method, str, Path, bool]]:
    for provider, method in METHODS:
        whole = event(provider, method)
        for path, is_file in places(method.arguments, whole["arguments"]):
            yield provider, method, "arguments", path, is_file
        for path, is_file in places(provider.setup, whole.get("setup")) if provider.setup else ():
            yield provider, method, "setup", path, is_file


FOUND = [case for case in cases() if f"{case[0].name}.{case[3][-1]}" not in NEITHER]
FETCHED_BY_THE_SERVICE = [case for case in FOUND if case[4] and (case[0].name, case[1].name) in HANDED_OVER]
CASES = [case for case in FOUND if case not in FETCHED_BY_THE_SERVICE]
each = pytest.mark.parametrize(
    ("provider", "method", "part", "path", "is_file"),
    CASES,
    ids=[f"{case[0].name}.{case[1].name} {case[2]}.{'.'.join(map(str, case[3]))}" for case in CASES],
)


def given(provider: Provider, method: Method, part: str, path: Path, value: str) -> Response:
    """Make the example call with this value at the place."""
    body = event(provider, method)
    body.pop("method")
    body[part] = replaced(body.get(part) or {}, path, value)
    return post(provider, body, method=method.name, seconds=8)


def replaced(values: Any, path: Path, value: str) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        return [replaced(values[head] if values else None, rest, value)]
    return {**(values or {}), head: replaced((values or {}).get(head), rest, value)}


def test_there_are_some() -> None:
    named = {f"{provider.name}.{path[-1]}" for provider, _, _, path, _ in cases()}
    assert named >= NEITHER.keys()
    found = {(case[0].name, case[1].name, ".".join(map(str, case[3]))) for case in CASES}
    assert {("email", "send", "attachments.0.content"), ("email", "send", "host")} <= found
    assert {("ffmpeg", "probe", "file"), ("ffmpeg", "bash_cmd", "file")} <= found


@pytest.mark.parametrize(("provider", "method", "path"), [case[:2] + case[3:4] for case in FETCHED_BY_THE_SERVICE])
def test_what_the_service_fetches_is_handed_over_and_nothing_else(
    network: Network, monkeypatch: pytest.MonkeyPatch, provider: Provider, method: Method, path: Path
) -> None:
    monkeypatch.setenv(f"{provider.name.upper()}_BASE_URL", "https://api.example.com")
    for value in [*DENIED, INSIDE]:
        reply = given(provider, method, "arguments", path, value)
        if value.startswith(("https://", "http://")):
            sent = network.tls.requests.pop()
            assert value.encode() in sent.body.replace(b"\\\\", b"\\"), value
        else:
            assert (reply.status, reply.body["errors"][0]["loc"][:2]) == (422, ["arguments", path[0]]), value
    assert {*network.asked} == {"api.example.com"}
    assert network.tls.requests == []


def test_those_that_are_handed_over_are_there() -> None:
    assert {(case[0].name, case[1].name) for case in FETCHED_BY_THE_SERVICE} == HANDED_OVER


@each
def test_what_callers_may_not_name(
    network: Network, provider: Provider, method: Method, part: str, path: Path, *, is_file: bool
) -> None:
    for value in DENIED_HOSTS if path[-1] in HOSTS else DENIED:
        reply = given(provider, method, part, path, value)
        assert reply.status == 422, (value, reply.text)
        assert reply.body["code"] in ("url_denied", f"invalid_{part}"), (value, reply.text)
        assert [part, *path[: len(path)]] == reply.body["errors"][0]["loc"][: len(path) + 1], reply.text
    assert network.connected == []


@each
def test_what_is_looked_up_to_a_private_address(
    network: Network, provider: Provider, method: Method, part: str, path: Path, *, is_file: bool
) -> None:
    network.names["inside.attacker.example.net"] = ["10.0.0.5"]
    given(provider, method, part, path, "inside.attacker.example.net" if path[-1] in HOSTS else INSIDE)
    assert network.inside == []
    if is_file or part == "setup":
        assert "inside.attacker.example.net" in network.asked


@each
def test_an_object_of_another_bucket(
    monkeypatch: pytest.MonkeyPatch, provider: Provider, method: Method, part: str, path: Path, *, is_file: bool
) -> None:
    monkeypatch.setenv("INTEGRATIONS_BUCKET", "the-bundles-bucket")
    reply = given(provider, method, part, path, "s3://another-bucket/key")
    assert reply.status == 422
    if is_file:
        assert reply.body["code"] == "url_denied"
