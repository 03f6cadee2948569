"""What the methods take: a file, times and rates."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from integrations.errors import InvalidArguments
from integrations.files import FileInput, Files
from integrations.findings import finding, sentence

MAX_INPUT = 60_000_000
"""Bytes of a file. What comes in the call is bounded by the call; this is for what is fetched."""


def _one(value: Any) -> Any:
    """Take a list of one file, as the original service did: of its list one was used."""
    if isinstance(value, list):
        if len(value) != 1:
            raise PydanticCustomError("one_file", "Give one file; a list may hold one")
        value = value[0]
    if not value:
        raise PydanticCustomError("missing", "Give a file that is not empty; there is no command without an input")
    return value


File = Annotated[FileInput, BeforeValidator(_one), WithJsonSchema({"type": "string"})]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
BitRate = Annotated[int, Field(ge=1_000, le=200_000_000)]


def read(file: str, files: Files) -> bytes:
    """Give the bytes of the argument `file`. Raise as `files.read`, and InvalidArguments for none."""
    content = files.read(file, "file", max_bytes=MAX_INPUT).content
    if not content:
        found = [finding(["arguments", "file"], "empty", "The file is empty")]
        raise InvalidArguments(sentence(found), errors=found)
    return content
