"""What validation found, told without any input: the place, the type, the message."""

import re
from typing import Any

from pydantic import ValidationError

from integrations.plain import NotPlain
from integrations.redaction import looks_like_a_key

Finding = dict[str, Any]

MAX_FINDINGS = 20

# A name that a caller made up is shown only while it looks like one, and never like a key.
_LIKE_A_NAME = re.compile(r"(?!.*[0-9]{4})[A-Za-z_][A-Za-z0-9_.-]{0,39}")


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
    """Give one finding, with "?" for a name in its place that may be no name."""
    return {"loc": [_shown(part) for part in place], "type": kind, "message": message}


def _shown(part: str | int) -> str | int:
    if isinstance(part, int) or (_LIKE_A_NAME.fullmatch(part) and not looks_like_a_key(part)):
        return part
    return "?"


def sentence(findings: list[Finding]) -> str:
    """Say the first finding, and how many more there are."""
    first = findings[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{place}: {first['message']}.{more}" if place else f"{first['message']}."
