"""Brave: search the web, and the news.

The service is the Brave Search API: https://api-dashboard.search.brave.com/app/documentation. A plan allows so many
requests a second, which each answer tells in its X-RateLimit headers.
"""

import html
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, SecretStr
from pydantic_core import PydanticCustomError

from integrations import Arguments, Http, IntegrationError, Output, Provider, Reply, Setup, quotas
from integrations.errors import UpstreamDenied

MAX_WORDS = 50  # of a query; Brave refuses more


class BraveSetup(Setup):
    api_key: SecretStr = Field(
        description="From the dashboard, API Keys: the subscription token.",
        min_length=1,
        validation_alias=AliasChoices("api_key", "brave_api_key"),
    )


provider = Provider(
    name="brave",
    title="Brave Search",
    url="https://brave.com/search/api/",
    docs="https://api-dashboard.search.brave.com/app/documentation",
    category="search",
    setup=BraveSetup,
    base_url="https://api.search.brave.com/res/v1",
    headers={"x-subscription-token": "{api_key}"},
    paced_by_quotas=True,
)


def _within_words(query: str) -> str:
    if len(query.split()) > MAX_WORDS:
        raise PydanticCustomError("too_many_words", f"At most {MAX_WORDS} words")
    return query


class QueryArguments(Arguments):
    query: Annotated[str, AfterValidator(_within_words)] = Field(
        description="What to look for, in at most 50 words. Operators work: site:example.com, filetype:pdf, "
        '"an exact phrase", -without.',
        min_length=1,
        max_length=400,
        pattern=r"\S",
    )
    offset: int = Field(0, description="How many pages of count results to skip; the first page is 0.", ge=0, le=9)
    country: str | None = Field(
        None,
        description="Where the results should be from: two letters of ISO 3166, such as DE, or ALL; US when left out.",
        pattern=r"^([A-Z]{2}|ALL)$",
    )
    language: str | None = Field(
        None,
        description="The language of the results by Brave's codes: en, de, en-gb, pt-br, zh-hans, jp (Japanese); "
        "en when left out.",
        pattern=r"^[a-z]{2,3}(-[a-z]{2,4})?$",
        validation_alias=AliasChoices("language", "search_lang"),
    )
    freshness: str | None = Field(
        None,
        description="How new the results must be: pd (a day), pw (a week), pm (a month), py (a year), "
        "or from one date to another: 2026-01-01to2026-01-31.",
        pattern=r"^(p[dwmy]|[0-9]{4}-[0-9]{2}-[0-9]{2}to[0-9]{4}-[0-9]{2}-[0-9]{2})$",
    )
    safesearch: Literal["off", "moderate", "strict"] | None = Field(
        None, description="How much adult content to leave out; Brave's default when left out."
    )

    @property
    def params(self) -> dict[str, str | int | bool | None]:
        """Give the parameters that web and news have in common."""
        return {
            "q": self.query,
            "offset": self.offset or None,
            "country": self.country,
            "search_lang": self.language,
            "freshness": self.freshness,
            "safesearch": self.safesearch,
            "extra_snippets": True,
        }


class SearchArguments(QueryArguments):
    count: int = Field(3, description="How many results to give at most.", ge=1, le=20)


class NewsArguments(QueryArguments):
    count: int = Field(3, description="How many articles to give at most.", ge=1, le=50)


class Result(BaseModel):
    title: str = Field(description="The title as plain text; the address where there is no title.")
    link: str = Field(description="The address of the page.")
    snippet: str = Field(description="What the page says about the query, as plain text.")
    age: str | None = Field(description="How old the page is, in words or as a date.")
    published: str | None = Field(description="When the page was published, in ISO 8601.")
    language: str | None = Field(description="The language of the page.")
    source: str | None = Field(description="Who publishes the page.")
    thumbnail: str | None = Field(description="The address of a picture.")


