"""Secrets and API keys: in the local store, in a deployed stack, and in the AWS that `serve` embeds."""

import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from click.testing import CliRunner

from devtools.cli import main
from devtools.connections import InvalidConnection, checked
from devtools.project import load_provider
from devtools.store import LocalStore, StoreError
from tests.support.aws import Secrets
from tests.support.processes import Server, served
from tests.support.serving import COMMAND, ROOT, environment, integrations

KEY = "0123456789abcdef"
SETUP = {"application_id": "TESTAPP", "api_key": KEY}
SHOWN = {"application_id": "TESTAPP", "api_key": "****cdef"}
PROVIDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/provider.py"))


def here(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in this process: for what it checks and prints, a process of its own shows no more."""
    runner = CliRunner(env={"INTEGRATIONS_HOME": str(home)})
    done = runner.invoke(main, arguments, input=stdin, catch_exceptions=False)
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def put(home: Path, value: Any, *options: str, provider: str = "algolia") -> subprocess.CompletedProcess[str]:
    return here(home, "secrets", "put", provider, *options, stdin=json.dumps(value))


def stored(home: Path) -> dict[str, Any]:
    entries = json.loads((home / "secrets.json").read_text())
    return {name: entry["value"] for name, entry in entries.items()}


def told(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


# Connections.


def test_put_get_list_rm(tmp_path: Path) -> None:
    done = integrations(tmp_path, "secrets", "put", "algolia", stdin=json.dumps(SETUP))
    assert (done.returncode, done.stdout, done.stderr) == (0, "Stored algolia/default.\n", "")
    put(tmp_path, {"setup": SETUP, "arguments": {"page": 2}, "base_url": "http://127.0.0.1:1"}, "--connection", "shop")
    put(tmp_path, {"arguments": {"limit": 1}}, "--connection", "short", provider="wikipedia")
    assert stored(tmp_path) == {
        "algolia/default": {"setup": SETUP},
        "algolia/shop": {"setup": SETUP, "arguments": {"page": 2}, "base_url": "http://127.0.0.1:1"},
        "wikipedia/short": {"arguments": {"limit": 1}},
    }
    assert integrations(tmp_path, "secrets", "list").stdout == "algolia default\nalgolia shop\nwikipedia short\n"
    assert integrations(tmp_path, "secrets", "list", "wikipedia").stdout == "wikipedia short\n"
    shop = integrations(tmp_path, "secrets", "get", "algolia", "--connection", "shop")
    assert json.loads(shop.stdout) == {"setup": SHOWN, "arguments": {"page": 2}, "base_url": "http://127.0.0.1:1"}
    removed = integrations(tmp_path, "secrets", "rm", "algolia")
    assert (removed.returncode, removed.stdout) == (0, "Removed algolia/default.\n")
    assert set(stored(tmp_path)) == {"algolia/shop", "wikipedia/short"}


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "new" / "store"
    done = subprocess.run(
        [*COMMAND, "secrets", "put", "algolia"],
        cwd=ROOT,
        env=environment(home),
        input=json.dumps(SETUP),
        capture_output=True,
        text=True,
        check=False,
        umask=0,
    )
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {"secrets.json": 0o600}


def test_the_originals_names_are_taken_and_plain_ones_stored(tmp_path: Path) -> None:
    assert put(tmp_path, {"algolia_application_id": "TESTAPP", "algolia_api_key": KEY}).returncode == 0
    assert stored(tmp_path)["algolia/default"] == {"setup": SETUP}


def test_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "value.json").write_text(json.dumps(SETUP))
    done = here(tmp_path, "secrets", "put", "algolia", "--from-file", str(tmp_path / "value.json"))
    assert done.returncode == 0, done.stderr
    assert stored(tmp_path)["algolia/default"] == {"setup": SETUP}


def test_a_masked_value_keeps_the_stored_one(tmp_path: Path) -> None:
    put(tmp_path, SETUP)
    shown = json.loads(here(tmp_path, "secrets", "get", "algolia").stdout)
    assert shown == {"setup": SHOWN}
    shown["setup"]["application_id"] = "OTHER"
    assert put(tmp_path, shown).returncode == 0
    assert stored(tmp_path)["algolia/default"] == {"setup": {"application_id": "OTHER", "api_key": KEY}}


@pytest.mark.parametrize("before", [None, {**SETUP, "api_key": "another-key-0123"}])
def test_a_masked_value_of_something_else_is_refused(tmp_path: Path, before: dict[str, str] | None) -> None:
    if before:
        put(tmp_path, before)
    done = put(tmp_path, {"setup": SHOWN})
    assert done.returncode == 1
    assert "api_key: this masked value is not the stored one's" in told(done)
    assert not before or stored(tmp_path)["algolia/default"] == {"setup": before}


@pytest.mark.parametrize(("key", "shown"), [("k", "****"), ("x" * 8 + "wxyz", "****"), ("x" * 9 + "wxyz", "****wxyz")])
def test_a_short_secret_shows_nothing_of_itself(tmp_path: Path, key: str, shown: str) -> None:
    put(tmp_path, {**SETUP, "api_key": key})
    done = here(tmp_path, "secrets", "get", "algolia")
    assert json.loads(done.stdout)["setup"]["api_key"] == shown


def test_what_the_provider_no_longer_knows_is_masked_too(tmp_path: Path) -> None:
    LocalStore(tmp_path).update("algolia/default", lambda _: {"setup": {**SETUP, "admin_password": "hunter2-hunter2"}})
    done = here(tmp_path, "secrets", "get", "algolia")
    assert "hunter2-" not in done.stdout
    assert KEY not in done.stdout


@pytest.mark.parametrize(
    ("value", "status", "why"),
    [
        ({"application_id": "TESTAPP"}, 1, "setup.api_key: Field required."),
        ({**SETUP, "region": "eu"}, 1, "setup.region: Extra inputs are not permitted."),
        ({**SETUP, "application_id": "a b"}, 1, "setup.application_id: String should match pattern"),
        ({**SETUP, "algolia_api_key": "other"}, 1, "given twice"),
        ({"arguments": {"page": 1}}, 1, "setup.application_id: Field required. setup.api_key: Field required."),
        ({"setup": SETUP, "arguments": {"sk-abcdefghijklmnopqrstuvwxyz": 1}}, 1, "arguments.?: No method"),
        ({"setup": SETUP, "arguments": {"pag": 1}}, 1, "arguments.pag: No method of algolia takes it."),
        ({"setup": SETUP, "arguments": [1]}, 1, "`arguments` is not an object"),
        ({"setup": "text"}, 1, "`setup` is not an object"),
        ({"setup": SETUP, "base_url": "file:///etc/passwd"}, 1, "base_url: an address starts with https://"),
        ([], 1, "The value is not an object"),
    ],
)
def test_what_does_not_fit_is_not_stored(tmp_path: Path, value: Any, status: int, why: str) -> None:
    done = put(tmp_path, value)
    assert (done.returncode, done.stdout) == (status, "")
    assert why in told(done)
    assert KEY not in done.stderr
    assert not (tmp_path / "secrets.json").exists()


def test_standard_input_that_is_no_json(tmp_path: Path) -> None:
    done = here(tmp_path, "secrets", "put", "algolia", stdin=KEY)
    assert (done.returncode, "The value is not JSON" in told(done)) == (1, True)
    assert KEY not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["put", "wikipedia"], "wikipedia takes no setup, so it has no default connection"),
        (["get", "wikipedia"], "a named one can pin arguments: add --connection NAME"),
        (["put", "nobody"], f"There is no provider of that name; there are: {', '.join(PROVIDERS)}."),
        (["list", "nobody"], "There is no provider of that name"),
        (["put", "algolia", "--connection", "a/b"], "A connection's name is 1 to 64"),
        (["put", "algolia", KEY], "unexpected extra argument"),
    ],
)
def test_usage_errors(tmp_path: Path, arguments: list[str], why: str) -> None:
    done = here(tmp_path, "secrets", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in told(done)


@pytest.mark.parametrize("command", ["get", "rm"])
def test_what_is_not_there(tmp_path: Path, command: str) -> None:
    done = here(tmp_path, "secrets", command, "algolia")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no algolia/default; `integrations secrets" in told(done)


def test_a_setup_for_a_provider_that_takes_none(tmp_path: Path) -> None:
    done = put(tmp_path, {"setup": {"api_key": KEY}}, "--connection", "x", provider="wikipedia")
    assert (done.returncode, "wikipedia takes no setup" in told(done)) == (1, True)
    done = put(tmp_path, {}, "--connection", "x", provider="wikipedia")
    assert (done.returncode, "There is nothing to store" in told(done)) == (1, True)


# At a terminal.


def typed(home: Path, *answers: str, provider: str = "algolia") -> tuple[int, str]:
    """Run `secrets put` at a terminal of its own, answering each question; give status and screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "secrets", "put", provider],
        cwd=ROOT,
        env=environment(home),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen, left = "", list(answers)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not select.select([ours], [], [], 0.1)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            screen += os.read(ours, 4096).decode()
        except OSError:  # the other side is closed
            break
        if left and re.search(r"\n[a-z_]+( \[[^\n]*\])?: $", screen):
            os.write(ours, f"{left.pop(0)}\n".encode())
            screen += "\n"
    os.close(ours)
    return process.wait(10), screen


