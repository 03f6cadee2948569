"""The one way of a call: method, connection, arguments, setup, and then the method itself."""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from integrations import findings
from integrations.errors import (
    IntegrationError,
    InvalidArguments,
    InvalidSetup,
    Misconfigured,
    UpstreamDenied,
)
from integrations.http import Http, Meter
from integrations.redaction import remembered
from integrations.setup import Connection, resolve, rotated

if TYPE_CHECKING:
    from integrations.provider import Arguments, Method, Output, Provider, Setup

_M = TypeVar("_M", bound=BaseModel)

# Of those who give tokens (RFC 6749 section 5.2), of HTTP, of services that check a key like an argument, of SMTP.
_WRONG_CREDENTIALS = (400, 401, 422, 535)


class Call(NamedTuple):
    """What a caller asks of a method, by an HTTP request or another event. `deadline` is on the monotonic clock."""

    arguments: dict[str, Any]
    setup: dict[str, Any] | None
    connection: str | None
    deadline: float
    over_http: bool


class Outcome(NamedTuple):
    """What a method gave, and the secrets that it was given or got for them: they have no place in an output."""

    output: "Output"
    secrets: list[str]


def execute(provider: "Provider", method: "Method", call: Call, meter: Meter) -> Outcome:
    """Carry out the call and give its outcome. Raise the errors of `errors.py`.

    When the service refuses the credentials of a stored setup, the connection is read again, once, and the call
    repeated if it was rotated in the meantime: that refusal means that nothing was done, so it holds for writes too.
    A 403 is about rights, not about the age of the key.
    """
    connection = resolve(provider, call.setup, call.connection)
    try:
        return _run(provider, method, call, connection, meter)
    except UpstreamDenied as denied:
        wrong = denied.upstream_status in _WRONG_CREDENTIALS
        fresh = rotated(provider, connection, call.deadline) if wrong else None
        if fresh is None:
            raise
        return _run(provider, method, call, fresh, meter)


def _run(provider: "Provider", method: "Method", call: Call, connection: Connection, meter: Meter) -> Outcome:
    arguments = _arguments(provider, method, call.arguments, connection.arguments)
    try:
        setup = _setup(provider, connection.setup)
        offered = _offered(provider, method, call, connection, arguments, setup, meter)
        output = method.function(**{name: offered[name] for name in method.parameters})
        return Outcome(output, [*_secrets(setup), *meter.tokens])
    except InvalidSetup as invalid:
        raise connection.blame(provider, invalid) from None


def _offered(
    provider: "Provider",
    method: "Method",
    call: Call,
    connection: Connection,
    arguments: "Arguments",
    setup: "Setup | None",
    meter: Meter,
) -> dict[str, Any]:
    """Give what a method may ask for by naming it: its arguments, the setup, the time, and a way to the service."""
    offered: dict[str, Any] = {"args": arguments, "setup": setup, "deadline": call.deadline}
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
    if "files" in method.parameters:
        from integrations.files import Files

        offered["files"] = Files(deadline=call.deadline, meter=meter, over_http=call.over_http)
    if "tcp" in method.parameters:
        # Few providers speak anything but HTTP, so few load it.
        from integrations.tcp import Tcp

        offered["tcp"] = Tcp(provider=provider, setup=setup, deadline=call.deadline, meter=meter)
    return offered


def _arguments(provider: "Provider", method: "Method", sent: dict[str, Any], pinned: dict[str, Any]) -> "Arguments":
    """Validate the caller's arguments with the pinned ones of the connection over them.

    A pin counts for every method that has such an argument. One that no method has, or that does not fit, is the
    operator's mistake, and is not passed over: it may be all that keeps a caller in bounds.
    """
    if not pinned:
        return _validated(method.arguments, sent, "arguments", InvalidArguments)
    known = {name for each in provider.methods.values() for name in each.argument_names}
    if unknown := pinned.keys() - known:
        raise _unfit_pins(
            provider, [findings.finding(["arguments", name], "unknown", "No such argument") for name in sorted(unknown)]
        )
    names = method.argument_names
    pins = {names[name]: value for name, value in pinned.items() if name in names}
    try:
        own = {names.get(name, name): value for name, value in sent.items()}
        return _validated(method.arguments, own | pins, "arguments", InvalidArguments)
    except InvalidArguments as invalid:
        found = [item for item in invalid.errors or [] if item["loc"][-1] in pins]
        raise _unfit_pins(provider, found) if found else invalid from None


def _unfit_pins(provider: "Provider", found: list[findings.Finding]) -> Misconfigured:
    return Misconfigured(
        f"The arguments pinned by the stored connection do not fit ({findings.sentence(found)}); "
        f"store it again with `integrations secrets put {provider.name}`.",
        errors=found,
    )


def _setup(provider: "Provider", given: dict[str, Any]) -> "Setup | None":
    if provider.setup is None:
        if given:
            found = [findings.finding(["setup"], "unexpected", f"{provider.name} takes no setup; leave it out")]
            raise InvalidSetup(findings.sentence(found), errors=found)
        return None
    setup = _validated(provider.setup, given, "setup", InvalidSetup)
    remembered.extend(secret for secret in _secrets(setup) if secret not in remembered)
    return setup


def _secrets(setup: "Setup | None") -> list[str]:
    return [value.get_secret_value() for _, value in setup or () if isinstance(value, SecretStr)]


def _validated(model: type[_M], data: dict[str, Any], where: str, error: type[IntegrationError]) -> _M:
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        found = findings.of_validation(invalid, where)
    raise error(findings.sentence(found), errors=found)
