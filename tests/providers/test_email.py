"""Email: judged by aiosmtpd, a real mail server; faults and lies come from a script."""

import base64
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from functions.email.provider import EmailSetup, provider
from integrations.handler import MAX_BODY_WITH_FILES
from integrations.tcp import IN_DOUBT
from tests.support import mail
from tests.support import upstream as script
from tests.support.aws import Secrets
from tests.support.calls import RESERVE, Response, post
from tests.support.mail import CSV, FIELDS, PAYLOADS, TAKEN, MailServer, ScriptedServer, check_intact, lines, poisoned
from tests.support.processes import free_port
from tests.support.upstream import LOOPBACK, Upstream, server_context, unanswered_url

JUDGE = {"kind": "server", "name": "aiosmtpd", "fixture": "mail_server"}
OTHER_VALUES = {
    "send.from": "carl@example.com",
    "send.to": ["carl@example.org"],
    "send.cc": ["carl@example.org"],
    "send.bcc": ["carl@example.org"],
    "send.reply_to": ["carl@example.org"],
    "send.attachments": [{"filename": "other.csv", "content": "YQ=="}],
    "send.attachments.content": "YQ==",
    "send.attachments.content_type": "application/pdf",
}

PASSWORD = "correct-horse-battery"
USERS = {"ann": PASSWORD}
ARGUMENTS = {"from": "ann@example.com", "to": ["bob@example.org"], "subject": "Tea", "text": "At five.\n"}
START = Callable[..., MailServer]


def send(port: int, *, setup: dict[str, Any] | None = None, seconds: float = 30.0, **arguments: Any) -> Response:
    setup = {"host": LOOPBACK, "port": port, **({"security": "none"} if setup is None else setup)}
    if "from_" in arguments:
        arguments["from"] = arguments.pop("from_")
    return post(provider, {"setup": setup, "arguments": ARGUMENTS | arguments}, seconds=seconds)


@pytest.fixture(autouse=True)
def let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def start(**script: mail.Answer) -> ScriptedServer:
        servers.append(ScriptedServer(None, **script))
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


# What is sent, and what comes back.


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_what_is_sent_over_tls_with_a_password(mail_server: START, security: str) -> None:
    server = mail_server(security, USERS)
    reply = send(server.port, setup={"security": security, "user": "ann", "password": PASSWORD})
    assert reply.status == 200, reply.body
    [received] = server.received
    assert received.encrypted is (security == "starttls")  # aiosmtpd notes STARTTLS alone
    assert (received.login, server.logins) == ("ann", [("PLAIN", "ann")])
    assert (received.sender, received.recipients) == ("ann@example.com", ["bob@example.org"])


def test_what_is_sent_with_every_argument(mail_server: START) -> None:
    server = mail_server()
    send(
        server.port,
        from_="Änn Example <ann@example.com>",
        to=["bob@example.org", 'Bob "B" <b@example.org>'.replace('"', ""), '"Last, First" <c@example.org>'],
        cc=["Dörte <d@bücher.example>"],
        bcc=["secret@example.net", "bob@example.org"],
        reply_to=["answers@example.com"],
        subject="Grüße, 👨‍👩‍👧 und " + "viel mehr " * 12,
        text="Hallo\n.\n..zwei Punkte\r\nund ein Komma: ü\n" + "lang" * 400 + "\n",
        html="<p>Grüße",
        attachments=[
            {"filename": "Bericht für März.csv", "content": CSV},
            {"filename": "x.bin", "content": "AAEC", "content_type": "application/pdf"},
        ],
    )
    [received] = server.received
    assert received.sender == "ann@example.com"
    assert received.recipients == [
        "bob@example.org", "b@example.org", "c@example.org", "d@xn--bcher-kva.example", "secret@example.net",
    ]  # fmt: skip
    message = received.message
    assert message["from"] == "Änn Example <ann@example.com>"
    assert message["to"] == 'bob@example.org, Bob B <b@example.org>, "Last, First" <c@example.org>'
    assert message["cc"] == "Dörte <d@xn--bcher-kva.example>"
    assert message["reply-to"] == "answers@example.com"
    assert message["subject"] == "Grüße, 👨‍👩‍👧 und " + "viel mehr " * 12
    assert abs(parsedate_to_datetime(message["date"]).timestamp() - time.time()) < 60
    assert b"secret@" not in received.data
    texts = {
        part.get_content_type(): part.get_content() for part in message.walk() if part.get_content_maintype() == "text"
    }
    assert lines(texts["text/plain"]) == "Hallo\n.\n..zwei Punkte\nund ein Komma: ü\n" + "lang" * 400 + "\n"
    assert texts["text/html"].strip() == "<p>Grüße"
    files = [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in message.iter_attachments()
    ]
    assert files == [
        ("Bericht für März.csv", "text/csv", b"week,orders\n47,12\n"),
        ("x.bin", "application/pdf", b"\0\1\2"),
    ]


