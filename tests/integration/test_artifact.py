"""The code as it is uploaded: what is in it, and what it does behind AWS's own runtime client."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from devtools.project import load_provider
from devtools.runtime_api import Environment as Function
from devtools.runtime_api import Result
from tests.support import mail
from tests.support import upstream as reply
from tests.support.artifact import Artifact, digests
from tests.support.aws import Secrets
from tests.support.code_findings import bytecode
from tests.support.keys import Headers, wrong_keys
from tests.support.stack import ROOT
from tests.support.upstream import LOOPBACK, Request, Upstream, server_context

PROVIDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/provider.py"))
EVENTS = sorted(path.stem for path in ROOT.glob("events/*.json"))
OVER_HTTP = [name for name in EVENTS if load_provider(name.partition(".")[0]).base_urls]
MEGABYTE = 1_000_000


def function_name(provider: str) -> str:
    return "".join(word.capitalize() for word in provider.split("_")) + "Function"


def test_the_layer_and_every_function_are_uploaded(artifact: Artifact) -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/*.py")}
    assert artifact.code.keys() == {"CommonLayer"} | {function_name(name) for name in folders}


def test_every_source_has_bytecode_that_lambda_takes_without_looking_at_it(
    artifact: Artifact,
) -> None:
    for name in artifact.code:
        bad, good = bytecode(artifact.python, artifact.code[name])
        assert bad == []
        assert good > 0


def test_bytecode_that_is_checked_or_stale_would_be_noticed(artifact: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    for name in ("checked", "stale", "missing", "right"):
        (folder / f"{name}.py").write_text("value = 1\n")
    for name, mode in (("checked", "checked-hash"), ("stale", "unchecked-hash")):
        compile_with(artifact.python, folder / f"{name}.py", mode)
    compile_with(artifact.python, folder / "right.py", "unchecked-hash")
    (folder / "stale.py").write_text("value = 2\n")
    bad, good = bytecode(artifact.python, folder)
    assert sorted(Path(path).stem for path in bad) == ["checked", "missing", "stale"]
    assert good == 1


def compile_with(python: str, source: Path, mode: str) -> None:
    command = [python, "-m", "compileall", "-q", "--invalidation-mode", mode, str(source)]
    subprocess.run(command, check=True)


def test_tracebacks_name_files_as_they_lie_in_lambda(artifact: Artifact) -> None:
    layer = artifact.code["CommonLayer"] / "python/integrations/__pycache__"
    (compiled,) = layer.glob("handler.cpython-313.pyc")
    assert b"/opt/python/integrations/handler.py" in compiled.read_bytes()
    function = artifact.code["WikipediaFunction"] / "__pycache__"
    (compiled,) = function.glob("provider.cpython-313.pyc")
    assert b"/var/task/provider.py" in compiled.read_bytes()


def test_the_layer_is_small(artifact: Artifact) -> None:
    layer = artifact.code["CommonLayer"]
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
    assert 5 * MEGABYTE < size <= 24 * MEGABYTE


def test_the_layer_holds_the_pinned_packages_and_nothing_that_lambda_has(
    artifact: Artifact,
) -> None:
    layer = artifact.code["CommonLayer"]
    assert [path.name for path in layer.iterdir()] == ["python"]
    pinned = set(
        re.findall(
            r"^([a-z0-9-]+)==([^ ]+)",
            (ROOT / "layers/common/python/requirements.txt").read_text(),
            re.MULTILINE,
        )
    )
    installed = set()
    for metadata in layer.glob("python/*.dist-info/METADATA"):
        fields = dict(re.findall(r"^(Name|Version): (.+)$", metadata.read_text(), re.MULTILINE))
        installed.add((re.sub(r"[-_.]+", "-", fields["Name"]).lower(), fields["Version"]))
    assert installed == pinned
    names = {path.name for path in (layer / "python").iterdir()}
    assert not names & {"bin", "boto3", "botocore", "aws_xray_sdk", "requirements.txt"}


def test_the_layer_holds_each_certificate_authority_in_a_file_of_its_own(artifact: Artifact) -> None:
    layer = artifact.code["CommonLayer"] / "python"
    bundle = (layer / "certifi/cacert.pem").read_text()
    assert len(list((layer / "integrations/authorities").iterdir())) == bundle.count("BEGIN CERTIFICATE") > 100


@pytest.fixture
def run(artifact: Artifact, tmp_path: Path) -> Iterator[Callable[..., Function]]:
    """Run functions of the artifact until the test ends."""
    running: list[Function] = []

    def start(name: str, **environment: str) -> Function:
        log = tmp_path / f"{name}.log"
        running.append(artifact.function(name, log, **environment))
        return running[-1]

    yield start
    for function in running:
        function.close()


def event(name: str) -> Any:
    return json.loads((ROOT / f"events/{name}.json").read_text())


def http_event(provider: str, call: dict[str, Any]) -> dict[str, Any]:
    """Give the event that API Gateway makes of a POST, payload version 2.0."""
    path = f"/execute/{provider}/{call['method']}"
    body = {key: value for key, value in call.items() if key != "method"}
    return {
        "version": "2.0",
        "routeKey": f"POST /execute/{provider}/{{method}}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "x-correlation-id": "artifact-1"},
        "requestContext": {
            "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"},
            "requestId": "request-1",
            "stage": "$default",
        },
        "pathParameters": {"method": call["method"]},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def test_every_provider_has_an_event() -> None:
    assert {name.partition(".")[0] for name in EVENTS} == set(PROVIDERS)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_each_function_takes_its_event_and_raises_what_a_state_machine_can_catch(
    run: Callable[..., Function], upstream: Upstream, name: str
) -> None:
    provider = name.partition(".")[0]
    upstream.route(lambda _: reply.json({"message": "no"}, 401))
    function = run(function_name(provider), **{f"{provider.upper()}_BASE_URL": upstream.url})
    result = function.invoke(event(name))
    assert upstream.requests, function.output()
    assert result.failed
    assert result.payload["errorType"] == "UpstreamDenied"
    problem = json.loads(result.payload["errorMessage"])
    assert (problem["code"], problem["status"]) == ("upstream_denied", 502)
    assert problem["provider"] == provider
    assert not result.payload.get("stackTrace")


@pytest.mark.parametrize("name", OVER_HTTP)
def test_each_function_answers_the_same_call_over_http_with_a_problem(
    run: Callable[..., Function], upstream: Upstream, name: str
) -> None:
    provider = name.partition(".")[0]
    upstream.route(lambda _: reply.json({"message": "no"}, 401))
    function = run(function_name(provider), **{f"{provider.upper()}_BASE_URL": upstream.url})
    result = function.invoke(http_event(provider, event(name)))
    assert upstream.requests, function.output()
    assert not result.failed
    assert result.payload["statusCode"] == 502
    headers = {key.lower(): value for key, value in result.payload["headers"].items()}
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-correlation-id"] == "artifact-1"
    assert json.loads(result.payload["body"])["code"] == "upstream_denied"


def test_algolia_searches_with_the_setup_of_the_call(run: Callable[..., Function], upstream: Upstream) -> None:
    upstream.replies(algolia_hits())
    function = run("AlgoliaFunction", ALGOLIA_BASE_URL=upstream.url)
    result = function.invoke(event("algolia.search"))
    assert_hits(result, function)
    assert upstream.last.headers["x-algolia-api-key"] == "example-search-key"
    assert "example-search-key" not in function.output()


def test_algolia_searches_with_a_stored_connection(
    run: Callable[..., Function], upstream: Upstream, secrets: Secrets
) -> None:
    stored = {"setup": {"application_id": "STOREDAPP", "api_key": "stored-search-key"}}
    secrets.put("algolia/default", stored)
    upstream.replies(algolia_hits(), algolia_hits())
    function = run(
        "AlgoliaFunction",
        ALGOLIA_BASE_URL=upstream.url,
        AWS_ENDPOINT_URL=secrets.url,
        INTEGRATIONS_PREFIX="integrations",
    )
    call = {key: value for key, value in event("algolia.search").items() if key != "setup"}
    assert_hits(function.invoke(call), function)
    assert_hits(function.invoke(call), function)
    assert upstream.last.headers["x-algolia-api-key"] == "stored-search-key"
    assert "stored-search-key" not in function.output()
    assert len(secrets.reads) == 1


def algolia_hits() -> reply.Message:
    hits = [{"objectID": "1", "name": "phone"}]
    return reply.json({"hits": hits, "nbHits": 1, "page": 0, "nbPages": 1, "hitsPerPage": 5, "processingTimeMS": 1})


def assert_hits(result: Result, function: Function) -> None:
    assert not result.failed, result.payload
    assert result.payload["hits"][0]["name"] == "phone", function.output()


def test_wikipedia_reads_the_pages_that_it_finds(run: Callable[..., Function], upstream: Upstream) -> None:
    ada = {"pageid": 974, "ns": 0, "title": "Ada Lovelace", "index": 1}

    def wiki(request: Request) -> reply.Message:
        if "generator" in request.query:
            found = {**ada, "extract": "A mathematician.", "fullurl": "http://wiki.test/Ada"}
            return reply.json({"batchcomplete": True, "query": {"pages": [found]}})
        assert request.query["pageids"] == ["974"]
        full = {**ada, "extract": "A mathematician. And a countess."}
        return reply.json({"batchcomplete": True, "query": {"pages": [full]}})

    upstream.route(wiki)
    function = run("WikipediaFunction", WIKIPEDIA_BASE_URL=f"{upstream.url}/w")
    result = function.invoke(http_event("wikipedia", event("wikipedia.search")))
    assert result.payload["statusCode"] == 200, function.output()
    (document,) = json.loads(result.payload["body"])["documents"]
    assert document["metadata"]["title"] == "Ada Lovelace"
    assert document["page_content"] == "A mathematician. And a countess."
    assert {request.path for request in upstream.requests} == {"/w/api.php"}


FEED = '<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>Tea</title></entry></feed>'


def test_arxiv_reads_a_feed_with_the_parser_that_it_ships(
    run: Callable[..., Function], artifact: Artifact, upstream: Upstream
) -> None:
    assert (artifact.code["ArxivFunction"] / "defusedxml/__pycache__/ElementTree.cpython-313.pyc").is_file()
    upstream.replies(reply.content(FEED.encode(), "application/atom+xml"))
    function = run("ArxivFunction", ARXIV_BASE_URL=upstream.url)
    result = function.invoke(http_event("arxiv", event("arxiv.search")))
    assert result.payload["statusCode"] == 200, function.output()
    assert json.loads(result.payload["body"])["result"][0]["title"] == "Tea"


def test_arxiv_refuses_entities_on_lambdas_own_python(run: Callable[..., Function], upstream: Upstream) -> None:
    entity = '<!DOCTYPE feed [<!ENTITY tea "Tea">]>' + FEED.replace("Tea", "&tea;")
    upstream.replies(reply.content(entity.encode(), "application/atom+xml"))
    function = run("ArxivFunction", ARXIV_BASE_URL=upstream.url)
    result = function.invoke(event("arxiv.search"), seconds=4)
    assert (result.failed, result.payload["errorType"]) == (True, "UpstreamBadResponse"), function.output()


@pytest.fixture
def mailer(
    run: Callable[..., Function], certificate_authority: trustme.CA, authority_file: Path
) -> Iterator[tuple[Function, mail.MailServer, dict[str, Any]]]:
    """The email function, a mail server that wants STARTTLS and a password, and the event aimed at it."""
    call = event("email.send")
    users = {call["setup"]["user"]: call["setup"]["password"]}
    function = run("EmailFunction", INTEGRATIONS_ALLOWED_HOSTS=LOOPBACK, INTEGRATIONS_CA_FILE=str(authority_file))
    with mail.running(certificate_authority, "starttls", users) as server:
        call["setup"] |= {"host": LOOPBACK, "port": server.port}
        yield function, server, call


def test_email_sends_what_its_event_says(mailer: tuple[Function, mail.MailServer, dict[str, Any]]) -> None:
    function, server, call = mailer
    direct = function.invoke(call)
    assert not direct.failed, function.output()
    assert direct.payload["accepted"] == ["bob@example.org"]
    over_http = function.invoke(http_event("email", call))
    assert over_http.payload["statusCode"] == 200, function.output()
    assert [received.recipients for received in server.received] == [["bob@example.org"]] * 2
    assert {received.encrypted for received in server.received} == {True}
    assert call["setup"]["password"] not in function.output()


def test_email_raises_what_a_state_machine_can_catch(mailer: tuple[Function, mail.MailServer, dict[str, Any]]) -> None:
    function, server, call = mailer
    server.users.clear()
    result = function.invoke(call)
    assert (result.failed, result.payload["errorType"]) == (True, "UpstreamDenied")
    problem = json.loads(result.payload["errorMessage"])
    assert (problem["code"], problem["upstream_status"]) == ("upstream_denied", 535)
    assert not result.payload.get("stackTrace")
    assert server.received == []


@pytest.mark.parametrize("field", mail.FIELDS)
def test_nothing_gets_out_of_its_field_on_lambdas_own_python(
    mailer: tuple[Function, mail.MailServer, dict[str, Any]], field: str
) -> None:
    function, server, call = mailer
    call["arguments"] = {"from": "ann@example.com", "to": ["bob@example.org"], "subject": "Tea", "text": "At five.\n"}
    taken = 0
    for payload in mail.PAYLOADS:
        before = len(server.received)
        result = function.invoke(call | {"arguments": call["arguments"] | mail.poisoned(field, payload)})
        if result.failed:
            assert result.payload["errorType"] == "InvalidArguments", payload
            assert len(server.received) == before
            continue
        taken += 1
        [received] = server.received[before:]
        mail.check_intact(received, field, payload)
    assert taken == mail.TAKEN.get(field, 0)


def test_a_folders_other_files_are_where_they_are_imported_from(artifact: Artifact) -> None:
    for folder in {path.parent for path in ROOT.glob("functions/*/*.py")}:
        code = artifact.code[function_name(folder.name)]
        others = {path.name for path in folder.glob("*.py")} - {"provider.py", "app.py"}
        assert {path.name for path in code.glob("functions/*/*.py")} == others
        assert {path.parent.name for path in code.glob("functions/*/*.py")} <= {folder.name}
        assert {path.name for path in code.glob("*.py")} == {path.name for path in folder.glob("*.py")} - others
    assert (artifact.code["FfmpegFunction"] / "functions/ffmpeg/process.py").is_file()


def test_ffmpeg_runs_the_program_that_was_uploaded(run: Callable[..., Function], artifact: Artifact) -> None:
    (program,) = (artifact.code["FfmpegFunction"] / "imageio_ffmpeg/binaries").glob("ffmpeg-linux-*")
    assert os.access(program, os.X_OK)
    row = rf"\| \w+ \| `{re.escape(program.name)}` \| (\S+) \| {program.stat().st_size:,} \|"
    stated = re.search(row, (ROOT / "docs/security.md").read_text(encoding="utf-8"))
    assert stated, "the page names the file and its size"
    assert f"ffmpeg version n{stated[1]}" in subprocess.check_output([program, "-version"], text=True)
    function = run("FfmpegFunction", PATH="/nowhere")
    made = function.invoke(event("ffmpeg.convert"))
    assert not made.failed, function.output()
    assert made.payload["media_type"] == "video/webm"
    again = event("ffmpeg.probe") | {"arguments": {"file": made.payload["base64"]}}
    described = function.invoke(http_event("ffmpeg", again))
    assert described.payload["statusCode"] == 200, function.output()
    assert [stream["codec"] for stream in json.loads(described.payload["body"])["streams"]] == ["vp8", "opus"]
    refused = function.invoke({"arguments": event("ffmpeg.bash_cmd")["arguments"] | {"cmd": "ls"}})
    assert (refused.failed, refused.payload["errorType"]) == (True, "CommandDenied")


def test_ffmpeg_and_the_layer_fit_together_into_what_lambda_unzips(artifact: Artifact) -> None:
    code = [artifact.code[name] for name in ("CommonLayer", "FfmpegFunction")]
    size = sum(path.stat().st_size for folder in code for path in folder.rglob("*") if path.is_file())
    assert size < 250 * 1024 * 1024


def test_every_other_function_is_small(artifact: Artifact) -> None:
    sizes = {
        name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for name, folder in artifact.code.items()
        if name != "FfmpegFunction"
    }
    assert {name: size for name, size in sizes.items() if size >= 60 * MEGABYTE} == {}
    assert sizes["GoogleSheetsFunction"] > MEGABYTE, "the parts that sign are there"


def api_event(method: str, path: str, **headers: str) -> dict[str, Any]:
    http = {"method": method, "path": path, "sourceIp": "192.0.2.1"}
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "headers": headers,
        "requestContext": {"http": http, "requestId": "request-1", "stage": "$default"},
    }


def test_the_registry_answers_without_the_layer(run: Callable[..., Function]) -> None:
    function = run("RegistryFunction")
    health = function.invoke(api_event("GET", "/health")).payload
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert health["statusCode"] == 200
    assert json.loads(health["body"]) == {"status": "ok", "version": version}
    catalog = json.loads(function.invoke(api_event("GET", "/integrations")).payload["body"])
    assert [entry["provider"] for entry in catalog] == PROVIDERS
    tools = json.loads(function.invoke(api_event("GET", "/tools")).payload["body"])
    assert tools["total"] == len(tools["tools"]) == sum(len(entry["methods"]) for entry in catalog)


VALID, OTHER = "me.right-secret-0123456789", "you.other-secret-0123456789"


def record(key: str, **bounds: Any) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(key.partition(".")[2].encode()).hexdigest(), **bounds}


@pytest.fixture
def authorizer(run: Callable[..., Function], secrets: Secrets) -> Function:
    """The authorizer as it was uploaded; `me` may call everything, `you` too, `old` no longer, `few` a little."""
    keys = {
        "me": record(VALID),
        "you": record(OTHER),
        "old": record(VALID, expires="2026-01-01T00:00:00+00:00"),
        "new": record(VALID, expires="2199-01-01T00:00:00+00:00"),
        "few": record(VALID, scopes=["algolia", "email.send"]),
        "odd": record(VALID, scopes=["algolia", 5]),
        "gone": record(VALID),
    }
    secrets.put("api-keys", {"keys": keys})
    return run("AuthorizerFunction", AWS_ENDPOINT_URL=secrets.url, INTEGRATIONS_PREFIX="integrations")


def verdict(authorizer: Function, path: str, headers: Headers) -> dict[str, Any]:
    """Ask with the headers as API Gateway hands them on: lower case, repeated ones joined by a comma."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    answer: dict[str, Any] = authorizer.invoke(api_event("POST", path, **joined)).payload
    return answer


