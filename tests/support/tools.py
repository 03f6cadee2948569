"""A provider whose arguments have every form that a tool must say, and what its tools are judged with."""

import datetime
import enum
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from devtools.tools import Tool, compiled
from integrations import Arguments, Output, Provider


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Circle(Arguments):
    kind: Literal["circle"] = Field(description="Which shape.")
    radius: float = Field(description="The radius.", gt=0)


class Square(Arguments):
    kind: Literal["square"] = Field(description="Which shape.")
    side: int = Field(description="The side.", gt=0, lt=100, multiple_of=5)


class Range(Arguments):
    """From here to there."""

    first: int = Field(description="The first.")
    last: int | None = Field(None, description="The last.")


class ClosedArguments(Arguments):
    title: str = Field(description="An argument that is called like a keyword.", min_length=1, max_length=9)
    default: str | None = Field(description="Required, and may be null.")
    pattern: str = Field("a", description="With a pattern.", pattern=r"^[a-z]+$")
    colour: Colour = Field(Colour.RED, description="A colour.")
    sides: Literal[3, 4] = Field(3, description="How many sides.")
    one: Literal["only"] | None = Field(None, description="One value.")
    shape: Circle | Square = Field(description="A shape.", discriminator="kind")
    range: Range = Field(default_factory=lambda: Range(first=1), description="A range.")
    ranges: list[Range] | None = Field(None, description="Ranges.", min_length=1, max_length=1000)
    either: int | list[str] = Field(0, description="A number or texts.")
    day: datetime.date | None = Field(None, description="A day.")
    address: Annotated[str, Field(json_schema_extra={"format": "uri"})] = Field("", description="An address.")
    ratio: float = Field(0.5, description="A ratio.", gt=0, lt=1)
    unique: set[str] = Field(set(), description="Different texts.")
    pair: tuple[int, str] | None = Field(None, description="A pair.")
    flag: bool = Field(default=False, description="A flag.", validation_alias=AliasChoices("flag", "old_flag"))


class FreeArguments(Arguments):
    filters: dict[str, Any] = Field({}, description="Any filters.")
    counts: dict[str, int] = Field({}, description="Counts.")
    value: Any = Field(None, description="Any value.")
    items: list[Any] = Field([], description="Any items.")
    level: int = Field(1, description="How deep.", ge=1)


class NoArguments(Arguments):
    pass


class Child(BaseModel):
    name: str | None = None


class ShapesOutput(Output):
    children: list[Child] = Field(description="The children.")
    total: int | None = Field(None, description="How many.")


provider = Provider(
    name="shapes",
    title="Shapes",
    url="https://shapes.example",
    docs="https://shapes.example/docs",
    category="search",
    base_url="https://shapes.invalid/v1",
)


@provider.method(read_only=False, destructive=True, idempotent=True, open_world=False)
def closed(args: ClosedArguments) -> ShapesOutput:
    """Take arguments whose form is fixed."""
    return ShapesOutput(children=[])


@provider.method(read_only=True)
def free(args: FreeArguments) -> ShapesOutput:
    """Take objects of any keys."""
    return ShapesOutput(children=[])


@provider.method(read_only=True)
def nothing(args: NoArguments) -> ShapesOutput:
    """Take nothing."""
    return ShapesOutput(children=[])


def tool_of(arguments: type[Arguments], name: str = "search") -> Tool:
    """Compile a method with these arguments, of a provider called acme."""
    acme = Provider(
        name="acme", title="Acme", url="https://a.example", docs="https://a.example", category="search", base_url=""
    )

    def function(args: Any) -> ShapesOutput:
        """Find things."""
        return ShapesOutput(children=[])

    function.__name__ = name
    function.__annotations__ = {"args": arguments, "return": ShapesOutput}
    acme.method(read_only=True)(function)
    return compiled(acme, acme.methods[name])
