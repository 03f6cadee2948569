"""The service's side of a Lambda function: the Runtime API on loopback, spoken to by AWS's own runtime client.

    function = Function(python, paths, code, "provider.handler", environment, log)
    result = function.invoke({"method": "search"})
    function.close()

The function is a process of Lambda's Python that has nothing on its path but what it is given, as in Lambda: its
code, the layer and the runtime's own packages.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NEXT = "/2018-06-01/runtime/invocation/next"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:function"
PATIENCE = 30.0
"""Seconds that a function may take to answer, or to start."""


@dataclass(frozen=True)
class Result:
    """How one invocation ended."""

    payload: Any
    failed: bool
    """Whether Lambda would set X-Amz-Function-Error."""


class Function:
    """A function that is running behind the Runtime API until it is closed."""

    def __init__(
        self,
        python: str | Path,
        paths: Sequence[Path],
        code: Path,
        handler: str,
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        self.log = log
        self._api = _RuntimeApi()
        # Without site no package of this machine's Python is found, nor any .pth file run.
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [python, "-S", "-m", "awslambdaric", handler],
                cwd=code,
                env=_environment(self._api.address, code, paths) | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def invoke(self, event: Any, seconds: float = 29.0) -> Result:
        """Send one event, which the function is told it may take so many seconds for."""
        self._api.events.put(_Invocation(json.dumps(event).encode(), seconds))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                return self._api.results.get(timeout=0.2)
            except queue.Empty:
                assert self._process.poll() is None, f"the function ended: {self.output()}"
        raise AssertionError(f"the function did not answer: {self.output()}")

    def output(self) -> str:
        """All that the function has written to its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End the function."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._api.close()


@dataclass(frozen=True)
class _Invocation:
    event: bytes
    seconds: float


class _RuntimeApi(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.events: queue.Queue[_Invocation | None] = queue.Queue()
        self.results: queue.Queue[Result] = queue.Queue()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that ended because the function was ended."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        self.events.put(None)
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Conversation(BaseHTTPRequestHandler):
    """What the runtime client says: give me the next event, here is the response, here is the error."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _RuntimeApi

    def do_GET(self) -> None:  # the name that http.server looks for
        assert self.path == NEXT, self.path
        invocation = self.server.events.get()
        if invocation is None:
            self.close_connection = True
            return
        self._reply(
            200,
            invocation.event,
            {
                # Without a content type the runtime client crashes.
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
            },
        )

    def do_POST(self) -> None:  # the same
        body = self._body()
        self.server.results.put(Result(json.loads(body), failed=self.path.endswith("/error")))
        self._reply(202, b"", {})

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is not None:
            return self.rfile.read(int(length))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's own name
        """Say nothing: the function's log is what matters."""


def _environment(api: str, code: Path, paths: Sequence[Path]) -> dict[str, str]:
    return {
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "HOME": "/nonexistent",
        "LAMBDA_TASK_ROOT": str(code),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
        "TZ": ":UTC",
    }
