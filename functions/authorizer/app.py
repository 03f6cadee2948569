"""Says who may call: the HTTP API's REQUEST authorizer, payload format 2.0, simple response.

A key is `id.secret`, sent as `x-api-key` or as `Authorization: Bearer`. Secrets Manager holds, under
`<prefix>/api-keys`, the SHA-256 of each secret: 256 random bits need no slow hash. When in doubt the door is closed.
"""

import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

CACHED_FOR = 60.0  # seconds after which a revoked key works no longer
STALE_FOR = 3600.0  # seconds the keys are used while Secrets Manager does not answer
ASK_AGAIN_AFTER = 10.0  # seconds between two tries while it does not: each try costs a caller its timeout
LONGEST_KEY = 256  # characters

# What an unknown id is compared with, so that it takes as long as a wrong secret. It is no digest of anything.
_NO_DIGEST = bytes(32)


def handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes it
    """Answer API Gateway. Never raises: a fault here would be a 500 for every caller."""
    try:
        if _is_preflight(event):
            return _verdict(allowed=True)
        key_id, _, secret = _sent_key(event["headers"]).partition(".")
        return _verdict(allowed=_is_known(key_id, secret), key_id=key_id)
    except Exception as error:  # noqa: BLE001  # closed, whatever it is; the text of an error may hold what was sent
        _log("authorizer failed", error)
        return _verdict(allowed=False)


def _is_preflight(event: Any) -> bool:
    """A browser's preflight carries no key. It passes where the API answers other origins, to no function but one."""
    asks = event["requestContext"]["http"]["method"] == "OPTIONS"
    return asks and bool(os.environ.get("INTEGRATIONS_CORS_ORIGINS"))


def _sent_key(headers: dict[str, str]) -> str:
    """Give the key that was sent, or nothing. A header that came twice is joined by a comma and is no key."""
    key = headers.get("x-api-key")
    if key is None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return ""
    key = key.strip()
    return key if len(key) <= LONGEST_KEY else ""


def _is_known(key_id: str, secret: str) -> bool:
    digest = keys.digests().get(key_id)
    sent = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    equal = hmac.compare_digest(sent, digest or _NO_DIGEST)
    return equal and digest is not None and bool(secret)


def _verdict(*, allowed: bool, key_id: str = "") -> dict[str, Any]:
    return {"isAuthorized": allowed, "context": {"keyId": key_id} if allowed and key_id else {}}


def _log(message: str, error: Exception) -> None:
    line = {"level": "ERROR", "service": "authorizer", "message": message, "exception_name": type(error).__name__}
    print(json.dumps(line), flush=True)  # noqa: T201  # standard output is Lambda's log


class Keys:
    """The digest of each key's secret, read once a minute. `clock` gives seconds.

    The wall clock, because the monotonic one may stand still while Lambda keeps the environment frozen.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Start again from nothing."""
        self._client: Any = None
        self._digests: dict[str, bytes] = {}
        self._read_at = self._ask_again_at = float("-inf")

    def digests(self) -> dict[str, bytes]:
        """Give them by key id; none at all where the secret is missing or damaged, or cannot be read at the start."""
        with self._lock:
            now = self._clock()
            if now >= self._ask_again_at:
                self._read(now)
            return self._digests

    def _read(self, now: float) -> None:
        try:
            self._digests = self._fetch()
            self._read_at, self._ask_again_at = now, now + CACHED_FOR
        except Exception as error:  # noqa: BLE001  # boto3 has many, and the value may be anything
            _log("the API keys could not be read", error)
            self._ask_again_at = now + ASK_AGAIN_AFTER
            # Whoever deletes or empties the secret wants nobody in: only an outage leaves the keys as they are.
            if not _is_outage(error) or now - self._read_at > STALE_FOR:
                self._digests = {}

    def _fetch(self) -> dict[str, bytes]:
        if self._client is None:
            import boto3
            from botocore.config import Config

            config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
            self._client = boto3.client("secretsmanager", config=config)
        name = f"{os.environ.get('INTEGRATIONS_PREFIX', 'integrations')}/api-keys"
        value = self._client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        records = json.loads(value["SecretString"])["keys"]
        return {key_id: bytes.fromhex(record["sha256"]) for key_id, record in records.items()}


def _is_outage(error: Exception) -> bool:
    """Say whether Secrets Manager failed to answer, rather than answered that there is nothing for us."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error.response.get("Error", {}).get("Code") == "ThrottlingException"
    return isinstance(error, BotoCoreError)


keys = Keys()


def forget() -> None:
    """Read the keys again at the next request."""
    keys.forget()