def test_the_fields_are_asked_for_and_a_secret_is_not_shown(tmp_path: Path) -> None:
    status, screen = typed(tmp_path, "TESTAPP", KEY)
    assert status == 0, screen
    assert "the application's id" in screen, "the field is described"
    assert "TESTAPP" in screen
    assert KEY not in screen
    assert stored(tmp_path)["algolia/default"] == {"setup": SETUP}


def test_a_password_of_digits_stays_text(tmp_path: Path) -> None:
    status, screen = typed(tmp_path, "mail.example.com", "2525", "12345", "0012345678", "", provider="email")
    assert status == 0, screen
    assert stored(tmp_path)["email/default"] == {
        "setup": {"host": "mail.example.com", "port": 2525, "user": "12345", "password": "0012345678"}
    }


def test_enter_keeps_what_is_stored(tmp_path: Path) -> None:
    LocalStore(tmp_path).update("algolia/default", lambda _: {"setup": SETUP, "arguments": {"page": 1}})
    status, screen = typed(tmp_path, "OTHER", "")
    assert status == 0, screen
    assert "****cdef" in screen
    assert KEY not in screen
    assert stored(tmp_path)["algolia/default"] == {
        "setup": {"application_id": "OTHER", "api_key": KEY},
        "arguments": {"page": 1},
    }


