"""What the rehearsal and the tests of the template look for, broken on purpose: each is caught, and told by name.

Each case breaks a copy of the sources by the smallest change that a person could make by mistake, goes the way that the
sources go, and holds what comes out to the same judge as the tests do that are named beside it.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import artifact, stack_findings
from tests.support.artifact import ARCHITECTURE, SOURCES, lambda_python
from tests.support.code_findings import foreign_code, sources_only, unloadable_handler
from tests.support.stack import ROOT, Stack, translate

pytestmark = pytest.mark.timeout(900)

OTHER = {"arm64": "x86_64", "x86_64": "arm64"}[ARCHITECTURE]


@dataclass
class Sources:
    """A copy of what `sam build` reads."""

    folder: Path

    def change(self, name: str, before: str, after: str) -> None:
        """Replace what is in a file of the copy, at the first place."""
        path = self.folder / name
        text = path.read_text()
        assert before in text, f"{name} does not have this any more: {before}"
        path.write_text(text.replace(before, after, 1))

    def stack(self) -> Stack:
        """Give the stack that the copy's template describes."""
        return translate(self.folder / "template.yaml").deployed()

    def built(self, only: str) -> Path:
        """Build one resource, and give the folder of its code."""
        folder = self.folder.with_name("build")
        folder.mkdir()
        return artifact.build(folder, of=self.folder, only=only) / only


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    folder = tmp_path / "checkout"
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return Sources(folder)


# The template. The judge, what is changed, and what it then says.
OPEN = "{ApiId: !Ref Api, Method: GET, Path: /tools}"
BROKEN: dict[str, tuple[Callable[[Stack], list[str]], str, str, str]] = {
    "a route without authorizer": (
        stack_findings.open_routes,  # tests/test_template.py::test_every_route_but_health_asks_the_authorizer
        OPEN,
        OPEN.replace("}", ", Auth: {Authorizer: NONE}}"),
        "GET /tools has no authorizer",
    ),
    "a policy with * for the resource": (
        stack_findings.wildcards,  # ::test_nothing_is_allowed_by_a_wildcard_without_a_reason
        "!Sub arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${Prefix}/wikipedia/*",
        '"*"',
        "WikipediaFunctionRole allows secretsmanager:GetSecretValue on *",
    ),
    "a policy with * for the action": (
        stack_findings.wildcards,
        "Action: secretsmanager:GetSecretValue\n",
        "Action: secretsmanager:*\n",
        "AuthorizerFunctionRole allows secretsmanager:* on "
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:integrations/api-keys-??????",
    ),
    "a function whose failures are lost": (
        stack_findings.lost_failures,  # ::test_a_failed_asynchronous_call_is_kept
        "        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt DeadLetterQueue.Arn}}\n",
        "",
        "a failed asynchronous call of AlgoliaFunction is lost",
    ),
    "a function slower than the API": (
        stack_findings.slow_functions,  # ::test_functions_end_before_api_gateway_gives_up
        "    Timeout: 29\n",
        "    Timeout: 60\n",
        "RegistryFunction may take 60 s, and API Gateway gives up after 30",
    ),
    "a reference to what is not deployed": (
        stack_findings.dangling_references,  # ::test_every_reference_leads_to_something_that_is_deployed
        "  DeadLetterQueue:\n    Type: AWS::SQS::Queue\n",
        '  DeadLetterQueue:\n    Condition: HasCorsOrigins\n    Type: AWS::SQS::Queue\n',
        "AlgoliaFunctionRole names DeadLetterQueue, which is not there",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_template_is_caught_by_name(sources: Sources, what: str) -> None:
    judge, before, after, told = BROKEN[what]
    assert judge(sources.stack()) == []
    sources.change("template.yaml", before, after)
    assert told in judge(sources.stack())


def test_a_name_that_two_stacks_would_share_is_caught(sources: Sources) -> None:
    """By tests/test_template.py::test_two_stacks_of_one_account_share_no_name."""
    sources.change("template.yaml", "LayerName: !Sub ${AWS::StackName}-common", "LayerName: integrations-common")
    template = translate(sources.folder / "template.yaml")
    one, other = (template.deployed(named=name, Prefix=name) for name in ("blue", "green"))
    [told] = stack_findings.shared_names(one, other)
    assert told.endswith(".LayerName is called integrations-common in both")


def test_a_handler_that_does_not_import_is_caught(sources: Sources) -> None:
    """By tests/rehearsal/test_uploads.py::test_each_handler_imports_on_lambdas_own_python."""
    sources.change("functions/registry/app.py", "import ", "import no_such_package, ")
    code = sources.built("RegistryFunction")
    [told] = unloadable_handler(lambda_python(), "app.handler", [code])
    assert told.startswith("app.handler does not import: ModuleNotFoundError: No module named 'no_such_package'")


def test_a_handler_that_is_called_otherwise_is_caught(sources: Sources) -> None:
    sources.change("functions/registry/app.py", "def handler(", "def handle(")
    [told] = unloadable_handler(lambda_python(), "app.handler", [sources.built("RegistryFunction")])
    assert told.startswith("app.handler does not import: AttributeError:")


def test_a_layer_of_the_wrong_architecture_is_caught(sources: Sources) -> None:
    """By tests/rehearsal/test_uploads.py::test_every_compiled_file_is_of_the_templates_architecture."""
    wheels = {"arm64": "aarch64", "x86_64": "x86_64"}
    name = f"make/{ARCHITECTURE}/Makefile"
    sources.change(name, f"WHEEL_ARCHITECTURE := {wheels[ARCHITECTURE]}", f"WHEEL_ARCHITECTURE := {wheels[OTHER]}")
    layer = sources.built("CommonLayer")
    upload = shutil.make_archive(str(layer), "zip", layer)
    told = foreign_code(Path(upload), ARCHITECTURE)
    assert any("pydantic_core" in line and line.endswith(f" is for {OTHER}, not {ARCHITECTURE}") for line in told)


@pytest.mark.parametrize(
    "change",
    [
        ("\t$(call compile_bytecode,/var/task)\n", ""),
        ("--invalidation-mode unchecked-hash", "--invalidation-mode timestamp"),
    ],
    ids=["no bytecode", "bytecode that is checked by time"],
)
def test_source_only_code_is_caught(sources: Sources, change: tuple[str, str]) -> None:
    """By tests/rehearsal/test_uploads.py::test_no_source_is_compiled_in_lambda."""
    sources.change("make/build.mk", *change)
    told = sources_only(lambda_python(), sources.built("WikipediaFunction"))
    assert "provider.py has no bytecode that Lambda takes as it is" in told
