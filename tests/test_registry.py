"""The registry: the catalog, the tools, and the answers to what no other route takes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from functions.registry.app import handler
from integrations.version import VERSION

ROOT = Path(__file__).parents[1]
REGISTRY = ROOT / "functions" / "registry"
FOLDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/provider.py"))


FORMATS = ("openai", "openai-responses", "anthropic", "gemini", "bedrock", "agentcore", "mcp")
TOOLS = sorted(json.loads((REGISTRY / "tools/openai.json").read_text()))


def ask(
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    request_id: str | None = "req-1=",
    query: dict[str, str] | None = None,
) -> Any:
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        **({"headers": headers} if headers is not None else {}),
        **({"queryStringParameters": query} if query is not None else {}),
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
        assert set(method) == {"method", "description", "arguments", "output", "tool"} | effects
        assert set(method["tool"]) == {"name", "version", "tokens", "strict"}
        assert method["tool"]["name"] == f"{name}_{method['method']}"
        assert method["tool"]["tokens"].keys() == set(FORMATS)
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
        ("GET", "/integrations/wikipedia/search", 404, "not_found", None),
        ("GET", "/integrations/nobody/tool", 404, "unknown_provider", None),
        ("GET", "/integrations/nobody/search/tool", 404, "unknown_provider", None),
        ("GET", "/integrations/wikipedia/nothing/tool", 404, "unknown_method", None),
        ("GET", "/integrations/wikipedia/search/tool/more", 404, "not_found", None),
        ("GET", "/tools/", 404, "not_found", None),
        ("GET", "/tools/wikipedia_search", 404, "not_found", None),
        ("POST", "/tools", 405, "method_not_allowed", "GET, OPTIONS"),
        ("PUT", "/integrations/wikipedia/tool", 405, "method_not_allowed", "GET, OPTIONS"),
        ("DELETE", "/integrations/wikipedia/search/tool", 405, "method_not_allowed", "GET, OPTIONS"),
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


# Tools.


@pytest.mark.parametrize("path", ["/integrations/algolia/tool", "/integrations/algolia/search/tool"])
@pytest.mark.parametrize("name", FORMATS)
def test_one_tool_is_what_a_request_of_the_vendor_takes(path: str, name: str) -> None:
    response = ask("GET", path, query={"format": name})
    assert body(response) == json.loads((REGISTRY / f"tools/{name}.json").read_text())["algolia_search"]
    told = body(ask("GET", "/integrations/algolia"))["methods"][0]["tool"]
    assert response["headers"]["ETag"] == f'"{told["version"]}"'
    assert response["headers"]["X-Tool-Tokens"] == str(told["tokens"][name])


def test_the_format_is_openais_unless_another_is_named() -> None:
    assert body(ask("GET", "/integrations/algolia/tool"))["type"] == "function"
    assert body(ask("GET", "/tools"))["format"] == "openai"


@pytest.mark.parametrize("name", FORMATS)
def test_all_tools(name: str) -> None:
    response = ask("GET", "/tools", query={"format": name})
    assert body(response) == {
        "format": name,
        "tools": [*json.loads((REGISTRY / f"tools/{name}.json").read_text()).values()],
        "total": len(TOOLS),
        "next_cursor": None,
    }
    tokens = [m["tool"]["tokens"][name] for e in body(ask("GET", "/integrations")) for m in e["methods"]]
    assert response["headers"]["X-Tool-Tokens"] == str(sum(tokens))


def names(**query: str) -> list[str]:
    return [tool["name"] for tool in body(ask("GET", "/tools", query={"format": "mcp", **query}))["tools"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"providers": "wikipedia"}, ["wikipedia_search"]),
        ({"providers": "wikipedia, algolia"}, ["algolia_search", "wikipedia_search"]),
        ({"tools": "algolia_search"}, ["algolia_search"]),
        ({"tools": "algolia_search", "providers": "wikipedia"}, []),
        ({"tools": "wikipedia_search", "category": "search", "read_only": "true"}, ["wikipedia_search"]),
    ],
)
def test_filters_all_hold(query: dict[str, str], expected: list[str]) -> None:
    assert names(**query) == expected
    assert body(ask("GET", "/tools", query=query))["total"] == len(expected)


def test_the_other_filters_hold_for_every_tool() -> None:
    methods = [
        (method["tool"]["name"], entry["category"], method["read_only"])
        for entry in body(ask("GET", "/integrations"))
        for method in entry["methods"]
    ]
    assert names(read_only="true") == sorted(name for name, _, reads in methods if reads)
    assert names(read_only="false") == TOOLS
    for category in {category for _, category, _ in methods}:
        assert names(category=category) == sorted(name for name, of, _ in methods if of == category)


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_pages_give_every_tool_once(limit: int) -> None:
    seen: list[str] = []
    query = {"format": "mcp", "limit": str(limit)}
    while True:
        page = body(ask("GET", "/tools", query=query))
        assert page["total"] == len(TOOLS)
        assert len(page["tools"]) <= limit
        seen += [tool["name"] for tool in page["tools"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        assert TOOLS[0] not in query["cursor"]
    assert seen == TOOLS


def cursor(text: bytes) -> str:
    return text.hex()


@pytest.mark.parametrize(
    ("path", "parameter", "value", "told"),
    [
        ("/tools", "format", "<script>", "query.format: One of: openai, openai-responses, anthropic, gemini,"),
        ("/tools", "format", "", "query.format: One of: openai,"),
        ("/tools", "format", "openai,mcp", "query.format: One of: openai,"),
        ("/tools", "providers", "algolia,<script>", "query.providers: Names of `GET /integrations`, separated by"),
        ("/tools", "providers", "", "query.providers: Names of"),
        ("/tools", "providers", "algolia,", "query.providers: Names of"),
        ("/tools", "tools", "search", "query.tools: Names of `GET /tools`, separated by commas: "),
        ("/tools", "category", "<script>", "query.category: Names of the catalog, separated by commas: "),
        ("/tools", "read_only", "yes", "query.read_only: One of: true, false."),
        ("/tools", "read_only", "<script>", "query.read_only: One of"),
        ("/tools", "limit", "0", "query.limit: A whole number from 1 to 500."),
        ("/tools", "limit", "501", "query.limit: A whole"),
        ("/tools", "limit", "-1", "query.limit: A whole"),
        ("/tools", "limit", "1.0", "query.limit: A whole"),
        ("/tools", "limit", "\u0661", "query.limit: A whole"),
        ("/tools", "limit", "9" * 5000, "query.limit: A whole"),
        ("/tools", "limit", "", "query.limit: A whole"),
        ("/tools", "cursor", "", "query.cursor: The next_cursor of the page before, as it was given."),
        ("/tools", "cursor", "<script>", "query.cursor: The next_cursor"),
        ("/tools", "cursor", "é", "query.cursor: The next_cursor"),
        ("/tools", "cursor", cursor(b"algolia_search"), "query.cursor: The next_cursor"),
        ("/tools", "cursor", cursor(b"after:\xff"), "query.cursor: The next_cursor"),
        ("/tools", "cursor", cursor(b"after:"), "query.cursor: The next_cursor"),
        ("/tools", "provider", "algolia", "query.provider: Unknown parameter; there are: format, providers, tools,"),
        ("/tools", "<script>", "1", "query.?: Unknown parameter"),
        ("/integrations/algolia/tool", "format", "x", "query.format: One of"),
        ("/integrations/algolia/search/tool", "limit", "1", "query.limit: Unknown parameter; there are: format."),
    ],
)
def test_what_is_not_understood_is_refused(path: str, parameter: str, value: str, told: str) -> None:
    response = ask("GET", path, query={parameter: value})
    problem = body(response)
    assert (response["statusCode"], problem["code"], problem["title"]) == (400, "invalid_request", "Invalid request")
    assert problem["detail"].startswith(told)
    [finding] = problem["errors"]
    assert finding["loc"] == ["query", told.removeprefix("query.").partition(":")[0]]
    assert "script" not in response["body"]
    assert "ETag" not in response["headers"]


# What has not changed is not sent again.

TAGGED = ["/integrations", "/integrations/wikipedia", "/tools", "/integrations/wikipedia/tool"]


@pytest.mark.parametrize("path", TAGGED)
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', 'W/"other" ,W/{}', "*"])
def test_a_caller_who_has_it_is_told_so(path: str, form: str) -> None:
    etag = ask("GET", path)["headers"]["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{16}"', etag)
    response = ask("GET", path, {"if-none-match": form.format(etag), "x-correlation-id": "c-1"})
    assert response == {"statusCode": 304, "headers": {"ETag": etag, "X-Correlation-Id": "c-1"}, "body": ""}


@pytest.mark.parametrize("path", TAGGED)
@pytest.mark.parametrize("form", ["", '"other"', "{}x", '"*"'])
def test_a_caller_who_has_another_gets_it(path: str, form: str) -> None:
    response = ask("GET", path)
    again = ask("GET", path, {"if-none-match": form.format(response["headers"]["ETag"].strip('"'))})
    assert (again["statusCode"], again["body"]) == (200, response["body"])


def test_only_what_is_there_has_a_tag() -> None:
    for path in ("/nothing", "/integrations/nobody", "/health"):
        response = ask("GET", path, {"if-none-match": "*"})
        assert "ETag" not in response["headers"]
        assert response["statusCode"] != 304


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


def test_it_reads_the_tools_of_a_format_when_they_are_asked_for() -> None:
    code = """if True:
        import sys
        opened = []
        sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
        import app
        def ask(path, **query):
            context = {"http": {"method": "GET", "path": path}}
            assert app.handler({"queryStringParameters": query, "requestContext": context}, None)["statusCode"] == 200
            print(*(name.rpartition("/")[2] for name in opened if name.endswith(".json")))
        ask("/integrations"), ask("/tools", format="mcp"), ask("/tools", format="mcp")
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=ROOT / "functions" / "registry",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["catalog.json", "catalog.json mcp.json", "catalog.json mcp.json"]
