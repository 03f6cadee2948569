"""The one way of a call: method, connection, arguments, setup, and then the method itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from integrations import findings, redaction
from integrations.deadline import Deadline
from integrations.errors import (
    IntegrationError,
    InvalidArguments,
    InvalidSetup,
    Misconfigured,
    UnknownMethod,
    UpstreamDenied,
)
from integrations.http import Http, Meter
from integrations.setup import Connection, base_url_override, connections, missing, stored

if TYPE_CHECKING:
    from integrations.provider import Arguments, Method, Output, Provider, Setup

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a caller asks of a provider. `method` is None for the default one."""

    method: str | None
    arguments: dict[str, Any]
    setup: dict[str, Any] | None
    connection: str | None
    deadline: Deadline


def execute(provider: "Provider", call: Call, meter: Meter) -> "Output":
    """Carry out the call and give the method's output. Raise the errors of `errors.py`.

    When the service answers 401 to a stored setup, the connection is read again, once, and the call repeated if it
    was rotated in the meantime: a 401 means that nothing was done, so that holds for writes too.
    """
    method = find_method(provider, call.method)
    connection = None if call.setup else stored(provider, call.connection)
    try:
        return _run(provider, method, call, connection, meter)
    except UpstreamDenied as denied:
        if denied.upstream_status != 401 or not (
            connection and connection.version
        ):  # 403 is about rights, not about the key's age
            raise
        fresh = connections.refresh(provider.name, call.connection or "default", connection)
        if fresh is None:
            raise
        return _run(provider, method, call, fresh, meter)


def find_method(provider: "Provider", name: str | None) -> "Method":
    """Give the method of that name, or the default one. Raise UnknownMethod."""
    method = provider.methods.get(provider.default_method if name is None else name)
    if method is None:
        raise UnknownMethod(f"{provider.name} has no method of that name; it has: {', '.join(provider.methods)}.")
    return method


def _run(provider: "Provider", method: "Method", call: Call, connection: Connection | None, meter: Meter) -> "Output":
    arguments = _arguments(method, call.arguments, connection)
    setup = _setup(provider, call, connection)
    # A host that comes with a connection is used with that connection's credentials only.
    own_host = (connection.base_url,) if connection and connection.base_url else ()
    http = Http(
        provider=provider,
        setup=setup,
        arguments=arguments,
        overrides=own_host or base_url_override(provider),
        deadline=call.deadline,
        repeatable=method.repeatable,
        meter=meter,
    )
    offered = {"args": arguments, "http": http, "setup": setup}
    return method.function(**{name: offered[name] for name in method.parameters})


def _arguments(method: "Method", sent: dict[str, Any], connection: Connection | None) -> "Arguments":
    """Validate the caller's arguments with the pinned ones of the connection over them."""
    pinned = connection.arguments if connection else {}
    if pinned:
        names = method.argument_names
        sent = {names.get(name, name): value for name, value in sent.items()}
        sent |= {names[name]: value for name, value in pinned.items() if name in names}
    return _validated(method.arguments, sent, "arguments", InvalidArguments)


def _setup(provider: "Provider", call: Call, connection: Connection | None) -> "Setup | None":
    if provider.setup is None:
        if call.setup:
            raise InvalidSetup(
                f"{provider.name} takes no setup; leave it out.",
                errors=[findings.finding(["setup"], "unexpected", "No setup is taken")],
            )
        return None
    given = connection.setup if connection else call.setup or {}
    try:
        setup = _validated(provider.setup, given, "setup", InvalidSetup)
    except InvalidSetup as invalid:
        if call.setup:
            raise
        absent = [error["loc"][1] for error in invalid.errors or [] if error["type"] == "missing"]
        if absent:
            raise missing(provider, absent) from None
        raise Misconfigured(
            f"The stored connection of {provider.name} does not fit; "
            f"store it again with `integrations secrets put {provider.name}`.",
            errors=invalid.errors,
        ) from None
    for _, value in setup:
        if isinstance(value, SecretStr):
            redaction.remember(value.get_secret_value())
    return setup


def _validated(model: type[_M], data: dict[str, Any], where: str, error: type[IntegrationError]) -> _M:
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        found = findings.of_validation(invalid, where)
    raise error(findings.sentence(found), errors=found)
