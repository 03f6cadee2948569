"""The authorizer: who is let in, and that every doubt keeps the door closed."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.authorizer import app
from tests.support.aws import Secrets
from tests.support.upstream import refused_url

SECRET = "s3cret-0123456789abcdef0123456789abcdef"
KEY = f"alice.{SECRET}"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Give each test an authorizer that has just started."""
    app.forget()
    yield
    app.forget()


@pytest.fixture
def stored(secrets: Secrets) -> Secrets:
    store(secrets, {"alice": SECRET, "bob": "other"})
    return secrets


def store(secrets: Secrets, keys: dict[str, str]) -> None:
    records = {name: {"sha256": hashlib.sha256(secret.encode()).hexdigest()} for name, secret in keys.items()}
    secrets.put("api-keys", {"keys": records})


def ask(headers: Any, method: str = "POST") -> dict[str, Any]:
    return app.handler({"version": "2.0", "headers": headers, "requestContext": {"http": {"method": method}}}, None)


def allowed(headers: Any) -> bool:
    verdict = ask(headers)
    assert isinstance(verdict["isAuthorized"], bool)
    return verdict["isAuthorized"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"x-api-key": f" {KEY} "},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bEARER  {KEY}"},
        {"x-api-key": "bob.other"},
    ],
)
def test_a_key_is_let_in(headers: dict[str, str]) -> None:
    assert ask(headers) == {
        "isAuthorized": True,
        "context": {"keyId": "alice" if KEY in str(headers) else "bob"},
    }


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        None,
        {"x-api-key": ""},
        {"x-api-key": "alice"},
        {"x-api-key": "alice."},
        {"x-api-key": f".{SECRET}"},
        {"x-api-key": SECRET},
        {"x-api-key": f"alice.{SECRET}x"},
        {"x-api-key": f"bob.{SECRET}"},
        {"x-api-key": f"carol.{SECRET}"},
        {"x-api-key": f"ALICE.{SECRET}"},
        {"x-api-key": f"{KEY},{KEY}"},
        {"x-api-key": KEY * 1000},
        {"x-api-key": "alice.é\udcff\0"},
        {"x-api-key": "wrong", "authorization": f"Bearer {KEY}"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Bearer"},
        {"x-api-key": hashlib.sha256(SECRET.encode()).hexdigest()},
        {"x-api-key": f"alice.{hashlib.sha256(SECRET.encode()).hexdigest()}"},
        {"x-api-key": ["list"]},
        {"x-api-key": 5},
    ],
)
def test_everything_else_is_not(headers: Any) -> None:
    assert ask(headers) == {"isAuthorized": False, "context": {}}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("event", [None, [], "text", {}, {"headers": {}}, {"requestContext": {"http": None}}])
def test_no_event_makes_it_raise(event: Any) -> None:
    assert app.handler(event, None) == {"isAuthorized": False, "context": {}}


@given(st.dictionaries(st.sampled_from(["x-api-key", "authorization"]), st.text()))
def test_no_header_makes_it_raise(headers: dict[str, str]) -> None:
    assert ask(headers)["isAuthorized"] is False


def test_no_secret_means_nobody(secrets: Secrets, capsys: pytest.CaptureFixture[str]) -> None:
    assert not allowed({"x-api-key": KEY})
    assert len(secrets.reads) == 1
    assert json.loads(capsys.readouterr().out)["exception_name"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    "value",
    ["text", "[]", "{}", '{"keys": []}', '{"keys": {"alice": {}}}', '{"keys": {"alice": {"sha256": "zz"}}}'],
)
def test_a_damaged_secret_means_nobody(secrets: Secrets, value: str) -> None:
    secrets.put("api-keys", value)
    assert not allowed({"x-api-key": KEY})


def test_an_empty_or_endless_secret_is_none_even_where_it_is_stored(secrets: Secrets) -> None:
    store(secrets, {"alice": "", "bob": "x" * 300, "carol": "x" * 200})
    assert not allowed({"x-api-key": "alice."})
    assert not allowed({"x-api-key": "alice"})
    assert not allowed({"x-api-key": f"bob.{'x' * 300}"})
    assert allowed({"x-api-key": f"carol.{'x' * 200}"})


def test_an_empty_digest_matches_nothing(secrets: Secrets) -> None:
    secrets.put("api-keys", {"keys": {"alice": {"sha256": ""}, "bob": {"sha256": "00" * 32}}})
    assert not allowed({"x-api-key": KEY})
    assert not allowed({"x-api-key": "bob."})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_keys_are_read_once_a_minute(stored: Secrets) -> None:
    clock = Clock()
    keys = app.Keys(clock)
    assert set(keys.digests()) == {"alice", "bob"}
    store(stored, {"bob": "other"})
    clock.now += 59
    assert set(keys.digests()) == {"alice", "bob"}
    assert len(stored.reads) == 1
    clock.now += 1
    assert set(keys.digests()) == {"bob"}
    assert len(stored.reads) == 2


def test_an_outage_leaves_the_keys_for_an_hour(stored: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    keys = app.Keys(clock)
    assert keys.digests()
    with refused_url() as url:
        keys._client.meta.events.register(
            "before-send.*", lambda request, **_: request.__setattr__("url", request.url.replace(stored.url, url))
        )
        clock.now += 61
        assert keys.digests()
        clock.now += 3600
        assert not keys.digests()


@pytest.mark.parametrize("value", [" ", "not JSON", "{}", '{"keys": {}}', '{"keys": {"alice": {}}}'])
def test_emptying_the_secret_shuts_everybody_out(stored: Secrets, value: str) -> None:
    clock = Clock()
    keys = app.Keys(clock)
    assert keys.digests()
    stored.put("api-keys", value)
    clock.now += 60
    assert not keys.digests()


def test_deleting_the_secret_shuts_everybody_out(stored: Secrets) -> None:
    clock = Clock()
    keys = app.Keys(clock)
    assert keys.digests()
    stored.client.delete_secret(SecretId="integrations/api-keys")
    clock.now += 60
    assert not keys.digests()


def test_an_outage_at_the_start_means_nobody_and_is_not_asked_about_by_every_caller(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with refused_url() as url:
        for name, value in {
            "ENDPOINT_URL": url,
            "DEFAULT_REGION": "x",
            "ACCESS_KEY_ID": "x",
            "SECRET_ACCESS_KEY": "x",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        assert not allowed({"x-api-key": KEY})
        assert not allowed({"x-api-key": KEY})
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["exception_name"] == "EndpointConnectionError"
    assert SECRET not in line


@pytest.mark.usefixtures("stored")
def test_a_preflight_passes_only_where_other_origins_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask({}, "OPTIONS") == {"isAuthorized": False, "context": {}}
    monkeypatch.setenv("INTEGRATIONS_CORS_ORIGINS", "https://page.example")
    assert ask({}, "OPTIONS") == {"isAuthorized": True, "context": {}}
    assert ask({}, "POST") == {"isAuthorized": False, "context": {}}


@pytest.mark.usefixtures("stored")
def test_forget_reads_again(secrets: Secrets) -> None:
    assert allowed({"x-api-key": KEY})
    store(secrets, {})
    app.forget()
    assert not allowed({"x-api-key": KEY})
