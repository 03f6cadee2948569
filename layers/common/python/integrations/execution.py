"""The one way of a call: method, connection, arguments, setup, and then the method itself."""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from integrations import findings
from integrations.errors import (
    IntegrationError,
    InvalidArguments,
    InvalidSetup,
    UnknownMethod,
    UpstreamDenied,
)
from integrations.http import Http, Meter
from integrations.redaction import remembered
from integrations.setup import Connection, resolve, rotated

if TYPE_CHECKING:
    from integrations.provider import Arguments, Method, Output, Provider, Setup

_M = TypeVar("_M", bound=BaseModel)

_WRONG_CREDENTIALS = (401, 535)  # of HTTP, of SMTP


class Call(NamedTuple):
    """What a caller asks of a provider. `method` is None for the default one, `deadline` is on the monotonic clock."""

    method: str | None
    arguments: dict[str, Any]
    setup: dict[str, Any] | None
    connection: str | None
    deadline: float


def execute(provider: "Provider", call: Call, meter: Meter) -> "Output":
    """Carry out the call and give the method's output. Raise the errors of `errors.py`.

    When the service refuses the credentials of a stored setup, the connection is read again, once, and the call
    repeated if it was rotated in the meantime: that refusal means that nothing was done, so it holds for writes too.
    A 403 is about rights, not about the age of the key.
    """
    method = provider.methods.get(call.method or provider.default_method)
    if method is None:
        raise UnknownMethod(f"{provider.name} has no method of that name; it has: {', '.join(provider.methods)}.")
    connection = resolve(provider, call.setup, call.connection)
    try:
        return _run(provider, method, call, connection, meter)
    except UpstreamDenied as denied:
        fresh = rotated(provider, connection) if denied.upstream_status in _WRONG_CREDENTIALS else None
        if fresh is None:
            raise
        return _run(provider, method, call, fresh, meter)


def _run(provider: "Provider", method: "Method", call: Call, connection: Connection, meter: Meter) -> "Output":
    arguments = _arguments(method, call.arguments, connection.arguments)
    setup = _setup(provider, connection)
    offered: dict[str, Any] = {"args": arguments, "setup": setup}
    if "http" in method.parameters:
        offered["http"] = Http(
            provider=provider,
            setup=setup,
            arguments=arguments,
            base_urls=connection.base_urls or provider.base_urls,
            deadline=call.deadline,
            repeatable=method.repeatable,
            meter=meter,
        )
    if "tcp" in method.parameters:
        # Few providers speak anything but HTTP, so few load it.
        from integrations.tcp import Tcp

        offered["tcp"] = Tcp(provider=provider, setup=setup, deadline=call.deadline, meter=meter)
    return method.function(**{name: offered[name] for name in method.parameters})


def _arguments(method: "Method", sent: dict[str, Any], pinned: dict[str, Any]) -> "Arguments":
    """Validate the caller's arguments with the pinned ones of the connection over them."""
    if pinned:
        names = method.argument_names
        sent = {names.get(name, name): value for name, value in sent.items()}
        sent |= {names[name]: value for name, value in pinned.items() if name in names}
    return _validated(method.arguments, sent, "arguments", InvalidArguments)


def _setup(provider: "Provider", connection: Connection) -> "Setup | None":
    if provider.setup is None:
        if connection.setup:
            found = [findings.finding(["setup"], "unexpected", f"{provider.name} takes no setup; leave it out")]
            raise InvalidSetup(findings.sentence(found), errors=found)
        return None
    try:
        setup = _validated(provider.setup, connection.setup, "setup", InvalidSetup)
    except InvalidSetup as invalid:
        raise connection.blame(provider, invalid) from None
    for _, value in setup:
        if isinstance(value, SecretStr) and value.get_secret_value() not in remembered:
            remembered.append(value.get_secret_value())
    return setup


def _validated(model: type[_M], data: dict[str, Any], where: str, error: type[IntegrationError]) -> _M:
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        found = findings.of_validation(invalid, where)
    raise error(findings.sentence(found), errors=found)
