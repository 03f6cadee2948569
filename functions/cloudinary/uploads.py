"""The parameters of an upload as Cloudinary's form has them, and the signature over them.

The names are those of https://cloudinary.com/documentation/image_upload_api_reference#upload and of the vendor's own
packages; the signature is that of https://cloudinary.com/documentation/authentication_signatures.
"""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from functions.cloudinary.transformations import NAMES, chained, component
from functions.cloudinary.values import Place, refuse

_WORDS = {
    "access_mode", "asset_folder", "background_removal", "categorization", "detection", "display_name", "eval",
    "eager_notification_url", "filename_override", "folder", "format", "moderation", "notification_url", "ocr",
    "on_success", "proxy", "public_id", "public_id_prefix", "quality_override", "raw_convert", "type", "upload_preset",
}  # fmt: skip
_FLAGS = {
    "accessibility_analysis", "async", "auto_chaptering", "backup", "cinemagraph_analysis", "clear_invalid", "colors",
    "discard_original_filename", "eager_async", "exif", "faces", "image_metadata", "invalidate", "media_metadata",
    "overwrite", "phash", "quality_analysis", "return_delete_token", "unique_display_name", "unique_filename",
    "use_asset_folder_as_public_id_prefix", "use_filename", "use_filename_as_display_name", "visual_search",
}  # fmt: skip
_LISTS = {"tags", "allowed_formats"}
_PAIRS = {"context", "metadata"}
_COORDINATES = {"face_coordinates", "custom_coordinates"}
_JSON = {"access_control", "auto_transcription", "regions"}
# Options of the vendor's packages and of the form that are not the caller's to give here, with what to do.
_REMEDIES = {
    "callback": "Leave it out: the answer would be a redirect",
    "file": "Give file beside upload_params",
    **dict.fromkeys(("api_key", "api_secret", "cloud_name"), "Belongs to the setup"),
    **dict.fromkeys(("signature", "timestamp", "unsigned"), "Leave it out: uploads are signed here"),
    **dict.fromkeys(("chunk_size", "filename", "timeout"), "Leave it out: the file is sent in one piece"),
}


class Signer(NamedTuple):
    """Signs what is sent. The algorithm is sha1 or sha256, as the account is set."""

    api_key: str
    api_secret: str
    algorithm: str

    def signed(self, fields: dict[str, str]) -> dict[str, str]:
        """Give the fields with the time, which is good for an hour, and the signature over all of them."""
        stamped = {**fields, "timestamp": str(int(time.time()))}
        return {**stamped, "api_key": self.api_key, "signature": self.signature(stamped)}

    def signature(self, fields: dict[str, str]) -> str:
        """Sign fields in their order by name; an ampersand in a value is escaped, so that it begins no other field."""
        text = "&".join(sorted(f"{name}={value}".replace("&", "%26") for name, value in fields.items()))
        return self.digest(text, self.algorithm).hex()

    def digest(self, text: str, algorithm: str) -> bytes:
        """Give the digest of a text and the secret behind it."""
        return hashlib.new(algorithm, f"{text}{self.api_secret}".encode(), usedforsecurity=False).digest()


def form(params: dict[str, Any]) -> dict[str, str]:
    """Give the fields for the parameters of an upload. Raise InvalidArguments, which names the parameter.

    Options of a transformation among them are the incoming transformation, as in the vendor's packages.
    """
    given = {name: value for name, value in params.items() if value is not None}
    incoming = {name: given.pop(name) for name in [*given] if name in NAMES or name.startswith("$")}
    fields = {}
    for name, value in given.items():
        place = ("upload_params", name)
        if name in _REMEDIES:
            refuse(place, _REMEDIES[name])
        if name not in WRITERS:
            refuse(place, "No parameter of an upload; see the upload API reference")
        fields[name] = WRITERS[name](value, place)
    if incoming:
        fields["transformation"] = _incoming(incoming)
    return {name: text for name, text in fields.items() if text}


def _incoming(options: dict[str, Any]) -> str:
    whole = options.get("transformation")
    if [*options] == ["transformation"] and isinstance(whole, str) and {",", "/", "_"} & {*whole}:
        options = {"raw_transformation": whole}
    return component(options, ("upload_params",))


def _word(value: Any, place: Place) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        refuse(place, "Neither a text nor a number")
    return str(value)


def _flag(value: Any, place: Place) -> str:
    text = str(value).lower()
    if text not in ("true", "false"):
        refuse(place, "Neither true nor false")
    return text


def _list(value: Any, place: Place) -> str:
    return ",".join(_word(item, place) for item in (value if isinstance(value, list) else [value]))


def _pairs(value: Any, place: Place) -> str:
    if not isinstance(value, dict):
        return _word(value, place)
    return "|".join(f"{name}={_in_pair(item, (*place, name))}" for name, item in value.items())


def _in_pair(value: Any, place: Place) -> str:
    text = _json(value, place) if isinstance(value, list) else _word(value, place)
    return text.replace("=", "\\=").replace("|", "\\|")


def _coordinates(value: Any, place: Place) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "|".join(_list(item, place) for item in value)
    return _list(value, place)


def _json(value: Any, place: Place) -> str:
    if isinstance(value, bool | int | float):
        return _flag(value, place)
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _headers(value: Any, place: Place) -> str:
    if isinstance(value, dict):
        value = [f"{name}: {_word(text, (*place, name))}" for name, text in value.items()]
    return "\n".join(_word(line, place) for line in (value if isinstance(value, list) else [value]))


def _eager(value: Any, place: Place) -> str:
    each = value if isinstance(value, list) else [value]
    return "|".join(_one_eager(item, (*place, number)) for number, item in enumerate(each))


def _one_eager(value: Any, place: Place) -> str:
    """Write a transformation to make beforehand, with the format that it is made in; an empty one is the original's."""
    if not isinstance(value, dict):
        return _word(value, place)
    options = {name: item for name, item in value.items() if name != "format"}
    return component(options, place) + (f"/{_word(value['format'], place)}" if value.get("format") is not None else "")


def _breakpoints(value: Any, place: Place) -> str:
    each = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in each):
        return _word(value, place)
    written = []
    for number, item in enumerate(each):
        options = item.get("transformation")
        several = options if isinstance(options, list) else [options]
        chain = chained(several, *place, number, "transformation") if isinstance(several[0], dict) else options
        written.append({**item, **({"transformation": chain} if chain else {})})
    return _json(written, place)


WRITERS: dict[str, Callable[[Any, Place], str]] = {
    **dict.fromkeys(_WORDS, _word),
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_LISTS, _list),
    **dict.fromkeys(_PAIRS, _pairs),
    **dict.fromkeys(_COORDINATES, _coordinates),
    **dict.fromkeys(_JSON, _json),
    "auto_tagging": _word,
    "eager": _eager,
    "headers": _headers,
    "responsive_breakpoints": _breakpoints,
}
