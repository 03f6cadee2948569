"""arXiv: requests judged by its API description, answers as its manual prints them; faults are scripted."""

import base64
import copy
import json
import os
import re
import textwrap
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import pytest
import yaml
from jsonschema import Draft4Validator

from functions.arxiv import provider as arxiv_provider
from functions.arxiv.provider import provider
from integrations import Provider
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, post
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.upstream import Message, Reply, Request, Upstream, refused_url

JUDGE = {"kind": "contract", "name": "arxiv/search-xml.yaml", "fixture": "arxiv"}

# Most tests are about something else than the pace, and would wait for it.
unpaced = copy.copy(provider)
unpaced.min_interval = 0.0
# And some about answers that are as bad the second time.
once = copy.copy(unpaced)
once.methods = {"search": provider.methods["search"]._replace(repeatable=False)}

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("ARXIV_BASE_URL", upstream.url)
    return upstream


def search(seconds: float = 30.0, by: Provider = unpaced, **arguments: Any) -> Response:
    return post(by, {"arguments": arguments}, method="search", seconds=seconds)


def atom(body: str | bytes, status: int = 200) -> Message:
    return script.content(body if isinstance(body, bytes) else body.encode(), "application/atom+xml", status)


def feed(*entries: str, total: int | None = None, start: int = 0) -> Message:
    """Give a feed as arXiv writes it."""
    return atom(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" '
        'xmlns:arxiv="http://arxiv.org/schemas/atom"><title>ArXiv Query</title>'
        f"<opensearch:totalResults>{len(entries) if total is None else total}</opensearch:totalResults>"
        f"<opensearch:startIndex>{start}</opensearch:startIndex>{''.join(entries)}</feed>"
    )


def entry(identifier: str = "2101.00001v1", title: str = "A Title", more: str = "") -> str:
    link = f'<link href="http://arxiv.org/pdf/{identifier}" rel="related" type="application/pdf" title="pdf"/>'
    return f"<entry><id>http://arxiv.org/abs/{identifier}</id><title>{escape(title)}</title>{link}{more}</entry>"


def pdf(body: bytes = PDF, status: int = 200) -> Message:
    return script.content(body, "application/pdf", status)


def answered(request: Request) -> Reply:
    """Answer well: a feed, or the PDF of a paper."""
    return pdf() if request.path.startswith("/pdf/") else feed(entry())


EXAMPLE = answered
OTHER_VALUES = {"search.id_list": ["2101.00001"]}

# By arXiv's own description and manual.


class Contract(NamedTuple):
    """What arXiv has published about its API."""

    parameters: dict[str, Any]
    """The JSON Schema of each parameter."""
    example: Message
    """The answer that the manual prints."""
    error: Message
    """The error that the manual prints."""


@pytest.fixture(scope="session")
def contract() -> Contract:
    folder = os.environ.get("CONTRACTS_DIR")
    if not folder:
        peer_is_missing("CONTRACTS_DIR does not name the folder with arXiv's manual")
    operation = yaml.safe_load((Path(folder) / "arxiv/search-xml.yaml").read_text())["paths"]["/"]["get"]
    manual = (Path(folder) / "arxiv/user-manual.md").read_text()
    feeds = re.findall(r"^ {4}<\?xml [^\n]*\n {4}<feed.*?^ {4}</feed>$", manual, re.MULTILINE | re.DOTALL)
    error, example = (atom(textwrap.dedent(text)) for text in feeds)
    assert b"<title" in example.body
    assert b"api/errors#" in error.body
    return Contract({each["name"]: each["schema"] for each in operation["parameters"]}, example, error)


@pytest.fixture
def arxiv(contract: Contract, fake: Upstream) -> Iterator[Upstream]:
    """An upstream that answers as the manual does, to queries that the description allows."""
    fake.route(lambda _: contract.example)
    yield fake
    assert fake.requests
    for request in fake.requests:
        assert (request.method, request.path) == ("GET", "/api/query")
        for name, values in request.query.items():
            [value] = values
            schema = contract.parameters[name]
            Draft4Validator(schema).validate(int(value) if schema["type"] == "integer" else value)


