"""`integrations sync`: what is generated from the providers' declarations.

Between its marker lines template.yaml is written here, and as a whole functions/registry/catalog.json, the tools
beside it, one file a format, and four pages of docs/. The same providers give the same bytes. A tool that a vendor
would refuse is an error, and then nothing is written.
"""

from pathlib import Path

from devtools import provider_blocks
from devtools.catalog import catalog, definitions
from devtools.errors import CommandError
from devtools.pages import pages
from devtools.project import FUNCTIONS, TEMPLATE, load_provider, provider_names
from devtools.tools import compiled_all

REGISTRY = FUNCTIONS / "registry"
MARKER = "  # --- providers: written by `integrations sync` from functions/*/provider.py ---\n"
END = "  # --- end of providers ---\n"


def write() -> list[Path]:
    """Bring every generated file up to date and name those that were not."""
    changed = _stale()
    for path, text in changed.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(changed)


def stale() -> list[Path]:
    """Name the generated files that are not up to date."""
    return list(_stale())


def _stale() -> dict[Path, str]:
    providers = [load_provider(name) for name in provider_names()]
    tools = compiled_all(providers)
    generated = {
        TEMPLATE: between_markers(TEMPLATE.read_text(encoding="utf-8"), provider_blocks.sections(providers)),
        REGISTRY / "catalog.json": catalog(providers),
        **pages(providers, tools),
    }
    for name, text in definitions(tools).items():
        generated[REGISTRY / "tools" / f"{name}.json"] = text
    return {path: text for path, text in generated.items() if not path.exists() or path.read_text("utf-8") != text}


def between_markers(text: str, sections: dict[str, str]) -> str:
    """Replace what stands between the markers of each top-level section."""
    for name, content in sections.items():
        head, found, rest = text.partition(f"\n{name}:\n")
        before, marked, rest = rest.partition(MARKER)
        old, ended, after = rest.partition(END)
        # A section starts at the margin: a marker after the next one belongs to that.
        if not (found and marked and ended) or any(line[:1].isalpha() for line in (before + old).splitlines()):
            raise CommandError(f"template.yaml: the section {name} needs the two lines\n{MARKER}{END}")
        text = head + found + before + marked + content + ended + after
    return text
