"""The dialogue with a mail server: SMTP for submission (RFC 5321, RFC 6409), with STARTTLS and AUTH."""

import base64
import contextlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from integrations import IntegrationError
from integrations.errors import (
    InvalidSetup,
    UpstreamBadResponse,
    UpstreamDenied,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
)
from integrations.findings import finding, sentence
from integrations.tcp import Connection


class Reply(NamedTuple):
    """What the server answered: a code, and the texts of its lines."""

    code: int
    texts: list[str]

    @property
    def good(self) -> bool:
        """Say whether the server did what it was asked."""
        return 200 <= self.code < 300

    @property
    def status(self) -> str | None:
        """Give the enhanced status code (RFC 3463)."""
        found = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", self.texts[0], re.ASCII)
        return found and found[0]


class Server:
    """The dialogue with a mail server, command by command. What it answers stays here; only codes go out."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.extensions: dict[str, list[str]] = {}

    def greet(self) -> None:
        """Read the greeting, and learn what the server can do."""
        self._must(self._read(), "The server does not take messages now.")
        self._hello()

    def start_tls(self) -> None:
        """Go on in TLS, or not at all."""
        if "STARTTLS" not in self.extensions:
            raise _unfit("security", "The server does not offer STARTTLS; try tls with port 465")
        self._must(self._ask("STARTTLS"), "The server could not start TLS.")
        self.connection.start_tls()
        self._hello()

    def sign_in(self, user: str, password: str) -> None:
        """Sign in, once: a server locks out who tries again and again."""
        offered = self.extensions.get("AUTH", [])
        if "PLAIN" in offered:
            reply = self._ask("AUTH PLAIN " + _base64(f"\0{user}\0{password}"))
        elif "LOGIN" in offered:
            reply = self._ask("AUTH LOGIN")
            for answer in (user, password):
                reply = self._ask(_base64(answer)) if reply.code == 334 else reply
        else:
            raise _unfit("user", "The server offers no way to sign in that is known here, PLAIN or LOGIN")
        self._must(reply, "The server did not take the user and password.")

    def deliver(self, sender: str, recipients: dict[str, list[str | int]], message: bytes) -> dict[str, Reply]:
        """Hand the message over. Give who was refused; raise when nobody is left, or the message is refused."""
        size = f" SIZE={len(message)}" if "SIZE" in self.extensions else ""
        reply = self._ask(f"MAIL FROM:<{sender}>{size}")
        self._must(reply, "The server refused the sender, or the size of the message.", ["from"])
        replies = {address: self._ask(f"RCPT TO:<{address}>") for address in recipients}
        refused = {address: reply for address, reply in replies.items() if not reply.good}
        if len(refused) == len(recipients):
            # One that is refused for now is a reason to call again, one that is refused for good is none.
            address = min(refused, key=lambda address: refused[address].code)
            self._must(refused[address], "The server refused every recipient.", recipients[address])
        self._ask_for_data()
        self.connection.write(re.sub(rb"(?m)^\.", b"..", message))
        self.connection.in_doubt = True
        reply = self._ask(".")
        self.connection.in_doubt = False
        self._must(reply, "The server refused the message.", [])
        with contextlib.suppress(IntegrationError):
            self.connection.write(b"QUIT\r\n")
        return refused

    def _ask_for_data(self) -> None:
        reply = self._ask("DATA")
        if reply.code != 354:
            raise _failure(reply, "The server refused the message.", [])

    def _hello(self) -> None:
        # A name would be wrong and an address would tell of the network here; nobody checks it of those who sign in.
        reply = self._ask("EHLO [127.0.0.1]")
        self._must(reply, "The server does not take messages now.")
        words = [text.upper().replace("AUTH=", "AUTH ").split() for text in reply.texts[1:]]
        self.extensions = {first: rest for first, *rest in filter(None, words)}

    def _ask(self, command: str) -> Reply:
        self.connection.write(f"{command}\r\n".encode("ascii"))
        return self._read()

    def _read(self) -> Reply:
        lines = list(self._lines())
        codes = {code for code, _ in lines}
        if len(codes) > 1:
            raise UpstreamBadResponse("The server does not speak SMTP.")
        return Reply(codes.pop(), [text for _, text in lines])

    def _lines(self) -> Iterator[tuple[int, str]]:
        while True:
            line = re.fullmatch(r"([2-5][0-9]{2})(?:([ -])(.*))?", self.connection.read_line())
            if line is None:
                raise UpstreamBadResponse("The server does not speak SMTP.")
            yield int(line[1]), line[3] or ""
            if line[2] != "-":
                return

    def _must(self, reply: Reply, refusal: str, place: list[str | int] | None = None) -> None:
        if not reply.good:
            raise _failure(reply, refusal, place)


# What is answered to credentials that are missing, too weak, not taken, or sent in the clear (RFC 4954 section 6).
_CREDENTIALS = (530, 534, 535, 538)


def _failure(reply: Reply, refusal: str, place: list[str | int] | None) -> IntegrationError:
    """Give the error of a refusal. `place` is the argument at fault, empty for all of them and None for none."""
    code, policy = reply.code, (reply.status or "").startswith("4.7.")
    if code in _CREDENTIALS:
        return UpstreamDenied(f"{refusal} Check user and password in the setup.", upstream_status=code)
    if code in (421, 450) or (code < 500 and policy):
        return UpstreamRateLimited(f"{refusal} Call again later.", upstream_status=code)
    if code < 400:
        return UpstreamBadResponse("The server answered something else than SMTP has it.", upstream_status=code)
    if code < 500 or place is None:
        return UpstreamError(f"{refusal} Call again later.", upstream_status=code)
    found = [finding(["arguments", *place], "refused", "Refused by the server")]
    return UpstreamRejected(refusal, upstream_status=code, errors=found)


def _unfit(field: str, message: str) -> InvalidSetup:
    found = [finding(["setup", field], "unsupported", message)]
    return InvalidSetup(sentence(found), errors=found)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
