"""The Lambda service as AWS's own runtime client sees it: a Runtime API on loopback, one for each environment.

    with Environment("provider.handler", python=..., code=..., variables=...) as environment:
        environment.init_seconds                   from the start of the process to its first request for an event
        result = environment.invoke({"method": …})
        result.payload, result.failed, result.seconds

`integrations serve --runtime`, the tests of the built functions and the benchmarks all run functions so. One thread,
raw sockets: an HTTP server library would add more than some of what the benchmarks measure.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

LOOPBACK = "127.0.0.1"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
# Seconds that a function may take to ask for its first event. Lambda gives ten; a laptop may be busy.
INIT_PATIENCE = 60.0
# Python is kept from looking for packages of this machine's, and from running the .pth files among them.
ISOLATED = ("-S",)

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """How one invocation ended, as the Invoke API would tell it."""

    payload: Any
    failed: bool
    """Whether X-Amz-Function-Error would be set; the payload then is an object with `errorType`."""
    seconds: float
    """From sending the event to the last byte of the answer."""


@dataclass(frozen=True, slots=True)
class _Request:
    connection: socket.socket
    path: str
    body: bytes
    at: float


class _EndedError(Exception):
    """The function's process has ended."""


class Environment:
    """An execution environment: one process, which AWS's runtime client runs, and which takes one event at a time.

    `code` is the folder that Lambda would mount as /var/task, `log` takes what the function writes: a file to be
    written, an open one, or None for this process's standard error. The process and all that it has started end with
    `close`, and where an invocation takes too long.
    """

    def __init__(
        self,
        handler: str,
        *,
        python: str | Path,
        code: Path,
        variables: Mapping[str, str],
        log: Path | IO[bytes] | None = None,
        options: Sequence[str] = ISOLATED,
    ) -> None:
        self.name = variables.get("AWS_LAMBDA_FUNCTION_NAME", "function")
        self.log = log
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._received: dict[socket.socket, bytearray] = {}
        self._waiting: socket.socket | None = None
        self._failure: Result | None = None
        self._started = time.perf_counter()
        self._asked_at: float | None = None
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("wb")) if isinstance(log, Path) else log or 2
            self._process = subprocess.Popen(
                [python, *options, "-m", "awslambdaric", handler],
                cwd=code,
                env={**variables, "AWS_LAMBDA_RUNTIME_API": f"{LOOPBACK}:{self._listener.getsockname()[1]}"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def init_seconds(self) -> float:
        """Wait until the function has asked for its first event. Raise RuntimeError where it never does."""
        with self._lock:
            self._initialise()
        if self._asked_at is None:
            raise RuntimeError(f"{self.name} could not be started: {self._failure and self._failure.payload}")
        return self._asked_at - self._started

    @property
    def alive(self) -> bool:
        """Whether it takes another event."""
        return self._process.poll() is None and self._failure is None

    def invoke(self, event: Any, seconds: float = 29.0) -> Result:
        """Send an event, which the function may take so many seconds for; then it is ended, as Lambda does."""
        with self._lock:
            self._initialise()
            if self._failure:
                return self._failure
            request_id = str(uuid.uuid4())
            connection, self._waiting = self._waiting, None
            assert connection is not None  # noqa: S101  # for the type checker: else there is a failure
            message = _invocation(json.dumps(event).encode(), request_id, self.name, seconds)
            started = time.perf_counter()
            return self._answer(connection, message, request_id, started, seconds)

    def _answer(
        self, connection: socket.socket, message: bytes, request_id: str, started: float, seconds: float
    ) -> Result:
        try:
            connection.sendall(message)
            reply = self._next_request(started + seconds)
            reply.connection.sendall(_ACCEPTED)
            return Result(json.loads(reply.body), not reply.path.endswith("/response"), reply.at - started)
        except TimeoutError:
            error = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
            return self._fail("Sandbox.Timedout", error, time.perf_counter() - started)
        except (_EndedError, OSError):
            error = f"RequestId: {request_id} Error: Runtime exited with error: {self._status()}"
            return self._fail("Runtime.ExitError", error, time.perf_counter() - started)

    def output(self) -> str:
        """All that the function has written; `log` must be the path of a file."""
        assert isinstance(self.log, Path)  # noqa: S101  # a mistake of the caller
        return self.log.read_text(encoding="utf-8", errors="replace")

    def peak_bytes(self) -> int:
        """Give the most memory that the process has held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def cpu_seconds(self) -> float:
        """Give the processor time that the process has taken, user and system."""
        # What clock_getcpuclockid(3) gives for a process on Linux; Python has it for threads only.
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def kill(self) -> None:
        """End the process, with whatever it has started. An invocation under way ends as one whose process exited."""
        # Also where the process has ended by itself: what it has started is of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process, and close the sockets once an invocation under way has been told."""
        self.kill()
        with self._lock:
            for connection in [self._listener, *self._received]:
                connection.close()
            self._received.clear()
            self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # The process.

    def _initialise(self) -> None:
        """Wait for the first request: for an event, or with the reason why there will be none."""
        if self._waiting or self._failure:
            return
        try:
            self._wait_for_request()
        except TimeoutError:
            self._fail("Sandbox.Timedout", f"The function asked for no event within {INIT_PATIENCE:.0f} s")
        except (_EndedError, OSError):
            self._fail("Runtime.ExitError", f"Runtime exited with error: {self._status()}")

    def _wait_for_request(self) -> None:
        request = self._next_request(time.perf_counter() + INIT_PATIENCE)
        if request.path.endswith("/runtime/init/error"):
            request.connection.sendall(_ACCEPTED)
            self._failure = Result(json.loads(request.body), failed=True, seconds=0.0)
            self.kill()
            return
        self._waiting = request.connection
        self._asked_at = self._asked_at or request.at

    def _fail(self, kind: str, message: str, seconds: float = 0.0) -> Result:
        self.kill()
        self._failure = Result({"errorType": kind, "errorMessage": message}, failed=True, seconds=seconds)
        return self._failure

    def _status(self) -> str:
        code = self._process.wait()
        return f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    # The conversation: give me the next event, here is the response, here is the error.

    def _next_request(self, deadline: float) -> _Request:
        """Give the next request. Raise TimeoutError or _EndedError."""
        while True:
            left = deadline - time.perf_counter()
            if left <= 0:
                raise TimeoutError
            # Not for longer at once: that a process has ended is not told by any socket where it never connected.
            for key, _ in self._selector.select(min(left, 0.5)):
                if key.fileobj is self._listener:
                    self._accept()
                elif request := self._read(key.fileobj):  # type: ignore[arg-type]  # only sockets are registered
                    return request
            if self._process.poll() is not None:
                raise _EndedError

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ)
        self._received[connection] = bytearray()

    def _read(self, connection: socket.socket) -> _Request | None:
        try:
            data = connection.recv(1 << 20)
        except ConnectionError:
            data = b""
        at = time.perf_counter()
        if not data:
            self._selector.unregister(connection)
            self._received.pop(connection)
            connection.close()
            return None
        received = self._received[connection]
        received += data
        end = received.find(b"\r\n\r\n")
        body = _body(received, end) if end >= 0 else None
        if body is None:
            if end == len(received) - 4 and b"100-continue" in received:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        path = received.split(b" ", 2)[1].decode()
        received.clear()
        return _Request(connection, path, body, at)


_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


def _body(message: bytearray, end: int) -> bytes | None:
    """Give the body of a request whose head ends there, or None until all of it has come."""
    head = bytes(message[:end])
    if _CHUNKED.search(head):
        return _joined(message, end + 4)
    length = _LENGTH.search(head)
    size = int(length[1]) if length else 0
    return bytes(message[end + 4 :]) if len(message) >= end + 4 + size else None


def _joined(message: bytearray, start: int) -> bytes | None:
    """Join the chunks, or give None until the last one has come."""
    if not message.endswith(b"\r\n\r\n"):
        return None
    body = bytearray()
    while (line := message.find(b"\r\n", start)) >= 0:
        size = int(message[start:line], 16)
        if size == 0:
            return bytes(body)
        body += message[line + 2 : line + 2 + size]
        start = line + 2 + size + 2
    return None


def _invocation(event: bytes, request_id: str, name: str, seconds: float) -> bytes:
    head = (
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",  # without it the runtime client crashes
        f"Lambda-Runtime-Aws-Request-Id: {request_id}",
        f"Lambda-Runtime-Deadline-Ms: {int((time.time() + seconds) * 1000)}",
        f"Lambda-Runtime-Invoked-Function-Arn: {ARN}{name}",
        "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        f"Content-Length: {len(event)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + event


def variables(name: str, code: Path, packages: Sequence[Path], memory: int = 256) -> dict[str, str]:
    """Give the environment that Lambda gives a function, and nothing of this machine's.

    `packages` are the folders beside the function's own that are on Python's path: layers, then the runtime's.
    """
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(map(str, packages)),
        "LAMBDA_TASK_ROOT": str(code),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