def test_what_is_sent_with_every_argument(arxiv: Upstream) -> None:
    search(
        query='au:"del maestro" AND (ti:checkerboard OR submittedDate:[202301010600 TO 202401010600])',
        id_list=["hep-ex/0307015", "2101.00001v2"],
        max_results="7",
        start=14,
        sort_by="lastUpdatedDate",
        sort_order="ascending",
    )
    assert arxiv.last.query == {
        "search_query": ['au:"del maestro" AND (ti:checkerboard OR submittedDate:[202301010600 TO 202401010600])'],
        "id_list": ["hep-ex/0307015,2101.00001v2"],
        "max_results": ["7"],
        "start": ["14"],
        "sortBy": ["lastUpdatedDate"],
        "sortOrder": ["ascending"],
    }
    assert arxiv.last.headers["accept"] == "application/atom+xml"


def test_what_is_sent_by_default(arxiv: Upstream) -> None:
    search(query="electron")
    assert arxiv.last.query == {
        "search_query": ["electron"],
        "id_list": [""],  # the manual: blank is the same as not given
        "max_results": ["5"],
        "start": ["0"],
        "sortBy": ["relevance"],
        "sortOrder": ["descending"],
    }


@pytest.mark.parametrize("sort_by", ["relevance", "lastUpdatedDate", "submittedDate"])
def test_each_sort_key_is_one_of_arxivs(arxiv: Upstream, sort_by: str) -> None:
    search(query="electron", sort_by=sort_by)
    assert arxiv.last.query["sortBy"] == [sort_by]


def test_what_comes_back(arxiv: Upstream) -> None:
    reply = search(query="all:electron", max_results=1)
    assert reply.status == 200
    [paper] = reply.body.pop("result")
    summary = paper.pop("summary")
    assert reply.body == {"total_results": 1000, "next_start": 1}
    assert paper == {
        "entry_id": "http://arxiv.org/abs/hep-ex/0307015",
        "title": "Multi-Electron Production at High Transverse Momenta in ep Collisions at HERA",
        "updated": "2003-07-07 17:46:39",
        "published": "2003-07-07 17:46:39",
        "authors": ["H1 Collaboration"],
        "comment": "23 pages, 8 figures and 4 tables",
        "journal_ref": "Eur.Phys.J. C31 (2003) 17-29",
        "doi": None,
        "primary_category": "hep-ex",
        "categories": ["hep-ex"],
        "links": ["http://arxiv.org/abs/hep-ex/0307015v1", "http://arxiv.org/pdf/hep-ex/0307015v1"],
        "pdf_url": "https://arxiv.org/pdf/hep-ex/0307015v1",
        "pdf_downloaded": None,
    }
    assert summary.startswith(
        "Multi-electron production is studied at high electron transverse momentum in positron- and"
    )
    assert summary.endswith(r"0.30 \pm 0.04 and 0.23 \pm 0.04, respectively.")
    assert "\n" not in summary
    assert "  " not in summary


@pytest.mark.parametrize("status", [200, 400])
def test_a_rejected_request(contract: Contract, fake: Upstream, status: int) -> None:
    fake.replies(replace(contract.error, status=status))
    reply = search(id_list=["1234.12345"])
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "incorrect" not in reply.text
    assert "1234.12345" not in reply.text


def test_the_sentence_of_a_rejected_request_names_what_to_check(contract: Contract, fake: Upstream) -> None:
    fake.replies(contract.error)
    assert search(query="ti:(", id_list=["1234.12345"]).body["detail"] == (
        "arXiv refused the request; check the syntax of query, and id_list."
    )


def test_the_declared_host_is_the_one_for_programs() -> None:
    assert provider.base_urls == ("https://export.arxiv.org/api",)
    assert provider.min_interval == 3.0