# API keys.


def test_keys(tmp_path: Path) -> None:
    first = integrations(tmp_path, "keys", "create", "--label", "the shop").stdout.strip()
    second = integrations(tmp_path, "keys", "create").stdout.strip()
    assert re.fullmatch(r"[0-9a-f]{12}\.[A-Za-z0-9_-]{43}", first), "256 bits"
    assert first != second
    key_id, _, secret = first.partition(".")
    listed = integrations(tmp_path, "keys", "list").stdout.splitlines()
    assert listed[0].split() == ["ID", "CREATED", "EXPIRES", "SCOPES", "LABEL"]
    made = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
    assert re.fullmatch(rf"{key_id}  {made}  never    everything  the shop", listed[1])
    assert re.fullmatch(rf"{second.partition('.')[0]}  {made}  never    everything", listed[2])
    record = stored(tmp_path)["api-keys"]["keys"][key_id]
    assert set(record) == {"sha256", "created", "label"}
    assert secret not in (tmp_path / "secrets.json").read_text()
    assert integrations(tmp_path, "keys", "revoke", key_id).stdout == f"Revoked {key_id}.\n"
    assert [line.split()[0] for line in integrations(tmp_path, "keys", "list").stdout.splitlines()] == [
        "ID",
        second.partition(".")[0],
    ]
    again = integrations(tmp_path, "keys", "revoke", second)
    assert again.returncode == 1
    assert "There is no key with that id, which is the part of a key before its dot" in told(again)
    listed_none = integrations(tmp_path, "secrets", "list")
    assert (listed_none.returncode, listed_none.stdout) == (0, ""), "keys are no connections"
    assert "There are no connections; `integrations secrets put PROVIDER` stores one." in told(listed_none)


