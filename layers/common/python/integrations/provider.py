"""What a provider file declares: the facts in `Provider(...)`, one function per method.

    provider = Provider(name="...", title="...", ...)

    @provider.method(read_only=True)
    def search(args: SearchArguments, http: Http) -> SearchOutput:
        \"\"\"Find what matches a query.\"\"\"

    handler = provider.handler

A mistake in a declaration is a TypeError at import, so no test is needed to find it.
"""

import functools
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import AliasChoices, BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from integrations import collecting, handler


def _strict_booleans(schema: Any) -> Any:
    """Rewrite a core schema: a boolean field takes only a boolean, a number field takes none."""
    if isinstance(schema, list | tuple):
        return type(schema)(_strict_booleans(item) for item in schema)
    if not isinstance(schema, dict):
        return schema
    rewritten = {key: _strict_below(key, value) for key, value in schema.items()}
    if rewritten.get("type") == "bool":
        return {**rewritten, "strict": True}
    if rewritten.get("type") in ("int", "float"):
        return core_schema.no_info_before_validator_function(_not_a_boolean, rewritten)
    return rewritten


def _strict_below(key: str, value: Any) -> Any:
    if key in ("metadata", "cls", "config", "default"):
        return value
    if key == "fields" and isinstance(value, dict):
        # These keys are names, and a field may be called `metadata` or `default`.
        return {name: _strict_booleans(field) for name, field in value.items()}
    return _strict_booleans(value)


def _not_a_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number, not a boolean")
    return value


def names_of_fields(model: type[BaseModel]) -> dict[str, str]:
    """Give the field for each name its value may be sent under."""
    names = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else [alias]
        names.update({other: name for other in (name, *others) if isinstance(other, str)})
    return names


class _Given(BaseModel):
    """What comes with a call. Unknown fields are refused, so nothing is silently dropped.

    Numbers may come as numeric strings, because language models and environments send them so; a boolean is only ever
    a boolean. Null for an optional field means absent: strict tools of some vendors need every key.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True, allow_inf_nan=False
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, build: GetCoreSchemaHandler, /) -> CoreSchema:
        """Take pydantic's schema, made strict about booleans."""
        schema: CoreSchema = _strict_booleans(build(source))
        return schema

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not any(value is None for value in data.values()):
            return data
        fields, names = cls.model_fields, names_of_fields(cls)
        return {
            name: value
            for name, value in data.items()
            if value is not None or name not in names or fields[names[name]].is_required()
        }


class Setup(_Given):
    """What reaches the service: keys, hosts. Secrets are `SecretStr`."""

    @classmethod
    def asks_for_default(cls, given: dict[str, Any]) -> bool:  # noqa: ARG003  # for those that override it
        """Say whether what is given as a setup is none, but asks in its own words for the default connection."""
        return False


class Arguments(_Given):
    """What a method takes."""


class Output(BaseModel):
    """What a method gives: the fields we promise. The user's own data is `dict[str, Any]`."""

    model_config = ConfigDict(populate_by_name=True)


class Method(NamedTuple):
    """One operation of a provider, with its effect in MCP's words."""

    name: str
    function: Callable[..., Output]
    parameters: tuple[str, ...]
    arguments: type[Arguments]
    output: type[Output]
    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool
    repeatable: bool
    """Whether sending the same request twice does, and costs, no more than sending it once."""
    files: bool
    """Whether the arguments hold files, which make a call larger than words do."""

    @property
    def description(self) -> str:
        """Give the docstring of the function: what a language model reads about the method."""
        return " ".join((self.function.__doc__ or "").split())

    @property
    def argument_names(self) -> dict[str, str]:
        """Give the field for each name an argument may be sent under."""
        return names_of_fields(self.arguments)


