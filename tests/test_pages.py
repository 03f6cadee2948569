"""The generated pages: every fact of a declaration is on them, and nothing in a declaration breaks them."""

import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr

from devtools.error_tree import groups
from devtools.errors import CommandError
from devtools.pages import differences, errors, markdown, pages, providers, tools
from devtools.project import ROOT, load_provider, provider_names
from devtools.tools import FORMATS, compiled_all
from integrations import Arguments, Http, Output, Provider, Setup
from integrations.errors import IntegrationError
from tests.support.sample import provider as sample
from tests.support.tools import provider as shapes

HOSTILE = "One | two, <b>three</b>, `four`, *five*, [six](seven), _eight_, nine\\ten, ~~eleven~~"


class HostileSetup(Setup):
    token: SecretStr = Field(description=HOSTILE, validation_alias=AliasChoices("token", "hostile_token"))
    region: Literal["eu", "us"] = Field("eu", description="Where.")


class Place(Arguments):
    name: str = Field(description=HOSTILE, pattern=r"^(a|b)`+$")


class HostileArguments(Arguments):
    query: str = Field(description=HOSTILE, max_length=9, validation_alias=AliasChoices("query", "q"))
    text: str = Field("a|`b`", description="A default that is markup.")
    places: list[Place] = Field([], description="Places.")
    kinds: list[Literal["x", "y"]] | None = Field(None, description="Kinds.", max_length=3)


class Found(BaseModel):
    more: dict[str, Any] = Field(description=HOSTILE)


class HostileOutput(Output):
    found: list[Found] | None = Field(description="What was found.")


hostile = Provider(
    name="hostile",
    title="Hostile & Co.",
    url="https://hostile.example",
    docs="https://hostile.example/docs",
    category="search",
    setup=HostileSetup,
    base_url="https://hostile.invalid/v1",
    min_interval=2.5,
)


@hostile.method(read_only=False, destructive=True, idempotent=False, files=True)
def overwrite(args: HostileArguments, http: Http) -> HostileOutput:
    """Overwrite | destroy. Then stop."""
    return HostileOutput(found=None)


@hostile.method(read_only=True, open_world=False)
def look(args: HostileArguments) -> HostileOutput:
    """Look without asking."""
    return HostileOutput(found=None)


