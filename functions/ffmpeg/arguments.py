"""What the methods take: a file in base64, times and rates."""

import base64
import binascii
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError


def _bytes(value: Any) -> bytes:
    """Read base64, with or without the head of a data URI. The original service took a list, of which one was used."""
    if isinstance(value, list):
        if len(value) != 1:
            raise PydanticCustomError("one_file", "Give one file; a list may hold one")
        value = value[0]
    if value is None:
        raise PydanticCustomError("missing", "Give a file in base64; there is no command without an input")
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Input should be a file in base64")
    head, comma, rest = value.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        value = rest
    try:
        data = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "Not base64") from None
    if not data:
        raise PydanticCustomError("empty", "The file is empty")
    return data


File = Annotated[bytes, BeforeValidator(_bytes), WithJsonSchema({"type": "string"})]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
BitRate = Annotated[int, Field(ge=1_000, le=200_000_000)]
