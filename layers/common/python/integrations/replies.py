"""What a method reads of a service's answer, and the form in which the answer comes: JSON, unless it says otherwise."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr
from pydantic_core import from_json

from integrations.decoding import Undecodable
from integrations.errors import IntegrationError
from integrations.plain import MAY_OVERFLOW, refuse_infinite


class Reply(BaseModel):
    """The part of a service's answer that a method reads; other fields are ignored.

    An answer that is not JSON says its `form`, as in "answered something else than JSON", and its `media_type`, which
    is asked for, and overrides `read`. A service that says more in the body of a 4xx answer than by its status is read
    with `refusal`, whose `failure` then decides where it gives an error; 429 is decided by its status and headers.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    form: ClassVar[str] = "JSON"
    media_type: ClassVar[str] = "application/json"
    refusal: ClassVar["type[Reply] | None"] = None

    _headers: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def headers(self) -> Mapping[str, str]:
        """Give the headers that came with the answer, whose names may be asked for in any case."""
        return self._headers

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Keep the headers that came with the answer."""
        self._headers = headers
        return self

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the body of an answer, out of its content coding.

        Raise Undecodable where it is not in its form at all, ValidationError where it says something else than the
        service documents.
        """
        return cls.model_validate(strict_json(body))

    def failure(self) -> IntegrationError | None:
        """Give the error that the service encodes inside an answer of status 200, if it has that habit."""
        return None


class RawReply(Reply):
    """An answer taken byte by byte. A subclass says its form, and refuses in `read` what does not begin like that."""

    form: ClassVar[str] = "a file"
    media_type: ClassVar[str] = "*/*"

    content: bytes

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Take the body as it is."""
        return cls(content=body)


class TextReply(Reply):
    """An answer taken as text, in UTF-8. A subclass says its form, as with RawReply."""

    form: ClassVar[str] = "text"
    media_type: ClassVar[str] = "text/*"

    text: str

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Decode the body. Raise Undecodable where it is not UTF-8."""
        try:
            return cls(text=body.decode("utf-8"))
        except UnicodeDecodeError:
            raise Undecodable("not UTF-8") from None


def strict_json(body: bytes) -> Any:
    """Give the JSON of a body: strict, finite, at most some 200 levels deep. Raise Undecodable."""
    try:
        data = from_json(body, allow_inf_nan=False)
        if MAY_OVERFLOW.search(body):
            refuse_infinite(data)
    except ValueError:
        raise Undecodable("not JSON") from None
    return data
