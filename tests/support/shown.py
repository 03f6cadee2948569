"""Calls that are written down beside a text: what they stand for, and what of an answer or a request they must show."""

import functools
import json
import re
from typing import Any
from urllib.parse import parse_qs

from tests.support.forms import parts
from tests.support.pages import ROOT, matches
from tests.support.upstream import Request


def written(body: str) -> str:
    """Give a body with what stands in it for something longer: `<300 letters>`, `<key file>`, `<key file 2>`."""
    body = re.sub(r"<(\d+) letters>", lambda found: "x" * int(found[1]), body)
    return re.sub(r"<key file(?: (\d+))?>", lambda found: key_file() + " " * int(found[1] or 1), body)


@functools.cache
def key_file() -> str:
    """Give the key file of the example calls; with spaces behind it, it is one whose tokens are kept apart."""
    event = json.loads((ROOT / "events/google_sheets.read_values.json").read_text())
    key: str = event["setup"]["service_account_json"]
    return key


def assert_contains(given: Any, part: Any) -> None:
    """Assert that `given` has all that `part` has; a list has as many items."""
    if isinstance(part, dict):
        assert isinstance(given, dict)
        for name, value in part.items():
            assert name in given, f"{name} is not among {sorted(given)}"
            assert_contains(given[name], value)
    elif isinstance(part, list):
        assert isinstance(given, list)
        assert len(given) == len(part), given
        for item, wanted in zip(given, part, strict=True):
            assert_contains(item, wanted)
    elif isinstance(part, str):
        assert matches(part, given), f"{given!r} is not {part!r}"
    else:
        assert given == part


def content(request: Request) -> dict[str, Any]:
    """Give what a request holds, by its form."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        fields: dict[str, list[str]] = {}
        files = []
        for part in parts(request):
            if part.filename is None:
                fields.setdefault(part.field, []).append(part.text)
            else:
                files.append({"field": part.field, "filename": part.filename, "media_type": part.media_type})
        return {"form": fields, "files": files}
    if kind == "application/x-www-form-urlencoded":
        return {"form": parse_qs(request.body.decode())}
    return {"json": json.loads(request.body) if request.body else None}
