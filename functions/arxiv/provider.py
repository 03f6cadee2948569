"""arXiv: search for papers, and download them.

The service is arXiv's API, which answers in Atom: https://info.arxiv.org/help/api/user-manual.html. Its terms ask for
at most one request every three seconds: https://info.arxiv.org/help/api/tou.html.
"""

import base64
import re
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from integrations import Arguments, Http, IntegrationError, Output, Provider, Reply
from integrations.decoding import Undecodable
from integrations.errors import UpstreamError, UpstreamRejected
from integrations.replies import RawReply

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_AT_ONCE, LAST = 2000, 30_000  # of the manual, section 3.1.1.2; 2000 are some 5 MB, so what a reply holds too
MAX_ELEMENTS = 50_000  # of one entry: an author is two, and the largest collaborations are some thousands
MAX_PDFS = 6  # one request each, three seconds apart, within the thirty seconds of API Gateway
PDF_BYTES = 4_500_000  # of all PDFs in one reply: 6 MB in base64, which is what Lambda returns

provider = Provider(
    name="arxiv",
    title="arXiv",
    url="https://arxiv.org",
    docs="https://info.arxiv.org/help/api/user-manual.html",
    category="search",
    base_url="https://export.arxiv.org/api",
    attempt_timeout=20.0,  # by the manual's figures a page of 2000 takes eight
    max_response_bytes=8_000_000,
    min_interval=3.0,
)

# The forms before and after April 2007: https://info.arxiv.org/help/arxiv_identifier.html.
_IDENTIFIER = r"([a-z-]+(\.[A-Za-z-]+)?/[0-9]{7}|[0-9]{4}\.[0-9]{4,5})(v[1-9][0-9]{0,2})?"
_GIVEN = re.compile(rf"(https?://((www|export)\.)?arxiv\.org/(abs|pdf)/|ar[Xx]iv:)?{_IDENTIFIER}(\.pdf)?")
_AROUND = re.compile(r"^https?://[^/]+/(abs|pdf)/|^ar[Xx]iv:|\.pdf$")


def _identifier(given: str) -> str:
    if not _GIVEN.fullmatch(given):
        raise PydanticCustomError("identifier", "Not an identifier, such as 2101.00001, nor its address at arxiv.org")
    return _AROUND.sub("", given)


class SearchArguments(Arguments):
    query: str = Field(
        "",
        description="What to look for; needed unless id_list is given. A word or a quoted phrase is looked for in one "
        "field by a prefix: ti: (title), au: (author), abs: (abstract), co: (comment), jr: (journal reference), "
        "cat: (subject category, such as cs.CL), rn: (report number), or in all of these by all:. Join them with AND, "
        'OR and ANDNOT, group them with parentheses: au:del_maestro AND ti:"quantum criticality". '
        "submittedDate:[202301010600 TO 202401010600] keeps to a time, in GMT.",
        max_length=2000,
    )
    id_list: list[Annotated[str, AfterValidator(_identifier)]] = Field(
        [],
        description="The papers to give, by identifier (2101.00001, 2101.00001v2 for one version, hep-ex/0307015) or "
        "address (https://arxiv.org/abs/2101.00001). Together with query, those of them that match.",
        max_length=100,  # the request is a GET, whose address servers take to about 8 kB
    )
    max_results: int = Field(
        5,
        description="How many papers to give at most; read on with start. When id_list alone names more: all of those.",
        ge=1,
        le=MAX_AT_ONCE,
    )
    start: int = Field(0, description="How many of the papers found to pass over, to read on.", ge=0, le=LAST)
    download_pdf: bool = Field(
        default=False, description=f"Whether to give the PDFs too, of at most {MAX_PDFS} papers, in three seconds each."
    )
    sort_by: Literal["relevance", "lastUpdatedDate", "submittedDate"] = Field("relevance", description="The sort key.")
    sort_order: Literal["ascending", "descending"] = Field("descending", description="In which order to sort.")

    @property
    def at_most(self) -> int:
        """How many papers to ask for."""
        return self.max_results if "max_results" in self.model_fields_set else max(self.max_results, len(self.id_list))

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if not (self.query.strip() or self.id_list):
            raise PydanticCustomError("missing", "query or id_list is needed")
        if self.download_pdf and min(self.at_most, len(self.id_list) or self.at_most) > MAX_PDFS:
            raise PydanticCustomError("too_many", f"With download_pdf at most {MAX_PDFS}; set max_results, use start")
        return self


