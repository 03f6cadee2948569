"""docs/differences.md: where a task written for the original service meets another behaviour, from docs/differences/.

Each file there is a list of entries, one file for what holds for all calls and one for a provider; a test makes the
call of each entry and looks for what the entry says.
"""

import tomllib
from pathlib import Path
from typing import Any

from devtools.errors import CommandError
from devtools.pages.markdown import head, table
from devtools.project import ROOT
from integrations import Provider

FOLDER = ROOT / "docs" / "differences"
OF_ALL = "every-call"

KINDS = {
    "refused": "Refused now",
    "effective": "Accepted and ignored there, and does what it says here",
    "ignored": "Accepted still, and does nothing",
    "changed": "Answers or acts differently",
}


def page(providers: list[Provider]) -> str:
    """Give the page."""
    parts = [head("Differences from the original service", "`docs/differences/`"), _INTRODUCTION]
    titles = {OF_ALL: "Every call", **{provider.name: provider.title for provider in providers}}
    for name, path in files().items():
        parts.append(f"## {titles.get(name, name)}\n")
        found = entries(path)
        for kind, title in KINDS.items():
            rows = [(entry["name"], entry["there"], entry["here"]) for entry in found if entry["kind"] == kind]
            if rows:
                parts += [f"### {title}\n", table(("What", "There", "Here"), rows)]
    return "\n".join(parts)


def files() -> dict[str, Path]:
    """Give the files by what they are about: first every call, then the providers by name."""
    paths = sorted(FOLDER.glob("*.toml"), key=lambda path: (path.stem != OF_ALL, path.stem))
    return {path.stem: path for path in paths}


def entries(path: Path) -> list[dict[str, Any]]:
    """Read a file. Raise CommandError where an entry is not one."""
    try:
        found: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["difference"]
    except (tomllib.TOMLDecodeError, KeyError):
        raise CommandError(f"docs/differences/{path.name} is not a list of [[difference]] in TOML.") from None
    for entry in found:
        if entry.get("kind") not in KINDS or not {"name", "there", "here", "calls"} <= entry.keys():
            raise CommandError(
                f"docs/differences/{path.name}: an entry has name, there, here, calls, and kind, one of "
                f"{', '.join(KINDS)}."
            )
    return found


_INTRODUCTION = """\
What a call of the original integrations service does differently here, on purpose. Whatever is not listed is meant to
work as it did. A test makes the calls of each entry against the bundle and looks for what the right column says; the
calls are in `docs/differences/`, beside the texts.
"""
