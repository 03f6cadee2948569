"""`integrations serve`: the whole bundle on one port of this machine."""

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any, TextIO

from werkzeug.serving import WSGIRequestHandler, make_server

from devtools import keys
from devtools.embedded_aws import BUCKET, LOOPBACK, EmbeddedAws
from devtools.errors import CommandError
from devtools.gateway import Event, Gateway, Run
from devtools.local import Functions, prepare_environment, take_stdout
from devtools.project import TEMPLATE, store_folder
from devtools.store import LocalStore
from devtools.template import Function, read_routes
from integrations.setup import connections


class _Requests(WSGIRequestHandler):
    """werkzeug's handler, without a line for each request: the functions write their own."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def serve(port: int, key: str | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Raise CommandError."""
    key = key or keys.generate()
    _end_at_once(key)
    with _listener(port) as listener:
        out = take_stdout()
        gateway = Gateway(read_routes(TEMPLATE), _bundle(key))
        server = make_server(LOOPBACK, port, gateway, threaded=True, request_handler=_Requests, fd=listener.fileno())
        _keep(key)
        _announce(out, f"http://{LOOPBACK}:{listener.getsockname()[1]}", key)
        # A signal may come to another thread; this one sees it when it next looks up.
        server.serve_forever(poll_interval=0.1)


def _end_at_once(key: str) -> None:
    """End on Ctrl-C and SIGTERM; a call under way would otherwise be waited for, as long as the service takes."""

    def end(*_: object) -> None:
        with contextlib.suppress(OSError):
            if _key_file().read_text(encoding="utf-8").strip() == key:  # and not that of a server started later
                _key_file().unlink()
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _key_file() -> Path:
    return store_folder() / "key"


def _keep(key: str) -> None:
    """Put the key of this run where a shell can take it from: `$(cat .integrations/key)`."""
    path = _key_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # whatever its mode was
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{key}\n")


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port), backlog=128)
    except OSError as error:
        raise CommandError(
            f"Port {port} of {LOOPBACK} cannot be used: {os.strerror(error.errno or 0)}. "
            "Choose another one with --port, or 0 for a free one."
        ) from None


def _bundle(key: str) -> Run:
    """Start the embedded AWS and give what runs a function, with the secrets as they are in the store at that time."""
    prepare_environment(None)
    functions = Functions()

    def forget() -> None:
        connections.forget()
        functions.forget()

    aws = EmbeddedAws(LocalStore(store_folder()), run_key=key, on_change=forget)
    prepare_environment(aws.url, BUCKET)

    def run(function: Function, event: Event) -> Any:
        aws.refresh()
        return functions.run(function, event)

    return run


def _announce(out: TextIO, url: str, key: str) -> None:
    body = """'{"arguments": {"query": "Ada Lovelace"}}'"""
    out.write(f"ready {url}\nkey {key}\n")
    out.write(f"curl -sS {url}/execute/wikipedia -H 'x-api-key: {key}' -H 'content-type: application/json' -d {body}\n")
    out.flush()
