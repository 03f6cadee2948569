"""What a request's form holds, read by another library than the one that writes it."""

from email import message_from_bytes
from email.message import Message
from typing import NamedTuple

from tests.support.upstream import Request


class Part(NamedTuple):
    """One part of multipart/form-data: a field, and for a file its name and media type."""

    field: str
    content: bytes
    filename: str | None = None
    media_type: str | None = None

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode()


def parts(request: Request) -> list[Part]:
    """The parts of a request of multipart/form-data, in order."""
    kind = request.headers["content-type"]
    assert kind.startswith("multipart/form-data")
    form = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    assert not form.defects
    return [_part(part) for part in form.walk() if part is not form]


def _part(part: Message) -> Part:
    field = part.get_param("name", header="content-disposition")
    content = part.get_payload(decode=True)
    assert isinstance(field, str)
    assert isinstance(content, bytes)
    return Part(field, content, part.get_filename(), part.get_content_type() if "content-type" in part else None)
