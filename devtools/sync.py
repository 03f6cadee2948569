"""`integrations sync`: what is generated from the providers' declarations.

Between its marker lines template.yaml is written here, and as a whole template.canary.yaml, the registry's catalog and
tools, one file a format, and some pages of docs/. The same providers give the same bytes. A tool that a
vendor would refuse is an error, and then nothing is written.
"""

from pathlib import Path

from devtools import provider_blocks
from devtools.canary import variant
from devtools.catalog import catalog, definitions
from devtools.errors import CommandError
from devtools.pages import pages
from devtools.project import FUNCTIONS, TEMPLATE, load_provider, provider_names
from devtools.template import parse
from devtools.tools import compiled_all

REGISTRY = FUNCTIONS / "registry"
CANARY = TEMPLATE.with_name("template.canary.yaml")
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
    template = TEMPLATE.read_text(encoding="utf-8")
    alarms = _alarms(template)
    fresh = between_markers(template, provider_blocks.sections(providers, alarms))
    generated = {
        TEMPLATE: fresh,
        CANARY: variant(fresh),
        REGISTRY / "catalog.json": catalog(providers),
        **pages(providers, tools),
    }
    for name, text in definitions(tools).items():
        generated[REGISTRY / "tools" / f"{name}.json"] = text
    return {path: text for path, text in generated.items() if not path.exists() or path.read_text("utf-8") != text}


def _alarms(template: str) -> list[str]:
    """Give the names of the template's alarms, as it has them for Fn::Sub, in its order."""
    resources = parse(template)["Resources"].values()
    alarms = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm"]
    return [alarm["AlarmName"]["Fn::Sub"] for alarm in alarms]


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
