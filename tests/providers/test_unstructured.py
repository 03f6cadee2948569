"""Unstructured: requests and answers judged by Unstructured's own API description; faults are scripted."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.unstructured.provider import provider
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, post
from tests.support.contract_peer import ContractPeer
from tests.support.forms import Part, parts
from tests.support.upstream import LOOPBACK, Reply, Request, Upstream, hosts_looked_up, refused_url

JUDGE = {"kind": "contract", "name": "unstructured/openapi-1.0.48.json", "fixture": "unstructured"}

SETUP = {"api_key": "unstructured-key-0123456789"}
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nbinary \x00 bytes"
ELEMENT = {
    "type": "Title",
    "element_id": "6aa0ff22f91bbe7e26e8e25ca8052acd",
    "text": "Layout Parser",
    "metadata": {"filename": "paper.pdf", "filetype": "application/pdf", "page_number": 1, "languages": ["eng"]},
}
ANSWER = [ELEMENT, {**ELEMENT, "type": "NarrativeText", "text": "Es geht um «Layout»."}]
TABLE = "type,element_id,text\nTitle,6aa0,Layout Parser\n"


def answered(request: Request) -> Reply:
    """Answer well, in the form that is asked for."""
    as_csv = request.headers["accept"] == "text/csv"
    return script.content(TABLE.encode(), "text/csv") if as_csv else script.json(ANSWER)


EXAMPLE = answered
OTHER_VALUES = {"parse.file": base64.b64encode(b"Another text").decode()}


@pytest.fixture
def unstructured(contract_peer: Callable[..., ContractPeer], monkeypatch: pytest.MonkeyPatch) -> ContractPeer:
    peer = contract_peer("unstructured/openapi-1.0.48.json")
    monkeypatch.setenv("UNSTRUCTURED_BASE_URL", peer.url)
    return peer


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("UNSTRUCTURED_BASE_URL", upstream.url)
    return upstream


def parse(
    content: bytes | str = PDF, *, seconds: float = 30.0, setup: dict[str, Any] | None = None, **arguments: Any
) -> Response:
    file = content if isinstance(content, str) else base64.b64encode(content).decode()
    body = {"setup": {**SETUP, **(setup or {})}, "arguments": {"file": file, **arguments}}
    return post(provider, body, method="parse", seconds=seconds)


# By the contract.

EVERY_PARAM: dict[str, Any] = {
    "strategy": "hi_res",
    "languages": ["eng", "deu"],
    "ocr_languages": ["fra"],
    "output_format": "application/json",
    "coordinates": True,
    "content_type": "text/markdown",
    "encoding": "utf-16",
    "extract_image_block_types": ["Image", "Table"],
    "gz_uncompressed_content_type": "application/pdf",
    "hi_res_model_name": "yolox",
    "include_page_breaks": False,
    "include_slide_notes": False,
    "pdf_infer_table_structure": False,
    "skip_infer_table_types": ["pdf", "jpg"],
    "starting_page_number": 7,
    "unique_element_ids": True,
    "xml_keep_tags": True,
    "chunking_strategy": "by_similarity",
    "max_characters": 1500,
    "new_after_n_chars": 1000,
    "combine_under_n_chars": 200,
    "overlap": 20,
    "overlap_all": True,
    "include_orig_elements": False,
    "multipage_sections": False,
    "similarity_threshold": 0.5,
}
OF_THE_LIBRARY: dict[str, Any] = {
    "vlm_model": "gpt-4o",
    "vlm_model_provider": "openai",
    "do_not_break_similarity_on_footer_header": True,
    "pdfminer_char_margin": 2.5,
    "pdfminer_line_margin": 0.5,
    "pdfminer_line_overlap": 0.25,
    "pdfminer_word_margin": 0.1,
    "table_ocr_agent": "tesseract",
    "split_pdf_page": True,
    "split_pdf_concurrency_level": 15,
    "split_pdf_allow_failed": False,
}
"""What the vendor's library sends and the API description leaves out."""

OF_A_DISK = {"split_pdf_cache_tmp_data": True, "split_pdf_cache_tmp_data_dir": "pages"}
"""What the vendor's library takes and sends nobody."""


def fields_of(request: Request) -> dict[str, list[str]]:
    """Give the values of each field that is no file."""
    fields: dict[str, list[str]] = {}
    for part in parts(request):
        if part.filename is None:
            fields.setdefault(part.field, []).append(part.text)
    return fields


def file_of(request: Request) -> Part:
    """Give the one file."""
    [file] = [part for part in parts(request) if part.filename is not None]
    return file


