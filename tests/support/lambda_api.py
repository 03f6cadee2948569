"""Lambda's Invoke API on loopback, in front of functions that are running: what Step Functions and boto3 call.

    api = LambdaApi({"WikipediaFunction": function.invoke})
    api.scripted("WikipediaFunction", throttled(), throttled())
    boto3.client("lambda", endpoint_url=api.url).invoke(FunctionName="WikipediaFunction", Payload=b"{}")
    api.close()

A function is found by its name or by its ARN. Its calls come one after the other, as a `Function` takes
them. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import contextlib
import json
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from devtools.runtime_api import Result

Invoke = Callable[[Any], Result]


@dataclass(frozen=True)
class Refusal:
    """What Lambda answers in place of the function."""

    status: int
    kind: str
    message: str


def throttled() -> Refusal:
    """Too many calls are under way; this one is not taken."""
    return Refusal(429, "TooManyRequestsException", "Rate Exceeded.")


def failing() -> Refusal:
    """Lambda itself failed."""
    return Refusal(500, "ServiceException", "Service encountered an error.")


class Hang:
    """No answer before the API is closed."""


@dataclass
class LambdaApi:
    """The API until it is closed. `calls` are the events by function, those that were refused too."""

    functions: Mapping[str, Invoke]
    calls: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    asynchronous: list[threading.Thread] = field(default_factory=list)
    """The calls that nobody waits for."""

    def __post_init__(self) -> None:
        self._scripts: dict[str, deque[Refusal | Hang]] = defaultdict(deque)
        self._locks = {name: threading.Lock() for name in self.functions}
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL_LAMBDA is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def scripted(self, name: str, *answers: Refusal | Hang) -> None:
        """Answer the next calls of a function so, before it is asked itself."""
        self._scripts[name].extend(answers)

    def answer(self, name: str, event: Any) -> Refusal | Result | None:
        """Answer one call; None says nothing."""
        if name not in self.functions:
            return Refusal(404, "ResourceNotFoundException", f"Function not found: {name}")
        self.calls[name].append(event)
        script = self._scripts[name].popleft() if self._scripts[name] else None
        if isinstance(script, Hang):
            self._over.wait()
            return None
        if script:
            return script
        with self._locks[name]:
            return self.functions[name](event)

    def close(self) -> None:
        """End what hangs, wait for what nobody waits for, and stop."""
        self._over.set()
        for thread in self.asynchronous:
            thread.join()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: LambdaApi


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:  # the name that http.server looks for
        _, version, functions, name, invocations = self.path.partition("?")[0].split("/")
        assert (version, functions, invocations) == ("2015-03-31", "functions", "invocations"), self.path
        name = unquote(name).removesuffix(":$LATEST").rpartition(":")[2]
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if self.headers.get("X-Amz-Invocation-Type") == "Event":
            thread = threading.Thread(target=self.server.api.answer, args=(name, event))
            self.server.api.asynchronous.append(thread)
            thread.start()
            return self._reply(202, b"", {})
        return self._tell(self.server.api.answer(name, event))

    def _tell(self, answer: Refusal | Result | None) -> None:
        if answer is None:
            self.close_connection = True
        elif isinstance(answer, Refusal):
            body = json.dumps({"Type": "User", "message": answer.message}).encode()
            self._reply(answer.status, body, {"x-amzn-ErrorType": answer.kind})
        else:
            failed = {"X-Amz-Function-Error": "Unhandled"} if answer.failed else {}
            self._reply(200, json.dumps(answer.payload).encode(), failed)

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        every = {
            "Content-Type": "application/json",
            # Without it moto's interpreter cannot make an error of a refusal.
            "x-amzn-RequestId": str(uuid.uuid4()),
            "X-Amz-Executed-Version": "$LATEST",
            "Content-Length": str(len(body)),
            **headers,
        }
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # of a state that has waited long enough
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's own name
        """Say nothing: `calls` is what matters."""
