"""Open-Meteo: what it is asked, without a key, and how its answers read.

These are its forecast (https://open-meteo.com/en/docs) and its geocoding, since it takes a place by its coordinates
(https://open-meteo.com/en/docs/geocoding-api). Its data are under CC BY 4.0, so a text names it.
"""

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from functions.weather.report import (
    LAST_MOMENT,
    Conditions,
    Current,
    ForecastArguments,
    ForecastOutput,
    GetOutput,
    Number,
    Place,
    PlaceArguments,
    Units,
    by_day,
    current_text,
    forecast_text,
    moment,
)
from integrations import Http, Reply
from integrations.errors import InvalidArguments, UpstreamBadResponse, UpstreamRejected
from integrations.findings import finding, sentence

TITLE: Literal["Open-Meteo"] = "Open-Meteo"
STEP = 3 * 3600  # seconds, on the full hours of UTC as at OpenWeatherMap
KELVIN = 273.15  # at 0 °C
MM_OF_WATER = 10 / 7  # in a centimetre of snow, by which Open-Meteo counts it

# Code table 4677 of the WMO, as far as Open-Meteo uses it.
WEATHER: dict[int | None, str] = {
    0: "clear sky", 1: "mainly clear", 2: "partly cloudy", 3: "overcast",
    45: "fog", 48: "depositing rime fog",
    51: "light drizzle", 53: "moderate drizzle", 55: "dense drizzle",
    56: "light freezing drizzle", 57: "dense freezing drizzle",
    61: "light rain", 63: "moderate rain", 65: "heavy rain",
    66: "light freezing rain", 67: "heavy freezing rain",
    71: "light snow", 73: "moderate snow", 75: "heavy snow", 77: "snow grains",
    80: "light rain showers", 81: "moderate rain showers", 82: "violent rain showers",
    85: "light snow showers", 86: "heavy snow showers",
    95: "thunderstorm", 96: "thunderstorm with light hail", 99: "thunderstorm with heavy hail",
}  # fmt: skip


class Values(BaseModel):
    """The weather at one moment, in the units asked for but for Kelvin, which Open-Meteo does not have."""

    time: int = Field(ge=0, le=LAST_MOMENT)
    temperature_2m: float
    apparent_temperature: float | None = None
    relative_humidity_2m: Number | None = None
    pressure_msl: Number | None = None
    cloud_cover: Number | None = None
    wind_speed_10m: Number | None = None
    wind_direction_10m: Number | None = None
    wind_gusts_10m: Number | None = None
    weather_code: int | None = None
    rain: float | None = None
    showers: float | None = None
    snowfall: float | None = None
    precipitation_probability: Number | None = None

    def facts(self, offset: int, units: Units, fallen: list["Values"]) -> dict[str, Any]:
        """Give the fields of Conditions, with the rain and the snow of all that has `fallen`."""
        return {
            "time": moment(self.time, offset),
            "description": WEATHER.get(self.weather_code, "unknown"),
            "temperature": _degrees(self.temperature_2m, units),
            "feels_like": _degrees(self.apparent_temperature, units),
            "humidity": self.relative_humidity_2m,
            "pressure": self.pressure_msl,
            "cloud_cover": self.cloud_cover,
            "wind_speed": self.wind_speed_10m,
            "wind_direction": self.wind_direction_10m,
            "wind_gust": self.wind_gusts_10m,
            "rain": round(sum((each.rain or 0) + (each.showers or 0) for each in fallen), 2),
            "snow": round(sum((each.snowfall or 0) * MM_OF_WATER for each in fallen), 2),
            "precipitation_probability": self.precipitation_probability,
        }


_OF_HOURS = tuple(name for name in Values.model_fields if name != "time")
_OF_NOW = tuple(name for name in _OF_HOURS if name != "precipitation_probability")


class Now(Values):
    """The weather now; `interval` is the seconds in which the rain fell."""

    interval: int = Field(900, ge=60, le=86_400)


class Today(BaseModel):
    """What is known by the day: lists with one item, that of today."""

    temperature_2m_max: list[float | None] = Field(min_length=1)
    temperature_2m_min: list[float | None] = Field(min_length=1)
    sunrise: list[int | None] = Field(min_length=1)
    sunset: list[int | None] = Field(min_length=1)


class CurrentReply(Reply):
    """The weather now."""

    utc_offset_seconds: int = Field(gt=-86_400, lt=86_400)
    current: Now
    daily: Today


