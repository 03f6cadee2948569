"""The translated template before AWS's own linter and before checkov, whose every finding is mended or has a reason."""

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.conftest import Packaged
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.stack import ROOT, sam_tool

pytestmark = pytest.mark.timeout(900)

CHECKOV = ROOT / ".venv/checkov/bin/python"

# Rules that do not fit, each with its reason.
CFN_LINT = {
    "W1028": "SAM asks a category's condition twice for each route, once inside the other",
}
CHECKOV_CHECKS = {
    "CKV_AWS_18": "the access to the bucket's objects is in CloudTrail where an account wants it",
    "CKV_AWS_21": "a version kept is an object that is not gone after a day",
    "CKV_AWS_26": "CloudWatch cannot publish to a topic under SNS's own key, and one's own key costs more than all "
    "alarms; a message names an alarm and a page of the runbook",
    "CKV_AWS_27": "the queue is encrypted with SQS's own key, which checkov takes for none (SqsManagedSseEnabled)",
    "CKV_AWS_115": "no reserved concurrency by default: it is taken off what the account has; the parameter sets it",
    "CKV_AWS_116": "a provider's failed asynchronous calls go to the queue as its OnFailure destination, which "
    "tells more than a dead letter; nobody calls the authorizer and the registry but the API, which waits",
    "CKV_AWS_117": "no VPC: the services are on the internet, and a VPC would need a NAT gateway to reach them",
    "CKV_AWS_158": "logs hold no secret and no argument; they are encrypted by CloudWatch's own key",
    "CKV_AWS_173": "the variables hold names and addresses, and no secret; they are encrypted by Lambda's own key",
}  # fmt: skip


@pytest.fixture(scope="module")
def path(native: Packaged) -> Path:
    """Give the translated template as a file."""
    path = native.folder / "translated.json"
    path.write_text(json.dumps(native.template.translated, indent=1))
    return path


def test_cfn_lint_finds_nothing_in_what_aws_deploys(path: Path) -> None:
    done = subprocess.run(
        [sam_tool("cfn-lint"), "--format", "parseable", "-i", *CFN_LINT, "-t", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def judged(path: Path) -> dict[str, Any]:
    """Give checkov's report on the translated template."""
    if not CHECKOV.exists():
        peer_is_missing("checkov is not installed: `make deploy-rehearsal` installs it into .venv/checkov")
    done = subprocess.run(
        [
            *(CHECKOV, "-m", "checkov.main", "--file", path, "--framework", "cloudformation"),
            *("--output", "json", "--quiet", "--compact", "--skip-download"),
        ],
        env={name: value for name, value in os.environ.items() if not name.startswith(("BC_", "CKV_", "PYTHON"))},
        capture_output=True,
        text=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    return report


def test_checkov_finds_nothing_that_has_no_reason(judged: dict[str, Any], native: Packaged) -> None:
    assert judged["summary"]["resource_count"] == len(native.template.translated["Resources"])
    assert judged["summary"]["passed"] > 200
    found = defaultdict(list)
    for failed in judged["results"]["failed_checks"]:
        if failed["check_id"] not in CHECKOV_CHECKS:
            found[f"{failed['check_id']} {failed['check_name']}"].append(failed["resource"])
    assert found == {}


def test_each_reason_is_still_needed(judged: dict[str, Any]) -> None:
    assert CHECKOV_CHECKS.keys() <= {failed["check_id"] for failed in judged["results"]["failed_checks"]}
