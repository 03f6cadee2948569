"""Algolia's search as the libraries' first pages teach it: everything imported at the top, everything used."""

import json
import os
from typing import Any

import boto3
import httpx
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters
from pydantic import BaseModel, Field
from tenacity import retry, stop_after_attempt, wait_random_exponential

logger = Logger(service="naive")
metrics = Metrics(namespace="Naive", service="naive")
app = APIGatewayHttpResolver(enable_validation=True)
client = httpx.Client()
region = boto3.session.Session().region_name


class Setup(BaseModel):
    """What reaches the service."""

    application_id: str
    api_key: str


class Arguments(BaseModel):
    """What to search for."""

    index_name: str
    query: str
    hits_per_page: int = Field(10, ge=1, le=1000)
    page: int = Field(0, ge=0)


class Call(BaseModel):
    """The body of a request."""

    arguments: Arguments
    setup: Setup | None = None


class Found(BaseModel):
    """What was found."""

    hits: list[dict[str, Any]]
    query: str | None = None
    nbHits: int | None = None  # noqa: N815  # Algolia's spelling


@retry(stop=stop_after_attempt(3), wait=wait_random_exponential(multiplier=0.5, max=8), reraise=True)
def _ask(arguments: Arguments, setup: Setup) -> Any:
    answer = client.post(
        f"{os.environ['ALGOLIA_BASE_URL']}/1/indexes/{arguments.index_name}/query",
        json={"query": arguments.query, "hitsPerPage": arguments.hits_per_page, "page": arguments.page},
        headers={"x-algolia-application-id": setup.application_id, "x-algolia-api-key": setup.api_key},
    )
    answer.raise_for_status()
    return answer.json()


@app.post("/execute/algolia")
def search(call: Call) -> Found:
    """Search, with the setup of the call or the stored one."""
    secret = "integrations/algolia/default"  # noqa: S105  # its name
    setup = call.setup or Setup(**json.loads(parameters.get_secret(secret, max_age=300))["setup"])
    found = Found.model_validate(_ask(call.arguments, setup))
    metrics.add_metric("Calls", MetricUnit.Count, 1)
    logger.info("call", extra={"region": region})
    return found


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an event of the HTTP API."""
    return app.resolve(event, context)
