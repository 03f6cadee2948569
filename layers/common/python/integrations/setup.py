"""Where a setup comes from: the call, a stored connection, and on a laptop the environment.

A connection is a secret `<prefix>/<provider>/<connection>` in Secrets Manager with the value
`{"setup": {...}, "arguments": {...}?, "base_url": "..."?}`. Its arguments are pinned: they win over the caller's.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_core import from_json

from integrations.errors import (
    DependencyUnavailable,
    IntegrationError,
    InvalidSetup,
    Misconfigured,
    MissingSetup,
    UnknownConnection,
)
from integrations.findings import finding
from integrations.plain import NotPlain, parse_request
from integrations.redaction import silence

if TYPE_CHECKING:
    from integrations.provider import Provider

CACHED_FOR = 300.0  # seconds a connection is used without asking again
STALE_FOR = 3600.0  # seconds it is used while Secrets Manager does not answer
SLOWEST_READ = 6.5  # seconds that two attempts on Secrets Manager may take, see _secrets_manager
REFRESH_EVERY = 30.0  # seconds between two refreshes asked for by a 401, or a bad key becomes a storm of reads

_LOCAL = "INTEGRATIONS_LOCAL"  # set by `integrations serve` and `invoke`, never in AWS
_ENDPOINTS = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"}
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # of a connection


class _Stored(BaseModel):
    """The value of a connection's secret."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    setup: dict[str, Any] | None = None
    arguments: dict[str, Any] | None = None
    base_url: str | None = None


class Connection(NamedTuple):
    """What a call reaches the service with: the caller's own setup, a stored one or the environment's.

    `secret` names the stored one and `version` changes when it is rotated; both are empty for the others.
    """

    setup: dict[str, Any] = {}  # noqa: RUF012  # never changed in place
    arguments: dict[str, Any] = {}  # noqa: RUF012  # the same
    base_urls: tuple[str, ...] = ()
    secret: str = ""
    version: str = ""
    of_caller: bool = False

    def __repr__(self) -> str:
        """Show nothing of what it holds."""
        return f"Connection(secret={self.secret!r}, version={self.version!r}, of_caller={self.of_caller})"

    def blame(self, provider: "Provider", invalid: InvalidSetup) -> IntegrationError:
        """Give the error of a setup that does not fit, by who can mend it."""
        if self.of_caller:
            return invalid
        absent = [found for found in invalid.errors or [] if found["type"] == "missing"]
        if absent:
            fields = ", ".join(found["loc"][1] for found in absent)
            return MissingSetup(
                f"{provider.name} needs {fields}: send them as `setup` in the call, "
                f"or store a connection with `integrations secrets put {provider.name}`.",
                errors=absent,
            )
        if not self.secret:
            return Misconfigured(
                f"The setup of {provider.name} in the environment does not fit ({invalid.detail})",
                errors=invalid.errors,
            )
        return Misconfigured(
            f"The stored connection of {provider.name} does not fit ({invalid.detail}) "
            f"Store it again with `integrations secrets put {provider.name}`.",
            errors=invalid.errors,
        )


@dataclass(eq=False, repr=False)
class _Cached:
    connection: Connection
    read_at: float
    ask_again_at: float
    refreshed_at: float = 0.0


def _secrets_manager() -> Any:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
    client = boto3.client("secretsmanager", config=config)
    silence("boto3", "botocore", "urllib3")  # at DEBUG they write the secret as it came
    return client


class Connections:
    """The stored connections, each read once in five minutes.

    `client` gives a Secrets Manager client of boto3; `clock` gives seconds. The wall clock is right here: the
    monotonic one may stand still while Lambda keeps the environment frozen.
    """

    def __init__(self, client: Callable[[], Any] | None = None, clock: Callable[[], float] = time.time) -> None:
        self._make_client = client or _secrets_manager
        self._client: Any = None
        self._clock = clock
        self._lock = threading.Lock()
        self._cache: dict[str, _Cached] = {}

    def read(self, secret: str) -> Connection | None:
        """Give the connection, or None where none is stored under that name.

        Raise DependencyUnavailable when Secrets Manager does not answer and nothing usable is cached, and
        Misconfigured when the stored value is not a connection.
        """
        with self._lock:
            cached, now = self._cache.get(secret), self._clock()
            if cached and now < cached.ask_again_at:
                return cached.connection
            try:
                return self._keep(secret, self._fetch(secret))
            except DependencyUnavailable:
                if cached is None or now - cached.read_at > STALE_FOR:
                    raise
                cached.ask_again_at = now + REFRESH_EVERY
                return cached.connection

    def refresh(self, seen: Connection) -> Connection | None:
        """Read again after a 401. Give the connection if it is a stored one and was rotated, else None."""
        secret = seen.secret
        if not secret:
            return None
        with self._lock:
            cached, now = self._cache.get(secret), self._clock()
            if cached and cached.connection.version != seen.version:
                return cached.connection
            if cached and now - cached.refreshed_at < REFRESH_EVERY:
                return None
            if cached:
                cached.refreshed_at = now
            try:
                connection = self._keep(secret, self._fetch(secret))
            except DependencyUnavailable:
                return None
            return connection if connection and connection.version != seen.version else None

    def forget(self) -> None:
        """Read every connection again at its next use, by a new client."""
        with self._lock:
            self._cache.clear()
            self._client = None

    def _keep(self, secret: str, connection: Connection | None) -> Connection | None:
        before = self._cache.pop(secret, None)
        if connection is not None:
            now = self._clock()
            refreshed_at = before.refreshed_at if before else 0.0
            self._cache[secret] = _Cached(connection, now, now + CACHED_FOR, refreshed_at)
        return connection

    def _fetch(self, secret: str) -> Connection | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._client is None:
                self._client = self._make_client()
            # The stage is named because a cache or a test double may otherwise answer an older version.
            value = self._client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            # A secret that is scheduled for deletion answers InvalidRequestException.
            if code in ("ResourceNotFoundException", "InvalidRequestException"):
                return None
            if code == "AccessDeniedException":
                raise Misconfigured(
                    "This function may not read its connection; give its role secretsmanager:GetSecretValue."
                ) from None
            raise DependencyUnavailable("Secrets Manager did not give the connection; call again.") from None
        except BotoCoreError:
            raise DependencyUnavailable("Secrets Manager did not answer; call again.") from None
        return _parse(secret, value)