@dataclass(kw_only=True, eq=False, repr=False)
class Provider:
    """One third-party service.

    `base_url` may hold `{field}`s of the setup or, where all methods have them, of the arguments; a tuple is tried
    in order when a host fails, and an empty one says that the service does not speak HTTP. `headers` may hold
    `{field}`s of the setup, and so may the user and the password of `basic_auth`. `other_urls` are further services
    by name, reached with `http.at(name)`. `attempt_timeout` is in seconds, for one attempt; the deadline of the call
    bounds all of them together. `max_response_bytes` counts decoded bytes. `min_interval` is for a service that asks
    for a pace: the seconds from the start of one request to the start of the next with the same credentials.
    `pacing.py` says how far that reaches. `paced_by_quotas` is for a service that says in its answers how much is left
    of its quotas, see `quotas.py`: nothing is sent while a short one is used up.
    `function` holds properties of the SAM function that differ from the template's Globals.
    """

    name: str
    title: str
    url: str
    docs: str
    icon: str | None = None
    category: str
    setup: type[Setup] | None = None
    base_url: str | tuple[str, ...] = ()
    other_urls: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    basic_auth: tuple[str, str] | None = None
    attempt_timeout: float = 10.0
    max_response_bytes: int = 4_000_000
    min_interval: float = 0.0
    paced_by_quotas: bool = False
    function: dict[str, Any] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict, init=False)
    default_method: str = field(default="", init=False)
    base_urls: tuple[str, ...] = field(init=False)
    setup_fields: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive what a call needs, and check that the headers can be filled."""
        self.base_urls = (self.base_url,) if isinstance(self.base_url, str) else self.base_url
        self.setup_fields = tuple(self.setup.model_fields) if self.setup else ()
        unknown = _placeholders(*self.headers.values(), *(self.basic_auth or ())) - set(self.setup_fields)
        if unknown:
            raise TypeError(f"{self.name}: the headers name unknown setup fields: {sorted(unknown)}")

    def method(
        self,
        *,
        read_only: bool,
        destructive: bool | None = None,
        idempotent: bool | None = None,
        open_world: bool = True,
        files: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a method with its effect. What is not read-only says whether it destroys and may be repeated.

        A read whose every request is billed says `idempotent=False`: it is not repeated either. A method that takes
        `files` in its arguments may be called with as much as Lambda takes.
        """
        if read_only:
            destructive, idempotent = bool(destructive), idempotent is not False
        if destructive is None or idempotent is None:
            raise TypeError(f"{self.name}: a method that writes declares destructive= and idempotent=")

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            arguments, output = self._signature(function)
            self.methods[function.__name__] = Method(
                name=function.__name__,
                function=function,
                parameters=tuple(name for name in function.__annotations__ if name != "return"),
                arguments=arguments,
                output=output,
                read_only=read_only,
                destructive=destructive,
                idempotent=idempotent,
                open_world=open_world,
                repeatable=idempotent,
                files=files,
            )
            self.default_method = self.default_method or function.__name__
            return function

        return declare

    @property
    def handler(self) -> Callable[[Any, Any], Any]:
        """Give the Lambda handler. Taking it ends the start: garbage is collected as usual from now on."""
        if not self.methods:
            raise TypeError(f"{self.name}: a provider needs a method")
        collecting.as_usual()
        return functools.partial(handler.handle, self)

    def _signature(self, function: Callable[..., Any]) -> tuple[type[Arguments], type[Output]]:
        """Read `(args: XArguments, http: Http, files: Files, tcp: Tcp, setup: XSetup, deadline: float) -> XOutput`.

        All but the first are optional, in any order. `deadline` is when the method must be done, on the monotonic
        clock; `http`, `files` and `tcp` keep to it by themselves, so only a method that works or waits on its own asks
        for it.
        """
        name = f"{self.name}.{function.__name__}"
        hints = dict(function.__annotations__)
        arguments, output = hints.pop("args", None), hints.pop("return", None)
        if not (isinstance(arguments, type) and issubclass(arguments, Arguments)):
            raise TypeError(f"{name}: the first parameter is `args`, typed with a subclass of Arguments")
        if not (isinstance(output, type) and issubclass(output, Output)):
            raise TypeError(f"{name}: the return type is a subclass of Output")
        if not function.__doc__:
            raise TypeError(f"{name}: the docstring is what a language model reads; write one")
        known = ("files", "http", "tcp", "setup", "deadline")
        if unknown := set(hints) - {*known}:
            raise TypeError(f"{name}: unknown parameters {sorted(unknown)}; there are args, {', '.join(known)}")
        unknown = _placeholders(*self.base_urls) - {*self.setup_fields, *arguments.model_fields}
        if unknown:
            raise TypeError(f"{name}: the base URL names unknown fields: {sorted(unknown)}")
        return arguments, output


def _placeholders(*templates: str) -> set[str]:
    return {name for text in templates for _, name, _, _ in string.Formatter().parse(text) if name}
