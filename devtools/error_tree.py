"""The errors by what the caller should do next, as the docstring of integrations/errors.py draws them."""

import re

from integrations import errors
from integrations.errors import IntegrationError

_GROUP = re.compile(r"  - (.+)")
_LEAF = re.compile(r"    x (\w+) +\d{3}  (.+)")


def groups() -> dict[str, list[tuple[type[IntegrationError], str]]]:
    """Give each group of the tree with its classes and their meanings."""
    found: dict[str, list[tuple[type[IntegrationError], str]]] = {}
    for line in (errors.__doc__ or "").splitlines():
        if group := _GROUP.fullmatch(line):
            found[group[1]] = []
        elif leaf := _LEAF.fullmatch(line):
            found[next(reversed(found))].append((getattr(errors, leaf[1]), leaf[2]))
    return found
