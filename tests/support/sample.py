"""A provider for tests of the layer: one method that reads, one that writes, one whose errors hide in a 200."""

import copy
from typing import Any

from pydantic import AliasChoices, Field, SecretStr

from integrations import Arguments, Http, IntegrationError, Output, Provider, Reply, Setup
from integrations.errors import UpstreamRateLimited


class SampleSetup(Setup):
    api_key: SecretStr = Field(description="The key.", validation_alias=AliasChoices("api_key", "sample_api_key"))
    region: str = Field("eu", description="Where the account is.")


provider = Provider(
    name="sample",
    title="Sample",
    url="https://sample.example",
    docs="https://sample.example/docs",
    category="search",
    setup=SampleSetup,
    base_url=("https://{region}.sample.invalid/v1", "https://{region}-2.sample.invalid/v1"),
    headers={"authorization": "Bearer {api_key}"},
    attempt_timeout=2.0,
    max_response_bytes=100_000,
)

SETUP = {"api_key": "sample-key-0123456789"}


class Inner(Arguments):
    flag: bool = Field(default=False, description="A flag.")
    ratio: float = Field(1.0, description="A ratio.")


class ReadArguments(Arguments):
    query: str = Field("tea", description="What to look for.")
    limit: int = Field(2, description="How many.", ge=1, le=10, validation_alias=AliasChoices("limit", "max_docs"))
    exact: bool = Field(default=False, description="Whether to match exactly.")
    inner: Inner = Field(default_factory=Inner, description="More.")
    places: list[str] = Field([], description="Where to look, one request each.")


class WriteArguments(Arguments):
    text: str = Field("hello", description="What to write.")


class AnyOutput(Output):
    value: Any = Field(description="What the service said.")


class AnyReply(Reply):
    value: Any = None
    error: str | None = None

    def failure(self) -> IntegrationError | None:
        return UpstreamRateLimited("Sample asks for fewer calls.") if self.error == "slow down" else None


@provider.method(read_only=True)
def read(args: ReadArguments, http: Http) -> AnyOutput:
    """Read something."""
    if args.places:
        return AnyOutput(value=http.each(lambda place: http.get("/{}", place, reply=AnyReply).value, args.places))
    params = {"q": args.query, "limit": args.limit, "exact": args.exact}
    return AnyOutput(value=http.get("/items", params=params, reply=AnyReply).value)


@provider.method(read_only=False, destructive=False, idempotent=False)
def write(args: WriteArguments, http: Http, setup: SampleSetup) -> AnyOutput:
    """Write something."""
    return AnyOutput(value=http.post("/items/{}", setup.region, json={"text": args.text}, reply=AnyReply).value)


@provider.method(read_only=True)
def fault(args: WriteArguments) -> AnyOutput:
    """Fail as a bug would."""
    raise RuntimeError(f"a bug that mentions {args.text}")


roomy = copy.copy(provider)
"""The same provider, which takes larger answers."""
roomy.max_response_bytes = 20_000_000

paced = copy.copy(provider)
"""The same provider, whose service asks for a pace."""
paced.min_interval = 0.3
