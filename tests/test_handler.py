"""One handler for every AWS caller."""

import base64
import json
import re
import sys
import time
from typing import Any

import pytest

from integrations import handler
from integrations.errors import IntegrationError
from integrations.observability import logger
from tests.support import upstream as script
from tests.support.calls import Context, call, http_event, post, respond
from tests.support.sample import SETUP, provider, roomy
from tests.support.upstream import Upstream

CANARY = "canary-value-of-the-caller"


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", upstream.url)


@pytest.fixture
def answering(upstream: Upstream) -> Upstream:
    upstream.route(lambda _: script.json({"value": "tea"}))
    return upstream


# HTTP API and Function URL.


def test_http_success(answering: Upstream) -> None:
    reply = post(provider, {"setup": SETUP, "arguments": {"query": "green"}})
    assert (reply.status, reply.body) == (200, {"value": "tea"})
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-correlation-id"] == "JKJaXmPLvHcESHA="
    assert reply.headers["x-attempts"] == "1"
    assert re.fullmatch(r"upstream;dur=\d+\.\d, total;dur=\d+\.\d", reply.headers["server-timing"])


def test_http_named_method(answering: Upstream) -> None:
    assert post(provider, {"setup": SETUP}, method="write").status == 200
    assert answering.last.method == "POST"


def test_http_null_is_absent(answering: Upstream) -> None:
    assert post(provider, {"setup": SETUP, "arguments": None, "connection": None}).status == 200


def test_http_body_in_base64(answering: Upstream) -> None:
    event = http_event(provider, "")
    event["body"] = base64.b64encode(json.dumps({"setup": SETUP}).encode()).decode()
    event["isBase64Encoded"] = True
    assert respond(provider, event).status == 200


@pytest.mark.parametrize("body", [None, "", "  \n"])
def test_http_without_a_body_is_a_call_without_arguments(body: str | None) -> None:
    reply = respond(provider, {**http_event(provider, ""), "body": body})
    assert (reply.status, reply.body["code"]) == (424, "missing_setup")


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ("order-7:retry=1", "order-7:retry=1"),
        ("x" * 128, "x" * 128),
        ("x" * 129, "JKJaXmPLvHcESHA="),
        ("two\r\nset-cookie: a=b", "JKJaXmPLvHcESHA="),
        ('{"json"}', "JKJaXmPLvHcESHA="),
        ("", "JKJaXmPLvHcESHA="),
        ("ünïcode", "JKJaXmPLvHcESHA="),
    ],
)
def test_correlation_id_is_taken_when_it_is_fit_for_a_header(answering: Upstream, sent: str, given: str) -> None:
    reply = post(provider, {"setup": SETUP}, headers={"x-correlation-id": sent})
    assert reply.headers["x-correlation-id"] == given


@pytest.mark.parametrize("path", ["/", "/read", "/execute/sample", "/execute/sample/", "/execute/sample/read"])
def test_function_url(answering: Upstream, path: str) -> None:
    event = http_event(provider, {"setup": SETUP})
    event |= {"routeKey": "$default", "rawPath": path}
    assert respond(provider, event).status == 200


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [
        ("GET", "/read", "method_not_allowed"),
        ("POST", "/nope", "unknown_method"),
        ("POST", "/execute/sample/read/more", "not_found"),
        ("POST", "/execute/other/read", "not_found"),
        ("POST", "/execute/sampleread", "not_found"),
    ],
)
def test_function_url_of_something_else(verb: str, path: str, code: str) -> None:
    event = http_event(provider, {"setup": SETUP})
    event |= {"routeKey": "$default", "rawPath": path}
    event["requestContext"]["http"]["method"] = verb
    reply = respond(provider, event)
    assert reply.body["code"] == code
    assert reply.status == {"method_not_allowed": 405}.get(code, 404)
    assert reply.headers.get("allow") == ("POST" if code == "method_not_allowed" else None)


def test_problem_has_all_members(upstream: Upstream) -> None:
    upstream.replies(script.json({}, status=429, headers={"retry-after": "31"}))
    reply = post(provider, {"setup": SETUP}, seconds=20)
    assert reply.status == 503
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["retry-after"] == "31"
    assert reply.headers["x-attempts"] == "1"
    assert reply.body == {
        "type": "urn:integrations:error:upstream_rate_limited",
        "title": "Upstream rate limited",
        "status": 503,
        "detail": "Sample asks for fewer calls; call again later.",
        "error": "Sample asks for fewer calls; call again later.",
        "code": "upstream_rate_limited",
        "retryable": True,
        "retry_after": 31,
        "provider": "sample",
        "method": "read",
        "correlation_id": "JKJaXmPLvHcESHA=",
        "upstream_status": 429,
    }


