"""Servers in processes of their own: started, waited for, and ended with all they started."""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
PATIENCE = 10.0
"""Seconds a server may take to end before it is killed."""


@dataclass(frozen=True)
class Server:
    """A running server and what it has written."""

    command: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """All it has written so far, on both streams."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def find(self, pattern: str) -> str | None:
        """The first group of the first match of a pattern in its output."""
        match = re.search(pattern, self.output())
        return match[1] if match else None


@contextlib.contextmanager
def served(
    argv: Sequence[str | Path],
    ready: Callable[[Server], object],
    log: Path,
    *,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    timeout: float = 30,
) -> Iterator[Server]:
    """Run a server until the block ends; the block starts once `ready` gives something true.

    `env` adds to this process's environment; None takes a variable away. The server leads a process
    group of its own, and the whole group is ended with it. An error shows what the server wrote.
    """
    changed = {**os.environ, **(env or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={name: value for name, value in changed.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(shlex.join(map(str, argv)), process, log)
    try:
        _wait(server, ready, timeout)
        yield server
    finally:
        _end(process)


def _wait(server: Server, ready: Callable[[Server], object], timeout: float) -> None:
    end = time.monotonic() + timeout
    while not ready(server):
        status = server.process.poll()
        if status is not None:
            raise RuntimeError(f"{server.command} ended with status {status}:\n{server.output()}")
        if time.monotonic() > end:
            raise TimeoutError(f"{server.command} was not ready in {timeout} s:\n{server.output()}")
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    # Also when the leader has ended in time: what it started may be deaf to the first signal.
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def ends(number: int, within: float = 5.0) -> bool:
    """Whether a process that is not ours to wait for ends within some seconds.

    One that was killed dies when it next has a processor, and keeps its number until whoever adopted it collects it.
    """
    end = time.monotonic() + within
    while _runs(number):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _runs(number: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[0] != "Z"
    return False


def free_port() -> int:
    """A loopback port that is free now, for servers that cannot choose one by themselves."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether something takes connections at a loopback port.

    Where nothing does, the system may choose that very port for this end of the connection, which then meets itself.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            return bool(connection.getsockname() != connection.getpeername())
    except OSError:
        return False
