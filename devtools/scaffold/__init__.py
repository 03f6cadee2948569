"""`integrations new`: a provider that passes every test at once, to be turned into the real one."""

import importlib
import keyword
import re
from pathlib import Path
from string import Template

from devtools import sync, template
from devtools.errors import UsageError
from devtools.project import FUNCTIONS, ROOT, TEMPLATE
from devtools.provider_blocks import pascal

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TITLE = re.compile(r"[A-Z0-9][\w .&+-]{0,39}")
# Their variables, AWS_... and INTEGRATIONS_..., mean something else.
_RESERVED = {"aws", "integrations"}


def create(name: str, title: str | None) -> list[Path]:
    """Write the provider, its event and its tests, then what is generated from it. Name what was written."""
    title = title or " ".join(part.capitalize() for part in name.split("_"))
    _check(name, title)
    facts = {
        "name": name,
        "title": title,
        "upper": name.upper(),
        "pascal": pascal(name),
        "host": name.replace("_", "-"),
    }
    files = {
        FUNCTIONS / name / "provider.py": "provider.py.tmpl",
        ROOT / "events" / f"{name}.search.json": "event.json.tmpl",
        ROOT / "tests" / "providers" / f"test_{name}.py": "test.py.tmpl",
    }
    for path in files:
        if path.exists():
            raise UsageError(f"{path.relative_to(ROOT)} exists; choose another name or remove it.")
    for path, source in files.items():
        text = Path(__file__).with_name(source).read_text(encoding="utf-8")
        path.parent.mkdir(exist_ok=True)
        path.write_text(Template(text).substitute(facts), encoding="utf-8")
    importlib.invalidate_caches()  # functions/ has a folder that was not there when it was first looked at
    return [*files, *sync.write()]


def _check(name: str, title: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise UsageError(
            "A provider's name is lower-case letters, digits and single underscores, at most 40: llama_parse."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _RESERVED:
        raise UsageError(f"{name} means something else already; choose another name.")
    if (FUNCTIONS / name).exists():
        raise UsageError(f"functions/{name} exists; choose another name.")
    if not _TITLE.fullmatch(title):
        raise UsageError(
            "A title is the service's name as people write it: letters, digits, spaces and .&+-, at most 40."
        )
    written = template.parse(TEMPLATE.read_text(encoding="utf-8"))
    ids = {f"{pascal(name)}Function", f"{pascal(name)}LogGroup", pascal(name)}
    if taken := ids & (written["Resources"].keys() | written["Outputs"].keys()):
        raise UsageError(f"template.yaml has a {taken.pop()} already; choose another name.")
