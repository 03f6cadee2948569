"""Spider: crawl and scrape websites, list their links, take screenshots, search the web.

The service is Spider's API: https://spider.cloud/docs/api. Every request is billed by the page, so none is sent again
once it may have arrived, and none reads more pages than somebody said.
"""

import re
from typing import Any, ClassVar, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from integrations import Arguments, Http, Output, Provider, Reply, Setup
from integrations.decoding import Undecodable
from integrations.replies import strict_json


class SpiderSetup(Setup):
    api_key: SecretStr = Field(
        description="An API key of the account.",
        min_length=1,
        max_length=500,
        validation_alias=AliasChoices("api_key", "spider_api_key"),
    )


provider = Provider(
    name="spider",
    title="Spider",
    url="https://spider.cloud",
    docs="https://spider.cloud/docs/api",
    category="web",
    setup=SpiderSetup,
    base_url="https://api.spider.cloud/v1",
    headers={"authorization": "Bearer {api_key}"},
    attempt_timeout=27.0,  # the answer comes when the last page is read
    max_response_bytes=6_000_000,  # what Lambda can return
)


ReturnFormat = Literal["raw", "markdown", "commonmark", "html2text", "text", "xml", "bytes", "empty"]


class SpiderArguments(Arguments):
    content_type: Literal["application/json", "text/csv", "application/xml", "application/jsonl"] = Field(
        "application/json", description="The form of the answer. All but JSON come as one text in result[0].content."
    )
    return_format: ReturnFormat | None = Field(
        None, description="The form of each page's content; raw, the page as it is, when left out."
    )
    request: Literal["http", "chrome", "smart"] | None = Field(
        None, description="How pages are fetched: http is fast, chrome runs scripts, smart decides by the page."
    )
    readability: bool | None = Field(None, description="Whether to keep only what a reader of the page wants.")
    metadata: bool | None = Field(None, description="Whether to give title, description and keywords of each page.")
    params: dict[str, Any] = Field(
        {},
        description="Further parameters by their names in Spider's API, such as proxy_enabled, whitelist or wait_for.",
    )

    @field_validator("params")
    @classmethod
    def _of_one_call(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, why in _REFUSED.items():
            if value.get(name) not in (None, False):
                raise PydanticCustomError("param", "{name} {why}", {"name": name, "why": why})
        # Null is absent here too: a limit of null would be none.
        return {name: item for name, item in value.items() if item is not None}

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        fields = type(self).model_fields
        said = {fields[name].serialization_alias or name for name in self.model_fields_set}
        if twice := sorted(said & self.params.keys()):
            raise PydanticCustomError("twice", "{name} is in params too; say it once", {"name": twice[0]})
        return self

    @property
    def sent(self) -> dict[str, Any]:
        """Give the body of the request; what is in `params` goes before a default."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude={"content_type", "params"}) | self.params


# Parameters that make something else of a call than one answer in text.
_REFUSED = {
    "url": "is an argument of its own",
    "search": "is the argument query of the method search",
    "binary": "asks for bytes; without it the image comes in base64",
    "cron": "starts crawls that go on after this call; set them up in Spider's dashboard",
    "webhooks": "sends to others what this call is to give; leave it out",
    "run_in_background": "gives no pages; leave it out and set limit",
}


class ScrapeArguments(SpiderArguments):
    url: str = Field(
        description="Where to begin, with https:// or http://. Several are parted by commas.",
        max_length=8000,
        pattern=r"^https?://[^\s/?#]\S*$",
    )


class CrawlArguments(ScrapeArguments):
    limit: int = Field(10, description="How many pages of each website to read at most.", ge=1, le=10_000)
    depth: int | None = Field(None, description="How many links away from url to go at most.", ge=0, le=1000)


class LinksArguments(ScrapeArguments):
    limit: int = Field(10, description="How many pages of each website to take links from at most.", ge=1, le=10_000)


class ScreenshotArguments(ScrapeArguments):
    limit: int = Field(1, description="How many pages of each website to show at most.", ge=1, le=100)
    full_page: bool | None = Field(None, description="Whether to show all of the page, not its top; true by default.")


class SearchArguments(SpiderArguments):
    query: str = Field(
        description="What to search the web for; operators such as site: work.",
        min_length=1,
        max_length=2000,
        validation_alias=AliasChoices("query", "search", "q"),
        serialization_alias="search",
    )
    search_limit: int = Field(10, description="How many results to give at most.", ge=1, le=100)
    page: int | None = Field(None, description="Which page of the results; the first is 1.", ge=1, le=1000)
    fetch_page_content: bool | None = Field(
        None, description="True to read the page behind each result too, which is billed by the page."
    )
    country: str | None = Field(None, description="Prefer results from this country: us, de.", pattern="^[A-Za-z]{2}$")
    language: str | None = Field(None, description="Prefer results in this language: en, de.", pattern="^[A-Za-z]{2}$")
    location: str | None = Field(None, description="Where to search from, such as London, UK.", max_length=200)
    time_range: Literal["hour", "day", "week", "month", "year"] | None = Field(
        None, description="Only results of the last hour, day, week, month or year.", serialization_alias="tbs"
    )

    @property
    def sent(self) -> dict[str, Any]:
        """Give the body of the request. Spider reads a website that is found whole, unless it is told a limit."""
        sent = super().sent | ({"tbs": f"qdr:{self.time_range[0]}"} if self.time_range else {})
        return {"limit": 1, **sent} if sent.get("fetch_page_content") else sent


class Page(BaseModel):
    """One page; what else the parameters asked for, such as `metadata` or `links`, keeps Spider's names."""

    model_config = ConfigDict(extra="allow")

    url: str | None = Field(None, description="The address of the page.")
    status: int | None = Field(None, description="The HTTP status that the website answered.")
    content: str | list[Any] | dict[str, Any] | None = Field(
        None,
        description="The page in the form asked for, an object where several were; of a screenshot its base64; "
        "of a result that was not read, its description.",
    )
    error: str | None = Field(None, description="Why the page could not be read.")
    costs: dict[str, Any] | None = Field(None, description="What the page cost, in dollars.")
    title: str | None = Field(None, description="The title of a result of a search.")
    description: str | None = Field(None, description="What a search engine says about a result.")


class PagesOutput(Output):
    result: list[Page] = Field(description="The pages, or the one text of another form than JSON.")


class PagesReply(Reply):
    pages: list[Page]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the list of pages, or the only one; the results of a search are inside `content`."""
        said = strict_json(body)
        if isinstance(said, dict):
            said = [said] if "url" in said else said.get("content")
        return cls.model_validate({"pages": said})


class TextReply(PagesReply):
    begins: ClassVar[re.Pattern[str]]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Take the answer as it is, unless it begins like something else: an error, the page of a proxy."""
        text = body.decode("utf-8", "replace").removeprefix("\ufeff")
        if text.strip() and not cls.begins.match(text):
            raise Undecodable(cls.form)
        return cls(pages=[Page(content=text)] if text.strip() else [])


class CsvReply(TextReply):
    form = "CSV"
    media_type = "text/csv"
    begins = re.compile(r"\s*[^\s<{\[]")


class XmlReply(TextReply):
    form = "XML"
    media_type = "application/xml"
    begins = re.compile(r"\s*<(?!!?(?:doctype\s+)?html)", re.IGNORECASE)


class JsonLinesReply(TextReply):
    form = "JSON lines"
    media_type = "application/jsonl"
    begins = re.compile(r"\s*\{")


_REPLIES = {reply.media_type: reply for reply in (PagesReply, CsvReply, XmlReply, JsonLinesReply)}


@provider.method(read_only=True, idempotent=False)
def crawl(args: CrawlArguments, http: Http) -> PagesOutput:
    """Crawl a website: read the page of a URL and those it links to. Billed by the page."""
    return _asked(http, "/crawl", args)


@provider.method(read_only=True, idempotent=False)
def links(args: LinksArguments, http: Http) -> PagesOutput:
    """List the links of a website, without the contents of its pages. Billed by the page."""
    return _asked(http, "/links", args)


@provider.method(read_only=True, idempotent=False)
def screenshot(args: ScreenshotArguments, http: Http) -> PagesOutput:
    """Take a screenshot of a web page, as an image in base64. Billed by the page."""
    return _asked(http, "/screenshot", args)


@provider.method(read_only=True, idempotent=False)
def search(args: SearchArguments, http: Http) -> PagesOutput:
    """Search the web and give what was found, with the contents of the pages if asked for. Billed by the result."""
    found = _asked(http, "/search", args)
    for page in found.result:
        page.content = page.description if page.content is None else page.content
    return found


@provider.method(read_only=True, idempotent=False)
def scrape(args: ScrapeArguments, http: Http) -> PagesOutput:
    """Read one web page, without following its links. Billed."""
    return _asked(http, "/scrape", args)


def _asked(http: Http, path: str, args: SpiderArguments) -> PagesOutput:
    """Spider answers in the form that the request says it has itself; what is sent is JSON all the same."""
    headers, reply = {"content-type": args.content_type}, _REPLIES[args.content_type]
    return PagesOutput(result=http.post(path, json=args.sent, headers=headers, reply=reply).pages)


handler = provider.handler
