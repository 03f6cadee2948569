"""Connections as people write and read them: checked before they are stored, masked when they are shown."""

import re
from typing import Any

import click
from pydantic import AliasChoices, ValidationError
from pydantic_core import from_json

from devtools.errors import CommandError, UsageError
from devtools.store import API_KEYS, SecretStore, Value
from integrations import Provider, findings
from integrations.setup import NAME, from_text

DEFAULT = "default"
MASK = "****"

_MEMBERS = {"setup", "arguments", "base_url"}


class InvalidConnection(CommandError):
    """What is to be stored is not a connection; the text says what is wrong."""


def secret_name(provider: Provider, connection: str | None) -> str:
    """Name the secret of a connection, the default one without a name."""
    if connection is None and provider.setup is None:
        raise UsageError(
            f"{provider.name} takes no setup, so it has no default connection; "
            "a named one can pin arguments: add --connection NAME."
        )
    if connection is not None and not NAME.fullmatch(connection):
        raise UsageError("A connection's name is 1 to 64 letters, digits, dots, dashes and underscores.")
    return f"{provider.name}/{connection or DEFAULT}"


def stored_connections(store: SecretStore, provider: str | None) -> list[tuple[str, str]]:
    """List provider and name of every connection, or of one provider's."""
    names = [name.partition("/") for name in store.names() if name != API_KEYS]
    return [(of, name) for of, _, name in names if provider in (None, of)]


def required_fields(provider: Provider) -> list[str]:
    """Name the fields without which a setup is none; a provider may need none of them."""
    fields = provider.setup.model_fields if provider.setup else {}
    return [name for name, field in fields.items() if field.is_required()]


def parse(provider: Provider, text: bytes) -> Value:
    """Read a connection off JSON: the setup itself, or {"setup", "arguments", "base_url"}."""
    try:
        given = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise InvalidConnection("The value is not JSON.") from None
    if not isinstance(given, dict):
        raise InvalidConnection("The value is not an object.")
    # A setup may have a field of its own that is called base_url.
    whole = given.keys() <= _MEMBERS and not given.keys() <= set(provider.setup_fields)
    return given if whole else {"setup": given}


def checked(provider: Provider, given: Value, stored: Value | None) -> Value:
    """Give what is to be stored: plain names, masked values replaced by the stored ones. Raise InvalidConnection."""
    if given.keys() - _MEMBERS:
        raise InvalidConnection("Beside `setup`, `arguments` and `base_url` a connection holds nothing.")
    members = {name: value for name, value in given.items() if value is not None}
    for name in ("setup", "arguments"):
        if not isinstance(members.get(name, {}), dict):
            raise InvalidConnection(f"`{name}` is not an object.")
    value: Value = {}
    if provider.setup:
        value["setup"] = _setup(provider, members.get("setup", {}), _setup_of(stored))
    elif members.get("setup"):
        raise InvalidConnection(f"{provider.name} takes no setup; leave it out.")
    if members.get("arguments"):
        value["arguments"] = _pinned(provider, members["arguments"])
    if "base_url" in members:
        value["base_url"] = _base_url(members["base_url"])
    if not value:
        raise InvalidConnection('There is nothing to store; give {"arguments": {...}} to pin arguments.')
    return value


def _setup(provider: Provider, given: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    assert provider.setup  # noqa: S101  # the caller has looked
    names = _plain_names(provider)
    setup = {names.get(name, name): value for name, value in given.items()}
    if len(setup) < len(given):
        raise InvalidConnection("A field of the setup is given twice, under two of its names.")
    for name in _secret_fields(provider) & setup.keys():
        if isinstance(setup[name], str) and setup[name].startswith(MASK):
            if name not in stored or setup[name] != mask(stored[name]):
                raise InvalidConnection(f"{name}: this masked value is not the stored one's; give the value itself.")
            setup[name] = stored[name]
    try:
        provider.setup.model_validate(setup)
    except ValidationError as invalid:
        found = findings.of_validation(invalid, "setup")
        raise InvalidConnection(" ".join(findings.sentence([each]) for each in found)) from None
    return setup


def _pinned(provider: Provider, given: dict[str, Any]) -> dict[str, Any]:
    known = {name for method in provider.methods.values() for name in method.argument_names}
    for name in given:
        if name not in known:
            found = findings.finding(["arguments", name], "unknown", f"No method of {provider.name} takes it")
            raise InvalidConnection(findings.sentence([found]))
    return given


def _base_url(given: Any) -> str:
    if not (isinstance(given, str) and re.fullmatch(r"https?://[^\s/]+\S*", given)):
        raise InvalidConnection("base_url: an address starts with https:// or http:// and a host.")
    return given


def masked(provider: Provider, value: Value) -> Value:
    """Give a connection as it may be shown. What the provider does not know (any more) may be a secret too."""
    hidden = _secret_fields(provider)
    known = set(provider.setup_fields)
    setup = {
        name: mask(field) if name in hidden or name not in known else field for name, field in _setup_of(value).items()
    }
    members = {
        name: field if field is None or name in ("arguments", "base_url") else mask(field)
        for name, field in value.items()
    }
    return members | ({"setup": setup} if setup else {})


def mask(secret: Any) -> str:
    """Show the last four characters of a secret that is long enough to keep the rest."""
    return MASK + secret[-4:] if isinstance(secret, str) and len(secret) > 12 else MASK


def ask(provider: Provider, stored: Value | None) -> Value:
    """Ask for each field of the setup at the terminal; a secret is not shown while it is typed."""
    if provider.setup is None:
        raise InvalidConnection(
            f"{provider.name} has nothing to ask for; give "
            '{"arguments": {...}} on standard input or with --from-file.'
        )
    before = _setup_of(masked(provider, stored or {}))
    answers = {}
    for name, info in provider.setup.model_fields.items():
        click.echo(f"{info.description}")
        default = before.get(name, None if info.is_required() else info.get_default(call_default_factory=True))
        shown = f" [{default}]" if default is not None else "" if info.is_required() else " [none]"
        answer = click.prompt(
            name + shown,
            default="" if shown else None,
            show_default=False,
            hide_input=name in _secret_fields(provider),
        )
        if answer != "" or name in before:
            answers[name] = from_text(answer, info.annotation) if answer != "" else before[name]
    kept = {name: value for name, value in (stored or {}).items() if name in _MEMBERS}
    return {**kept, "setup": answers}


def _setup_of(stored: Value | None) -> dict[str, Any]:
    """Give the setup that is stored; there is none where somebody has written anything else in its place."""
    setup = (stored or {}).get("setup")
    return setup if isinstance(setup, dict) else {}


def _secret_fields(provider: Provider) -> set[str]:
    fields = provider.setup.model_fields if provider.setup else {}
    return {name for name, info in fields.items() if "SecretStr" in str(info.annotation)}


def _plain_names(provider: Provider) -> dict[str, str]:
    fields = provider.setup.model_fields if provider.setup else {}
    return {
        alias: name
        for name, info in fields.items()
        if isinstance(info.validation_alias, AliasChoices)
        for alias in info.validation_alias.choices
        if isinstance(alias, str)
    }