def _in_utc(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if not 1991 <= moment.year < 9999:  # arXiv opened in 1991; at the far ends a change of the zone overflows
        raise ValueError("no time at which a paper came")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


Time = Annotated[str, AfterValidator(_in_utc)]


class DownloadedPdf(BaseModel):
    base64: str = Field(description="The PDF, in base64.")
    mime_type: Literal["application/pdf"] = Field("application/pdf", description="What it is.")
    title: str | None = Field(description="The title of the paper.")


class Paper(BaseModel):
    entry_id: str | None = Field(None, description="The address of its abstract; id_list takes it.")
    title: str | None = Field(None, description="Its title.")
    updated: Time | None = Field(None, description="When this version came, in UTC: YYYY-MM-DD HH:MM:SS.")
    published: Time | None = Field(None, description="When its first version came, in UTC: YYYY-MM-DD HH:MM:SS.")
    authors: list[str] = Field([], description="Who wrote it, in the order of authorship.")
    summary: str | None = Field(None, description="Its abstract.")
    comment: str | None = Field(None, description="What the authors say of it: pages, figures, a withdrawal.")
    journal_ref: str | None = Field(None, description="Where it was printed.")
    doi: str | None = Field(None, description="Its DOI outside of arXiv.")
    primary_category: str | None = Field(None, description="Its main subject category, such as cs.CL.")
    categories: list[str] = Field([], description="All its categories, of arXiv, ACM and MSC.")
    links: list[str] = Field([], description="Addresses of its abstract, its PDF and its DOI.")
    pdf_url: str | None = Field(None, description="The address of its PDF.")
    pdf_downloaded: DownloadedPdf | None = Field(None, description="With download_pdf its PDF; null where it has none.")


class SearchOutput(Output):
    result: list[Paper] = Field(description="The papers found.")
    total_results: int | None = Field(description="How many papers there are in all.")
    next_start: int | None = Field(description="The start to read on with; null where this was the end.")


class Feed(Reply):
    form = "an Atom feed"
    media_type = "application/atom+xml"

    total_results: int | None = None
    start_index: int | None = None
    entries: list[Paper]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the XML entry by entry: a tree of the whole can take twenty times the memory of its text."""
        from defusedxml.ElementTree import ParseError, iterparse

        papers: list[dict[str, Any]] = []
        size, element = 0, None
        try:
            for event, element in iterparse(BytesIO(body), ("start", "end"), forbid_dtd=True):
                size += event == "start"
                if size > MAX_ELEMENTS or (element.tag == f"{_ATOM}entry" and len(papers) > MAX_AT_ONCE):
                    raise Undecodable("more than a feed holds")
                if event == "end" and element.tag == f"{_ATOM}entry":
                    papers.append(_paper(element))
                    element.clear()
                    size = 0
        except (ParseError, ValueError, LookupError):  # of XML, of a DTD and of an encoding nobody knows
            raise Undecodable("XML") from None
        if element is None or element.tag != f"{_ATOM}feed":
            raise Undecodable("another document")
        counts = {name: _text(element, f"{_OPENSEARCH}{tag}") for name, tag in _COUNTS.items()}
        return cls.model_validate({**counts, "entries": papers})

    def failure(self) -> IntegrationError | None:
        """Read the error that comes as the one entry of a feed, and the page that is empty in the midst of pages."""
        if any("/api/errors" in (entry.entry_id or "") for entry in self.entries):
            return UpstreamRejected("arXiv refused the request; check the syntax of query, and id_list.")
        if not self.entries and 0 < (self.start_index or 0) < (self.total_results or 0):
            return UpstreamError("arXiv gave an empty page although there are more results; call again.")
        return None


_ATOM, _ARXIV = "{http://www.w3.org/2005/Atom}", "{http://arxiv.org/schemas/atom}"
_OPENSEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
_COUNTS = {"total_results": "totalResults", "start_index": "startIndex"}


def _paper(entry: "Element") -> dict[str, Any]:
    """Give the fields of a Paper."""
    links = {href: link.get("title") for link in entry.findall(f"{_ATOM}link") if (href := link.get("href"))}
    pdfs = [re.sub("^http:", "https:", href) for href, title in links.items() if title == "pdf"]
    return {
        "entry_id": _text(entry, f"{_ATOM}id"),
        **{name: _text(entry, f"{_ATOM}{name}") for name in ("title", "updated", "published", "summary")},
        "authors": [name for author in entry.findall(f"{_ATOM}author") if (name := _text(author, f"{_ATOM}name"))],
        **{name: _text(entry, f"{_ARXIV}{name}") for name in ("comment", "journal_ref", "doi")},
        "primary_category": next((main.get("term") for main in entry.findall(f"{_ARXIV}primary_category")), None),
        "categories": [term for each in entry.findall(f"{_ATOM}category") if (term := each.get("term"))],
        "links": list(links),
        "pdf_url": next(iter(pdfs), None),
    }


def _text(element: "Element", tag: str) -> str | None:
    """Give the text of an element inside, its white space collapsed; None where there is none."""
    return " ".join(element.findtext(tag, "").split()) or None


class Pdf(RawReply):
    form = "a PDF"
    media_type = "application/pdf"

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Take what says of itself that it is a PDF; readers of PDFs look for that in the first kilobyte."""
        if b"%PDF-" not in body[:1024]:
            raise Undecodable("PDF")
        return super().read(body)


@provider.method(read_only=True)
def search(args: SearchArguments, http: Http) -> SearchOutput:
    """Search arXiv for papers of physics, mathematics, computer science and more, or look papers up by identifier."""
    wanted = {
        "search_query": args.query,
        "id_list": ",".join(args.id_list),
        "start": args.start,
        "max_results": args.at_most,
        "sortBy": args.sort_by,
        "sortOrder": args.sort_order,
    }
    feed = http.get("/query", params=wanted, reply=Feed)
    room = PDF_BYTES
    for paper in feed.entries if args.download_pdf else ():
        if (content := _pdf(paper, http, room)) is not None:
            room -= len(content)
            paper.pdf_downloaded = DownloadedPdf(base64=base64.b64encode(content).decode(), title=paper.title)
    end = args.start + len(feed.entries)
    more = feed.entries and end < min(feed.total_results or 0, LAST)
    return SearchOutput(result=feed.entries, total_results=feed.total_results, next_start=end if more else None)


def _pdf(paper: Paper, http: Http, room: int) -> bytes | None:
    """Ask for the PDF of this version by its identifier: an address that a feed names is not followed."""
    identifier = _AROUND.sub("", paper.entry_id or "")
    if not re.fullmatch(_IDENTIFIER, identifier):
        return None
    parts = identifier.split("/")
    try:
        return http.get("/pdf" + "/{}" * len(parts), *parts, reply=Pdf, from_root=True, max_bytes=room).content
    except IntegrationError as error:
        if error.upstream_status == 404:  # what arXiv answers for a withdrawn paper
            return None
        error.detail += " Download fewer PDFs in one call, by max_results, or take them from pdf_url."
        raise


handler = provider.handler
