"""OpenWeatherMap: what it is asked and how its answers read.

These are its current weather (https://openweathermap.org/current) and its forecast of five days in steps of three
hours (https://openweathermap.org/forecast5).
"""

from typing import Any

from pydantic import BaseModel, Field, SecretStr

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
    by_day,
    current_text,
    forecast_text,
    moment,
)
from integrations import Http, IntegrationError, Reply
from integrations.errors import UpstreamRejected


class Status(BaseModel):
    """The weather in words."""

    description: str


class Main(BaseModel):
    """Temperatures, humidity and pressure."""

    temp: float
    feels_like: float | None = None
    temp_min: float | None = None
    temp_max: float | None = None
    humidity: Number | None = None
    pressure: Number | None = None


class Wind(BaseModel):
    """Speed, and degrees from north, which are left out when there is hardly any."""

    speed: Number | None = None
    deg: Number | None = None
    gust: Number | None = None


class Clouds(BaseModel):
    """How much of the sky is covered."""

    all: Number | None = None


class Step(BaseModel):
    """The weather at one moment. `rain` and `snow` are by the hours in which they fell: 1h or 3h."""

    dt: int = Field(ge=0, le=LAST_MOMENT)
    weather: list[Status] = Field(min_length=1)
    main: Main
    wind: Wind = Wind()
    clouds: Clouds = Clouds()
    visibility: Number | None = None
    rain: dict[str, Number] = Field(default_factory=dict)
    snow: dict[str, Number] = Field(default_factory=dict)
    pop: float | None = None

    def facts(self, offset: int) -> dict[str, Any]:
        """Give the fields of Conditions, at a place whose time is `offset` seconds ahead of UTC."""
        hours = "3h" if "3h" in {**self.rain, **self.snow} else "1h"
        return {
            "time": moment(self.dt, offset),
            "description": self.weather[0].description,
            "temperature": self.main.temp,
            "feels_like": self.main.feels_like,
            "temperature_min": self.main.temp_min,
            "temperature_max": self.main.temp_max,
            "humidity": self.main.humidity,
            "pressure": self.main.pressure,
            "cloud_cover": self.clouds.all,
            "visibility": self.visibility,
            "wind_speed": self.wind.speed,
            "wind_direction": self.wind.deg,
            "wind_gust": self.wind.gust,
            "rain": self.rain.get(hours, 0),
            "snow": self.snow.get(hours, 0),
            "minutes": 180 if hours == "3h" else 60,
            "precipitation_probability": None if self.pop is None else round(self.pop * 100),
        }


class Coordinates(BaseModel):
    """Degrees north and east."""

    lat: float
    lon: float


class Sun(BaseModel):
    """When it rises and sets, and the country, which comes with it."""

    country: str | None = None
    sunrise: int | None = Field(None, ge=0, le=LAST_MOMENT)
    sunset: int | None = Field(None, ge=0, le=LAST_MOMENT)


class Refusal(Reply):
    """The body of an error."""

    cod: int | str  # a number with some refusals and a text with others

    def failure(self) -> IntegrationError | None:
        """Tell a place that is not known from an address that is not there."""
        if str(self.cod) != "404":
            return None
        return UpstreamRejected("OpenWeatherMap knows no such place; spell it like London,GB, or give its coordinates.")


class CurrentReply(Step, Reply):
    """The weather now."""

    refusal = Refusal

    coord: Coordinates
    sys: Sun = Sun()
    timezone: int = Field(0, gt=-86_400, lt=86_400)
    name: str = ""


class City(BaseModel):
    """The place of a forecast."""

    name: str = ""
    country: str | None = None
    coord: Coordinates
    timezone: int = Field(0, gt=-86_400, lt=86_400)


class ForecastReply(Reply):
    """The weather to come."""

    refusal = Refusal

    items: list[Step] = Field(min_length=1, alias="list")
    city: City


def current(args: PlaceArguments, http: Http, key: SecretStr) -> GetOutput:
    """Ask for the weather now."""
    said = http.get("/weather", params=_params(args, key), reply=CurrentReply)
    sun = said.sys
    now = Current(
        **said.facts(said.timezone),
        sunrise=None if sun.sunrise is None else moment(sun.sunrise, said.timezone),
        sunset=None if sun.sunset is None else moment(sun.sunset, said.timezone),
    )
    return GetOutput(
        result=current_text(now, args),
        source="OpenWeatherMap",
        place=_place(said.name, sun.country, said.coord),
        units=args.units,
        current=now,
    )


def forecast(args: ForecastArguments, http: Http, key: SecretStr) -> ForecastOutput:
    """Ask for the weather to come."""
    said = http.get("/forecast", params={**_params(args, key), "cnt": args.days * 8}, reply=ForecastReply)
    city = said.city
    steps = [Conditions(**{**step.facts(city.timezone), "minutes": 180}) for step in said.items]
    days = by_day(steps)
    return ForecastOutput(
        result=forecast_text(days, args),
        source="OpenWeatherMap",
        place=_place(city.name, city.country, city.coord),
        units=args.units,
        days=days,
        steps=steps,
    )


def _params(args: PlaceArguments, key: SecretStr) -> dict[str, Any]:
    return {
        "q": args.location,
        "zip": args.zip,
        "lat": args.latitude,
        "lon": args.longitude,
        "units": args.units,
        "lang": args.language.replace("-", "_"),
        "appid": key,
    }


def _place(name: str, country: str | None, coordinates: Coordinates) -> Place:
    return Place(name=name, country=country, latitude=coordinates.lat, longitude=coordinates.lon)
