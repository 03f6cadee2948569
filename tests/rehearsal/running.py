"""A deployed stack that answers: its built functions behind the local gateway, with the variables that it was given.

A function runs on the code that was uploaded, by AWS's own runtime client, in the environment that the account tells
for it. The gateway stands in for the API; `functions_url` takes Lambda's Invoke, as an endpoint for AWS's clients.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from werkzeug.serving import BaseWSGIServer, make_server

from devtools.gateway import Event, Gateway
from devtools.project import TEMPLATE
from devtools.runtime_api import Environment as Process
from devtools.runtime_api import Result
from devtools.runtime_api import variables as lambdas
from devtools.template import Function, read_routes
from tests.rehearsal.conftest import Account, Packaged
from tests.support.artifact import lambda_python
from tests.support.stack import ROOT

INVOKE = "/2015-03-31/functions/"


class RunningStack:
    """Running until it is closed. Which stack it is, is said once that is deployed: its output names the gateway.

    `opt` holds what further layers put into /opt, by the names that the variables have.
    """

    def __init__(self, account: Account, packaged: Packaged, folder: Path, opt: Path) -> None:
        self._account = account
        self._packaged = packaged
        self._folder = folder
        self._opt = opt
        self._physical: dict[str, str] = {}
        self._running: dict[str, Process] = {}
        self._lock = threading.Lock()
        self._servers = [
            make_server("127.0.0.1", 0, Gateway(read_routes(TEMPLATE), self._run), threaded=True),
            make_server("127.0.0.1", 0, self._invoked, threaded=True),
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url, self.functions_url = map(_url, self._servers)

    def is_stack(self, resources: Mapping[str, tuple[str, str]]) -> None:
        """Say which functions the account has for it: type and physical name, by logical id."""
        self._physical = {name: of for name, (kind, of) in resources.items() if kind == "AWS::Lambda::Function"}

    def close(self) -> None:
        """End everything."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for process in self._running.values():
            process.close()

    def _run(self, function: Function, event: Event) -> Any:
        result = self._call(function.logical_id, event)
        if result.failed:
            raise RuntimeError(f"{function.logical_id} raised: {result.payload}")
        return result.payload

    def _call(self, logical_id: str, event: Any) -> Result:
        # One at a time, as one execution environment does.
        with self._lock:
            if logical_id not in self._running:
                self._running[logical_id] = self._start(logical_id)
            return self._running[logical_id].invoke(event)

    def _start(self, name: str) -> Process:
        told = self._account.client("lambda").get_function_configuration(FunctionName=self._physical[name])
        variables = {key: self._mounted(value) for key, value in told["Environment"]["Variables"].items()}
        code, paths = self._packaged.code[name], [*self._packaged.layers(name), ROOT / ".venv/runtime"]
        # Nothing writes bytecode in Lambda, and here it would into what other tests look at.
        own = self._account.variables | {"PYTHONDONTWRITEBYTECODE": "1"}
        return Process(
            told["Handler"],
            python=lambda_python(),
            code=code,
            variables=lambdas(name, code, paths) | variables | own,
            log=self._folder / f"{name}.log",
        )

    def _mounted(self, value: str) -> str:
        return str(self._opt / value.removeprefix("/opt/")) if value.startswith("/opt/") else value

    def _invoked(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answer Lambda's Invoke: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html."""
        asked = unquote(environ["PATH_INFO"]).removeprefix(INVOKE).removesuffix("/invocations").rpartition(":")[2]
        name = next(logical_id for logical_id, physical in self._physical.items() if physical == asked)
        event = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        result = self._call(name, event)
        headers = [("content-type", "application/json"), ("x-amzn-requestid", "rehearsal")]
        failed = [("x-amz-function-error", "Unhandled")] if result.failed else []
        start("200 OK", [*headers, *failed])
        return [json.dumps(result.payload).encode()]


def _url(server: BaseWSGIServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"
