"""JSON text to plain data, with the traps refused.

Python's own parser takes NaN, reads `1e400` as infinity, keeps lone surrogates that no encoder writes again, and
dies of 100,000 brackets. Here all of that is an error that says where.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

MAX_DEPTH = 64
# Only an exponent of three digits or an integer part of 309 can overflow a double (its largest is 1.8e308).
_MAY_OVERFLOW = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{309}")

Location = tuple[str | int, ...]


class NotPlain(ValueError):
    """The text or the data is not plain JSON. `reason` is ours; `location` is where, when it is known.

    `malformed` is False where the text is JSON and holds something that no service should be sent.
    """

    def __init__(self, reason: str, location: Location = (), *, malformed: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.location = location
        self.malformed = malformed


def parse(text: bytes) -> Any:
    """Parse JSON text from a service: strict, finite, at most some 200 levels deep. Raise NotPlain."""
    try:
        data = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise NotPlain("The text is not JSON") from None
    if _MAY_OVERFLOW.search(text):
        _refuse_faults(data, text_too=False)
    return data


def parse_request(text: bytes) -> Any:
    """Parse JSON text from a caller: as `parse`, and naming the place of what is wrong. Raise NotPlain."""
    try:
        data = from_json(text, allow_inf_nan=False)
    except ValueError:
        _explain(text)
        raise NotPlain("The body is not JSON") from None
    check(data)
    return data


def check(data: Any) -> None:
    """Refuse data that no JSON text can hold, or that no service should be sent. Raise NotPlain with the place."""
    _refuse_faults(data, text_too=True)


def _explain(text: bytes) -> None:
    """Find the place of a fault that the strict parser only reports: NaN, a lone surrogate. Raise NotPlain."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise NotPlain(f"The body is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        return
    check(data)


def _refuse_faults(data: Any, *, text_too: bool) -> None:
    for location, value in _walk(data):
        if isinstance(value, float) and not math.isfinite(value):
            raise NotPlain("A number must be finite", location)
        if text_too and isinstance(value, str) and not value.isascii():
            _refuse_surrogates(value, location)
        if text_too and isinstance(value, str) and "\0" in value:
            raise NotPlain("Text must not contain the character NUL", location, malformed=False)


def _refuse_surrogates(value: str, location: Location) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotPlain("Text must not contain half a surrogate pair", location) from None


def _walk(data: Any) -> Iterator[tuple[Location, Any]]:
    """Yield every key and leaf with its place, without recursion. Raise NotPlain where it is too deep."""
    stack: list[tuple[Location, Any]] = [((), data)]
    while stack:
        location, value = stack.pop()
        if len(location) > MAX_DEPTH:
            raise NotPlain(f"The data is nested deeper than {MAX_DEPTH} levels", location[:2])
        if isinstance(value, dict):
            for key, item in value.items():
                yield location, key
                stack.append(((*location, key), item))
        elif isinstance(value, list):
            stack.extend(((*location, index), item) for index, item in enumerate(value))
        else:
            yield location, value
