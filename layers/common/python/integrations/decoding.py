"""Content codings, decoded piece by piece and never further than asked for."""

import zlib
from collections.abc import Iterable, Iterator


class BrokenCoding(ValueError):
    """The body is not what its content coding says, or the coding is not one that was asked for."""


class TooLarge(ValueError):
    """The decoded body is larger than the limit."""


def decoded(chunks: Iterable[bytes], coding: str, limit: int) -> Iterator[bytes]:
    """Yield the body decoded, at most `limit` bytes of it. Raise BrokenCoding or TooLarge.

    At most one coding is taken: 590 bytes of doubly compressed zeros are 256 MB.
    """
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise BrokenCoding(coding)
    gunzip = _Gunzip() if coding.endswith("gzip") else None
    taken = 0
    for chunk in chunks:
        part = gunzip.decode(chunk, limit - taken + 1) if gunzip else chunk
        taken += len(part)
        if taken > limit:
            raise TooLarge
        yield part
    if gunzip and not gunzip.complete:
        raise BrokenCoding(coding)


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
            raise BrokenCoding("gzip") from None
        return bytes(out)
