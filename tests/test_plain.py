"""JSON text to plain data, from callers and from services."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.decoding import Undecodable
from integrations.plain import NotPlain, check, parse_request
from integrations.replies import strict_json

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
PLAIN = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@given(PLAIN)
def test_plain_data_passes_unchanged(data: object) -> None:
    text = json.dumps(data).encode()
    assert strict_json(text) == parse_request(text) == data
    check(data)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_parsed_or_refused(text: bytes) -> None:
    for read in (strict_json, parse_request):
        with contextlib.suppress(NotPlain, Undecodable):
            json.dumps(read(text), allow_nan=False).encode()


@pytest.mark.parametrize(
    ("text", "location"),
    [
        (b'{"a": [1, NaN]}', ("a", 1)),
        (b'{"a": {"b": -Infinity}}', ("a", "b")),
        (b'{"a": 1e999}', ("a",)),
        (b'{"a": "\\ud800x"}', ("a",)),
        (b'{"a": "\\u0000"}', ("a",)),
        (b'["\\u0000"]', (0,)),
    ],
)
def test_the_place_of_a_fault_is_named(text: bytes, location: tuple[str | int, ...]) -> None:
    with pytest.raises(NotPlain) as raised:
        parse_request(text)
    assert raised.value.location == location


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000]
)
def test_depth_is_refused_in_both_directions(text: bytes) -> None:
    for read in (strict_json, parse_request):
        with pytest.raises((NotPlain, Undecodable)):
            read(text)


def test_depth_of_data_that_is_no_text() -> None:
    data: object = 1
    for _ in range(100_000):
        data = [data]
    with pytest.raises(NotPlain):
        check(data)


def test_large_numbers_that_fit_pass() -> None:
    assert strict_json(b"[1e308, 1e-999, 12345678901234567890123]") == [1e308, 0.0, 12345678901234567890123]
