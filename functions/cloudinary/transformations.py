"""Transformations as Cloudinary's URLs have them: `c_fill,h_200,w_300/e_sepia`.

Names, short keys and forms are those of https://cloudinary.com/documentation/transformation_reference and of the
vendor's own packages, which task files were written for. What is unknown, or has a character that would end its place
in the URL, is refused by name.
"""

import re
from collections.abc import Callable
from typing import Any

from functions.cloudinary.layers import layer
from functions.cloudinary.values import Place, base64url, checked, expression, items, members, raw, refuse, scalar

# Options that are written as they are given.
_PLAIN = {
    "audio_codec": "ac", "audio_frequency": "af", "bit_rate": "br", "color_space": "cs", "crop": "c",
    "default_image": "d", "delay": "dl", "density": "dn", "fetch_format": "f", "gravity": "g", "prefix": "p",
    "page": "pg", "streaming_profile": "sp", "video_sampling": "vs",
}  # fmt: skip
# Options whose value may be an expression: `initial_width / 2`.
_EXPRESSIONS = {
    "aspect_ratio": "ar", "dpr": "dpr", "height": "h", "opacity": "o", "quality": "q", "width": "w", "x": "x",
    "y": "y", "zoom": "z",
}  # fmt: skip
_LISTS = {"angle": ("a", "."), "effect": ("e", ":")}
_COLORS = {"background": "b", "color": "co"}
_OFFSETS = {"duration": "du", "end_offset": "eo", "start_offset": "so"}
_LAYERS = {"overlay": "l", "underlay": "u"}
_OTHERS = {
    "border", "custom_function", "custom_pre_function", "flags", "fps", "if", "keyframe_interval", "offset",
    "radius", "raw_transformation", "size", "transformation", "variables", "video_codec",
}  # fmt: skip
NAMES = frozenset({*_PLAIN, *_EXPRESSIONS, *_LISTS, *_COLORS, *_OFFSETS, *_LAYERS, *_OTHERS})

_OFFSET = re.compile(r"(?P<value>(?:\d+\.)?\d+)(?P<percent>[%pP]?)", re.ASCII)


def chained(transformations: list[dict[str, Any]], *place: str | int) -> str:
    """Write transformations one after another. Raise InvalidArguments, which names the option."""
    written = (component(options, (*place, number)) for number, options in enumerate(transformations))
    return "/".join(filter(None, written))


