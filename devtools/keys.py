"""API keys: `id.secret`, of which only the SHA-256 of the secret is stored."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

Record = dict[str, str]


def generate() -> str:
    """Give a new key, its secret 256 bits long. Neither part holds a dot."""
    return f"{secrets.token_hex(6)}.{secrets.token_urlsafe(32)}"


def record(key: str, label: str | None = None) -> tuple[str, Record]:
    """Give the key's id and what is stored for it."""
    key_id, _, secret = key.partition(".")
    entry = {
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return key_id, entry | ({"label": label} if label else {})


def is_key(text: str) -> bool:
    """Say whether the text can be a key: two parts of printable ASCII around the first dot."""
    key_id, _, secret = text.partition(".")
    return bool(key_id and secret) and text.isascii() and text.isprintable() and " " not in text


def added(value: dict[str, Any] | None, key: str, label: str | None) -> dict[str, Any]:
    """Give the secret's value with the key."""
    return {"keys": records(value) | dict([record(key, label)])}


def without(value: dict[str, Any] | None, key_id: str) -> dict[str, Any]:
    """Give the secret's value without the key of that id."""
    return {"keys": {name: entry for name, entry in records(value).items() if name != key_id}}


def records(value: dict[str, Any] | None) -> dict[str, Record]:
    """Give the keys of the secret's value, empty where there is none."""
    return dict((value or {}).get("keys", {}))