def create(home: Path, *options: str) -> dict[str, Any]:
    """Make a key and give what is stored of it."""
    done = here(home, "keys", "create", *options)
    assert (done.returncode, done.stderr) == (0, "")
    record: dict[str, Any] = stored(home)["api-keys"]["keys"][done.stdout.partition(".")[0]]
    return record


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["wikipedia"], ["wikipedia.*"]),
        (["wikipedia.search", "email"], ["wikipedia.search", "email.*"]),
        (["*.search"], ["*.search"]),
        (["*"], ["*.*"]),
        (["wiki*.s?arch"], ["wiki*.s?arch"]),
        (["wikipedia", "email", "wikipedia.*"], ["wikipedia.*", "email.*"]),
    ],
)
def test_a_key_is_limited_to_scopes(tmp_path: Path, given: list[str], kept: list[str]) -> None:
    record = create(tmp_path, *[option for scope in given for option in ("--scope", scope)])
    assert (set(record), record["scopes"]) == ({"sha256", "created", "scopes"}, kept)


@pytest.mark.parametrize(
    "scope",
    [
        "nobody",
        "wikipedia.nothing",
        "Wikipedia",
        "",
        ".",
        ".search",
        "wikipedia.",
        "wikipedia.*.x",
        "wiki[p]edia",
        "a b",
    ],
)
def test_a_scope_that_fits_nothing_is_refused(tmp_path: Path, scope: str) -> None:
    done = here(tmp_path, "keys", "create", "--scope", "algolia", "--scope", scope)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--scope 2 fits no method of the bundle. A scope is PROVIDER or PROVIDER.METHOD" in told(done)
    assert "there are: algolia.search, " in told(done)
    assert not (tmp_path / "secrets.json").exists()


def test_too_many_scopes_are_refused(tmp_path: Path) -> None:
    done = here(tmp_path, "keys", "create", *["--scope", "algolia"] * 51)
    assert (done.returncode, "A key takes at most 50 scopes" in told(done)) == (2, True)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2199-01-31", "2199-01-31T00:00:00+00:00"),
        ("2199-01-31T18:00:00", "2199-01-31T18:00:00+00:00"),
        ("2199-01-31T18:00:00Z", "2199-01-31T18:00:00+00:00"),
        ("2199-01-31T18:00:00+05:30", "2199-01-31T12:30:00+00:00"),
    ],
)
def test_a_key_ends_at_a_moment(tmp_path: Path, given: str, kept: str) -> None:
    assert create(tmp_path, "--expires", given)["expires"] == kept


@pytest.mark.parametrize(("given", "seconds"), [("30d", 30 * 86_400), ("12h", 12 * 3600)])
def test_a_key_ends_after_a_span(tmp_path: Path, given: str, seconds: int) -> None:
    record = create(tmp_path, "--expires", given)
    made, over = (datetime.fromisoformat(record[name]) for name in ("created", "expires"))
    assert abs((over - made).total_seconds() - seconds) <= 1
    assert record["expires"].endswith("+00:00")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "--expires is a span such as 30d"),
        ("soon", "--expires is a span such as 30d"),
        ("30", "--expires is a span such as 30d"),
        ("-1d", "--expires is a span such as 30d"),
        ("30m", "--expires is a span such as 30d"),
        ("2027-13-01", "--expires is a span such as 30d"),
        ("9999999d", "--expires is a span such as 30d"),
        ("0d", "--expires is not in the future"),
        ("2020-01-31", "--expires is not in the future"),
        ("0001-01-01T00:00:00+14:00", "--expires is a span such as 30d"),
    ],
)
def test_an_expiry_that_is_none_is_refused(tmp_path: Path, given: str, why: str) -> None:
    done = here(tmp_path, "keys", "create", "--expires", given)
    assert (done.returncode, done.stdout, why in told(done)) == (2, "", True)
    assert not (tmp_path / "secrets.json").exists()


def test_the_list_shows_what_each_key_is_limited_to(tmp_path: Path) -> None:
    create(tmp_path, "--label", "the shop", "--scope", "wikipedia", "--scope", "*.search", "--expires", "2199-01-31")
    records = {
        "over": {"sha256": "0" * 64, "created": "2026-01-01T00:00:00+00:00", "expires": "2026-02-01T00:00:00+00:00"},
        "damaged": {"sha256": "0" * 64, "created": "2026-01-01T00:00:00+00:00", "scopes": []},
        "no-record": 5,
    }
    LocalStore(tmp_path).update("api-keys", lambda value: {"keys": (value or {})["keys"] | records})
    heads, *lines = here(tmp_path, "keys", "list").stdout.splitlines()
    starts = [heads.index(head) for head in ("ID", "CREATED", "EXPIRES", "SCOPES", "LABEL")]
    columns = list(zip(starts, [*starts[1:], None], strict=True))
    table = [[line[start:end].strip() for start, end in columns] for line in lines]
    assert table[0][2:] == ["2199-01-31T00:00:00+00:00", "wikipedia.*,*.search", "the shop"]
    created = "2026-01-01T00:00:00+00:00"
    assert table[1] == ["over", created, "2026-02-01T00:00:00+00:00 (over)", "everything", ""]
    assert table[2] == ["damaged", "-", "damaged", "-", "revoke it and make another one"]
    assert table[3][0] == "no-record"