def test_what_is_sent_fits_a_server_of_seven_bits_and_short_lines(mail_server: START) -> None:
    server = mail_server()
    many = [(f"{'Ü' * 60} {number}", f"someone-{number}@example.org") for number in range(20)]
    send(
        server.port,
        to=[f"{name} <{address}>" for name, address in many],
        subject="ü" * 998,
        text="ü" * 5000,
        html="x" * 5000,
    )
    received = server.received[0]
    send(server.port, text="Grüße\n")
    assert all(each.data.isascii() for each in server.received)
    assert max(map(len, received.data.split(b"\r\n"))) <= 150
    assert received.message["subject"] == "ü" * 998
    assert received.mailboxes("to") == many


def test_what_comes_back(mail_server: START) -> None:
    server = mail_server()
    reply = send(server.port, to=["bob@example.org"], bcc=["carol@example.net"])
    [received] = server.received
    assert reply.body == {
        "success": True,
        "message_id": received.message["message-id"],
        "accepted": ["bob@example.org", "carol@example.net"],
        "refused": [],
    }
    assert reply.headers["x-attempts"] == "1"
    assert "upstream;dur=0.0" not in reply.headers["server-timing"]


def test_who_is_refused_comes_back_and_the_others_get_it(mail_server: START) -> None:
    server = mail_server()
    server.refuse = {"gone@example.org": "550 5.1.1 no such user here", "full@example.org": "452 4.2.2 full"}
    reply = send(server.port, to=["gone@example.org", "bob@example.org"], cc=["full@example.org"])
    assert reply.status == 200
    assert reply.body["accepted"] == server.received[0].recipients == ["bob@example.org"]
    assert reply.body["refused"] == [
        {"address": "gone@example.org", "code": 550, "status": "5.1.1"},
        {"address": "full@example.org", "code": 452, "status": "4.2.2"},
    ]
    assert "no such user" not in reply.text


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("starttls", 587), ("starttls", 25), ("starttls", 2525)])
def test_the_port_says_how_the_connection_is_secured(security: str, port: int) -> None:
    assert EmailSetup(host="mail.example.com", port=port).protection == security


def test_a_call_of_the_original_service(mail_server: START) -> None:
    server = mail_server("starttls", USERS)
    setup = {"user": "ann", "password": PASSWORD}
    for body in ("Plain & <simple>", "Hello,<BR>there"):
        reply = post(
            provider,
            {
                "setup": {"host": LOOPBACK, "port": server.port, **setup},
                "arguments": {"to": "bob@example.org", "from": "ann@example.com", "subject": "s", "body": body},
            },
        )
        assert (reply.status, reply.body["success"]) == (200, True)
    plain, html = server.received
    assert plain.message.get_content_type() == "text/plain"
    assert html.message.get_content_type() == "text/html"
    assert lines(html.message.get_content()) == "Hello,<BR>there\n"


def test_one_string_may_name_several(mail_server: START) -> None:
    server = mail_server()
    send(server.port, to='bob@example.org, Carol <carol@example.org>, "Doe, Dan" <dan@example.org>,', cc=None)
    assert server.received[0].recipients == ["bob@example.org", "carol@example.org", "dan@example.org"]
    assert server.received[0].mailboxes("to")[2] == ("Doe, Dan", "dan@example.org")


