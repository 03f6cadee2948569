"""The registry: the catalog, and the answers to what no other route takes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from functions.registry.app import handler
from integrations.version import VERSION

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/provider.py"))


def ask(method: str, path: str, headers: dict[str, str] | None = None, request_id: str | None = "req-1=") -> Any:
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        **({"headers": headers} if headers is not None else {}),
        "requestContext": {"http": {"method": method, "path": path}, "requestId": request_id},
    }
    return handler(event, None)


def body(response: dict[str, Any]) -> Any:
    return json.loads(response["body"])


def test_health() -> None:
    response = ask("GET", "/health")
    assert (response["statusCode"], body(response)) == (200, {"status": "ok", "version": VERSION})
    assert response["headers"]["Content-Type"] == "application/json"


def test_the_list_names_every_provider() -> None:
    listed = body(ask("GET", "/integrations"))
    assert [entry["provider"] for entry in listed] == FOLDERS


@pytest.mark.parametrize("name", FOLDERS)
def test_an_entry(name: str) -> None:
    entry = body(ask("GET", f"/integrations/{name}"))
    assert entry in body(ask("GET", "/integrations"))
    assert set(entry) == {"provider", "category", "default_method", "info", "setup", "methods"}
    assert set(entry["info"]) == {"friendly_name", "url", "docs", "icon"}
    assert entry["default_method"] == entry["methods"][0]["method"]
    for method in entry["methods"]:
        effects = {"read_only", "destructive", "idempotent", "open_world"}
        assert set(method) == {"method", "description", "arguments", "output"} | effects
        assert all(isinstance(method[effect], bool) for effect in effects)
        assert method["description"]
        Draft202012Validator.check_schema(method["arguments"])
        Draft202012Validator.check_schema(method["output"])


def test_schemas_show_the_plain_names_and_hide_no_secret_field() -> None:
    entry = body(ask("GET", "/integrations/algolia"))
    assert set(entry["setup"]["properties"]) == {"application_id", "api_key"}
    assert entry["setup"]["properties"]["api_key"]["format"] == "password"
    wikipedia = body(ask("GET", "/integrations/wikipedia"))
    assert wikipedia["setup"] is None
    assert "limit" in wikipedia["methods"][0]["arguments"]["properties"]
    assert "load_max_docs" not in json.dumps(wikipedia)


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/", 404, "not_found", None),
        ("GET", "/nothing", 404, "not_found", None),
        ("GET", "/health/x", 404, "not_found", None),
        ("GET", "/integrations/", 404, "not_found", None),
        ("GET", "/integrations/nobody", 404, "unknown_provider", None),
        ("GET", "/integrations/wikipedia/x/y", 404, "not_found", None),
        ("POST", "/execute/nobody", 404, "unknown_provider", None),
        ("GET", "/execute/nobody/search", 404, "unknown_provider", None),
        ("POST", "/execute", 404, "not_found", None),
        ("POST", "/execute/wikipedia/", 404, "not_found", None),
        ("POST", "/execute/wikipedia/search/more", 404, "not_found", None),
        # Only where the provider's own route is not deployed does such a call come here.
        ("POST", "/execute/wikipedia", 404, "unknown_provider", None),
        ("GET", "/execute/wikipedia", 405, "method_not_allowed", "POST, OPTIONS"),
        ("DELETE", "/execute/wikipedia/search", 405, "method_not_allowed", "POST, OPTIONS"),
        ("POST", "/health", 405, "method_not_allowed", "GET, OPTIONS"),
        ("PUT", "/integrations", 405, "method_not_allowed", "GET, OPTIONS"),
        ("PATCH", "/integrations/wikipedia", 405, "method_not_allowed", "GET, OPTIONS"),
    ],
)
def test_problems(method: str, path: str, status: int, code: str, allow: str | None) -> None:
    response = ask(method, path)
    problem = body(response)
    assert (response["statusCode"], problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:integrations:error:{code}"
    assert problem["error"] == problem["detail"]
    assert problem["retryable"] is False
    assert problem["correlation_id"] == response["headers"]["X-Correlation-Id"] == "req-1="
    assert response["headers"]["Content-Type"] == "application/problem+json"
    assert response["headers"].get("Allow") == allow


def test_preflight() -> None:
    response = ask("OPTIONS", "/execute/wikipedia/search")
    assert (response["statusCode"], response["body"]) == (204, "")
    assert response["headers"]["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "path", ["/<script>", "/integrations/<script>", "/execute/<script>", "/execute/wikipedia/x/<script>"]
)
def test_input_is_not_echoed(path: str) -> None:
    assert "script" not in ask("POST", path, headers={"x-correlation-id": "<script>"})["body"]


@pytest.mark.parametrize("given", ["abc-1.2:3/4+5=@6_7", "x" * 128])
def test_a_fit_correlation_id_is_taken(given: str) -> None:
    assert ask("GET", "/nothing", {"x-correlation-id": given})["headers"]["X-Correlation-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\nb", "é", "a\n"])
def test_another_one_is_not(given: str) -> None:
    response = ask("GET", "/nothing", {"x-correlation-id": given})
    assert response["headers"]["X-Correlation-Id"] == body(response)["correlation_id"] == "req-1="


def test_there_is_always_one() -> None:
    assert ask("GET", "/health", request_id=None)["headers"]["X-Correlation-Id"]


def test_it_imports_the_standard_library_only() -> None:
    code = "import sys; before = set(sys.modules); import app; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=ROOT / "functions" / "registry",
        capture_output=True,
        text=True,
        check=True,
    )
    roots = {name.split(".")[0] for name in done.stdout.split()}
    assert "app" in roots
    assert roots - {"app"} <= sys.stdlib_module_names
