"""Another function's handler, with what its import and its first call load counted: figures that no noise moves.

AUDIT_HANDLER names the function's own handler. The event "report" is answered with the counts.
"""

import importlib
import os
import sys
from typing import Any

opened: set[str] = set()
compiled: list[str] = []
before = set(sys.modules)


def _hook(name: str, arguments: tuple[Any, ...]) -> None:
    if name == "open" and isinstance(arguments[0], str):
        opened.add(arguments[0])
    elif name == "compile" and isinstance(arguments[1], str) and arguments[1].endswith(".py"):
        compiled.append(arguments[1])


def _counts() -> dict[str, Any]:
    files = [path for path in opened if os.path.exists(path)]  # noqa: PTH110  # pathlib would be counted too
    return {
        "modules": len(set(sys.modules) - before),
        "files": len(files),
        "bytes": sum(os.path.getsize(path) for path in files),  # noqa: PTH202  # pathlib would be one of the modules that are counted
        "compiled": list(compiled),
    }


sys.addaudithook(_hook)
module, _, function = os.environ["AUDIT_HANDLER"].rpartition(".")
audited = getattr(importlib.import_module(module), function)
after_init = _counts()


def handler(event: Any, context: Any) -> Any:
    """Pass the event on, or report."""
    if event != "report":
        return audited(event, context)
    return {"init": after_init, "call": _counts()}
