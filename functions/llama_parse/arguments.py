"""What LlamaParse's methods take."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from functions.llama_parse.answers import JobId
from functions.llama_parse.names import PROMPTS, TIERS
from functions.llama_parse.options import Form
from integrations import Arguments
from integrations.files import FileInput, is_url

Tier = Literal["fast", "cost_effective", "agentic", "agentic_plus"]
Params = dict[Annotated[str, Field(max_length=100)], Any]


class Asked(Arguments):
    """How a document is to be read."""

    filename: str | None = Field(
        None,
        description="The document's name, whose extension says its type, such as report.pdf; found out from its bytes "
        "when left out or empty.",
        pattern=r"^[^\x00-\x1f\x7f]*$",
        max_length=255,
    )
    base64: bool = Field(default=False, description="Has no effect: a URL and base64 are told apart by themselves.")
    tier: Tier | None = Field(
        None, description="How hard to try, from cheap to dear; fast gives text only. cost_effective when left out."
    )
    version: str | None = Field(
        None, description="The version of the tier by its date; latest when left out.", min_length=1, max_length=40
    )
    target_pages: str | None = Field(
        None,
        description="The pages to read, counted from 1: 1,3,5-8. All of them when left out.",
        pattern=r"^\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*$",
        max_length=1000,
    )
    max_pages: int | None = Field(None, description="The most pages to read.", ge=1, le=100_000)
    prompt: str | None = Field(
        None, description="What to mind when reading, in words; not for the tier fast.", min_length=1, max_length=20_000
    )
    params: Params | None = Field(
        None,
        description="More options: those of API v2, such as processing_options or output_options, and those of v1 and "
        "its library that API v2 still has, such as language, check_interval or split_by_page. Here target_pages "
        "counts from 0.",
        max_length=100,
    )

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        params = self.params or {}
        for name, (options, place) in _ALSO_IN_PARAMS.items():
            if getattr(self, name, None) is None:
                continue
            inside = params.get(place)
            if any(params.get(option) for option in options) or (isinstance(inside, dict) and inside.keys() & options):
                raise PydanticCustomError("twice", "{name} is in params too; say it once", {"name": name})
        return self


# What options say the same as an argument, and the object of API v2 in which they may stand too.
_ALSO_IN_PARAMS: dict[str, tuple[set[str], str]] = {
    "tier": (TIERS, ""),
    "version": ({"version"}, ""),
    "target_pages": ({"target_pages"}, "page_ranges"),
    "max_pages": ({"max_pages"}, "page_ranges"),
    "prompt": ({*PROMPTS, "custom_prompt"}, "agentic_options"),
    "result_type": ({"result_type"}, ""),
}


class ParseArguments(Asked):
    """What `parse` takes."""

    file: Annotated[
        list[FileInput],
        Field(min_length=1, max_length=5),
        BeforeValidator(
            lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str]
        ),
    ] = Field(description="The document, or up to five: base64, a data URI, or a public URL for LlamaParse to fetch.")
    result_type: Form | None = Field(None, description="Plain text or Markdown; text when left out.")


# Options about the text of a job, and about waiting for it.
_OF_PARSE = ("result_type", "split_by_page", "page_separator", "check_interval", "max_timeout")


class SubmitArguments(Asked):
    """What `submit` takes."""

    file: FileInput = Field(description="The document: base64, a data URI, or a public URL for LlamaParse to fetch.")

    @model_validator(mode="after")
    def _to_the_point(self) -> Self:
        if self.filename and is_url(self.file):
            raise PydanticCustomError("unused", "filename is for a file that is sent; leave it out beside a URL")
        for name in _OF_PARSE:
            if (self.params or {}).get(name) is not None:
                raise PydanticCustomError(
                    "unused", "{name} in params is for parse and result; submit gives no text", {"name": name}
                )
        return self


class StatusArguments(Arguments):
    """What `status` takes."""

    job_id: JobId = Field(description="The job, as submit gave it.")


class ResultArguments(StatusArguments):
    """What `result` takes."""

    result_type: Form = Field("text", description="Plain text or Markdown, which the tier fast does not give.")
    split_by_page: bool = Field(default=True, description="Whether to give a document for each page, or one for all.")