# The file.


def test_writers_do_not_lose_each_others_changes(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from devtools.cli import main
from devtools.connections import InvalidConnection, checked
from devtools.project import load_provider
from devtools.store import LocalStore
store = LocalStore(Path(sys.argv[1]))
for number in range(25):
    store.update("count", lambda value: {"n": (value or {"n": 0})["n"] + 1})
    store.update(f"{sys.argv[2]}/{number}", lambda value: {"n": number})
"""

    def run(name: str) -> int:
        return subprocess.run([sys.executable, "-c", code, str(tmp_path), name], cwd=ROOT, check=False).returncode

    reader = LocalStore(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(run, name) for name in "abcd"]
        while not all(writer.done() for writer in writers):
            reader.read()  # never half a file
    assert [writer.result() for writer in writers] == [0] * 4
    assert reader.get("count") == {"n": 100}
    assert len(reader.names()) == 101


def test_versions_change_with_the_value_only(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.update("a", lambda _: {"x": 1})
    first = store.read()["a"].version
    store.update("b", lambda _: {"x": 1})
    assert store.read()["a"].version == first
    store.update("a", lambda _: {"x": 1})
    assert store.read()["a"].version != first


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"value": {}}}', "\udcff"])
def test_a_damaged_file_is_told_and_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    store = LocalStore(tmp_path)
    with pytest.raises(StoreError, match="is damaged; delete it and put the secrets again"):
        store.update("a", lambda _: {})
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


# A deployed stack.


@pytest.fixture
def stack(secrets: Secrets) -> Secrets:
    """Give the Secrets Manager of an account with a stack whose prefix is `team/prod`."""
    secrets.deploy("prod", Prefix="team/prod")
    secrets.deploy("foreign")
    return secrets


def in_stack(secrets: Secrets, home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command with the account's credentials in the environment."""
    names = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert os.environ["AWS_ENDPOINT_URL"] == secrets.url
    return integrations(home, *arguments, stdin=stdin, **{name: os.environ[name] for name in names})


def test_a_connection_of_a_stack(tmp_path: Path, stack: Secrets) -> None:
    def run(*arguments: str, stdin: str = "") -> str:
        done = in_stack(stack, tmp_path, "secrets", *arguments, "--stack", "prod", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def value() -> Any:
        return json.loads(stack.client.get_secret_value(SecretId="team/prod/algolia/default")["SecretString"])

    run("put", "algolia", stdin=json.dumps(SETUP))
    assert value() == {"setup": SETUP}
    assert json.loads(run("get", "algolia")) == {"setup": SHOWN}
    run("put", "algolia", stdin=json.dumps({"setup": {**SHOWN, "application_id": "OTHER"}}))
    assert value() == {"setup": {"application_id": "OTHER", "api_key": KEY}}
    stack.client.create_secret(Name="team/production/algolia/default", SecretString="{}")
    assert run("list") == "algolia default\n"
    run("rm", "algolia")
    assert "team/prod/algolia/default" not in [secret["Name"] for secret in stack.client.list_secrets()["SecretList"]]
    run("put", "algolia", stdin=json.dumps(SETUP))
    assert value() == {"setup": SETUP}, "a name that waits for its deletion is taken back"
    assert not list(tmp_path.iterdir()), "nothing was written here"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (KEY, {}),
        (json.dumps(KEY), {}),
        (json.dumps([KEY]), {}),
        (json.dumps({"setup": KEY}), {"setup": SHOWN["api_key"]}),
        (json.dumps({"setup": None}), {"setup": None}),
        (json.dumps({"api_key": KEY}), {"api_key": SHOWN["api_key"]}),
        (json.dumps({"setup": SETUP, "token": [KEY]}), {"setup": SHOWN, "token": "****"}),
    ],
)
def test_what_somebody_else_wrote_into_a_secret_is_not_shown_and_can_be_replaced(
    tmp_path: Path, stack: Secrets, value: str, shown: Any
) -> None:
    stack.client.create_secret(Name="team/prod/algolia/default", SecretString=value)
    done = in_stack(stack, tmp_path, "secrets", "get", "algolia", "--stack", "prod")
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (0, "", shown)
    done = in_stack(stack, tmp_path, "secrets", "put", "algolia", "--stack", "prod", stdin=json.dumps(SETUP))
    assert (done.returncode, done.stderr) == (0, "")
    read = stack.client.get_secret_value(SecretId="team/prod/algolia/default")
    assert json.loads(read["SecretString"]) == {"setup": SETUP}


