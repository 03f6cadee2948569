"""The bundle's own bucket, for files that are too large for a reply or for a call.

Its objects expire after a day. The functions may read and write objects and nothing else: without the right to list,
S3 answers 403 for an object that is not there, so that is what a 403 for an object means here.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from integrations.errors import DependencyUnavailable, Misconfigured
from integrations.redaction import silence

_MISSING = ("NoSuchKey", "AccessDenied", "403", "404")
_AT_ONCE = 1 << 20  # bytes

_T = TypeVar("_T")


class Missing(Exception):
    """The bucket has no such object."""


class TooLarge(Exception):
    """The object is larger than was asked for."""


class Bucket(NamedTuple):
    """The bucket of that name. All of it ends by `deadline`, on the monotonic clock."""

    name: str
    deadline: float

    def get(self, key: str, max_bytes: int) -> tuple[bytes, str]:
        """Give an object's bytes and media type. Raise Missing, TooLarge, and DependencyUnavailable."""

        def read() -> tuple[bytes, str] | None:
            found = _s3().get_object(Bucket=self.name, Key=key)
            # As a context manager of its own it would give what is below, which does not notice that bytes are missing.
            with contextlib.closing(found["Body"]) as body:
                if found["ContentLength"] > max_bytes:
                    return None
                return b"".join(iter(lambda: body.read(_AT_ONCE), b"")), str(found.get("ContentType", ""))

        answer = self._within(read, missing=True)
        if answer is None:
            raise TooLarge
        return answer

    def put(self, key: str, content: bytes, media_type: str, name: str | None) -> None:
        """Leave an object. Raise DependencyUnavailable."""
        # As an attachment: a page or a drawing with a script is not shown under the address of the bucket.
        disposition = "attachment" + (f"; filename*=UTF-8''{quote(name, safe='')}" if name else "")

        def write() -> None:
            _s3().put_object(
                Bucket=self.name, Key=key, Body=content, ContentType=media_type, ContentDisposition=disposition
            )

        self._within(write, missing=False)

    def presigned(self, key: str, seconds: int) -> str:
        """Give a URL to download an object from for some time, as long as the role's own credentials hold."""
        return str(_s3().generate_presigned_url("get_object", {"Bucket": self.name, "Key": key}, ExpiresIn=seconds))

    def _within(self, work: Callable[[], _T], *, missing: bool) -> _T:
        """Do the work in time, or without waiting for it any longer: boto3 bounds a byte, not the whole."""
        done: list[_T] = []
        failed: list[BaseException] = []
        over = threading.Event()

        def run() -> None:
            try:
                done.append(work())
            except Exception as error:  # noqa: BLE001  # told apart below, in the thread that waits
                failed.append(error)
            over.set()

        threading.Thread(target=run, name="bucket", daemon=True).start()
        if not over.wait(max(0.0, self.deadline - time.monotonic())):
            raise DependencyUnavailable("S3 did not answer in time; call again.")
        if failed:
            raise _ours(failed[0], missing=missing) from None
        return done[0]


def _ours(error: BaseException, *, missing: bool) -> BaseException:
    """Give our error for one of boto3's; its text stays behind."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if missing and code in _MISSING:
            return Missing()
        if code in ("AccessDenied", "NoSuchBucket"):
            return Misconfigured(
                "The bundle's bucket cannot be used; check INTEGRATIONS_BUCKET and the role's s3:PutObject."
            )
    if isinstance(error, ClientError | BotoCoreError):
        return DependencyUnavailable("S3 did not do what it was asked; call again.")
    return error


_clients: list[Any] = []
_clients_lock = threading.Lock()


def close_client() -> None:
    """Close the connections that are kept; the next use makes a client anew."""
    with _clients_lock:
        while _clients:
            _clients.pop().close()


def _s3() -> Any:
    with _clients_lock:  # boto3 makes one client after the other
        if not _clients:
            _clients.append(_new_client())
        return _clients[0]


def _new_client() -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=1,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 2},
        signature_version="s3v4",
        # Left to itself boto3 writes the global endpoint into presigned URLs, which sends a new bucket's reader on to
        # another host than the one that is signed.
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    )
    client = boto3.client("s3", config=config)
    silence("boto3", "botocore", "urllib3", "s3transfer")  # at DEBUG they write URLs with their signatures
    return client
