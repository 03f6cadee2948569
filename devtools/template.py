"""The functions and the routes of template.yaml.

Only what `integrations serve` needs is read, and only the forms that template.yaml uses: what is served locally is
what the template says, so there is no second list of routes.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

DEFAULT_ROUTE = "$default"


@dataclass(frozen=True, slots=True)
class Function:
    """A function: where its handler is, and the limits it runs under."""

    logical_id: str
    name: str
    module: str
    attribute: str
    timeout: float
    memory: int


@dataclass(frozen=True, slots=True)
class CorsConfiguration:
    """What the HTTP API answers pages of other origins; from which ones is a parameter of the stack."""

    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int
    credentials: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the HTTP API. `key` is how API Gateway names it; `authorizer` is None where nobody is asked."""

    key: str
    method: str
    segments: tuple[str, ...]
    function: Function
    authorizer: Function | None


def read_routes(path: Path) -> list[Route]:
    """Read every route of the template's HTTP APIs, with the functions behind them."""
    template = parse(path.read_text(encoding="utf-8"))
    resources = template["Resources"]
    functions = {function.logical_id: function for function in _functions(template)}
    return [
        _route(event["Properties"], functions[logical_id], functions, resources)
        for logical_id in functions
        for event in resources[logical_id]["Properties"].get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]


def read_cors(path: Path) -> CorsConfiguration:
    """Read what the template's HTTP API has for the case that there are origins, `!If [HasCorsOrigins, {…}, …]`."""
    resources = parse(path.read_text(encoding="utf-8"))["Resources"]
    (api,) = [resource for resource in resources.values() if resource["Type"] == "AWS::Serverless::HttpApi"]
    _, written, _ = api["Properties"]["CorsConfiguration"]["Fn::If"]
    return CorsConfiguration(
        methods=tuple(written["AllowMethods"]),
        headers=tuple(written["AllowHeaders"]),
        exposed=tuple(written.get("ExposeHeaders", ())),
        max_age=written.get("MaxAge", 0),
        credentials=written.get("AllowCredentials", False),
    )


def parse(text: str) -> dict[str, Any]:
    """Read a template; the short forms of intrinsic functions become the long ones."""
    template: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506  # a SafeLoader with CloudFormation's tags
    return template


def read_functions(path: Path) -> list[Function]:
    """Read every function of the template."""
    return _functions(parse(path.read_text(encoding="utf-8")))


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags."""


def _intrinsic(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        value: Any = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = node.value
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def _functions(template: dict[str, Any]) -> list[Function]:
    return [
        _function(logical_id, resource["Properties"], template["Globals"]["Function"])
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    ]


def _function(logical_id: str, properties: dict[str, Any], defaults: dict[str, Any]) -> Function:
    code = PurePosixPath(properties["CodeUri"])
    own = defaults | properties
    module, _, attribute = own["Handler"].rpartition(".")
    return Function(
        logical_id=logical_id,
        name=code.name,
        module=".".join((*code.parts, module)),
        attribute=attribute,
        timeout=own["Timeout"],
        memory=own["MemorySize"],
    )


def _route(
    event: dict[str, Any], function: Function, functions: dict[str, Function], resources: dict[str, Any]
) -> Route:
    auth = resources[event["ApiId"]["Ref"]]["Properties"].get("Auth", {})
    authorizer = event.get("Auth", {}).get("Authorizer") or auth.get("DefaultAuthorizer") or "NONE"
    asked = None if authorizer == "NONE" else auth["Authorizers"][authorizer]["FunctionArn"]["Fn::GetAtt"][0]
    path = event.get("Path", DEFAULT_ROUTE)
    method = event.get("Method", "ANY").upper()
    return Route(
        key=path if path == DEFAULT_ROUTE else f"{method} {path}",
        method=method,
        segments=() if path == DEFAULT_ROUTE else tuple(path.removeprefix("/").split("/")),
        function=function,
        authorizer=functions[asked] if asked else None,
    )


def match(routes: list[Route], method: str, segments: list[str]) -> tuple[Route, dict[str, str]] | None:
    """Choose the route as API Gateway does: the most specific path first, then the method, then `$default`.

    `segments` are the parts of the path, decoded. Give the route and the values of its path parameters.
    """
    found = [
        (_vagueness(route), index, route, values)
        for index, route in enumerate(routes)
        if route.method in (method, "ANY") and (values := _values(route, segments)) is not None
    ]
    if not found:
        return None
    _, _, route, values = min(found, key=lambda entry: entry[:2])
    return route, values


def _vagueness(route: Route) -> tuple[Any, ...]:
    kinds = tuple(2 if part.endswith("+}") else part.startswith("{") for part in route.segments)
    # A greedy variable anywhere loses against a full match, whatever stands before it.
    return (route.key == DEFAULT_ROUTE, 2 in kinds, kinds, route.method == "ANY")


def _values(route: Route, segments: list[str]) -> dict[str, str] | None:
    if route.key == DEFAULT_ROUTE:
        return {}
    return dict(pairs) if (pairs := _pairs(route.segments, segments)) is not None else None


def _pairs(pattern: tuple[str, ...], segments: list[str]) -> list[tuple[str, str]] | None:
    if pattern[-1].endswith("+}") and len(segments) >= len(pattern):
        greedy = "/".join(segments[len(pattern) - 1 :])
        segments = [*segments[: len(pattern) - 1], greedy]
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    # A variable takes anything but nothing: /execute/wikipedia/ is not /execute/wikipedia/{method}.
    if any(not given if part.startswith("{") else part != given for part, given in pairs):
        return None
    return [(part.strip("{+}"), given) for part, given in pairs if part.startswith("{")]