def on_the_wire(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def test_what_is_sent_with_every_argument(unstructured: ContractPeer) -> None:
    unstructured.replies(script.json(ANSWER))
    assert parse(filename="paper.pdf", partition_params={**EVERY_PARAM, "starting_page_number": "7"}).status == 200
    [request] = unstructured.requests
    assert (request.method, request.target) == ("POST", "/general/v0/general")
    assert request.headers["unstructured-api-key"] == SETUP["api_key"]
    assert request.headers["accept"] == "application/json"
    assert fields_of(request) == {name: on_the_wire(value) for name, value in EVERY_PARAM.items()}
    assert file_of(request) == ("files", PDF, "paper.pdf", "application/pdf")


def test_what_is_sent_beyond_the_api_description(fake: Upstream) -> None:
    fake.replies(script.json(ANSWER))
    assert parse(partition_params={"strategy": " VLM ", **OF_THE_LIBRARY, **OF_A_DISK}).status == 200
    assert fields_of(fake.last) == {name: on_the_wire(value) for name, value in OF_THE_LIBRARY.items()} | {
        "strategy": ["vlm"]
    }


def test_every_param_is_tried() -> None:
    [params] = [
        schema
        for name, schema in provider.methods["parse"].arguments.model_json_schema()["$defs"].items()
        if name == "PartitionParams"
    ]
    assert set(params["properties"]) == EVERY_PARAM.keys() | OF_THE_LIBRARY.keys() | OF_A_DISK.keys()


def test_what_is_sent_by_default(unstructured: ContractPeer) -> None:
    unstructured.replies(script.json(ANSWER))
    assert parse(partition_params=None).status == 200
    assert fields_of(unstructured.last) == {}
    assert file_of(unstructured.last) == ("files", PDF, "document.pdf", "application/pdf")


def test_what_comes_back(unstructured: ContractPeer) -> None:
    unstructured.replies(script.json(ANSWER))
    reply = parse(filename="paper.pdf")
    assert reply.body == {
        "content_type": "application/json",
        "status_code": 200,
        "csv_elements": None,
        "content": ANSWER,
        "filename": "paper.pdf",
        "media_type": "application/pdf",
    }


def test_an_empty_document(unstructured: ContractPeer) -> None:
    unstructured.replies(script.json([]))
    assert parse("data:text/plain,").body["content"] == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key(unstructured: ContractPeer, status: int) -> None:
    unstructured.replies(script.json({"detail": "API key is malformed, please type the API key"}, status))
    reply = parse()
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "malformed" not in reply.text


def test_a_rejected_document(unstructured: ContractPeer) -> None:
    detail = [{"type": "int_parsing", "loc": ["body", "files"], "msg": "File type not supported"}]
    unstructured.replies(script.json({"detail": detail}, 422))
    reply = parse()
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "not supported" not in reply.text


def test_rate_limit(unstructured: ContractPeer) -> None:
    unstructured.replies(script.json({"detail": "slow down"}, 429, headers={"retry-after": "7"}))
    reply = parse()
    assert (reply.status, reply.body["code"], reply.headers["retry-after"]) == (503, "upstream_rate_limited", "7")
    assert len(unstructured.requests) == 1, "every page is billed"


def test_upstream_failure_is_not_repeated_because_pages_are_billed(unstructured: ContractPeer) -> None:
    unstructured.replies(script.json({"detail": "An error occurred"}, 500))
    reply = parse()
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_error", False)


# The strategy.


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("HI-RES", "hi_res"), ("hires", "hi_res"), ("hires_ocr", "hi_res"), ("HighRes", "hi_res"),
        ("high res", "hi_res"), ("ocr", "ocr_only"), ("OCR Only", "ocr_only"), ("ocronly", "ocr_only"),
        ("od", "od_only"), ("odonly", "od_only"), ("object-detection-only", "od_only"),
        ("Fast", "fast"), ("auto", "auto"),
    ],
)  # fmt: skip
def test_spellings_of_a_strategy(fake: Upstream, given: str, sent: str) -> None:
    fake.replies(script.json(ANSWER))
    assert parse(partition_params={"strategy": given}).status == 200
    assert fields_of(fake.last) == {"strategy": [sent]}


@pytest.mark.parametrize(
    "params",
    [{"strategy": "slow"}, {"strategy": 1}, {"strategy": True}, {"chunking_strategy": "by_word"}, {"pages": 1},
     {"coordinates": "yes"}, {"max_characters": -1}, {"similarity_threshold": 2}, {"languages": "eng"},
     {"output_format": "text/html"}, {"split_pdf_page_range": [1, 2]}],
)  # fmt: skip
def test_a_param_that_is_none_is_refused_by_name(fake: Upstream, params: dict[str, Any]) -> None:
    reply = parse(partition_params=params)
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"] == ["arguments", "partition_params", next(iter(params))]
    assert fake.requests == []


