"""AWS on loopback: a moto server in this process, fed from the local store.

moto trusts whoever reaches it, and answers every web page. So a request is refused that names another host, that
comes from a page (it has an Origin), or that asks for moto's own pages; and it listens on loopback alone.
"""

import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from devtools import keys
from devtools.local import REGION
from devtools.store import API_KEYS, LocalStore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOOPBACK = "127.0.0.1"
BUCKET = "integrations-files"


class EmbeddedAws:
    """A running moto server.

    `run_key` is an API key that holds for this run and is not stored. `on_change` is called when the store has
    changed, before any call goes on.
    """

    def __init__(
        self, store: LocalStore, run_key: str | None = None, on_change: Callable[[], None] = lambda: None
    ) -> None:
        # Read at import: moto would otherwise let every origin read its answers.
        os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
        # A second spent only where it is needed, and after the line above.
        import boto3
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(LOOPBACK, 0, self._guarded, threaded=True)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"
        self._requests = threading.Lock()
        threading.Thread(target=self._server.serve_forever, name="embedded-aws", daemon=True).start()
        session = boto3.Session("local", "local", region_name=REGION)  # moto takes any key
        self._client = session.client("secretsmanager", endpoint_url=self.url)
        session.client("s3", endpoint_url=self.url).create_bucket(Bucket=BUCKET)
        self._store = store
        self._on_change = on_change
        self._run_keys = dict([keys.record(run_key)]) if run_key else {}
        self._prefix = os.environ.get("INTEGRATIONS_PREFIX", "integrations")
        self._loading = threading.Lock()
        self._loaded: dict[str, str] = {}
        self._stamp: object = self  # differs from every stamp
        self.refresh()

    def refresh(self) -> None:
        """Bring Secrets Manager up to date with the store, if another process has changed it."""
        if self._store.stamp() == self._stamp:
            return
        with self._loading:
            # Taken before the file is read: a write in between is then seen at the next call.
            stamp = self._store.stamp()
            if stamp != self._stamp:
                self._load()
                self._on_change()
                self._stamp = stamp

    def _load(self) -> None:
        wanted = {name: (secret.version, secret.value) for name, secret in self._store.read().items()}
        if self._run_keys:
            version, stored = wanted.get(API_KEYS, (str(uuid.uuid4()), None))
            wanted[API_KEYS] = (version, {"keys": keys.records(stored) | self._run_keys})
        for name in self._loaded.keys() - wanted.keys():
            self._client.delete_secret(SecretId=self._secret(name), ForceDeleteWithoutRecovery=True)
        for name, (version, value) in wanted.items():
            if self._loaded.get(name) != version:
                self._put(name, version, json.dumps(value))
        self._loaded = {name: version for name, (version, _) in wanted.items()}

    def _put(self, name: str, version: str, text: str) -> None:
        if name in self._loaded:
            self._client.put_secret_value(SecretId=self._secret(name), SecretString=text, ClientRequestToken=version)
        else:
            self._client.create_secret(Name=self._secret(name), SecretString=text, ClientRequestToken=version)

    def _secret(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _guarded(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        port = self._server.server_port
        host_is_ours = environ.get("HTTP_HOST") in (f"{LOOPBACK}:{port}", f"localhost:{port}")
        of_moto = environ["PATH_INFO"].lower().startswith("/moto-api")
        if not host_is_ours or "HTTP_ORIGIN" in environ or of_moto:
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        # moto's models are plain dictionaries: two requests at once can lose a write.
        with self._requests:
            answer: Any = self._moto(environ, start_response)
            return list(answer)
