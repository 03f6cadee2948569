"""What is sent: the headers and the body, in the Internet Message Format (RFC 5322) and MIME.

Nothing that a caller sends becomes part of a header before it is known to be harmless there.
"""

import base64
import re
import unicodedata
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from integrations.files import File
from integrations.mail import MEDIA_TYPE, Mailbox
from integrations.media_types import of_name


def _one_line(value: str) -> str:
    # Joiners (Cf) are part of emoji and of Persian; encoded as a whole they do no harm.
    if "=?" in value or any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in value):
        raise PydanticCustomError("subject", "Not one line of text")
    return value


OneLine = Annotated[str, AfterValidator(_one_line)]


class Attached(NamedTuple):
    """A file of a message: what it is called, what it is if the caller said so, and what it holds."""

    name: str
    media_type: str | None
    file: File

    @property
    def kind(self) -> tuple[str, str]:
        """Give its media type: as the caller says, by its name, as it came; of a packed file only that it is bytes."""
        known = (self.media_type, of_name(self.name), self.file.media_type)
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
            "From": _written(self.from_),
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
