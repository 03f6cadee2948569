"""Weather: answers judged by the connector's file, parameters by Open-Meteo's own; faults are scripted."""

import copy
import functools
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from functions.weather.provider import provider
from integrations import Provider
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, call, post
from tests.support.requirements_of_peers import peer_is_missing
from tests.support.upstream import Message, Reply, Request, Upstream, refused_url

JUDGE = {"kind": "contract", "name": "openweathermap/openweather-connector.swagger.oas3.json", "fixture": "contract"}

# Some tests are about answers that are as bad the second time.
once = copy.copy(provider)
once.methods = {name: method._replace(repeatable=False) for name, method in provider.methods.items()}

SETUP = {"api_key": "owm-key-0123456789"}
NOON = 1763726400  # 2025-11-21T12:00:00Z, on the three hours

NOW: dict[str, Any] = {
    "coord": {"lon": -0.1257, "lat": 51.5085},
    "weather": [{"id": 500, "main": "Rain", "description": "light rain", "icon": "10d"}],
    "base": "stations",
    "main": {"temp": 9.81, "feels_like": 7.6, "temp_min": 8.9, "temp_max": 10.7, "pressure": 1012, "humidity": 87},
    "visibility": 10000,
    "wind": {"speed": 4.12, "deg": 240, "gust": 8.2},
    "rain": {"1h": 0.5},
    "clouds": {"all": 75},
    "dt": NOON,
    "sys": {"type": 2, "id": 1, "country": "GB", "sunrise": NOON - 16_200, "sunset": NOON + 14_700},
    "timezone": 3600,
    "id": 2643743,
    "name": "London",
    "cod": 200,
}
CITY: dict[str, Any] = {
    "id": 1,
    "name": "London",
    "coord": {"lat": 51.5085, "lon": -0.1257},
    "country": "GB",
    "timezone": -36_000,
}


def step(number: int, description: str = "clear sky", **more: Any) -> dict[str, Any]:
    return {
        "dt": NOON + number * 10_800,
        "main": {"temp": 5.0 + number, "temp_min": 4.5 + number, "temp_max": 5.5 + number, "humidity": 60},
        "weather": [{"id": 800, "main": "Clear", "description": description, "icon": "01d"}],
        "clouds": {"all": 0},
        "wind": {"speed": 3 + number},
        "pop": 0.25,
        **more,
    }


AHEAD: dict[str, Any] = {
    "cod": "200",
    "message": 0,
    "cnt": 4,
    "list": [step(0), step(1, "light rain", rain={"3h": 1.25}), step(2, "light rain", rain={"3h": 0.5}),
             step(7, "snow", snow={"3h": 2})],
    "city": CITY,
}  # fmt: skip
FOUND: dict[str, Any] = {
    "results": [{"id": 2643743, "name": "London", "latitude": 51.50853, "longitude": -0.12574, "country_code": "GB"}],
    "generationtime_ms": 0.5,
}
METEO_NOW: dict[str, Any] = {
    "latitude": 51.5,
    "longitude": -0.12,
    "utc_offset_seconds": 0,
    "current_units": {"temperature_2m": "°C"},
    "current": {
        "time": NOON,
        "interval": 900,
        "temperature_2m": 9.8,
        "apparent_temperature": 7.6,
        "relative_humidity_2m": 87,
        "pressure_msl": 1012.3,
        "cloud_cover": 75,
        "wind_speed_10m": 4.1,
        "wind_direction_10m": 240,
        "wind_gusts_10m": 8.2,
        "weather_code": 61,
        "rain": 0.3,
        "showers": 0.2,
        "snowfall": 0.7,
    },
    "daily": {
        "time": [NOON - 43_200],
        "temperature_2m_max": [10.7],
        "temperature_2m_min": [8.9],
        "sunrise": [NOON - 16_200],
        "sunset": [NOON + 14_700],
    },
}


