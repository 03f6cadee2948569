"""The options that a command may have, each with the rule that its value fits. What is not here is refused.

Not on the lists, on purpose: what names a file (`-attach`, `-progress`, `-vstats_file`, `-passlogfile`, `-/option`, the
`-stats_*` of 6.1 and later), a demuxer, a device or a protocol; what takes options of its own (`-x264-params`); what
waits for no reason (`-re`); what takes a value in one version and none in another (`-autorotate`), since the word after
it, one of ours perhaps, would be that value. The names are those of ffmpeg(1) and ffmpeg-codecs(1).
"""

from functions.ffmpeg import rules
from functions.ffmpeg.filterlist import names
from functions.ffmpeg.filters import checked
from functions.ffmpeg.formats import DECODERS, ENCODERS, MUXERS

_muxer = rules.one_of(*sorted(MUXERS))
_word = rules.shaped(r"[A-Za-z0-9_.:-]{1,40}", "the value is a word")
_key_frames = rules.shaped(
    r"expr:[A-Za-z0-9_.,+*/()-]{1,120}|source|[0-9.:,]{1,200}|chapters[+-]?[0-9.]{0,10}",
    "the value is a list of times, or expr: and an expression",
)
_STREAM_FILTERS = "aac_adtstoasc dump_extra extract_extradata h264_mp4toannexb hevc_mp4toannexb null"
_filters = rules.shaped(
    "(?:{0})(?:,(?:{0}))*".format(_STREAM_FILTERS.replace(" ", "|")),
    f"a bit stream filter is one of: {_STREAM_FILTERS}",
)
_LOG = rules.one_of("quiet", "panic", "fatal", "error", "warning", "info", "verbose", "8", "16", "24", "32", "40")
_PATTERN_OF_COLOURS = rules.shaped(r"[a-z0-9_-]{1,24}", "the value is a name as ffmpeg has it")

