"""The pages of docs/ that `integrations sync` writes, because a second copy of a fact by hand goes stale."""

from pathlib import Path

from devtools.pages import cost, differences, errors, providers, tools
from devtools.project import ROOT
from devtools.tools import Tool
from integrations import Provider

DOCS = ROOT / "docs"


def pages(of: list[Provider], compiled: list[Tool]) -> dict[Path, str]:
    """Give each page by its path."""
    of = sorted(of, key=lambda provider: provider.name)
    return {
        DOCS / "providers.md": providers.page(of),
        DOCS / "errors.md": errors.page(),
        DOCS / "tools.md": tools.page(of, compiled),
        DOCS / "differences.md": differences.page(of),
        DOCS / "cost.md": cost.page(),
    }
