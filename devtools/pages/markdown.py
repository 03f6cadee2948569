"""Markdown as GitHub reads it: whatever a text holds stays text, and a table keeps its columns.

The rules are those of https://github.github.com/gfm/: a bar ends a cell even inside code, unless a backslash is before
it, and code that holds backticks stands between more of them.
"""

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"[\\`*\[\]|<>~]|(?<!\w)_|_(?!\w)")

HEAD = "<!-- Written by `integrations sync`{source}. Changes here are lost. -->\n"


def head(title: str, source: str) -> str:
    """Give the beginning of a page: where it comes from, and its title."""
    return f"{HEAD.format(source=f' from {source}')}\n# {title}\n"


def text(value: str) -> str:
    """Give a plain text so that nothing in it is taken for markup."""
    return _SPECIAL.sub(lambda mark: _ENTITIES.get(mark[0], "\\" + mark[0]), " ".join(value.split()))


_ENTITIES = {"<": "&lt;", ">": "&gt;"}


def code(value: str) -> str:
    """Give a text as code."""
    longest = max((len(run) for run in re.findall("`+", value)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{value}{space}{fence}"


def codes(values: Iterable[str]) -> str:
    """Give several texts as code, with commas between them."""
    return ", ".join(map(code, values))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table of cells that are Markdown; a column that is empty throughout is left out."""
    rows = [tuple(row) for row in rows]
    shown = [index for index, _ in enumerate(columns) if any(row[index] for row in rows)]
    lines = [_row(columns[index] for index in shown), _row("---" for _ in shown)]
    return "\n".join([*lines, *(_row(_cell(row[index]) for index in shown) for row in rows)]) + "\n"


def block(kind: str, content: str) -> str:
    """Give a fenced block, its fence longer than any inside."""
    longest = max((len(run) for run in re.findall("(?m)^`{3,}", content)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{kind}\n{content.rstrip()}\n{fence}\n"


def anchor(heading: str) -> str:
    """Give the fragment by which GitHub finds a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(markdown: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(markdown.split()))