def sent(key: str) -> Headers:
    return [("x-api-key", key)]


def test_a_hundred_wrong_keys_are_closed_by_the_built_authorizer(authorizer: Function) -> None:
    digest = record(VALID)["sha256"]
    wrong = wrong_keys(VALID, OTHER, digest)
    assert len(wrong) == 100
    for name, headers in wrong.items():
        assert verdict(authorizer, "/tools", headers) == {"isAuthorized": False, "context": {}}, name
    assert verdict(authorizer, "/tools", sent(VALID)) == {"isAuthorized": True, "context": {"keyId": "me"}}
    assert "right-secret" not in authorizer.output()


def test_the_built_authorizer_closes_what_is_over_damaged_or_out_of_scope(authorizer: Function) -> None:
    secret = VALID.partition(".")[2]
    for key_id, path, is_open in (
        ("old", "/tools", False),
        ("new", "/tools", True),
        ("odd", "/execute/algolia", False),
        ("few", "/execute/algolia", True),
        ("few", "/execute/wikipedia", False),
        ("few", "/execute/email", True),
        ("few", "/integrations/algolia", True),
        ("gone", "/tools", True),
        ("me", "/execute/wikipedia", True),
    ):
        assert verdict(authorizer, path, sent(f"{key_id}.{secret}"))["isAuthorized"] is is_open, (key_id, path)
    assert "damaged" in authorizer.output()
    assert "expired" in authorizer.output()
    assert secret not in authorizer.output()


