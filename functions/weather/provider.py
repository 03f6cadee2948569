"""Weather: now, and of the next five days.

With a key the service is OpenWeatherMap's API 2.5, which the original asks: https://openweathermap.org/api. Without
one it is Open-Meteo, which is free for non-commercial use: https://open-meteo.com/en/terms.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field, SecretStr
from pydantic_core import PydanticCustomError

from functions.weather import open_meteo, openweathermap
from functions.weather.report import ForecastArguments, ForecastOutput, GetArguments, GetOutput
from integrations import Http, Provider, Setup


def _printable(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e]{1,200}", key.get_secret_value()):
        raise PydanticCustomError("key", "Only printable ASCII without spaces")
    return key


class WeatherSetup(Setup):
    api_key: Annotated[SecretStr, AfterValidator(_printable)] | None = Field(
        None,
        description="A key of OpenWeatherMap, from https://home.openweathermap.org/api_keys; a new one works after an "
        "hour or two. Without one Open-Meteo is asked.",
        validation_alias=AliasChoices("api_key", "openweathermap_api_key"),
    )


provider = Provider(
    name="weather",
    title="Weather API",
    url="https://openweathermap.org",
    docs="https://openweathermap.org/api",
    category="weather",
    setup=WeatherSetup,
    base_url="https://api.openweathermap.org/data/2.5",
    other_urls={
        "open_meteo": "https://api.open-meteo.com/v1",
        "geocoding": "https://geocoding-api.open-meteo.com/v1",
    },
)


@provider.method(read_only=True)
def get(args: GetArguments, http: Http, setup: WeatherSetup) -> GetOutput:
    """Get the current weather of a place: temperature, wind, humidity, clouds, rain and snow."""
    return openweathermap.current(args, http, setup.api_key) if setup.api_key else open_meteo.current(args, http)


@provider.method(read_only=True)
def forecast(args: ForecastArguments, http: Http, setup: WeatherSetup) -> ForecastOutput:
    """Get the weather of the next days at a place, by the day and in steps of three hours."""
    return openweathermap.forecast(args, http, setup.api_key) if setup.api_key else open_meteo.forecast(args, http)


handler = provider.handler
