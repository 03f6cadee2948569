"""Says who may call: the HTTP API's REQUEST authorizer, payload format 2.0, simple response.

A key is `id.secret`, sent as `x-api-key` or as `Authorization: Bearer`. Secrets Manager holds under `<prefix>/api-keys`
`{"keys": {id: {"sha256", "scopes"?, "expires"?, …}}}`: of each secret the SHA-256 (256 random bits need no slow hash),
the calls that the key may make as globs on `provider.method`, and the moment from which it is over. What is absent
bounds nothing; what cannot be read closes the key. When in doubt the door is closed.

The door tells providers apart. The methods of a provider are told apart by its function, which is handed the scopes.
"""

import hashlib
import hmac
import json
import os
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase

from functions.authorizer import secrets_manager

# Loading `typing` would be a twentieth of the start; type checkers know this name wherever it comes from.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CACHED_FOR = 60.0  # seconds after which a revoked key works no longer
STALE_FOR = 3600.0  # seconds the keys are used while Secrets Manager does not answer
ASK_AGAIN_AFTER = 10.0  # seconds between two tries while it does not: each try costs a caller its timeout
LONGEST_KEY = 256  # characters

# `provider.method`, each part a name with * for any characters and ? for one; a provider alone means all its methods.
_SCOPE = re.compile(r"([a-z0-9_*?]{1,64})(?:\.([a-z0-9_*?]{1,64}))?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROUTES_OF_A_PROVIDER = ("execute", "integrations")

# What an unknown id is compared with, so that it takes as long as a wrong secret. It is no digest of anything.
_NO_DIGEST = bytes(32)


class Key:
    """What is stored of a key. Raise ValueError where any of the record is damaged.

    `scopes` are in their long form, `provider.method`; `expires` is in seconds since 1970.
    """

    def __init__(self, record: "Any") -> None:
        digest = record.get("sha256") if isinstance(record, dict) else None
        if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
            raise ValueError("sha256 is no digest")
        self.digest = bytes.fromhex(digest)
        self.scopes = long_scopes(record["scopes"]) if "scopes" in record else None
        self.expires = _moment(record["expires"]) if "expires" in record else None

    def is_over(self, now: float) -> bool:
        """Say whether the key has expired."""
        return self.expires is not None and now >= self.expires

    def names(self, provider: str | None) -> bool:
        """Say whether a scope names the provider; no provider is no bound."""
        if self.scopes is None or provider is None:
            return True
        return any(fnmatchcase(provider, scope.partition(".")[0]) for scope in self.scopes)


def long_scopes(given: "Any") -> tuple[str, ...]:
    """Give a list of scopes in their long form, `provider.method`. Raise ValueError where it is no such list."""
    found = [_SCOPE.fullmatch(scope) for scope in given if isinstance(scope, str)] if isinstance(given, list) else []
    if not found or len(found) != len(given) or None in found:
        raise ValueError("scopes is no list of PROVIDER[.METHOD]")
    return tuple(f"{scope[1]}.{scope[2] or '*'}" for scope in found if scope)


def _moment(given: "Any") -> float:
    moment = datetime.fromisoformat(given) if isinstance(given, str) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("expires is no moment with an offset")
    return moment.timestamp()


def handler(event: "Any", context: "Any") -> "dict[str, Any]":  # noqa: ARG001  # Lambda passes it
    """Answer API Gateway. Never raises: a fault here would be a 500 for every caller."""
    try:
        if _is_preflight(event):
            return _verdict(allowed=True)
        return _judged(event)
    except Exception as error:  # noqa: BLE001  # closed, whatever it is; the text of an error may hold what was sent
        _log("ERROR", "authorizer failed", exception_name=type(error).__name__)
        return _verdict(allowed=False)


def _judged(event: "Any") -> "dict[str, Any]":
    key_id, _, secret = _sent_key(event["headers"]).partition(".")
    key = keys.known().get(key_id)
    # An unknown id goes the same way as a wrong secret; only who has the secret gets beyond, to what the record says.
    sent = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    equal = hmac.compare_digest(sent, key.digest if key else _NO_DIGEST)
    if not (equal and key and secret):
        return _verdict(allowed=False)
    reason = "expired" if key.is_over(keys.now()) else None if key.names(_provider(event)) else "out of scope"
    if reason:
        # The key is somebody's own, so this floods no log, and else nobody could find out.
        request_id = event["requestContext"].get("requestId")
        _log("WARNING", "key refused", key_id=key_id, reason=reason, request_id=request_id)
        return _verdict(allowed=False)
    return _verdict(allowed=True, key_id=key_id, scopes=key.scopes)


def _is_preflight(event: "Any") -> bool:
    """A browser's preflight carries no key. It passes where the API answers other origins, to no function but one."""
    asks = event["requestContext"]["http"]["method"] == "OPTIONS"
    return asks and bool(os.environ.get("INTEGRATIONS_CORS_ORIGINS"))


def _sent_key(headers: dict[str, str]) -> str:
    """Give the key that was sent, or nothing. A header that came twice is joined by a comma and is no key."""
    # API Gateway writes names in lower case, that of `sam local start-api` in title case.
    headers = {name.lower(): value for name, value in headers.items()}
    key = headers.get("x-api-key")
    if key is None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return ""
    key = key.strip()
    return key if len(key) <= LONGEST_KEY else ""


def _provider(event: "Any") -> str | None:
    """Name the provider that the route is about, if it is about one: by its variable, else by the path."""
    named = (event.get("pathParameters") or {}).get("provider")
    # A stage that has a name is the first part of every path.
    path = event["rawPath"].removeprefix(f"/{event['requestContext'].get('stage')}/").removeprefix("/").split("/")
    return named or (path[1] if len(path) > 1 and path[0] in _ROUTES_OF_A_PROVIDER else None)


def _verdict(*, allowed: bool, key_id: str = "", scopes: tuple[str, ...] | None = None) -> "dict[str, Any]":
    context = {"keyId": key_id} if key_id else {}
    return {"isAuthorized": allowed, "context": context | ({"scopes": " ".join(scopes)} if scopes else {})}


def _log(level: str, message: str, **facts: "Any") -> None:
    line = {"level": level, "service": "authorizer", "message": message, **facts}
    print(json.dumps(line), flush=True)  # noqa: T201  # standard output is Lambda's log


class Keys:
    """The keys by id, read once a minute. `clock` gives seconds since 1970.

    The wall clock, because expiry is a date, and because the monotonic one may stand still while Lambda keeps the
    environment frozen.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.now = clock
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Start again from nothing."""
        self._keys: dict[str, Key] = {}
        self._read_at = self._ask_again_at = float("-inf")

    def known(self) -> dict[str, Key]:
        """Give them; none at all where the secret is missing or damaged, or cannot be read at the start."""
        with self._lock:
            now = self.now()
            if now >= self._ask_again_at:
                self._read(now)
            return self._keys

    def _read(self, now: float) -> None:
        try:
            name = f"{os.environ.get('INTEGRATIONS_PREFIX', 'integrations')}/api-keys"
            self._keys = _parsed(secrets_manager.read(name))
            self._read_at, self._ask_again_at = now, now + CACHED_FOR
        except Exception as error:  # noqa: BLE001  # the value may be anything, and every doubt closes the door
            outage = isinstance(error, secrets_manager.ReadError) and error.outage
            code = str(error) if isinstance(error, secrets_manager.ReadError) else type(error).__name__
            _log("ERROR", "the API keys could not be read", exception_name=code)
            self._ask_again_at = now + ASK_AGAIN_AFTER
            # Whoever deletes or empties the secret wants nobody in: only an outage leaves the keys as they are.
            if not outage or now - self._read_at > STALE_FOR:
                self._keys = {}


def _parsed(text: str) -> dict[str, Key]:
    """Read the secret's value. A damaged record closes its own key, and no other."""
    found = {}
    for key_id, record in json.loads(text)["keys"].items():
        try:
            found[key_id] = Key(record)
        except (ValueError, OverflowError):
            _log("ERROR", "the record of a key is damaged; make another key", key_id=key_id)
    return found


keys = Keys()


def forget() -> None:
    """Read the keys again at the next request."""
    keys.forget()
