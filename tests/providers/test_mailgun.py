"""Mailgun: requests and answers judged by Mailgun's own API description; faults and files are scripted."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.mailgun.provider import provider
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, post
from tests.support.contract_peer import ContractPeer
from tests.support.forms import Part, parts
from tests.support.upstream import LOOPBACK, Upstream, refused_url

JUDGE = {"kind": "contract", "name": "mailgun/openapi.yaml", "fixture": "contract_peer"}

SETUP = {"api_key": "mailgun-key-0123456789"}
LEAST = {"from": "ann@example.com", "to": "bob@example.org", "subject": "Hello", "text": "Dear Bob"}
ANSWER = {"id": "<20301114.1@example.com>", "message": "Queued. Thank you."}
EXAMPLE = script.json(ANSWER)
_BY_TEMPLATE = {"html": None, "template": "weekly"}
OTHER_VALUES = {
    "send_email.from": "Bea Example <bea@example.com>",
    "send_email.cc": ["carl@example.org"],
    "send_email.bcc": ["carl@example.org"],
    "send_email.reply_to": ["carl@example.org"],
    "send_email.template": (_BY_TEMPLATE, "monthly"),
    "send_email.template_variables": (_BY_TEMPLATE, {"name": "Bob"}),
    "send_email.recipient_variables": {"bob@example.org": {"name": "Bob"}},
    "send_email.attachments": [{"filename": "b.txt", "content": "YQ=="}],
    "send_email.attachments.content": "YQ==",
    "send_email.attachments.content_type": "text/plain",
    "send_email.send_at": "2030-01-31T09:00:00+01:00",
}
NOT_FOUND = script.json({"message": "Domain not found: example.com"}, status=404)


@pytest.fixture
def mailgun(contract_peer: Callable[..., ContractPeer], monkeypatch: pytest.MonkeyPatch) -> ContractPeer:
    peer = contract_peer("mailgun/openapi.yaml")
    monkeypatch.setenv("MAILGUN_BASE_URL", f"{peer.url}/v3")
    return peer


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("MAILGUN_BASE_URL", f"{upstream.url}/v3")
    return upstream


def send(
    seconds: float = 30.0, setup: dict[str, Any] | None = None, sender: str = LEAST["from"], **arguments: Any
) -> Response:
    return call({**LEAST, "from": sender, **arguments}, seconds, setup)


def call(arguments: dict[str, Any], seconds: float = 30.0, setup: dict[str, Any] | None = None) -> Response:
    return post(
        provider, {"setup": SETUP | (setup or {}), "arguments": arguments}, method="send_email", seconds=seconds
    )


def fields(server: Upstream) -> dict[str, list[str]]:
    """Give the fields of the last form."""
    found: dict[str, list[str]] = {}
    for part in parts(server.last):
        if part.filename is None:
            found.setdefault(part.field, []).append(part.text)
    return found


def uploads(server: Upstream) -> list[Part]:
    """Give the files of the last form."""
    return [part for part in parts(server.last) if part.filename is not None]


# What is sent, by the contract.


def test_what_is_sent_by_default(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json(ANSWER))
    assert send().status == 200
    request = mailgun.last
    assert (request.method, request.target) == ("POST", "/v3/example.com/messages")
    credentials = base64.b64encode(b"api:mailgun-key-0123456789").decode()
    assert request.headers["authorization"] == f"Basic {credentials}"
    assert fields(mailgun) == {name: [value] for name, value in LEAST.items()}
    assert uploads(mailgun) == []


def test_what_is_sent_with_every_argument(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json(ANSWER))
    reply = send(
        to=["Bob <bob@example.org>", '"Böb, Jr." <bob2@example.org>', "bob3@bücher.example"],
        cc="cy@example.org, Di <di@example.org>",
        bcc=["ed@example.org"],
        reply_to="Ann <answers@example.com>, ann@example.com",
        html="<p>Dear <b>Bob</b></p>",
        recipient_variables={"bob@example.org": {"id": 1}, "bob2@example.org": {"id": 2}},
        tags=["weekly", "report 7"],
        tracking=False,
        send_at="2030-01-31T09:00:00+01:00",
        test_mode=True,
        sender="Ann Exämple <ann@example.com>",
    )
    assert reply.status == 200
    sent = fields(mailgun)
    assert json.loads(sent.pop("recipient-variables")[0]) == {
        "bob@example.org": {"id": 1},
        "bob2@example.org": {"id": 2},
    }
    assert sent == {
        "from": ['"Ann Exämple" <ann@example.com>'],
        "to": ['"Bob" <bob@example.org>', '"Böb, Jr." <bob2@example.org>', "bob3@xn--bcher-kva.example"],
        "cc": ["cy@example.org", '"Di" <di@example.org>'],
        "bcc": ["ed@example.org"],
        "h:Reply-To": ['"Ann" <answers@example.com>, ann@example.com'],
        "subject": ["Hello"],
        "text": ["Dear Bob"],
        "html": ["<p>Dear <b>Bob</b></p>"],
        "o:tag": ["weekly", "report 7"],
        "o:tracking": ["no"],
        "o:deliverytime": ["Thu, 31 Jan 2030 09:00:00 +0100"],
        "o:testmode": ["yes"],
    }


def test_what_is_sent_of_addresses_in_one_string(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json(ANSWER))
    assert send(to='"Doe, Dan" <dan@example.org>', cc="cy@example.org, ,di@example.org,", bcc=" ").status == 200
    sent = fields(mailgun)
    assert (sent["to"], sent["cc"]) == (['"Doe, Dan" <dan@example.org>'], ["cy@example.org", "di@example.org"])
    assert "bcc" not in sent


def test_what_is_sent_with_a_template(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json(ANSWER))
    arguments = {name: value for name, value in LEAST.items() if name != "text"}
    call({**arguments, "template": "welcome", "template_variables": {"name": "Bob", "lines": [1, 2]}, "tracking": True})
    sent = fields(mailgun)
    assert (sent["template"], sent["o:tracking"]) == (["welcome"], ["yes"])
    assert json.loads(sent["t:variables"][0]) == {"name": "Bob", "lines": [1, 2]}
    assert not sent.keys() & {"text", "html"}


def test_what_is_sent_with_files(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json(ANSWER))
    attachments = [
        {"filename": "report.csv", "content": base64.b64encode(b"a,b\r\n").decode()},
        {"filename": "logo", "content": "data:image/png;base64,iVBORw==", "inline": True},
        {"filename": "größe.tar.gz", "content": "AAEC"},
        {"filename": "page.html", "content": "AAEC", "content_type": "text/plain"},
    ]
    assert send(attachments=attachments).status == 200
    assert uploads(mailgun) == [
        Part("attachment", b"a,b\r\n", "report.csv", "text/csv"),
        Part("inline", b"\x89PNG", "logo", "image/png"),
        Part("attachment", b"\0\x01\x02", "größe.tar.gz", "application/octet-stream"),
        Part("attachment", b"\0\x01\x02", "page.html", "text/plain"),
    ]


def test_what_is_sent_of_a_file_that_is_fetched(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.replies(script.content(b"%PDF", "application/pdf"), script.json(ANSWER))
    url = f"{fake.url}/files/r"
    refused = send(attachments=[{"filename": "r", "content": url}])
    assert (refused.body["code"], refused.body["errors"][0]["loc"]) == (
        "url_denied",
        ["arguments", "attachments", 0, "content"],
    )
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
    assert send(attachments=[{"filename": "r", "content": url}]).status == 200
    assert [request.path for request in fake.requests] == ["/files/r", "/v3/example.com/messages"]
    assert "authorization" not in fake.requests[0].headers
    assert uploads(fake) == [Part("attachment", b"%PDF", "r", "application/pdf")]


@pytest.mark.parametrize(
    ("setup", "sender", "domain"),
    [
        ({}, "ann@example.com", "example.com"),
        ({}, "Ann <ann@mg.bücher.example>", "mg.xn--bcher-kva.example"),
        ({"domain": "mg.example.com"}, "ann@example.com", "mg.example.com"),
    ],
)
def test_the_domain_that_is_sent_by(fake: Upstream, setup: dict[str, str], sender: str, domain: str) -> None:
    fake.replies(script.json(ANSWER))
    reply = send(setup=setup, sender=sender)
    assert (fake.last.path, reply.body["domain"]) == (f"/v3/{domain}/messages", domain)


def test_a_domain_of_the_original_is_found(mailgun: ContractPeer) -> None:
    """The original sent by `email.` and the sender's domain, so that is what its users have set up."""
    mailgun.replies(NOT_FOUND, script.json(ANSWER))
    reply = send()
    assert [request.path for request in mailgun.requests] == [
        "/v3/example.com/messages",
        "/v3/email.example.com/messages",
    ]
    assert (reply.status, reply.body["domain"]) == (200, "email.example.com")


