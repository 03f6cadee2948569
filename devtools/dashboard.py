"""The dashboard of a stack: its alarms, the API as a whole, and a widget for each provider.

CloudWatch takes the body as one text of JSON. What a stack does not deploy has no widget: the text is joined from
parts, and the parts of a category hang on its condition. Widgets have no place, so they fill the rows as they come.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

import json
from collections.abc import Iterable
from typing import Any

from integrations import Provider

Widget = dict[str, Any]

NAMESPACE = "Integrations/${AWS::StackName}"
_WIDTH, _HEIGHT = 8, 6  # of the 24 columns of a row


def parts(by_category: dict[str, list[Provider]], alarms: Iterable[str]) -> list[tuple[str | None, str]]:
    """Give the body's parts, each with the category on which it hangs, or None; `${…}` in them is for Fn::Sub.

    `alarms` are the alarms' names, which may hold `${…}` too.
    """
    common = [_alarms(alarms), *_api(), _outcomes()]
    head = '{"start":"-PT12H","widgets":[' + ",".join(map(_text, common))
    found: list[tuple[str | None, str]] = [(None, head)]
    for category, providers in by_category.items():
        found += [(category, f",{_text(_provider(provider))}") for provider in providers]
    return [*found, (None, "]}")]


def _text(widget: Widget) -> str:
    return json.dumps(widget, separators=(",", ":"))


def _alarms(names: Iterable[str]) -> Widget:
    arns = [f"arn:${{AWS::Partition}}:cloudwatch:${{AWS::Region}}:${{AWS::AccountId}}:alarm:{name}" for name in names]
    return {"type": "alarm", "width": 24, "height": 3, "properties": {"title": "Alarms", "alarms": arns}}


def _api() -> list[Widget]:
    def of(name: str, **options: Any) -> list[Any]:
        return ["AWS/ApiGateway", name, "ApiId", "${Api}", *([options] if options else [])]

    return [
        _metrics("Requests", [of("Count", label="all"), of("4xx"), of("5xx")], stat="Sum"),
        _metrics("Latency of the API, ms", [of("Latency", stat=stat, label=stat) for stat in ("p50", "p90", "p99")]),
    ]


def _outcomes() -> Widget:
    return _metrics("Calls by outcome", [_search("outcome", "Calls", "Sum", "")], stat="Sum")


def _provider(provider: Provider) -> Widget:
    """Give the calls of a provider by outcome, and on the right how long the slowest of a hundred take."""
    only = f' provider="{provider.name}"'
    series = [
        _search("provider,method,outcome", "Calls", "Sum", only),
        _search("provider,method", "Duration", "p99", only, yAxis="right"),
    ]
    return _metrics(
        provider.title, series, stat="Sum", yAxis={"left": {"min": 0}, "right": {"min": 0, "label": "p99, ms"}}
    )


def _search(dimensions: str, metric: str, stat: str, only: str, **options: Any) -> list[Any]:
    """Give the metrics that have these dimensions; new methods and outcomes come in by themselves."""
    schema = ",".join([f'"{NAMESPACE}"', dimensions])
    return [{"expression": f"SEARCH('{{{schema}}} MetricName=\"{metric}\"{only}', '{stat}', 300)", **options}]


def _metrics(title: str, series: list[list[Any]], **properties: Any) -> Widget:
    about = {"title": title, "region": "${AWS::Region}", "view": "timeSeries", "period": 300, "metrics": series}
    return {"type": "metric", "width": _WIDTH, "height": _HEIGHT, "properties": about | properties}