def test_the_event_of_this_method_works(mail_server: START) -> None:
    server = mail_server("starttls", {"ann@example.com": "example-password"})
    event = json.loads(Path("events/email.send.json").read_text())
    event["setup"] |= {"host": LOOPBACK, "port": server.port}
    assert provider.handler(event, None)["accepted"] == ["bob@example.org"]
    assert [part.get_filename() for part in server.received[0].message.iter_attachments()] == ["report.csv"]


def test_the_environment_of_a_laptop(mail_server: START, monkeypatch: pytest.MonkeyPatch) -> None:
    server = mail_server("starttls", USERS)
    for name, value in {"HOST": LOOPBACK, "PORT": str(server.port), "USER": "ann", "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"EMAIL_{name}", value)
    assert post(provider, {"arguments": ARGUMENTS}).status == 200


def test_a_sender_may_be_pinned(mail_server: START, secrets: Secrets) -> None:
    server = mail_server()
    setup = {"host": LOOPBACK, "port": server.port, "security": "none"}
    secrets.put(
        "email/default", {"setup": setup, "arguments": {"from": "noreply@example.com", "bcc": "log@example.com"}}
    )
    assert post(provider, {"arguments": ARGUMENTS}).status == 200
    assert server.received[0].sender == server.received[0].message["from"] == "noreply@example.com"
    assert server.received[0].recipients == ["bob@example.org", "log@example.com"]


# Credentials.


def test_a_rejected_password_is_tried_once(mail_server: START) -> None:
    server = mail_server("starttls", USERS)
    reply = send(server.port, setup={"user": "ann", "password": "wrong-password-1"})
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", 535)
    assert server.logins == [("PLAIN", "ann")]
    assert server.received == []
    assert "wrong-password" not in reply.text


def test_a_rotated_password_is_read_again(mail_server: START, secrets: Secrets) -> None:
    server = mail_server("starttls", USERS)
    setup = {"host": LOOPBACK, "port": server.port, "user": "ann"}
    secrets.put("email/default", {"setup": setup | {"password": PASSWORD}})
    assert post(provider, {"arguments": ARGUMENTS}).status == 200
    server.users["ann"] = "the-next-password"
    secrets.put("email/default", {"setup": setup | {"password": "the-next-password"}})
    assert post(provider, {"arguments": ARGUMENTS}).status == 200
    assert (len(server.logins), len(server.received)) == (3, 2)


def test_a_server_that_wants_a_password_and_gets_none(mail_server: START) -> None:
    server = mail_server("starttls", USERS)
    reply = send(server.port, setup={})
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", 530)


def test_login_where_plain_is_not_offered(mail_server: START) -> None:
    server = mail_server("starttls", USERS, auth_exclude_mechanism=["PLAIN"])
    assert send(server.port, setup={"user": "ann", "password": PASSWORD}).status == 200
    assert server.logins == [("LOGIN", "ann")]
    assert send(server.port, setup={"user": "ann", "password": "wrong"}).body["code"] == "upstream_denied"
    assert len(server.logins) == 2


def test_no_known_way_to_sign_in(mail_server: START) -> None:
    server = mail_server("starttls", USERS, auth_exclude_mechanism=["PLAIN", "LOGIN"])
    reply = send(server.port, setup={"user": "ann", "password": PASSWORD})
    assert (reply.status, reply.body["code"]) == (422, "invalid_setup")
    assert reply.body["detail"] == "setup.user: The server offers no way to sign in that is known here, PLAIN or LOGIN."


@pytest.mark.parametrize(
    ("setup", "told"),
    [
        ({"user": "ann"}, "setup: user and password go together: give both or neither."),
        ({"password": PASSWORD}, "setup: user and password go together: give both or neither."),
        (
            {"user": "ann", "password": PASSWORD, "security": "none"},
            "setup: user and password are sent over tls or starttls only.",
        ),
        ({"port": 70000}, "setup.port: Input should be less than or equal to 65535."),
        ({"security": "ssl"}, "setup.security: Input should be 'tls', 'starttls' or 'none'."),
    ],
)
def test_a_setup_that_cannot_be(setup: dict[str, Any], told: str) -> None:
    reply = send(587, setup=setup)
    assert (reply.status, reply.body["code"], reply.body["detail"]) == (422, "invalid_setup", told)


def test_a_password_never_goes_out_in_the_clear(scripted: Callable[..., ScriptedServer]) -> None:
    server = scripted(EHLO=b"250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n")
    reply = send(server.port, setup={"user": "ann", "password": PASSWORD})
    assert (reply.status, reply.body["code"]) == (422, "invalid_setup")
    assert reply.body["detail"] == "setup.security: The server does not offer STARTTLS; try tls with port 465."
    assert server.verbs == ["EHLO"]


# TLS.


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority(
    mail_server: START, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    server = mail_server(security, USERS)
    monkeypatch.delenv("INTEGRATIONS_CA_FILE")
    reply = send(server.port, setup={"security": security, "user": "ann", "password": PASSWORD})
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert "INTEGRATIONS_CA_FILE" in reply.body["detail"]
    assert server.logins == []


def test_a_certificate_for_another_host(
    mail_server: START, certificate_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail.running(certificate_authority, "starttls", USERS) as other:
        mail_server()  # for what it lets pass and trust
        monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", "localhost")
        setup = {"host": "localhost", "user": "ann", "password": PASSWORD}
        assert send(other.port, setup=setup).body["code"] == "misconfigured"
        assert other.logins == []


def test_words_in_the_clear_are_not_taken_for_words_in_tls(
    scripted: Callable[..., ScriptedServer], certificate_authority: trustme.CA, mail_server: START
) -> None:
    mail_server()
    server = scripted(
        EHLO=b"250-mail.test\r\n250 STARTTLS\r\n",
        STARTTLS=b"220 go on\r\n250-injected\r\n250 AUTH PLAIN\r\n",
    )
    reply = send(server.port, setup={})
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert server.verbs == ["EHLO", "STARTTLS"]


def test_tls_with_a_server_that_speaks_first(scripted: Callable[..., ScriptedServer]) -> None:
    server = scripted()
    assert send(server.port, setup={"security": "tls"}).body["code"] == "upstream_unreachable"


# Faults. What comes before the message was handed over may be repeated by the caller, what comes after may not.

STAGES = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "answer", [b"421 4.7.0 too many connections\r\n", b"450 4.7.1 greylisted\r\n", b"451 4.7.1 wait\r\n"]
)
def test_rate_limit(scripted: Callable[..., ScriptedServer], stage: str, answer: bytes) -> None:
    server = scripted(**{stage: answer})
    reply = send(server.port)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (503, "upstream_rate_limited", True)
    assert reply.body["upstream_status"] == int(answer[:3])
    assert server.connections == 1
    assert "greylisted" not in reply.text


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("answer", [b"451 4.3.0 local error\r\n", b"452 4.3.1 disk full\r\n"])
def test_upstream_failure(scripted: Callable[..., ScriptedServer], stage: str, answer: bytes) -> None:
    server = scripted(**{stage: answer})
    reply = send(server.port)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_error", True)
    assert (server.connections, reply.headers["x-attempts"]) == (1, "1")
    assert "disk" not in reply.text


@pytest.mark.parametrize("stage", ["CONNECT", "EHLO"])
def test_upstream_failure_of_a_server_that_takes_no_mail(scripted: Callable[..., ScriptedServer], stage: str) -> None:
    server = scripted(**{stage: b"554 no SMTP service here\r\n"})
    assert send(server.port).body["code"] == "upstream_error"


@pytest.mark.parametrize(
    ("stage", "place"),
    [("MAIL", ["from"]), ("RCPT", ["to", 0]), ("DATA", []), ("END", [])],
)
def test_a_refused_message_names_the_argument(
    scripted: Callable[..., ScriptedServer], stage: str, place: list[str | int]
) -> None:
    server = scripted(**{stage: b"550-5.7.1 we do not like\r\n550 5.7.1 <bob@example.org>\r\n"})
    reply = send(server.port)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (422, "upstream_rejected", 550)
    assert reply.body["errors"] == [
        {"loc": ["arguments", *place], "type": "refused", "message": "Refused by the server"}
    ]
    assert "like" not in reply.text
    assert "bob" not in reply.text


def test_everyone_refused_and_one_only_for_now(mail_server: START) -> None:
    server = mail_server()
    server.refuse = {"away@example.org": "550 5.1.1 gone", "full@example.org": "452 4.2.2 full"}
    reply = send(server.port, to=["away@example.org", "full@example.org"])
    assert (reply.body["code"], reply.body["upstream_status"]) == ("upstream_error", 452)
    assert server.received == []


def test_who_is_named_twice_gets_it_once_and_is_blamed_at_the_first_place(mail_server: START) -> None:
    server = mail_server()
    assert send(server.port, bcc=["bob@example.org"]).body["accepted"] == ["bob@example.org"]
    assert server.received[0].recipients == ["bob@example.org"]
    server.refuse = {"bob@example.org": "550 5.1.1 gone"}
    reply = send(server.port, bcc=["bob@example.org"])
    assert reply.body["errors"][0]["loc"] == ["arguments", "to", 0]


def test_the_size_is_announced(mail_server: START) -> None:
    server = mail_server(data_size_limit=10_000)
    assert send(server.port).status == 200
    [option] = [option for option in server.received[0].options if option.upper().startswith("SIZE=")]
    assert int(option.partition("=")[2]) == len(server.received[0].data)
    reply = send(server.port, text="x" * 10_000)
    assert (reply.body["code"], reply.body["upstream_status"]) == ("upstream_rejected", 552)
    assert len(server.received) == 1


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\r\n",
        b"25\r\n",
        b"2500 no\r\n",
        b"250-first\r\n251 second\r\n",
        b"\xff\xfe\r\n",
        b"2" * 100_000 + b"\r\n",
        b"150 later\r\n",
        mail.flood,
    ],
    ids=["http", "empty", "short", "long", "two", "binary", "endless", "early", "flood"],
)
def test_malformed_reply(scripted: Callable[..., ScriptedServer], stage: str, answer: mail.Answer) -> None:
    server = scripted(**{stage: answer})
    reply = send(server.port)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert reply.body["retryable"] is (stage != "END")
    assert (IN_DOUBT in reply.body["detail"]) is (stage == "END")
    assert server.connections == 1


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", [mail.hang, mail.drip])
def test_timeout(scripted: Callable[..., ScriptedServer], stage: str, fault: mail.Answer) -> None:
    server = scripted(**{stage: fault})
    started = time.monotonic()
    reply = send(server.port, seconds=RESERVE + 0.7)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert 0.6 < time.monotonic() - started < 1.3
    assert reply.body["retryable"] is (stage != "END")
    assert (IN_DOUBT in reply.body["detail"]) is (stage == "END")
    assert server.connections == 1


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_timeout_of_the_tls_handshake(scripted: Callable[..., ScriptedServer], security: str) -> None:
    def promise(sock: socket.socket) -> None:
        sock.sendall(b"220 go on\r\n")
        mail.hang(sock)

    silent = (
        {"CONNECT": mail.hang} if security == "tls" else {"EHLO": b"250-m\r\n250 STARTTLS\r\n", "STARTTLS": promise}
    )
    server = scripted(**silent)
    started = time.monotonic()
    reply = send(server.port, setup={"security": security}, seconds=RESERVE + 0.7)
    assert (reply.body["code"], reply.body["retryable"]) == ("upstream_timeout", True)
    assert time.monotonic() - started < 1.3


