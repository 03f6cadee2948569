"""Algolia: search an index.

The service is Algolia's Search API: https://www.algolia.com/doc/rest-api/search/.
"""

from typing import Any

from pydantic import AliasChoices, BaseModel, Field, SecretStr

from integrations import Arguments, Http, Output, Provider, Reply, Setup


class AlgoliaSetup(Setup):
    application_id: str = Field(
        description="From the dashboard, Settings, API keys: the application's id.",
        pattern=r"^[A-Za-z0-9]{1,40}$",
        validation_alias=AliasChoices("application_id", "algolia_application_id"),
    )
    api_key: SecretStr = Field(
        description="A key with the right to search; never the admin key.",
        min_length=1,
        validation_alias=AliasChoices("api_key", "algolia_api_key"),
    )


provider = Provider(
    name="algolia",
    title="Algolia",
    url="https://www.algolia.com",
    docs="https://www.algolia.com/doc/rest-api/search/",
    category="search",
    setup=AlgoliaSetup,
    base_url=(
        "https://{application_id}-dsn.algolia.net/1",
        "https://{application_id}-1.algolianet.com/1",
        "https://{application_id}-2.algolianet.com/1",
        "https://{application_id}-3.algolianet.com/1",
    ),
    headers={
        "x-algolia-application-id": "{application_id}",
        "x-algolia-api-key": "{api_key}",
    },
    attempt_timeout=5.0,  # what Algolia's own clients wait before they try the next host
)


class SearchArguments(Arguments):
    index_name: str = Field(description="The index to search.", min_length=1, max_length=256)
    query: str = Field(description="What to look for; empty matches every record.", max_length=512)
    attributes_to_retrieve: list[str] | None = Field(
        None, description="The attributes of each record to give; all of them when left out."
    )
    hits_per_page: int = Field(10, description="How many records a page holds.", ge=1, le=1000)
    page: int = Field(0, description="Which page of the results to give; the first is 0.", ge=0, le=1_000_000)
    filters: str | None = Field(
        None,
        description="A filter expression, such as: brand:acme AND price < 20.",
        max_length=4096,
    )
    facets: list[str] | None = Field(
        None, description="The attributes to count values of; ['*'] for all that are set up for it."
    )


class SearchMetadata(BaseModel):
    query: str | None = Field(description="The query as Algolia read it.")
    nbHits: int | None = Field(description="How many records match.")
    page: int | None = Field(description="Which page this is; the first is 0.")
    nbPages: int | None = Field(description="How many pages there are.")
    processingTimeMS: int | None = Field(description="How long Algolia took, in milliseconds.")
    hitsPerPage: int | None = Field(description="How many records a page holds.")


class SearchOutput(Output):
    hits: list[dict[str, Any]] = Field(description="The records, the best match first, as they are in the index.")
    metadata: SearchMetadata
    facets: dict[str, dict[str, int]] | None = Field(
        None, description="For each attribute asked for, how many records have each value."
    )


class SearchReply(Reply):
    hits: list[dict[str, Any]]
    query: str | None = None
    nbHits: int | None = None
    page: int | None = None
    nbPages: int | None = None
    processingTimeMS: int | None = None
    hitsPerPage: int | None = None
    facets: dict[str, dict[str, int]] | None = None


@provider.method(read_only=True)
def search(args: SearchArguments, http: Http) -> SearchOutput:
    """Search the records of one Algolia index."""
    wanted = {
        "query": args.query,
        "hitsPerPage": args.hits_per_page,
        "page": args.page,
        "attributesToRetrieve": args.attributes_to_retrieve,
        "filters": args.filters,
        "facets": args.facets,
    }
    found = http.post(
        "/indexes/{}/query",
        args.index_name,
        json={name: value for name, value in wanted.items() if value is not None},
        reply=SearchReply,
    )
    return SearchOutput(
        hits=found.hits,
        metadata=SearchMetadata(**found.model_dump(exclude={"hits", "facets"})),
        facets=found.facets,
    )


handler = provider.handler
