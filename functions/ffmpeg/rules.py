"""The rules that values of options fit."""

import re
from collections.abc import Callable

from functions.ffmpeg.filterlist import FASTEST, LONGEST_SIDE, names
from functions.ffmpeg.refusal import Refused

LONGEST_TIME = 24 * 3600  # seconds
MAX_PIXELS = 33_177_600  # of a picture: 7680 by 4320

Rule = Callable[[str], str]
"""Takes a value and gives it as it is handed over. Raises Refused."""


def number(low: float, high: float) -> Rule:
    """Take a number from `low` to `high`."""

    def rule(value: str) -> str:
        if (
            not re.fullmatch(r"[+-]?(?:\d{1,9}(?:\.\d{1,6})?|\.\d{1,6})", value, re.ASCII)
            or not low <= float(value) <= high
        ):
            raise Refused(f"the value is a number from {low:g} to {high:g}")
        return value

    return rule


def one_of(*known: str) -> Rule:
    """Take one of these names, and say them all where it is another."""

    def rule(value: str) -> str:
        if value not in known:
            raise Refused(f"the value is one of: {', '.join(known)}")
        return value

    return rule


def codec(known: frozenset[str]) -> Rule:
    """Take one of many names."""

    def rule(value: str) -> str:
        if value not in known:
            raise Refused("this codec is not on the list of those that a command may name")
        return value

    return rule


def flags(*known: str) -> Rule:
    """Take these names, each once or more, joined by signs."""
    allowed = "|".join(known)
    pattern = re.compile(rf"[+-]?(?:{allowed})(?:[+-](?:{allowed}))*")

    def rule(value: str) -> str:
        if not pattern.fullmatch(value):
            raise Refused(f"the value is made of these flags, joined by + or -: {', '.join(known)}")
        return value

    return rule


def shaped(pattern: str, says: str) -> Rule:
    """Take what is of this pattern; `says` tells it in words."""
    compiled = re.compile(pattern, re.ASCII)

    def rule(value: str) -> str:
        if not compiled.fullmatch(value):
            raise Refused(says)
        return value

    return rule


_TIME = re.compile(
    r"(?P<sign>-?)(?:(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,2}):)?(?P<seconds>\d{1,9}(?:\.\d{1,9})?)(?P<unit>ms|us|s)?",
    re.ASCII,
)


def time(value: str) -> str:
    """Take a time, as ffmpeg-utils(1) has it under "Time duration"."""
    found = _TIME.fullmatch(value)
    if found:
        scale = {"ms": 0.001, "us": 0.000_001}.get(found["unit"] or "s", 1)
        seconds = float(found["seconds"]) * scale + 60 * int(found["minutes"] or 0) + 3600 * int(found["hours"] or 0)
        if seconds <= LONGEST_TIME:
            return value
    raise Refused("a time is seconds or HH:MM:SS, at most 24 hours")


def bit_rate(value: str) -> str:
    """Take bits per second."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([kKmM]?)", value, re.ASCII)
    if found is None or float(found[1]) * {"k": 1e3, "m": 1e6}.get(found[2].lower(), 1) > 200e6:
        raise Refused("a bit rate is a number with or without k or M, at most 200M")
    return value


def sample_rate(value: str) -> str:
    """Take samples per second."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(k?)", value, re.ASCII)
    if found is None or not 1000 <= float(found[1]) * (1000 if found[2] else 1) <= 192_000:
        raise Refused("a sample rate is a number such as 44100 or 48k, from 1000 to 192000")
    return value


def size(value: str) -> str:
    """Take the size of a picture in pixels, or the name of one."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value, re.ASCII)
    if found:
        width, height = int(found[1]), int(found[2])
        if max(width, height) <= LONGEST_SIDE and width * height <= MAX_PIXELS:
            return value
    elif value in _SIZES:
        return value
    raise Refused(f"a size is WIDTHxHEIGHT, each at most {LONGEST_SIDE}, together at most {MAX_PIXELS:,} pixels")


_SIZES = names(
    """
    16cif 2k 4cif 4k cga cif ega film hd1080 hd480 hd720 ntsc ntsc-film pal qcif qntsc qpal qqvga qvga qxga sntsc spal
    sqcif svga sxga uhd2160 uxga vga woxga wsxga wuxga wvga wxga xga
    """
)


def rate(value: str) -> str:
    """Take frames per second, or the name of a rate."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(?:/(\d{1,6}))?", value, re.ASCII)
    if found and float(found[2] or 1) and float(found[1]) / float(found[2] or 1) <= FASTEST:
        return value
    if value in ("ntsc", "pal", "film", "ntsc-film"):
        return value
    raise Refused(f"a frame rate is a number or a fraction of at most {FASTEST}")


_VSYNC = {"-1": "auto", "0": "passthrough", "1": "cfr", "2": "vfr"}


def vsync(value: str) -> str:
    """Take the values that -vsync had, which -fps_mode has no more."""
    return one_of("auto", "passthrough", "cfr", "vfr")(_VSYNC.get(value, value))


_streams = shaped(
    r"-?0(?::[vasV])?(?::\d{1,2})?(?::m:language:[a-z]{2,3})?\??|-0:[dt]|[vasV]\??|\[[A-Za-z0-9_]{1,32}\]",
    "a map is of input 0 and names video, audio or subtitles, as 0:v:0 or 0:a?, or a label of the filter graph",
)


def mapped(value: str) -> str:
    """Take a bare letter too, which means the input of number 0."""
    return f"0:{_streams(value)}" if value[:1] in "vasV" else _streams(value)


metadata = shaped(
    # An "&" between spaces is that of a title, which no shell would have taken for its own.
    r"[A-Za-z0-9_. -]{1,64}=(?:[^$`<>|;&\\]|(?<= )&(?= )){0,1000}",
    "metadata is name=value, without $ ` < > | ; backslashes, and & only between spaces",
)