connections = Connections()


def resolve(provider: "Provider", setup: dict[str, Any] | None, name: str | None) -> Connection:
    """Give what the call reaches the service with: its own setup, the named connection, or the default one.

    A provider that takes no setup has no default connection to look for. On a laptop the environment stands in for
    a default connection that is not stored. Raise UnknownConnection for a name that is not stored.
    """
    if setup and not (provider.setup and provider.setup.asks_for_default(setup)):
        return _with_hosts(provider, Connection(setup, of_caller=True))
    if name is not None:
        connection = connections.read(_secret_name(provider, name)) if NAME.fullmatch(name) else None
        if connection is None:
            raise UnknownConnection(
                f"{provider.name} has no connection of that name; "
                f"store it with `integrations secrets put {provider.name} --connection NAME`.",
                errors=[finding(["connection"], "unknown", "No such connection")],
            )
    else:
        connection = _default(provider)
    return _with_hosts(provider, connection)


def rotated(provider: "Provider", seen: Connection, deadline: float) -> Connection | None:
    """Give the stored connection anew if it was rotated since it was `seen` and there is time to look, else None."""
    if time.monotonic() + SLOWEST_READ > deadline:
        return None
    fresh = connections.refresh(seen)
    return fresh and _with_hosts(provider, fresh)


def _default(provider: "Provider") -> Connection:
    if provider.setup is None:
        return Connection()
    secret = _secret_name(provider, "default")
    if os.environ.get(_LOCAL) != "1":
        return connections.read(secret) or Connection()
    # On a laptop only the local store is asked, never an account that happens to be configured.
    stored = connections.read(secret) if _ENDPOINTS & os.environ.keys() else None
    return stored or _from_environment(provider)


def _from_environment(provider: "Provider") -> Connection:
    prefix, fields = provider.name.upper(), provider.setup.model_fields if provider.setup else {}
    variables = {name: os.environ.get(f"{prefix}_{name.upper()}") for name in fields}
    return Connection({name: from_text(text, fields[name].annotation) for name, text in variables.items() if text})


def from_text(text: str, annotation: Any) -> Any:
    """Give the value that a variable, or a person at a terminal, means for a field: JSON where it takes no text."""
    if _takes_text(annotation):
        return text
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return text


def _takes_text(annotation: Any) -> bool:
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return any(map(_takes_text, get_args(annotation)))
    return annotation in (str, SecretStr)


def _with_hosts(provider: "Provider", connection: Connection) -> Connection:
    # A host that comes with a connection is used with that connection's credentials only.
    return connection if connection.base_urls else connection._replace(base_urls=_replaced(provider))


def _replaced(provider: "Provider") -> tuple[str, ...]:
    """Give what `<PROVIDER>_BASE_URL` holds: a comma list, empty when it is not set."""
    urls = os.environ.get(f"{provider.name.upper()}_BASE_URL")
    return tuple(url.strip() for url in urls.split(",") if url.strip()) if urls else ()


def _secret_name(provider: "Provider", name: str) -> str:
    return f"{os.environ.get('INTEGRATIONS_PREFIX', 'integrations')}/{provider.name}/{name}"


def _parse(secret: str, answer: dict[str, Any]) -> Connection:
    try:
        value = _Stored.model_validate(parse_request(answer.get("SecretString", "").encode("utf-8", "surrogatepass")))
    except (NotPlain, ValidationError):
        raise Misconfigured(
            'The stored connection is not {"setup": {...}, "arguments": {...}, "base_url": "..."}; '
            "store it again with `integrations secrets put`."
        ) from None
    return Connection(
        setup=value.setup or {},
        arguments=value.arguments or {},
        base_urls=(value.base_url,) if value.base_url else (),
        secret=secret,
        version=answer.get("VersionId", ""),
    )
