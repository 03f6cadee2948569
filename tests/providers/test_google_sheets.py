"""Google Sheets: judged by a Google on loopback that checks each JWT's RSA signature and each request's token."""

import base64
import functools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from functions.google_sheets.account import Tokens
from functions.google_sheets.provider import provider
from tests.support import upstream as script
from tests.support.aws import Secrets
from tests.support.calls import RESERVE, Response, post
from tests.support.upstream import Reply, Request, Upstream, refused_url

JUDGE = {
    "kind": "script",
    "name": "by a Google that takes no token but those that it gave for a JWT with the key's RSA signature",
    "fixture": "google",
}

ID = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
EMAIL = "sheets@example-project.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
VALUES = [["Day", "Fruit", 12, 1.5, True, None, ""]]

READ = {"range": "Orders!A1:C2", "majorDimension": "ROWS", "values": [["Day", "Fruit"], ["2026-11-21", 12]]}
UPDATED = {
    "spreadsheetId": ID, "updatedRange": "Orders!A2:C2", "updatedRows": 1, "updatedColumns": 3, "updatedCells": 3,
}  # fmt: skip
SHEET = {
    "spreadsheetId": ID,
    "spreadsheetUrl": f"https://docs.google.com/spreadsheets/d/{ID}/edit",
    "properties": {"title": "Orders", "locale": "en_GB", "timeZone": "Europe/Berlin"},
    "sheets": [
        {"properties": {"sheetId": 0, "title": "Orders", "index": 0, "sheetType": "GRID",
                        "gridProperties": {"rowCount": 1000, "columnCount": 26}}},
        {"properties": {"sheetId": 7, "title": "Chart", "index": 1, "sheetType": "OBJECT", "hidden": True}},
    ],
}  # fmt: skip
FIXED = frozenset({"access_token"})
LOADED_LATE = ("jwt",)


@functools.cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> str:
    text: bytes = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return text.decode()