def test_a_revoked_key_is_closed_by_the_built_authorizer(
    authorizer: Function, run: Callable[..., Function], secrets: Secrets
) -> None:
    """By an environment that starts after it was revoked; of one that knew it, the clock of the unit tests tells."""
    key = "gone." + VALID.partition(".")[2]
    assert verdict(authorizer, "/tools", sent(key))["isAuthorized"] is True
    secrets.put("api-keys", {"keys": {"me": record(VALID)}})
    fresh = run("AuthorizerFunction", AWS_ENDPOINT_URL=secrets.url, INTEGRATIONS_PREFIX="integrations")
    assert verdict(fresh, "/tools", sent(key)) == {"isAuthorized": False, "context": {}}
    assert verdict(fresh, "/tools", sent(VALID))["isAuthorized"] is True


def test_the_built_function_closes_a_method_out_of_scope(
    authorizer: Function, run: Callable[..., Function], upstream: Upstream
) -> None:
    function = run("AlgoliaFunction", ALGOLIA_BASE_URL=upstream.url)
    key = "few." + VALID.partition(".")[2]

    def called(scopes: dict[str, str]) -> Any:
        asked = http_event("algolia", event("algolia.search"))
        asked["requestContext"]["authorizer"] = {"lambda": scopes}
        return function.invoke(asked).payload

    context = verdict(authorizer, "/execute/algolia/search", sent(key))["context"]
    assert context == {"keyId": "few", "scopes": "algolia.* email.send"}
    upstream.replies(algolia_hits())
    assert called(context)["statusCode"] == 200
    upstream.requests.clear()
    refused = called(context | {"scopes": "*.send"})
    assert (refused["statusCode"], json.loads(refused["body"])["code"]) == (403, "forbidden")
    assert upstream.requests == []