# What may be asked for.


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("0704.0001", "0704.0001"),
        ("2101.00001v12", "2101.00001v12"),
        ("hep-ex/0307015v1", "hep-ex/0307015v1"),
        ("math.GT/0309136", "math.GT/0309136"),
        ("arXiv:2101.00001", "2101.00001"),
        ("arxiv:hep-ex/0307015", "hep-ex/0307015"),
        ("http://arxiv.org/abs/hep-ex/0307015v1", "hep-ex/0307015v1"),
        ("https://www.arxiv.org/abs/2101.00001", "2101.00001"),
        ("https://export.arxiv.org/pdf/2101.00001v2.pdf", "2101.00001v2"),
    ],
)
def test_the_forms_of_an_identifier(fake: Upstream, given: str, sent: str) -> None:
    fake.replies(feed(entry()))
    assert search(id_list=[given]).status == 200
    assert fake.last.query["id_list"] == [sent]
    assert fake.last.query["search_query"] == [""]


@pytest.mark.parametrize(
    "given",
    [
        *("", "all", "1234.123", "210.00001", "2101.000011", "2101.00001v0", "2101.00001,2101.00002"),
        *("hep-ex/030701", "x/../0307015", "2101.00001\n", "2101.00001 ", "https://evil.example/abs/2101.00001"),
    ],
)
def test_what_is_no_identifier_is_named(given: str) -> None:
    reply = search(id_list=["2101.00001", given])
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"] == ["arguments", "id_list", 1]


@pytest.mark.parametrize(("arguments", "asked"), [({}, "12"), ({"max_results": None}, "12"), ({"max_results": 3}, "3")])
def test_all_papers_that_are_named_are_asked_for(fake: Upstream, arguments: dict[str, Any], asked: str) -> None:
    fake.replies(feed(entry()))
    assert search(id_list=[f"2101.{number:05}" for number in range(12)], **arguments).status == 200
    assert fake.last.query["max_results"] == [asked]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "arguments: query or id_list is needed."),
        ({"query": " ", "id_list": []}, "arguments: query or id_list is needed."),
        (
            {"query": "q", "max_results": 2001},
            "arguments.max_results: Input should be less than or equal to 2000.",
        ),
        (
            {"query": "q", "max_results": 7, "download_pdf": True},
            "arguments: With download_pdf at most 6; set max_results, use start.",
        ),
        (
            {"id_list": [f"2101.{number:05}" for number in range(7)], "download_pdf": True},
            "arguments: With download_pdf at most 6; set max_results, use start.",
        ),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_asked(arguments: dict[str, Any], sentence: str) -> None:
    reply = search(**arguments)
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["detail"] == sentence


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_results", 0),
        ("start", -1),
        ("start", 30_001),
        ("sort_by", "date"),
        ("sort_order", "up"),
        ("query", "q" * 2001),
    ],
)
def test_a_value_out_of_bounds_is_named(field: str, value: Any) -> None:
    reply = search(**{"query": "q", field: value})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", field])


# What comes back.


def test_nothing_found(fake: Upstream) -> None:
    fake.replies(feed())
    assert search(query="all:nosuchword").body == {"result": [], "total_results": 0, "next_start": None}


@pytest.mark.parametrize(
    ("start", "total", "given", "next_start"),
    [(0, 3, 2, 2), (4, 6, 2, None), (0, 2, 2, None), (10, 9, 0, None), (29_998, 900_000, 2, None)],
)
def test_where_to_read_on(fake: Upstream, start: int, total: int, given: int, next_start: int | None) -> None:
    fake.replies(feed(*[entry()] * given, total=total, start=start))
    reply = search(query="tea", start=start, max_results=2)
    assert reply.body["next_start"] == next_start
    assert reply.body["total_results"] == total


def test_an_empty_page_in_the_midst_of_pages_is_asked_for_again(fake: Upstream) -> None:
    """arXiv gives one now and then; taken for the end it would cut the results short."""
    fake.replies(feed(total=300, start=100), feed(entry(), total=300, start=100))
    reply = search(query="tea", start=100)
    assert (reply.headers["x-attempts"], len(reply.body["result"])) == ("2", 1)


def test_an_empty_page_that_stays_empty_is_a_failure(fake: Upstream) -> None:
    fake.replies(*[feed(total=300, start=100)] * 3)
    reply = search(query="tea", start=100)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_error", True)


def test_an_entry_may_lack_everything(fake: Upstream) -> None:
    fake.replies(feed("<entry/>", "<entry><title> </title><author/><link/><category/><updated/></entry>"))
    for paper in search(query="tea", download_pdf=True).body["result"]:
        assert [value for value in paper.values() if value is not None] == [[], [], []]