def test_timeout_while_a_large_message_is_not_read(scripted: Callable[..., ScriptedServer]) -> None:
    def stall(sock: socket.socket) -> None:
        sock.sendall(b"354 go on\r\n")
        time.sleep(3)

    server = scripted(DATA=stall)
    files = [{"filename": "large.bin", "content": base64.b64encode(bytes(3_900_000)).decode()}]
    started = time.monotonic()
    reply = send(server.port, attachments=files, seconds=RESERVE + 2.0)
    assert (reply.body["code"], reply.body["retryable"]) == ("upstream_timeout", True)
    assert time.monotonic() - started < 3  # which is when the server would go on


def test_no_time_left(scripted: Callable[..., ScriptedServer]) -> None:
    server = scripted()
    assert send(server.port, seconds=RESERVE + 0.3).body["code"] == "deadline_exceeded"
    assert server.connections == 0


@pytest.mark.parametrize("stage", STAGES)
def test_a_connection_that_breaks(scripted: Callable[..., ScriptedServer], stage: str) -> None:
    server = scripted(**{stage: mail.leave})
    reply = send(server.port)
    assert (reply.status, reply.body["code"]) == (502, "upstream_unreachable")
    assert reply.body["retryable"] is (stage != "END")
    assert server.connections == 1, "nothing that was begun is begun again"
    assert server.verbs.count("END") <= 1