def test_the_authorizer_holds_authorities_and_no_package(artifact: Artifact) -> None:
    code = artifact.code["AuthorizerFunction"]
    assert {path.name for path in code.iterdir() if path.suffix != ".dist-info"} == {
        "app.py",
        "functions",
        "__pycache__",
    }
    module = code / "functions/authorizer"
    assert {path.name for path in module.iterdir()} == {"secrets_manager.py", "authorities", "__pycache__"}
    layer = artifact.code["CommonLayer"] / "python/integrations/authorities"
    assert digests(module / "authorities") == digests(layer)


def test_the_authorizer_knows_secrets_manager_by_the_authorities_it_holds(
    artifact: Artifact, tmp_path: Path, certificate_authority: trustme.CA, authority_file: Path
) -> None:
    value = json.dumps({"keys": {"me": record(VALID)}})
    holding = tmp_path / "code"
    shutil.copytree(artifact.code["AuthorizerFunction"], holding)
    folder = holding / "functions/authorizer/authorities"
    subprocess.run(["sh", ROOT / "make/authorities.sh", authority_file, folder], check=True)
    with Upstream(tls=server_context(certificate_authority, "localhost")) as server:
        server.route(lambda _: reply.json({"SecretString": value}))
        endpoint = f"https://localhost:{server.port}"
        for code, is_open in ((artifact.code["AuthorizerFunction"], False), (holding, True)):
            variant = dataclasses.replace(artifact, code={"AuthorizerFunction": code})
            function = variant.function("AuthorizerFunction", tmp_path / "log", AWS_ENDPOINT_URL=endpoint)
            assert verdict(function, "/tools", sent(VALID))["isAuthorized"] is is_open, function.output()
            assert ("SSLCertVerificationError" in function.output()) is not is_open
            function.close()
        assert len(server.requests) == 1


def test_running_compiles_nothing(run: Callable[..., Function], artifact: Artifact, upstream: Upstream) -> None:
    before = [digests(artifact.code[name]) for name in ("CommonLayer", "AlgoliaFunction")]
    upstream.replies(algolia_hits())
    function = run("AlgoliaFunction", ALGOLIA_BASE_URL=upstream.url, PYTHONVERBOSE="1")
    assert_hits(function.invoke(event("algolia.search")), function)
    loaded = [line for line in function.output().splitlines() if "code object from" in line]
    ours = [line for line in loaded if str(artifact.code["CommonLayer"]) in line]
    assert len(ours) > 100
    assert [line for line in ours if not line.endswith((".pyc'", ".pyc"))] == []
    assert [digests(artifact.code[name]) for name in ("CommonLayer", "AlgoliaFunction")] == before