def test_words_are_neither_glued_nor_apart(fake: Upstream) -> None:
    more = "<summary>\n  We show\nthat &lt;x&gt;\t&amp;\r\n   y\n</summary><author><name>Ann\n  Lee</name></author>"
    fake.replies(feed(entry(title="Tea\n  and\tLeaves", more=more)))
    [paper] = search(query="tea").body["result"]
    assert paper["title"] == "Tea and Leaves"
    assert paper["summary"] == "We show that <x> & y"
    assert paper["authors"] == ["Ann Lee"]


def test_times_are_in_utc(fake: Upstream) -> None:
    more = "<published>2007-02-27T23:02:02-05:00</published><updated>2007-06-25T17:09:59Z</updated>"
    fake.replies(feed(entry(more=more)))
    [paper] = search(query="tea").body["result"]
    assert (paper["published"], paper["updated"]) == ("2007-02-28 04:02:02", "2007-06-25 17:09:59")


def test_a_paper_of_a_large_collaboration(fake: Upstream) -> None:
    authors = "".join(f"<author><name>Author {number}</name></author>" for number in range(3000))
    fake.replies(feed(*[entry(more=authors)] * 20))
    result = search(query="co:ATLAS", max_results=20).body["result"]
    assert [len(paper["authors"]) for paper in result] == [3000] * 20


def test_the_largest_page(fake: Upstream) -> None:
    summary = f"<summary>{'eleven char ' * 130}</summary>"
    fake.replies(feed(*[entry(more=summary)] * 2000, total=5000))
    reply = search(query="tea", max_results=2000)
    assert (reply.status, len(reply.body["result"]), reply.body["next_start"]) == (200, 2000, 2000)


# PDFs.


def download(papers: int = 1, **arguments: Any) -> Response:
    return search(query="tea", max_results=papers, download_pdf=True, **arguments)


def test_a_pdf_comes_back_whatever_its_title_is(fake: Upstream) -> None:
    fake.replies(feed(entry("2101.00001v2", title="TCP/IP: ../../etc/passwd")), pdf())
    [paper] = download().body["result"]
    assert paper["pdf_downloaded"] == {
        "base64": base64.b64encode(PDF).decode(),
        "mime_type": "application/pdf",
        "title": "TCP/IP: ../../etc/passwd",
    }
    assert (fake.last.path, fake.last.raw_query) == ("/pdf/2101.00001v2", "")
    assert fake.last.headers["accept"] == "application/pdf"


def test_the_slash_of_an_old_identifier_is_sent_as_one(fake: Upstream) -> None:
    fake.replies(feed(entry("hep-ex/0307015v1")), pdf())
    download()
    assert fake.last.path == "/pdf/hep-ex/0307015v1"


def test_a_link_of_the_feed_is_not_followed(fake: Upstream) -> None:
    with Upstream() as elsewhere:
        link = f'<link title="pdf" href="{elsewhere.url}/pdf/2101.00001v1"/>'
        fake.replies(feed(f"<entry><id>http://arxiv.org/abs/2101.00001v1</id>{link}</entry>"), pdf())
        assert download().status == 200
        assert elsewhere.requests == []
    assert fake.last.path == "/pdf/2101.00001v1"


@pytest.mark.parametrize("identifier", ["../../admin", "2101.00001v1/../x", "2101.00001v1?x=1", "a/0307015#x", "x"])
def test_what_is_no_identifier_is_not_asked_for(fake: Upstream, identifier: str) -> None:
    fake.replies(feed(f"<entry><id>http://arxiv.org/abs/{identifier}</id></entry>"))
    [paper] = download().body["result"]
    assert paper["pdf_downloaded"] is None


def test_a_withdrawn_paper_has_no_pdf(fake: Upstream) -> None:
    fake.replies(feed(entry("2101.00001v2"), entry("2101.00002v1")), script.html(status=404), pdf())
    first, second = download(2).body["result"]
    assert first["pdf_downloaded"] is None
    assert second["pdf_downloaded"]["mime_type"] == "application/pdf"


