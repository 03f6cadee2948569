"""Transformations as Cloudinary's URLs have them: `c_fill,h_200,w_300/e_sepia`.

Names, short keys and forms are those of https://cloudinary.com/documentation/transformation_reference and of the
vendor's own packages, which task files were written for. What is unknown, or has a character that would end its place
in the URL, is refused by name.
"""

import base64
import re
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import quote

from integrations.errors import InvalidArguments
from integrations.findings import finding, sentence

Place = tuple[str | int, ...]

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

_OPERATORS = {
    "=": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "lte", ">=": "gte", "&&": "and", "||": "or", "*": "mul",
    "/": "div", "+": "add", "-": "sub", "^": "pow",
}  # fmt: skip
_VARIABLES = {
    "aspect_ratio": "ar", "current_page": "cp", "face_count": "fc", "height": "h", "initial_aspect_ratio": "iar",
    "trimmed_aspect_ratio": "tar", "initial_height": "ih", "initial_width": "iw", "page_count": "pc", "page_x": "px",
    "page_y": "py", "width": "w", "duration": "du", "initial_duration": "idu", "illustration_score": "ils",
    "context": "ctx",
}  # fmt: skip
_VARIABLES |= {re.sub(r"_(\w)", lambda match: match[1].upper(), name): short for name, short in _VARIABLES.items()}
# An operator stands before a gap; what begins with $ is a caller's own variable and stays as it is.
_WORD = re.compile(
    rf"(?P<operator>{'|'.join(map(re.escape, sorted(_OPERATORS, key=len, reverse=True)))})(?=[ _])"
    rf"|\$_*[^_ ]+|(?<![$:])(?P<variable>{'|'.join(sorted(_VARIABLES, key=len, reverse=True))})"
)
_OFFSET = re.compile(r"(?P<value>(?:\d+\.)?\d+)(?P<percent>[%pP]?)", re.ASCII)
# What a value may hold: nothing that parts values, components or the parts of a URL.
_VALUE = re.compile(r"(?:[A-Za-z0-9_.:$!|^*()~@;=+-]|%[0-9A-Fa-f]{2})+")
_RAW = re.compile(rf"{_VALUE.pattern}(?:[,/]{_VALUE.pattern})*")
_TEXT_VARIABLE = re.compile(r"(\$\([a-zA-Z]\w+\))")
_FETCHED = re.compile(r"(?:(?P<kind>image|video):)?fetch:(?P<url>.*)")
# Of a text layer, in the order in which they are written, with the values that are not.
_KEYWORDS = {"font_weight": "normal", "font_style": "normal", "text_decoration": "none", "text_align": None,
             "stroke": "none"}  # fmt: skip
_SETTINGS = {"letter_spacing": "letter_spacing", "line_spacing": "line_spacing", "font_antialiasing": "antialias",
             "font_hinting": "hinting"}  # fmt: skip
_OF_LAYERS = {"public_id", "format", "resource_type", "type", "url", "text", "text_style", "font_family", "font_size",
              *_KEYWORDS, *_SETTINGS}  # fmt: skip


def refuse(place: Place, why: str) -> NoReturn:
    """Refuse what an argument holds at this place."""
    found = [finding(["arguments", *place], "option", why)]
    raise InvalidArguments(sentence(found), errors=found)


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
            parts[short] = _checked(text, (*place, name))
    head = [f"if_{_checked(expression(given['if']), (*place, 'if'))}"] if "if" in given else []
    variables = _own_variables(given, place)
    tail = [_raw(given["raw_transformation"], (*place, "raw_transformation"))] if "raw_transformation" in given else []
    ordered = sorted(f"{short}_{text}" for short, text in parts.items() if text)
    return "/".join(filter(None, [*bases, ",".join([*head, *variables, *ordered, *filter(None, tail)])]))


def expression(value: Any) -> str:
    """Write an expression: operators and Cloudinary's variables by their short names. A text in `!` stays."""
    text = str(value)
    if re.fullmatch(r"!.+!", text):
        return text
    translated = _WORD.sub(
        lambda match: (
            _OPERATORS[match["operator"]]
            if match["operator"]
            else _VARIABLES[match["variable"]]
            if match["variable"]
            else match[0]
        ),
        text,
    )
    return re.sub(r"[ _]+", "_", translated)


