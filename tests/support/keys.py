"""API keys that must not open anything: a hundred wrong ones, each told apart by what is wrong with it."""

import hashlib
import random
import secrets
from collections.abc import Iterator

Headers = list[tuple[str, str]]


def wrong_keys(valid: str, other: str, digest: str, count: int = 100) -> dict[str, Headers]:
    """Give headers that carry no valid key, by what is wrong with them and with those that nobody planned.

    `valid` and `other` are keys that are let in, `digest` is what is stored of `valid`.
    """
    wrong = {name: [("x-api-key", key)] for name, key in _keys(valid, other, digest).items()} | _other_headers(valid)
    chance = random.Random(count)  # noqa: S311  # the same keys in each run
    alphabet = [chr(code) for code in range(33, 127)]
    while len(wrong) < count:
        key = "".join(chance.choices(alphabet, k=chance.randrange(1, 120)))
        if key not in (valid, other):
            wrong[f"random {len(wrong)}"] = [("x-api-key", key)]
    return wrong


def _keys(valid: str, other: str, digest: str) -> dict[str, str]:
    key_id, _, secret = valid.partition(".")
    other_id, _, other_secret = other.partition(".")
    return {
        "nothing": "",
        "a space": f"{key_id}. {secret}",
        "a dot": ".",
        "the id": key_id,
        "the id and a dot": f"{key_id}.",
        "the secret": secret,
        "a dot and the secret": f".{secret}",
        "another key's secret": f"{key_id}.{other_secret}",
        "another key's id": f"{other_id}.{secret}",
        "an unknown id": f"{secrets.token_hex(6)}.{secret}",
        "an unknown key": f"{secrets.token_hex(6)}.{secrets.token_urlsafe(32)}",
        "upper case": f"{key_id.upper()}x.{secret}",
        "secret in another case": f"{key_id}.{secret.swapcase()}",
        "the hash": digest,
        "the hash as the secret": f"{key_id}.{digest}",
        "the hash of the whole key": f"{key_id}.{hashlib.sha256(valid.encode()).hexdigest()}",
        "both keys": f"{valid},{other}",
        "the key twice": f"{valid}, {valid}",
        "the key and more": f"{valid}.{secret}",
        "over-long": valid + "x" * 4000,
        "over-long id": "x" * 4000 + f".{secret}",
        "quoted": f'"{valid}"',
        "as a scheme": f"Bearer {valid}",
        "in Latin letters": f"{key_id}.\xe9\xff{secret}",
        "escaped": f"{key_id}%2E{secret}",
        "a glob": "*.*",
        "JSON": f'{{"{key_id}": "{secret}"}}',
        "a path": f"../{valid}",
        "nobody": "null",
        **{f"wrong in place {place}": name for place, name in _changed(key_id, secret)},
        **{f"cut to {length}": f"{key_id}.{secret[:length]}" for length in range(1, len(secret), 6)},
    }


def _changed(key_id: str, secret: str) -> Iterator[tuple[int, str]]:
    """Give the key with one character of its secret changed, here and there."""
    for place in range(0, len(secret), 4):
        changed = "A" if secret[place] != "A" else "B"
        yield place, f"{key_id}.{secret[:place]}{changed}{secret[place + 1 :]}"


def _other_headers(valid: str) -> dict[str, Headers]:
    """Give headers in which even a valid key is none."""
    return {
        "no header": [],
        "the header twice": [("x-api-key", valid), ("x-api-key", valid)],
        "a wrong and a right one": [("x-api-key", "wrong"), ("x-api-key", valid)],
        "no scheme": [("authorization", valid)],
        "another scheme": [("authorization", f"Basic {valid}")],
        "a scheme alone": [("authorization", "Bearer")],
        "two schemes": [("authorization", f"Bearer Bearer {valid}")],
        "a wrong one in front": [("x-api-key", "wrong"), ("authorization", f"Bearer {valid}")],
        "another header": [("api-key", valid)],
        "a cookie": [("cookie", f"x-api-key={valid}")],
    }
