"""LlamaParse: turn documents into text or Markdown, page by page.

The service is LlamaParse's API v2: https://developers.llamaindex.ai/llamaparse/parse/guides/retrieving-results/.
A document is a job there, which takes seconds to minutes. `parse` waits for it as long as a call may last; `submit`,
`status` and `result` are its parts, for what takes longer.
"""

import json
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr

from functions.llama_parse.answers import (
    Found,
    Job,
    JobOutput,
    ParseOutput,
    ResultOutput,
    StatusOutput,
    SubmitOutput,
)
from functions.llama_parse.arguments import (
    Asked,
    Params,
    ParseArguments,
    ResultArguments,
    StatusArguments,
    SubmitArguments,
)
from functions.llama_parse.options import Form, Handling, put, read
from integrations import Http, IntegrationError, Provider, Setup
from integrations.egress import Upload
from integrations.errors import (
    DeadlineExceeded,
    InvalidArguments,
    UpstreamTimeout,
)
from integrations.files import Files, is_url
from integrations.findings import finding, sentence
from integrations.media_types import named

LONGEST_PAUSE = 5.0  # seconds between two questions about a job


class LlamaParseSetup(Setup):
    api_key: SecretStr = Field(
        description="A key from https://cloud.llamaindex.ai, API Keys.",
        min_length=1,
        validation_alias=AliasChoices("api_key", "llamaparse_api_key"),
    )
    region: Literal["na", "eu"] = Field("na", description="Where the account is: a key is good for one region.")
    params: Params | None = Field(
        None, description="Options for every call, as params of a call, which wins over them.", max_length=100
    )


provider = Provider(
    name="llama_parse",
    title="LlamaParse",
    url="https://www.llamaindex.ai/llamaparse",
    docs="https://developers.llamaindex.ai/llamaparse/parse/",
    category="documents",
    setup=LlamaParseSetup,
    base_url="https://api.cloud.llamaindex.ai/api/v2",
    other_urls={"eu": "https://api.cloud.eu.llamaindex.ai/api/v2"},
    headers={"authorization": "Bearer {api_key}"},
    attempt_timeout=20.0,  # the upload of a document
    max_response_bytes=6_000_000,
)


@provider.method(read_only=True, idempotent=False, files=True)  # every page is billed
def parse(args: ParseArguments, setup: LlamaParseSetup, http: Http, files: Files) -> ParseOutput:
    """Read a short document. Waits for its text as long as a call may last; for more than some pages use submit."""
    handling, configuration = _read(args, setup)
    form = args.result_type or handling.result_type
    if form == "markdown" and configuration["tier"] == "fast":
        raise _unfit("result_type", "The tier fast gives text only; choose another tier")
    service = _service(setup, http)

    def parsed(numbered: tuple[int, str]) -> ResultOutput:
        number, given = numbered
        job, name = _submitted(service, files, given, ("file", number), args.filename, configuration, handling)
        try:
            return _awaited(service, job.id, form, handling).result(form, handling, name)
        except IntegrationError as error:
            # The job is billed whatever became of the answer, so its id must not be lost.
            error.detail += (
                f" It is the job {job.id}: llama_parse.status says how it is, llama_parse.result gives its text, "
                "and parsing again is billed again."
            )
            raise

    results = http.each(parsed, list(enumerate(args.file)))
    jobs = [JobOutput(**result.model_dump(exclude={"documents"})) for result in results]
    return ParseOutput(documents=[document for result in results for document in result.documents], jobs=jobs)


@provider.method(read_only=False, destructive=False, idempotent=False, files=True)  # the job goes on after the call
def submit(args: SubmitArguments, setup: LlamaParseSetup, http: Http, files: Files) -> SubmitOutput:
    """Start to read a document. Gives the job, which status and result ask about."""
    handling, configuration = _read(args, setup)
    job, _ = _submitted(_service(setup, http), files, args.file, ("file",), args.filename, configuration, handling)
    return SubmitOutput(**job.facts)


