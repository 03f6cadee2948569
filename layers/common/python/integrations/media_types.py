"""What kind of file a document is: by its name, by what came with it, else by its first bytes.

The table is our own, because `mimetypes` reads what the machine has installed and knows other types in each Python. A
type that is not of a document is Python's own, without the machine's.
Types are IANA's; signatures are those of the formats' specifications.
"""

import re
from mimetypes import MimeTypes
from typing import NamedTuple

from integrations.files import File

UNKNOWN = "application/octet-stream"
PLAIN = "text/plain"

_OOXML = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_BY_EXTENSION = {
    "bmp": "image/bmp",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": _OOXML + "wordprocessingml.document",
    "eml": "message/rfc822",
    "epub": "application/epub+zip",
    "gif": "image/gif",
    "heic": "image/heic",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "msg": "application/vnd.ms-outlook",
    "odp": _OPEN_DOCUMENT + "presentation",
    "ods": _OPEN_DOCUMENT + "spreadsheet",
    "odt": _OPEN_DOCUMENT + "text",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": _OOXML + "presentationml.presentation",
    "rst": "text/x-rst",
    "rtf": "application/rtf",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "tsv": "text/tab-separated-values",
    "txt": PLAIN,
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": _OOXML + "spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}
_EXTENSIONS = {kind: extension for extension, kind in reversed(_BY_EXTENSION.items())} | {
    "image/jpeg": "jpg",
    "image/tiff": "tiff",
    "text/html": "html",
    "text/xml": "xml",
    "text/rtf": "rtf",
}
_SIGNATURES = [
    (re.compile(rb".{0,1019}%PDF-", re.DOTALL), "pdf"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"\xff\xd8\xff"), "jpg"),
    (re.compile(rb"GIF8[79]a"), "gif"),
    (re.compile(rb"II\*\0|MM\0\*"), "tiff"),
    (re.compile(rb"BM.{4}\0{4}", re.DOTALL), "bmp"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "webp"),
    (re.compile(rb".{4}ftyp(?:heic|heix|mif1)", re.DOTALL), "heic"),
    (re.compile(rb"\{\\rtf"), "rtf"),
    (re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE), "html"),
    (re.compile(rb"\s*<\?xml\b"), "xml"),
    (re.compile(rb"(?:Return-Path|Received|Delivered-To|From|Message-ID|MIME-Version):", re.IGNORECASE), "eml"),
]
# A zip of Office or OpenDocument is told by the names of its entries, which stand in it uncompressed.
_IN_ZIP = [
    (re.compile(rb"mimetype(application/[\w.+-]+?)PK"), None),
    (re.compile(rb"word/document"), "docx"),
    (re.compile(rb"xl/workbook"), "xlsx"),
    (re.compile(rb"ppt/presentation"), "pptx"),
]
# The older Office files are told by the names of their streams, in UTF-16 ([MS-CFB] section 2.6.1).
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_IN_COMPOUND_FILE = {
    "__substg1.0_": "msg",
    "WordDocument": "doc",
    "Workbook": "xls",
    "PowerPoint Document": "ppt",
}


class Named(NamedTuple):
    """A file's name, with the extension that goes with its type, and its media type."""

    name: str
    media_type: str


def named(file: File, name: str | None = None) -> Named:
    """Give the name and the type of a file, whatever of them is known.

    The extension of the `name` decides, then the type that came with the file, then its bytes. A name without an
    extension that says anything gets one, because services tell documents apart by it.
    """
    name = name or file.name or "document"
    if known := _of_document(name):
        return Named(name, known)
    came_with = file.media_type if file.media_type in _EXTENSIONS and file.media_type != PLAIN else None
    kind = came_with or _of_bytes(file.content)
    return Named(f"{name}.{_EXTENSIONS[kind]}" if kind in _EXTENSIONS else name, kind)


def of_name(name: str) -> str | None:
    """Give what a file is by its name alone; None for a packed one, whose name tells of what is in it."""
    if known := _of_document(name):
        return known
    guess, coding = MimeTypes().guess_type(name)
    return None if coding else guess


def _of_document(name: str) -> str | None:
    return _BY_EXTENSION.get(name.rpartition(".")[2].lower())


def _of_bytes(content: bytes) -> str:
    for signature, extension in _SIGNATURES:
        if signature.match(content):
            return _BY_EXTENSION[extension]
    if content.startswith(b"PK\x03\x04"):
        return _of_zip(content)
    if content.startswith(_COMPOUND_FILE):
        found = (kind for stream, kind in _IN_COMPOUND_FILE.items() if stream.encode("utf-16-le") in content)
        return _BY_EXTENSION.get(next(found, ""), UNKNOWN)
    return PLAIN if _is_text(content) else UNKNOWN


def _of_zip(content: bytes) -> str:
    for inside, extension in _IN_ZIP:
        if found := inside.search(content):
            return _BY_EXTENSION[extension] if extension else found[1].decode("ascii")
    return _BY_EXTENSION["zip"]


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False
