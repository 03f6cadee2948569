"""`integrations serve`: the whole bundle on one port of this machine."""

import os
import signal
import socket
from typing import Any, TextIO

from werkzeug.serving import WSGIRequestHandler, make_server

from devtools import keys
from devtools.embedded_aws import LOOPBACK, EmbeddedAws
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
    for number in (signal.SIGINT, signal.SIGTERM):
        # At once: a call that is under way would otherwise be waited for, as long as the service takes.
        signal.signal(number, lambda *_: os._exit(0))
    with _listener(port) as listener:
        out = take_stdout()
        key = key or keys.generate()
        gateway = Gateway(read_routes(TEMPLATE), _bundle(key))
        server = make_server(LOOPBACK, port, gateway, threaded=True, request_handler=_Requests, fd=listener.fileno())
        _announce(out, f"http://{LOOPBACK}:{listener.getsockname()[1]}", key)
        # A signal may come to another thread; this one sees it when it next looks up.
        server.serve_forever(poll_interval=0.1)


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
    prepare_environment(aws.url)

    def run(function: Function, event: Event) -> Any:
        aws.refresh()
        return functions.run(function, event)

    return run


def _announce(out: TextIO, url: str, key: str) -> None:
    body = """'{"arguments": {"query": "Ada Lovelace"}}'"""
    out.write(f"ready {url}\nkey {key}\n")
    out.write(f"curl -sS {url}/execute/wikipedia -H 'x-api-key: {key}' -H 'content-type: application/json' -d {body}\n")
    out.flush()
