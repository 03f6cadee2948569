"""Secrets in what leaves the process."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.redaction import MASK, redact, remembered

SECRET = 'pä$$ "word"/+=?&'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(json.dumps(SECRET)),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        quote(quote(SECRET, safe=""), safe=""),
        quote(SECRET, safe="").encode().hex(),
        base64.b64encode(quote(SECRET, safe="").encode()).decode(),
        quote(base64.b64encode(SECRET.encode()).decode(), safe=""),
    ],
)
def test_a_remembered_value_is_masked_in_each_form(form: str) -> None:
    remembered.append(SECRET)
    shown = redact(f"before {form} after")
    assert form not in shown
    assert MASK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_a_value_inside_base64_of_something_longer_is_masked(before: bytes, after: bytes) -> None:
    remembered.append("value-of-a-credential")
    encoded = base64.b64encode(before + b"value-of-a-credential" + after).decode()
    assert MASK in redact(encoded)


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "sk-proj-abcdefghijklmnopqrstu",
        "xoxb-123456789012-abcdef",
        "ghp_" + "a" * 36,
        "AIza" + "b" * 35,
        "ASIAIOSFODNN7EXAMPLE",
        "gho_" + "a" * 36,
        "github_pat_" + "a" * 22,
        "SG." + "a" * 22 + ".b",
        "whsec_" + "a" * 12,
        "bearer abcdefgh12345678",
        "https://api.example.com/?a=b&API_KEY=0123456789",
        "key-" + "0123456789abcdef" * 2,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "Authorization: Bearer abcdefgh12345678",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "https://user:hunter2@example.com/",
        "https://api.example.com/?appid=0123456789&units=metric",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_key_is_masked_unremembered(text: str) -> None:
    assert MASK in redact(text)


@pytest.mark.parametrize(
    "text", ["a plain sentence", '{"query": "Ada Lovelace", "ms": 12.5}', "https://example.com/a?b=c"]
)
def test_other_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_short_values_do_not_blank_out_words() -> None:
    remembered.append("tea")
    assert redact("a cup of tea") == "a cup of tea"
