"""The Lambda service as a runtime client sees it: a loopback Runtime API that times what the service would see.

One thread, raw sockets: an HTTP server library would add more than some of what is measured here.

    with Runtime("provider.handler", python=..., folder=..., environment=...) as runtime:
        runtime.init_seconds                          from the start of the process to its first request for an event
        seconds, reply = runtime.call({"version": …})  from sending the event to the last byte of the reply
"""

import json
import re
import selectors
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0  # seconds
FUNCTION_TIMEOUT = 29.0  # seconds, as in template.yaml
ARN = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"

_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True)
class _Request:
    connection: socket.socket
    method: str
    path: str
    body: bytes
    at: float


class Runtime:
    """A function in a process of its own, run by AWS's runtime client.

    Raise RuntimeError with what the function wrote when it ends, fails, or says nothing for a minute.
    """

    def __init__(self, handler: str, *, python: Path, folder: Path, environment: dict[str, str]) -> None:
        self._listener = socket.create_server((LOOPBACK, 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._received: dict[socket.socket, bytes] = {}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed on exit
        port = self._listener.getsockname()[1]
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [python, "-m", "awslambdaric", handler],
            cwd=folder,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": f"{LOOPBACK}:{port}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )
        try:
            self._waiting: socket.socket | None = None
            self.init_seconds = self._wait_for_request() - started
        except BaseException:
            self._end()
            raise

    def call(self, event: Any) -> tuple[float, Any]:
        """Give the function an event; give the seconds until its reply was here, and the reply."""
        if self._waiting is None:
            self._wait_for_request()
        connection, self._waiting = self._waiting, None
        assert connection is not None  # noqa: S101  # for the type checker: set by the wait
        message = _invocation(json.dumps(event).encode())
        started = time.perf_counter()
        connection.sendall(message)
        reply = self._next_request()
        reply.connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        if not reply.path.endswith("/response"):
            raise RuntimeError(f"The function failed: {reply.body.decode()[:2000]}")
        return reply.at - started, json.loads(reply.body)

    def peak_bytes(self) -> int:
        """Give the most memory that the process has held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def cpu_seconds(self) -> float:
        """Give the processor time that the process has taken, user and system."""
        # What clock_getcpuclockid(3) gives for a process on Linux; Python has it for threads only.
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def _wait_for_request(self) -> float:
        request = self._next_request()
        if request.method != "GET":
            raise RuntimeError(f"The function could not be loaded: {request.body.decode()[:2000]}")
        self._waiting = request.connection
        return request.at

    def _next_request(self) -> _Request:
        while True:
            for key, _ in self._selector.select(PATIENCE) or self._silent():
                if key.fileobj is self._listener:
                    self._accept()
                elif request := self._read(key.fileobj):  # type: ignore[arg-type]  # only sockets are registered
                    return request
            if self._process.poll() is not None:
                self._silent()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ)
        self._received[connection] = b""

    def _read(self, connection: socket.socket) -> _Request | None:
        data = connection.recv(1 << 20)
        at = time.perf_counter()
        if not data:
            self._selector.unregister(connection)
            self._received.pop(connection)
            connection.close()
            return None
        self._received[connection] += data
        head, complete, body = self._received[connection].partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not complete or len(body) < (int(length[1]) if length else 0):
            if b"100-continue" in head and not body:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        self._received[connection] = b""
        method, path, _ = head.split(b" ", 2)
        return _Request(connection, method.decode(), path.decode(), body, at)

    def _silent(self) -> list[Any]:
        self._errors.seek(0)
        written = self._errors.read().decode(errors="replace")
        raise RuntimeError(f"The function says nothing (status {self._process.poll()}):\n{written[-4000:]}")

    def _end(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._errors.close()
        self._selector.close()
        self._listener.close()
        for connection in self._received:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()


def _invocation(event: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        f"Lambda-Runtime-Aws-Request-Id: {uuid.uuid4()}",
        f"Lambda-Runtime-Deadline-Ms: {int((time.time() + FUNCTION_TIMEOUT) * 1000)}",
        f"Lambda-Runtime-Invoked-Function-Arn: {ARN}",
        "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        f"Content-Length: {len(event)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + event
