"""The options that a command may have, each with the rule that its value fits. What is not here is refused.

Not on the lists, on purpose: what names a file (`-attach`, `-progress`, `-vstats_file`, `-passlogfile`, `-/option`, the
`-stats_*` of 6.1 and later), a demuxer, a device or a protocol; what takes options of its own (`-x264-params`); what
waits for no reason (`-re`). The names are those of ffmpeg(1) and ffmpeg-codecs(1).
"""

import re
from collections.abc import Callable

from functions.ffmpeg.filters import FASTEST, LONGEST_SIDE, checked
from functions.ffmpeg.formats import DECODERS, ENCODERS, MUXERS
from functions.ffmpeg.refusal import Refused

LONGEST_TIME = 24 * 3600  # seconds
MAX_PIXELS = 33_177_600  # of a picture: 7680 by 4320

Rule = Callable[[str], str]
"""Takes a value and gives it as it is handed over. Raises Refused."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Rules of values.


def _number(low: float, high: float) -> Rule:
    def rule(value: str) -> str:
        if not re.fullmatch(r"[+-]?(?:\d{1,9}(?:\.\d{1,6})?|\.\d{1,6})", value) or not low <= float(value) <= high:
            raise Refused(f"the value is a number from {low:g} to {high:g}")
        return value

    return rule


def _one_of(*names: str) -> Rule:
    def rule(value: str) -> str:
        if value not in names:
            raise Refused(f"the value is one of: {', '.join(names)}")
        return value

    return rule


def _codec(names: frozenset[str]) -> Rule:
    def rule(value: str) -> str:
        if value not in names:
            raise Refused("this codec is not on the list of those that a command may name")
        return value

    return rule


def _flags(*names: str) -> Rule:
    allowed = "|".join(names)
    pattern = re.compile(rf"[+-]?(?:{allowed})(?:[+-](?:{allowed}))*")

    def rule(value: str) -> str:
        if not pattern.fullmatch(value):
            raise Refused(f"the value is made of these flags, joined by + or -: {', '.join(names)}")
        return value

    return rule


def _shaped(pattern: str, says: str) -> Rule:
    compiled = re.compile(pattern)

    def rule(value: str) -> str:
        if not compiled.fullmatch(value):
            raise Refused(says)
        return value

    return rule


_TIME = re.compile(
    r"(?P<sign>-?)(?:(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,2}):)?(?P<seconds>\d{1,9}(?:\.\d{1,9})?)(?P<unit>ms|us|s)?"
)


def _time(value: str) -> str:
    found = _TIME.fullmatch(value)
    if found:
        scale = {"ms": 0.001, "us": 0.000_001}.get(found["unit"] or "s", 1)
        seconds = float(found["seconds"]) * scale + 60 * int(found["minutes"] or 0) + 3600 * int(found["hours"] or 0)
        if seconds <= LONGEST_TIME:
            return value
    raise Refused("a time is seconds or HH:MM:SS, at most 24 hours")


def _bit_rate(value: str) -> str:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([kKmM]?)", value)
    if found is None or float(found[1]) * {"k": 1e3, "m": 1e6}.get(found[2].lower(), 1) > 200e6:
        raise Refused("a bit rate is a number with or without k or M, at most 200M")
    return value


def _size(value: str) -> str:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)
    if found:
        width, height = int(found[1]), int(found[2])
        if max(width, height) <= LONGEST_SIDE and width * height <= MAX_PIXELS:
            return value
    elif value in _SIZES:
        return value
    raise Refused(f"a size is WIDTHxHEIGHT, each at most {LONGEST_SIDE}, together at most {MAX_PIXELS:,} pixels")


_SIZES = _names(
    """
    16cif 2k 4cif 4k cga cif ega film hd1080 hd480 hd720 ntsc ntsc-film pal qcif qntsc qpal qqvga qvga qxga sntsc spal
    sqcif svga sxga uhd2160 uxga vga woxga wsxga wuxga wvga wxga xga
    """
)


def _rate(value: str) -> str:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(?:/(\d{1,6}))?", value)
    if found and float(found[2] or 1) and float(found[1]) / float(found[2] or 1) <= FASTEST:
        return value
    if value in ("ntsc", "pal", "film", "ntsc-film"):
        return value
    raise Refused(f"a frame rate is a number or a fraction of at most {FASTEST}")


_VSYNC = {"-1": "auto", "0": "passthrough", "1": "cfr", "2": "vfr"}


def _vsync(value: str) -> str:
    """Take the values that -vsync had, which -fps_mode has no more."""
    return _one_of("auto", "passthrough", "cfr", "vfr")(_VSYNC.get(value, value))


_map = _shaped(
    r"-?0(?::[vasV])?(?::\d{1,2})?(?::m:language:[a-z]{2,3})?\??|\[[A-Za-z0-9_]{1,32}\]",
    "a map is of input 0 and names video, audio or subtitles, as 0:v:0 or 0:a?, or a label of the filter graph",
)
_metadata = _shaped(
    r"[A-Za-z0-9_. -]{1,64}=[^$`<>|;&\\]{0,1000}",
    "metadata is name=value, without $ ` < > | ; & and backslashes",
)
_muxer = _one_of(*sorted(MUXERS))
_word = _shaped(r"[A-Za-z0-9_.:-]{1,40}", "the value is a word")
_key_frames = _shaped(
    r"expr:[A-Za-z0-9_.,+*/()-]{1,120}|source|[0-9.:,]{1,200}|chapters[+-]?[0-9.]{0,10}",
    "the value is a list of times, or expr: and an expression",
)
_STREAM_FILTERS = "aac_adtstoasc dump_extra extract_extradata h264_mp4toannexb hevc_mp4toannexb null"
_filters = _shaped(
    "(?:{0})(?:,(?:{0}))*".format(_STREAM_FILTERS.replace(" ", "|")),
    f"a bit stream filter is one of: {_STREAM_FILTERS}",
)
_LOG = _one_of("quiet", "panic", "fatal", "error", "warning", "info", "verbose", "8", "16", "24", "32", "40")
_PATTERN_OF_COLOURS = _shaped(r"[a-z0-9_-]{1,24}", "the value is a name as ffmpeg has it")

EVERYWHERE: dict[str, Rule | None] = {
    "y": None,
    "hide_banner": None,
    "nostdin": None,
    "stats": None,
    "nostats": None,
    "loglevel": _LOG,
    "v": _LOG,
    "ss": _time,
    "t": _time,
    "to": _time,
    "vn": None,
    "an": None,
    "sn": None,
    "dn": None,
    "r": _rate,
    "threads": _number(0, 16),
    "bitexact": None,
}
INPUT: dict[str, Rule | None] = EVERYWHERE | {
    "sseof": _time,
    "itsoffset": _time,
    "stream_loop": _number(0, 100),
    "loop": _number(0, 1),
    "framerate": _rate,
    "accurate_seek": None,
    "noaccurate_seek": None,
    "autorotate": None,
    "noautorotate": None,
    "ignore_editlist": _number(0, 1),
    "fflags": _flags("genpts", "igndts", "discardcorrupt", "fastseek", "nobuffer", "sortdts", "ignidx"),
    "err_detect": _flags("ignore_err", "crccheck", "careful", "explode", "aggressive"),
    "analyzeduration": _number(0, 100_000_000),
    "probesize": _number(32, 10_000_000),
    "c": _codec(DECODERS),
    "codec": _codec(DECODERS),
    "vcodec": _codec(DECODERS),
}
_QUALITY = _number(0, 100)
_SMALL = _number(-1, 1000)
OUTPUT: dict[str, Rule | None] = EVERYWHERE | {
    # What goes in, and as what it comes out.
    "f": _muxer,
    "c": _codec(ENCODERS),
    "codec": _codec(ENCODERS),
    "vcodec": _codec(ENCODERS),
    "acodec": _codec(ENCODERS),
    "scodec": _codec(ENCODERS),
    "map": _map,
    "map_metadata": _shaped(r"-1|0(?::[gs](?::[vas])?(?::\d{1,2})?)?", "the value is -1 or 0"),
    "map_chapters": _number(-1, 0),
    "metadata": _metadata,
    "disposition": _flags("default", "forced", "attached_pic", "original", "dub", "comment", "0"),
    "shortest": None,
    "frames": _number(0, 100_000),
    "vframes": _number(0, 100_000),
    "aframes": _number(0, 10_000_000),
    "bsf": _filters,
    "tag": _shaped(r"[A-Za-z0-9]{4}", "a tag is four letters or digits"),
    "vtag": _shaped(r"[A-Za-z0-9]{4}", "a tag is four letters or digits"),
    "atag": _shaped(r"[A-Za-z0-9]{4}", "a tag is four letters or digits"),
    # Filters.
    "vf": checked,
    "af": checked,
    "filter": checked,
    "filter_complex": checked,
    "lavfi": checked,
    "sws_flags": _flags(
        "fast_bilinear", "bilinear", "bicubic", "neighbor", "area", "bicublin", "gauss", "sinc", "lanczos", "spline",
        "accurate_rnd", "full_chroma_int", "full_chroma_inp", "bitexact",
    ),
    # Rate control.
    "crf": _number(-1, 63),
    "qp": _number(-1, 255),
    "q": _QUALITY,
    "qscale": _QUALITY,
    "aq": _QUALITY,
    "b": _bit_rate,
    "ab": _bit_rate,
    "maxrate": _bit_rate,
    "minrate": _bit_rate,
    "bufsize": _bit_rate,
    "qmin": _SMALL,
    "qmax": _SMALL,
    "qdiff": _SMALL,
    "qcomp": _SMALL,
    "qblur": _SMALL,
    "i_qfactor": _SMALL,
    "b_qfactor": _SMALL,
    "preset": _shaped(
        r"ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo|default|picture|photo|drawing|icon|"
        r"text|none|-?\d{1,2}",
        "a preset is one of ultrafast to placebo, of the encoder's own names, or a number",
    ),
    "tune": _shaped(r"[a-z]{1,20}(?:[,+][a-z]{1,20}){0,3}|\d", "the value is a name that the encoder has"),
    "profile": _shaped(r"[A-Za-z0-9_.-]{1,24}", "a profile is a name or a number"),
    "level": _shaped(r"\d{1,3}(?:\.\d)?b?|auto", "a level is a number such as 4.1"),
    "lossless": _number(0, 1),
    "deadline": _one_of("good", "best", "realtime"),
    "quality": _shaped(r"good|best|realtime|\d{1,3}(?:\.\d{1,2})?", "the value is a number, good, best or realtime"),
    "cpu-used": _number(-16, 16),
    "speed": _number(0, 16),
    "row-mt": _number(0, 1),
    "tile-columns": _number(0, 6),
    "tile-rows": _number(0, 6),
    "tiles": _shaped(r"\d{1,2}x\d{1,2}", "the value is COLUMNSxROWS"),
    "frame-parallel": _number(0, 1),
    "auto-alt-ref": _number(0, 6),
    "lag-in-frames": _number(0, 35),
    "arnr-maxframes": _number(0, 15),
    "arnr-strength": _number(0, 6),
    "aq-mode": _number(-1, 4),
    "usage": _one_of("good", "realtime", "allintra"),
    "still-picture": _number(0, 1),
    "g": _number(0, 10_000),
    "keyint_min": _number(0, 10_000),
    "sc_threshold": _number(0, 1_000_000_000),
    "bf": _number(-1, 16),
    "refs": _number(0, 16),
    "b_strategy": _number(0, 2),
    "trellis": _number(-1, 2),
    "subq": _number(0, 11),
    "me_range": _number(-1, 256),
    "me_method": _word,
    "mbd": _word,
    "coder": _word,
    "aspect": _shaped(r"\d{1,5}(?::\d{1,5}|\.\d{1,6})?", "an aspect is WIDTH:HEIGHT or a number"),
    # Pictures.
    "s": _size,
    "fpsmax": _rate,
    "pix_fmt": _shaped(r"\+?[a-z0-9_]{1,24}", "a pixel format is a name such as yuv420p"),
    "color_range": _PATTERN_OF_COLOURS,
    "color_primaries": _PATTERN_OF_COLOURS,
    "color_trc": _PATTERN_OF_COLOURS,
    "colorspace": _PATTERN_OF_COLOURS,
    "chroma_sample_location": _PATTERN_OF_COLOURS,
    "field_order": _PATTERN_OF_COLOURS,
    "top": _number(-1, 1),
    "force_key_frames": _key_frames,
    "vsync": _vsync,
    "fps_mode": _one_of("auto", "cfr", "vfr", "passthrough"),
    "update": _number(0, 1),
    "loop": _number(-1, 65_535),
    "plays": _number(0, 65_535),
    "final_delay": _number(-1, 65_535),
    "pred": _word,
    "dpi": _number(0, 65_536),
    "compression_level": _number(-1, 100),
    "huffman": _one_of("default", "optimal"),
    # Sound.
    "ar": _number(1000, 192_000),
    "ac": _number(1, 16),
    "sample_fmt": _shaped(r"(?:u8|s16|s32|s64|flt|dbl)p?", "a sample format is a name such as s16"),
    "channel_layout": _shaped(r"[A-Za-z0-9.()]{1,24}", "a channel layout is a name such as stereo"),
    "ch_layout": _shaped(r"[A-Za-z0-9.()]{1,24}", "a channel layout is a name such as stereo"),
    "vbr": _shaped(r"on|off|constrained|[0-5]", "the value is on, off, constrained or a number from 0 to 5"),
    "application": _one_of("voip", "audio", "lowdelay"),
    "frame_duration": _number(2.5, 120),
    "joint_stereo": _number(0, 1),
    "abr": _number(0, 1),
    "cutoff": _number(0, 96_000),
    "aac_coder": _one_of("anmr", "twoloop", "fast"),
    # The file.
    "movflags": _flags(
        "faststart", "frag_keyframe", "empty_moov", "default_base_moof", "separate_moof", "use_metadata_tags",
        "negative_cts_offsets", "write_colr", "omit_tfhd_offset", "disable_chpl", "skip_trailer", "dash", "cmaf",
    ),
    "brand": _shaped(r"[A-Za-z0-9 ]{4}", "a brand is four letters or digits"),
    "video_track_timescale": _number(0, 1_000_000),
    "frag_duration": _number(0, 1_000_000_000),
    "id3v2_version": _number(0, 4),
    "write_id3v1": _number(0, 1),
    "write_xing": _number(0, 1),
    "write_bext": _number(0, 1),
    "write_tmcd": _number(-1, 1),
    "fflags": _flags("bitexact", "flush_packets", "genpts", "autobsf", "shortest"),
    "flags": _flags(
        "bitexact", "global_header", "cgop", "ilme", "ildct", "low_delay", "loop", "mv4", "aic", "qpel", "gray", "mv0",
        "output_corrupt", "copy_opaque",
    ),
    "strict": _one_of("experimental", "unofficial", "normal", "strict", "very", "-2", "-1", "0", "1", "2"),
    "avoid_negative_ts": _one_of("auto", "make_zero", "make_non_negative", "disabled"),
    "copyts": None,
    "start_at_zero": None,
    "copytb": _number(-1, 1),
    "async": _number(0, 10_000),
    "muxdelay": _number(0, 10),
    "muxpreload": _number(0, 10),
    "max_muxing_queue_size": _number(1, 10_000),
    "max_interleave_delta": _number(0, 1_000_000_000),
    "cluster_time_limit": _number(0, 100_000),
    "ignore_unknown": None,
    "timecode": _shaped(r"\d\d:\d\d:\d\d[:;.]\d\d", "a time code is HH:MM:SS:FF"),
}  # fmt: skip

WHOLE = _names(
    """
    ab accurate_seek acodec af aframes an analyzeduration aq async atag avoid_negative_ts brand cluster_time_limit
    copytb copyts dn f fflags filter_complex frag_duration framerate hide_banner i id3v2_version ignore_editlist
    ignore_unknown itsoffset lavfi loglevel loop map map_chapters map_metadata max_interleave_delta movflags muxdelay
    muxpreload noaccurate_seek nostats nostdin probesize scodec shortest sn ss sseof start_at_zero stats stream_loop t
    to update v vcodec vf vframes video_track_timescale vn vsync vtag write_bext write_id3v1 write_tmcd write_xing y
    """
)
"""Options of the whole file or of the program, which take no specifier of streams."""

RENAMED = {"-vsync": "-fps_mode"}
"""What 9.0 knows by its newer name only, which 5.1 knows too."""