def key_file(**changes: Any) -> str:
    """Give the key file of a service account."""
    whole = {
        "type": "service_account",
        "project_id": "example-project",
        "private_key_id": "0123456789abcdef",
        "private_key": pem(private_key()),
        "client_email": EMAIL,
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps({name: value for name, value in {**whole, **changes}.items() if value is not None})


def credential(word: str) -> str:
    """Give a key file with a word in it that travels."""
    return key_file(private_key_id=word)


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token(request: Request) -> Reply | None:
    """Give a token where one is asked for; it holds the id of the key in hex."""
    if request.path != "/token":
        return None
    header = request.body.decode().partition("assertion=")[2].partition(".")[0]
    named = decoded(header).get("kid", "")
    return script.json({"access_token": f"ya29.{named.encode().hex()}", "expires_in": 3599, "token_type": "Bearer"})


def answered(request: Request) -> Reply:
    """Give the answer to each kind of request."""
    kinds: list[tuple[str, Any]] = [
        (":append", {"spreadsheetId": ID, "tableRange": "Orders!A1:C1", "updates": UPDATED}),
        (":clear", {"spreadsheetId": ID, "clearedRange": "Orders!A2:C2"}),
        (":batchGet", {"spreadsheetId": ID, "valueRanges": [READ, {"range": "B!A1", "majorDimension": "ROWS"}]}),
        (":batchUpdate", {"spreadsheetId": ID, "totalUpdatedSheets": 1, "totalUpdatedRows": 1,
                          "totalUpdatedColumns": 3, "totalUpdatedCells": 3, "responses": [UPDATED]}),
        ("/values/", UPDATED if request.method == "PUT" else READ),
        ("", SHEET),
    ]  # fmt: skip
    return token(request) or script.json(next(answer for kind, answer in kinds if kind in request.path))


EXAMPLE = answered


class Google:
    """A Google that gives tokens for JWTs that are signed as they must be, and takes no other tokens."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.claims: list[dict[str, Any]] = []
        self.headers: list[dict[str, Any]] = []
        self.good: set[str] = set()
        self.lifetime: Any = 3599
        self.then: list[Reply] = []
        upstream.route(self.answer)

    @property
    def asked(self) -> list[Request]:
        """The requests for anything but a token."""
        return [request for request in self.upstream.requests if request.path != "/token"]

    def answer(self, request: Request) -> Reply:
        if request.path == "/token":
            return self.give(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.good:
            return script.json({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
        return self.then.pop(0) if self.then else answered(request)

    def give(self, request: Request) -> Reply:
        from urllib.parse import parse_qs

        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert "authorization" not in request.headers
        form = parse_qs(request.body.decode(), strict_parsing=True)
        assert form.keys() == {"grant_type", "assertion"}
        assert form["grant_type"] == [GRANT]
        signed, _, signature = form["assertion"][0].rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        private_key().public_key().verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        header, claims = map(decoded, signed.split("."))
        self.headers.append(header)
        self.claims.append(claims)
        self.good.add(f"ya29.{len(self.claims)}")
        return script.json({"access_token": f"ya29.{len(self.claims)}", "expires_in": self.lifetime})


@pytest.fixture
def google(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Google:
    monkeypatch.setenv("GOOGLE_SHEETS_BASE_URL", upstream.url)
    return Google(upstream)


def call(method: str, arguments: dict[str, Any] | None = None, *, seconds: float = 30.0, **setup: Any) -> Response:
    whole = CALLS[method] if arguments is None else arguments
    return post(
        provider,
        {"setup": {"service_account_json": key_file(), **setup}, "arguments": whole},
        method=method,
        seconds=seconds,
    )


CALLS: dict[str, dict[str, Any]] = {
    "read_values": {"spreadsheet_id": ID, "range": "Orders!A1:C2"},
    "write_values": {"spreadsheet_id": ID, "range": "Orders!A2:C2", "values": VALUES},
    "append_values": {"spreadsheet_id": ID, "range": "Orders!A1", "values": VALUES},
    "clear_values": {"spreadsheet_id": ID, "range": "Orders!A2:C2"},
    "batch_read": {"spreadsheet_id": ID, "ranges": ["Orders!A1:C2", "B!A1"]},
    "batch_write": {"spreadsheet_id": ID, "data": [{"range": "Orders!A2:C2", "values": VALUES}]},
    "create": {"title": "Orders"},
    "get_metadata": {"spreadsheet_id": ID},
}
every_method = pytest.mark.parametrize("method", CALLS)
ONCE = {"append_values", "create"}


def test_every_method_is_tried() -> None:
    assert [*provider.methods] == [*CALLS]
    assert provider.default_method == "read_values"


# The account.


def test_what_is_sent_for_a_token(google: Google) -> None:
    before = int(time.time())
    assert call("read_values").status == 200
    [header], [claims] = google.headers, google.claims
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "0123456789abcdef"}
    now = claims.pop("iat")
    assert before <= now <= time.time()
    assert claims == {
        "iss": EMAIL,
        "scope": "https://www.googleapis.com/auth/spreadsheets",
        "aud": "https://oauth2.googleapis.com/token",
        "exp": now + 3600,
    }
    assert google.asked[0].headers["authorization"] == "Bearer ya29.1"


@pytest.mark.parametrize(
    "written",
    [
        key_file,
        lambda: key_file(private_key_id=None, token_uri=None),
        lambda: key_file(private_key=pem(private_key(), serialization.PrivateFormat.TraditionalOpenSSL)),
        lambda: key_file(token_uri="https://accounts.google.com/o/oauth2/token"),
        lambda: f"\n{key_file()}\n",
        lambda: base64.b64encode(key_file().encode()).decode(),
        lambda: base64.b64encode(key_file(project_id="p" * 5).encode()).decode().rstrip("="),
        lambda: base64.encodebytes(key_file().encode()).decode(),
    ],
)
def test_the_key_file_is_taken_as_it_is_and_in_base64(google: Google, written: Any) -> None:
    assert call("read_values", service_account_json=written()).status == 200
    assert google.claims[0]["aud"] == "https://oauth2.googleapis.com/token"


@pytest.mark.parametrize(
    "written",
    [
        "", "e30=", "{}", "no key", "[]", base64.b64encode(b"\xff\xfe").decode(), key_file()[:-1],
        json.dumps({"type": "authorized_user", "client_id": "x", "refresh_token": "y"}),
        key_file(type="external_account"), key_file(private_key="abc"), key_file(client_email="a b"),
        key_file(token_uri="https://attacker.example/token"),
    ],
)  # fmt: skip
def test_what_is_no_key_file_is_rejected(google: Google, written: str) -> None:
    reply = call("read_values", service_account_json=written)
    assert (reply.status, reply.body["code"]) == (422, "invalid_setup")
    assert reply.body["errors"][0]["loc"] == ["setup", "service_account_json"]
    assert google.upstream.requests == []


@pytest.mark.parametrize(
    "key",
    [
        lambda: "-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----\n",
        lambda: pem(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_a_private_key_that_does_not_sign_is_rejected(google: Google, key: Any) -> None:
    reply = call("read_values", service_account_json=key_file(private_key=key()))
    assert (reply.status, reply.body["code"]) == (422, "invalid_setup")
    assert reply.body["detail"] == "setup.service_account_json: Its private_key is no RSA key in PEM."
    assert google.upstream.requests == []


def test_a_token_is_kept_for_each_account(google: Google) -> None:
    for account in ("one@a.example", "two@a.example"):
        for method in ("read_values", "get_metadata"):
            assert call(method, service_account_json=key_file(client_email=account)).status == 200
    assert [claims["iss"] for claims in google.claims] == ["one@a.example", "two@a.example"]
    used = [request.headers["authorization"] for request in google.asked]
    assert used == ["Bearer ya29.1"] * 2 + ["Bearer ya29.2"] * 2


@pytest.mark.parametrize("lifetime", [300, 0, -1])
def test_a_token_that_is_good_for_minutes_only_is_not_kept(google: Google, lifetime: int) -> None:
    google.lifetime = lifetime
    assert [call("read_values").status for _ in range(2)] == [200, 200]
    assert len(google.claims) == 2


def test_tokens_are_kept_until_five_minutes_before_their_end_and_at_most_an_hour() -> None:
    now = [1000.0]
    tokens = Tokens(clock=lambda: now[0])
    tokens.keep(b"a", "token", 10**9)
    now[0] += 3299
    assert tokens.kept(b"a") == "token"
    now[0] += 2
    assert tokens.kept(b"a") is None
    for number in range(65):
        tokens.keep(str(number).encode(), "token", 3600)
    assert (tokens.kept(b"0"), tokens.kept(b"64")) == (None, "token")


@every_method
def test_a_kept_token_that_is_refused_is_asked_for_anew(google: Google, method: str) -> None:
    assert call("read_values").status == 200
    google.good.clear()
    assert call(method).status == 200
    assert [request.headers["authorization"] for request in google.asked] == [
        "Bearer ya29.1", "Bearer ya29.1", "Bearer ya29.2",
    ]  # fmt: skip


def test_a_new_token_that_is_refused_is_rejected(google: Google) -> None:
    google.then = [script.json({}, 401)]
    reply = call("append_values")
    assert (reply.status, reply.body["code"], len(google.asked)) == (502, "upstream_denied", 1)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_rejected_key(google: Google, status: int) -> None:
    google.upstream.replies(script.json({"error": "invalid_grant", "error_description": "Invalid JWT"}, status))
    reply = call("read_values")
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "Invalid JWT" not in reply.text
    assert google.asked == []


def test_a_rotated_key_is_read_again(google: Google, secrets: Secrets) -> None:
    secrets.put("google_sheets/default", {"setup": {"service_account_json": key_file(client_email="old@a.example")}})
    assert post(provider, {"arguments": CALLS["read_values"]}).status == 200
    secrets.put("google_sheets/default", {"setup": {"service_account_json": key_file(client_email="new@a.example")}})
    google.good.clear()
    google.upstream.replies(script.json({"error": {}}, 401), script.json({"error": "invalid_grant"}, 400))
    assert post(provider, {"arguments": CALLS["read_values"]}).status == 200
    assert google.claims[-1]["iss"] == "new@a.example"


@pytest.mark.parametrize(
    "body", [script.html(), script.json({}), script.json({"access_token": ""}), script.json({"access_token": "a b"})]
)
def test_malformed_token(google: Google, body: script.Message) -> None:
    google.upstream.route(lambda _: body)
    reply = call("append_values")
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert google.asked == []


def test_a_failure_to_give_a_token_is_asked_again_even_for_an_append(google: Google) -> None:
    google.upstream.replies(script.json({}, 503))
    assert call("append_values").status == 200
    assert len(google.asked) == 1


# The stored account, asked for in the original's words.


@pytest.mark.parametrize(
    "setup",
    [
        {"use_julep_service": True},
        {"use_julep_service": True, "service_account_json": None, "default_retry_count": 3},
        {"use_julep_service": True, "service_account_json": ""},
        {"use_default_connection": True},
    ],
)
def test_the_default_connection_is_asked_for_by_a_flag(google: Google, secrets: Secrets, setup: dict[str, Any]) -> None:
    secrets.put("google_sheets/default", {"setup": {"service_account_json": key_file()}})
    assert post(provider, {"setup": setup, "arguments": CALLS["read_values"]}).status == 200
    assert google.claims[0]["iss"] == EMAIL


def test_without_a_stored_account_the_flag_says_what_to_store(google: Google) -> None:
    reply = post(provider, {"setup": {"use_julep_service": True}, "arguments": CALLS["read_values"]})
    assert (reply.status, reply.body["code"]) == (424, "missing_setup")
    assert "integrations secrets put google_sheets" in reply.body["detail"]


@pytest.mark.parametrize(
    "setup",
    [
        {"use_julep_service": True, "service_account_json": key_file()},
        {"use_julep_service": False},
        {"use_julep_service": True, "other": 1},
        {"service_account_json": key_file(), "default_retry_count": 11},
    ],
)
def test_a_setup_that_says_two_things_is_rejected(google: Google, setup: dict[str, Any]) -> None:
    reply = post(provider, {"setup": setup, "arguments": CALLS["read_values"]})
    assert (reply.status, reply.body["code"]) == (422, "invalid_setup")
    assert google.upstream.requests == []


def test_the_environment_of_a_laptop(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_SHEETS_SERVICE_ACCOUNT_JSON", base64.b64encode(key_file().encode()).decode())
    assert post(provider, {"arguments": CALLS["read_values"]}).status == 200


# What is sent, with every argument, and what comes back.

RENDERING = {
    "major_dimension": "COLUMNS", "value_render_option": "FORMULA", "date_time_render_option": "SERIAL_NUMBER",
}  # fmt: skip
RENDERED = {"majorDimension": ["COLUMNS"], "valueRenderOption": ["FORMULA"], "dateTimeRenderOption": ["SERIAL_NUMBER"]}
INCLUDED = {"includeValuesInResponse": ["true"], "responseValueRenderOption": ["FORMATTED_VALUE"]}
RANGE = {"range": "Orders!A2:C2", "majorDimension": "ROWS", "values": VALUES}


def sent(google: Google, method: str, **arguments: Any) -> tuple[str, str, dict[str, list[str]], Any]:
    """Call, and give what was sent: method, path, query and body."""
    assert call(method, {**CALLS[method], **arguments}).status == 200
    [request] = google.asked
    return request.method, request.path, request.query, json.loads(request.body) if request.body else None


BASE = f"/v4/spreadsheets/{ID}"


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [
        ("read_values", {}, ("GET", f"{BASE}/values/Orders%21A1%3AC2",
            {"majorDimension": ["ROWS"], "valueRenderOption": ["FORMATTED_VALUE"],
             "dateTimeRenderOption": ["FORMATTED_STRING"]}, None)),
        ("read_values", {"range": "'a/b ü'!A:B", **RENDERING},
            ("GET", f"{BASE}/values/%27a%2Fb%20%C3%BC%27%21A%3AB", RENDERED, None)),
        ("write_values", {}, ("PUT", f"{BASE}/values/Orders%21A2%3AC2",
            {"valueInputOption": ["USER_ENTERED"]}, RANGE)),
        ("write_values", {"value_input_option": "RAW", "include_values_in_response": True,
                          "major_dimension": "COLUMNS", "insert_data_option": "INSERT_ROWS"},
            ("PUT", f"{BASE}/values/Orders%21A2%3AC2", {"valueInputOption": ["RAW"], **INCLUDED},
             {**RANGE, "majorDimension": "COLUMNS"})),
        ("append_values", {}, ("POST", f"{BASE}/values/Orders%21A1:append",
            {"valueInputOption": ["USER_ENTERED"], "insertDataOption": ["INSERT_ROWS"]},
            {**RANGE, "range": "Orders!A1"})),
        ("append_values", {"value_input_option": "RAW", "insert_data_option": "OVERWRITE",
                           "include_values_in_response": True, "major_dimension": "COLUMNS"},
            ("POST", f"{BASE}/values/Orders%21A1:append",
             {"valueInputOption": ["RAW"], "insertDataOption": ["OVERWRITE"], **INCLUDED},
             {**RANGE, "range": "Orders!A1", "majorDimension": "COLUMNS"})),
        ("clear_values", {}, ("POST", f"{BASE}/values/Orders%21A2%3AC2:clear", {}, {})),
        ("batch_read", RENDERING, ("GET", f"{BASE}/values:batchGet",
            {"ranges": ["Orders!A1:C2", "B!A1"], **RENDERED}, None)),
        ("batch_write", {}, ("POST", f"{BASE}/values:batchUpdate", {},
            {"valueInputOption": "USER_ENTERED", "data": [RANGE]})),
        ("batch_write", {"value_input_option": "RAW", "include_values_in_response": True,
                         "data": [{"range": "B!A1", "values": [["=A1"]], "major_dimension": "COLUMNS"}]},
            ("POST", f"{BASE}/values:batchUpdate", {},
             {"valueInputOption": "RAW", "includeValuesInResponse": True,
              "responseValueRenderOption": "FORMATTED_VALUE",
              "data": [{"range": "B!A1", "majorDimension": "COLUMNS", "values": [["=A1"]]}]})),
    ],
)  # fmt: skip
def test_what_is_sent(google: Google, method: str, arguments: dict[str, Any], expected: Any) -> None:
    assert sent(google, method, **arguments) == expected


def test_what_is_sent_to_create(google: Google) -> None:
    given = {"sheets": ["A", "B"], "locale": "de", "time_zone": "Etc/GMT+1"}
    method, path, query, body = sent(google, "create", **given)
    assert (method, path, [*query]) == ("POST", "/v4/spreadsheets", ["fields"])
    assert body == {
        "properties": {"title": "Orders", "locale": "de", "timeZone": "Etc/GMT+1"},
        "sheets": [{"properties": {"title": "A"}}, {"properties": {"title": "B"}}],
    }
    assert call("create").status == 200
    assert google.asked[1].json() == {"properties": {"title": "Orders"}}


def test_what_is_sent_for_metadata_asks_for_no_cells(google: Google) -> None:
    method, path, query, _ = sent(google, "get_metadata")
    assert (method, path) == ("GET", BASE)
    assert query["fields"] == [
        "spreadsheetId,spreadsheetUrl,properties(title,locale,timeZone),"
        "sheets.properties(sheetId,title,index,sheetType,hidden,gridProperties(rowCount,columnCount))"
    ]


WRITTEN = {"updated_range": "Orders!A2:C2", "updated_rows": 1, "updated_columns": 3, "updated_cells": 3,
           "updated_values": None}  # fmt: skip
METADATA = {
    "spreadsheet_id": ID,
    "spreadsheet_url": SHEET["spreadsheetUrl"],
    "title": "Orders",
    "locale": "en_GB",
    "time_zone": "Europe/Berlin",
    "sheets": [
        {"sheet_id": 0, "title": "Orders", "index": 0, "sheet_type": "GRID", "hidden": False, "rows": 1000,
         "columns": 26},
        {"sheet_id": 7, "title": "Chart", "index": 1, "sheet_type": "OBJECT", "hidden": True, "rows": None,
         "columns": None},
    ],
}  # fmt: skip
ROWS = {"range": "Orders!A1:C2", "major_dimension": "ROWS", "values": READ["values"]}
OUTPUTS = {
    "read_values": ROWS,
    "write_values": {"spreadsheet_id": ID, **WRITTEN},
    "append_values": {"spreadsheet_id": ID, "table_range": "Orders!A1:C1", **WRITTEN},
    "clear_values": {"spreadsheet_id": ID, "cleared_range": "Orders!A2:C2"},
    "batch_read": {
        "spreadsheet_id": ID, "value_ranges": [ROWS, {"range": "B!A1", "major_dimension": "ROWS", "values": []}],
    },
    "batch_write": {
        "spreadsheet_id": ID, "total_updated_sheets": 1, "total_updated_rows": 1, "total_updated_columns": 3,
        "total_updated_cells": 3, "responses": [WRITTEN],
    },
    "create": METADATA,
    "get_metadata": METADATA,
}  # fmt: skip


@every_method
def test_what_comes_back(google: Google, method: str) -> None:
    assert call(method).body == OUTPUTS[method]


def test_written_values_come_back_and_numbers_that_google_leaves_out_are_0(google: Google) -> None:
    updates = {"updatedRange": "A!A1", "updatedData": {"range": "A!A1", "majorDimension": "ROWS", "values": [["1"]]}}
    google.then = [
        script.json({"spreadsheetId": ID, **updates}),
        script.json({"spreadsheetId": ID, "updates": updates}),
        script.json({"spreadsheetId": ID, "responses": [updates]}),
    ]
    zeros = {"updated_rows": 0, "updated_columns": 0, "updated_cells": 0}
    expected = {"updated_range": "A!A1", **zeros, "updated_values": [["1"]]}
    assert call("write_values").body == {"spreadsheet_id": ID, **expected}
    assert call("append_values").body == {"spreadsheet_id": ID, "table_range": None, **expected}
    assert call("batch_write").body["responses"] == [expected]


# What is refused, and faults.


@pytest.mark.parametrize(
    ("method", "arguments", "place"),
    [
        ("read_values", {"spreadsheet_id": "a/b"}, ["spreadsheet_id"]),
        ("read_values", {"range": ""}, ["range"]),
        ("read_values", {"range": ".."}, ["range"]),
        ("read_values", {"value_render_option": "TEXT"}, ["value_render_option"]),
        ("read_values", {"rows": 1}, ["rows"]),
        ("write_values", {"values": []}, ["values"]),
        ("write_values", {"values": ["a"]}, ["values", 0]),
        ("write_values", {"values": [["x" * 50_001]]}, ["values", 0, 0]),
        ("append_values", {"value_input_option": "INPUT_VALUE_OPTION_UNSPECIFIED"}, ["value_input_option"]),
        ("append_values", {"include_values_in_response": "yes"}, ["include_values_in_response"]),
        ("batch_read", {"ranges": []}, ["ranges"]),
        ("batch_read", {"ranges": ["A"] * 101}, ["ranges"]),
        ("batch_write", {"data": [{"range": "A", "values": [[{}]]}]}, ["data", 0, "values", 0, 0]),
        ("batch_write", {"data": [{"range": "A", "values": [[1]], "more": 1}]}, ["data", 0, "more"]),
        ("create", {"title": ""}, ["title"]),
        ("create", {"time_zone": "Europe Berlin"}, ["time_zone"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_rejected_by_name(
    google: Google, method: str, arguments: dict[str, Any], place: list[Any]
) -> None:
    reply = call(method, {**CALLS[method], **arguments})
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"][: len(place) + 1] == ["arguments", *place]
    assert google.asked == []


@every_method
def test_a_spreadsheet_that_is_not_shared_is_rejected(google: Google, method: str) -> None:
    google.then = [script.json({"error": {"code": 403, "message": "The caller does not have permission"}}, 403)]
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", 403)
    assert "share the spreadsheet with its address, client_email" in reply.body["detail"]
    assert "does not have permission" not in reply.text


@every_method
@pytest.mark.parametrize("status", [400, 404])
def test_a_rejected_request(google: Google, method: str, status: int) -> None:
    google.then = [script.json({"error": {"code": status, "message": "Unable to parse range: Orderz"}}, status)]
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "parse range" not in reply.text


@every_method
def test_rate_limit(google: Google, method: str) -> None:
    google.then = [script.json({"error": {"status": "RESOURCE_EXHAUSTED"}}, 429, {"retry-after": "60"})]
    reply = call(method)
    assert (reply.status, reply.body["code"], reply.headers["retry-after"]) == (503, "upstream_rate_limited", "60")


@every_method
def test_upstream_failure_is_asked_again_where_that_does_no_harm(google: Google, method: str) -> None:
    google.then = [script.json({"error": {"code": 500}}, 500)]
    reply = call(method)
    if method in ONCE:
        assert (reply.status, reply.body["code"], reply.body["retryable"]) == (502, "upstream_error", False)
    else:
        assert reply.body == OUTPUTS[method]
    assert len(google.asked) == (1 if method in ONCE else 2)


@every_method
@pytest.mark.parametrize("body", [script.html(), script.half_json(READ), script.json([]), script.json({"a": 1})])
def test_malformed_body(google: Google, method: str, body: script.Message) -> None:
    google.then = [body] * 3
    reply = call(method)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


@every_method
def test_timeout(google: Google, method: str) -> None:
    call("read_values")
    google.then = [script.hang()]
    started = time.monotonic()
    reply = call(method, seconds=RESERVE + 0.8)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 2


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("GOOGLE_SHEETS_BASE_URL", url)
        reply = call("read_values", seconds=RESERVE + 0.8)
    assert reply.body["code"] in ("upstream_unreachable", "deadline_exceeded")


@every_method
def test_the_event_of_each_method_works(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setenv("GOOGLE_SHEETS_BASE_URL", upstream.url)
    upstream.route(answered)
    assert provider.handler(json.loads(Path(f"events/google_sheets.{method}.json").read_text()), None)
    assert upstream.requests[-1].path != "/token"
