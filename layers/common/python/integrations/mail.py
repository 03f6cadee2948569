"""Addresses and file names as messages have them. None of what passes can become a header of its own or a command.

The grammar is narrower than RFC 5322: one address, with or without whose it is, and no comments, routes or groups.
"""

import re
import unicodedata
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError


class Mailbox(NamedTuple):
    """One address, and whose it is."""

    name: str
    address: str

    def __str__(self) -> str:
        """Give it as people write it."""
        return f'"{self.name}" <{self.address}>' if self.name else self.address

    @property
    def domain(self) -> str:
        """Give what is behind the @."""
        return self.address.rpartition("@")[2]


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(?!-)[A-Za-z0-9-]{2,63}(?<!-)")
_NAMED = re.compile(r'(?:"(?P<quoted>[^"\\<>@]{1,100})"|(?P<plain>[^"\\<>@]{1,100})) ?<(?P<address>[^<>]*)>')
_PART = re.compile(r'(?:"[^"]*"|[^,])+')
_FILENAME = re.compile(r'[^"\\/<>:|?*]{1,150}')
# Not multipart and message: those would be taken for parts of the message itself.
MEDIA_TYPE = r"^(application|audio|font|image|model|text|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}$"


def is_text(value: str) -> bool:
    """Say whether it is one line of characters that show: a header or a file name may hold nothing else."""
    return not any(unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") for char in value)


def is_domain(value: str) -> bool:
    """Say whether it is a domain that mail is sent from or to, in ASCII."""
    return bool(_DOMAIN.fullmatch(value))


def _mailbox(value: Any) -> Mailbox:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    named = _NAMED.fullmatch(value)
    name = (named["quoted"] or named["plain"]).strip() if named else ""
    local, _, domain = (named["address"] if named else value).rpartition("@")
    domain = domain if domain.isascii() else _a_label(domain)
    if "=?" in value or not is_text(name) or not _LOCAL_PART.fullmatch(local) or not is_domain(domain):
        raise PydanticCustomError("address", "Not one address, such as ann@example.com or Ann <ann@example.com>")
    return Mailbox(name, f"{local}@{domain}")


def _a_label(domain: str) -> str:
    import idna

    try:
        return idna.encode(domain, strict=True).decode()
    except idna.IDNAError:
        return ""


def _listed(value: Any) -> Any:
    """Take one string for a list: its addresses are parted by commas outside of quotes, and a blank part is none."""
    if isinstance(value, str):
        return [part.strip(" ") for part in _PART.findall(value) if part.strip()]
    return [] if value is None else value


def _plain_filename(value: str) -> str:
    if (
        not _FILENAME.fullmatch(value)
        or not is_text(value)
        or "=?" in value
        or value != value.strip(" ")
        or set(value) == {"."}
    ):
        raise PydanticCustomError("filename", "Not a plain file name of at most 150 characters")
    return value


Address = Annotated[Mailbox, PlainValidator(_mailbox), WithJsonSchema({"type": "string"})]
"""One address as an argument: ann@example.com or Ann <ann@example.com>."""

Addresses = Annotated[list[Address], BeforeValidator(_listed)]
"""Several, as a list or in one string with commas."""

FileName = Annotated[str, AfterValidator(_plain_filename)]
"""The name of an attached file, without a folder."""

MediaType = Annotated[str, Field(pattern=MEDIA_TYPE)]
"""What an attached file is, such as application/pdf."""
