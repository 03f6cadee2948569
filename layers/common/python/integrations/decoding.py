"""The body of an answer: out of its content coding, never further than a limit, and out of JSON."""

import zlib
from typing import Any

from pydantic_core import from_json

from integrations.plain import MAY_OVERFLOW, refuse_infinite

MAX_GZIP_MEMBERS = 16  # each copies what is left of the body, so many small ones cost more than their size


class Undecodable(ValueError):
    """The body is not what its coding says, or in a coding that was not asked for, or not JSON."""


class TooLarge(ValueError):
    """The decoded body is larger than the limit."""


def decoded_json(body: bytes, coding: str, limit: int) -> Any:
    """Give the JSON of a body that decodes to at most `limit` bytes: strict, finite, at most some 200 levels deep.

    At most one coding is taken: 590 bytes of doubly compressed zeros are 256 MB. Raise Undecodable or TooLarge.
    """
    if coding in ("gzip", "x-gzip"):
        body = _gunzipped(body, limit)
    elif coding not in ("", "identity"):
        raise Undecodable(coding)
    try:
        data = from_json(body, allow_inf_nan=False)
        if MAY_OVERFLOW.search(body):
            refuse_infinite(data)
    except ValueError:
        raise Undecodable("not JSON") from None
    return data


def _gunzipped(body: bytes, limit: int) -> bytes:
    """Decompress gzip (RFC 1952), one or more members."""
    out = bytearray()
    for _ in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            out += member.decompress(body, limit + 1 - len(out))
        except zlib.error:
            raise Undecodable("gzip") from None
        if len(out) > limit:
            raise TooLarge
        if not member.eof:
            raise Undecodable("gzip")
        body = member.unused_data
        if not body:
            return bytes(out)
    raise Undecodable("gzip")
