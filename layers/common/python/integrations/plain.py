"""JSON text to plain data, with the traps refused.

Python's own parser takes NaN, reads `1e400` as infinity, keeps lone surrogates that no encoder writes again, and
dies of 100,000 brackets. Here all of that is an error that says where.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

MAX_DEPTH = 64

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


def parse_request(text: bytes) -> Any:
    """Parse JSON text from a caller, naming the place of what is wrong. Raise NotPlain."""
    try:
        data = from_json(text, allow_inf_nan=False)
    except ValueError:
        _explain(text)
        raise NotPlain("The body is not JSON") from None
    check(data)
    return data


def check(data: Any) -> None:
    """Refuse data that no JSON text can hold, or that no service should be sent. Raise NotPlain with the place."""
    for location, value in _walk(data):
        _refuse_infinite(value, location)
        if isinstance(value, str):
            _refuse_characters(value, location)


def refuse_infinite(data: Any) -> None:
    """Refuse numbers that are not finite. Raise NotPlain with the place."""
    for location, value in _walk(data):
        _refuse_infinite(value, location)


def _explain(text: bytes) -> None:
    """Find the place of a fault that the strict parser only reports: NaN, a lone surrogate. Raise NotPlain."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise NotPlain(f"The body is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        return
    check(data)


def _refuse_infinite(value: Any, location: Location) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise NotPlain("A number must be finite", location)


def _refuse_characters(value: str, location: Location) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotPlain("Text must not contain half a surrogate pair", location) from None
    if "\0" in value:
        raise NotPlain("Text must not contain the character NUL", location, malformed=False)


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