def hourly(hours: int, start: int = NOON - 7200) -> dict[str, Any]:
    """Give the hours from two before noon, each with a millimetre of rain and one with nothing at the end."""
    names = "apparent_temperature relative_humidity_2m pressure_msl cloud_cover wind_speed_10m wind_direction_10m " \
            "wind_gusts_10m showers snowfall precipitation_probability"  # fmt: skip
    return {
        "utc_offset_seconds": 0,
        "hourly": {
            "time": [start + 3600 * number for number in range(hours)],
            "temperature_2m": [*(float(number) for number in range(hours - 1)), None],
            "weather_code": [61] * hours,
            "rain": [1.0] * hours,
            **{name: [0] * hours for name in names.split()},
        },
    }


def answered(request: Request) -> Reply:
    """Answer well, whichever service is asked for whatever."""
    if request.path == "/v1/search":
        return script.json(FOUND)
    if request.path == "/v1/forecast":
        return script.json(METEO_NOW if "current" in request.query else hourly(75))
    return script.json(AHEAD if request.path.endswith("/forecast") else NOW)


EXAMPLE = answered
_NAMED = {"location": "London", "latitude": None, "longitude": None}
_LOCATED = {"location": None, "latitude": 51.5, "longitude": -0.1}
_POSTAL = {"location": None, "latitude": None, "longitude": None, "zip": "10115,DE"}
OTHER_VALUES = {
    f"{method}.{name}": value
    for method in ("get", "forecast")
    for name, value in {
        "location": (_NAMED, "Paris"),
        "latitude": (_LOCATED, 52.5),
        "longitude": (_LOCATED, 13.4),
        "zip": (_POSTAL, "20095,DE"),
        "language": "de",
    }.items()
}

TEXT = (
    "In London, the current weather is as follows:\n"
    "Detailed status: light rain\n"
    "Wind speed: 4.12 m/s, direction: 240°\n"
    "Humidity: 87%\n"
    "Temperature: \n"
    "  - Current: 9.81°C\n"
    "  - High: 10.7°C\n"
    "  - Low: 8.9°C\n"
    "  - Feels like: 7.6°C\n"
    "Rain: {'1h': 0.5}\n"
    "Heat index: None\n"
    "Cloud cover: 75%"
)

both = pytest.mark.parametrize("method", ["get", "forecast"])
either = pytest.mark.parametrize("setup", [SETUP, None], ids=["with a key", "without"])


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("WEATHER_BASE_URL", upstream.url)
    return upstream


def folder() -> Path:
    contracts = os.environ.get("CONTRACTS_DIR")
    if not contracts:
        peer_is_missing("CONTRACTS_DIR does not name the folder with the vendors' files")
    return Path(contracts)


@pytest.fixture(scope="session")
def contract() -> dict[str, Any]:
    """Give the JSON Schema of the weather now, as the connector's file describes it."""
    file = json.loads((folder() / "openweathermap/openweather-connector.swagger.oas3.json").read_text())
    answer = file["paths"]["/weather"]["get"]["responses"]["default"]
    schema: dict[str, Any] = answer["content"]["*/*"]["schema"]
    return schema


@pytest.fixture
def documented(fake: Upstream) -> Iterator[Upstream]:
    """An upstream that holds Open-Meteo's parameters to the operation that it publishes."""
    lines = (folder() / "OPERATIONS.txt").read_text().splitlines()
    operation = lines.index("## open_meteo/forecast.yml GET /v1/forecast  []")
    parameters = set(re.findall(r"query:(\w+)", lines[operation + 1]))
    variables = set(re.findall(r"\w+", lines[operation + 2]))
    yield fake
    asked = [request.query for request in fake.requests if request.path == "/v1/forecast"]
    assert asked
    for query in asked:
        assert query.keys() <= parameters
        assert set(query.get("current", [""])[0].split(",")) - {""} <= variables


def ask(
    method: str = "get", setup: Any = SETUP, seconds: float = 30.0, by: Provider = provider, **arguments: Any
) -> Response:
    arguments = arguments if arguments.keys() & {"location", "zip", "latitude", "longitude"} else {
        "location": "London", **arguments}  # fmt: skip
    return post(by, {"setup": setup, "arguments": arguments}, method=method, seconds=seconds)