EVERYWHERE: dict[str, rules.Rule | None] = {
    "y": None,
    "hide_banner": None,
    "nostdin": None,
    "stats": None,
    "nostats": None,
    "loglevel": _LOG,
    "v": _LOG,
    "ss": rules.time,
    "t": rules.time,
    "to": rules.time,
    "vn": None,
    "an": None,
    "sn": None,
    "dn": None,
    "r": rules.rate,
    "threads": rules.number(0, 16),
    "bitexact": None,
    "xerror": None,
}
INPUT: dict[str, rules.Rule | None] = EVERYWHERE | {
    "sseof": rules.time,
    "itsoffset": rules.time,
    "stream_loop": rules.number(-1, 100),
    "loop": rules.number(0, 1),
    "framerate": rules.rate,
    "skip_frame": rules.one_of("none", "default", "noref", "bidir", "nointra", "nokey"),
    "thread_queue_size": rules.number(1, 4096),
    "display_rotation": rules.number(-360, 360),
    "display_hflip": None,
    "display_vflip": None,
    "accurate_seek": None,
    "noaccurate_seek": None,
    "noautorotate": None,
    "ignore_editlist": rules.number(0, 1),
    "fflags": rules.flags("genpts", "igndts", "discardcorrupt", "fastseek", "nobuffer", "sortdts", "ignidx"),
    "err_detect": rules.flags("ignore_err", "crccheck", "careful", "explode", "aggressive"),
    "analyzeduration": rules.number(0, 100_000_000),
    "probesize": rules.number(32, 10_000_000),
    "c": rules.codec(DECODERS),
    "codec": rules.codec(DECODERS),
    "vcodec": rules.codec(DECODERS),
}
_QUALITY = rules.number(0, 100)
_SMALL = rules.number(-1, 1000)
OUTPUT: dict[str, rules.Rule | None] = EVERYWHERE | {
    # What goes in, and as what it comes out.
    "f": _muxer,
    "c": rules.codec(ENCODERS),
    "codec": rules.codec(ENCODERS),
    "vcodec": rules.codec(ENCODERS),
    "acodec": rules.codec(ENCODERS),
    "scodec": rules.codec(ENCODERS),
    "map": rules.mapped,
    "map_metadata": rules.shaped(r"-1|0(?::[gs](?::[vas])?(?::\d{1,2})?)?", "the value is -1 or 0"),
    "map_chapters": rules.number(-1, 0),
    "metadata": rules.metadata,
    "disposition": rules.flags("default", "forced", "attached_pic", "original", "dub", "comment", "0"),
    "shortest": None,
    "frames": rules.number(0, 100_000),
    "vframes": rules.number(0, 100_000),
    "aframes": rules.number(0, 10_000_000),
    "bsf": _filters,
    "tag": rules.shaped(r"[A-Za-z0-9]{4}", "a tag is four letters or digits"),
    "vtag": rules.shaped(r"[A-Za-z0-9]{4}", "a tag is four letters or digits"),
    "atag": rules.shaped(r"[A-Za-z0-9]{4}", "a tag is four letters or digits"),
    # Filters.
    "vf": checked,
    "af": checked,
    "filter": checked,
    "filter_complex": checked,
    "lavfi": checked,
    "sws_flags": rules.flags(
        "fast_bilinear", "bilinear", "bicubic", "neighbor", "area", "bicublin", "gauss", "sinc", "lanczos", "spline",
        "accurate_rnd", "full_chroma_int", "full_chroma_inp", "bitexact",
    ),
    # Rate control.
    "crf": rules.number(-1, 63),
    "qp": rules.number(-1, 255),
    "q": _QUALITY,
    "qscale": _QUALITY,
    "aq": _QUALITY,
    "b": rules.bit_rate,
    "ab": rules.bit_rate,
    "maxrate": rules.bit_rate,
    "minrate": rules.bit_rate,
    "bufsize": rules.bit_rate,
    "qmin": _SMALL,
    "qmax": _SMALL,
    "qdiff": _SMALL,
    "qcomp": _SMALL,
    "qblur": _SMALL,
    "i_qfactor": _SMALL,
    "b_qfactor": _SMALL,
    "preset": rules.shaped(
        r"ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo|default|picture|photo|drawing|icon|"
        r"text|none|-?\d{1,2}",
        "a preset is one of ultrafast to placebo, of the encoder's own names, or a number",
    ),
    "tune": rules.shaped(r"[a-z]{1,20}(?:[,+][a-z]{1,20}){0,3}|\d", "the value is a name that the encoder has"),
    "profile": rules.shaped(r"[A-Za-z0-9_.-]{1,24}", "a profile is a name or a number"),
    "level": rules.shaped(r"\d{1,3}(?:\.\d)?b?|auto", "a level is a number such as 4.1"),
    "lossless": rules.number(0, 1),
    "deadline": rules.one_of("good", "best", "realtime"),
    "quality": rules.shaped(r"good|best|realtime|\d{1,3}(\.\d\d?)?", "the value is good, best, realtime or a number"),
    "cpu-used": rules.number(-16, 16),
    "speed": rules.number(0, 16),
    "row-mt": rules.number(0, 1),
    "tile-columns": rules.number(0, 6),
    "tile-rows": rules.number(0, 6),
    "tiles": rules.shaped(r"\d{1,2}x\d{1,2}", "the value is COLUMNSxROWS"),
    "frame-parallel": rules.number(0, 1),
    "auto-alt-ref": rules.number(0, 6),
    "lag-in-frames": rules.number(0, 35),
    "arnr-maxframes": rules.number(0, 15),
    "arnr-strength": rules.number(0, 6),
    "aq-mode": rules.number(-1, 4),
    "static-thresh": rules.number(0, 1_000_000),
    "max-intra-rate": rules.number(0, 10_000),
    "error-resilient": rules.number(0, 3),
    "usage": rules.one_of("good", "realtime", "allintra"),
    "still-picture": rules.number(0, 1),
    "g": rules.number(0, 10_000),
    "keyint_min": rules.number(0, 10_000),
    "sc_threshold": rules.number(0, 1_000_000_000),
    "bf": rules.number(-1, 16),
    "refs": rules.number(0, 16),
    "b_strategy": rules.number(0, 2),
    "trellis": rules.number(-1, 2),
    "subq": rules.number(0, 11),
    "me_range": rules.number(-1, 256),
    "me_method": _word,
    "mbd": _word,
    "coder": _word,
    "context": rules.number(0, 1),
    "slices": rules.number(0, 64),
    "slicecrc": rules.number(-1, 2),
    "vendor": rules.shaped(r"[A-Za-z0-9 ]{4}", "a vendor is four letters or digits"),
    "bits_per_mb": rules.number(0, 8192),
    "alpha_bits": rules.number(0, 16),
    "aspect": rules.shaped(r"\d{1,5}(?::\d{1,5}|\.\d{1,6})?", "an aspect is WIDTH:HEIGHT or a number"),
    # Pictures.
    "s": rules.size,
    "fpsmax": rules.rate,
    "pix_fmt": rules.shaped(r"\+?[a-z0-9_]{1,24}", "a pixel format is a name such as yuv420p"),
    "color_range": _PATTERN_OF_COLOURS,
    "color_primaries": _PATTERN_OF_COLOURS,
    "color_trc": _PATTERN_OF_COLOURS,
    "colorspace": _PATTERN_OF_COLOURS,
    "chroma_sample_location": _PATTERN_OF_COLOURS,
    "field_order": _PATTERN_OF_COLOURS,
    "top": rules.number(-1, 1),
    "force_key_frames": _key_frames,
    "vsync": rules.vsync,
    "fps_mode": rules.one_of("auto", "cfr", "vfr", "passthrough"),
    "update": rules.number(0, 1),
    "loop": rules.number(-1, 65_535),
    "plays": rules.number(0, 65_535),
    "final_delay": rules.number(-1, 65_535),
    "pred": _word,
    "dpi": rules.number(0, 65_536),
    "compression_level": rules.number(-1, 100),
    "huffman": rules.one_of("default", "optimal"),
    # Sound.
    "ar": rules.sample_rate,
    "ac": rules.number(1, 16),
    "sample_fmt": rules.shaped(r"(?:u8|s16|s32|s64|flt|dbl)p?", "a sample format is a name such as s16"),
    "channel_layout": rules.shaped(r"[A-Za-z0-9.()]{1,24}", "a channel layout is a name such as stereo"),
    "ch_layout": rules.shaped(r"[A-Za-z0-9.()]{1,24}", "a channel layout is a name such as stereo"),
    "vbr": rules.shaped(r"on|off|constrained|[0-5]", "the value is on, off, constrained or a number from 0 to 5"),
    "application": rules.one_of("voip", "audio", "lowdelay"),
    "frame_duration": rules.number(2.5, 120),
    "joint_stereo": rules.number(0, 1),
    "abr": rules.number(0, 1),
    "cutoff": rules.number(0, 96_000),
    "aac_coder": rules.one_of("anmr", "twoloop", "fast"),
    # The file.
    "movflags": rules.flags(
        "faststart", "frag_keyframe", "empty_moov", "default_base_moof", "separate_moof", "use_metadata_tags",
        "negative_cts_offsets", "write_colr", "omit_tfhd_offset", "disable_chpl", "skip_trailer", "dash", "cmaf",
    ),
    "brand": rules.shaped(r"[A-Za-z0-9 ]{4}", "a brand is four letters or digits"),
    "video_track_timescale": rules.number(0, 1_000_000),
    "frag_duration": rules.number(0, 1_000_000_000),
    "id3v2_version": rules.number(0, 4),
    "write_id3v1": rules.number(0, 1),
    "write_xing": rules.number(0, 1),
    "write_bext": rules.number(0, 1),
    "write_tmcd": rules.number(-1, 1),
    "fflags": rules.flags("bitexact", "flush_packets", "genpts", "autobsf", "shortest"),
    "flags": rules.flags(
        "bitexact", "global_header", "cgop", "ilme", "ildct", "low_delay", "loop", "mv4", "aic", "qpel", "gray", "mv0",
        "output_corrupt", "copy_opaque",
    ),
    "strict": rules.one_of("experimental", "unofficial", "normal", "strict", "very", "-2", "-1", "0", "1", "2"),
    "avoid_negative_ts": rules.one_of("auto", "make_zero", "make_non_negative", "disabled", "-1", "0", "1", "2"),
    "copyts": None,
    "start_at_zero": None,
    "copytb": rules.number(-1, 1),
    "async": rules.number(0, 10_000),
    "muxdelay": rules.number(0, 10),
    "muxpreload": rules.number(0, 10),
    "max_muxing_queue_size": rules.number(1, 10_000),
    "max_interleave_delta": rules.number(0, 1_000_000_000),
    "cluster_time_limit": rules.number(0, 100_000),
    "ignore_unknown": None,
    "timecode": rules.shaped(r"\d\d:\d\d:\d\d[:;.]\d\d", "a time code is HH:MM:SS:FF"),
}  # fmt: skip

WHOLE = names(
    """
    ab accurate_seek acodec af aframes an analyzeduration aq async atag avoid_negative_ts brand cluster_time_limit
    copytb copyts dn f fflags filter_complex frag_duration framerate hide_banner i id3v2_version ignore_editlist
    ignore_unknown itsoffset lavfi loglevel loop map map_chapters map_metadata max_interleave_delta movflags muxdelay
    muxpreload noaccurate_seek nostats nostdin probesize scodec shortest sn ss sseof start_at_zero stats stream_loop t
    thread_queue_size to update v vcodec vf vframes video_track_timescale vn vsync vtag write_bext write_id3v1
    write_tmcd write_xing xerror y
    """
)
"""Options of the whole file or of the program, which take no specifier of streams."""

RENAMED = {"-vsync": "-fps_mode"}
"""What 9.0 knows by its newer name only, which 5.1 knows too."""
