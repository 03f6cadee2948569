"""What kind of file a document is."""

import io
import zipfile

import pytest

from integrations.files import File
from integrations.media_types import named

OOXML = "application/vnd.openxmlformats-officedocument."
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def zipped(*names: str, first: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr(zipfile.ZipInfo("mimetype"), first)  # a ZipInfo is stored as it is
        for name in names:
            archive.writestr(name, "<xml/>" * 100)
    return buffer.getvalue()


def compound(stream: str) -> bytes:
    return COMPOUND + bytes(500) + stream.encode("utf-16-le") + bytes(500)


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (b"%PDF-1.4 ...", "document.pdf", "application/pdf"),
        (b"\n" * 1000 + b"%PDF-1.4", "document.pdf", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "document.png", "image/png"),
        (b"\xff\xd8\xff\xe0", "document.jpg", "image/jpeg"),
        (b"GIF89a", "document.gif", "image/gif"),
        (b"II*\x00....", "document.tiff", "image/tiff"),
        (b"MM\x00*....", "document.tiff", "image/tiff"),
        (b"BM....\x00\x00\x00\x00", "document.bmp", "image/bmp"),
        (b"RIFF....WEBPVP8 ", "document.webp", "image/webp"),
        (b"\x00\x00\x00\x18ftypheic", "document.heic", "image/heic"),
        (b"{\\rtf1\\ansi", "document.rtf", "application/rtf"),
        (b"\n<!DOCTYPE html><html>", "document.html", "text/html"),
        (b"<HTML><p>", "document.html", "text/html"),
        (b"<?xml version='1.0'?>", "document.xml", "application/xml"),
        (b"Received: from a by b\r\n", "document.eml", "message/rfc822"),
        (zipped("[Content_Types].xml", "word/document.xml"), "document.docx", OOXML + "wordprocessingml.document"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "document.xlsx", OOXML + "spreadsheetml.sheet"),
        (zipped("ppt/presentation.xml"), "document.pptx", OOXML + "presentationml.presentation"),
        (zipped("content.xml", first=b"application/vnd.oasis.opendocument.text"), "document.odt",
         "application/vnd.oasis.opendocument.text"),
        (zipped("a.xhtml", first=b"application/epub+zip"), "document.epub", "application/epub+zip"),
        (zipped("a", first=b"application/x-krita"), "document", "application/x-krita"),
        (zipped("readme.txt"), "document.zip", "application/zip"),
        (compound("WordDocument"), "document.doc", "application/msword"),
        (compound("Workbook"), "document.xls", "application/vnd.ms-excel"),
        (compound("PowerPoint Document"), "document.ppt", "application/vnd.ms-powerpoint"),
        (compound("__substg1.0_0037001F"), "document.msg", "application/vnd.ms-outlook"),
        (compound("Other"), "document", "application/octet-stream"),
        ("Grüße".encode(), "document.txt", "text/plain"),
        (b"", "document.txt", "text/plain"),
        (b"a\x00b", "document", "application/octet-stream"),
        (b"\xff\xfea", "document", "application/octet-stream"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_bytes_say_it_where_nothing_else_does(content: bytes, name: str, media_type: str) -> None:
    assert named(File(content)) == (name, media_type)


@pytest.mark.parametrize(
    ("file", "given", "wanted"),
    [
        (File(b"%PDF-", "image/png", "b.txt"), "a.CSV", ("a.CSV", "text/csv")),
        (File(b"%PDF-", "image/png", "b.md"), None, ("b.md", "text/markdown")),
        (File(b"%PDF-", "image/png", "b"), None, ("b.png", "image/png")),
        (File(b"%PDF-", "image/png", "b.txt"), "a", ("a.png", "image/png")),
        (File(b"%PDF-", "application/octet-stream", "b"), None, ("b.pdf", "application/pdf")),
        (File(b"%PDF-", "text/plain", "b"), None, ("b.pdf", "application/pdf")),
        (File(b"a,b", "text/plain", "v1.2"), None, ("v1.2.txt", "text/plain")),
        (File(b"<p>", "text/html"), None, ("document.html", "text/html")),
        (File(b"<a/>", "text/xml"), None, ("document.xml", "text/xml")),
    ],
)
def test_the_name_decides_then_what_came_with_the_file(file: File, given: str | None, wanted: tuple[str, str]) -> None:
    assert named(file, given) == wanted