@pytest.mark.parametrize(
    ("setup", "sender", "asked", "place"),
    [
        ({}, "ann@example.com", 2, ["arguments", "from"]),
        ({}, "ann@email.example.com", 1, ["arguments", "from"]),
        ({"domain": "mg.example.com"}, "ann@example.com", 1, ["setup", "domain"]),
    ],
)
def test_a_rejected_domain_is_named(
    mailgun: ContractPeer, setup: dict[str, str], sender: str, asked: int, place: list[str]
) -> None:
    mailgun.replies(*[NOT_FOUND] * asked)
    reply = send(setup=setup, sender=sender)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (422, "upstream_rejected", 404)
    assert reply.body["errors"][0]["loc"] == place
    says = "No sending domain of the account in the region us; set domain or region in the setup."
    assert reply.body["detail"] == f"{'.'.join(place)}: {says}"


def test_the_regions() -> None:
    assert provider.base_urls == ("https://api.mailgun.net/v3",)
    assert provider.other_urls == {"eu": "https://api.eu.mailgun.net/v3"}


@pytest.mark.parametrize(("region", "host"), [("us", "api.mailgun.net"), ("eu", "api.eu.mailgun.net")])
def test_the_region_chooses_the_host(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    asked: list[str] = []

    def look_up(name: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(name)
        return []

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    assert send(seconds=RESERVE + 0.6, setup={"region": region}).body["code"] == "upstream_unreachable"
    assert set(asked) == {host}


# What comes back.


def test_what_comes_back(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json(ANSWER))
    reply = send()
    assert (reply.status, reply.headers["x-attempts"]) == (200, "1")
    assert reply.body == {
        "success": True,
        "error": None,
        "message_id": "<20301114.1@example.com>",
        "message": "Queued. Thank you.",
        "domain": "example.com",
    }


# What is refused before anything is sent.


@pytest.mark.parametrize(
    ("arguments", "place", "says"),
    [
        ({"to": "bob"}, ["to", 0], "Not one address"),
        ({"to": []}, ["to"], "at least 1"),
        ({"to": ""}, ["to"], "at least 1"),
        ({"to": ["bob@example.org\r\nBcc: eve@example.org"]}, ["to", 0], "Not one address"),
        ({"to": ["Bo\nb <bob@example.org>"]}, ["to", 0], "Not one address"),
        ({"sender": "ann@example.com, eve@example.org"}, ["from"], "Not one address"),
        ({"to": " , "}, ["to"], "at least 1"),
        ({"cc": "cy@example.org,dan"}, ["cc", 1], "Not one address"),
        ({"cc": ["cy@example.org", ""]}, ["cc", 1], "Not one address"),
        ({"cc": '"Doe, Dan <dan@example.org>'}, ["cc", 0], "Not one address"),
        ({"subject": "Hello\nBcc: eve@example.org"}, ["subject"], "Not one line"),
        ({"text": None}, [], "text, html or template is needed"),
        ({"html": "<p>", "template": "welcome"}, [], "template is instead of html"),
        ({"template_variables": {"a": 1}}, [], "template_variables are for a template"),
        ({"recipient_variables": {"eve@example.org": {}}}, [], "an address that is not in to"),
        ({"to": ["a@example.org"] * 600, "bcc": ["b@example.org"] * 401}, [], "At most 1,000 recipients"),
        ({"tags": ["t"] * 11}, ["tags"], "at most 10"),
        ({"tags": ["täg"]}, ["tags", 0], "match pattern"),
        ({"send_at": "2030-01-31T09:00:00"}, ["send_at"], "timezone"),
        ({"attachments": [{"filename": "../a", "content": "AAEC"}]}, ["attachments", 0, "filename"], "plain file name"),
        ({"attachments": [{"filename": "a", "content": "%"}]}, ["attachments", 0, "content"], "base64"),
        (
            {"attachments": [{"filename": "a", "content": "AAEC", "content_type": "multipart/mixed"}]},
            ["attachments", 0, "content_type"],
            "match pattern",
        ),
        ({"test_mode": "yes"}, ["test_mode"], "boolean"),
        ({"headers": {}}, ["headers"], "not permitted"),
    ],
)
def test_what_is_refused_is_named_and_not_sent(
    fake: Upstream, arguments: dict[str, Any], place: list[str | int], says: str
) -> None:
    reply = send(**arguments)
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"] == ["arguments", *place]
    assert says in reply.body["errors"][0]["message"]
    assert fake.requests == []


@pytest.mark.parametrize("domain", ["", "example", "mg.example.com/v3", "mg..example.com", "a@b.example", "bü.example"])
def test_a_domain_is_nothing_but_one(fake: Upstream, domain: str) -> None:
    reply = send(setup={"domain": domain})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["setup", "domain"])
    assert fake.requests == []


def test_files_have_a_limit_together(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call holds cannot reach it, so it is fetched."""
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
    fake.replies(*[script.content(bytes(9_000_001), "application/x-zeros")] * 2)
    attachments = [{"filename": str(number), "content": f"{fake.url}/{number}"} for number in (1, 2)]
    reply = send(attachments=attachments)
    assert reply.status >= 400
    assert reply.body["detail"].startswith("arguments.attachments.1.content: ")
    assert len(fake.requests) == 2


# What goes wrong.


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key(mailgun: ContractPeer, status: int) -> None:
    mailgun.replies(script.json("Forbidden", status=status))
    reply = send()
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "Forbidden" not in reply.text


def test_a_rejected_message(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json({"message": "to parameter is not a valid address. please check"}, status=400))
    reply = send()
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "please check" not in reply.text
    assert len(mailgun.requests) == 1


def test_rate_limit(mailgun: ContractPeer) -> None:
    limited = {"message": "Domain example.com is not allowed to send: limit exceeded, try again after 120 seconds"}
    mailgun.replies(script.json(limited, status=429, headers={"retry-after": "120"}))
    reply = send()
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (503, "upstream_rate_limited", True)
    assert (reply.headers["retry-after"], reply.headers["x-attempts"]) == ("120", "1")
    assert "not allowed" not in reply.text


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_is_not_sent_again(mailgun: ContractPeer, status: int) -> None:
    mailgun.replies(script.json({"message": "Internal Server Error"}, status=status))
    reply = send()
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_error", False)
    assert len(mailgun.requests) == 1


def test_a_failure_in_the_answer_is_not_sent_again(fake: Upstream) -> None:
    fake.replies(script.reset_mid_body(script.json(ANSWER)))
    reply = send()
    assert (reply.body["code"], reply.body["retryable"]) == ("upstream_unreachable", False)
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        script.html(),
        script.half_json(ANSWER),
        script.json({}),
        script.json("Mailgun Magnificent API"),
        script.json({"id": 7, "message": "Queued. Thank you."}),
        script.json({"message": "Queued. Thank you."}),
    ],
)
def test_malformed_body(fake: Upstream, body: script.Message) -> None:
    fake.replies(body)
    reply = send()
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_bad_response", False)


def test_timeout(fake: Upstream) -> None:
    fake.replies(script.hang())
    started = time.monotonic()
    reply = send(seconds=RESERVE + 0.6)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (504, "upstream_timeout", False)
    assert time.monotonic() - started < 1.5
    assert len(fake.requests) == 1


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("MAILGUN_BASE_URL", url)
        reply = send(seconds=RESERVE + 0.6)
        assert (reply.body["code"], reply.body["retryable"]) == ("upstream_unreachable", True)


def test_the_environment_of_a_laptop(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.replies(script.json(ANSWER))
    monkeypatch.setenv("MAILGUN_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("MAILGUN_DOMAIN", "mg.example.com")
    assert post(provider, {"arguments": LEAST}).status == 200
    assert fake.last.path == "/v3/mg.example.com/messages"


def test_the_event_of_this_method_works(mailgun: ContractPeer) -> None:
    mailgun.replies(script.json(ANSWER))
    event = json.loads(Path("events/mailgun.send_email.json").read_text())
    assert provider.handler(event, None)["success"] is True
    assert [part.filename for part in uploads(mailgun)] == ["report.csv"]
