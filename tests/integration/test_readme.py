"""What the README shows is what happens: its console blocks are run against the real server."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.requirements_of_peers import peer_is_missing
from tests.support.serving import COMMAND, ROOT, Bundle, environment, serving

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n\$ ([^\n]+)\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, mediawiki: str) -> Iterator[Bundle]:
    """`make run` without a way to the internet: a MediaWiki on loopback answers for Wikipedia."""
    if shutil.which("curl") is None:
        peer_is_missing("curl, which the README uses, is not installed")
    with serving(tmp_path_factory.mktemp("readme"), key=None, WIKIPEDIA_BASE_URL=mediawiki) as bundle:
        yield bundle


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 4
    assert sum(command.startswith("curl") for command, _ in BLOCKS) == 3


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command[:60] for command, _ in BLOCKS])
def test_each_command_prints_what_the_readme_shows(bundle: Bundle, mediawiki: str, command: str, shown: str) -> None:
    here = (
        command.replace("http://127.0.0.1:8000", bundle.url)
        .replace(".integrations/key", str(bundle.home / "key"))
        .replace(".venv/bin/integrations", " ".join(COMMAND))
    )
    # The README's own line, as a person pastes it.
    done = subprocess.run(  # noqa: S602  # the README is ours
        here,
        shell=True,
        cwd=ROOT,
        env=environment(bundle.home, WIKIPEDIA_BASE_URL=mediawiki),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = ".*".join(re.escape(part) for part in re.split(r"\s*\.\.\.\s*", shown.strip()))
    assert re.fullmatch(expected, done.stdout.strip(), re.DOTALL), done.stdout


def test_the_named_files_and_verbs_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    verbs = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"and", "finds"} <= verbs
    commands = set(re.findall(r"\.venv/bin/integrations ([a-z]+)", README))
    for command in commands:
        subprocess.run([*COMMAND, command, "--help"], cwd=ROOT, capture_output=True, check=True)
