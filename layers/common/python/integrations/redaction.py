"""Keep secrets out of whatever leaves the process: by value, in the forms they travel in, and by pattern.

Values are appended to `remembered` when a setup is read. The log's formatter calls `redact` on every text it is
given, so it does not matter which line, or how deep in it, a value sits.
"""

import base64
import functools
import json
import logging
import re
from collections import deque
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
# Shorter values would blank out ordinary words; a credential this short protects nothing.
_MIN_LENGTH = 6
# Credentials that one environment keeps in mind: as many as the clients it keeps, twice.
_MAX_VALUES = 64

# What keys look like, each behind a piece in lower case that every one of them holds: looking for the pieces first
# costs a log line 2 us, matching all patterns 70.
_PATTERNS = [
    (piece, re.compile(pattern))
    for piece, pattern in (
        ("akia", r"\bAKIA[A-Z0-9]{16}\b"),
        ("asia", r"\bASIA[A-Z0-9]{16}\b"),
        ("sk-", r"\bsk-[A-Za-z0-9_-]{20,}"),
        ("xox", r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
        ("gh", r"\bgh[pousr]_[A-Za-z0-9]{36}"),
        ("github_pat_", r"\bgithub_pat_\w{20,}"),
        ("aiza", r"\bAIza[0-9A-Za-z_-]{35}"),
        ("sg.", r"\bSG\.[\w-]{22}\.[\w-]+"),
        ("key-", r"\bkey-[0-9a-f]{32}\b"),
        ("whsec_", r"\bwhsec_[A-Za-z0-9+/=]{10,}"),
        ("eyj", r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"),
        ("bearer", r"(?i:\bBearer)\s+[^\s\"']{8,}"),
        ("basic", r"(?i:\bBasic)\s+[A-Za-z0-9+/=]{8,}"),
        ("private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*"),
        ("://", r"(?<=://)[^/\s:@\"]+:[^@\s\"]+(?=@)"),
        (
            "=",
            r"(?i:(?<=[?&])(?:api_?key|token|secret|password|sig|signature|appid|access_token)=)[^&\s\"']+",
        ),
    )
]

remembered: deque[str] = deque(maxlen=_MAX_VALUES)
"""The secret values in use: whoever reads one appends it, and the oldest falls out."""


def redact(text: str) -> str:
    """Give `text` with every remembered value, in any of its forms, and everything that looks like a key masked."""
    for value in tuple(remembered):
        for form in forms(value):
            if form in text:
                text = text.replace(form, MASK)
    return _without_keys(text)


def looks_like_a_key(text: str) -> bool:
    """Say whether any vendor's form of a key is in `text`."""
    return _without_keys(text) != text


def _without_keys(text: str) -> str:
    lowered = text.lower()
    for piece, pattern in _PATTERNS:
        if piece in lowered:
            text = pattern.sub(MASK, text)
    return text


def silence(*libraries: str) -> None:
    """Keep libraries from logging, whatever level is set: they write whole URLs, headers, bodies and signatures.

    To be called once their modules are there; a logger that is made later writes nothing below WARNING.
    """
    for name in libraries:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in libraries:
            logging.getLogger(name).disabled = True


@functools.lru_cache(maxsize=2 * _MAX_VALUES)
def forms(value: str) -> tuple[str, ...]:
    """Give the forms in which a value travels, the longest first; none for one that is too short to be a secret."""
    if len(value) < _MIN_LENGTH:
        return ()
    found: set[str] = set()
    # A key that a service takes in the query of a URL is repeated, and encoded again, in the form that it has there.
    for spelled in {value, quote(value, safe="")}:
        raw = spelled.encode()
        found |= {spelled, quote(spelled), quote(spelled, safe=""), quote_plus(spelled), raw.hex(), raw.hex().upper()}
        for ascii_only in (True, False):
            once = json.dumps(spelled, ensure_ascii=ascii_only)[1:-1]
            found.update((once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]))  # a log line holds JSON inside JSON
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            cores = {_base64_core(encode(b"\0" * shift + raw).decode(), shift) for shift in range(3)}
            # A header that a service repeats inside of a URL has its pluses and slashes encoded.
            found |= {form for core in cores for form in (core, quote(core), quote(core, safe=""))}
    # The longest first, so that no form is masked in half by a shorter one.
    return tuple(sorted((form for form in found if len(form) >= _MIN_LENGTH), key=len, reverse=True))


def _base64_core(encoded: str, shift: int) -> str:
    """Drop the characters that depend on the neighbours: base64 of "user:SECRET" holds SECRET at an offset."""
    start = (0, 2, 3)[shift]
    core = encoded.rstrip("=")
    return core[start:-1] if len(core) < len(encoded) else core[start:]
