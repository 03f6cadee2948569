"""LlamaParse's options, as task files and setups give them, in terms of API v2.

What is gone is refused by name, unless its value asks for nothing.
"""

import re
from collections.abc import Callable
from typing import Any, Literal, NoReturn

from pydantic import Field, ValidationError

from functions.llama_parse.names import (
    ALWAYS,
    CHARTS,
    GONE,
    MODES,
    MOVED,
    OBJECTS,
    PROMPTS,
    READ,
    TABLES,
    TIERS,
    V2,
    WORDS,
)
from integrations import Arguments, IntegrationError
from integrations.errors import InvalidArguments, InvalidSetup
from integrations.findings import finding, of_validation, sentence

Form = Literal["text", "markdown"]
Refuse = Callable[[str, str], NoReturn]


class Handling(Arguments):
    """The options that are not sent as part of the configuration: what is asked for, and how long."""

    result_type: Form = "text"
    split_by_page: bool = True
    page_separator: str = Field("\n---\n", max_length=1000)
    check_interval: float = Field(1.0, ge=0.1, le=60)
    max_timeout: float = Field(2000, gt=0, le=86_400)
    project_id: str | None = Field(None, max_length=100)
    organization_id: str | None = Field(None, max_length=100)
    ignore_errors: Literal[False] = False
    num_workers: int = Field(4, ge=1, le=19)
    verbose: bool = False
    show_progress: bool = False

    @property
    def scope(self) -> dict[str, Any]:
        """Give the parameters that say whose job it is."""
        return {"project_id": self.project_id, "organization_id": self.organization_id}


def read(of_setup: dict[str, Any], of_call: dict[str, Any]) -> tuple[Handling, dict[str, Any]]:
    """Give what is asked for and the configuration; the options of the call win over those of the setup.

    Raise InvalidSetup or InvalidArguments, which name the option, for one that is gone, unknown or does not fit.
    """
    _read(of_setup, "setup", InvalidSetup)
    _read(of_call, "arguments", InvalidArguments)
    # A tier of the call takes the place of one of the setup, whichever way either is said.
    tier = TIERS if any(of_call.get(name) for name in TIERS) else frozenset()
    kept = {name: value for name, value in of_setup.items() if name not in tier}
    return _read({**kept, **of_call}, "arguments", InvalidArguments)


def _read(params: dict[str, Any], where: str, error: type[IntegrationError]) -> tuple[Handling, dict[str, Any]]:
    def refuse(name: str, why: str) -> NoReturn:
        found = [finding([where, "params", name], "option", why)]
        raise error(sentence(found), errors=found)

    given = {name: value for name, value in params.items() if value is not None}
    try:
        handling = Handling.model_validate({name: given.pop(name) for name in Handling.model_fields if name in given})
    except ValidationError as invalid:
        found = of_validation(invalid, where, "params")
        raise error(sentence(found), errors=found) from None
    return handling, _configuration(given, refuse)


def _configuration(asked: dict[str, Any], refuse: Refuse) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in asked.items():
        if name in OBJECTS and not isinstance(value, dict):
            refuse(name, "Not an object")
        if name in WORDS and not isinstance(value, str):
            refuse(name, "Not a text")
        if name in V2:
            _merge(made, {name: value})
        elif name in MOVED:
            put(made, MOVED[name], value)
        elif name in GONE and value:
            refuse(name, f"{name} is gone: {GONE[name]}")
        elif name not in GONE and name not in READ and name not in ALWAYS:
            refuse(name, "LlamaParse has no such option")
    for more in (_tier, _pages, _others):
        more(asked, made, refuse)
    return made


def _tier(asked: dict[str, Any], made: dict[str, Any], refuse: Refuse) -> None:
    tiers = {name: tier for name, tier in (("fast_mode", "fast"), ("premium_mode", "agentic_plus")) if asked.get(name)}
    if mode := asked.get("parse_mode"):
        tiers["parse_mode"] = MODES.get(str(mode)) or refuse("parse_mode", "Has not become a tier; choose one")
    if len({*tiers.values(), made.get("tier", next(iter(tiers.values()), None))}) > 1:
        refuse(next(iter(tiers)), "Says another tier than the rest; give tier alone")
    if tiers:
        made["tier"] = next(iter(tiers.values()))


def _pages(asked: dict[str, Any], made: dict[str, Any], refuse: Refuse) -> None:
    """Read the pages: v1 counts them from 0, and means all of them by none or by a maximum of 0."""
    if pages := asked.get("target_pages"):
        dense = re.sub(r"\s", "", str(pages))
        if not re.fullmatch(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*", dense, re.ASCII):
            refuse("target_pages", "Not pages counted from 0, such as 0,2-4")
        put(made, "page_ranges.target_pages", re.sub(r"\d+", lambda page: str(int(page[0]) + 1), dense))
    if most := asked.get("max_pages"):
        put(made, "page_ranges.max_pages", most)


def _others(asked: dict[str, Any], made: dict[str, Any], refuse: Refuse) -> None:
    if language := asked.get("language"):
        languages = language if isinstance(language, list) else re.split(r"[,\s]+", str(language).strip())
        put(made, "processing_options.ocr_parameters.languages", languages)
    if prompts := [str(asked[name]) for name in PROMPTS if asked.get(name)]:
        put(made, "agentic_options.custom_prompt", "\n\n".join(prompts))
    if asked.get("invalidate_cache") or asked.get("do_not_cache"):
        made["disable_cache"] = True
    heuristics = [asked[name] for name in ("outlined_table_extraction", "adaptive_long_table") if name in asked]
    if heuristics:
        put(made, "processing_options.disable_heuristics", not any(heuristics))
    if "output_tables_as_HTML" in asked:
        put(made, TABLES + "output_tables_as_markdown", not asked["output_tables_as_HTML"])
    charts = [mode for name, mode in CHARTS.items() if asked.get(name)]
    if len(charts) > 1:
        refuse(next(name for name in CHARTS if asked.get(name)), "Only one kind of chart parsing at a time")
    if charts:
        put(made, "processing_options.specialized_chart_parsing", charts[0])
    images = [
        kind for name, kind in (("save_images", "embedded"), ("take_screenshot", "screenshot")) if asked.get(name)
    ]
    if images or asked.get("save_images") is False:
        put(made, "output_options.images_to_save", images)


def put(made: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a dotted path, creating the objects on the way."""
    for name in reversed(path.split(".")):
        value = {name: value}
    _merge(made, value)


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        elif isinstance(value, dict):
            into[name] = {}
            _merge(into[name], value)
        else:
            into[name] = value
