"""What the benchmarks run: the built artifact, the same as SAM's default builder ships it, and Lambda's environment."""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.runtime_api import Environment, Result, variables

ROOT = Path(__file__).resolve().parents[1]
HANDLERS = ROOT / "benchmarks" / "handlers"
LOOPBACK = "127.0.0.1"
ZIP_EPOCH = 315_532_800  # 1980-01-01, the date of every file in the zip that SAM makes
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
# Lambda mounts code read-only: nothing that is compiled at a start can be kept for the next.
READ_ONLY = {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Function:
    """A function in its folder, and the layer it runs on, if any."""

    folder: Path
    handler: str
    layer: Path | None = None
    name: str = "benchmark"
    over_tls: bool = False
    """Whether Secrets Manager is spoken to as in AWS, and not in the clear as else on loopback."""


@dataclass(frozen=True)
class Setting:
    """The folders that functions run from, and the Python that runs them. Its site-packages are empty."""

    python: Path
    artifact: Path
    runtime: Path
    handlers: Path
    source_only: Path
    upstream: str
    secrets_manager: str
    secrets_manager_over_tls: str
    authority: Path
    """The certificate authority of the latter."""

    @property
    def layer(self) -> Path:
        """Give the layer as built."""
        return self.artifact / "CommonLayer" / "python"

    @property
    def empty(self) -> Function:
        """Give the function that does nothing."""
        return Function(self.handlers / "empty", "app.handler")

    def provider(self, name: str, *, source_only: bool = False) -> Function:
        """Give a provider's function as built, or as SAM's default builder ships it."""
        built = self.source_only if source_only else self.artifact
        folder = built / f"{name.capitalize()}Function"
        return Function(folder, "provider.handler", built / "CommonLayer" / "python", name)

    def other(self, name: str, *, over_tls: bool = False) -> Function:
        """Give a function that is no provider, as built: it runs without the layer."""
        return Function(self.artifact / f"{name.capitalize()}Function", "app.handler", name=name, over_tls=over_tls)

    def naive(self, *, source_only: bool) -> Function:
        """Give the naive handler on the same libraries."""
        built = self.source_only if source_only else self.artifact
        folder = (self.source_only if source_only else self.handlers) / "naive"
        return Function(folder, "app.handler", built / "CommonLayer" / "python", "naive")

    def start(self, function: Function) -> Environment:
        """Start a function under AWS's runtime client."""
        return self._started(function.handler, function, self.environment(function))

    def _started(self, handler: str, function: Function, environment: dict[str, str]) -> Environment:
        # The log goes nowhere; and Python looks for packages of its own, as in Lambda: here there are none.
        with Path(os.devnull).open("wb") as log:
            return Environment(
                handler, python=self.python, code=function.folder, variables=environment, log=log, options=()
            )

    def audit(self, function: Function, event: Any) -> dict[str, Any]:
        """Count what the function's import and its first call load."""
        environment = self.environment(function)
        environment["AUDIT_HANDLER"] = function.handler
        environment["PYTHONPATH"] += f":{self.handlers / 'audit'}"
        with self._started("audit.handler", function, environment) as runtime:
            answered(runtime, event)
            counts: dict[str, Any] = answered(runtime, "report").payload
            return counts

    def environment(self, function: Function) -> dict[str, str]:
        """Give the environment that Lambda gives, and nothing of this machine's."""
        packages = [folder for folder in (function.layer, self.runtime) if folder]
        return variables(function.name, function.folder, packages) | {
            **READ_ONLY,
            "AWS_ENDPOINT_URL": self.secrets_manager_over_tls if function.over_tls else self.secrets_manager,
            **({"AWS_CA_BUNDLE": str(self.authority)} if function.over_tls else {}),
            "POWERTOOLS_SERVICE_NAME": function.name,
            "INTEGRATIONS_PREFIX": "integrations",
            "ALGOLIA_BASE_URL": self.upstream,
            "WIKIPEDIA_BASE_URL": self.upstream,
        }


def answered(runtime: Environment, event: Any) -> Result:
    """Give the function an event. Raise RuntimeError where it fails."""
    result = runtime.invoke(event)
    if result.failed:
        raise RuntimeError(f"The function failed: {result.payload}")
    return result


@contextlib.contextmanager
def prepared(artifact: Path | None) -> Iterator[Setting]:
    """Build everything into a temporary folder and start the servers; `artifact` is a build folder to use instead."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as temporary:
        folder = Path(temporary)
        found = python313()
        say("preparing Lambda's own packages and an empty Python")
        runtime = _runtime(folder / "runtime", found)
        handlers = _compiled_handlers(folder / "handlers", found)
        run([found, "-m", "venv", "--without-pip", folder / "venv"])
        if artifact is None:
            say("building the artifact")
            artifact = built(folder / "build")
        source_only = _source_only(artifact, folder / "source-only")
        certificate = _certificate(folder)
        with (
            _upstream() as upstream,
            _secrets_manager(folder / "moto.log") as secrets_manager,
            _secrets_manager(folder / "moto-over-tls.log", certificate) as secrets_manager_over_tls,
        ):
            yield Setting(
                python=folder / "venv" / "bin" / "python",
                artifact=artifact,
                runtime=runtime,
                handlers=handlers,
                source_only=source_only,
                upstream=upstream,
                secrets_manager=secrets_manager,
                secrets_manager_over_tls=secrets_manager_over_tls,
                authority=certificate.authority,
            )


def python313() -> Path:
    """Find a Python of Lambda's version. Raise RuntimeError where there is none."""
    find = ["sh", ROOT / "make" / "python.sh", "3.13", "--", "pip", "compileall"]
    return Path(os.environ.get("PYTHON313") or run(find).strip())


def built(folder: Path) -> Path:
    """Build the bundle as `sam build` does, for this machine's architecture."""
    sam = ROOT / ".venv" / "sam" / "bin" / "sam"
    environment = {**os.environ, "MAKEFLAGS": "", "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    run([sam, "build", "--build-dir", folder, "--parameter-overrides", f"Architecture={ARCHITECTURE}"], environment)
    return folder


def _runtime(folder: Path, python: Path) -> Path:
    """Copy what Lambda's own image holds, AWS's runtime client and boto3, and give it the bytecode it has there."""
    installed = ROOT / ".venv" / "runtime"
    if not installed.is_dir():
        raise RuntimeError("The runtime client is not installed; run `make setup`.")
    shutil.copytree(installed, folder)
    run([python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", folder])
    return folder


def _compiled_handlers(folder: Path, python: Path) -> Path:
    """Copy the handlers to compare with, and compile them as the artifact is compiled."""
    shutil.copytree(HANDLERS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    run([python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder])
    return folder


def _source_only(artifact: Path, folder: Path) -> Path:
    """Copy the artifact as SAM's default builder ships it: no bytecode, and every file dated 1980 by the zip."""
    shutil.copytree(artifact, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HANDLERS / "naive", folder / "naive", ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.rglob("*.py"):
        os.utime(path, (ZIP_EPOCH, ZIP_EPOCH))
    return folder


@contextlib.contextmanager
def _upstream() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "benchmarks.upstream"], cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # for the type checker: it is a pipe
            yield f"http://{LOOPBACK}:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@dataclass(frozen=True)
class _Certificate:
    """A server's certificate and key, and the authority that has signed it."""

    authority: Path
    chain: Path
    key: Path


def _certificate(folder: Path) -> _Certificate:
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert(LOOPBACK)
    made = _Certificate(folder / "authority.pem", folder / "chain.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(made.authority)
    certificate.private_key_pem.write_to_path(made.key)
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(made.chain, append=True)
    return made


@contextlib.contextmanager
def _secrets_manager(log: Path, certificate: _Certificate | None = None) -> Iterator[str]:
    """Run a moto server with one connection for each provider, and an API key."""
    import boto3

    serve = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", "0"]
    if certificate:
        serve += ["--ssl", "--ssl-cert", str(certificate.chain), "--ssl-key", str(certificate.key)]
    with log.open("wb") as output, subprocess.Popen(serve, stdout=output, stderr=output) as process:
        try:
            endpoint = _address(process, log)
            client = boto3.client(
                "secretsmanager",
                endpoint_url=endpoint,
                region_name="us-east-1",
                aws_access_key_id="testing",
                aws_secret_access_key="testing",  # noqa: S106  # moto takes any
                verify=str(certificate.authority) if certificate else None,
            )
            for name, value in SECRETS.items():
                client.create_secret(Name=f"integrations/{name}", SecretString=json.dumps(value))
            yield endpoint
        finally:
            process.terminate()


SETUP = {"application_id": "EXAMPLEAPP", "api_key": "example-search-key"}
KEY = "benchmark.of-no-use-but-here"
SECRETS = {
    "algolia/default": {"setup": SETUP},
    "wikipedia/default": {"arguments": {"language": "en"}},
    "api-keys": {"keys": {"benchmark": {"sha256": hashlib.sha256(KEY.partition(".")[2].encode()).hexdigest()}}},
}


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the address that a moto server says it has chosen. Raise RuntimeError where it never says one."""
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        if found := re.search(rf"Running on (https?://{LOOPBACK}:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError("The moto server did not start within 30 s; `python -m moto.server` shows why.")


def event(provider: str, body: Any) -> dict[str, Any]:
    """Give an event of the HTTP API (payload 2.0)."""
    path = f"/execute/{provider}"
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "example.execute-api.us-east-1.amazonaws.com"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "example",
            "domainName": "example.execute-api.us-east-1.amazonaws.com",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": f"POST {path}",
            "stage": "$default",
            "timeEpoch": 1_800_000_000_000,
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


# The registry's catalog, and what API Gateway asks the authorizer about a call.
CATALOG = {
    "version": "2.0",
    "routeKey": "GET /integrations",
    "rawPath": "/integrations",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/integrations"}, "requestId": "JKJaXmPLvHcESHA="},
}
QUESTION = {
    "version": "2.0",
    "type": "REQUEST",
    "routeKey": "POST /execute/algolia",
    "rawPath": "/execute/algolia",
    "headers": {"x-api-key": KEY},
    "requestContext": {"http": {"method": "POST", "path": "/execute/algolia"}, "requestId": "JKJaXmPLvHcESHA="},
}

SEARCH = {"index_name": "products", "query": "phone", "hits_per_page": 5}
ALGOLIA = event("algolia", {"arguments": SEARCH, "setup": SETUP})
ALGOLIA_STORED = event("algolia", {"arguments": SEARCH})
WIKIPEDIA = event("wikipedia", {"arguments": {"query": "Ada Lovelace", "limit": 2}})
WIKIPEDIA_STORED = event("wikipedia", {"arguments": {"query": "Ada Lovelace", "limit": 2}, "connection": "default"})


def run(command: list[Any], environment: dict[str, str] | None = None) -> str:
    """Run a program and give its standard output. Raise RuntimeError with what it wrote when it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def say(text: str) -> None:
    """Show progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)