def cells(line: str) -> list[str]:
    """Part a row of a table where GitHub does: at bars without a backslash, also in code."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows(page: str) -> dict[str, list[str]]:
    """Give the rows of all tables by their first cell."""
    return {cells(line)[0]: cells(line) for line in page.splitlines() if line.startswith("|")}


def test_every_row_has_the_cells_of_its_table() -> None:
    of = [sample, hostile]
    for path, page in pages(of, compiled_all(of)).items():
        tables = re.findall(r"(?m)(?:^\|.*\n)+", page)
        assert tables, path.name
        for table in tables:
            assert len({len(cells(line)) for line in table.splitlines()}) == 1, table
            assert re.fullmatch(r"\|( --- \|)+", table.splitlines()[1])


def test_the_committed_pages_are_written_the_same_for_any_order() -> None:
    of = [sample, hostile]
    assert pages(of, compiled_all(of)) == pages(of[::-1], compiled_all(of[::-1]))


# providers.md.


def test_every_fact_of_a_provider() -> None:
    page = providers.page([hostile])
    table = rows(page)
    quoted = markdown.text(HOSTILE)
    assert table["[Hostile & Co.](#hostile--co)"][1:] == [
        "`hostile`", "[`overwrite`](#hostileoverwrite), [`look`](#hostilelook)", "search", "no tests yet",
    ]  # fmt: skip
    assert table["`token`"][1:] == ["string, secret", "required", "`HOSTILE_TOKEN`", "`hostile_token`", quoted]
    assert table["`region`"][1:] == ["string", '`"eu"`', "`HOSTILE_REGION`", "", 'Where. One of: "eu", "us".']
    assert table["`query`"][1:] == ["string", "required", "`q`", f"{quoted} At most 9 characters."]
    assert table["`text`"][2] == r'`` "a\|`b`" ``'
    assert table["`places[].name`"][1:] == ["string", "required", "", rf"{quoted} Matches `` ^(a\|b)`+$ ``."]
    assert table["`kinds`"][4] == 'Kinds. At most 3 items. Of each item: One of: "x", "y".'
    assert table["`found`"][1:] == ["array of object or null", "What was found."]
    assert table["`found[].more`"][1].startswith("object")
    assert "Effect: `destructive`, `open_world`. What may have arrived is not sent again." in page
    assert "at most 6 MiB" in page
    assert "Effect: `read_only`, `idempotent`. A body holds at most 1 MiB." in page
    assert "`HOSTILE_BASE_URL` replaces it" in page
    assert "once in 2.5 s" in page
    assert r"Overwrite \| destroy. Then stop." in page


def test_how_a_service_is_reached() -> None:
    page = providers.page([load_provider(name) for name in provider_names()])
    assert "It runs inside the function: no service is asked." in page
    assert "It does not speak HTTP; the setup names the host." in page
    assert "`WIKIPEDIA_BASE_URL` replaces it." in page


def test_text_stays_text() -> None:
    quoted = markdown.text(HOSTILE)
    assert re.findall(r"(?<!\\)[|<>`*\[\]~]|(?<!\\)\\(?![\\|`*\[\]~_])", quoted) == []
    assert markdown.text("exact_title is 3 < 4") == "exact_title is 3 &lt; 4"


def test_a_column_without_a_word_is_left_out() -> None:
    assert markdown.table(("A", "B", "C"), [("1", "", "3"), ("4", "", "")]) == (
        "| A | C |\n| --- | --- |\n| 1 | 3 |\n| 4 |  |\n"
    )


def test_a_block_holds_blocks() -> None:
    assert markdown.block("md", "```\na\n```") == "````md\n```\na\n```\n````\n"


@pytest.mark.parametrize(
    ("declared", "reads"),
    [
        ('JUDGE = {"kind": "server", "name": "Acme 2", "fixture": "acme"}', "a real server, Acme 2"),
        ('JUDGE = {"kind": "script", "fixture": "upstream"}', "scripted answers"),
        ("ANSWER = {}", "no tests yet"),
    ],
)
def test_the_judge_is_what_the_tests_declare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str, reads: str
) -> None:
    path = tmp_path / "test_acme.py"
    path.write_text(f'"""Acme."""\n\nimport json\n\n{declared}\n')
    assert providers.judge(path) == reads


def test_a_judge_of_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / "test_acme.py"
    path.write_text('JUDGE = {"kind": "oracle"}\n')
    with pytest.raises(CommandError, match=r"test_acme.py: the kind of a JUDGE is one of server"):
        providers.judge_of(path)


# errors.md.


def test_every_error_is_on_the_page_once() -> None:
    table = rows(errors.page())
    kinds = IntegrationError.__subclasses__()
    assert {f"`{kind.__name__}`" for kind in kinds} <= table.keys()
    assert sum(len(leaves) for leaves in groups().values()) == len(kinds)
    assert table["`UpstreamTimeout`"][1:] == [
        "`upstream_timeout`", "504", "by the effect", "the service did not answer in time",
    ]  # fmt: skip


def test_a_state_machine_waits_for_what_may_pass_and_for_nothing_else() -> None:
    (not_started, waiting), (of_lambda, by_effect) = (
        [retrier["ErrorEquals"] for retrier in json.loads(block)["Retry"]]
        for block in re.findall(r"```json\n(.*?)```", errors.page(), re.DOTALL)[1:]
    )
    assert set(not_started) < set(of_lambda)
    assert not_started == ["Lambda.TooManyRequestsException"]
    kinds = {kind.__name__: kind.retryable for kind in IntegrationError.__subclasses__()}
    assert {name for name, again in kinds.items() if again} == set(waiting)
    assert {name for name, again in kinds.items() if again is None} == set(by_effect)


# tools.md.


def test_one_tool_is_shown_in_every_format_with_what_differs() -> None:
    every = compiled_all([sample, hostile, shapes])
    page = tools.page([sample, hostile, shapes], every)
    [name] = set(re.findall(r"Below is `(\w+)` in each format", page))
    [shown] = [tool for tool in every if tool.name == name]
    for form in FORMATS:
        assert f"\n## {form}\n\n`{form}`: a" in page
        assert json.dumps(shown.definitions[form], indent=2, ensure_ascii=False) in page
        assert f"/tool?format={form}'" in page


# differences.md.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("difference = 1 = 2", "is not a list"),
        ("x = 1", "is not a list"),
        ('[[difference]]\nname = "a"\nkind = "else"\nthere = "b"\nhere = "c"\ncalls = []', "kind, one of refused"),
        ('[[difference]]\nname = "a"\nkind = "refused"\nthere = "b"\ncalls = []', "an entry has name, there, here"),
    ],
)
def test_a_list_of_differences_that_is_none(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(text)
    with pytest.raises(CommandError, match=rf"docs/differences/acme.toml.*{told}"):
        differences.entries(path)


def test_the_file_for_every_call_comes_first() -> None:
    names = list(differences.files())
    assert names[0] == differences.OF_ALL
    assert names[1:] == sorted(names[1:])
    assert {path.parent for path in differences.files().values()} == {ROOT / "docs/differences"}
