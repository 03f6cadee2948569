"""Wikipedia: find pages and read them.

The service is MediaWiki's Action API: https://www.mediawiki.org/wiki/API:Action_API. Any MediaWiki with the
TextExtracts extension answers the same way.
"""

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from integrations import Arguments, Http, IntegrationError, Output, Provider, Reply
from integrations.errors import UpstreamError, UpstreamRateLimited, UpstreamRejected

provider = Provider(
    name="wikipedia",
    title="Wikipedia",
    url="https://www.wikipedia.org",
    docs="https://www.mediawiki.org/wiki/API:Search",
    category="search",
    base_url="https://{language}.wikipedia.org/w",
)


class SearchArguments(Arguments):
    query: str = Field(
        description="What to look for, or the title of a page when exact_title is true.",
        min_length=1,
        max_length=300,  # what the search takes
        pattern=r"\S",
    )
    limit: int = Field(
        2,
        description="How many pages to give at most.",
        ge=1,
        le=10,
        validation_alias=AliasChoices("limit", "load_max_docs"),
    )
    language: str = Field(
        "en",
        description="The language of the Wikipedia, as in its address: en, de, simple, zh-yue.",
        pattern=r"^[a-z]{2,12}(-[a-z]{2,12}){0,2}$",
    )
    exact_title: bool = Field(
        default=False, description="Give only the page with this very title; redirects are followed."
    )
    max_chars: int = Field(4000, description="How many characters of each page to give at most.", ge=1, le=100_000)


class Metadata(BaseModel):
    title: str = Field(description="The title of the page.")
    summary: str = Field(description="The text before the first heading.")
    source: str = Field(description="The address of the page.")
    page_id: int = Field(description="The page's number in its wiki.")
    truncated: bool = Field(description="Whether the page is longer than page_content.")


class Document(BaseModel):
    id: str | None = Field(None, description="Always null.")
    metadata: Metadata
    page_content: str = Field(description="The page as plain text, cut off after max_chars.")
    type: Literal["Document"] = "Document"


class SkippedPage(BaseModel):
    title: str
    source: str
    reason: Literal["disambiguation"] = Field(description="Why the page is not among the documents.")


class SearchOutput(Output):
    documents: list[Document] = Field(description="The pages found, the best match first.")
    skipped: list[SkippedPage] = Field(
        description="Pages that matched and only list the meanings of a word; search for one of those meanings."
    )


class ApiError(BaseModel):
    code: str


class Page(BaseModel):
    title: str
    pageid: int = 0
    index: int = 0
    missing: bool = False
    invalid: bool = False
    fullurl: str = ""
    extract: str = ""
    pageprops: dict[str, Any] = Field(default_factory=dict)

    @property
    def ambiguous(self) -> bool:
        """Say whether the page only lists the meanings of a word."""
        return "disambiguation" in self.pageprops

    @property
    def exists(self) -> bool:
        """Say whether there is a page of that title."""
        return not (self.missing or self.invalid)


class Query(BaseModel):
    pages: list[Page] = []


class QueryReply(Reply):
    batchcomplete: bool = False
    query: Query = Query()
    error: ApiError | None = None

    def failure(self) -> IntegrationError | None:
        """Read the error of an answer whose status is 200 all the same."""
        if self.error is None:
            return None
        if self.error.code == "ratelimited":
            return UpstreamRateLimited("Wikipedia asks for fewer calls; call again later.")
        if self.error.code in ("maxlag", "readonly") or self.error.code.startswith("internal_api_error"):
            return UpstreamError("Wikipedia failed; call again later.")
        return UpstreamRejected("Wikipedia refused the request; check the arguments.")


@provider.method(read_only=True)
def search(args: SearchArguments, http: Http) -> SearchOutput:
    """Search for pages on Wikipedia and give the beginning of each as plain text."""
    found = http.get("/api.php", reply=QueryReply, params=_which_pages(args)).query.pages
    pages = sorted((page for page in found if page.exists), key=lambda page: page.index)
    readable = [page for page in pages if not page.ambiguous]

    def read(page: Page) -> Document:
        # The API gives the full text of one page a request.
        params = {**_COMMON, "prop": "extracts", "pageids": page.pageid, "uselang": args.language}
        texts = http.get("/api.php", reply=QueryReply, params=params).query.pages
        return _document(page, texts[0].extract if texts else "", args.max_chars)

    return SearchOutput(
        documents=http.each(read, readable),
        skipped=[
            SkippedPage(title=page.title, source=page.fullurl, reason="disambiguation")
            for page in pages
            if page.ambiguous
        ],
    )


_COMMON = {"action": "query", "format": "json", "formatversion": 2, "explaintext": 1}


def _which_pages(args: SearchArguments) -> dict[str, Any]:
    """Ask for the pages, each with its introduction, its address and whether it is a disambiguation page."""
    if args.exact_title:
        # The separator in front makes a title with a bar in it one (invalid) title, not two.
        which: dict[str, Any] = {"titles": f"\x1f{args.query}"}
    else:
        which = {
            "generator": "search",
            "gsrsearch": args.query,
            "gsrwhat": "text",
            "gsrlimit": args.limit,
        }
    return {
        **_COMMON,
        **which,
        "redirects": 1,
        "prop": "extracts|info|pageprops",
        "exintro": 1,
        "exlimit": "max",
        "inprop": "url",
        "ppprop": "disambiguation",
        "uselang": args.language,
    }


def _document(page: Page, text: str, max_chars: int) -> Document:
    return Document(
        metadata=Metadata(
            title=page.title,
            summary=page.extract,
            source=page.fullurl,
            page_id=page.pageid,
            truncated=len(text) > max_chars,
        ),
        page_content=text[:max_chars],
    )


handler = provider.handler
