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

MAX_DEPTH = 200  # levels, as the strict parser has it
# What the strict parser lets pass: NUL, and numbers that overflow a double (its largest is 1.8e308). Those have an
# exponent of three digits, or 209 digits before one of two.
MAY_OVERFLOW = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{200}")
_NUL = b"\\u0000"

Location = tuple[str | int, ...]
_Items = Iterator[tuple[str | int, Any]]


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
    if _NUL in text or MAY_OVERFLOW.search(text):
        check(data)
    return data


def check(data: Any) -> None:
    """Refuse data that no JSON text can hold, or that no service should be sent. Raise NotPlain with the place."""
    for path, value in _walk(data):
        if isinstance(value, str):
            _refuse_characters(value, path)
        else:
            _refuse_infinite(value, path)


def refuse_infinite(data: Any) -> None:
    """Refuse numbers that are not finite. Raise NotPlain with the place."""
    for path, value in _walk(data):
        _refuse_infinite(value, path)


def _explain(text: bytes) -> None:
    """Find the place of a fault that the strict parser only reports: NaN, a lone surrogate. Raise NotPlain."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise NotPlain(f"The body is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        return
    check(data)


def _refuse_infinite(value: Any, path: list[str | int]) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise NotPlain("A number must be finite", tuple(path))


def _refuse_characters(value: str, path: list[str | int]) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotPlain("Text must not contain half a surrogate pair", tuple(path)) from None
    if "\0" in value:
        raise NotPlain("Text must not contain the character NUL", tuple(path), malformed=False)


def _walk(data: Any) -> Iterator[tuple[list[str | int], Any]]:
    """Yield every key and leaf with its place, in memory that grows with the depth only.

    The place is one list that changes as the walk goes on. Raise NotPlain where it is too deep.
    """
    path: list[str | int] = []
    items = _items(data)
    if items is None:
        yield path, data
        return
    stack = [items]
    while stack:
        for key, value in stack[-1]:
            if isinstance(key, str):
                yield path, key
            path.append(key)
            inner = _items(value)
            if inner is not None:
                if len(path) > MAX_DEPTH:
                    raise NotPlain(f"The data is nested deeper than {MAX_DEPTH} levels", tuple(path[:2]))
                stack.append(inner)
                break
            yield path, value
            path.pop()
        else:
            stack.pop()
            del path[len(stack) - 1 if stack else 0 :]


def _items(value: Any) -> "_Items | None":
    if isinstance(value, dict):
        return iter(value.items())
    return iter(enumerate(value)) if isinstance(value, list) else None
