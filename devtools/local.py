"""Make this process stand in for Lambda: its environment, its context object, its standard output."""

import importlib
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from devtools.template import Function

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's


def prepare_environment(endpoint: str | None, bucket: str | None = None) -> None:
    """Point every AWS client of this process at `endpoint`, or at nothing. To be called before a function is imported.

    `bucket` is where files are left that are too large for a reply. Only a server has one: a call that ends with its
    process gives everything inline. Whatever else the shell says about AWS is dropped: a call on a laptop must never
    reach an account that happens to be configured.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "INTEGRATIONS_LOCAL": "1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("no_proxy", "NO_PROXY"):  # a proxy has no way to our loopback
        os.environ[name] = ",".join({*filter(None, os.environ.get(name, "").split(",")), "127.0.0.1"})
    if endpoint:
        os.environ["AWS_ENDPOINT_URL"] = endpoint
    os.environ.pop("INTEGRATIONS_BUCKET", None)
    if bucket:
        os.environ["INTEGRATIONS_BUCKET"] = bucket
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")


def take_stdout() -> TextIO:
    """Give a file that writes to standard output, and turn everything else that is written there to standard error.

    Handlers log to standard output, which is where Lambda reads; here it belongs to the command's own answer.
    """
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


@dataclass(frozen=True, slots=True)
class Context:
    """The context object that Lambda hands to a handler."""

    function_name: str
    memory_limit_in_mb: int
    timeout: float
    started: float = field(default_factory=time.monotonic)
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    log_stream_name: str = "local"
    client_context: None = None
    identity: None = None

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN, as in Lambda."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """The name of the function's log group."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Give the time that the function has left."""
        return max(0, int((self.started + self.timeout - time.monotonic()) * 1000))


class Functions:
    """The functions, imported at their first call, so that a broken one stops nobody but its own callers."""

    def __init__(self) -> None:
        self._handlers: dict[str, Callable[[Any, Any], Any]] = {}
        self._modules: list[ModuleType] = []
        self._lock = threading.Lock()

    def run(self, function: "Function", event: dict[str, Any]) -> Any:
        """Call the function's handler with the event."""
        handler = self._handlers.get(function.logical_id) or self._load(function)
        return handler(event, Context(function.name, function.memory, function.timeout))

    def forget(self) -> None:
        """Let every function that caches secrets (its module has a `forget`) read them again."""
        with self._lock:
            modules = list(self._modules)
        for module in modules:
            if hasattr(module, "forget"):
                module.forget()

    def _load(self, function: "Function") -> Callable[[Any, Any], Any]:
        with self._lock:
            module = importlib.import_module(function.module)
            handler: Callable[[Any, Any], Any] = getattr(module, function.attribute)
            self._handlers[function.logical_id] = handler
            self._modules.append(module)
        return handler


def report_fault(function: "Function") -> None:
    """Write the exception that is being handled to standard error, as Lambda writes it to the log."""
    sys.stderr.write(f"{function.name} raised:\n{traceback.format_exc()}")
    sys.stderr.flush()
