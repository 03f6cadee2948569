"""The grammar of filter graphs: read as ffmpeg reads them, checked, and written again.

    graph  = chain *(";" chain)        chain = filter *("," filter)
    filter = *label name ["=" options] *label
    options = option *(":" option)     option = [name "="] value

as in "Filtergraph description" of ffmpeg-filters(1), with its two levels of quoting: of the graph, then of the
options. What is checked is what the program will see, because the graph that it gets is written from what was read.

The filters are in filterlist.py.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from functions.ffmpeg.filterlist import ENDING, ENDLESS, FASTEST, FIRST, LARGEST, LONGEST_SIDE, SIZED, WITH_FILES
from functions.ffmpeg.refusal import Refused

MOST_FILTERS = 60
_LONGEST_LAYOUT = 32  # pictures in a row of `tile`

_LABEL = re.compile(r"\[\s*([A-Za-z0-9_]{1,32}|0:[vas](?::\d{1,2})?|0:\d{1,2})\s*\]\s*")
_NAME = re.compile(r"\s*([a-z0-9]+(?:_[a-z0-9]+)*)\s*")
_OPTION = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9_]{0,40})\s*=(.*)", re.DOTALL)
_LIKE_AN_OPTION = re.compile(r"\s*[A-Za-z0-9_./+-]*\s*=")  # with a space in it, it is none: c0 f=200
_VALUE = re.compile(r"[A-Za-z0-9_ .,:;+*/()|!<=#@^\[\]?-]*")
_LIKE_A_PATH = re.compile(r"(?:^|[|=,:; (@])[./]*/|//|\.\./")
_TEXT = re.compile(r"(?:[^\x00-\x1f\x7f$`<>|;&{}\\]|(?<= )&(?= ))*")

# A number, where one can be: a colour and a size come first, and a name (yuv420p, c0) is not one.
_NUMBER = re.compile(
    r"(?P<colour>#[0-9A-Fa-f]{3,8}\b|0x[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?\b)"
    r"|(?P<width>\d+)x(?P<height>\d+)(?![0-9A-Za-z_])"
    r"|(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<unit>[A-Za-z_][A-Za-z0-9_]*)?"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
)
_WITH_RATE = SIZED | {"drawtext"}  # filters whose r is short for rate
_COLOURS = ("color", "c", "colors")
_UNITS = (None, "dB", "ms", "s", "us")
_FRACTION = re.compile(r"(\d{1,6}(?:\.\d{1,4})?)(?:/(\d{1,6}))?")


class _Filter(NamedTuple):
    """One filter, its quotes and backslashes taken away. An option without a name is in its place by order."""

    before: list[str]
    name: str
    options: list[tuple[str | None, str]]
    after: list[str]


def checked(text: str) -> str:
    """Read a graph, and give it as it is to be run. Raise Refused for what no command may have."""
    return ";".join(",".join(map(_written, chain)) for chain in _chains(text))


def endless(text: str) -> bool:
    """Say whether a graph that passed has what gives frames for ever, and nothing in it that ends them."""
    filters = [each for chain in _chains(text) for each in chain]
    return any(map(_goes_on, filters)) and not any(map(_ends, filters))


def _chains(text: str) -> list[list[_Filter]]:
    chains: list[list[_Filter]] = [[]]
    reader = _Reader(text)
    while True:
        chains[-1].append(_read(reader))
        if sum(map(len, chains)) > MOST_FILTERS:
            raise Refused(f"a filter graph has at most {MOST_FILTERS} filters")
        separator = reader.take()
        if not separator:
            break
        if separator not in ",;":
            raise Refused("the filter graph is not in order: brackets and quotes must pair")
        if separator == ";":
            if not reader.text[reader.place :].strip():  # 5.1 takes none after the last chain, 9.0 does
                break
            chains.append([])
    return chains


def _goes_on(filter_: _Filter) -> bool:
    if filter_.name not in ENDLESS:
        return False
    ends, place = ENDLESS[filter_.name]
    in_order = [value for key, value in filter_.options if key is None]
    said = [value for key, value in filter_.options if key in ends] + in_order[place : place + 1]
    if filter_.name == "tpad":
        return not all(map(str.isdecimal, said))
    # By zero and by less they give frames for ever too.
    return not any(re.fullmatch(r"[0-9.:ms]*[1-9][0-9.:ms]*", value) for value in said)


def _ends(filter_: _Filter) -> bool:
    return filter_.name in ("trim", "atrim", "amerge", "join") or not ENDING.isdisjoint(filter_.options)


class _Reader:
    """The text of a graph, taken apart from the left."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def take(self) -> str:
        """Give the next character and step over it; nothing at the end."""
        self.place += 1
        return self.text[self.place - 1 : self.place]

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Step over the pattern and give its first group, if it is next."""
        found = pattern.match(self.text, self.place)
        if found is None:
            return None
        self.place = found.end()
        return found[1]

    def token(self) -> str:
        """Give what comes before the next bare `[`, `]`, `,` or `;`, with one level of quoting taken away."""
        rest, token = _unquoted(self.text[self.place :], "[],;")
        self.place = len(self.text) - len(rest)
        return token


def _unquoted(text: str, ends: str) -> tuple[str, str]:
    r"""Take away one level of quoting as av_get_token() does: `\x` is x, and '...' is what stands in it.

    Give what is left from the first bare end on, and what came before it.
    """
    token, place, quoted = [], 0, False
    while place < len(text) and (quoted or text[place] not in ends):
        char = text[place]
        if char == "'":
            quoted = not quoted
        elif char == "\\" and not quoted:
            place += 1
            token.append(text[place : place + 1])
        else:
            token.append(char)
        place += 1
    if quoted:
        raise Refused("a quote in the filter graph is not closed")
    return text[place:], "".join(token)


def _read(reader: _Reader) -> _Filter:
    reader.match(re.compile(r"(\s*)"))
    before = list(iter(lambda: reader.match(_LABEL), None))
    name = reader.match(_NAME)
    if name is None or name not in LARGEST:
        raise Refused("a filter is not on the list of those that a command may use")
    options = []
    if reader.text[reader.place : reader.place + 1] == "=":
        reader.take()
        options = list(_options(name, reader.token().strip()))
    after = list(iter(lambda: reader.match(_LABEL), None))
    return _Filter(before, name, options, after)


def _options(name: str, text: str) -> Iterator[tuple[str | None, str]]:
    """Give the options of a filter, each checked."""
    rest, key = ":" + text, FIRST.get(name)
    while rest:
        rest, value = _unquoted_option(rest[1:])
        if found := _OPTION.fullmatch(value):
            key, value = found.groups()
        value = _unquoted(value, "")[1].strip()
        if not found and _LIKE_AN_OPTION.match(value):
            raise Refused("the name of a filter's option may have letters, digits and underscores only")
        _check(name, key, value)
        # Behind an option with its name, 9.0 takes none without.
        yield key if found or name in WITH_FILES else None, value
        key = None


def _unquoted_option(text: str) -> tuple[str, str]:
    """Part an option from the rest. It keeps its quoting, since an "=" in quotes ends no name."""
    rest, _ = _unquoted(text, ":")
    return rest, text[: len(text) - len(rest)]


def _check(name: str, key: str | None, value: str) -> None:
    known = WITH_FILES.get(name)
    if known is not None and key != "enable" and key not in known:
        raise Refused("this filter takes only those of its options, by name, that can name no file")
    if name == "drawtext" and key == "expansion" and value != "none":
        raise Refused("drawtext draws literal text: its expansion is none")
    if name == "drawtext" and key == "text":
        if not _TEXT.fullmatch(value):
            raise Refused("the text to draw has a character that is not allowed")
        return
    if name in ("loop", "aloop") and key in (None, "loop") and not value.isdecimal():
        raise Refused("a loop in a filter says how often, as a number and not for ever")
    if not _VALUE.fullmatch(value):
        raise Refused("the value of a filter's option has a character that is not allowed")
    if _LIKE_A_PATH.search(value):
        raise Refused("the value of a filter's option looks like a path")
    first = key is None and name in ("fps", "framerate", "minterpolate")
    if key in ("fps", "framerate", "rate") or first or (key == "r" and name in _WITH_RATE):
        _check_rate(value)
    else:
        _check_numbers(name, key, value)


def _check_rate(value: str) -> None:
    if found := _FRACTION.fullmatch(value):
        rate = float(found[1]) / float(found[2] or 1) if float(found[2] or 1) else FASTEST + 1
        if rate <= FASTEST:
            return
    elif re.fullmatch(r"[a-z_]{1,20}", value):  # ntsc, pal, film, source_fps
        return
    raise Refused(f"a frame rate is a number or a fraction of at most {FASTEST}")


def _check_numbers(name: str, key: str | None, value: str) -> None:
    largest = LARGEST[name]
    for found in _NUMBER.finditer(value):
        if (found["colour"] or "").startswith("0") and largest <= LONGEST_SIDE and key not in _COLOURS:
            # The same digits would do as a size.
            raise Refused("a number in hexadecimal is not allowed in this filter; name the option of a colour")
        if found["width"]:
            longest = _LONGEST_LAYOUT if name == "tile" else LONGEST_SIDE
            if max(int(found["width"]), int(found["height"])) > longest:
                raise Refused(f"a size in this filter is at most {longest} by {longest}")
        elif found["number"]:
            # In the layout of xstack, 0_h0 is a place; in that of pan, 2c are two channels.
            if (
                found["unit"] not in _UNITS
                and not found["unit"].startswith("_")
                and (name, found["unit"]) != ("pan", "c")
            ):
                raise Refused("a number in a filter may have the units dB, s, ms and us only")
            if float(found["number"]) > largest:
                raise Refused(f"a number in this filter is at most {largest}")


def _written(filter_: _Filter) -> str:
    options = list(filter_.options)
    if filter_.name == "drawtext" and ("expansion", "none") not in options:
        options.append(("expansion", "none"))
    text = ":".join(_quoted(value, ":") if key is None else f"{key}={_quoted(value, ':')}" for key, value in options)
    before, after = ("".join(f"[{label}]" for label in labels) for labels in (filter_.before, filter_.after))
    return f"{before}{filter_.name}{'=' if options else ''}{_quoted(text, '[],;')}{after}"


def _quoted(text: str, ends: str) -> str:
    """Put on one level of quoting."""
    return "".join(f"\\{char}" if char in f"\\'{ends}" else char for char in text)
