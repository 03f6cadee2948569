"""Email: send a message by a mail server of one's own.

The protocol is SMTP for submission: RFC 5321 and RFC 6409, with STARTTLS (RFC 3207), implicit TLS (RFC 8314) and AUTH
(RFC 4954). Nothing that a caller sends becomes part of a header or a command before it is known to be harmless there.
"""

import base64
import binascii
import contextlib
import re
import unicodedata
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from mimetypes import MimeTypes
from typing import Literal, NamedTuple, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from integrations import Arguments, IntegrationError, Output, Provider, Setup
from integrations.errors import (
    InvalidSetup,
    UpstreamBadResponse,
    UpstreamDenied,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
)
from integrations.findings import finding, sentence
from integrations.mail import Address, Addresses, FileName, Mailbox
from integrations.tcp import Connection, Tcp

PORTS = (25, 465, 587, 2525)
MAX_RECIPIENTS = 50
MAX_ATTACHED = 4_000_000  # bytes; in base64 and JSON this is what one Lambda call holds


class EmailSetup(Setup):
    host: str = Field(description="The name of the mail server.", min_length=1, max_length=253)
    port: int = Field(
        587, description="Its port: 587 or 2525 for STARTTLS, 465 for TLS, 25 for a relay.", ge=1, le=65535
    )
    user: str | None = Field(None, description="Who signs in; left out where the server asks nobody to.", min_length=1)
    password: SecretStr | None = Field(None, description="The password that goes with user.", min_length=1)
    security: Literal["tls", "starttls", "none"] | None = Field(
        None,
        description="tls from the first byte, starttls after a greeting in the clear, or none. "
        "By default tls on port 465 and starttls on any other.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise PydanticCustomError("credentials", "user and password go together: give both or neither")
        if self.user is not None and self.security == "none":
            raise PydanticCustomError("credentials", "user and password are sent over tls or starttls only")
        return self

    @property
    def protection(self) -> str:
        """Give how the connection is secured."""
        return self.security or ("tls" if self.port == 465 else "starttls")


provider = Provider(
    name="email",
    title="Email",
    url="https://www.rfc-editor.org/rfc/rfc5321",
    docs="https://www.rfc-editor.org/rfc/rfc6409",
    category="communication",
    setup=EmailSetup,
    attempt_timeout=25.0,  # the whole dialogue, with the attachments on their way
    max_response_bytes=100_000,  # of all replies together
)


# Not multipart and message: those would be taken for parts of this message.
_MEDIA_TYPE = r"^(application|audio|font|image|model|text|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}$"


class Attachment(Arguments):
    filename: FileName = Field(description="What the file is called: a plain name, without a folder.", min_length=1)
    content: str = Field(description="The file in base64.")
    content_type: str | None = Field(
        None, description="What the file is, such as application/pdf; by its name when left out.", pattern=_MEDIA_TYPE
    )

    @field_validator("content")
    @classmethod
    def _base64(cls, value: str) -> str:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise PydanticCustomError("base64", "Not base64") from None
        return value

    @property
    def size(self) -> int:
        """Give how many bytes the file has."""
        return len(self.content) * 3 // 4 - self.content.count("=")

    @property
    def media_type(self) -> str:
        """Give what the file is, of a packed file only that it is bytes."""
        guess, coding = MimeTypes().guess_type(self.filename)
        return self.content_type or (guess if guess and not coding else "application/octet-stream")


class SendArguments(Arguments):
    to: Addresses = Field(
        description="Who gets it: ann@example.com or Ann <ann@example.com>.", min_length=1, max_length=MAX_RECIPIENTS
    )
    from_: Address = Field(description="Who sends it, one address.", validation_alias="from")
    subject: str = Field(description="What it is about, in one line.", max_length=300)
    text: str | None = Field(
        None,
        description="The message as plain text. Where html is left out and this has HTML's tags, it is sent as HTML.",
        max_length=1_000_000,
        validation_alias=AliasChoices("text", "body"),
    )
    html: str | None = Field(
        None, description="The message as HTML; text is then for those who do not show HTML.", max_length=1_000_000
    )
    cc: Addresses = Field([], description="Who gets a copy that all can see.", max_length=MAX_RECIPIENTS)
    bcc: Addresses = Field([], description="Who gets a copy that nobody sees.", max_length=MAX_RECIPIENTS)
    reply_to: Addresses = Field([], description="Who gets the answers, instead of the sender.", max_length=10)
    attachments: list[Attachment] = Field([], description="Files, at most 4 MB together.", max_length=20)

    @field_validator("subject")
    @classmethod
    def _one_line(cls, value: str) -> str:
        # Joiners (Cf) are part of emoji and of Persian; encoded as a whole they do no harm.
        if "=?" in value or any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in value):
            raise PydanticCustomError("subject", "Not one line of text")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.text is None and self.html is None:
            raise PydanticCustomError("missing", "text or html is needed")
        if len(self.recipients) > MAX_RECIPIENTS:
            raise PydanticCustomError("too_long", f"At most {MAX_RECIPIENTS} recipients in to, cc and bcc together")
        if sum(file.size for file in self.attachments) > MAX_ATTACHED:
            raise PydanticCustomError("too_long", f"At most {MAX_ATTACHED:,} bytes of attachments together")
        return self

    @property
    def recipients(self) -> dict[str, list[str | int]]:
        """Give the address of everyone who gets it, each once, with its place in the arguments."""
        places: dict[str, list[str | int]] = {}
        for field, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for number, mailbox in enumerate(mailboxes):
                places.setdefault(mailbox.address, [field, number])
        return places