def escaped(text: str) -> str:
    """Percent-encode a public id as Cloudinary's packages do, which the signature depends on."""
    return quote(text, safe="/:").replace("~", "%7E")


def _checked(text: str, place: Place) -> str:
    if text and not _VALUE.fullmatch(text):
        refuse(place, "Has a character that no option can have; a text goes into overlay, as its text")
    return text


def _raw(value: Any, place: Place) -> str:
    text = _scalar(value, place)
    if text and (not _RAW.fullmatch(text) or {".", ".."} & {*text.split("/")}):
        refuse(place, "Not a transformation as URLs have it, such as c_fill,w_300/e_sepia")
    return text


def _scalar(value: Any, place: Place) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        refuse(place, "Neither a text nor a number")
    return str(value)


def _items(value: Any, place: Place) -> list[str]:
    return [_scalar(item, place) for item in (value if isinstance(value, list) else [value])]


def _members(value: Any, place: Place, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value.keys() <= {*names}:
        refuse(place, f"Not an object of {', '.join(names)}")
    return {name: item for name, item in value.items() if item is not None}


def _bases(value: Any, place: Place) -> tuple[list[str], dict[str, str]]:
    """Give the transformations that another is based on, and where they are but named, that part."""
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, dict) for item in items):
        each = [item if isinstance(item, dict) else {"transformation": item} for item in items]
        return [component(item, (*place, number)) for number, item in enumerate(each)], {}
    names = [_checked(_scalar(item, place), place) for item in items]
    return [], {"t": ".".join(names)} if names else {}


def _sides(value: Any, place: Place) -> dict[str, str]:
    if value is None:
        return {}
    width, x, height = _scalar(value, place).partition("x")
    if not (width and x and height):
        refuse(place, "Not a width and a height, such as 300x200")
    return {"width": width, "height": height}


def _ends(value: Any, place: Place) -> dict[str, str]:
    if value is None:
        return {}
    ends = value.split("..") if isinstance(value, str) else value
    if not isinstance(ends, list) or len(ends) != 2:
        refuse(place, "Not a start and an end, such as 2.5..8")
    return {"start_offset": _scalar(ends[0], place), "end_offset": _scalar(ends[1], place)}