def test_a_connection_with_a_member_that_nobody_reads_does_not_fit() -> None:
    with pytest.raises(InvalidConnection, match="a connection holds nothing"):
        checked(load_provider("algolia"), {"setup": SETUP, "token": KEY}, None)


def test_what_is_no_text_in_a_secret_can_be_replaced(tmp_path: Path, stack: Secrets) -> None:
    stack.client.create_secret(Name="team/prod/algolia/default", SecretBinary=b"\xff")
    done = in_stack(stack, tmp_path, "secrets", "put", "algolia", "--stack", "prod", stdin=json.dumps(SETUP))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("value", ["no JSON", "[]", '{"keys": "none"}', '{"keys": [1]}'])
def test_keys_that_cannot_be_read_are_none(tmp_path: Path, stack: Secrets, value: str) -> None:
    stack.client.create_secret(Name="team/prod/api-keys", SecretString=value)
    done = in_stack(stack, tmp_path, "keys", "list", "--stack", "prod")
    assert (done.returncode, done.stdout) == (0, "")
    key = in_stack(stack, tmp_path, "keys", "create", "--stack", "prod").stdout.strip()
    assert key.partition(".")[0] in in_stack(stack, tmp_path, "keys", "list", "--stack", "prod").stdout


def test_keys_of_a_stack(tmp_path: Path, stack: Secrets) -> None:
    key = in_stack(stack, tmp_path, "keys", "create", "--stack", "prod").stdout.strip()
    value = json.loads(stack.client.get_secret_value(SecretId="team/prod/api-keys")["SecretString"])
    assert list(value["keys"]) == [key.partition(".")[0]]
    assert key.partition(".")[0] in in_stack(stack, tmp_path, "keys", "list", "--stack", "prod").stdout
    bounds = ("--scope", "wikipedia", "--expires", "2199-01-31")
    bounded = in_stack(stack, tmp_path, "keys", "create", *bounds, "--stack", "prod").stdout.partition(".")[0]
    value = json.loads(stack.client.get_secret_value(SecretId="team/prod/api-keys")["SecretString"])
    assert value["keys"][bounded]["scopes"] == ["wikipedia.*"]
    assert value["keys"][bounded]["expires"] == "2199-01-31T00:00:00+00:00"
    assert in_stack(stack, tmp_path, "keys", "revoke", bounded, "--stack", "prod").returncode == 0
    assert in_stack(stack, tmp_path, "keys", "revoke", key.partition(".")[0], "--stack", "prod").returncode == 0
    assert in_stack(stack, tmp_path, "keys", "list", "--stack", "prod").stdout == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothere", "There is no stack nothere in this account and region"),
        ("foreign", "The stack foreign has no parameter Prefix"),
    ],
)
def test_a_stack_that_is_not_ours(tmp_path: Path, stack: Secrets, name: str, why: str) -> None:
    done = in_stack(stack, tmp_path, "keys", "list", "--stack", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in told(done)


@pytest.mark.parametrize(
    "command", [["secrets", "list"], ["keys", "list"], ["doctor"], ["invoke", "wikipedia", "-a", "query=tea"]]
)
def test_a_stack_without_a_name_is_not_this_machine(tmp_path: Path, command: list[str]) -> None:
    done = here(tmp_path, *command, "--stack", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'--stack': it is empty" in told(done)


def test_no_credentials_are_told(tmp_path: Path) -> None:
    nothing = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "HOME": str(tmp_path)}
    done = integrations(tmp_path, "keys", "list", "--stack", "prod", AWS_EC2_METADATA_DISABLED="true", **nothing)
    assert (done.returncode, done.stdout) == (1, "")
    assert "AWS could not be asked about the stack prod" in told(done)
    assert "credentials and region" in told(done)


# The embedded AWS. In a process of its own, because moto keeps its state in module globals.

EMBEDDED = """
import sys, time
from pathlib import Path
from devtools.embedded_aws import EmbeddedAws
from devtools.cli import main
from devtools.connections import InvalidConnection, checked
from devtools.project import load_provider
from devtools.store import LocalStore
store = LocalStore(Path(sys.argv[1]))
aws = EmbeddedAws(store, run_key="run.secret", on_change=lambda: print("refreshed", flush=True))
print("ready", aws.url, flush=True)
while True:
    time.sleep(0.05)
    aws.refresh()
"""


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    store = LocalStore(tmp_path / "store")
    store.update("algolia/default", lambda _: {"setup": SETUP})
    argv = [sys.executable, "-c", EMBEDDED, str(store.folder)]
    env = environment(store.folder)
    removed: dict[str, str | None] = dict.fromkeys(os.environ.keys() - env.keys())
    log = tmp_path / "aws.log"
    with served(argv, lambda server: server.find(r"(?m)^ready (\S+)$"), log, env=removed | env, cwd=ROOT) as server:
        yield server, server.find(r"ready (\S+)") or ""


@pytest.fixture
def client(embedded: tuple[Server, str]) -> Any:
    return boto3.client(
        "secretsmanager",
        endpoint_url=embedded[1],
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


def test_the_embedded_aws_has_what_the_store_has(tmp_path: Path, embedded: tuple[Server, str], client: Any) -> None:
    server, _ = embedded
    store = LocalStore(tmp_path / "store")
    answer = client.get_secret_value(SecretId="integrations/algolia/default", VersionStage="AWSCURRENT")
    assert json.loads(answer["SecretString"]) == {"setup": SETUP}
    assert answer["VersionId"] == store.read()["algolia/default"].version, "the same version after a restart"

    def changed(count: int) -> None:
        end = time.monotonic() + 10
        while server.output().count("refreshed") < count:
            assert time.monotonic() < end, server.output()
            time.sleep(0.02)

    store.update("algolia/default", lambda _: {"setup": {**SETUP, "api_key": "new"}})
    changed(2)
    again = client.get_secret_value(SecretId="integrations/algolia/default", VersionStage="AWSCURRENT")
    assert json.loads(again["SecretString"])["setup"]["api_key"] == "new"
    assert again["VersionId"] != answer["VersionId"]
    store.update("api-keys", lambda _: {"keys": {"other": {"sha256": "00"}}})
    changed(3)
    keys = json.loads(client.get_secret_value(SecretId="integrations/api-keys")["SecretString"])["keys"]
    assert set(keys) == {"run", "other"}
    store.delete("algolia/default")
    changed(4)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_secret_value(SecretId="integrations/algolia/default")


def ask_embedded(url: str, path: str = "/", **headers: str) -> httpx.Response:
    return httpx.post(
        url + path,
        headers={
            "x-amz-target": "secretsmanager.ListSecrets",
            "content-type": "application/x-amz-json-1.1",
            "authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/secretsmanager/aws4_request, "
            "SignedHeaders=host, Signature=x",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        content=b"{}",
        trust_env=False,
    )


def test_a_web_page_cannot_read_the_embedded_aws(embedded: tuple[Server, str]) -> None:
    _, url = embedded
    allowed = ask_embedded(url)
    assert allowed.status_code == 200
    assert "algolia/default" in allowed.text, "what the next ones are refused is there"
    assert not [name for name in allowed.headers if name.startswith("access-control-")]
    for refused in (
        ask_embedded(url, origin="https://page.example"),
        ask_embedded(url, origin="null"),
        ask_embedded(url, host="page.example"),
        ask_embedded(url, host=f"page.example:{url.rpartition(':')[2]}"),
        ask_embedded(url, path="/moto-api/"),
        ask_embedded(url, path="/moto-api/data.json"),
        ask_embedded(url, path="/MOTO-API/reset"),
        httpx.options(url, headers={"origin": "https://page.example"}, trust_env=False),
    ):
        assert (refused.status_code, refused.text) == (403, "")
        assert not [name for name in refused.headers if name.startswith("access-control-")]
    assert ask_embedded(url).status_code == 200