# OpenWeatherMap.


@both
@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ({"location": "São Paulo,BR"}, {"q": ["São Paulo,BR"]}),
        ({"zip": "10115,DE"}, {"zip": ["10115,DE"]}),
        ({"latitude": "-33.87", "longitude": 0}, {"lat": ["-33.87"], "lon": ["0.0"]}),
    ],
)
def test_what_is_sent_with_every_argument(
    fake: Upstream, method: str, place: dict[str, Any], sent: dict[str, Any]
) -> None:
    fake.route(answered)
    days: dict[str, Any] = {"days": "5"} if method == "forecast" else {}
    assert ask(method, units="imperial", language="pt-br", **place, **days).status == 200
    [request] = fake.requests
    assert (request.method, request.path) == ("GET", "/data/2.5/" + {"get": "weather", "forecast": "forecast"}[method])
    assert request.query == {
        **sent,
        "units": ["imperial"],
        "lang": ["pt_br"],
        "appid": ["owm-key-0123456789"],
        **({"cnt": ["40"]} if days else {}),
    }


@both
def test_what_is_sent_by_default(fake: Upstream, method: str) -> None:
    fake.route(answered)
    ask(method)
    sent = {"q": ["London"], "units": ["metric"], "lang": ["en"], "appid": ["owm-key-0123456789"]}
    assert fake.last.query == sent | ({"cnt": ["24"]} if method == "forecast" else {})


def test_the_answer_is_as_the_connector_describes_it(contract: dict[str, Any]) -> None:
    Draft4Validator(contract).validate(NOW)
    assert contract["properties"].keys() <= NOW.keys()


def test_what_comes_back(fake: Upstream) -> None:
    fake.route(answered)
    reply = ask()
    assert reply.status == 200
    assert reply.body == {
        "result": TEXT,
        "source": "OpenWeatherMap",
        "place": {"name": "London", "country": "GB", "latitude": 51.5085, "longitude": -0.1257},
        "units": "metric",
        "current": {
            "time": "2025-11-21T13:00:00+01:00",
            "description": "light rain",
            "temperature": 9.81,
            "feels_like": 7.6,
            "temperature_min": 8.9,
            "temperature_max": 10.7,
            "humidity": 87,
            "pressure": 1012,
            "cloud_cover": 75,
            "visibility": 10000,
            "wind_speed": 4.12,
            "wind_direction": 240,
            "wind_gust": 8.2,
            "rain": 0.5,
            "snow": 0,
            "minutes": 60,
            "precipitation_probability": None,
            "sunrise": "2025-11-21T08:30:00+01:00",
            "sunset": "2025-11-21T17:05:00+01:00",
        },
    }


def test_what_comes_back_of_the_days_ahead(fake: Upstream) -> None:
    """Days are those of the place: noon in London is early morning on Hawaii."""
    fake.route(answered)
    body = ask("forecast").body
    assert [item["time"] for item in body["steps"]] == [
        "2025-11-21T02:00:00-10:00",
        "2025-11-21T05:00:00-10:00",
        "2025-11-21T08:00:00-10:00",
        "2025-11-21T23:00:00-10:00",
    ]
    assert [(item["rain"], item["snow"], item["minutes"]) for item in body["steps"]] == [
        (0, 0, 180),
        (1.25, 0, 180),
        (0.5, 0, 180),
        (0, 2, 180),
    ]
    assert body["steps"][0]["precipitation_probability"] == 25
    assert body["days"] == [
        {
            "date": "2025-11-21",
            "description": "light rain",
            "temperature_min": 4.5,
            "temperature_max": 12.5,
            "wind_speed": 10,
            "rain": 1.75,
            "snow": 2,
        }
    ]
    assert body["result"] == (
        "In London, the weather will be as follows:\n"
        "2025-11-21: light rain, 4.5 to 12.5°C, wind up to 10 m/s, rain 1.75 mm, snow 2 mm"
    )
    assert (body["source"], body["place"]["name"], body["units"]) == ("OpenWeatherMap", "London", "metric")