# The file.


@pytest.mark.parametrize(
    ("content", "filename", "sent"),
    [
        (PDF, "paper.docx", ("paper.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
        (PDF, "paper", ("paper.pdf", "application/pdf")),
        (b"\x89PNG\r\n\x1a\n....", None, ("document.png", "image/png")),
        (b"Just words.", None, ("document.txt", "text/plain")),
        (PDF, "", ("document.pdf", "application/pdf")),
        ("data:text/markdown;base64,IyBIaQ==", None, ("document.md", "text/markdown")),
        (b"\xff\xfe\x00\x01", "unknown.bin", ("unknown.bin", "application/octet-stream")),
        (b"words", 'a"b ü.txt', ('a"b ü.txt', "text/plain")),
    ],
)
def test_the_type_is_from_the_name_or_the_bytes(
    fake: Upstream, content: bytes | str, filename: str | None, sent: tuple[str, str]
) -> None:
    fake.replies(script.json(ANSWER))
    reply = parse(content, filename=filename)
    assert (reply.body["filename"], reply.body["media_type"]) == sent
    name = sent[0].replace('"', "%22").encode().decode("latin-1")
    assert f'filename="{name}"'.encode("latin-1") in fake.last.body
    assert f"Content-Type: {sent[1]}".encode() in fake.last.body


def test_a_file_is_fetched_from_a_url(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
    fake.replies(script.content(PDF, "application/octet-stream"), script.json(ANSWER))
    assert parse(f"{fake.url}/files/The%20Paper?version=2").status == 200
    assert file_of(fake.last) == ("files", PDF, "The Paper.pdf", "application/pdf")
    assert "unstructured-api-key" not in fake.requests[0].headers


@pytest.mark.parametrize(("file", "code"), [("!", "invalid_arguments"), ("https://127.0.0.1/a.pdf", "url_denied")])
def test_what_is_no_file_is_refused(fake: Upstream, file: str, code: str) -> None:
    reply = parse(file)
    assert (reply.status, reply.body["code"]) == (422, code)
    assert reply.body["errors"][0]["loc"] == ["arguments", "file"]
    assert fake.requests == []


@pytest.mark.parametrize("filename", ["a\r\nb.pdf", "a\x7fb", "x" * 256])
def test_what_is_no_name_is_refused(fake: Upstream, filename: str) -> None:
    assert parse(filename=filename).body["errors"][0]["loc"] == ["arguments", "filename"]
    assert fake.requests == []


# CSV.


def test_a_table_comes_back_as_text(fake: Upstream) -> None:
    fake.replies(script.content(TABLE.encode(), "text/csv; charset=utf-8"))
    reply = parse(partition_params={"output_format": "text/csv"})
    assert fake.last.headers["accept"] == "text/csv"
    assert reply.body["csv_elements"] == TABLE
    assert (reply.body["content"], reply.body["content_type"]) == (None, "text/csv; charset=utf-8")


@pytest.mark.parametrize("body", [b"<html>oops</html>", b'[{"type": "Title"}]', b'{"detail": "no"}', b"type\n\xff\xfe"])
def test_malformed_table(fake: Upstream, body: bytes) -> None:
    fake.replies(script.content(body, "text/csv"))
    reply = parse(partition_params={"output_format": "text/csv"})
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


# The server.


def test_the_declared_servers_are_unstructureds() -> None:
    assert provider.base_urls == ("https://api.unstructuredapp.io",)
    assert provider.other_urls == {"free-api": "https://api.unstructured.io"}


@pytest.mark.parametrize(
    ("server_url", "url_params"),
    [
        ("{url}/account", None),
        ("{url}/account/", None),
        ("{url}/account/general/v0/general", None),
        ("{url}/account/general/v0/general/", None),
        ("{url}/{{name}}", {"name": "account"}),
        ("{url}/account", {"name": "other"}),
    ],
)
def test_a_server_of_ones_own_comes_first(
    fake: Upstream, monkeypatch: pytest.MonkeyPatch, server_url: str, url_params: dict[str, str] | None
) -> None:
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
    monkeypatch.setenv("UNSTRUCTURED_BASE_URL", "http://elsewhere.invalid")
    fake.replies(script.json(ANSWER))
    setup = {"server_url": server_url.format(url=fake.url), "url_params": url_params, "server": "free-api"}
    assert parse(setup=setup).status == 200
    assert fake.last.target == "/account/general/v0/general"
    assert fake.last.headers["unstructured-api-key"] == SETUP["api_key"]


@pytest.mark.parametrize(
    "server_url",
    [
        "https://127.0.0.1",
        "127.0.0.1",
        "https://{name}.example",
        "https://u@a.example",
        "http://a.example",
        "http://api.unstructuredapp.io.example",
        "http://127.0.0.1/api.unstructuredapp.io",
        "ftp://a.example",
    ],
)
def test_a_server_where_callers_may_not_send_us_is_refused(fake: Upstream, server_url: str) -> None:
    reply = parse(setup={"server_url": server_url})
    assert (reply.status, reply.body["code"]) == (422, "url_denied")
    assert reply.body["errors"][0]["loc"] == ["setup", "server_url"]
    assert fake.requests == []


@pytest.mark.parametrize(
    ("server", "host"),
    [
        (None, "api.unstructuredapp.io"), ("saas-api", "api.unstructuredapp.io"),
        ("platform-api", "api.unstructuredapp.io"), ("free-api", "api.unstructured.io"),
    ],
)  # fmt: skip
def test_a_server_by_name(monkeypatch: pytest.MonkeyPatch, server: str | None, host: str) -> None:
    asked = hosts_looked_up(monkeypatch)
    setup = {"server": server, "url_params": {"name": "a"}}
    assert parse(setup=setup, seconds=RESERVE + 0.7).body["code"] != "internal"
    assert {*asked} == {host}


@pytest.mark.parametrize(
    ("server_url", "host"),
    [
        ("api.unstructuredapp.io", "api.unstructuredapp.io"),
        ("ann.api.unstructuredapp.io/general/v0/general", "ann.api.unstructuredapp.io"),
        ("http://api.unstructuredapp.io/", "api.unstructuredapp.io"),
        ("http://ann.api.unstructuredapp.io", "ann.api.unstructuredapp.io"),
    ],
)
def test_a_server_as_the_vendors_library_mends_it(monkeypatch: pytest.MonkeyPatch, server_url: str, host: str) -> None:
    asked = hosts_looked_up(monkeypatch)
    reply = parse(setup={"server_url": server_url}, seconds=RESERVE + 0.7)
    assert reply.body["code"] in ("upstream_unreachable", "deadline_exceeded")
    assert {*asked} == {host}


@pytest.mark.parametrize(
    "setup",
    [
        {"server": "development"},
        {"timeout_ms": 10},
        {"retries": 3},
    ],
)
def test_a_setup_that_says_nothing_clear_is_refused(fake: Upstream, setup: dict[str, Any]) -> None:
    assert parse(setup=setup).body["code"] == "invalid_setup"
    assert fake.requests == []


# Faults.


@pytest.mark.parametrize(
    "body",
    [
        script.html(),
        script.half_json(ANSWER),
        script.json({"content": ANSWER}),
        script.json(["text"]),
        script.json([[ELEMENT]]),
        script.json(None),
    ],
)
def test_malformed_body(fake: Upstream, body: script.Message) -> None:
    fake.replies(body)
    reply = parse()
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


def test_timeout(fake: Upstream) -> None:
    fake.replies(script.hang())
    started = time.monotonic()
    reply = parse(seconds=RESERVE + 0.8)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (504, "upstream_timeout", False)
    assert time.monotonic() - started < 2


def test_timeout_that_the_setup_asks_for(fake: Upstream) -> None:
    fake.replies(script.hang())
    started = time.monotonic()
    assert parse(setup={"timeout_ms": "1000"}).body["code"] == "upstream_timeout"
    assert 0.9 < time.monotonic() - started < 3


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("UNSTRUCTURED_BASE_URL", url)
        assert parse(seconds=RESERVE + 0.8).body["code"] in ("upstream_unreachable", "deadline_exceeded")


def test_the_environment_of_a_laptop(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.replies(script.json(ANSWER))
    monkeypatch.setenv("UNSTRUCTURED_API_KEY", "key-of-the-environment")
    assert post(provider, {"arguments": {"file": "eA=="}}).status == 200
    assert fake.last.headers["unstructured-api-key"] == "key-of-the-environment"


def test_the_event_of_this_method_works(fake: Upstream) -> None:
    fake.replies(script.json(ANSWER))
    event = json.loads(Path("events/unstructured.parse.json").read_text())
    assert provider.handler(event, None)["content"] == ANSWER
