"""What is sent: mailboxes, the headers and the body, in the Internet Message Format (RFC 5322) and MIME.

Nothing that a caller sends becomes part of a header before it is known to be harmless there.
"""

import base64
import re
import unicodedata
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from mimetypes import MimeTypes
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from integrations.files import File

# Not multipart and message: those would be taken for parts of this message.
MEDIA_TYPE = r"^(application|audio|font|image|model|text|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}$"


class Mailbox(NamedTuple):
    """One address, and whose it is."""

    name: str
    address: str

    def __str__(self) -> str:
        """Give it as it stands in a header."""
        if not self.name:
            return self.address
        name = f'"{self.name}"' if self.name.isascii() else _encoded(self.name)
        return f"{name} <{self.address}>"


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(?!-)[A-Za-z0-9-]{2,63}(?<!-)")
_NAMED = re.compile(r'(?:"(?P<quoted>[^"\\<>@]{1,100})"|(?P<plain>[^"\\<>@]{1,100})) ?<(?P<address>[^<>]*)>')
_FILENAME = re.compile(r'[^"\\/<>:|?*]{1,150}')


def _mailbox(value: Any) -> Mailbox:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    named = _NAMED.fullmatch(value)
    name = (named["quoted"] or named["plain"]).strip() if named else ""
    local, _, domain = (named["address"] if named else value).rpartition("@")
    domain = domain if domain.isascii() else _a_label(domain)
    if "=?" in value or not _is_text(name) or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise PydanticCustomError("address", "Not one address, such as ann@example.com or Ann <ann@example.com>")
    return Mailbox(name, f"{local}@{domain}")


def _a_label(domain: str) -> str:
    import idna

    try:
        return idna.encode(domain, strict=True).decode()
    except idna.IDNAError:
        return ""


def _is_text(value: str) -> bool:
    """Say whether it is one line of characters that show: a header or a file name may hold nothing else."""
    return not any(unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") for char in value)


def _listed(value: Any) -> Any:
    """Take one string, as the original service did, for a list: its addresses are parted by commas."""
    if isinstance(value, str):
        return [part.strip(" ") for part in value.split(",")]
    return [] if value is None else value


Address = Annotated[Mailbox, PlainValidator(_mailbox), WithJsonSchema({"type": "string"})]
Addresses = Annotated[list[Address], BeforeValidator(_listed)]


def _filename(value: str) -> str:
    plain = _FILENAME.fullmatch(value) and _is_text(value) and value == value.strip(" ")
    if not plain or "=?" in value or set(value) == {"."}:
        raise PydanticCustomError("filename", "Not a plain file name of at most 150 characters")
    return value


def _one_line(value: str) -> str:
    # Joiners (Cf) are part of emoji and of Persian; encoded as a whole they do no harm.
    if "=?" in value or any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in value):
        raise PydanticCustomError("subject", "Not one line of text")
    return value


FileName = Annotated[str, AfterValidator(_filename)]
OneLine = Annotated[str, AfterValidator(_one_line)]


class Attached(NamedTuple):
    """A file of a message: what it is called, what it is if the caller said so, and what it holds."""

    name: str
    media_type: str | None
    file: File

    @property
    def kind(self) -> tuple[str, str]:
        """Give its media type: as the caller says, by its name, as it came; of a packed file only that it is bytes."""
        guess, coding = MimeTypes().guess_type(self.name)
        guess = "application/octet-stream" if coding else guess
        known = (self.media_type, guess, self.file.media_type)
        found = next(kind for kind in (*known, "application/octet-stream") if kind and re.fullmatch(MEDIA_TYPE, kind))
        maintype, _, subtype = found.partition("/")
        return maintype, subtype


class Message(NamedTuple):
    """What a message says."""

    message_id: str
    from_: Mailbox
    to: list[Mailbox]
    cc: list[Mailbox]
    reply_to: list[Mailbox]
    subject: str
    text: str | None
    html: str | None
    files: list[Attached]

    def __bytes__(self) -> bytes:
        """Write it. The headers are ours: each value is ASCII, checked or encoded, folded between its parts."""
        headers = {
            "Date": format_datetime(datetime.now(UTC)),
            "From": str(self.from_),
            "To": _folded(self.to),
            "Cc": _folded(self.cc),
            "Reply-To": _folded(self.reply_to),
            "Subject": _subject(self.subject),
            "Message-ID": self.message_id,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value or name == "Subject")
        return head.encode("ascii") + self._content().as_bytes()

    def _content(self) -> EmailMessage:
        """Give the body with the headers that describe it, in seven bits, for not every server takes eight."""
        content = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        text, html = self.text, self.html
        if html is None and text is not None and _HTML.search(text):
            text, html = None, text
        if text is not None:
            content.set_content(text)
            if html is not None:
                content.add_alternative(html, subtype="html")
        else:
            content.set_content(html, subtype="html")
        for attached in self.files:
            maintype, subtype = attached.kind
            content.add_attachment(attached.file.content, maintype=maintype, subtype=subtype, filename=attached.name)
        return content


# What the original service takes for HTML.
_HTML = re.compile(r"<(?:html|body|div|p>|br|table|h[1-6]|span|a href=)", re.IGNORECASE)


def _folded(mailboxes: list[Mailbox]) -> str:
    return ",\r\n ".join(map(str, mailboxes))


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