def test_an_answer_may_lack_what_the_original_needed(fake: Upstream) -> None:
    """There is no direction without wind, and temp_min may be null."""
    bare = {"coord": {"lon": 1, "lat": 2}, "weather": NOW["weather"], "main": {"temp": 9, "temp_min": None}, "dt": NOON}
    fake.replies(script.json(bare))
    text = ask(units="standard").body["result"]
    assert text.splitlines()[1:] == [
        "Detailed status: light rain",
        "Wind speed: unknown",
        "Humidity: unknown",
        "Temperature: ",
        "  - Current: 9.0 K",
        "  - High: unknown",
        "  - Low: unknown",
        "  - Feels like: unknown",
        "Rain: {}",
        "Heat index: None",
        "Cloud cover: unknown",
    ]


@pytest.mark.parametrize(("units", "wind", "degrees"), [("imperial", "miles/h", "°F"), ("standard", "m/s", " K")])
def test_the_text_is_in_the_units_asked_for(fake: Upstream, units: str, wind: str, degrees: str) -> None:
    fake.route(answered)
    lines = ask(units=units).body["result"].splitlines()
    assert lines[2] == f"Wind speed: 4.12 {wind}, direction: 240°"
    assert lines[5] == f"  - Current: 9.81{degrees}"


# Open-Meteo.


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ({"location": "London"}, {"name": ["London"]}),
        ({"location": "London, gb "}, {"name": ["London"], "countryCode": ["GB"]}),
        ({"location": "Portland,Oregon,US"}, {"name": ["Portland,Oregon"], "countryCode": ["US"]}),
        ({"location": "Paris, France"}, {"name": ["Paris, France"]}),
        ({"zip": "94040"}, {"name": ["94040"], "countryCode": ["US"]}),
        ({"zip": "10115,de"}, {"name": ["10115"], "countryCode": ["DE"]}),
    ],
)
def test_what_is_sent_to_find_a_place_without_a_key(fake: Upstream, place: dict[str, Any], sent: Any) -> None:
    fake.route(answered)
    assert ask(setup=None, **place).status == 200
    search, forecast = fake.requests
    assert search.path == "/v1/search"
    assert search.query == {**sent, "count": ["1"], "format": ["json"]}
    assert (forecast.query["latitude"], forecast.query["longitude"]) == (["51.50853"], ["-0.12574"])


@pytest.mark.parametrize(
    ("units", "temperature", "speed"),
    [("metric", "celsius", "ms"), ("imperial", "fahrenheit", "mph"), ("standard", "celsius", "ms")],
)
def test_what_is_sent_without_a_key(documented: Upstream, units: str, temperature: str, speed: str) -> None:
    documented.route(answered)
    where: dict[str, Any] = {"latitude": 51.5, "longitude": -0.12, "units": units}
    assert ask(setup=None, **where).status == 200
    assert ask("forecast", setup=None, days=2, **where).status == 200
    now, ahead = (request.query for request in documented.requests)
    variables = (
        "temperature_2m,apparent_temperature,relative_humidity_2m,pressure_msl,cloud_cover,wind_speed_10m,"
        "wind_direction_10m,wind_gusts_10m,weather_code,rain,showers,snowfall"
    )
    common = {
        "latitude": ["51.5"],
        "longitude": ["-0.12"],
        "temperature_unit": [temperature],
        "wind_speed_unit": [speed],
        "timezone": ["auto"],
        "timeformat": ["unixtime"],
    }
    assert now == common | {
        "current": [variables],
        "daily": ["temperature_2m_max,temperature_2m_min,sunrise,sunset"],
        "forecast_days": ["1"],
    }
    assert ahead == common | {"hourly": [f"{variables},precipitation_probability"], "forecast_hours": ["50"]}