def test_a_server_that_leaves_instead_of_saying_goodbye(scripted: Callable[..., ScriptedServer]) -> None:
    server = scripted(QUIT=mail.leave)
    assert send(server.port).status == 200
    assert server.verbs.count("END") == 1


def test_unreachable_is_tried_again_because_nothing_was_sent() -> None:
    reply = send(free_port(), seconds=RESERVE + 8)
    assert (reply.body["code"], reply.headers["x-attempts"]) == ("upstream_unreachable", "3")
    assert reply.body["retryable"] is True


def test_unanswered() -> None:
    with unanswered_url() as url:
        started = time.monotonic()
        reply = send(int(url.rpartition(":")[2]), seconds=RESERVE + 1)
        assert reply.body["code"] in ("upstream_unreachable", "upstream_timeout")
        assert time.monotonic() - started < 1.6


def test_nothing_that_the_server_says_and_no_secret_gets_out(
    scripted: Callable[..., ScriptedServer], capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in STAGES:
        server = scripted(**{stage: b"550 5.0.0 canary-of-the-server\r\n"})
        assert "canary" not in send(server.port).text
    assert "canary" not in "".join(capsys.readouterr())


# Hosts.


@pytest.mark.parametrize(
    "host", [LOOPBACK, "localhost", "127.1", "2130706433", "0x7f.1", "::1", "::ffff:127.0.0.1", "localhost.localdomain"]
)
def test_a_caller_does_not_reach_what_is_next_to_the_function(
    scripted: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.delenv("INTEGRATIONS_ALLOWED_HOSTS")
    server = scripted()
    reply = send(server.port, setup={"host": host, "security": "none"})
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "url_denied", False)
    assert reply.headers["x-attempts"] == "0", "nothing was sent"
    assert reply.body["errors"][0]["loc"] == ["setup", "host"]
    assert server.connections == 0


def resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Put a resolver in the system's place that gives these answers, one after the other."""
    asked: list[str] = []

    def answer(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host == LOOPBACK:  # socket.create_connection looks an address up as well
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answers[len(asked) - 1]]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


@pytest.mark.parametrize("addresses", [[LOOPBACK], ["93.184.215.14", LOOPBACK], ["169.254.169.254"], ["::1"]])
def test_a_public_name_of_a_private_address(
    scripted: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    monkeypatch.delenv("INTEGRATIONS_ALLOWED_HOSTS")
    asked = resolver(monkeypatch, addresses)
    server = scripted()
    reply = send(server.port, setup={"host": "mail.example.com", "security": "none"})
    assert (reply.body["code"], asked, server.connections) == ("url_denied", ["mail.example.com"], 0)


def test_a_name_is_looked_up_once_and_the_checked_address_connected_to(
    mail_server: START, monkeypatch: pytest.MonkeyPatch, certificate_authority: trustme.CA
) -> None:
    mail_server()
    asked = resolver(monkeypatch, [LOOPBACK], ["10.0.0.1"])
    with ScriptedServer(
        EHLO=b"250-m\r\n250 STARTTLS\r\n", STARTTLS=upgraded(certificate_authority, "mail.example.com")
    ) as server:
        reply = send(server.port, setup={"host": "MAIL.example.com"})
    assert (reply.status, asked) == (200, ["mail.example.com"]), "and the certificate is for the name"


def upgraded(authority: trustme.CA, name: str) -> mail.Answer:
    """Serve the rest of the connection in TLS, with a certificate for this name."""

    def start(sock: socket.socket) -> None:
        sock.sendall(b"220 go on\r\n")
        with server_context(authority, name).wrap_socket(sock.dup(), server_side=True) as tls:
            for line in iter(tls.recv, b""):
                verb = line.split()[0].decode() if line.strip() != b"." else "END"
                tls.sendall({"DATA": b"354 go on\r\n"}.get(verb, b"250 OK\r\n") if verb.isupper() else b"")

    return start


@pytest.mark.parametrize("port", [22, 80, 6379])
def test_only_the_ports_of_mail_are_open(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    asked = resolver(monkeypatch, ["93.184.215.14"])
    reply = send(port, setup={"host": "mail.example.com"})
    assert (reply.body["code"], len(asked)) == ("url_denied", 1)
    assert reply.body["detail"] == f"setup.host: Port {port} is not open to callers; there are 25, 465, 587, 2525."


# Arguments.


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        ("a.b+c=d'e@sub.example.co.uk", "a.b+c=d'e@sub.example.co.uk"),
        ("Ann <ann@example.com>", "ann@example.com"),
        ("Ann<ann@example.com>", "ann@example.com"),
        ('"Ann, of (Tea)" <ann@example.com>', "ann@example.com"),
        ("Анна <ann@example.com>", "ann@example.com"),
        ("ann@münchen.de", "ann@xn--mnchen-3ya.de"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_addresses_that_are(mail_server: START, text: str, address: str) -> None:
    server = mail_server()
    assert send(server.port, to=[text]).body["accepted"] == [address]
    [received] = server.received
    assert received.recipients == [address]
    assert [mailbox.addr_spec for mailbox in received.message["to"].addresses] == [address]


@pytest.mark.parametrize(
    "text",
    [
        "", "ann", "@example.com", "ann@", "ann@example", "ann@@example.com", "ann@example.com.", "ann@.com",
        ".ann@example.com", "ann.@example.com", "a..b@example.com", "ann@-example.com", "ann@exam_ple.com",
        "ann@example.c", "ann@\uff11\uff12\uff17.0.0.1", "änn@example.com", "a" * 65 + "@example.com",
        "ann@" + "a." * 130 + "com",
        "Ann ann@example.com", "<>", "Ann <>", "ann @example.com", " ann@example.com", "ann@example.com ",
        1, True, {"email": "ann@example.com"},
    ],
)  # fmt: skip
def test_addresses_that_are_not(text: Any) -> None:
    fields: dict[str, Any] = {"to": [text], "from": text, "cc": [text], "bcc": [text], "reply_to": [text]}
    for field, value in fields.items():
        wrong: dict[str, Any] = {field: value}
        reply = send(587, **wrong)
        assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
        assert reply.body["errors"][0]["loc"][:2] == ["arguments", field]


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"text": None}, []),
        ({"to": []}, ["to"]),
        ({"to": [f"a{number}@example.com" for number in range(51)]}, ["to"]),
        (
            {"to": [f"a{number}@example.com" for number in range(40)], "cc": [f"c{n}@example.com" for n in range(11)]},
            [],
        ),
        ({"subject": "x" * 999}, ["subject"]),
        ({"attachments": [{"filename": "a", "content": "no base64!"}]}, ["attachments", 0, "content"]),
        ({"attachments": [{"filename": "a", "content": ""}]}, ["attachments", 0, "content"]),
        ({"attachments": [{"filename": "a", "content": "ä"}]}, ["attachments", 0, "content"]),
        ({"attachments": [{"filename": "../a", "content": CSV}]}, ["attachments", 0, "filename"]),
        ({"attachments": [{"filename": "C:\\a", "content": CSV}]}, ["attachments", 0, "filename"]),
        ({"attachments": [{"filename": "..", "content": CSV}]}, ["attachments", 0, "filename"]),
        ({"attachments": [{"filename": "gpj.\u202eexe", "content": CSV}]}, ["attachments", 0, "filename"]),
        (
            {"attachments": [{"filename": "a", "content": CSV, "content_type": "message/rfc822"}]},
            ["attachments", 0, "content_type"],
        ),
        (
            {"attachments": [{"filename": "a", "content": CSV, "content_type": "text/plain; charset=x"}]},
            ["attachments", 0, "content_type"],
        ),
        ({"attachments": [{"filename": "a", "content": CSV, "size": 1}]}, ["attachments", 0, "size"]),
        ({"attachments": [{"filename": "a", "content": "A" * 5_333_336}]}, ["attachments", 0, "content"]),
        ({"attachments": [{"filename": name, "content": "A" * 2_666_672} for name in "ab"]}, ["attachments"]),
        ({"headers": {"Bcc": "evil@example.net"}}, ["headers"]),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], place: list[str | int]) -> None:
    reply = send(587, **arguments)
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"] == ["arguments", *place]


