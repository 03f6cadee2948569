"""`integrations sync`: what it writes, that it is always the same, and that it says when it is stale."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from devtools import provider_blocks, template
from devtools.catalog import catalog
from devtools.errors import CommandError
from devtools.sync import between_markers
from devtools.tools import FORMATS, compiled_all
from integrations import Provider
from tests.support.sample import provider as sample
from tests.support.serving import copy_of_the_checkout, in_copy

TEMPLATE = "template.yaml"
CANARY = "template.canary.yaml"
CATALOG = "functions/registry/catalog.json"
TOOLS = "functions/registry/tools/anthropic.json"
PAGES = ["docs/cost.md", "docs/differences.md", "docs/errors.md", "docs/providers.md", "docs/tools.md"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_checkout(tmp_path_factory.mktemp("sync"))


@pytest.fixture
def sync(checkout: Path) -> Callable[..., str]:
    def run(*options: str, status: int = 0) -> str:
        done = in_copy(checkout, "devtools.cli", "sync", *options)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


def test_what_is_committed_is_what_sync_writes(checkout: Path, sync: Callable[..., str]) -> None:
    before = [(checkout / name).read_bytes() for name in (TEMPLATE, CANARY, CATALOG, TOOLS, *PAGES)]
    assert sync() == ""
    assert [(checkout / name).read_bytes() for name in (TEMPLATE, CANARY, CATALOG, TOOLS, *PAGES)] == before
    assert sync("--check") == ""


# What makes each generated file stale. All are put to one run, which takes a second or two.
STALE = [
    (CATALOG, '"provider": "algolia"', '"provider": "someone"'),
    (TOOLS, "The index to search.", "An index."),
    (TEMPLATE, "CodeUri: functions/algolia/", "CodeUri: functions/elsewhere/"),
    (TEMPLATE, "  Algolia:\n", "  Algoliax:\n"),
    (CANARY, "AutoPublishAlias: live", "AutoPublishAlias: dead"),
    ("docs/cost.md", "1,000,000 requests", "1,000 requests"),
    ("docs/providers.md", "The index to search.", "An index."),
    ("docs/errors.md", "| 504 |", "| 505 |"),
    ("docs/tools.md", '"maxLength": 300', '"maxLength": 3000'),
    ("docs/differences.md", "No reply is compressed.", "Every reply is compressed."),
]


def test_a_stale_file_is_named_and_mended(checkout: Path, sync: Callable[..., str]) -> None:
    fresh = {name: (checkout / name).read_text() for name, _, _ in STALE}
    stale = dict(fresh)
    for name, old, new in STALE:
        assert old in stale[name]
        stale[name] = stale[name].replace(old, new)
    for name, text in stale.items():
        (checkout / name).write_text(text)
    told = sync("--check", status=1)
    assert {line for line in told.splitlines() if line.startswith("stale ")} == {f"stale {name}" for name in stale}
    assert "run `integrations sync`" in told
    assert {name: (checkout / name).read_text() for name in stale} == stale, "--check writes nothing"
    assert set(sync().splitlines()) == {f"wrote {name}" for name in stale}
    assert {name: (checkout / name).read_text() for name in fresh} == fresh


def test_what_is_missing_is_written(checkout: Path, sync: Callable[..., str]) -> None:
    registry = checkout / "functions" / "registry"
    before = {path: path.read_text() for path in registry.rglob("*.json")}
    assert len(before) == 1 + len(FORMATS)
    written = {name: (checkout / name).read_text() for name in PAGES}
    shutil.rmtree(registry / "tools")
    for name in (CATALOG, *PAGES):
        (checkout / name).unlink()
    told = sync("--check", status=1)
    assert all(f"stale {name}\n" in told for name in (CATALOG, "functions/registry/tools/openai.json", *PAGES))
    sync()
    assert {path: path.read_text() for path in registry.rglob("*.json")} == before
    assert {name: (checkout / name).read_text() for name in PAGES} == written


def test_a_tool_that_a_vendor_would_refuse_is_told_and_nothing_is_written(
    checkout: Path, sync: Callable[..., str]
) -> None:
    path = checkout / "functions/wikipedia/provider.py"
    good, before = path.read_text(), (checkout / CATALOG).read_bytes()
    path.write_text(good.replace('"""Search for pages on', f'"""{"Search " * 200}for pages on'))
    told = sync(status=1)
    assert (
        "wikipedia_search: OpenAI refuses the description: over 1024 characters; shorten the method's docstring."
        in told
    )
    assert (checkout / CATALOG).read_bytes() == before
    path.write_text(good)
    assert sync("--check") == ""


def test_what_stands_outside_the_markers_stays(checkout: Path, sync: Callable[..., str]) -> None:
    path, canary = checkout / TEMPLATE, checkout / CANARY
    fresh = path.read_text()
    mine = fresh.replace("Description: One way to call", "Description: My way to call").replace(
        "\nOutputs:", "\n# mine\nOutputs:"
    )
    path.write_text(mine)
    # Only what is written from the whole template follows.
    assert sync() == f"wrote {CANARY}\n"
    assert path.read_text() == mine
    assert "Description: My way to call" in canary.read_text()
    path.write_text(fresh)
    sync()


@pytest.mark.parametrize("broken", ["no marker", "no end", "no section", "marker of the next section"])
def test_markers_that_are_not_there_are_told(broken: str) -> None:
    marker, end = (
        "  # --- providers: written by `integrations sync` from functions/*/provider.py ---\n",
        "  # --- end of providers ---\n",
    )
    text = {
        "no marker": "\nA:\n  x: 1\n" + end,
        "no end": "\nA:\n" + marker,
        "no section": "\nB:\n" + marker + end,
        "marker of the next section": "\nA:\n  x: 1\nB:\n" + marker + end,
    }[broken]
    with pytest.raises(CommandError, match="the section A needs the two lines"):
        between_markers(text, {"A": "  y: 2\n"})


# The blocks.


def resources(provider: Provider) -> dict[str, Any]:
    """Give the resources as CloudFormation reads them."""
    text = "Resources:\n" + provider_blocks.sections([provider])["Resources"]
    assert not re.search(r"[&*]id0", text), "no YAML anchors"
    loaded: dict[str, Any] = template.parse(text)["Resources"]
    return loaded


def test_names_with_underscores() -> None:
    blocks = provider_blocks.sections([replaced(name="llama_parse", category="parsing")])
    assert "LlamaParseFunction:" in blocks["Resources"]
    assert "LLAMA_PARSE_BASE_URL:" in blocks["Resources"]
    assert "EnableParsing:" in blocks["Parameters"]
    assert 'ParsingEnabled: !Equals [!Ref EnableParsing, "true"]' in blocks["Conditions"]
    assert "LlamaParse:" in blocks["Outputs"]


def replaced(**facts: Any) -> Provider:
    provider = replace(sample, **facts)
    provider.methods = sample.methods
    return provider


def test_a_provider_reads_its_own_connections_only() -> None:
    [policy] = resources(sample)["SampleFunction"]["Properties"]["Policies"]
    [statement] = policy["Statement"]
    assert statement["Action"] == "secretsmanager:GetSecretValue"
    assert statement["Resource"]["Fn::Sub"].endswith(":secret:${Prefix}/sample/*")


def test_what_a_provider_declares_for_its_function_is_merged() -> None:
    policy = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    provider = replaced(
        function={
            "MemorySize": 1024,
            "Timeout": 60,
            "Environment": {"Variables": {"EXTRA": "1"}},
            "Policies": [policy],
            "EphemeralStorage": {"Size": 2048},
        }
    )
    properties = resources(provider)["SampleFunction"]["Properties"]
    assert (properties["MemorySize"], properties["Timeout"], properties["EphemeralStorage"]) == (
        1024,
        60,
        {"Size": 2048},
    )
    assert {"EXTRA", "SAMPLE_BASE_URL"} == set(properties["Environment"]["Variables"])
    assert properties["Policies"][1] == policy
    assert len(properties["Policies"]) == 2


@pytest.mark.parametrize("function", [{"CodeUri": "elsewhere/"}, {"Environment": "none"}, {"Policies": "all"}])
def test_what_does_not_fit_is_refused(function: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match=f"sample: function\\['{next(iter(function))}'\\] does not fit"):
        resources(replaced(function=function))


def test_the_order_of_the_providers_does_not_matter() -> None:
    other = replaced(name="other")
    assert provider_blocks.sections([sample, other]) == provider_blocks.sections([other, sample])
    assert catalog([sample, other]) == catalog([other, sample])
    assert compiled_all([sample, other]) == compiled_all([other, sample])


def test_the_tag_of_the_catalog_changes_with_it() -> None:
    tags = [json.loads(catalog(of))["etag"] for of in ([sample], [sample], [replaced(docs="https://other.example")])]
    assert tags[0] == tags[1] != tags[2]


def test_the_catalog_of_a_provider() -> None:
    [entry] = json.loads(catalog([sample]))["providers"]
    assert entry["default_method"] == "read"
    read, write, _ = entry["methods"]
    assert (read["read_only"], write["read_only"], write["idempotent"]) == (True, False, False)
    assert set(read["arguments"]["properties"]) == {"query", "limit", "exact", "inner", "places"}
    assert set(entry["setup"]["properties"]) == {"api_key", "region"}
    Draft202012Validator(read["arguments"]).validate({"limit": 3})
    assert not Draft202012Validator(read["arguments"]).is_valid({"limit": 99})
    assert not Draft202012Validator(read["arguments"]).is_valid({"unknown": 1})
