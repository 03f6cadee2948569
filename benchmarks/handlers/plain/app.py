"""Plain httpx: one kept client, the body sent and the answer parsed, and nothing of what a function should do."""

import os
from typing import Any

import httpx

BASE_URL = os.environ["ALGOLIA_BASE_URL"]
CALL = {"query": "phone", "hitsPerPage": 5, "page": 0}
HEADERS = {"x-algolia-application-id": "EXAMPLEAPP", "x-algolia-api-key": "example-search-key"}
WIKI: dict[str, str | int] = {"action": "query", "format": "json", "formatversion": 2, "explaintext": 1}

client = httpx.Client()


def handler(event: Any, context: Any) -> Any:  # noqa: ARG001  # Lambda passes both  # the runtime passes both
    """Send what algolia.search sends."""
    return client.post(f"{BASE_URL}/1/indexes/products/query", json=CALL, headers=HEADERS).json()


def three_requests(event: Any, context: Any) -> list[Any]:  # noqa: ARG001  # Lambda passes both
    """Send what wikipedia.search sends for two pages, one request after the other."""
    search: dict[str, str | int] = {
        **WIKI,
        "generator": "search",
        "gsrsearch": "Ada Lovelace",
        "gsrlimit": 2,
        "prop": "extracts|info",
    }
    pages = client.get(f"{BASE_URL}/w/api.php", params=search).json()["query"]["pages"]
    ids = [page["pageid"] for page in pages]
    return [
        client.get(f"{BASE_URL}/w/api.php", params={**WIKI, "prop": "extracts", "pageids": number}).json()
        for number in ids
    ]