def test_as_many_attachments_as_one_call_holds(mail_server: START) -> None:
    server = mail_server()
    data = os.urandom(2_000_000)
    files = [{"filename": f"{number}.bin", "content": base64.b64encode(data).decode()} for number in (1, 2)]
    assert send(server.port, attachments=files).status == 200
    parts = list(server.received[0].message.iter_attachments())
    assert [part.get_payload(decode=True) for part in parts] == [data, data]


def test_attachments_that_are_somewhere_else(mail_server: START, upstream: Upstream) -> None:
    """On a host that the operators let pass: what callers may name is in tests/security/test_urls.py."""
    server = mail_server()
    upstream.replies(script.content(b"%PDF-1.7", "application/pdf"), script.content(b"<x>", "multipart/x; y=z"))
    files = [
        {"filename": "contract", "content": f"{upstream.url}/contracts/1?token=2"},
        {"filename": "other", "content": f"{upstream.url}/other"},
        {"filename": "note.txt", "content": "data:text/html,at%20five"},
    ]
    assert send(server.port, attachments=files).status == 200
    parts = list(server.received[0].message.iter_attachments())
    assert [(part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) for part in parts] == [
        ("contract", "application/pdf", b"%PDF-1.7"),
        ("other", "application/octet-stream", b"<x>"),
        ("note.txt", "text/plain", b"at five"),
    ]
    assert [request.target for request in upstream.requests] == ["/contracts/1?token=2", "/other"]


