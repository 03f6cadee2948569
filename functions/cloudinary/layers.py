"""Layers of a transformation: another medium, a text or subtitles over or under it."""

import re
from typing import Any

from functions.cloudinary.values import Place, base64url, escaped, members, refuse, scalar

_TEXT_VARIABLE = re.compile(r"(\$\([a-zA-Z]\w+\))")
_FETCHED = re.compile(r"(?:(?P<kind>image|video):)?fetch:(?P<url>.*)")
# Of a text layer, in the order in which they are written, with the values that are not.
_KEYWORDS = {"font_weight": "normal", "font_style": "normal", "text_decoration": "none", "text_align": None,
             "stroke": "none"}  # fmt: skip
_SETTINGS = {"letter_spacing": "letter_spacing", "line_spacing": "line_spacing", "font_antialiasing": "antialias",
             "font_hinting": "hinting"}  # fmt: skip
_OF_LAYERS = {"public_id", "format", "resource_type", "type", "url", "text", "text_style", "font_family", "font_size",
              *_KEYWORDS, *_SETTINGS}  # fmt: skip


def layer(value: Any, place: Place) -> str:
    """Write an overlay or underlay: a text as it is, a fetched URL, or an object. Raise InvalidArguments."""
    if isinstance(value, str):
        fetched = _FETCHED.fullmatch(value)
        if not fetched:
            return value
        value = {"url": fetched["url"], "resource_type": fetched["kind"]}
    given = members(value, place, *sorted(_OF_LAYERS))
    for name, item in given.items():
        scalar(item, (*place, name))
    kind = given.get("resource_type", "text" if "text" in given else "image")
    delivery = given.get("type", "fetch" if "url" in given else "upload")
    parts = [kind] if kind != "image" else []
    parts += [delivery] if delivery != "upload" else []
    public_id = ":".join(str(given["public_id"]).split("/")) if "public_id" in given else None
    if public_id and "format" in given:
        public_id = f"{public_id}.{given['format']}"
    if kind in ("text", "subtitles"):
        parts += [_font(given, place), public_id, _text(str(given["text"])) if "text" in given else None]
    else:
        parts.append(base64url(str(given.get("url", ""))) if delivery == "fetch" else public_id)
    if not parts[-1] and not public_id:
        refuse(place, "Has neither a public_id nor a text nor a url")
    return ":".join(str(part) for part in parts if part)


def _font(given: dict[str, Any], place: Place) -> str:
    if style := str(given.get("text_style", "")).strip():
        return style
    words = [str(given[name]) for name, usual in _KEYWORDS.items() if given.get(name, usual) != usual]
    words += [f"{short}_{given[name]}" for name, short in _SETTINGS.items() if name in given]
    if not words and not {"font_family", "font_size"} & given.keys():
        return ""
    if not {"font_family", "font_size"} <= given.keys():
        refuse(place, "A text has a font_family and a font_size, or a text_style")
    return "_".join([str(given["font_family"]).replace(" ", "%20"), str(given["font_size"]), *words])


def _text(text: str) -> str:
    """Escape a text twice where it has a comma or a slash, which would part it otherwise; variables stay."""
    parts = _TEXT_VARIABLE.split(text)
    return "".join(
        part if number % 2 else escaped(part.replace(",", "%2C").replace("/", "%2F"))
        for number, part in enumerate(parts)
    )
