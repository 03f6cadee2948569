"""Unstructured: take a document apart into elements.

The service is Unstructured's Partition Endpoint: https://docs.unstructured.io/api-reference/partition/overview.
It has an API URL for each account, so a setup may name it.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr

from integrations import Arguments, Http, Output, Provider, Reply, Setup
from integrations.decoding import Undecodable
from integrations.egress import Upload
from integrations.files import FileInput, Files
from integrations.media_types import named
from integrations.replies import TextReply, strict_json

PATH = "/general/v0/general"
# What Unstructured's own library mends: its hosts by http, and a host alone.
_OWN_OR_BARE = r"\Ahttp://(?=([a-z0-9-]+\.)*api\.unstructuredapp\.io(/|\Z))|\A(?!.*://)"


class UnstructuredSetup(Setup):
    server_url: str | None = Field(
        None,
        description="The API URL of the account, from the dashboard under API keys and URLs; the shared one when left "
        f"out. It may end in {PATH}, and https:// may be left out.",
        min_length=1,
        max_length=2048,
    )
    api_key: SecretStr = Field(
        description="A key from the dashboard, API keys.",
        min_length=1,
        validation_alias=AliasChoices("api_key", "unstructured_api_key"),
    )
    server: Literal["saas-api", "platform-api", "free-api"] | None = Field(
        None, description="One of the shared servers by name; server_url goes before it. saas-api is platform-api."
    )
    url_params: dict[str, str] | None = Field(
        None, description="What to put in place of each {name} in server_url.", max_length=20
    )
    timeout_ms: int | None = Field(
        None, description="How long to wait for an answer, in milliseconds.", ge=1000, le=3_600_000
    )
    retry_config: dict[str, Any] | None = Field(
        None, description="Has no effect: a document is sent once, for every page of it is billed.", max_length=20
    )


provider = Provider(
    name="unstructured",
    title="Unstructured",
    url="https://unstructured.io",
    docs="https://docs.unstructured.io/api-reference/partition/overview",
    category="documents",
    setup=UnstructuredSetup,
    base_url="https://api.unstructuredapp.io",
    other_urls={"free-api": "https://api.unstructured.io"},
    headers={"unstructured-api-key": "{api_key}"},
    attempt_timeout=27.0,  # the answer comes when the whole document is read
    max_response_bytes=6_000_000,  # elements may hold the images of a page
)

# The spellings that Unstructured's own library takes for a strategy.
STRATEGIES = {
    **dict.fromkeys(("hires", "hires_ocr", "highres", "high_res"), "hi_res"),
    **dict.fromkeys(("ocr", "ocronly"), "ocr_only"),
    **dict.fromkeys(("od", "odonly", "object_detection_only"), "od_only"),
}


def _strategy(value: Any) -> Any:
    plain = value.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(value, str) else value
    return STRATEGIES.get(plain, plain) if isinstance(plain, str) else plain


Strategy = Annotated[
    Literal["fast", "hi_res", "auto", "ocr_only", "od_only", "vlm"],
    BeforeValidator(_strategy, json_schema_input_type=Literal["fast", "hi_res", "auto", "ocr_only", "od_only", "vlm"]),
]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[list[Word], Field(max_length=100)]
Characters = Annotated[int, Field(ge=0, le=1_000_000)]
Margin = Annotated[float, Field(ge=0, le=1000)]

# Unstructured's own library cuts a PDF into pages that it sends one by one, and sends these fields along.
WITHOUT_EFFECT = "Sent, and without effect: a document is sent whole."
NOT_SENT = "Has no effect: a document is sent whole."


class PartitionParams(Arguments):
    strategy: Strategy | None = Field(
        None,
        description="How to read PDFs and images: fast takes the text that is in them, hi_res looks at the layout, "
        "ocr_only reads the picture, vlm asks a vision model, auto chooses. Unstructured takes hi_res when left out.",
    )
    languages: Words | None = Field(None, description="The languages of the document, as Tesseract has them: eng, deu.")
    ocr_languages: Words | None = Field(None, description="The older name of languages.")
    output_format: Literal["application/json", "text/csv"] | None = Field(
        None, description="The form of the elements; text/csv gives csv_elements in place of content."
    )
    coordinates: bool | None = Field(None, description="Whether to say where on the page each element is.")
    content_type: Word | None = Field(None, description="The media type of the file, where it is taken for another.")
    encoding: Word | None = Field(None, description="The encoding of a text; utf-8 when left out.")
    extract_image_block_types: Words | None = Field(
        None, description="The types of elements to give as images too, in base64: Image, Table."
    )
    gz_uncompressed_content_type: Word | None = Field(None, description="The media type inside a gzip file.")
    hi_res_model_name: Word | None = Field(None, description="The model that looks at the layout for hi_res.")
    include_page_breaks: bool | None = Field(None, description="Whether to give page breaks as elements.")
    include_slide_notes: bool | None = Field(None, description="Whether to read the notes of slides.")
    pdf_infer_table_structure: bool | None = Field(
        None, description="Whether hi_res reads tables in PDFs; skip_infer_table_types has taken its place."
    )
    skip_infer_table_types: Words | None = Field(None, description="File types whose tables are not read: pdf, jpg.")
    starting_page_number: int | None = Field(
        None, description="The number of the first page, for a part of a PDF.", ge=0, le=1_000_000
    )
    unique_element_ids: bool | None = Field(None, description="Whether ids are unique, not made from the text.")
    xml_keep_tags: bool | None = Field(None, description="Whether to keep the tags of XML.")
    vlm_model: Word | None = Field(None, description="The vision model that vlm asks.")
    vlm_model_provider: Word | None = Field(None, description="Who runs the vision model that vlm asks.")
    chunking_strategy: Literal["basic", "by_page", "by_similarity", "by_title"] | None = Field(
        None, description="How to join elements into chunks; they are not joined when left out."
    )
    max_characters: Characters | None = Field(None, description="The most characters of a chunk.")
    new_after_n_chars: Characters | None = Field(None, description="The characters after which a chunk had better end.")
    combine_under_n_chars: Characters | None = Field(
        None, description="The characters under which sections are joined."
    )
    overlap: Characters | None = Field(None, description="The characters of a chunk that the next one repeats.")
    overlap_all: bool | None = Field(None, description="Whether chunks of whole elements overlap too.")
    include_orig_elements: bool | None = Field(None, description="Whether chunks hold the elements they are made of.")
    multipage_sections: bool | None = Field(None, description="Whether a section may go over several pages.")
    do_not_break_similarity_on_footer_header: bool | None = Field(
        None, description="Whether by_similarity looks past headers and footers."
    )
    pdfminer_char_margin: Margin | None = Field(None, description="How near characters of a line are, for fast.")
    pdfminer_line_margin: Margin | None = Field(None, description="How near lines of a paragraph are, for fast.")
    pdfminer_line_overlap: Margin | None = Field(None, description="How much characters of a line overlap, for fast.")
    pdfminer_word_margin: Margin | None = Field(None, description="How near characters of a word are, for fast.")
    table_ocr_agent: Word | None = Field(None, description="What reads the text of tables in pictures.")
    split_pdf_page: bool | None = Field(None, description=WITHOUT_EFFECT)
    split_pdf_concurrency_level: int | None = Field(None, description=WITHOUT_EFFECT, ge=1, le=15)
    split_pdf_allow_failed: bool | None = Field(None, description=WITHOUT_EFFECT)
    split_pdf_cache_tmp_data: bool | None = Field(None, description=NOT_SENT, exclude=True)
    split_pdf_cache_tmp_data_dir: Word | None = Field(None, description=NOT_SENT, exclude=True)
    similarity_threshold: float | None = Field(
        None, description="How alike two elements of a chunk must be, for by_similarity.", ge=0, le=1
    )


class ParseArguments(Arguments):
    file: FileInput = Field(description="The document: base64, a data URI, or an https URL to fetch it from.")
    filename: str | None = Field(
        None,
        description="The document's name, whose extension says its type, such as report.pdf; found out from its bytes "
        "when left out or empty.",
        pattern=r"^[^\x00-\x1f\x7f]*$",
        max_length=255,
    )
    partition_params: PartitionParams = Field(
        default_factory=PartitionParams, description="How to read the document and what to give."
    )


class ParseOutput(Output):
    content_type: str = Field(description="The media type of the service's answer.")
    status_code: int = Field(description="The service's HTTP status: 200, since anything else is an error.")
    csv_elements: str | None = Field(None, description="The elements as CSV, where that was asked for.")
    content: list[dict[str, Any]] | None = Field(
        None, description="The elements in reading order: each with type, element_id, text and metadata."
    )
    filename: str = Field(description="The name under which the document was read.")
    media_type: str = Field(description="The media type as which the document was read.")


class ElementsReply(Reply):
    content: list[dict[str, Any]]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the elements, which are not a field of an object."""
        return cls(content=strict_json(body))


