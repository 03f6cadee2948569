"""What the program says, read: a description of a file, or the reason of a failure in our own words."""

import re
from typing import Any, NamedTuple

from functions.ffmpeg.process import Run

_NOTHING = "ffmpeg wrote nothing: no part of the input is in what was asked for."
_REASONS = (
    (r"malloc of size|Cannot allocate memory|std::bad_alloc", "it needs more memory than there is; ask for less"),
    (r"moov atom not found", "the input is cut off or broken: its index is missing"),
    (
        r"Invalid data found when processing input|Error opening input|does not contain any stream\b(?!s)",
        "the input cannot be read as media, or is cut off or broken",
    ),
    (r"matches no streams", "a map or a filter names a stream that the input does not have"),
    (r"Output file (?:#0 )?does not contain any stream", "the input has nothing that the output could hold"),
    (r"Unknown encoder|Encoder not found|No codec could be found", "this build of ffmpeg has no such encoder"),
    (r"Cannot find a valid font", "there is no font to draw with where it runs"),
    (r"No such filter", "this build of ffmpeg has no such filter"),
    (r"Option .{0,80} not found|Unrecognized option|Error (?:setting|applying) option", "an option does not go here"),
    (
        r"codec not currently supported in container|incorrect codec parameters|not supported in|Could not write header"
        r"|Only .{0,40} supported",
        "the format of the output cannot hold a stream with this codec",
    ),
    (r"Picture size .{0,40} is invalid|exceeds specified max pixel count", "a picture is too large"),
    (
        r"has an unconnected output|Unable to parse|Error (?:re)?initializing .{0,20}filter|Error parsing",
        "a filter graph is not in order",
    ),
    (
        r"Error opening encoder|Error while opening encoder|width not divisible|height not divisible",
        "the encoder refuses these options or this size; a width and a height mostly have to be even",
    ),
)  # fmt: skip


def reason(run: Run) -> str:
    """Say in our words why a run gave no file. What the program said is not repeated: an input may put words there."""
    if run.overran:
        return "ffmpeg failed: it took more time than it has; ask for less."
    if run.code == 0 or "No filtered frames for output stream" in run.log:
        return _NOTHING
    for pattern, said in _REASONS:
        if re.search(pattern, run.log):
            return f"ffmpeg failed: {said}."
    return "ffmpeg failed: the options do not fit each other or the input."


class Stream(NamedTuple):
    """One stream as the program describes it."""

    number: int
    language: str | None
    kind: str
    facts: str
    tags: dict[str, str]
    rotation: float | None


class Description(NamedTuple):
    """A file as the program describes it."""

    format: str
    duration: float | None
    start: float | None
    bit_rate: int | None
    tags: dict[str, str]
    streams: list[Stream]
    chapters: list[dict[str, Any]]


_INPUT = re.compile(r"Input #0, (?P<format>[\w,]+), from ")
_DURATION = re.compile(
    r"  Duration: (?:(?P<h>\d+):(?P<m>\d\d):(?P<s>[\d.]+)|N/A)(?:, start: (?P<start>-?[\d.]+))?"
    r"(?:, bitrate: (?:(?P<rate>\d+) kb/s|N/A))?"
)
_STREAM = re.compile(
    r"  Stream #0:(?P<number>\d+)(?:\[0x[0-9a-f]+\])?(?:\((?P<language>\w+)\))?: "
    r"(?P<kind>Video|Audio|Subtitle|Data|Attachment): (?P<facts>.*)"
)
_CHAPTER = re.compile(r"    Chapter #0:\d+: start (?P<start>-?[\d.]+), end (?P<end>-?[\d.]+)")
_TAG = re.compile(r"(?P<indent> {4,6})(?P<name>\S(?:.*?\S)?) *: (?P<value>.*)")
_ROTATION = re.compile(r"      (?:displaymatrix|Display Matrix): rotation of (?P<degrees>-?[\d.]+) degrees")