def test_attachments_that_are_somewhere_else_count_with_the_others(mail_server: START, upstream: Upstream) -> None:
    server = mail_server()
    upstream.route(lambda _: script.content(bytes(2_000_000), "application/pdf"))
    inline = {"filename": "inline", "content": base64.b64encode(b"x").decode()}
    files = [{"filename": name, "content": f"{upstream.url}/{name}"} for name in "ab"]
    reply = send(server.port, attachments=[inline, *files])
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["detail"] == "arguments.attachments: At most 4,000,000 bytes of attachments together."
    assert server.received == []


def test_no_mail_is_sent_without_its_attachments(mail_server: START, upstream: Upstream) -> None:
    server = mail_server()
    upstream.route(lambda _: script.text("gone", 410))
    reply = send(server.port, attachments=[{"filename": "a", "content": f"{upstream.url}/a"}])
    assert (reply.status, reply.body["code"]) == (422, "upstream_rejected")
    assert reply.body["errors"][0]["loc"] == ["arguments", "attachments", 0, "content"]
    assert server.received == []


def test_a_body_over_what_lambda_takes_is_refused() -> None:
    reply = send(587, text="x" * MAX_BODY_WITH_FILES)
    assert (reply.status, reply.body["code"]) == (413, "payload_too_large")


# Injection.


@pytest.mark.parametrize("field", FIELDS)
def test_nothing_gets_out_of_its_field(mail_server: START, field: str) -> None:
    server = mail_server()
    taken = 0
    for payload in PAYLOADS:
        before = len(server.received)
        reply = send(server.port, **poisoned(field, payload))
        if reply.status == 422:
            assert reply.body["errors"][0]["loc"][0] == "arguments"
            assert len(server.received) == before
            continue
        assert reply.status == 200, (payload, reply.body)
        taken += 1
        [received] = server.received[before:]
        check_intact(received, field, payload)
    assert len(PAYLOADS) >= 60
    assert taken == TAKEN.get(field, 0)
