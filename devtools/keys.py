"""API keys: `id.secret`, of which only the SHA-256 of the secret is stored.

    {"keys": {id: {"sha256", "created", "label"?, "scopes"?: ["provider.method"], "expires"?: moment in UTC}}}

What a record means is up to functions/authorizer/app.py, which closes a key whose record it cannot read.
"""

import hashlib
import json
import re
import secrets
import time
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from devtools.errors import UsageError
from devtools.project import FUNCTIONS
from functions.authorizer.app import Key, long_scopes

MOST_SCOPES = 50
"""API Gateway passes them on in a context of limited size."""

_SPAN = re.compile(r"([0-9]{1,6})([dh])")

Record = dict[str, Any]


def generate() -> str:
    """Give a new key, its secret 256 bits long. Neither part holds a dot."""
    return f"{secrets.token_hex(6)}.{secrets.token_urlsafe(32)}"


def record(
    key: str, label: str | None = None, scopes: list[str] | None = None, expires: datetime | None = None
) -> tuple[str, Record]:
    """Give the key's id and what is stored for it. What is absent bounds nothing."""
    key_id, _, secret = key.partition(".")
    entry = {
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "created": _written(datetime.now(UTC)),
        "label": label or None,
        "scopes": scopes,
        "expires": None if expires is None else _written(expires),
    }
    return key_id, {name: value for name, value in entry.items() if value is not None}


def is_key(text: str) -> bool:
    """Say whether the text can be a key: two parts of printable ASCII around the first dot."""
    key_id, _, secret = text.partition(".")
    return bool(key_id and secret) and text.isascii() and text.isprintable() and " " not in text


def added(value: dict[str, Any] | None, entry: tuple[str, Record]) -> dict[str, Any]:
    """Give the secret's value with the key."""
    return {"keys": records(value) | dict([entry])}


def without(value: dict[str, Any] | None, key_id: str) -> dict[str, Any]:
    """Give the secret's value without the key of that id."""
    return {"keys": {name: entry for name, entry in records(value).items() if name != key_id}}


def records(value: dict[str, Any] | None) -> dict[str, Record]:
    """Give the keys of the secret's value, empty where there is none."""
    keys = (value or {}).get("keys")
    return keys if isinstance(keys, dict) else {}


# What a person may say of a key.


def read_scopes(given: tuple[str, ...]) -> list[str]:
    """Give scopes in their long form, `provider.method`. Raise UsageError where one fits no method of the bundle."""
    methods = _methods()
    if len(given) > MOST_SCOPES:
        raise UsageError(f"A key takes at most {MOST_SCOPES} scopes; * says more with fewer.")
    scopes = []
    for number, text in enumerate(given, 1):
        try:
            [scope] = long_scopes([text])
        except ValueError:
            scope = ""
        if not any(fnmatchcase(name, scope) for name in methods):
            raise UsageError(
                f"--scope {number} fits no method of the bundle. A scope is PROVIDER or PROVIDER.METHOD, with * for "
                f"any characters and ? for one; there are: {', '.join(methods)}."
            )
        scopes.append(scope)
    return list(dict.fromkeys(scopes))


def _methods() -> list[str]:
    """Name every method, from the catalog: it takes no import of the providers, and it is what is deployed."""
    catalog = json.loads((FUNCTIONS / "registry" / "catalog.json").read_text(encoding="utf-8"))
    return [f"{entry['provider']}.{method['method']}" for entry in catalog["providers"] for method in entry["methods"]]


def read_expiry(text: str) -> datetime:
    """Give the moment of a span from now, a day (its start) or an ISO 8601 moment, in UTC where no offset is named.

    Raise UsageError where it is none of these, or is not to come.
    """
    now = datetime.now(UTC)
    try:
        if span := _SPAN.fullmatch(text):
            moment = now + timedelta(**{{"d": "days", "h": "hours"}[span[2]]: int(span[1])})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            "--expires is a span such as 30d or 12h, a day such as 2027-01-31, or a moment such as "
            "2027-01-31T18:00:00+01:00."
        ) from None
    if moment <= now:
        raise UsageError("--expires is not in the future: a key like that would never work.")
    return moment


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


# What a person sees of them.


def listing(found: dict[str, Record]) -> list[str]:
    """Give a line for each key, in columns, under a line of heads; nothing where there is no key."""
    rows = [[key_id, *_described(entry)] for key_id, entry in found.items()]
    if not rows:
        return []
    rows.insert(0, ["ID", "CREATED", "EXPIRES", "SCOPES", "LABEL"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _described(entry: Record) -> list[str]:
    try:
        key = Key(entry)
    except (ValueError, OverflowError):
        return ["-", "damaged", "-", "revoke it and make another one"]
    expires = "never" if key.expires is None else _written(datetime.fromtimestamp(key.expires, UTC))
    over = " (over)" if key.is_over(time.time()) else ""
    scopes = "everything" if key.scopes is None else ",".join(key.scopes)
    return [str(entry.get("created", "-")), expires + over, scopes, str(entry.get("label", ""))]