class CsvReply(TextReply):
    form = "CSV"
    media_type = "text/csv"

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the table. A page or a JSON is none."""
        if body.lstrip()[:1] in (b"<", b"{", b"["):
            raise Undecodable("not CSV")
        return super().read(body)


@provider.method(read_only=True, idempotent=False, files=True)  # every page is billed
def parse(args: ParseArguments, setup: UnstructuredSetup, http: Http, files: Files) -> ParseOutput:
    """Take a document apart. Gives its titles, paragraphs, lists and tables as elements, or chunks of them."""
    file = files.read(args.file, "file")
    name, media_type = named(file, args.filename)
    form = args.partition_params.model_dump(exclude_none=True)
    upload = [Upload("files", name, file.content, media_type)]
    service = _server(setup, http)
    facts: dict[str, Any] = {"status_code": 200, "filename": name, "media_type": media_type}
    if args.partition_params.output_format == CsvReply.media_type:
        table = service.post(PATH, form=form, files=upload, reply=CsvReply)
        return ParseOutput(csv_elements=table.text, content_type=_content_type(table), **facts)
    elements = service.post(PATH, form=form, files=upload, reply=ElementsReply)
    return ParseOutput(content=elements.content, content_type=_content_type(elements), **facts)


def _content_type(reply: Reply) -> str:
    return reply.headers.get("content-type", reply.media_type)


def _server(setup: UnstructuredSetup, http: Http) -> Http:
    """Give the way to the server that the setup names."""
    if setup.timeout_ms is not None:
        http = http.within(setup.timeout_ms / 1000)
    if setup.server_url is None:
        return http.at("free-api") if setup.server == "free-api" else http
    url = setup.server_url
    for name, value in (setup.url_params or {}).items():
        url = url.replace(f"{{{name}}}", value)
    url = re.sub(_OWN_OR_BARE, "https://", url)
    return http.at_url(url.rstrip("/").removesuffix(PATH), "setup", "server_url")


handler = provider.handler
