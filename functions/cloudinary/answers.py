"""What Cloudinary answers, and what is given of it."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field

from integrations import Output, Reply
from integrations.decoding import Undecodable
from integrations.replies import RawReply


class EditOutput(Output):
    """Where an edited asset is, and perhaps the file."""

    transformed_url: str = Field(description="The https URL of the edited asset, made when it is first asked for.")
    base64: str | None = Field(None, description="The edited file in base64, where that was asked for.")
    media_type: str | None = Field(None, description="The media type of the file in base64.")


class UploadOutput(Output):
    """What was stored."""

    url: str | None = Field(description="The https URL of the asset; null while an upload with async goes on.")
    public_id: str | None = Field(description="The public id of the asset.")
    base64: str | None = Field(None, description="The stored file in base64, where that was asked for.")
    meta_data: dict[str, Any] | None = Field(description="What else is known: version, format, width, bytes, tags.")


class DestroyOutput(Output):
    """Whether an asset was deleted."""

    result: str = Field(description="ok, or not found.")
    deleted: bool = Field(description="Whether there was such an asset, which is deleted now.")


class SearchOutput(Output):
    """Assets, and how many there are."""

    total_count: int = Field(description="How many assets match.")
    resources: list[dict[str, Any]] = Field(description="The assets: public_id, secure_url, format, bytes and so on.")
    next_cursor: str | None = Field(None, description="Where to go on, if there are more.")
    aggregations: dict[str, Any] | None = Field(None, description="The counts, where they were asked for.")


class UploadReply(Reply):
    """What was stored, with all else that Cloudinary tells of it."""

    model_config = ConfigDict(extra="allow")

    secure_url: str | None = None
    public_id: str | None = None
    resource_type: str | None = None
    type: str | None = None
    version: int | None = None
    format: str | None = None
    status: str | None = None


class DestroyReply(Reply):
    """What became of the asset."""

    result: Literal["ok", "not found"]


class SearchReply(Reply):
    """What was found."""

    total_count: int
    resources: list[dict[str, Any]]
    next_cursor: str | None = None
    aggregations: dict[str, Any] | None = None


class MediaReply(RawReply):
    """A file, as it is delivered."""

    form = "a media file"

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Take the file. A page is none."""
        if not body or body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise Undecodable("a page")
        return cls(content=body)