def _own_variables(given: dict[str, Any], place: Place) -> list[str]:
    pairs = given.get("variables", [])
    if not isinstance(pairs, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        refuse((*place, "variables"), "Not a list of pairs of a name and a value")
    own = sorted((name, value) for name, value in given.items() if name.startswith("$"))
    named = [*own, *((_scalar(pair[0], (*place, "variables")), pair[1]) for pair in pairs)]
    return [_checked(f"{name}_{expression(_scalar(value, (*place, name)))}", (*place, name)) for name, value in named]


def _offset(value: Any, place: Place) -> str:
    found = _OFFSET.fullmatch(text := _scalar(value, place))
    return expression(text) if found is None else found["value"] + ("p" if found["percent"] else "")


def _border(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        return _scalar(value, place)
    border = _members(value, place, "width", "color")
    return f"{border.get('width', 2)}px_solid_{str(border.get('color', 'black')).replace('#', 'rgb:')}"


def _codec(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        return _scalar(value, place)
    codec = _members(value, place, "codec", "profile", "level", "b_frames")
    parts = [str(codec[name]) for name in ("codec", "profile", "level") if name in codec]
    return ":".join([*parts, *(["bframes_no"] if codec.get("b_frames") is False else [])])


def _function(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        return _scalar(value, place)
    function = _members(value, place, "function_type", "source")
    kind, source = str(function.get("function_type", "")), str(function.get("source", ""))
    return f"{kind}:{_base64url(source) if kind == 'remote' else source}"


def _pairs(value: Any, place: Place) -> list[str]:
    """Give the items of an option's list, which may be an object of one pair."""
    if isinstance(value, dict) and len(value) == 1:
        return _items([*value, *value.values()], place)
    return _items(value, place)


def _base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _layer(value: Any, place: Place) -> str:
    if isinstance(value, str):
        fetched = _FETCHED.fullmatch(value)
        if not fetched:
            return value
        value = {"url": fetched["url"], "resource_type": fetched["kind"]}
    layer = _members(value, place, *sorted(_OF_LAYERS))
    for name, item in layer.items():
        _scalar(item, (*place, name))
    kind = layer.get("resource_type", "text" if "text" in layer else "image")
    delivery = layer.get("type", "fetch" if "url" in layer else "upload")
    parts = [kind] if kind != "image" else []
    parts += [delivery] if delivery != "upload" else []
    public_id = ":".join(str(layer["public_id"]).split("/")) if "public_id" in layer else None
    if public_id and "format" in layer:
        public_id = f"{public_id}.{layer['format']}"
    if kind in ("text", "subtitles"):
        parts += [_font(layer, place), public_id, _text(str(layer["text"])) if "text" in layer else None]
    else:
        parts.append(_base64url(str(layer.get("url", ""))) if delivery == "fetch" else public_id)
    if not parts[-1] and not public_id:
        refuse(place, "Has neither a public_id nor a text nor a url")
    return ":".join(str(part) for part in parts if part)


def _font(layer: dict[str, Any], place: Place) -> str:
    if style := str(layer.get("text_style", "")).strip():
        return style
    words = [str(layer[name]) for name, usual in _KEYWORDS.items() if layer.get(name, usual) != usual]
    words += [f"{short}_{layer[name]}" for name, short in _SETTINGS.items() if name in layer]
    if not words and not {"font_family", "font_size"} & layer.keys():
        return ""
    if not {"font_family", "font_size"} <= layer.keys():
        refuse(place, "A text has a font_family and a font_size, or a text_style")
    return "_".join([str(layer["font_family"]).replace(" ", "%20"), str(layer["font_size"]), *words])


def _text(text: str) -> str:
    """Escape a text twice where it has a comma or a slash, which would part it otherwise; variables stay."""
    parts = _TEXT_VARIABLE.split(text)
    return "".join(
        part if number % 2 else escaped(part.replace(",", "%2C").replace("/", "%2F"))
        for number, part in enumerate(parts)
    )


_Writer = Callable[[str, Any, Place], tuple[str, str]]


def _keyframes(value: Any, place: Place) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        refuse(place, "Not a number of seconds above 0")
    return str(float(value))


def _fps(value: Any, place: Place) -> str:
    if isinstance(value, list):
        return "-".join(map(expression, _items(value, place)))
    return _scalar(value, place)


_WRITERS: dict[str, _Writer] = {
    **dict.fromkeys(_PLAIN, lambda name, value, place: (_PLAIN[name], _scalar(value, place))),
    **dict.fromkeys(_EXPRESSIONS, lambda name, value, place: (_EXPRESSIONS[name], expression(_scalar(value, place)))),
    **dict.fromkeys(
        _LISTS,
        lambda name, value, place: (_LISTS[name][0], expression(_LISTS[name][1].join(_pairs(value, place)))),
    ),
    **dict.fromkeys(_COLORS, lambda name, value, place: (_COLORS[name], _scalar(value, place).replace("#", "rgb:"))),
    **dict.fromkeys(_OFFSETS, lambda name, value, place: (_OFFSETS[name], _offset(value, place))),
    **dict.fromkeys(_LAYERS, lambda name, value, place: (_LAYERS[name], _layer(value, place))),
    "border": lambda _, value, place: ("bo", _border(value, place)),
    "custom_function": lambda _, value, place: ("fn", _function(value, place)),
    "custom_pre_function": lambda _, value, place: ("fn", f"pre:{_function(value, place)}"),
    "flags": lambda _, value, place: ("fl", ".".join(_items(value, place))),
    "fps": lambda _, value, place: ("fps", _fps(value, place)),
    "keyframe_interval": lambda _, value, place: ("ki", _keyframes(value, place)),
    "radius": lambda _, value, place: ("r", ":".join(map(expression, _items(value, place)))),
    "video_codec": lambda _, value, place: ("vc", _codec(value, place)),
}