class Refusal(BaseModel):
    address: str = Field(description="Who does not get it.")
    code: int = Field(description="The reply code of the server: 5xx for good, 4xx for now.")
    status: str | None = Field(description="Its enhanced status (RFC 3463), such as 5.1.1 for an unknown mailbox.")


class SendOutput(Output):
    success: bool = Field(description="True: the server took the message for those in accepted.")
    message_id: str = Field(description="The Message-ID of the message, to find it again.")
    accepted: list[str] = Field(description="The addresses that the server took it for.")
    refused: list[Refusal] = Field(description="The addresses that the server did not take it for.")


@provider.method(read_only=False, destructive=False, idempotent=False, files=True)
def send(args: SendArguments, tcp: Tcp, setup: EmailSetup) -> SendOutput:
    """Send an email. It is sent once: after a failure whose outcome is not known, it is not sent again."""
    message_id = f"<{uuid.uuid4()}@{args.from_.domain}>"
    message = _message(args, message_id)
    with tcp.connected(setup.host, setup.port, ports=PORTS, tls=setup.protection == "tls") as connection:
        server = Server(connection)
        server.greet()
        if setup.protection == "starttls":
            server.start_tls()
        if setup.user is not None and setup.password is not None:
            server.sign_in(setup.user, setup.password.get_secret_value())
        refused = server.deliver(args.from_.address, args.recipients, message)
    return SendOutput(
        success=True,
        message_id=message_id,
        accepted=[address for address in args.recipients if address not in refused],
        refused=[Refusal(address=address, code=no.code, status=no.status) for address, no in refused.items()],
    )


def _message(args: SendArguments, message_id: str) -> bytes:
    """Write the message. The headers are ours: each value is ASCII, checked or encoded, folded between its parts."""
    headers = {
        "Date": format_datetime(datetime.now(UTC)),
        "From": _written(args.from_),
        "To": _folded(args.to),
        "Cc": _folded(args.cc),
        "Reply-To": _folded(args.reply_to),
        "Subject": _subject(args.subject),
        "Message-ID": message_id,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value or name == "Subject")
    return head.encode("ascii") + _content(args).as_bytes()


def _content(args: SendArguments) -> EmailMessage:
    """Give the body with the headers that describe it, in seven bits, for not every server takes eight."""
    content = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    text, html = args.text, args.html
    if html is None and text is not None and _HTML.search(text):
        text, html = None, text
    if text is not None:
        content.set_content(text)
        if html is not None:
            content.add_alternative(html, subtype="html")
    else:
        content.set_content(html, subtype="html")
    for file in args.attachments:
        maintype, subtype = file.media_type.split("/")
        data = base64.b64decode(file.content)
        content.add_attachment(data, maintype=maintype, subtype=subtype, filename=file.filename)
    return content


# What the original service takes for HTML.
_HTML = re.compile(r"<(?:html|body|div|p>|br|table|h[1-6]|span|a href=)", re.IGNORECASE)


def _folded(mailboxes: list[Mailbox]) -> str:
    return ",\r\n ".join(map(_written, mailboxes))


def _written(mailbox: Mailbox) -> str:
    """Give it as it stands in a header."""
    return str(mailbox) if mailbox.name.isascii() else f"{_encoded(mailbox.name)} <{mailbox.address}>"


def _subject(text: str) -> str:
    plain = text.isascii() and len(text) <= 66 and text == text.strip()
    return text if plain else _encoded(text)


def _encoded(text: str) -> str:
    """Give the text in encoded words (RFC 2047), each of whole characters and short enough for any header's line."""
    words = [b""]
    for char in text:
        raw = char.encode()
        if len(words[-1]) + len(raw) > 39:
            words.append(b"")
        words[-1] += raw
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)


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


handler = provider.handler
