"""The pages of the project as data: their fenced blocks, commands, links, and the words in code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted(ROOT.glob("docs/*.md"))]
GENERATED = re.compile(r"<!-- Written by `integrations sync`")

_FENCE = re.compile(r"^(`{3,})(\S*)\n(.*?)^\1\n", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- checked: ([^>]+) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block. `mark` says how it is checked: what stands before it, as in `<!-- checked: part of FILE -->`."""

    page: Path
    line: int
    kind: str
    text: str
    mark: str

    @property
    def place(self) -> str:
        """Where it is, as editors take it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what it is shown to print."""

    place: str
    line: str
    shown: str


def blocks(page: Path) -> list[Block]:
    """Give the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            kind=found[2],
            text=found[3],
            mark=mark[1] if (mark := _MARK.search(text, 0, found.start())) else "",
        )
        for found in _FENCE.finditer(text)
    ]


def commands(block: Block) -> list[Command]:
    """Give the commands of a console block: a line after `$ `, the lines that it continues on, and what follows."""
    found: list[Command] = []
    parts = re.split(r"(?m)^\$ ", block.text)
    assert parts[0] == "", f"{block.place}: a console block starts with a command"
    for part in parts[1:]:
        line, _, shown = re.sub(r"\\\n", "", part).partition("\n")
        found.append(Command(block.place, line, shown.strip("\n")))
    return found


def matches(shown: str, printed: str) -> bool:
    """Say whether this was printed.

    `...` stands for anything, also for nothing and for several lines; `<word>` for a word without a dot.
    """
    parts = (re.split(r"<[a-z]+>", part) for part in re.split(r"\s*\.\.\.\s*", shown.strip()))
    pattern = ".*".join(r"[\w-]+".join(map(re.escape, part)) for part in parts)
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def prose(page: Path) -> str:
    """Give a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Give the targets of the links and pictures of a page."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def words_in_code(page: Path) -> list[str]:
    """Give what stands between single backticks, with a line's end in it as a space."""
    return [" ".join(word.split()) for word in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))]


def anchors(page: Path) -> set[str]:
    """Give the fragments by which the headings of a page are found."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """Name the test functions of a file."""
    return frozenset(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))


@cache
def names_in_the_source() -> frozenset[str]:
    """Give every name in capitals that the code or the template knows, such as those of environment variables."""
    found: set[str] = set()
    for path in _sources():
        found.update(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", path.read_text(encoding="utf-8")))
    return frozenset(found)


def _sources() -> Iterator[Path]:
    for folder in ("layers", "functions", "devtools", "tests/support", "tests/providers"):
        yield from (ROOT / folder).rglob("*.py")
    yield from (ROOT / "template.yaml", ROOT / "Makefile", ROOT / ".ci/run", ROOT / "tests/conftest.py")
