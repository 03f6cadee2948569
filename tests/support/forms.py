"""What a request's form holds, read by another library than the one that writes it."""

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
    from werkzeug.http import parse_options_header
    from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

    kind, options = parse_options_header(request.headers["content-type"])
    assert kind == "multipart/form-data"
    decoder = MultipartDecoder(options["boundary"].encode())
    decoder.receive_data(request.body)
    decoder.receive_data(None)
    found: list[Part] = []
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field | File):
            filename = event.filename if isinstance(event, File) else None
            found.append(Part(event.name, b"", filename, event.headers.get("content-type")))
        elif isinstance(event, Data):
            found[-1] = found[-1]._replace(content=found[-1].content + event.data)
    return found
