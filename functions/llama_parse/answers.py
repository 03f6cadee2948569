"""What LlamaParse answers about a job, and what is given of it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from functions.llama_parse.options import Form, Handling
from integrations import Output, Reply
from integrations.errors import UpstreamBadResponse, UpstreamRejected

JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Document(BaseModel):
    """A document in the shape of LlamaIndex."""

    id_: str = Field(description="The job and the page: the same whenever the result is asked for.")
    embedding: None = None
    metadata: dict[str, Any] = Field(description="file_name, page_number (where split by page) and job_id.")
    excluded_embed_metadata_keys: list[str] = []
    excluded_llm_metadata_keys: list[str] = []
    relationships: dict[str, Any] = {}
    text: str = Field(description="The text or Markdown.")
    mimetype: str = "text/plain"
    start_char_idx: None = None
    end_char_idx: None = None
    text_template: str = "{metadata_str}\n\n{content}"
    metadata_template: str = "{key}: {value}"
    metadata_seperator: str = "\n"
    class_name: str = "Document"


class SubmitOutput(Output):
    """A job, as far as it is known when it is started."""

    job_id: str = Field(description="The job, for status and result.")
    status: str = Field(description="PENDING, RUNNING, COMPLETED, FAILED or CANCELLED.")
    tier: str | None = Field(None, description="The tier of the job.")


class StatusOutput(SubmitOutput):
    """How a job is."""

    finished: bool = Field(description="Whether nothing more happens to the job, well or not.")
    error_message: str | None = Field(None, description="What the service says about a job that failed.")
    credits: float | None = Field(None, description="What the job cost, once that is known.")


class JobOutput(SubmitOutput):
    """A job that is finished."""

    failed_pages: list[int] = Field([], description="The numbers of the pages that could not be read.")


class ResultOutput(JobOutput):
    """What came of a job."""

    documents: list[Document] = Field(description="The text, a document for each page in the order of the pages.")


class ParseOutput(Output):
    """What came of one or more documents."""

    documents: list[Document] = Field(description="The text, a document for each page, file after file.")
    jobs: list[JobOutput] = Field(description="The job of each file.")


class Usage(BaseModel):
    """What a job cost."""

    credits: float | None = None


class Job(Reply):
    """A job, as the service tells it."""

    id: JobId
    status: Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
    tier: str | None = None
    name: str | None = None
    error_message: str | None = None
    usage: Usage | None = None

    @property
    def finished(self) -> bool:
        """Say whether nothing more happens to the job."""
        return self.status not in ("PENDING", "RUNNING")

    @property
    def facts(self) -> dict[str, Any]:
        """Give what every output tells about the job."""
        return {"job_id": self.id, "status": self.status, "tier": self.tier}


class Page(BaseModel):
    """A page in the form that was asked for; one that failed has none."""

    page_number: int
    text: str | None = None
    markdown: str | None = None
    success: bool = True


class Pages(BaseModel):
    """The pages in one form."""

    pages: list[Page]


class Found(Reply):
    """A job with the pages that were asked for, once they are there."""

    job: Job
    text: Pages | None = None
    markdown: Pages | None = None

    def result(self, form: Form, handling: Handling, name: str | None) -> ResultOutput:
        """Give the documents of a job. Raise UpstreamRejected where it went wrong, and UpstreamBadResponse."""
        if self.job.status != "COMPLETED":
            raise UpstreamRejected("LlamaParse could not read the document, or the job was cancelled.")
        found = self.markdown if form == "markdown" else self.text
        pages = {page.page_number: page.markdown if form == "markdown" else page.text for page in _read(found)}
        failed = [page.page_number for page in _read(found) if not page.success]
        if found is None or any(text is None and number not in failed for number, text in pages.items()):
            raise UpstreamBadResponse("LlamaParse finished the job and did not give its pages.")
        read = [(number, text) for number, text in pages.items() if text is not None]
        facts = {"file_name": name or self.job.name, "job_id": self.job.id}
        if handling.split_by_page:
            documents = [
                Document(id_=f"{self.job.id}-{number}", text=text, metadata={**facts, "page_number": number})
                for number, text in read
            ]
        else:
            whole = handling.page_separator.join(text for _, text in read)
            documents = [Document(id_=self.job.id, text=whole, metadata=facts)]
        return ResultOutput(**self.job.facts, documents=documents, failed_pages=failed)


def _read(found: Pages | None) -> list[Page]:
    return found.pages if found else []
