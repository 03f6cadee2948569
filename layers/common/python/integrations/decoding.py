"""The body of an answer: out of its content coding, never further than a limit."""

import zlib

MAX_GZIP_MEMBERS = 16  # each copies what is left of the body, so many small ones cost more than their size


class Undecodable(ValueError):
    """The body is not what its coding says, or in a coding that was not asked for, or not in the form asked for."""


class TooLarge(ValueError):
    """The decoded body is larger than the limit."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """Take a body out of its content coding, to at most `limit` bytes.

    At most one coding is taken: 590 bytes of doubly compressed zeros are 256 MB. Raise Undecodable or TooLarge.
    """
    if coding in ("gzip", "x-gzip"):
        return _gunzipped(body, limit)
    if coding not in ("", "identity"):
        raise Undecodable(coding)
    return body


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
