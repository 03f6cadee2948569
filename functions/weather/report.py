"""What is asked about the weather and what is told, whichever service knows it: arguments, outputs, texts."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from integrations import Arguments, Output

Units = Literal["metric", "imperial", "standard"]
Number = int | float  # as it came: a text shows 5 as 5, and 5.0 as 5.0

LAST_MOMENT = 253_402_000_000  # seconds since 1970, in the year 9999: the last that a date can be made of
DEGREES: dict[Units, str] = {"metric": "°C", "imperial": "°F", "standard": " K"}
SPEEDS: dict[Units, str] = {"metric": "m/s", "imperial": "miles/h", "standard": "m/s"}


class PlaceArguments(Arguments):
    """What both methods take: one place, and how to speak of it."""

    location: str | None = Field(
        None,
        description="The place by its name, best with its country in two letters of ISO 3166: London,GB. "
        "Leave it out when zip or latitude and longitude are given.",
        min_length=1,
        max_length=200,
        pattern=r"\S",
    )
    zip: str | None = Field(
        None,
        description="The place by its postal code, with its country unless that is the US: 94040 or 10115,DE.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 -]{1,11}(,[A-Za-z]{2})?$",
    )
    latitude: float | None = Field(None, description="The place's degrees north, with longitude.", ge=-90, le=90)
    longitude: float | None = Field(None, description="The place's degrees east, with latitude.", ge=-180, le=180)
    units: Units = Field(
        "metric",
        description="metric (Celsius, m/s), imperial (Fahrenheit, miles/h) or standard (Kelvin, m/s). "
        "Rain and snow are in mm.",
    )
    language: str = Field(
        "en",
        description="The language of the descriptions by OpenWeatherMap's codes: en, de, pt_br, zh_cn. Without a key "
        "they are in English only.",
        pattern=r"^[a-z]{2}([_-][a-z]{2})?$",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise PydanticCustomError("missing", "latitude and longitude go together: give both or neither")
        if [self.location, self.zip, self.latitude].count(None) != 2:
            raise PydanticCustomError("place", "Give one place: location, zip, or latitude and longitude")
        return self

    @property
    def called(self) -> str:
        """Give the place as the caller names it."""
        return self.location or self.zip or f"{self.latitude}, {self.longitude}"


class GetArguments(PlaceArguments):
    """What get takes."""


class ForecastArguments(PlaceArguments):
    """What forecast takes."""

    days: int = Field(3, description="How many days ahead, eight steps of three hours each.", ge=1, le=5)


class Place(BaseModel):
    """The place that was found."""

    name: str = Field(description="The name of the place that was found.")
    country: str | None = Field(None, description="Its country in two letters of ISO 3166.")
    latitude: float = Field(description="Degrees north.")
    longitude: float = Field(description="Degrees east.")


class Conditions(BaseModel):
    """The weather at one moment."""

    time: str = Field(description="The moment in ISO 8601, in the place's own time.")
    description: str = Field(description="The weather in words.")
    temperature: float = Field(description="In the units asked for, as all temperatures.")
    feels_like: float | None = Field(None, description="The temperature that it feels like.")
    temperature_min: float | None = Field(None, description="The lowest temperature.")
    temperature_max: float | None = Field(None, description="The highest temperature.")
    humidity: Number | None = Field(None, description="Relative humidity in percent.")
    pressure: Number | None = Field(None, description="Air pressure at sea level in hPa.")
    cloud_cover: Number | None = Field(None, description="How much of the sky is covered, in percent.")
    visibility: Number | None = Field(None, description="In metres.")
    wind_speed: Number | None = Field(None, description="In the units asked for, as all speeds.")
    wind_direction: Number | None = Field(None, description="Where the wind comes from, in degrees from north.")
    wind_gust: Number | None = Field(None, description="The speed of gusts.")
    rain: Number = Field(0, description="Rain in the last minutes, in mm.")
    snow: Number = Field(0, description="Snow in the last minutes, in mm of water.")
    minutes: int = Field(60, description="In how many minutes the rain and the snow fell.")
    precipitation_probability: Number | None = Field(None, description="In percent.")


class Current(Conditions):
    """The weather now."""

    sunrise: str | None = Field(None, description="In ISO 8601, in the place's own time.")
    sunset: str | None = Field(None, description="In ISO 8601, in the place's own time.")


class Day(BaseModel):
    """The weather of one day."""

    date: str = Field(description="The date, in the place's own time.")
    description: str = Field(description="The weather of most of its steps.")
    temperature_min: float = Field(description="The lowest temperature.")
    temperature_max: float = Field(description="The highest temperature.")
    wind_speed: Number | None = Field(description="The highest speed of the wind.")
    rain: Number = Field(description="Rain in all its steps, in mm.")
    snow: Number = Field(description="Snow in all its steps, in mm of water.")


class Told(Output):
    """What both methods give."""

    result: str = Field(description="The weather as a text.")
    source: Literal["OpenWeatherMap", "Open-Meteo"] = Field(description="Which service told it.")
    place: Place
    units: Units = Field(description="The units of temperatures and speeds.")


class GetOutput(Told):
    """What get gives."""

    current: Current


class ForecastOutput(Told):
    """What forecast gives."""

    days: list[Day] = Field(description="A summary of each day; the first and the last are not whole.")
    steps: list[Conditions] = Field(description="The weather every three hours.")


def moment(seconds: int, offset: int) -> str:
    """Give a moment since 1970 in ISO 8601, at a place whose time is `offset` seconds ahead of UTC."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(timezone(timedelta(seconds=offset))).isoformat()


