"""The body of an answer: out of its content coding, piece by piece and up to a limit, and out of JSON."""

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import from_json

from integrations.plain import refuse_infinite

# Only an exponent of three digits or an integer part of 309 can overflow a double (its largest is 1.8e308).
_MAY_OVERFLOW = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{309}")


class Undecodable(ValueError):
    """The body is not what its coding says, or in a coding that was not asked for, or not JSON."""


class TooLarge(ValueError):
    """The decoded body is larger than the limit."""


def decoded_json(chunks: Iterable[bytes], coding: str, limit: int) -> Any:
    """Give the JSON of a body of at most `limit` decoded bytes: strict, finite, at most some 200 levels deep.

    At most one coding is taken: 590 bytes of doubly compressed zeros are 256 MB. Raise Undecodable or TooLarge.
    """
    text = b"".join(_decoded(chunks, coding, limit))
    try:
        data = from_json(text, allow_inf_nan=False)
        if _MAY_OVERFLOW.search(text):
            refuse_infinite(data)
    except ValueError:
        raise Undecodable("not JSON") from None
    return data


def _decoded(chunks: Iterable[bytes], coding: str, limit: int) -> Iterator[bytes]:
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise Undecodable(coding)
    gunzip = _Gunzip() if coding.endswith("gzip") else None
    taken = 0
    for chunk in chunks:
        part = gunzip.decode(chunk, limit - taken + 1) if gunzip else chunk
        taken += len(part)
        if taken > limit:
            raise TooLarge
        yield part
    if gunzip and not gunzip.complete:
        raise Undecodable(coding)


class _Gunzip:
    """gzip (RFC 1952), one or more members."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def complete(self) -> bool:
        return self._inflate.eof

    def decode(self, chunk: bytes, most: int) -> bytes:
        """Give what `chunk` decodes to, cut off after `most` bytes."""
        out = bytearray()
        try:
            while chunk and len(out) < most:
                if self._inflate.eof:  # another member follows
                    self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
                out += self._inflate.decompress(chunk, most - len(out))
                chunk = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error:
            raise Undecodable("gzip") from None
        return bytes(out)
