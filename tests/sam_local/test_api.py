"""`sam local start-api`: the cases that `serve` passes, and by name those in which SAM's gateway is not AWS's."""

import shutil
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from devtools.project import TEMPLATE
from devtools.template import read_routes
from tests.sam_local.conftest import Sam
from tests.support.http_cases import BUNDLE, FOUND, PROBE, START_API_DIFFERS, Case, by_name
from tests.support.peers import Peers, answer_examples
from tests.support.serving import KEY
from tests.support.stack import ROOT

_PROBE = ROOT / "tests/support/probe"


@pytest.fixture(scope="module")
def api(sam: Sam, peers: Peers) -> Iterator[str]:
    """The bundle, whose algolia answers as in the table."""
    algolia = peers.upstreams["algolia"]
    algolia.route(lambda _: FOUND)
    with sam.serving("start-api", "--warm-containers", "LAZY") as (url, _):
        yield url
    answer_examples("algolia", algolia)


@pytest.fixture(scope="module")
def probe(engine: str, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stack that shows what a gateway does. It has no dependencies and is not built."""
    folder = tmp_path_factory.mktemp("probe")
    shutil.copytree(_PROBE, folder / "tests/support/probe", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_PROBE / "template.yaml", folder)
    with Sam(folder, engine, {}, {}, address).serving("start-api", "--warm-containers", "LAZY") as (url, _):
        yield url


def check(case: Case, url: str) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client:
        found = case.differences(case.send(client, url))
    if case.name in START_API_DIFFERS:
        assert found, "it is now as in AWS: take it from the list"
    else:
        assert found == []


@pytest.mark.parametrize("name", by_name(BUNDLE))
def test_the_bundle_answers(api: str, name: str) -> None:
    check(by_name(BUNDLE)[name], api)


@pytest.mark.parametrize("name", by_name(PROBE))
def test_the_gateway_answers(probe: str, name: str) -> None:
    check(by_name(PROBE)[name], probe)


def test_every_difference_is_of_a_case() -> None:
    assert by_name([*BUNDLE, *PROBE]).keys() >= START_API_DIFFERS.keys()


def test_curl_and_the_authorizer(api: str) -> None:
    """As a person would ask, with a key and without."""
    argv = ["curl", "-sS", "-w", "\n%{http_code}", f"{api}/integrations/wikipedia"]
    refused = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert refused.endswith("403")
    let_in = subprocess.run([*argv, "-H", f"x-api-key: {KEY}"], capture_output=True, text=True, check=True).stdout
    assert let_in.endswith("200")
    assert '"provider": "wikipedia"' in let_in


def test_every_route_is_there(api: str) -> None:
    """Without a key each is refused by the authorizer; what is no route would be told by SAM itself."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        for route in read_routes(TEMPLATE):
            method, _, path = route.key.partition(" ")
            if path and route.authorizer:
                reply = client.request(method, api + path.replace("{", "").replace("}", ""))
                assert reply.status_code in (401, 403), route.key
