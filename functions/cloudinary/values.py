"""What is in a transformation: texts, numbers, expressions, each refused where it would part what it stands in."""

import base64
import re
from typing import Any, NoReturn
from urllib.parse import quote

from integrations.errors import InvalidArguments
from integrations.findings import finding, sentence

Place = tuple[str | int, ...]

_OPERATORS = {
    "=": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "lte", ">=": "gte", "&&": "and", "||": "or", "*": "mul",
    "/": "div", "+": "add", "-": "sub", "^": "pow",
}  # fmt: skip
_VARIABLES = {
    "aspect_ratio": "ar", "current_page": "cp", "face_count": "fc", "height": "h", "initial_aspect_ratio": "iar",
    "trimmed_aspect_ratio": "tar", "initial_height": "ih", "initial_width": "iw", "page_count": "pc", "page_x": "px",
    "page_y": "py", "width": "w", "duration": "du", "initial_duration": "idu", "illustration_score": "ils",
    "context": "ctx",
}  # fmt: skip
_VARIABLES |= {re.sub(r"_(\w)", lambda match: match[1].upper(), name): short for name, short in _VARIABLES.items()}
# An operator stands before a gap; what begins with $ is a caller's own variable and stays as it is.
_WORD = re.compile(
    rf"(?P<operator>{'|'.join(map(re.escape, sorted(_OPERATORS, key=len, reverse=True)))})(?=[ _])"
    rf"|\$_*[^_ ]+|(?<![$:])(?P<variable>{'|'.join(sorted(_VARIABLES, key=len, reverse=True))})"
)
# What a value may hold: nothing that parts values, components or the parts of a URL.
_VALUE = re.compile(r"(?:[A-Za-z0-9_.:$!|^*()~@;=+-]|%[0-9A-Fa-f]{2})+")
_RAW = re.compile(rf"{_VALUE.pattern}(?:[,/]{_VALUE.pattern})*")


def refuse(place: Place, why: str) -> NoReturn:
    """Refuse what an argument holds at this place."""
    found = [finding(["arguments", *place], "option", why)]
    raise InvalidArguments(sentence(found), errors=found)


def expression(value: Any) -> str:
    """Write an expression: operators and Cloudinary's variables by their short names. A text in `!` stays."""
    text = str(value)
    if re.fullmatch(r"!.+!", text):
        return text
    translated = _WORD.sub(
        lambda match: (
            _OPERATORS[match["operator"]]
            if match["operator"]
            else _VARIABLES[match["variable"]]
            if match["variable"]
            else match[0]
        ),
        text,
    )
    return re.sub(r"[ _]+", "_", translated)


def escaped(text: str) -> str:
    """Percent-encode a public id as Cloudinary's packages do, which the signature depends on."""
    return quote(text, safe="/:").replace("~", "%7E")


def checked(text: str, place: Place) -> str:
    """Give the text of a value. Raise InvalidArguments where it would part values, components or the URL."""
    if text and not _VALUE.fullmatch(text):
        refuse(place, "Has a character that no option can have; a text goes into overlay, as its text")
    return text


def raw(value: Any, place: Place) -> str:
    """Give a transformation as URLs have it. Raise InvalidArguments where it is none."""
    text = scalar(value, place)
    if text and (not _RAW.fullmatch(text) or {".", ".."} & {*text.split("/")}):
        refuse(place, "Not a transformation as URLs have it, such as c_fill,w_300/e_sepia")
    return text


def scalar(value: Any, place: Place) -> str:
    """Give a text or a number as text. Raise InvalidArguments for anything else."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        refuse(place, "Neither a text nor a number")
    return str(value)


def items(value: Any, place: Place) -> list[str]:
    """Give the items of a list, or the one that is given by itself. Raise InvalidArguments."""
    return [scalar(item, place) for item in (value if isinstance(value, list) else [value])]


def members(value: Any, place: Place, *names: str) -> dict[str, Any]:
    """Give the members of an object that are not null. Raise InvalidArguments for one of another name."""
    if not isinstance(value, dict) or not value.keys() <= {*names}:
        refuse(place, f"Not an object of {', '.join(names)}")
    return {name: item for name, item in value.items() if item is not None}


def base64url(text: str) -> str:
    """Write a URL or a name as base64, in the alphabet of URLs."""
    return base64.urlsafe_b64encode(text.encode()).decode()