def current_text(now: Current, args: PlaceArguments) -> str:
    """Say the weather in the lines of the original, of which one never had a value."""
    degrees, direction = DEGREES[args.units], ""
    if now.wind_direction is not None:
        direction = f", direction: {now.wind_direction}°"
    period = f"{now.minutes // 60}h" if now.minutes >= 60 else f"{now.minutes}min"
    rain = {period: now.rain} if now.rain else {}
    return (
        f"In {args.called}, the current weather is as follows:\n"
        f"Detailed status: {now.description}\n"
        f"Wind speed: {_or_unknown(now.wind_speed, f' {SPEEDS[args.units]}')}{direction}\n"
        f"Humidity: {_or_unknown(now.humidity, '%')}\n"
        "Temperature: \n"
        f"  - Current: {now.temperature}{degrees}\n"
        f"  - High: {_or_unknown(now.temperature_max, degrees)}\n"
        f"  - Low: {_or_unknown(now.temperature_min, degrees)}\n"
        f"  - Feels like: {_or_unknown(now.feels_like, degrees)}\n"
        f"Rain: {rain}\n"
        "Heat index: None\n"
        f"Cloud cover: {_or_unknown(now.cloud_cover, '%')}"
    )


def forecast_text(days: Iterable[Day], args: PlaceArguments) -> str:
    """Say the weather to come in a line a day."""
    lines = [f"In {args.called}, the weather will be as follows:"]
    for day in days:
        facts = [day.description, f"{day.temperature_min} to {day.temperature_max}{DEGREES[args.units]}"]
        if day.wind_speed is not None:
            facts.append(f"wind up to {day.wind_speed} {SPEEDS[args.units]}")
        facts += [f"{name} {amount} mm" for name, amount in (("rain", day.rain), ("snow", day.snow)) if amount]
        lines.append(f"{day.date}: {', '.join(facts)}")
    return "\n".join(lines)


def by_day(steps: Iterable[Conditions]) -> list[Day]:
    """Sum up steps, which are in order, by the date of each."""
    return [_day(date, list(of_day)) for date, of_day in groupby(steps, lambda step: step.time[:10])]


def _day(date: str, steps: list[Conditions]) -> Day:
    lows = [step.temperature if step.temperature_min is None else step.temperature_min for step in steps]
    highs = [step.temperature if step.temperature_max is None else step.temperature_max for step in steps]
    return Day(
        date=date,
        description=Counter(step.description for step in steps).most_common(1)[0][0],
        temperature_min=min(lows),
        temperature_max=max(highs),
        wind_speed=max((step.wind_speed for step in steps if step.wind_speed is not None), default=None),
        rain=round(sum(step.rain for step in steps), 2),
        snow=round(sum(step.snow for step in steps), 2),
    )


def _or_unknown(value: Number | None, unit: str) -> str:
    return "unknown" if value is None else f"{value}{unit}"