def test_a_page_in_place_of_a_pdf_is_malformed(fake: Upstream) -> None:
    fake.replies(feed(entry()), script.html())
    reply = download(by=once)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert reply.body["detail"].startswith("arXiv answered something else than a PDF.")


@pytest.mark.parametrize("sizes", [[4_500_001], [2_000_000, 2_000_000, 500_001]])
def test_pdfs_that_do_not_fit_into_the_reply(fake: Upstream, sizes: list[int]) -> None:
    papers = [entry(f"2101.0000{number}v1") for number in range(len(sizes))]
    fake.replies(feed(*papers), *[pdf(b"%PDF-1.4" + bytes(size - 8)) for size in sizes])
    reply = download(len(sizes))
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "response_too_large", False)
    assert reply.body["detail"].endswith(
        "bytes; ask for less. Download fewer PDFs in one call, by max_results, or take them from pdf_url."
    )


def test_pdfs_that_just_fit_are_given(fake: Upstream) -> None:
    content = b"%PDF-1.4" + bytes(arxiv_provider.PDF_BYTES // 2 - 8)
    fake.replies(feed(entry("2101.00001v1"), entry("2101.00002v1")), pdf(content), pdf(content))
    reply = download(2)
    assert reply.status == 200
    given = [base64.b64decode(paper["pdf_downloaded"]["base64"]) for paper in reply.body["result"]]
    assert given == [content, content]


def test_a_timeout_of_a_download_says_to_ask_for_fewer(fake: Upstream) -> None:
    fake.replies(feed(entry()), script.hang_body(pdf()))
    reply = download(seconds=RESERVE + 1)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert "Download fewer PDFs" in reply.body["detail"]


# The pace.


def test_a_request_goes_out_three_seconds_after_the_one_before(fake: Upstream) -> None:
    """Also within one call, and whatever the request is for."""
    fake.replies(feed(entry()), pdf())
    assert post(provider, {"arguments": {"query": "tea", "download_pdf": True}}).status == 200
    first, second = (request.at for request in fake.requests)
    assert 3.0 <= second - first < 4.5


def test_a_rate_limit_of_ours_that_does_not_fit(fake: Upstream) -> None:
    fake.replies(feed(entry()))
    for _ in range(2):
        reply = post(provider, {"arguments": {"query": "tea"}}, seconds=RESERVE + 2)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (429, "rate_limited", True)
    assert reply.headers["retry-after"] in ("3", "4")
    assert reply.body["detail"] == (
        "arXiv is asked once in 3 seconds, and the next time comes too late for this call; "
        "call again later, or ask for less in one call."
    )


def test_a_download_whose_turn_comes_too_late_says_to_ask_for_fewer(fake: Upstream) -> None:
    fake.replies(feed(entry()))
    reply = download(by=provider, seconds=RESERVE + 2)
    assert (reply.status, reply.body["code"]) == (429, "rate_limited")
    assert reply.body["detail"].endswith("Download fewer PDFs in one call, by max_results, or take them from pdf_url.")


# Faults.


def test_rate_limit_that_fits(fake: Upstream) -> None:
    fake.replies(script.text("Rate exceeded.", 429, {"retry-after": "1"}), feed(entry()))
    started = time.monotonic()
    reply = search(query="tea")
    assert (reply.status, reply.headers["x-attempts"]) == (200, "2")
    assert time.monotonic() - started >= 1


def test_rate_limit_that_does_not_fit(fake: Upstream) -> None:
    fake.replies(script.text("Rate exceeded.", 429, {"retry-after": "600"}))
    reply = search(query="tea")
    assert (reply.status, reply.body["code"], reply.headers["retry-after"]) == (503, "upstream_rate_limited", "600")
    assert "exceeded" not in reply.text


def test_upstream_failure(fake: Upstream) -> None:
    fake.replies(*[script.text("Backend fetch failed", 503)] * 3)
    reply = search(query="tea")
    assert (reply.status, reply.body["code"], reply.headers["x-attempts"]) == (502, "upstream_error", "3")
    assert "Backend" not in reply.text


def test_timeout(fake: Upstream) -> None:
    fake.route(lambda _: script.hang())
    started = time.monotonic()
    reply = search(query="tea", seconds=RESERVE + 1)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1.5


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("ARXIV_BASE_URL", url)
        assert search(query="tea", seconds=RESERVE + 1).body["code"] == "upstream_unreachable"


GOOD = feed(entry()).body
ATOM = b'<feed xmlns="http://www.w3.org/2005/Atom">'
BAD = {
    "nothing": b"",
    "half of it": GOOD[: len(GOOD) // 2],
    "two documents": GOOD + b"<feed/>",
    "JSON": b'{"feed": []}',
    "HTML": b"<html><body><p>Sorry<br></body></html>",
    "XHTML": b'<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
    "another feed": b"<feed><entry/></feed>",
    "no UTF-8": ATOM + b"<title>\xff</title></feed>",
    "NUL": ATOM + b"<title>\0</title></feed>",
    "half a surrogate pair": ATOM + b"<title>&#xD800;</title></feed>",
    "an encoding nobody knows": b'<?xml version="1.0" encoding="x-none"?>' + ATOM + b"</feed>",
    "an encoding of bytes": b'<?xml version="1.0" encoding="base64"?>' + ATOM + b"</feed>",
    "a prefix nobody declared": ATOM + b"<x:y/></feed>",
}


@pytest.mark.parametrize("body", BAD)
def test_malformed_body(fake: Upstream, body: str) -> None:
    fake.replies(atom(BAD[body]))
    reply = search(query="tea", by=once)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert reply.body["detail"] == "arXiv answered something else than an Atom feed."


@pytest.mark.parametrize(
    "more",
    ["<updated>soon</updated>", "<updated>0001-01-01T00:00:00+14:00</updated>", "<published>9999-12-31</published>"],
)
def test_malformed_time(fake: Upstream, more: str) -> None:
    fake.replies(feed(entry(more=more)))
    reply = search(query="tea", by=once)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert reply.body["detail"] == "arXiv answered something else than it documents."


def laughs(levels: int) -> bytes:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, levels))
    return (f'<!DOCTYPE feed [<!ENTITY a0 "ha">{entities}]>').encode()