class RateLimit(BaseModel):
    limit: int = Field(description="How many requests the plan allows in one window; 0 is without a limit.")
    remaining: int = Field(description="How many of them are left.")
    window: int | None = Field(description="How long the window is, in seconds.")
    reset: int | None = Field(description="In how many seconds all of them are there again.")


class Metadata(BaseModel):
    query: str | None = Field(description="The query as it was sent.")
    altered_query: str | None = Field(description="The query that was looked for instead, with the spelling corrected.")
    more_results: bool | None = Field(description="Whether the next offset gives more.")
    rate_limits: list[RateLimit] = Field(description="What is left of the plan's quotas after this request.")


class SearchOutput(Output):
    result: list[Result] = Field(description="What was found, the best match first.")
    metadata: Metadata


class Named(BaseModel):
    name: str | None = None
    hostname: str | None = None


class Picture(BaseModel):
    src: str | None = None


class Found(BaseModel):
    """One result. Brave promises a title and an address, and does not always keep it."""

    title: str | None = None
    url: str | None = None
    description: str | None = None
    extra_snippets: list[str] | None = None
    age: str | None = None
    page_age: str | None = None
    language: str | None = None
    profile: Named | None = None
    meta_url: Named | None = None
    thumbnail: Picture | None = None


class Query(BaseModel):
    original: str | None = None
    altered: str | None = None
    more_results_available: bool | None = None


class Problem(BaseModel):
    code: str


class Refusal(Reply):
    error: Problem

    def failure(self) -> IntegrationError | None:
        """Tell a key that is not valid, which is a 422, from arguments that are not."""
        if self.error.code.startswith("SUBSCRIPTION_"):
            return UpstreamDenied("Brave Search refused the key; check api_key in the setup.")
        if self.error.code in ("OPTION_NOT_IN_PLAN", "RESOURCE_NOT_ALLOWED"):
            return UpstreamDenied("The plan of this key does not allow this; change it in Brave's dashboard.")
        return None


class NewsReply(Reply):
    refusal = Refusal

    type: str
    query: Query = Query()
    results: list[Found] = Field(default_factory=list)


class Web(BaseModel):
    results: list[Found] = []


class SearchReply(Reply):
    refusal = Refusal

    type: str
    query: Query = Query()
    web: Web | None = None  # there is none when nothing is found


@provider.method(read_only=True)
def search(args: SearchArguments, http: Http) -> SearchOutput:
    """Search the web with Brave and give the title, the address and excerpts of each page found."""
    params = {**args.params, "count": args.count, "result_filter": "web"}
    found = http.get("/web/search", params=params, reply=SearchReply)
    return _output(found, found.query, found.web.results if found.web else [])


@provider.method(read_only=True)
def news(args: NewsArguments, http: Http) -> SearchOutput:
    """Search the news with Brave and give the title, the address, the age and excerpts of each article found."""
    found = http.get("/news/search", params={**args.params, "count": args.count}, reply=NewsReply)
    return _output(found, found.query, found.results)


def _output(reply: Reply, query: Query, found: list[Found]) -> SearchOutput:
    metadata = Metadata(
        query=query.original,
        altered_query=query.altered,
        more_results=query.more_results_available,
        rate_limits=[RateLimit(**quota._asdict()) for quota in quotas.read(reply.headers)],
    )
    return SearchOutput(result=[_result(each, each.url) for each in found if each.url], metadata=metadata)


def _result(found: Found, url: str) -> Result:
    excerpts = [_plain(text) for text in (found.description, *(found.extra_snippets or ())) if text]
    sources = [each.name or each.hostname for each in (found.profile, found.meta_url) if each]
    return Result(
        title=_plain(found.title or "") or url,
        link=url,
        snippet=" ".join(excerpts),
        age=found.age,
        published=found.page_age,
        language=found.language,
        source=next(filter(None, sources), None),
        thumbnail=found.thumbnail.src if found.thumbnail else None,
    )


_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)


def _plain(text: str) -> str:
    """Take the tags out, which mark the words of the query, and then read the entities of what is left."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())


handler = provider.handler