def test_what_comes_back_without_a_key(fake: Upstream) -> None:
    fake.route(answered)
    body = ask(setup=None).body
    assert body["result"] == (
        TEXT.replace("4.12", "4.1").replace("9.81", "9.8").replace("'1h'", "'15min'") + "\nSource: Open-Meteo"
    )
    assert body["source"] == "Open-Meteo"
    assert body["place"] == {"name": "London", "country": "GB", "latitude": 51.50853, "longitude": -0.12574}
    current = body["current"]
    assert (current["time"], current["description"]) == ("2025-11-21T12:00:00+00:00", "light rain")
    assert (current["rain"], current["snow"], current["minutes"]) == (0.5, 1.0, 15), "7 cm of snow are 10 mm of water"
    assert (current["temperature_min"], current["temperature_max"]) == (8.9, 10.7)
    assert (current["sunrise"], current["sunset"]) == ("2025-11-21T07:30:00+00:00", "2025-11-21T16:05:00+00:00")


def test_what_comes_back_of_the_days_ahead_without_a_key(fake: Upstream) -> None:
    """The steps are on the hours of OpenWeatherMap's, and each has the rain of its three hours."""
    fake.replies(script.json(hourly(27)))
    body = ask("forecast", setup=None, latitude=1, longitude=2, days=1).body
    assert [item["time"][:13] for item in body["steps"]] == [
        *(f"2025-11-21T{hour}" for hour in (12, 15, 18, 21)),
        *(f"2025-11-22T{hour:02}" for hour in (0, 3, 6, 9)),
    ]
    assert [item["temperature"] for item in body["steps"]] == [2.0, 5.0, 8.0, 11.0, 14.0, 17.0, 20.0, 23.0]
    assert {(item["rain"], item["minutes"]) for item in body["steps"]} == {(3.0, 180)}
    assert [(day["date"], day["rain"], day["temperature_max"]) for day in body["days"]] == [
        ("2025-11-21", 12.0, 11.0),
        ("2025-11-22", 12.0, 23.0),
    ]
    assert body["result"] == (
        "In 1.0, 2.0, the weather will be as follows:\n"
        "2025-11-21: light rain, 2.0 to 11.0°C, wind up to 0 m/s, rain 12.0 mm\n"
        "2025-11-22: light rain, 14.0 to 23.0°C, wind up to 0 m/s, rain 12.0 mm\n"
        "Source: Open-Meteo"
    )
    assert body["place"] == {"name": "1.0, 2.0", "country": None, "latitude": 1.0, "longitude": 2.0}


@pytest.mark.parametrize("start", range(3))
@pytest.mark.parametrize("days", [1, 5])
def test_eight_steps_a_day_whatever_the_hour(fake: Upstream, start: int, days: int) -> None:
    fake.route(lambda request: script.json(hourly(int(request.query["forecast_hours"][0]) + 1, NOON + start * 3600)))
    assert len(ask("forecast", setup=None, latitude=1, longitude=2, days=days).body["steps"]) == 8 * days


def test_kelvin_is_reckoned_without_a_key(fake: Upstream) -> None:
    fake.route(answered)
    now = ask(setup=None, units="standard").body["current"]
    assert (now["temperature"], now["feels_like"], now["temperature_max"]) == (282.95, 280.75, 283.85)
    assert ask("forecast", setup=None, units="standard").body["steps"][0]["temperature"] == 275.15


def test_a_weather_code_that_is_new(fake: Upstream) -> None:
    fake.replies(script.json({**METEO_NOW, "current": {**METEO_NOW["current"], "weather_code": 17}}))
    assert ask(setup=None, latitude=1, longitude=2).body["current"]["description"] == "unknown"


@both
def test_a_language_is_refused_without_a_key(fake: Upstream, method: str) -> None:
    reply = ask(method, setup=None, language="de")
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["detail"] == "arguments.language: Only en without a key; set api_key, or leave it out."
    assert fake.requests == []


# What cannot be asked, and what is refused.