@pytest.mark.parametrize(("method", "retryable"), [("read", True), ("write", False)])
def test_retryable_by_the_effect_of_the_method(upstream: Upstream, method: str, *, retryable: bool) -> None:
    upstream.route(lambda _: script.json({}, status=500))
    reply = post(provider, {"setup": SETUP}, method=method)
    assert (reply.status, reply.body["retryable"]) == (502, retryable)


BAD_BODIES: dict[str, tuple[str, int, list[str | int] | None]] = {
    "not JSON": ("query=" + CANARY, 400, None),
    "half a JSON": ('{"arguments": {"query": "' + CANARY, 400, None),
    "a list": (f'["{CANARY}"]', 400, None),
    "text": (f'"{CANARY}"', 400, None),
    "null": ("null", 400, None),
    "a number": ("7", 400, None),
    "an unknown key": (f'{{"args": {{"query": "{CANARY}"}}}}', 400, ["args"]),
    "an unknown key that is no name": (f'{{"{CANARY} {CANARY}": 1}}', 400, ["?"]),
    "method in the body": ('{"method": "read"}', 400, ["method"]),
    "arguments that are a list": (f'{{"arguments": ["{CANARY}"]}}', 422, ["arguments"]),
    "arguments that are text": (f'{{"arguments": "{CANARY}"}}', 422, ["arguments"]),
    "a setup that is text": (f'{{"setup": "{CANARY}"}}', 422, ["setup"]),
    "a connection that is a number": ('{"connection": 7}', 400, ["connection"]),
    "a connection that is no name": (f'{{"connection": "../{CANARY}"}}', 404, ["connection"]),
    "a setup and a connection": ('{"setup": {}, "connection": "a"}', 400, ["setup"]),
    "an unknown argument": (f'{{"arguments": {{"colour": "{CANARY}"}}}}', 422, ["arguments", "colour"]),
    "an argument of a wrong type": (f'{{"arguments": {{"query": ["{CANARY}"]}}}}', 422, ["arguments", "query"]),
    "a number out of range": ('{"arguments": {"limit": 50}}', 422, ["arguments", "limit"]),
    "a number that is none": (f'{{"arguments": {{"limit": "{CANARY}"}}}}', 422, ["arguments", "limit"]),
    "a number that is a boolean": ('{"arguments": {"limit": true}}', 422, ["arguments", "limit"]),
    "a boolean that is text": ('{"arguments": {"exact": "true"}}', 422, ["arguments", "exact"]),
    "a boolean that is a number": ('{"arguments": {"exact": 1}}', 422, ["arguments", "exact"]),
    "a boolean deeper down": ('{"arguments": {"inner": {"flag": "yes"}}}', 422, ["arguments", "inner", "flag"]),
    "a ratio that is a boolean": ('{"arguments": {"inner": {"ratio": true}}}', 422, ["arguments", "inner", "ratio"]),
    "an unknown setup field": (
        f'{{"setup": {{"api_key": "k1k1k1k1", "x": "{CANARY}"}}}}', 422, ["setup", "x"]),
    "a setup without its key": ('{"setup": {"region": "eu"}}', 422, ["setup", "api_key"]),
    "a key that is a list": (f'{{"setup": {{"api_key": ["{CANARY}"]}}}}', 422, ["setup", "api_key"]),
    "NaN": ('{"arguments": {"limit": NaN}}', 400, ["arguments", "limit"]),
    "an infinite number": ('{"arguments": {"limit": 1e400}}', 400, ["arguments", "limit"]),
    "a number of 400 digits": ('{"arguments": {"limit": 1' + "0" * 400 + ".0}}", 400, ["arguments", "limit"]),
    "100,000 brackets": ('{"arguments": ' + "[" * 100_000 + "]" * 100_000 + "}", 400, None),
    "201 levels": ('{"arguments": ' + '{"a":' * 201 + "1" + "}" * 202, 400, None),
    "an infinite text": ('{"arguments": {"inner": {"ratio": "inf"}}}', 422, ["arguments", "inner", "ratio"]),
    "a text that is NaN": ('{"arguments": {"inner": {"ratio": "nan"}}}', 422, ["arguments", "inner", "ratio"]),
    "a name that may be a key": ('{"arguments": {"sk-abcdefghijklmnopqrstuvwx": 1}}', 422, ["arguments", "?"]),
    "a name that may be a number": ('{"arguments": {"c4111111111111111": 1}}', 422, ["arguments", "?"]),
    "half a surrogate pair": ('{"arguments": {"query": "\\ud800"}}', 400, ["arguments", "query"]),
    "half a surrogate pair in a key": ('{"arguments": {"\\udfff": 1}}', 400, ["arguments"]),
    "NUL": (f'{{"arguments": {{"query": "{CANARY}\\u0000"}}}}', 422, ["arguments", "query"]),
    "NUL in a setup": ('{"setup": {"api_key": "a\\u0000b"}}', 422, ["setup", "api_key"]),
    "bytes that are no UTF-8": ('{"arguments": {"query": "\udcff"}}', 400, None),
    "a body over the limit": ('{"arguments": {"query": "' + "x" * handler.MAX_BODY + '"}}', 413, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_input_is_named_and_not_repeated(name: str) -> None:
    body, status, place = BAD_BODIES[name]
    reply = post(provider, body)
    assert reply.status == status, reply.body
    assert CANARY not in reply.text
    assert reply.body["retryable"] is False
    assert reply.body["error"] == reply.body["detail"]
    if place is not None:
        assert reply.body["errors"][0]["loc"] == place
        assert str(place[-1]) in reply.body["detail"]


@pytest.mark.parametrize("body", ["no base64!", "é", "YQ"])
def test_base64_that_is_none(body: str) -> None:
    event = {**http_event(provider, ""), "body": body, "isBase64Encoded": True}
    assert respond(provider, event).status == 400


@pytest.mark.parametrize(("size", "status"), [(handler.MAX_BODY, 200), (handler.MAX_BODY + 1, 413)])
@pytest.mark.parametrize("in_base64", [False, True])
def test_the_limit_of_a_body_is_the_same_in_both_forms(
    answering: Upstream, size: int, status: int, *, in_base64: bool
) -> None:
    raw = json.dumps({"setup": SETUP}).encode().ljust(size)
    body = base64.b64encode(raw).decode() if in_base64 else raw.decode()
    event = {**http_event(provider, ""), "body": body, "isBase64Encoded": in_base64}
    assert respond(provider, event).status == status


def test_unknown_method_names_the_known_ones() -> None:
    reply = post(provider, {}, method=CANARY)
    assert (reply.status, reply.body["code"]) == (404, "unknown_method")
    assert reply.body["detail"] == "sample has no method of that name; it has: read, write, fault."


def test_the_method_is_found_before_anything_else_is_looked_at() -> None:
    assert post(provider, "no JSON", method="nope").body["code"] == "unknown_method"
    with pytest.raises(IntegrationError) as raised:
        provider.handler({"method": "nope", "arguments": []}, Context())
    assert raised.value.code == "unknown_method"


def test_numbers_may_be_numeric_text(answering: Upstream) -> None:
    assert post(provider, {"setup": SETUP, "arguments": {"limit": "7", "inner": {"ratio": "0.5"}}}).status == 200
    assert answering.last.query["limit"] == ["7"]


def test_the_original_name_of_an_argument_works_and_not_both(answering: Upstream) -> None:
    assert post(provider, {"setup": {"sample_api_key": "k1k1k1k1"}, "arguments": {"max_docs": 3}}).status == 200
    assert answering.last.query["limit"] == ["3"]
    both = post(provider, {"setup": SETUP, "arguments": {"limit": 3, "max_docs": 3}})
    assert (both.status, both.body["errors"][0]["loc"]) == (422, ["arguments", "max_docs"])


def test_a_fault_of_ours_is_a_problem_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    reply = post(provider, {"setup": SETUP, "arguments": {"text": CANARY}}, method="fault")
    assert (reply.status, reply.body["code"]) == (500, "internal")
    log = capsys.readouterr().out
    assert "RuntimeError" in log
    assert "sample.py" in log
    assert CANARY not in reply.text + log


@pytest.mark.parametrize("value", ["x" * 6_300_000, [""] * 1_600_000, '"' * 3_200_000, "ü" * 3_200_000])
def test_a_response_over_the_limit(upstream: Upstream, value: Any) -> None:
    """Whole, and in the quotes in which the runtime sends it, it must fit into what Lambda returns."""
    upstream.replies(script.json({"value": value}))
    reply = post(roomy, {"setup": SETUP})
    assert (reply.status, reply.body["code"]) == (502, "response_too_large")


def test_a_response_just_under_the_limit(upstream: Upstream) -> None:
    upstream.replies(script.json({"value": "x" * 6_100_000}))
    event = http_event(roomy, {"setup": SETUP})
    assert len(json.dumps(roomy.handler(event, Context()))) < 6_291_556


@pytest.mark.parametrize(
    "change", [{"body": 7}, {"headers": ["x-correlation-id"]}, {"headers": None, "pathParameters": None}]
)
def test_http_event_that_no_gateway_makes(change: dict[str, Any]) -> None:
    assert respond(provider, http_event(provider, {}) | change).status in (400, 424)


# Direct invoke, Step Functions, EventBridge, Scheduler.


def test_direct_success(answering: Upstream) -> None:
    event = {"method": "read", "setup": SETUP, "arguments": {"query": "green"}}
    assert provider.handler(event, Context()) == {"value": "tea"}


def test_scheduler_input_without_a_method_is_the_default_one(answering: Upstream) -> None:
    assert provider.handler({"setup": SETUP}, Context()) == {"value": "tea"}


def test_eventbridge_detail(answering: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    event = {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Search",
        "source": "shop",
        "time": "2026-11-21T10:00:00Z",
        "detail": {"method": "read", "setup": SETUP},
    }
    assert provider.handler(event, Context()) == {"value": "tea"}
    assert "6a7e8feb-b491-4cf7-a9f1-bf3703467718" in capsys.readouterr().out


def test_schedule_without_an_input_of_its_own() -> None:
    event = {"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}
    with pytest.raises(IntegrationError) as raised:
        provider.handler(event, Context())
    assert type(raised.value).__name__ == "MissingSetup"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_call_as_text_is_of_the_method_that_it_names(answering: Upstream, *, wrapped: bool) -> None:
    text = json.dumps({"method": "write", "setup": SETUP})
    assert provider.handler({"detail-type": "x", "detail": text} if wrapped else text, Context()) == {"value": "tea"}
    assert [request.method for request in answering.requests] == ["POST"]


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (None, "InvalidRequest"),
        ([], "InvalidRequest"),
        (CANARY, "InvalidRequest"),
        ({"metod": CANARY}, "InvalidRequest"),
        ({"method": 7}, "InvalidRequest"),
        ({"method": CANARY}, "UnknownMethod"),
        ({"method": ""}, "UnknownMethod"),
        ({"arguments": {"limit": float("nan")}}, "InvalidRequest"),
        ({"arguments": {"query": CANARY + "\0"}}, "InvalidArguments"),
        ({"arguments": {"query": "\ud800"}}, "InvalidRequest"),
        ({"arguments": [CANARY]}, "InvalidArguments"),
        ({"setup": {}, "arguments": {}}, "MissingSetup"),
        ({"detail-type": "x", "detail": [CANARY]}, "InvalidRequest"),
        ({"detail-type": "x", "detail": CANARY}, "InvalidRequest"),
        ({"detail-type": "x", "detail": "\ud800"}, "InvalidRequest"),
        ({"detail": {"method": CANARY}}, "UnknownMethod"),
        ({"detail-type": "x", "detail": json.dumps({"method": CANARY})}, "UnknownMethod"),
        ("\ud800", "InvalidRequest"),
        ('{"arguments": {"limit": 1e999}}', "InvalidRequest"),
        ('{"arguments": {"query": "\\u0000"}}', "InvalidArguments"),
        ({"arguments": {"sk-abcdefghijklmnopqrstuvwxyz": CANARY}}, "InvalidArguments"),
        ({"httpMethod": "POST", "path": "/", "body": CANARY}, "InvalidRequest"),
        ({"version": "2.0", "requestContext": {"http": CANARY}}, "InvalidRequest"),
    ],
)
def test_failure_is_raised_by_name_with_the_problem_as_its_message(event: Any, name: str) -> None:
    with pytest.raises(IntegrationError) as raised:
        provider.handler(event, Context())
    assert type(raised.value).__name__ == name
    problem = json.loads(str(raised.value))
    assert problem["error"] == problem["detail"] == raised.value.detail
    assert problem["correlation_id"] == Context().aws_request_id
    assert CANARY not in str(raised.value)
    assert "sk-abc" not in str(raised.value)


def test_failure_has_no_cause_that_a_log_would_print(upstream: Upstream) -> None:
    upstream.replies(script.hang())
    with pytest.raises(IntegrationError) as raised:
        call(provider, method="write", setup=SETUP, seconds=2.2)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_under_the_runtime_a_failure_has_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime client formats the traceback with `traceback.extract_tb`, as this does."""
    import traceback

    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    try:
        with pytest.raises(IntegrationError) as raised:
            provider.handler({"method": "nope"}, Context())
        assert traceback.extract_tb(raised.value.__traceback__) == []
    finally:
        vars(sys).pop("tracebacklimit", None)


# What is logged.


def test_one_line_and_one_set_of_metrics_a_call(answering: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    post(provider, {"setup": SETUP, "arguments": {"query": CANARY}}, headers={"x-correlation-id": "order-7"})
    line, metrics = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert line["correlation_id"] == "order-7"
    assert line["function_request_id"] == Context().aws_request_id
    assert {name: line[name] for name in ("level", "message", "provider", "method", "outcome", "attempts")} == {
        "level": "INFO", "message": "call", "provider": "sample", "method": "read", "outcome": "ok", "attempts": 1
    }  # fmt: skip
    assert metrics["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "Integrations",
            "Dimensions": [["provider", "method", "outcome"], ["outcome"]],
            "Metrics": [{"Name": "Calls", "Unit": "Count"}],
        },
        {
            "Namespace": "Integrations",
            "Dimensions": [["provider", "method"], []],
            "Metrics": [{"Name": "Duration", "Unit": "Milliseconds"}],
        },
    ]
    assert metrics["_aws"]["Timestamp"] == pytest.approx(time.time() * 1000, abs=60_000)
    assert (metrics["provider"], metrics["method"], metrics["outcome"]) == ("sample", "read", "ok")
    assert metrics["Calls"] == 1
    assert 0 < metrics["Duration"] == pytest.approx(line["duration_ms"], abs=0.06)
    assert CANARY not in json.dumps([line, metrics])


def test_two_stacks_keep_their_metrics_apart(
    answering: Upstream, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Integrations/two")
    post(provider, {"setup": SETUP})
    _, metrics = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert {directive["Namespace"] for directive in metrics["_aws"]["CloudWatchMetrics"]} == {"Integrations/two"}


def test_metrics_can_be_left_out(
    answering: Upstream, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    post(provider, {"setup": SETUP})
    [line] = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert line["message"] == "call"


@pytest.mark.parametrize("stored", [True, False])
def test_credentials_that_a_service_rejects_are_counted_when_they_are_ours(
    upstream: Upstream, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, stored: bool
) -> None:
    """Whoever brings a wrong key along has to hear of it, and nobody is to be woken."""
    monkeypatch.setenv("SAMPLE_API_KEY", SETUP["api_key"])
    upstream.route(lambda _: script.json({}, status=401))
    assert post(provider, {} if stored else {"setup": SETUP}).body["code"] == "upstream_denied"
    line, metrics = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert (line["outcome"], line["own_setup"]) == ("upstream_denied", not stored)
    counted = [
        directive
        for directive in metrics["_aws"]["CloudWatchMetrics"]
        if directive["Metrics"] == [{"Name": "CredentialsRejected", "Unit": "Count"}]
    ]
    assert [directive["Dimensions"] for directive in counted] == ([[["provider"], []]] if stored else [])
    assert metrics.get("CredentialsRejected") == (1 if stored else None)


def test_a_secret_of_the_setup_is_masked_in_whatever_is_logged(
    answering: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    key = SETUP["api_key"]
    post(provider, {"setup": SETUP}, headers={"x-correlation-id": key})
    logger.warning("a line with %s in it", key, extra={"more": {"deep": [f"x{key}x"]}})
    log = capsys.readouterr().out
    assert key not in log
    assert log.count("[redacted]") == 3


@pytest.mark.parametrize("key", ["status", "outcome", "invalid_arguments", "sample", "999999", "string"])
def test_a_key_that_is_a_word_of_ours_blanks_out_nothing(
    upstream: Upstream, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    upstream.route(lambda _: script.json({}, status=429, headers={"retry-after": "999999"}))
    own = post(provider, {"setup": {"api_key": key}})
    assert (own.body["status"], own.body["retry_after"]) == (503, 999999)
    capsys.readouterr()
    other = post(provider, {"arguments": {"limit": "string"}, "setup": SETUP})
    assert (other.body["code"], other.body["errors"][0]["loc"]) == ("invalid_arguments", ["arguments", "limit"])
    assert "[redacted]" not in other.text
    line, _ = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert (line["outcome"], line["provider"], line["message"]) == ("invalid_arguments", "sample", "call")


def test_dimensions_are_never_what_a_caller_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    post(provider, {}, method=CANARY)
    line, metrics = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert (line["method"], metrics["method"], metrics["outcome"]) == ("unknown", "unknown", "unknown_method")
    assert metrics["Calls"] == 1


def test_state_does_not_pass_from_call_to_call(answering: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    post(provider, {"setup": SETUP}, headers={"x-correlation-id": "first"})
    capsys.readouterr()
    provider.handler({"setup": SETUP}, Context())
    assert "first" not in capsys.readouterr().out
