"""Where secrets are kept: in the local store, or in a deployed stack's Secrets Manager.

Names are without the stack's prefix: `algolia/default`, `api-keys`.
"""

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from devtools.errors import CommandError

API_KEYS = "api-keys"

Value = dict[str, Any]


class StoreError(CommandError):
    """The store cannot be used; the text says what to do."""


class SecretStore(Protocol):
    """What the commands for secrets and keys need."""

    def names(self) -> list[str]:
        """Name every secret."""

    def get(self, name: str) -> Value | None:
        """Give a secret's value, or None where there is none of that name."""

    def update(self, name: str, change: Callable[[Value | None], Value]) -> None:
        """Store what `change` makes of the present value, or of None where there is none."""

    def delete(self, name: str) -> bool:
        """Remove a secret; say whether there was one."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A stored value with its version id, which survives a restart as it does in AWS."""

    version: str
    value: Value


class LocalStore:
    """The secrets of this checkout, in one file that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "secrets.json"

    def stamp(self) -> tuple[int, int, int] | None:
        """Give what changes whenever the file is written; None where there is no file."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def read(self) -> dict[str, Secret]:
        """Read every secret."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be read: {error.strerror}; `integrations doctor` says more."
            ) from None
        try:
            return {name: Secret(entry["version"], entry["value"]) for name, entry in json.loads(text).items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise StoreError(f"{self.path} is damaged; delete it and put the secrets again.") from None

    def names(self) -> list[str]:
        """Name every secret."""
        return sorted(self.read())

    def get(self, name: str) -> Value | None:
        """Give a secret's value, or None where there is none of that name."""
        secret = self.read().get(name)
        return secret.value if secret else None

    def update(self, name: str, change: Callable[[Value | None], Value]) -> None:
        """Store what `change` makes of the present value, or of None where there is none."""
        with self._locked():
            value = change(self.get(name))
            self._write(self.read() | {name: Secret(str(uuid.uuid4()), value)})

    def delete(self, name: str) -> bool:
        """Remove a secret; say whether there was one."""
        with self._locked():
            secrets = self.read()
            found = secrets.pop(name, None) is not None
            if found:
                self._write(secrets)
        return found

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from writing between a read and a write."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, secrets: dict[str, Secret]) -> None:
        """Replace the file in one step, so that a reader sees the old one or the new one."""
        entries = {name: {"version": secret.version, "value": secret.value} for name, secret in sorted(secrets.items())}
        unfinished = self.folder / f"secrets.{os.getpid()}.tmp"
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(entries, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path)