def described(log: str) -> Description | None:
    """Read what `ffmpeg -i FILE` says. Give None where it could not open the file.

    The layout is that of av_dump_format() in libavformat/dump.c, versions 5.1 to 9.0. Each kind of line has an
    indentation of its own, and what a file says of itself never begins a line: dump.c writes a line feed in a tag as a
    new line with the indentation of tags.
    """
    lines = log.split("\n")
    begin = next((place for place, line in enumerate(lines) if _INPUT.match(line)), None)
    if begin is None:
        return None
    head = _INPUT.match(lines[begin])
    assert head is not None  # noqa: S101  # it was found by this
    found = Description(head["format"], None, None, None, {}, [], [])
    tags = found.tags
    for line in lines[begin + 1 :]:
        if match := _DURATION.match(line):
            found = found._replace(**_times(match))
        elif match := _CHAPTER.match(line):
            tags = {}
            found.chapters.append({"start": float(match["start"]), "end": float(match["end"]), "tags": tags})
        elif match := _STREAM.match(line):
            tags = {}
            number, language = int(match["number"]), match["language"]
            language = None if language == "und" else language
            found.streams.append(Stream(number, language, match["kind"].lower(), match["facts"], tags, None))
        elif (match := _ROTATION.match(line)) and found.streams:
            found.streams[-1] = found.streams[-1]._replace(rotation=float(match["degrees"]))
        elif match := _TAG.match(line):
            tags.setdefault(match["name"], match["value"].strip())
    return found


def _times(match: re.Match[str]) -> dict[str, Any]:
    hours, minutes, seconds = match["h"], match["m"], match["s"]
    return {
        "duration": None if hours is None else round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 3),
        "start": None if match["start"] is None else float(match["start"]),
        "bit_rate": None if match["rate"] is None else int(match["rate"]) * 1000,
    }


_SIZE = re.compile(r"(?P<width>\d+)x(?P<height>\d+)(?: \[SAR (?P<sar>\d+:\d+) DAR (?P<dar>\d+:\d+)\])?")
_FLAGS = re.compile(r"(?: \((?:default|dub|original|comment|lyrics|karaoke|forced|hearing impaired|visual impaired|"
                    r"clean effects|attached pic|timed thumbnails|captions|descriptions|metadata|dependent|"
                    r"still image|non-diegetic|multilayer)\))+$")  # fmt: skip


def facts_of(stream: Stream) -> dict[str, Any]:
    """Take the facts of a stream apart, as avcodec_string() and dump_stream_format() put them together."""
    text = stream.facts
    flags = _FLAGS.search(text)
    parts = _parted(text[: flags.start()] if flags else text)
    codec, *brackets = re.findall(r"^[\w-]+|(?<=\()[^()]*(?=\))", parts[0]) or [None]
    facts: dict[str, Any] = {
        "codec": codec,
        # In brackets stand the decoder where it has a name of its own (mp3float), the profile, and the tag, with "/".
        "profile": next((name for name in brackets if not re.fullmatch(r"[a-z0-9_]+|.* / .*", name)), None),
        "flags": re.findall(r"\(([^)]+)\)", flags[0]) if flags else [],
    }
    for part in parts[1:]:
        if match := re.fullmatch(r"(\d+) kb/s(?: \(.*\))?", part):
            facts["bit_rate"] = int(match[1]) * 1000
        elif match := re.fullmatch(r"([\d.]+)(k?) fps", part):
            facts["frames_per_second"] = float(match[1]) * (1000 if match[2] else 1)
        elif match := re.fullmatch(r"(\d+) Hz", part):
            facts["sample_rate"] = int(match[1])
        elif (match := _SIZE.fullmatch(part)) and stream.kind == "video":
            facts |= {
                "width": int(match["width"]),
                "height": int(match["height"]),
                "display_aspect_ratio": match["dar"],
            }
    if stream.kind == "video" and len(parts) > 1:
        facts["pixel_format"] = re.split(r"[( ]", parts[1])[0]
    if stream.kind == "audio":
        facts |= _sound(parts)
    return facts


def _parted(text: str) -> list[str]:
    """Split at the commas that are in no brackets."""
    return re.split(r", (?![^(]*\))", text)


def _sound(parts: list[str]) -> dict[str, Any]:
    rate = next((place for place, part in enumerate(parts) if part.endswith(" Hz")), None)
    if rate is None or rate + 1 >= len(parts):
        return {}
    layout = parts[rate + 1]
    return {"channel_layout": layout, "channels": _channels(layout)}


def _channels(layout: str) -> int | None:
    """Count the channels of a layout: 5.1(side) has six."""
    if layout in ("mono", "stereo", "downmix", "quad"):
        return {"mono": 1, "quad": 4}.get(layout, 2)
    if match := re.match(r"(\d+) channels", layout):
        return int(match[1])
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", layout)
    return sum(int(number or 0) for number in match.groups()) if match else None
