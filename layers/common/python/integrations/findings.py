"""What validation found, told without any input: the place, the type, the message."""

import re
from typing import Any

from pydantic import ValidationError

from integrations.plain import NotPlain

Finding = dict[str, Any]

MAX_FINDINGS = 20

_LIKE_A_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")


def of_validation(invalid: ValidationError, *where: str) -> list[Finding]:
    """Give pydantic's findings, placed below `where`."""
    found = invalid.errors(include_input=False, include_url=False, include_context=False)
    return [
        finding(
            [*where, *item["loc"]],
            item["type"],
            # This one message quotes the tag that was sent.
            "Unknown kind" if item["type"] == "union_tag_invalid" else item["msg"],
        )
        for item in found[:MAX_FINDINGS]
    ]


def of_text(fault: NotPlain) -> list[Finding]:
    """Give what the JSON parser found."""
    return [finding(list(fault.location), "json", fault.reason)]


def finding(place: list[str | int], kind: str, message: str) -> Finding:
    """Give one finding. Names that a caller made up are shown only while they look like names."""
    loc = [part if isinstance(part, int) or _LIKE_A_NAME.fullmatch(part) else "?" for part in place]
    return {"loc": loc, "type": kind, "message": message}


def sentence(findings: list[Finding]) -> str:
    """Say the first finding, and how many more there are."""
    first = findings[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{place}: {first['message']}.{more}" if place else f"{first['message']}."