@both
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"latitude": 1}, "arguments: latitude and longitude go together: give both or neither."),
        ({"longitude": 1, "zip": "94040"}, "arguments: latitude and longitude go together: give both or neither."),
        ({"location": None}, "arguments: Give one place: location, zip, or latitude and longitude."),
        ({"location": "x", "zip": "94040"}, "arguments: Give one place: location, zip, or latitude and longitude."),
        (
            {"location": "x", "latitude": 0, "longitude": 0},
            "arguments: Give one place: location, zip, or latitude and longitude.",
        ),
    ],
)
def test_one_place_is_asked_for(fake: Upstream, method: str, arguments: dict[str, Any], sentence: str) -> None:
    reply = ask(method, **arguments)
    assert (reply.status, reply.body["detail"]) == (422, sentence)
    assert fake.requests == []


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("location", {"location": " "}),
        ("location", {"location": "x" * 201}),
        *[("zip", {"zip": given}) for given in ("", "94040,USA", "94040&appid=x", "9")],
        ("latitude", {"latitude": 91, "longitude": 0}),
        ("longitude", {"latitude": 0, "longitude": -181}),
        ("units", {"units": "kelvin"}),
        *[("language", {"language": given}) for given in ("", "german", "EN", "e&")],
        *[("days", {"days": given}) for given in (0, 6)],
    ],
)
def test_a_value_out_of_bounds_is_named(fake: Upstream, field: str, arguments: dict[str, Any]) -> None:
    reply = ask("forecast", **arguments)
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", field])
    assert fake.requests == []


@both
def test_a_rejected_key(fake: Upstream, method: str) -> None:
    fake.replies(script.json({"cod": 401, "message": "Invalid API key."}, status=401))
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", 401)
    assert "Invalid API key" not in reply.text
    assert "owm-key" not in reply.text


@both
@pytest.mark.parametrize("cod", ["404", 404])
def test_a_rejected_place(fake: Upstream, method: str, cod: Any) -> None:
    fake.replies(script.json({"cod": cod, "message": "city not found"}, status=404))
    reply = ask(method)
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (422, "upstream_rejected", 404)
    assert reply.body["detail"] == (
        "OpenWeatherMap knows no such place; spell it like London,GB, or give its coordinates."
    )


@both
def test_a_rejected_place_without_a_key(fake: Upstream, method: str) -> None:
    fake.replies(script.json({"generationtime_ms": 0.5}))
    reply = ask(method, setup=None)
    assert (reply.status, reply.body["code"]) == (422, "upstream_rejected")
    assert reply.body["detail"] == "Open-Meteo knows no such place; spell it like London,GB, or give its coordinates."


@either
@both
def test_a_rejected_request(fake: Upstream, method: str, setup: Any) -> None:
    fake.replies(script.json({"cod": "400", "message": "wrong", "error": True, "reason": "wrong"}, status=400))
    reply = ask(method, setup=setup)
    assert (reply.status, reply.body["code"]) == (422, "upstream_rejected")
    assert "wrong" not in reply.text


@pytest.mark.parametrize("key", ["", "with space", "ü", "x" * 201, "line\n"])
def test_a_key_is_nothing_but_one(fake: Upstream, key: str) -> None:
    reply = ask(setup={"api_key": key})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["setup", "api_key"])
    assert fake.requests == []


# Faults.


@either
@both
def test_rate_limit(fake: Upstream, method: str, setup: Any) -> None:
    fake.replies(script.json({"cod": 429, "message": "blocked"}, status=429, headers={"retry-after": "3600"}))
    reply = ask(method, setup=setup)
    assert (reply.status, reply.body["code"]) == (503, "upstream_rate_limited")
    assert reply.headers["retry-after"] == "3600"


@either
@both
def test_upstream_failure(fake: Upstream, method: str, setup: Any) -> None:
    fake.replies(*[script.json({"cod": 500, "message": "oops"}, status=500)] * 3)
    reply = ask(method, setup=setup)
    assert (reply.status, reply.body["code"], reply.headers["x-attempts"]) == (502, "upstream_error", "3")
    assert "oops" not in reply.text


