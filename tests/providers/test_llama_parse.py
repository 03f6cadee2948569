"""LlamaParse: requests and answers judged by LlamaParse's own API description; faults are scripted."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from functions.llama_parse.names import ALWAYS, GONE, MOVED, READ, TIERS, V2
from functions.llama_parse.options import Handling
from functions.llama_parse.provider import provider
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, post
from tests.support.contract_peer import ContractPeer
from tests.support.forms import Part, parts
from tests.support.upstream import LOOPBACK, Reply, Request, Upstream, hosts_looked_up, refused_url

JUDGE = {"kind": "contract", "name": "llama_parse/openapi-2026-08.yaml", "fixture": "llama"}

SETUP = {"api_key": "llx-0123456789abcdef"}
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nbinary \x00 bytes"
FILE = base64.b64encode(PDF).decode()
URL = "https://example.com/reports/week%2047.pdf?version=2"
JOB = "pjb-0f8fad5b-d9cb-469f-a165-70867728950e"
METHODS = list(provider.methods)


def job(status: str = "PENDING", **more: Any) -> dict[str, Any]:
    return {"id": JOB, "project_id": "prj-1", "status": status, "tier": "cost_effective", **more}


def found(status: str = "COMPLETED", form: str = "text", **more: Any) -> dict[str, Any]:
    success = {} if form == "text" else {"success": True}
    pages = [{"page_number": number, form: f"Page {number}", **success} for number in (1, 2)]
    return {"job": job(status, **more), **({form: {"pages": pages}} if status == "COMPLETED" else {})}


def answered(request: Request) -> Reply:
    """Give a good answer to any request."""
    if request.method == "POST":
        return script.json(job())
    form = request.query.get("expand", ["text"])[0]
    return script.json(found(form="markdown" if form == "markdown" else "text"))


EXAMPLE = answered
FIXED = frozenset({"id", "status"})


@pytest.fixture
def llama(contract_peer: Callable[..., ContractPeer], monkeypatch: pytest.MonkeyPatch) -> ContractPeer:
    peer = contract_peer("llama_parse/openapi-2026-08.yaml")
    monkeypatch.setenv("LLAMA_PARSE_BASE_URL", f"{peer.url}/api/v2")
    return peer


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("LLAMA_PARSE_BASE_URL", f"{upstream.url}/api/v2")
    return upstream


def call(method: str, setup: dict[str, Any] | None = None, seconds: float = 30.0, **arguments: Any) -> Response:
    given = {"job_id": JOB} if method in ("status", "result") else {"file": FILE}
    body = {"setup": {**SETUP, **(setup or {})}, "arguments": {**given, **arguments}}
    return post(provider, body, method=method, seconds=seconds)


def configured(request: Request) -> Any:
    """Give the configuration in a form."""
    [text] = [part.text for part in parts(request) if part.field == "configuration"]
    return json.loads(text)


def file_of(request: Request) -> Part:
    [file] = [part for part in parts(request) if part.field == "file"]
    return file


DEFAULT = {"tier": "cost_effective", "version": "latest"}


# By the contract.


def test_parse_what_is_sent_for_a_file(llama: ContractPeer) -> None:
    llama.replies(script.json(job()), script.json(found(form="markdown")))
    reply = call(
        "parse", filename="week.pdf", base64=True, result_type="markdown", tier="agentic", version="2026-08-19"
    )
    assert reply.status == 200
    sent, asked = llama.requests
    assert (sent.method, sent.target) == ("POST", "/api/v2/parse/upload")
    assert sent.headers["authorization"] == f"Bearer {SETUP['api_key']}"
    assert configured(sent) == {"tier": "agentic", "version": "2026-08-19"}
    assert file_of(sent) == ("file", PDF, "week.pdf", "application/pdf")
    assert (asked.method, asked.target) == ("GET", f"/api/v2/parse/{JOB}?expand=markdown")


def test_parse_what_is_sent_for_a_url(llama: ContractPeer) -> None:
    llama.replies(script.json(job()), script.json(found()))
    reply = call("parse", file=URL, target_pages="1,3-5", max_pages="9", prompt="Mind the tables.")
    assert llama.requests[0].target == "/api/v2/parse"
    assert llama.requests[0].json() == {
        **DEFAULT,
        "source_url": URL,
        "page_ranges": {"target_pages": "1,3-5", "max_pages": 9},
        "agentic_options": {"custom_prompt": "Mind the tables."},
    }
    assert reply.body["documents"][0]["metadata"]["file_name"] == "week%2047.pdf"


def test_parse_what_comes_back(llama: ContractPeer) -> None:
    llama.replies(script.json(job()), script.json(found("RUNNING")), script.json(found()))
    reply = call("parse", filename="week.pdf", params={"check_interval": 0.1})
    assert reply.status == 200
    assert reply.body["jobs"] == [{"job_id": JOB, "status": "COMPLETED", "tier": "cost_effective", "failed_pages": []}]
    first, second = reply.body["documents"]
    assert first == {
        "id_": f"{JOB}-1",
        "embedding": None,
        "metadata": {"file_name": "week.pdf", "job_id": JOB, "page_number": 1},
        "excluded_embed_metadata_keys": [],
        "excluded_llm_metadata_keys": [],
        "relationships": {},
        "text": "Page 1",
        "mimetype": "text/plain",
        "start_char_idx": None,
        "end_char_idx": None,
        "text_template": "{metadata_str}\n\n{content}",
        "metadata_template": "{key}: {value}",
        "metadata_seperator": "\n",
        "class_name": "Document",
    }
    assert (second["id_"], second["text"]) == (f"{JOB}-2", "Page 2")


def test_submit_what_is_sent_and_comes_back(llama: ContractPeer) -> None:
    llama.replies(script.json(job()), script.json(job()))
    reply = call("submit", tier="fast")
    assert reply.body == {"job_id": JOB, "status": "PENDING", "tier": "cost_effective"}
    assert (llama.last.target, configured(llama.last)["tier"]) == ("/api/v2/parse/upload", "fast")
    assert file_of(llama.last).filename == "document.pdf"
    call("submit", file=URL, filename="")
    assert (llama.last.target, llama.last.json()["source_url"]) == ("/api/v2/parse", URL)


@pytest.mark.parametrize(
    ("state", "finished"),
    [("PENDING", False), ("RUNNING", False), ("COMPLETED", True), ("FAILED", True), ("CANCELLED", True)],
)
def test_status_what_is_sent_and_comes_back(llama: ContractPeer, state: str, finished: bool) -> None:  # noqa: FBT001
    llama.replies(script.json({"job": job(state, error_message="No pages", usage={"credits": 30})}))
    assert call("status").body == {
        "job_id": JOB,
        "status": state,
        "tier": "cost_effective",
        "finished": finished,
        "error_message": "No pages",
        "credits": 30.0,
    }
    assert llama.last.target == f"/api/v2/parse/{JOB}?expand=usage"


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_result_what_is_sent_and_comes_back(llama: ContractPeer, form: str) -> None:
    llama.replies(script.json(found(form=form, name="week.pdf")))
    reply = call("result", result_type=form)
    assert llama.last.target == f"/api/v2/parse/{JOB}?expand={form}"
    assert [document["text"] for document in reply.body["documents"]] == ["Page 1", "Page 2"]
    assert reply.body["documents"][0]["metadata"] == {"file_name": "week.pdf", "job_id": JOB, "page_number": 1}


def test_a_page_that_failed_is_named(llama: ContractPeer) -> None:
    answer = found(form="markdown")
    answer["markdown"]["pages"][0] = {"page_number": 1, "error": "a broken font", "success": False}
    llama.replies(script.json(answer))
    reply = call("result", result_type="markdown")
    assert (reply.body["failed_pages"], len(reply.body["documents"])) == ([1], 1)


def test_result_as_one_document(llama: ContractPeer) -> None:
    llama.replies(script.json(found()))
    [document] = call("result", split_by_page=False).body["documents"]
    assert (document["id_"], document["text"]) == (JOB, "Page 1\n---\nPage 2")
    assert "page_number" not in document["metadata"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key(llama: ContractPeer, method: str, status: int) -> None:
    llama.replies(script.json({"detail": "Invalid API key llx"}, status))
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "Invalid API key" not in reply.text


@pytest.mark.parametrize("method", METHODS)
def test_a_rejected_request(llama: ContractPeer, method: str) -> None:
    detail = [{"type": "value_error", "loc": ["tier"], "msg": "Unsupported tier"}]
    llama.replies(script.json({"detail": detail}, 422))
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "Unsupported" not in reply.text


@pytest.mark.parametrize("method", METHODS)
def test_rate_limit(llama: ContractPeer, method: str) -> None:
    llama.replies(script.json({"detail": "slow down"}, 429, headers={"retry-after": "3600"}))
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.headers["retry-after"]) == (503, "upstream_rate_limited", "3600")


@pytest.mark.parametrize("method", ["parse", "submit"])
def test_upstream_failure_is_not_repeated_because_pages_are_billed(llama: ContractPeer, method: str) -> None:
    llama.replies(script.json({"detail": "oops"}, 500))
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_error", False)


@pytest.mark.parametrize("method", ["status", "result"])
def test_upstream_failure_is_repeated_for_a_question(llama: ContractPeer, method: str) -> None:
    llama.replies(script.json({"detail": "oops"}, 503), script.json(found()))
    reply = call(method)
    assert (reply.status, reply.headers["x-attempts"]) == (200, "2")


# Waiting for a job.


def test_a_question_about_a_job_is_repeated_within_parse(fake: Upstream) -> None:
    fake.replies(script.json(job()), script.reset_before_reply(), script.json(found()))
    assert call("parse").status == 200
    assert [request.method for request in fake.requests] == ["POST", "GET", "GET"]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
@pytest.mark.parametrize("method", ["parse", "result"])
def test_a_job_that_failed_is_an_error_and_never_an_empty_list(llama: ContractPeer, method: str, state: str) -> None:
    llama.replies(*([script.json(job())] if method == "parse" else []))
    llama.replies(script.json({"job": job(state, error_message="the file is encrypted")}))
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "encrypted" not in reply.text
    assert "documents" not in reply.body


GO_ON = (
    f"It is the job {JOB}: llama_parse.status says how it is, llama_parse.result gives its text, "
    "and parsing again is billed again."
)


def test_a_job_that_takes_longer_is_gone_on_with_by_its_id(llama: ContractPeer) -> None:
    llama.replies(script.json(job()))
    llama.route(lambda _: script.json(found("RUNNING")))
    reply = call("parse", seconds=RESERVE + 2, params={"check_interval": 0.2})
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (504, "deadline_exceeded", False)
    assert reply.body["detail"] == f"LlamaParse is still at work on the document. {GO_ON}"
    assert len(llama.requests) >= 4


def test_nobody_waits_longer_than_asked_for(fake: Upstream) -> None:
    fake.replies(script.json(job()), *[script.json(found("RUNNING"))] * 3)
    started = time.monotonic()
    reply = call("parse", params={"check_interval": 0.1, "max_timeout": 0.3})
    assert (reply.status, reply.body["code"]) == (504, "deadline_exceeded")
    assert time.monotonic() - started < 5


def test_the_job_is_named_when_a_question_about_it_fails(fake: Upstream) -> None:
    fake.replies(script.json(job()), script.json({}, 404))
    reply = call("parse")
    assert (reply.status, reply.body["code"]) == (422, "upstream_rejected")
    assert reply.body["detail"] == f"LlamaParse refused the request; check the arguments. {GO_ON}"


def test_a_result_that_is_not_there_yet(llama: ContractPeer) -> None:
    llama.replies(script.json(found("RUNNING")))
    reply = call("result")
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (504, "upstream_timeout", True)
    assert reply.body["detail"] == "LlamaParse is still at work; ask llama_parse.status until the job is finished."


def test_several_files_come_back_in_their_order(fake: Upstream) -> None:
    def answer(request: Request) -> Reply:
        number = 1 if PDF in request.body else 2
        if request.method == "POST":
            return script.json({**job(), "id": f"job-{number}"})
        which = request.path.rpartition("-")[2]
        page = {"page_number": 1, "text": f"of file {which}"}
        return script.json({"job": {**job("COMPLETED"), "id": f"job-{which}"}, "text": {"pages": [page]}})

    fake.route(answer)
    reply = call("parse", file=[FILE, URL])
    assert [document["text"] for document in reply.body["documents"]] == ["of file 1", "of file 2"]
    assert [each["job_id"] for each in reply.body["jobs"]] == ["job-1", "job-2"]


# The options of v1.

EVERY_OPTION: dict[str, tuple[Any, dict[str, Any]]] = {
    "http_proxy": ("https://proxy.example", {"http_proxy": "https://proxy.example"}),
    "aggressive_table_extraction": (True, {"processing_options": {"aggressive_table_extraction": True}}),
    "skip_diagonal_text": (True, {"processing_options": {"ignore": {"ignore_diagonal_text": True}}}),
    "disable_ocr": (True, {"processing_options": {"ignore": {"ignore_text_in_image": True}}}),
    "remove_hidden_text": (True, {"processing_options": {"ignore": {"ignore_hidden_text": True}}}),
    "html_make_all_elements_visible": (True, {"input_options": {"html": {"make_all_elements_visible": True}}}),
    "html_remove_fixed_elements": (True, {"input_options": {"html": {"remove_fixed_elements": True}}}),
    "html_remove_navigation_elements": (True, {"input_options": {"html": {"remove_navigation_elements": True}}}),
    "spreadsheet_extract_sub_tables": (
        False, {"input_options": {"spreadsheet": {"detect_sub_tables_in_sheets": False}}}),
    "spreadsheet_force_formula_computation": (
        True, {"input_options": {"spreadsheet": {"force_formula_computation_in_sheets": True}}}),
    "presentation_out_of_bounds_content": (True, {"input_options": {"presentation": {"out_of_bounds_content": True}}}),
    "presentation_skip_embedded_data": (True, {"input_options": {"presentation": {"skip_embedded_data": True}}}),
    "annotate_links": (True, {"output_options": {"markdown": {"annotate_links": True}}}),
    "annotate_revisions": (True, {"output_options": {"markdown": {"annotate_revisions": True}}}),
    "inline_images_in_markdown": (True, {"output_options": {"markdown": {"inline_images": True}}}),
    "compact_markdown_table": (True, {"output_options": {"markdown": {"tables": {"compact_markdown_tables": True}}}}),
    "markdown_table_multiline_header_separator": (
        "<br>", {"output_options": {"markdown": {"tables": {"markdown_table_multiline_separator": "<br>"}}}}),
    "merge_tables_across_pages_in_markdown": (
        True, {"output_options": {"markdown": {"tables": {"merge_continued_tables": True}}}}),
    "guess_xlsx_sheet_name": (False, {"output_options": {"tables_as_spreadsheet": {"guess_sheet_name": False}}}),
    "guess_xlsx_sheet_names": (True, {"output_options": {"tables_as_spreadsheet": {"guess_sheet_name": True}}}),
    "extract_printed_page_number": (True, {"output_options": {"extract_printed_page_number": True}}),
    "output_pdf_of_document": (True, {"output_options": {"save_output_pdf": True}}),
    "preserve_layout_alignment_across_pages": (
        True, {"output_options": {"spatial_text": {"preserve_layout_alignment_across_pages": True}}}),
    "preserve_very_small_text": (True, {"output_options": {"spatial_text": {"preserve_very_small_text": True}}}),
    "do_not_unroll_columns": (True, {"output_options": {"spatial_text": {"do_not_unroll_columns": True}}}),
    "job_timeout_in_seconds": (600, {"processing_control": {"timeouts": {"base_in_seconds": 600}}}),
    "job_timeout_extra_time_per_page_in_seconds": (
        9, {"processing_control": {"timeouts": {"extra_time_per_page_in_seconds": 9}}}),
    "page_error_tolerance": (
        0.2, {"processing_control": {"job_failure_conditions": {"allowed_page_failure_ratio": 0.2}}}),
    "strict_mode_image_extraction": (
        True, {"processing_control": {"job_failure_conditions": {"fail_on_image_extraction_error": True}}}),
    "strict_mode_image_ocr": (
        True, {"processing_control": {"job_failure_conditions": {"fail_on_image_ocr_error": True}}}),
    "strict_mode_reconstruction": (
        True, {"processing_control": {"job_failure_conditions": {"fail_on_markdown_reconstruction_error": True}}}),
    "strict_mode_buggy_font": (True, {"processing_control": {"job_failure_conditions": {"fail_on_buggy_font": True}}}),
    "fast_mode": (True, {"tier": "fast"}),
    "premium_mode": (True, {"tier": "agentic_plus"}),
    "parse_mode": ("parse_page_with_agent", {"tier": "agentic"}),
    "target_pages": ("0, 2-4,9", {"page_ranges": {"target_pages": "1,3-5,10"}}),
    "max_pages": (7, {"page_ranges": {"max_pages": 7}}),
    "language": ("de, en", {"processing_options": {"ocr_parameters": {"languages": ["de", "en"]}}}),
    "invalidate_cache": (True, {"disable_cache": True}),
    "do_not_cache": (True, {"disable_cache": True}),
    "outlined_table_extraction": (True, {"processing_options": {"disable_heuristics": False}}),
    "adaptive_long_table": (False, {"processing_options": {"disable_heuristics": True}}),
    "output_tables_as_HTML": (
        True, {"output_options": {"markdown": {"tables": {"output_tables_as_markdown": False}}}}),
    "save_images": (False, {"output_options": {"images_to_save": []}}),
    "take_screenshot": (True, {"output_options": {"images_to_save": ["screenshot"]}}),
    **{name: ("Mind it.", {"agentic_options": {"custom_prompt": "Mind it."}}) for name in (
        "parsing_instruction", "system_prompt", "system_prompt_append", "user_prompt", "formatting_instruction",
        "content_guideline_instruction", "complemental_formatting_instruction")},
    "specialized_chart_parsing_efficient": (True, {"processing_options": {"specialized_chart_parsing": "efficient"}}),
    "specialized_chart_parsing_agentic": (True, {"processing_options": {"specialized_chart_parsing": "agentic"}}),
    "specialized_chart_parsing_plus": (True, {"processing_options": {"specialized_chart_parsing": "agentic_plus"}}),
    "high_res_ocr": (True, {}),
    "precise_bounding_box": (True, {}),
    "agentic_options": ({"custom_prompt": "Hm."}, {"agentic_options": {"custom_prompt": "Hm."}}),
    "client_name": ("tests", {"client_name": "tests"}),
    "configuration_id": ("cfg-1", {"configuration_id": "cfg-1", "tier": "configured", "version": "configured"}),
    "crop_box": ({"top": 0.1, "bottom": 0.9}, {"crop_box": {"top": 0.1, "bottom": 0.9}}),
    "disable_cache": (True, {"disable_cache": True}),
    "fast_options": ({}, {"fast_options": {}}),
    "input_options": ({"html": {}}, {"input_options": {"html": {}}}),
    "output_options": ({"granular_bboxes": ["line"]}, {"output_options": {"granular_bboxes": ["line"]}}),
    "page_ranges": ({"max_pages": 3}, {"page_ranges": {"max_pages": 3}}),
    "processing_control": ({"timeouts": {"base_in_seconds": 9}}, {"processing_control": {"timeouts": {
        "base_in_seconds": 9}}}),
    "processing_options": ({"forms": "enrich"}, {"processing_options": {"forms": "enrich"}}),
    "tier": ("agentic", {"tier": "agentic"}),
    "user_metadata": ({"team": "research"}, {"user_metadata": {"team": "research"}}),
    "version": ("2026-06-15", {"version": "2026-06-15"}),
    "webhook_configuration_ids": (["whc-1"], {"webhook_configuration_ids": ["whc-1"]}),
    "webhook_configurations": ([{"webhook_url": "https://a.example/hook"}], {"webhook_configurations": [
        {"webhook_url": "https://a.example/hook"}]}),
}  # fmt: skip


def _beside(name: str) -> dict[str, Any]:
    """Give what a call needs so that an option of v1 means something, over what the example call has."""
    return {"tier": None, "result_type": "text"} if name in TIERS else {}


OTHER_VALUES: dict[str, Any] = {
    "parse.file": base64.b64encode(b"Another text").decode(),
    "parse.tier": "agentic",
    **{
        f"{method}.{name}": value
        for method in ("parse", "submit")
        for name, value in {"target_pages": "2-3", "params": {"language": "de"}}.items()
    },
    "submit.filename": ({"file": FILE}, "week.pdf"),
    **{f"parse.params.{name}": (_beside(name), value) for name, (value, _) in EVERY_OPTION.items()},
    **{
        f"submit.params.{name}": ({"tier": None, "target_pages": None}, value)
        for name, (value, _) in EVERY_OPTION.items()
    },
    "parse.params.result_type": ({"result_type": None}, "markdown"),
    "parse.params.split_by_page": False,
    "parse.params.page_separator": ({"params": {"split_by_page": False}}, "***"),
    "parse.params.check_interval": 0.1,
    "parse.params.max_timeout": 9,
    **{
        f"{method}.params.{name}": value
        for method in ("parse", "submit")
        for name, value in {
            "project_id": "prj-1", "organization_id": "org-1", "num_workers": 2, "verbose": True,
            "show_progress": True, "ignore_errors": True,
        }.items()
    },
}  # fmt: skip
OF_THE_ANSWER = {"result.split_by_page", "parse.params.split_by_page", "parse.params.page_separator"}
OF_THE_WAIT = {
    "parse.params.check_interval": "test_a_job_that_takes_longer_is_gone_on_with_by_its_id",
    "parse.params.max_timeout": "test_nobody_waits_longer_than_asked_for",
}


def test_every_option_is_tried() -> None:
    assert EVERY_OPTION.keys() == MOVED.keys() | READ | V2 | {*ALWAYS}
    assert not EVERY_OPTION.keys() & (GONE.keys() | Handling.model_fields.keys())


def test_every_option_of_v1_is_known(contract_peer: Callable[..., ContractPeer]) -> None:
    """The upload of API v1 is still described, so the table can be held to it."""
    import os

    import yaml

    file = Path(os.environ["CONTRACTS_DIR"]) / "llama_parse/openapi-2026-08.yaml"
    schemas = yaml.load(file.read_text(), yaml.CSafeLoader)["components"]["schemas"]
    of_v1 = set(schemas["Body_upload_file_api_v1_parsing_upload_post"]["properties"]) - {"file"}
    assert of_v1 <= EVERY_OPTION.keys() | GONE.keys() | Handling.model_fields.keys()
    assert set(schemas["ParseRequestConfiguration"]["properties"]) == V2 | {"file_id", "source_url", "http_proxy"}


@pytest.mark.parametrize("where", ["setup", "arguments"])
def test_each_option_reaches_its_place(llama: ContractPeer, where: str) -> None:
    """Beside a URL the configuration is the body, which the contract judges to its last field."""
    llama.route(lambda _: script.json(job()))
    for name, (value, sent) in EVERY_OPTION.items():
        params = {"params": {name: value}}
        reply = call("submit", file=URL, **({"setup": params} if where == "setup" else params))
        assert reply.status == 200, (name, reply.text)
        assert llama.last.json() == {**DEFAULT, "source_url": URL, **sent}, name


def test_the_options_of_the_call_and_its_arguments_go_before_those_of_the_setup(fake: Upstream) -> None:
    fake.replies(script.json(job()))
    of_setup = {"tier": "agentic", "language": "de", "annotate_links": True, "parsing_instruction": "Mind it."}
    of_call = {"language": ["fr", "en"], "output_options": {"markdown": {"inline_images": True}}}
    call("submit", file=URL, setup={"params": of_setup}, params=of_call, tier="agentic_plus", prompt="No, this.")
    assert fake.last.json() == {
        "tier": "agentic_plus",
        "version": "latest",
        "source_url": URL,
        "processing_options": {"ocr_parameters": {"languages": ["fr", "en"]}},
        "output_options": {"markdown": {"inline_images": True, "annotate_links": True}},
        "agentic_options": {"custom_prompt": "No, this."},
    }


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"tier": "agentic", "params": {"fast_mode": True}}, "tier"),
        ({"version": "2026-06-15", "params": {"version": "latest"}}, "version"),
        ({"target_pages": "1", "params": {"target_pages": "0"}}, "target_pages"),
        ({"max_pages": 1, "params": {"page_ranges": {"max_pages": 2}}}, "max_pages"),
        ({"prompt": "This.", "params": {"system_prompt": "That."}}, "prompt"),
        ({"prompt": "This.", "params": {"agentic_options": {"custom_prompt": "That."}}}, "prompt"),
        ({"result_type": "text", "params": {"result_type": "markdown"}}, "result_type"),
    ],
)
def test_what_is_said_twice_is_refused(fake: Upstream, arguments: dict[str, Any], name: str) -> None:
    reply = call("parse", **arguments)
    assert (reply.status, reply.body["detail"]) == (422, f"arguments: {name} is in params too; say it once.")
    assert fake.requests == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"file": URL, "filename": "week.pdf"}, "filename is for a file that is sent; leave it out beside a URL."),
        *(
            ({"params": {name: value}}, f"{name} in params is for parse and result; submit gives no text.")
            for name, value in {"result_type": "text", "split_by_page": False, "page_separator": "*",
                                "check_interval": 1, "max_timeout": 9}.items()
        ),
    ],
)  # fmt: skip
def test_what_submit_could_do_nothing_with_is_refused(fake: Upstream, arguments: dict[str, Any], why: str) -> None:
    reply = call("submit", **arguments)
    assert (reply.status, reply.body["detail"]) == (422, f"arguments: {why}")
    assert fake.requests == []


@pytest.mark.parametrize(
    ("of_setup", "of_call"),
    [({"fast_mode": True}, {"tier": "agentic"}), ({"tier": "fast"}, {"parse_mode": "parse_page_with_agent"})],
)
def test_the_tier_of_the_call_goes_before_that_of_the_setup(
    fake: Upstream, of_setup: dict[str, Any], of_call: dict[str, Any]
) -> None:
    fake.replies(script.json(job()))
    assert call("submit", file=URL, setup={"params": of_setup}, params=of_call).status == 200
    assert fake.last.json()["tier"] == "agentic"


@pytest.mark.parametrize("where", ["setup", "arguments"])
def test_an_option_that_is_gone_is_refused_by_name(fake: Upstream, where: str) -> None:
    for name in GONE:
        params = {"params": {name: "something"}}
        reply = call("parse", **({"setup": params} if where == "setup" else params))
        assert (reply.status, reply.body["code"]) == (422, f"invalid_{where}"), name
        assert f"{name} is gone: " in reply.body["detail"]
        assert "something" not in reply.body["detail"]
    assert fake.requests == []


def test_an_option_that_is_gone_and_asks_for_nothing_is_left_out(fake: Upstream) -> None:
    fake.replies(script.json(job()))
    assert (
        call("submit", file=URL, params=dict.fromkeys(GONE, False) | {"page_prefix": "", "model": None}).status == 200
    )
    assert fake.last.json() == {**DEFAULT, "source_url": URL}


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"tiers": "fast"}, "tiers"),
        ({"result_type": "json"}, "result_type"),
        ({"ignore_errors": True}, "ignore_errors"),
        ({"check_interval": 0}, "check_interval"),
        ({"split_by_page": "no"}, "split_by_page"),
        ({"target_pages": "1;2"}, "target_pages"),
        ({"parse_mode": "parse_page_with_lvm"}, "parse_mode"),
        ({"parse_mode": ["fast"]}, "parse_mode"),
        ({"premium_mode": True, "fast_mode": True}, "fast_mode"),
        ({"premium_mode": True, "tier": "fast"}, "premium_mode"),
        ({"output_options": "markdown"}, "output_options"),
        ({"tier": ["fast"]}, "tier"),
        ({"specialized_chart_parsing_plus": True, "specialized_chart_parsing_agentic": True},
         "specialized_chart_parsing_agentic"),
    ],
)  # fmt: skip
def test_an_option_that_does_not_fit_is_refused(fake: Upstream, params: dict[str, Any], place: str) -> None:
    reply = call("parse", params=params)
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "params", place])
    assert fake.requests == []


def test_options_that_have_no_effect_are_taken(fake: Upstream) -> None:
    fake.replies(script.json(job()), script.json(found()))
    params = {"num_workers": 4, "verbose": True, "show_progress": False, "ignore_errors": False}
    assert call("parse", params=params, base64=False).status == 200
    assert configured(fake.requests[0]) == DEFAULT


def test_options_about_the_result(fake: Upstream) -> None:
    fake.replies(script.json(job()), script.json(found(form="markdown")))
    params = {"result_type": "markdown", "split_by_page": False, "page_separator": " | ", "project_id": "p",
              "organization_id": "o"}  # fmt: skip
    reply = call("parse", params=params)
    assert [document["text"] for document in reply.body["documents"]] == ["Page 1 | Page 2"]
    assert fake.requests[0].target == "/api/v2/parse/upload?project_id=p&organization_id=o"
    assert parse_qs(fake.last.raw_query) == {"expand": ["markdown"], "project_id": ["p"], "organization_id": ["o"]}


@pytest.mark.parametrize("method", ["status", "result"])
def test_whose_job_it_is_may_stand_in_the_setup(llama: ContractPeer, method: str) -> None:
    project = "0f8fad5b-d9cb-469f-a165-70867728950e"
    llama.replies(script.json(found()))
    assert call(method, setup={"params": {"project_id": project}}).status == 200
    assert llama.last.query["project_id"] == [project]


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"tier": "fast", "result_type": "markdown"}, "result_type"),
        ({"tier": "fast", "prompt": "Mind it."}, "prompt"),
        ({"tier": "fast", "params": {"parsing_instruction": "Mind it."}}, "params"),
    ],
)
def test_what_the_tier_fast_has_not_is_refused(fake: Upstream, arguments: dict[str, Any], place: str) -> None:
    reply = call("parse", **arguments)
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", place])
    assert fake.requests == []


# The arguments.


@pytest.mark.parametrize(
    ("method", "arguments", "place"),
    [
        ("parse", {"file": []}, ["file"]),
        ("parse", {"file": [FILE] * 6}, ["file"]),
        ("parse", {"file": "/etc/passwd!"}, ["file", 0]),
        ("submit", {"file": "!"}, ["file"]),
        ("submit", {"filename": "a\nb"}, ["filename"]),
        ("submit", {"tier": "best"}, ["tier"]),
        ("submit", {"target_pages": "1-"}, ["target_pages"]),
        ("submit", {"max_pages": 0}, ["max_pages"]),
        ("status", {"job_id": "../x"}, ["job_id"]),
        ("result", {"result_type": "items"}, ["result_type"]),
    ],
)
def test_what_does_not_fit_is_refused(fake: Upstream, method: str, arguments: dict[str, Any], place: list[Any]) -> None:
    reply = call(method, **arguments)
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", *place])
    assert fake.requests == []


def test_a_path_of_this_machine_is_not_read(fake: Upstream) -> None:
    """What looks like a path and is base64 by chance is the bytes that it decodes to."""
    fake.replies(script.json(job()))
    assert call("submit", file="/etc/passwd0").status == 200
    assert file_of(fake.last).content == base64.b64decode("/etc/passwd0")


def test_the_regions() -> None:
    assert provider.base_urls == ("https://api.cloud.llamaindex.ai/api/v2",)
    assert provider.other_urls == {"eu": "https://api.cloud.eu.llamaindex.ai/api/v2"}


@pytest.mark.parametrize(("region", "host"), [("na", "api.cloud.llamaindex.ai"), ("eu", "api.cloud.eu.llamaindex.ai")])
@pytest.mark.parametrize("method", METHODS)
def test_the_region_chooses_the_host(monkeypatch: pytest.MonkeyPatch, method: str, region: str, host: str) -> None:
    asked = hosts_looked_up(monkeypatch)
    assert call(method, setup={"region": region}, seconds=RESERVE + 0.7).body["code"] != "internal"
    assert {*asked} == {host}


# Faults.


@pytest.mark.parametrize(
    "body",
    [
        script.html(),
        script.half_json(found()),
        script.json([]),
        script.json({"job": job("DONE")}),
        script.json({"job": {**job("COMPLETED"), "id": "../jobs"}}),
        script.json({"job": job("COMPLETED")}),
        script.json({"job": job("COMPLETED"), "text": {"pages": [{"page_number": 1}]}}),
        script.json({"job": job("COMPLETED"), "text": {"pages": [{"text": "x"}]}}),
    ],
)
@pytest.mark.parametrize("method", ["parse", "result"])
def test_malformed_result(fake: Upstream, method: str, body: script.Message) -> None:
    fake.replies(*([script.json(job())] if method == "parse" else []))
    fake.route(lambda _: body)
    reply = call(method)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


@pytest.mark.parametrize("body", [script.html(), script.json({"id": 1}), script.json({**job(), "id": "a b"})])
@pytest.mark.parametrize("method", METHODS)
def test_malformed_body(fake: Upstream, method: str, body: script.Message) -> None:
    fake.route(lambda _: body)
    reply = call(method)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


def test_malformed_cost(fake: Upstream) -> None:
    fake.route(lambda _: script.json({"job": job(usage={"credits": "many"})}))
    assert call("status").body["code"] == "upstream_bad_response"


@pytest.mark.parametrize("method", METHODS)
def test_timeout(fake: Upstream, method: str) -> None:
    fake.route(lambda _: script.hang())
    started = time.monotonic()
    reply = call(method, seconds=RESERVE + 0.8)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert reply.body["retryable"] is (method in ("status", "result"))
    assert time.monotonic() - started < 2


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("LLAMA_PARSE_BASE_URL", url)
        assert call("parse", seconds=RESERVE + 0.8).body["code"] in ("upstream_unreachable", "deadline_exceeded")


def test_the_environment_of_a_laptop(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.replies(script.json({"job": job()}))
    monkeypatch.setenv("LLAMA_PARSE_API_KEY", "llx-of-the-environment")
    assert post(provider, {"arguments": {"job_id": JOB}}, method="status").status == 200
    assert fake.last.headers["authorization"] == "Bearer llx-of-the-environment"


def test_a_url_of_the_callers_is_not_asked_by_us(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
    fake.replies(script.json(job()))
    assert call("submit", file=f"{fake.url}/secret.pdf").status == 200
    assert [request.path for request in fake.requests] == ["/api/v2/parse"]


@pytest.mark.parametrize("method", METHODS)
def test_the_event_of_each_method_works(fake: Upstream, method: str) -> None:
    fake.route(answered)
    event = json.loads(Path(f"events/llama_parse.{method}.json").read_text())
    assert provider.handler(event, None)
