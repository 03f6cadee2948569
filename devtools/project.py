"""Where things are in the checkout."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from devtools.errors import UsageError

if TYPE_CHECKING:
    from integrations import Provider
    from integrations.provider import Method

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ROOT / "functions"
TEMPLATE = ROOT / "template.yaml"
BUILT = ROOT / ".aws-sam/build"


def store_folder() -> Path:
    """Give the folder of the local store; INTEGRATIONS_HOME names another one, as tests do."""
    return Path(os.environ.get("INTEGRATIONS_HOME") or ROOT / ".integrations")


def provider_names() -> list[str]:
    """Name every provider: the folders of functions/ that hold a provider.py."""
    return sorted(path.parent.name for path in FUNCTIONS.glob("*/provider.py"))


def find_provider(name: str) -> "Provider":
    """Import the provider that a person named. Raise UsageError where there is none."""
    if name not in provider_names():
        raise UsageError(f"There is no provider of that name; there are: {', '.join(provider_names())}.")
    return load_provider(name)


def find_method(call: str) -> tuple["Provider", "Method"]:
    """Give what a person named as PROVIDER[.METHOD]. Raise UsageError where there is none."""
    name, _, operation = call.partition(".")
    provider = find_provider(name)
    method = provider.methods.get(operation or provider.default_method)
    if method is None:
        raise UsageError(f"{name} has no method of that name; it has: {', '.join(provider.methods)}.")
    return provider, method


def load_provider(name: str) -> "Provider":
    """Import the provider of a folder."""
    from integrations import Provider  # the packages of the layer, which `--help` need not wait for

    provider = importlib.import_module(f"functions.{name}.provider").provider
    if not isinstance(provider, Provider):
        raise TypeError(f"functions/{name}/provider.py: `provider` is not a Provider")
    return provider