def component(options: dict[str, Any], place: Place) -> str:
    """Write one transformation, behind those that it is based on. Raise InvalidArguments."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in NAMES and not re.fullmatch(r"\$[A-Za-z]\w*", name):
            refuse((*place, name), "No option of a transformation; see the transformation reference")
    bases, named = _bases(given.pop("transformation", []), (*place, "transformation"))
    given |= _sides(given.pop("size", None), (*place, "size"))
    given |= _ends(given.pop("offset", None), (*place, "offset"))
    parts = dict(named)
    for name, value in given.items():
        if write := _WRITERS.get(name):
            short, text = write(name, value, (*place, name))
            parts[short] = checked(text, (*place, name))
    head = [f"if_{checked(expression(given['if']), (*place, 'if'))}"] if "if" in given else []
    variables = _own_variables(given, place)
    tail = [raw(given["raw_transformation"], (*place, "raw_transformation"))] if "raw_transformation" in given else []
    ordered = sorted(f"{short}_{text}" for short, text in parts.items() if text)
    return "/".join(filter(None, [*bases, ",".join([*head, *variables, *ordered, *filter(None, tail)])]))


def _bases(value: Any, place: Place) -> tuple[list[str], dict[str, str]]:
    """Give the transformations that another is based on, and where they are but named, that part."""
    bases = value if isinstance(value, list) else [value]
    if any(isinstance(item, dict) for item in bases):
        each = [item if isinstance(item, dict) else {"transformation": item} for item in bases]
        return [component(item, (*place, number)) for number, item in enumerate(each)], {}
    names = [checked(scalar(item, place), place) for item in bases]
    return [], {"t": ".".join(names)} if names else {}


def _sides(value: Any, place: Place) -> dict[str, str]:
    if value is None:
        return {}
    width, x, height = scalar(value, place).partition("x")
    if not (width and x and height):
        refuse(place, "Not a width and a height, such as 300x200")
    return {"width": width, "height": height}


def _ends(value: Any, place: Place) -> dict[str, str]:
    if value is None:
        return {}
    ends = value.split("..") if isinstance(value, str) else value
    if not isinstance(ends, list) or len(ends) != 2:
        refuse(place, "Not a start and an end, such as 2.5..8")
    return {"start_offset": scalar(ends[0], place), "end_offset": scalar(ends[1], place)}


def _own_variables(given: dict[str, Any], place: Place) -> list[str]:
    pairs = given.get("variables", [])
    if not isinstance(pairs, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        refuse((*place, "variables"), "Not a list of pairs of a name and a value")
    own = sorted((name, value) for name, value in given.items() if name.startswith("$"))
    named = [*own, *((scalar(pair[0], (*place, "variables")), pair[1]) for pair in pairs)]
    return [checked(f"{name}_{expression(scalar(value, (*place, name)))}", (*place, name)) for name, value in named]


def _offset(value: Any, place: Place) -> str:
    found = _OFFSET.fullmatch(text := scalar(value, place))
    return expression(text) if found is None else found["value"] + ("p" if found["percent"] else "")


def _border(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        return scalar(value, place)
    border = members(value, place, "width", "color")
    return f"{border.get('width', 2)}px_solid_{str(border.get('color', 'black')).replace('#', 'rgb:')}"


def _codec(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        return scalar(value, place)
    codec = members(value, place, "codec", "profile", "level", "b_frames")
    parts = [str(codec[name]) for name in ("codec", "profile", "level") if name in codec]
    return ":".join([*parts, *(["bframes_no"] if codec.get("b_frames") is False else [])])


def _function(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        return scalar(value, place)
    function = members(value, place, "function_type", "source")
    kind, source = str(function.get("function_type", "")), str(function.get("source", ""))
    return f"{kind}:{base64url(source) if kind == 'remote' else source}"


def _pairs(value: Any, place: Place) -> list[str]:
    """Give the items of an option's list, which may be an object of one pair."""
    if isinstance(value, dict) and len(value) == 1:
        return items([*value, *value.values()], place)
    return items(value, place)


_Writer = Callable[[str, Any, Place], tuple[str, str]]


def _keyframes(value: Any, place: Place) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        refuse(place, "Not a number of seconds above 0")
    return str(float(value))


def _fps(value: Any, place: Place) -> str:
    if isinstance(value, list):
        return "-".join(map(expression, items(value, place)))
    return scalar(value, place)


_WRITERS: dict[str, _Writer] = {
    **dict.fromkeys(_PLAIN, lambda name, value, place: (_PLAIN[name], scalar(value, place))),
    **dict.fromkeys(_EXPRESSIONS, lambda name, value, place: (_EXPRESSIONS[name], expression(scalar(value, place)))),
    **dict.fromkeys(
        _LISTS,
        lambda name, value, place: (_LISTS[name][0], expression(_LISTS[name][1].join(_pairs(value, place)))),
    ),
    **dict.fromkeys(_COLORS, lambda name, value, place: (_COLORS[name], scalar(value, place).replace("#", "rgb:"))),
    **dict.fromkeys(_OFFSETS, lambda name, value, place: (_OFFSETS[name], _offset(value, place))),
    **dict.fromkeys(_LAYERS, lambda name, value, place: (_LAYERS[name], layer(value, place))),
    "border": lambda _, value, place: ("bo", _border(value, place)),
    "custom_function": lambda _, value, place: ("fn", _function(value, place)),
    "custom_pre_function": lambda _, value, place: ("fn", f"pre:{_function(value, place)}"),
    "flags": lambda _, value, place: ("fl", ".".join(items(value, place))),
    "fps": lambda _, value, place: ("fps", _fps(value, place)),
    "keyframe_interval": lambda _, value, place: ("ki", _keyframes(value, place)),
    "radius": lambda _, value, place: ("r", ":".join(map(expression, items(value, place)))),
    "video_codec": lambda _, value, place: ("vc", _codec(value, place)),
}