def hostile(canary: str) -> dict[str, bytes]:
    title = ATOM + b"<entry><title>%s</title></entry></feed>"
    return {
        "an empty DTD": b"<!DOCTYPE feed>" + title % b"x",
        "an external DTD": f'<!DOCTYPE feed SYSTEM "{canary}/dtd">'.encode() + title % b"x",
        "an entity": b'<!DOCTYPE feed [<!ENTITY a "x">]>' + title % b"&a;",
        "a file": b'<!DOCTYPE feed [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + title % b"&a;",
        "a URL": f'<!DOCTYPE feed [<!ENTITY a SYSTEM "{canary}/entity">]>'.encode() + title % b"&a;",
        "a parameter entity": f'<!DOCTYPE feed [<!ENTITY % a SYSTEM "{canary}/pe"> %a;]>'.encode() + title % b"x",
        "a billion laughs": laughs(10) + title % b"&a9;",
        "a quadratic blow-up": b'<!DOCTYPE feed [<!ENTITY a "%s">]>' % (b"x" * 50_000) + title % (b"&a;" * 50_000),
        "a million elements": ATOM + b"<a/>" * 1_000_000 + b"</feed>",
        "a million levels": ATOM + b"<a>" * 1_000_000,
        "a million entries": ATOM + b"<entry/>" * 900_000 + b"</feed>",
        "a million entries in each other": ATOM + b"<entry>" * 900_000,
    }


@pytest.mark.parametrize("name", hostile(""))
def test_hostile_xml_is_malformed_and_costs_little(fake: Upstream, name: str) -> None:
    with Upstream() as canary:
        fake.replies(atom(hostile(canary.url)[name]))
        tracemalloc.start()
        started = time.process_time()
        reply = search(query="tea", by=once)
        spent, (_, most) = time.process_time() - started, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert canary.connections == 0
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert "root:" not in reply.text
    assert spent < 5
    assert most < 64 * script.MEGABYTE


def test_the_event_of_this_method_works(fake: Upstream) -> None:
    fake.replies(feed(entry()))
    event = json.loads(Path("events/arxiv.search.json").read_text())
    assert provider.handler(event, None)["result"][0]["title"] == "A Title"