def changed(answer: dict[str, Any], **fields: Any) -> Message:
    return script.json({**answer, **fields})


UNEVEN = {**hourly(9)["hourly"], "rain": [1.0]}
NOWHERE = [script.html(), script.half_json(NOW), script.json({}), script.json([])]
NEITHER_NOW = [
    *[changed(NOW, weather=[]), changed(NOW, main={}), changed(NOW, rain=3)],
    *[changed(NOW, dt=-1), changed(NOW, dt=10**15), changed(NOW, timezone=86_400)],
]
NOR_AHEAD = [
    *[changed(AHEAD, list=[]), changed(AHEAD, list=[{}])],
    *[changed(AHEAD, city={}), changed(AHEAD, city={**CITY, "timezone": 10**9})],
]
NEITHER_METEO_NOW = [
    *[changed(METEO_NOW, current={}), changed(METEO_NOW, daily={}), changed(METEO_NOW, utc_offset_seconds="x")],
    changed(METEO_NOW, daily={**METEO_NOW["daily"], "sunrise": []}),
]
HOURS: list[dict[str, Any]] = [{}, {"time": ["noon"]}, UNEVEN, {**UNEVEN, "rain": ["x"] * 9}, hourly(2)["hourly"]]
NOR_METEO_AHEAD = [changed(hourly(9), hourly=hours) for hours in HOURS]


@pytest.mark.parametrize(
    ("method", "setup", "bodies"),
    [
        ("get", SETUP, [*NOWHERE, *NEITHER_NOW]),
        ("forecast", SETUP, [*NOWHERE, *NOR_AHEAD]),
        ("get", None, [*NOWHERE, *NEITHER_METEO_NOW]),
        ("forecast", None, [*NOWHERE, *NOR_METEO_AHEAD]),
    ],
    ids=["now", "ahead", "now without a key", "ahead without a key"],
)
def test_malformed_body(fake: Upstream, method: str, setup: Any, bodies: list[Message]) -> None:
    for body in bodies:
        fake.route(functools.partial(lambda body, _: body, body))
        reply = ask(method, setup=setup, by=once, latitude=1, longitude=2)
        assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response"), body


@pytest.mark.parametrize(
    "body", [script.html(), script.json({"results": [{"name": "x"}]}), script.json({"results": 1})]
)
def test_malformed_place(fake: Upstream, body: Message) -> None:
    fake.route(lambda _: body)
    assert ask(setup=None, by=once).body["code"] == "upstream_bad_response"


@either
@both
def test_timeout(fake: Upstream, method: str, setup: Any) -> None:
    fake.route(lambda _: script.hang())
    started = time.monotonic()
    reply = ask(method, setup=setup, seconds=RESERVE + 1, by=once)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1.5


@either
def test_unreachable(monkeypatch: pytest.MonkeyPatch, setup: Any) -> None:
    with refused_url() as url:
        monkeypatch.setenv("WEATHER_BASE_URL", url)
        assert ask(setup=setup).body["code"] == "upstream_unreachable"


# Names and examples.


def test_the_declared_facts() -> None:
    assert provider.base_urls == ("https://api.openweathermap.org/data/2.5",)
    assert provider.other_urls == {
        "open_meteo": "https://api.open-meteo.com/v1",
        "geocoding": "https://geocoding-api.open-meteo.com/v1",
    }
    assert provider.default_method == "get"


def test_the_environment_of_a_laptop(fake: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.route(answered)
    monkeypatch.setenv("WEATHER_API_KEY", "key-of-the-environment")
    assert ask(setup=None).body["source"] == "OpenWeatherMap"
    assert fake.last.query["appid"] == ["key-of-the-environment"]


@both
def test_the_event_of_this_method_works(fake: Upstream, method: str) -> None:
    fake.route(answered)
    event = json.loads(Path(f"events/weather.{method}.json").read_text())
    assert call(provider, **event)["source"] == "OpenWeatherMap"
