"""Where a setup comes from, and what rotation does to a call."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, SecretStr

from integrations import Arguments, Output, Provider, Setup
from integrations.errors import DependencyUnavailable, IntegrationError, Misconfigured
from integrations.setup import CACHED_FOR, REFRESH_EVERY, STALE_FOR, Connection, Connections
from tests.support import upstream as script
from tests.support.aws import Secrets
from tests.support.calls import call, post
from tests.support.sample import SETUP, provider
from tests.support.upstream import Upstream

SECRET = "integrations/sample/default"
OLD, NEW = {"api_key": "old-key-0123456789"}, {"api_key": "new-key-0123456789"}


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url)


@pytest.fixture
def answering(upstream: Upstream) -> Upstream:
    upstream.route(lambda _: script.json({"value": "tea"}))
    return upstream


def key_of(upstream: Upstream) -> str:
    return upstream.last.headers["authorization"].removeprefix("Bearer ")


# The order.


def test_setup_in_the_call_asks_no_store(answering: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    call(provider, setup=NEW)
    assert (key_of(answering), secrets.reads) == (NEW["api_key"], [])


def test_named_connection(answering: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    secrets.put("sample/team-2", {"setup": NEW})
    call(provider, connection="team-2")
    assert key_of(answering) == NEW["api_key"]


def test_default_connection(answering: Upstream, secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_API_KEY", "key-of-the-environment")
    secrets.put("sample/default", {"setup": OLD})
    call(provider)
    assert key_of(answering) == OLD["api_key"]


def test_environment_on_a_laptop(answering: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_API_KEY", "key-of-the-environment")
    call(provider)
    assert key_of(answering) == "key-of-the-environment"


def test_environment_is_never_read_in_aws(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_API_KEY", "key-of-the-environment")
    monkeypatch.delenv("INTEGRATIONS_LOCAL")
    assert post(provider, {}).body["code"] == "missing_setup"


def test_an_empty_setup_is_an_absent_one(answering: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    call(provider, setup={})
    assert key_of(answering) == OLD["api_key"]


def test_null_in_a_setup_is_absent_where_a_field_is_optional(answering: Upstream) -> None:
    call(provider, setup=SETUP | {"region": None})
    assert key_of(answering) == SETUP["api_key"]
    refused = post(provider, {"setup": {"api_key": None}})
    assert (refused.status, refused.body["errors"][0]["loc"]) == (422, ["setup", "api_key"])


def test_prefix_of_the_stack(answering: Upstream, secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.client.create_secret(Name="shop/sample/default", SecretString='{"setup": {"api_key": "key-of-the-shop"}}')
    monkeypatch.setenv("INTEGRATIONS_PREFIX", "shop")
    call(provider)
    assert key_of(answering) == "key-of-the-shop"


# What is missing or wrong.


def test_missing_setup_names_the_fields_and_the_two_remedies(secrets: Secrets) -> None:
    reply = post(provider, {})
    assert reply.status == 424
    assert reply.body["detail"] == (
        "sample needs api_key: send them as `setup` in the call, "
        "or store a connection with `integrations secrets put sample`."
    )
    assert [error["loc"] for error in reply.body["errors"]] == [["setup", "api_key"]]


def test_missing_setup_without_any_store() -> None:
    assert post(provider, {}).body["code"] == "missing_setup"


def test_a_stored_setup_that_lacks_a_field(secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": {"region": "eu"}})
    assert post(provider, {}).body["errors"][0]["loc"] == ["setup", "api_key"]


def test_unknown_connection(secrets: Secrets) -> None:
    reply = post(provider, {"connection": "team-9"})
    assert (reply.status, reply.body["code"]) == (404, "unknown_connection")
    assert "integrations secrets put sample --connection NAME" in reply.body["detail"]
    assert "team-9" not in reply.text


@pytest.mark.parametrize(
    "value",
    [
        "no JSON but a secret-looking-text",
        '{"setup": {"api_key": "secret-looking-text\\ud800"}}',
        '["secret-looking-text"]',
        '{"api_key": "secret-looking-text"}',
        '{"setup": "secret-looking-text"}',
        '{"setup": {"api_key": ["secret-looking-text"]}}',
        '{"setup": {"api_key": "k", "colour": "secret-looking-text"}}',
        '{"setup": {}, "arguments": []}',
        '{"setup": {}, "base_url": 7}',
    ],
)
def test_a_stored_value_that_is_no_connection(secrets: Secrets, value: str) -> None:
    secrets.put("sample/default", value)
    reply = post(provider, {})
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert "integrations secrets put" in reply.body["detail"]
    assert "secret-looking" not in reply.text


@pytest.mark.parametrize("setup", [{"api_key": "key-with-a-newline\n"}, {"api_key": "k1k1k1k1", "region": "a.b/"}])
def test_a_stored_setup_that_cannot_be_sent_is_the_operators_mistake(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch, setup: dict[str, str]
) -> None:
    monkeypatch.delenv("SAMPLE_BASE_URL")
    secrets.put("sample/default", {"setup": setup})
    reply = post(provider, {})
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert "newline" not in reply.text


class ManifoldSetup(Setup):
    api_key: SecretStr = Field(description="The key.")
    user: str | None = Field(None, description="Who signs in.")
    pin: Annotated[SecretStr, Field(min_length=2)] | None = Field(None, description="A second key.")
    port: int = Field(1, description="A number.")
    wide: bool = Field(default=False, description="A boolean.")
    region: Literal["eu", "us"] | None = Field(None, description="One of some words.")
    params: dict[str, Any] | None = Field(None, description="An object.")


class SaidArguments(Arguments):
    pass


class SaidOutput(Output):
    said: dict[str, Any] = Field(description="The setup.")


manifold = Provider(
    name="manifold",
    title="Manifold",
    url="https://manifold.example",
    docs="https://manifold.example/docs",
    category="search",
    setup=ManifoldSetup,
)


@manifold.method(read_only=True)
def say(args: SaidArguments, setup: ManifoldSetup) -> SaidOutput:
    """Say what was set up."""
    said = {name: getattr(setup, name) for name in setup.model_fields_set}
    return SaidOutput(
        said={name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in said.items()}
    )


def test_a_variable_means_what_its_field_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"api_key": '{"a": 1}', "user": "12345", "pin": "0012345", "region": "eu"}
    others = {"port": "587", "wide": "true", "params": '{"tier": "fast"}'}
    for name, text in (texts | others).items():
        monkeypatch.setenv(f"MANIFOLD_{name.upper()}", text)
    assert call(manifold)["said"] == texts | {"port": 587, "wide": True, "params": {"tier": "fast"}}


@pytest.mark.parametrize(("name", "text"), [("PORT", "true"), ("WIDE", "yes"), ("PARAMS", "{"), ("PARAMS", "NaN")])
def test_a_variable_that_its_field_does_not_take(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv("MANIFOLD_API_KEY", "key-of-the-environment")
    monkeypatch.setenv(f"MANIFOLD_{name}", text)
    reply = post(manifold, {})
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert f"setup.{name.lower()}" in reply.body["detail"]


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_API_KEY", "")
    assert post(provider, {}).body["code"] == "missing_setup"


def test_a_variable_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_API_KEY", "key with spaces")
    reply = post(provider, {})
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert "in the environment" in reply.body["detail"]


@pytest.mark.parametrize("url", ["http://{api_key}.example", "http://{nothing}.example"])
def test_a_stored_host_cannot_hold_a_secret(secrets: Secrets, url: str) -> None:
    secrets.put("sample/default", {"setup": OLD, "base_url": url})
    assert post(provider, {}).body["code"] == "misconfigured"


def test_secrets_manager_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    reply = post(provider, {})
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (503, "dependency_unavailable", True)


def test_setup_for_a_provider_that_takes_none() -> None:
    from functions.wikipedia.provider import provider as wikipedia

    reply = post(wikipedia, {"setup": {"api_key": "k"}, "arguments": {"query": "tea"}})
    assert (reply.status, reply.body["code"], reply.body["errors"][0]["loc"]) == (422, "invalid_setup", ["setup"])


# Pinned arguments and hosts.


def test_pinned_arguments_win_under_any_name(answering: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD, "arguments": {"max_docs": 1, "query": "pinned", "text": "of write"}})
    call(provider, arguments={"limit": 9, "query": "asked", "exact": True})
    assert answering.last.query == {"limit": ["1"], "q": ["pinned"], "exact": ["true"]}


@pytest.mark.parametrize("pinned", [{"limits": 1}, {"limit": 50}, {"limit": "secret-looking-text"}])
def test_a_pin_that_does_not_fit_is_the_operators_mistake_and_never_passed_over(
    secrets: Secrets, pinned: dict[str, Any]
) -> None:
    secrets.put("sample/default", {"setup": OLD, "arguments": pinned})
    reply = post(provider, {"arguments": {"limit": 9}})
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert reply.body["errors"][0]["loc"] == ["arguments", next(iter(pinned))]
    assert "secret-looking" not in reply.text


def test_a_callers_own_mistake_beside_a_pin_is_the_callers(secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD, "arguments": {"limit": 1}})
    reply = post(provider, {"arguments": {"exact": "yes"}})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "exact"])


def test_pinned_arguments_of_another_connection_do_not_count(answering: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD, "arguments": {"limit": 1}})
    call(provider, setup=NEW, arguments={"limit": 9})
    assert answering.last.query["limit"] == ["9"]


def test_a_host_of_the_connection_is_used_with_its_own_credentials_only(answering: Upstream, secrets: Secrets) -> None:
    with Upstream() as own:
        own.replies(script.json({"value": 1}))
        secrets.put("sample/default", {"setup": OLD, "base_url": f"{own.url}/v1"})
        call(provider)
        assert key_of(own) == OLD["api_key"]
        call(provider, setup=NEW)
        assert key_of(answering) == NEW["api_key"]


# Cache and rotation, with a clock of our own.


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connections(secrets: Secrets, clock: Clock) -> Connections:
    return Connections(client=lambda: secrets.client, clock=clock)


def test_a_connection_is_read_once_in_five_minutes(connections: Connections, secrets: Secrets, clock: Clock) -> None:
    secrets.put("sample/default", {"setup": OLD})
    for _ in range(3):
        assert connections.read(SECRET) is not None
        clock.now += CACHED_FOR / 3
    assert len(secrets.reads) == 1
    secrets.put("sample/default", {"setup": NEW})
    connection = connections.read(SECRET)
    assert connection is not None
    assert (connection.setup, len(secrets.reads)) == (NEW, 2)


def test_the_current_version_is_asked_for_by_name(connections: Connections, secrets: Secrets, clock: Clock) -> None:
    """Moto, like a cache keyed by the name alone, answers an older version when no stage is named."""
    old = secrets.put("sample/default", {"setup": OLD})
    new = secrets.put("sample/default", {"setup": NEW})
    secrets.client.update_secret_version_stage(
        SecretId="integrations/sample/default", VersionStage="AWSCURRENT", MoveToVersionId=old, RemoveFromVersionId=new
    )
    connection = connections.read(SECRET)
    assert connection is not None
    assert connection.version == old


def test_what_is_not_stored_is_asked_for_again(connections: Connections, secrets: Secrets) -> None:
    assert connections.read(SECRET) is None
    secrets.put("sample/default", {"setup": OLD})
    assert connections.read(SECRET) is not None


def test_a_secret_marked_for_deletion_is_not_stored(connections: Connections, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    secrets.client.delete_secret(SecretId="integrations/sample/default")
    assert connections.read(SECRET) is None


class Outage:
    """A client of a Secrets Manager that can be out of reach."""

    def __init__(self, client: Any) -> None:
        self.client, self.down, self.asked = client, False, 0

    def get_secret_value(self, **options: Any) -> Any:
        from botocore.exceptions import EndpointConnectionError

        self.asked += 1
        if self.down:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")
        return self.client.get_secret_value(**options)


def test_an_outage_is_bridged_for_an_hour(secrets: Secrets, clock: Clock) -> None:
    outage = Outage(secrets.client)
    connections = Connections(client=lambda: outage, clock=clock)
    secrets.put("sample/default", {"setup": OLD})
    connections.read(SECRET)
    outage.down = True
    clock.now += CACHED_FOR
    for _ in range(5):
        connection = connections.read(SECRET)
        assert connection is not None
        assert connection.setup == OLD
    assert outage.asked == 2, "and is not asked at every call meanwhile"
    clock.now += STALE_FOR
    with pytest.raises(DependencyUnavailable):
        connections.read(SECRET)
    outage.down = False
    assert connections.read(SECRET) is not None


def test_a_refusal_by_iam_names_the_remedy(secrets: Secrets) -> None:
    from botocore.exceptions import ClientError

    class Denied:
        def get_secret_value(self, **options: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": str(options)}}, "GetSecretValue")

    with pytest.raises(Misconfigured, match="secretsmanager:GetSecretValue"):
        Connections(client=Denied).read(SECRET)


def test_a_401_refreshes_once_and_repeats_even_a_write(upstream: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    upstream.replies(script.json({"value": 1}), script.json({}, status=401), script.json({"value": 2}))
    call(provider, method="write")
    secrets.put("sample/default", {"setup": NEW})
    assert call(provider, method="write") == {"value": 2}
    keys = [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]
    assert keys == [OLD["api_key"], OLD["api_key"], NEW["api_key"]]
    assert len(secrets.reads) == 2


def test_a_401_with_an_unchanged_version_is_not_repeated(upstream: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    upstream.route(lambda _: script.json({}, status=401))
    for _ in range(4):
        assert post(provider, {}).body["code"] == "upstream_denied"
    assert len(upstream.requests) == 4
    assert len(secrets.reads) == 2, "one read and one refresh, not one refresh a call"


def test_a_403_and_a_setup_of_the_caller_refresh_nothing(upstream: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    upstream.replies(script.json({}, status=403), script.json({}, status=401))
    with pytest.raises(IntegrationError):
        call(provider)
    with pytest.raises(IntegrationError):
        call(provider, setup=NEW)
    assert len(secrets.reads) == 1


def test_refreshing_has_a_pause_in_an_outage_too(secrets: Secrets, clock: Clock) -> None:
    outage = Outage(secrets.client)
    connections = Connections(client=lambda: outage, clock=clock)
    secrets.put("sample/default", {"setup": OLD})
    seen = connections.read(SECRET)
    assert seen is not None
    outage.down = True
    for _ in range(3):
        assert connections.refresh(seen) is None
    assert outage.asked == 2


def test_there_is_no_refresh_without_time_for_it(upstream: Upstream, secrets: Secrets) -> None:
    secrets.put("sample/default", {"setup": OLD})
    upstream.replies(script.json({}, status=401))
    with pytest.raises(IntegrationError):
        call(provider, seconds=7.5)
    assert len(secrets.reads) == 1


def test_refreshing_has_a_pause(connections: Connections, secrets: Secrets, clock: Clock) -> None:
    secrets.put("sample/default", {"setup": OLD})
    seen = connections.read(SECRET)
    assert seen is not None
    assert connections.refresh(seen) is None
    secrets.put("sample/default", {"setup": NEW})
    assert connections.refresh(seen) is None, "asked a moment ago"
    clock.now += REFRESH_EVERY
    fresh = connections.refresh(seen)
    assert fresh is not None
    assert fresh.setup == NEW
    assert connections.refresh(seen) is fresh, "known by now, without asking"


def test_a_connection_does_not_show_what_it_holds() -> None:
    shown = repr(Connection(SETUP, {"q": "private"}, ("https://user:pass@h",), SECRET, "v1"))
    assert shown == f"Connection(secret='{SECRET}', version='v1', of_caller=False)"