class ForecastReply(Reply):
    """The hours come as a list for each variable; they end in hours without a value where the model ends."""

    utc_offset_seconds: int = Field(gt=-86_400, lt=86_400)
    hourly: dict[str, list[float | int | None]]
    _hours: list[Values] = PrivateAttr(default_factory=list)

    @property
    def hours(self) -> list[Values]:
        """Give the values of each hour."""
        return self._hours

    @model_validator(mode="after")
    def _by_hour(self) -> Self:
        names = ("time", *_OF_HOURS)
        rows = zip(*(self.hourly.get(name, []) for name in names), strict=True)
        hours = [dict(zip(names, row, strict=True)) for row in rows]
        self._hours = [Values.model_validate(hour) for hour in hours if hour["temperature_2m"] is not None]
        return self


class Match(BaseModel):
    """A place."""

    name: str
    country_code: str | None = None
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class GeocodingReply(Reply):
    """The places of a name, the best match first."""

    results: list[Match] = Field(default_factory=list)  # left out when nothing is found


def current(args: PlaceArguments, http: Http) -> GetOutput:
    """Ask for the weather now."""
    place = _place(args, http)
    params = {
        **_params(args, place),
        "current": ",".join(_OF_NOW),
        "daily": ",".join(Today.model_fields),
        "forecast_days": 1,
    }
    said = http.at("open_meteo").get("/forecast", params=params, reply=CurrentReply)
    offset, today = said.utc_offset_seconds, said.daily
    rise, fall = today.sunrise[0], today.sunset[0]
    now = Current(
        **said.current.facts(offset, args.units, [said.current]),
        minutes=said.current.interval // 60,
        temperature_min=_degrees(today.temperature_2m_min[0], args.units),
        temperature_max=_degrees(today.temperature_2m_max[0], args.units),
        sunrise=None if rise is None else moment(rise, offset),
        sunset=None if fall is None else moment(fall, offset),
    )
    text = f"{current_text(now, args)}\nSource: {TITLE}"
    return GetOutput(result=text, source=TITLE, place=place, units=args.units, current=now)


def forecast(args: ForecastArguments, http: Http) -> ForecastOutput:
    """Ask for the weather to come. The two hours more complete the rain of the first step."""
    place = _place(args, http)
    params = {**_params(args, place), "hourly": ",".join(_OF_HOURS), "forecast_hours": args.days * 24 + 2}
    said = http.at("open_meteo").get("/forecast", params=params, reply=ForecastReply)
    steps = [
        Conditions(**hour.facts(said.utc_offset_seconds, args.units, said.hours[index - 2 : index + 1]), minutes=180)
        for index, hour in enumerate(said.hours)
        if hour.time % STEP == 0 and index >= 2
    ]
    if not steps:
        raise UpstreamBadResponse(f"{TITLE} gave no forecast for this place.")
    days = by_day(steps)
    text = f"{forecast_text(days, args)}\nSource: {TITLE}"
    return ForecastOutput(result=text, source=TITLE, place=place, units=args.units, days=days, steps=steps)


def _place(args: PlaceArguments, http: Http) -> Place:
    """Find the place. Raise InvalidArguments for a language, which nothing of an answer would be in."""
    if args.language != "en":
        found = [
            finding(["arguments", "language"], "english_only", "Only en without a key; set api_key, or leave it out")
        ]
        raise InvalidArguments(sentence(found), errors=found)
    if args.latitude is not None and args.longitude is not None:
        return Place(name=args.called, latitude=args.latitude, longitude=args.longitude)
    name, country = _split(args)
    params = {"name": name, "countryCode": country, "count": 1, "format": "json"}
    matches = http.at("geocoding").get("/search", params=params, reply=GeocodingReply).results
    if not matches:
        raise UpstreamRejected(f"{TITLE} knows no such place; spell it like London,GB, or give its coordinates.")
    best = matches[0]
    return Place(name=best.name, country=best.country_code, latitude=best.latitude, longitude=best.longitude)


_COUNTRY = re.compile(r"(?P<name>.*\S)\s*,\s*(?P<country>[A-Za-z]{2})\s*", re.DOTALL)


def _split(args: PlaceArguments) -> tuple[str, str | None]:
    """Take the country off, which the geocoding takes by itself; a postal code without one is of the US."""
    parts = _COUNTRY.fullmatch(args.called)
    if parts:
        return parts["name"], parts["country"].upper()
    return args.called.strip(), "US" if args.zip else None


def _params(args: PlaceArguments, place: Place) -> dict[str, Any]:
    imperial = args.units == "imperial"
    return {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "temperature_unit": "fahrenheit" if imperial else "celsius",
        "wind_speed_unit": "mph" if imperial else "ms",
        "timezone": "auto",
        "timeformat": "unixtime",
    }


def _degrees(value: float | None, units: Units) -> Any:
    return round(value + KELVIN, 2) if value is not None and units == "standard" else value