@provider.method(read_only=True)
def status(args: StatusArguments, setup: LlamaParseSetup, http: Http) -> StatusOutput:
    """Say how a job is. It is to be asked again, some seconds later, until it is finished."""
    handling, _ = read(setup.params or {}, {})
    params = {"expand": "usage", **handling.scope}
    job = _service(setup, http).get("/parse/{}", args.job_id, params=params, reply=Found).job
    spent = job.usage.credits if job.usage else None
    return StatusOutput(**job.facts, finished=job.finished, error_message=job.error_message, credits=spent)


@provider.method(read_only=True)
def result(args: ResultArguments, setup: LlamaParseSetup, http: Http) -> ResultOutput:
    """Give the text of a job that is finished. One that failed, or is still under way, is an error."""
    handling, _ = read(setup.params or {}, {"split_by_page": args.split_by_page})
    params = {"expand": args.result_type, **handling.scope}
    found = _service(setup, http).get("/parse/{}", args.job_id, params=params, reply=Found)
    if not found.job.finished:
        raise UpstreamTimeout("LlamaParse is still at work; ask llama_parse.status until the job is finished.")
    return found.result(args.result_type, handling, None)


def _service(setup: LlamaParseSetup, http: Http) -> Http:
    return http.at("eu") if setup.region == "eu" else http


def _read(args: Asked, setup: LlamaParseSetup) -> tuple[Handling, dict[str, Any]]:
    """Give what is asked for and the configuration: the options, with the arguments over them."""
    handling, configuration = read(setup.params or {}, args.params or {})
    default = "configured" if "configuration_id" in configuration else None
    configuration["tier"] = args.tier or configuration.get("tier", default or "cost_effective")
    configuration["version"] = args.version or configuration.get("version", default or "latest")
    asked = {
        "page_ranges.target_pages": args.target_pages,
        "page_ranges.max_pages": args.max_pages,
        "agentic_options.custom_prompt": args.prompt,
    }
    for path, value in asked.items():
        if value is not None:
            put(configuration, path, value)
    if configuration["tier"] == "fast" and configuration.get("agentic_options"):
        raise _unfit("prompt" if args.prompt else "params", "The tier fast takes no prompt; choose another tier")
    return handling, configuration


def _unfit(name: str, why: str) -> InvalidArguments:
    found = [finding(["arguments", name], "tier", why)]
    return InvalidArguments(sentence(found), errors=found)


def _submitted(
    service: Http,
    files: Files,
    given: str,
    place: tuple[str | int, ...],
    filename: str | None,
    configuration: dict[str, Any],
    handling: Handling,
) -> tuple[Job, str]:
    """Start a job, and give it with the document's name. LlamaParse itself fetches a URL: it may be large."""
    if is_url(given):
        body = {**configuration, "source_url": given}
        job = service.post("/parse", params=handling.scope, json=body, reply=Job)
        return job, filename or given.partition("?")[0].rstrip("/").rpartition("/")[2]
    file = files.read(given, *place)
    name, media_type = named(file, filename)
    form = {"configuration": json.dumps(configuration)}
    upload = [Upload("file", name, file.content, media_type)]
    return service.post("/parse/upload", params=handling.scope, form=form, files=upload, reply=Job), name


def _awaited(service: Http, job_id: str, form: Form, handling: Handling) -> Found:
    """Ask about a job, less and less often, until it is finished. Raise DeadlineExceeded."""
    service = service.repeating()
    waited, pause = 0.0, handling.check_interval
    params = {"expand": form, **handling.scope}
    while not (found := service.get("/parse/{}", job_id, params=params, reply=Found)).job.finished:
        if waited + pause > handling.max_timeout or not service.pause(pause):
            raise DeadlineExceeded("LlamaParse is still at work on the document.")
        waited, pause = waited + pause, max(pause, min(pause * 1.5, LONGEST_PAUSE))
    return found


handler = provider.handler
