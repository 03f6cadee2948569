"""What goes in and what comes out: files known by their bytes, demuxers, muxers and encoders by their names.

The names are those of `ffmpeg -demuxers`, `-muxers` and `-encoders`, versions 5.1 to 9.0. A list is what keeps a
hostile file in: demuxers that are not on it (hls, dash, concat, sdp, image2, lavfi) open other files or hosts by
themselves.
"""

import re
from typing import NamedTuple

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "asf", "mpeg", "mpegts", "ogg",
    "mp3", "aac", "ac3", "eac3", "wav", "w64", "flac", "aiff", "amr", "au", "caf", "wv",
    "png_pipe", "apng", "jpeg_pipe", "gif", "gif_pipe", "webp_pipe", "webp_anim", "bmp_pipe", "tiff_pipe",
    "srt", "webvtt", "ass",
)  # fmt: skip
"""What an input may be. Raw video and text art are left out: anything at all would be read as those."""


class Kind(NamedTuple):
    """What a file is by its bytes: the extension to store it under, and its media type."""

    extension: str
    mime_type: str


UNKNOWN = Kind("bin", "application/octet-stream")

# The first bytes of a file; of an ISO one the brand says which (ISO/IEC 14496-12), of a RIFF one the form.
_BRANDS = {
    b"qt  ": Kind("mov", "video/quicktime"),
    b"M4A ": Kind("m4a", "audio/mp4"),
    b"M4B ": Kind("m4a", "audio/mp4"),
    b"avif": Kind("avif", "image/avif"),
    b"avis": Kind("avif", "image/avif"),
    b"3gp": Kind("3gp", "video/3gpp"),
    b"3g2": Kind("3g2", "video/3gpp2"),
    b"": Kind("mp4", "video/mp4"),
}
_SIGNATURES = (
    # Any first box: the original service knew a ftyp of 28 bytes alone. A QuickTime file may begin with its data.
    (rb"....ftyp(?P<brand>....)", None),
    (rb"....(?:moov|mdat|wide|free|skip|pnot)", Kind("mov", "video/quicktime")),
    (rb"\x1aE\xdf\xa3.{0,64}?webm", Kind("webm", "video/webm")),
    (rb"\x1aE\xdf\xa3", Kind("mkv", "video/x-matroska")),
    (rb"(?:RIFF|RF64|BW64)....WAVE", Kind("wav", "audio/wav")),
    (rb"RIFF....AVI ", Kind("avi", "video/x-msvideo")),
    (rb"RIFF....WEBP", Kind("webp", "image/webp")),
    (rb"OggS.{24}(?:.{0,4})OpusHead", Kind("opus", "audio/ogg")),
    (rb"OggS.{24}(?:.{0,4})\x80theora", Kind("ogv", "video/ogg")),
    (rb"OggS", Kind("ogg", "audio/ogg")),
    (rb"fLaC", Kind("flac", "audio/flac")),
    (rb"\x89PNG\r\n\x1a\n", Kind("png", "image/png")),
    # By the name .jpg ffmpeg would choose image2, which reads other files too, before jpeg_pipe.
    (rb"\xff\xd8\xff", Kind("bin", "image/jpeg")),
    (rb"GIF8[79]a", Kind("gif", "image/gif")),
    (rb"BM.{4}\x00\x00\x00\x00", Kind("bmp", "image/bmp")),
    (rb"II\*\x00|MM\x00\*", Kind("tiff", "image/tiff")),
    (rb"FORM....AIF[FC]", Kind("aiff", "audio/aiff")),
    (rb"FLV\x01", Kind("flv", "video/x-flv")),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("asf", "video/x-ms-asf")),
    (rb"\x00\x00\x01\xba", Kind("mpg", "video/mpeg")),
    (rb"G.{187}G.{187}G", Kind("ts", "video/mp2t")),
    (rb"#!AMR", Kind("amr", "audio/amr")),
    (rb"caff\x00\x01", Kind("caf", "audio/x-caf")),
    (rb"\x0b\x77", Kind("ac3", "audio/ac3")),
    (rb"\.snd", Kind("au", "audio/basic")),
    (rb"wvpk", Kind("wv", "audio/x-wavpack")),
    # ADTS has layer 0 where MPEG audio has 1 to 3 (ISO/IEC 13818-7, 11172-3); any version, with or without a checksum.
    (rb"\xff[\xf0\xf1\xf8\xf9]", Kind("aac", "audio/aac")),
    (rb"ID3[\x02-\x04]|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]", Kind("mp3", "audio/mpeg")),
    (rb"(?:\xef\xbb\xbf)?WEBVTT", Kind("vtt", "text/vtt")),
    (rb"(?:\xef\xbb\xbf)?\s*\d+\s*\r?\n\d+:\d\d:\d\d,\d", Kind("srt", "application/x-subrip")),
    (rb"(?:\xef\xbb\xbf)?\[Script Info\]", Kind("ass", "text/x-ssa")),
)


def kind(data: bytes) -> Kind:
    """Say what the bytes are. What is not known is no error here: the demuxers decide."""
    for signature, found in _SIGNATURES:
        if match := re.match(signature, data[:600], re.DOTALL):
            return found or _of_brand(match["brand"])
    return UNKNOWN


def _of_brand(brand: bytes) -> Kind:
    return next(found for begin, found in _BRANDS.items() if brand.startswith(begin))


class Format(NamedTuple):
    """What a file may come out as: its media type, the muxer, and whether it is a single picture."""

    mime_type: str
    muxer: str
    picture: bool = False


FORMATS = {
    "mp4": Format("video/mp4", "mp4"),
    "m4v": Format("video/mp4", "mp4"),
    "mov": Format("video/quicktime", "mov"),
    "mkv": Format("video/x-matroska", "matroska"),
    "webm": Format("video/webm", "webm"),
    "avi": Format("video/x-msvideo", "avi"),
    "flv": Format("video/x-flv", "flv"),
    "wmv": Format("video/x-ms-wmv", "asf"),
    "mpg": Format("video/mpeg", "mpeg"),
    "mpeg": Format("video/mpeg", "mpeg"),
    "ts": Format("video/mp2t", "mpegts"),
    "3gp": Format("video/3gpp", "3gp"),
    "3g2": Format("video/3gpp2", "3g2"),
    "ogv": Format("video/ogg", "ogv"),
    "mp3": Format("audio/mpeg", "mp3"),
    "m4a": Format("audio/mp4", "ipod"),
    "aac": Format("audio/aac", "adts"),
    "wav": Format("audio/wav", "wav"),
    "flac": Format("audio/flac", "flac"),
    "ogg": Format("audio/ogg", "ogg"),
    "oga": Format("audio/ogg", "oga"),
    "opus": Format("audio/ogg", "opus"),
    "aiff": Format("audio/aiff", "aiff"),
    "wma": Format("audio/x-ms-wma", "asf"),
    "ac3": Format("audio/ac3", "ac3"),
    "caf": Format("audio/x-caf", "caf"),
    "mp2": Format("audio/mpeg", "mp2"),
    "gif": Format("image/gif", "gif"),
    "apng": Format("image/apng", "apng"),
    "webp": Format("image/webp", "webp"),
    "avif": Format("image/avif", "avif"),
    "png": Format("image/png", "image2", picture=True),
    "jpg": Format("image/jpeg", "image2", picture=True),
    "jpeg": Format("image/jpeg", "image2", picture=True),
    "bmp": Format("image/bmp", "image2", picture=True),
    "tif": Format("image/tiff", "image2", picture=True),
    "tiff": Format("image/tiff", "image2", picture=True),
    "srt": Format("application/x-subrip", "srt"),
    "vtt": Format("text/vtt", "webvtt"),
    "ass": Format("text/x-ssa", "ass"),
}
"""By the extension of the output."""

INPUT_EXTENSIONS = frozenset(
    {*FORMATS, "asf", "amr", "au", "bin", "eac3", "heic", "heif", "jfif", "m2ts", "m4b", "mka", "mts", "qt", "ssa"}
    | {"vob", "wv", "w64"}
)
"""What the name of the input may end in; which one it is changes nothing, the bytes decide."""

MUXERS = frozenset(form.muxer for form in FORMATS.values())
"""What `-f` may name before the output; image2, which can write many files, only before a single picture."""

ENCODERS = frozenset({
    "copy", "none",
    "libx264", "libx264rgb", "h264", "libx265", "hevc", "libvpx", "vp8", "libvpx-vp9", "vp9", "libaom-av1",
    "libsvtav1", "av1", "mpeg4", "libxvid", "mpeg2video", "mpeg1video", "h263", "flv", "flv1", "wmv2", "theora",
    "libtheora", "prores", "prores_ks", "dnxhd", "ffv1", "huffyuv", "ffvhuff",
    "utvideo", "mjpeg", "png", "apng", "gif", "libwebp", "libwebp_anim",
    "webp", "bmp", "tiff",
    "aac", "libmp3lame", "mp3", "libopus", "opus", "libvorbis", "vorbis", "flac", "alac", "ac3", "eac3", "mp2",
    "libtwolame", "wmav2", "wavpack", "tta", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le",
    "pcm_f32le", "pcm_u8", "pcm_mulaw", "pcm_alaw", "libopencore_amrnb",
    "srt", "subrip", "mov_text", "webvtt", "ass", "ssa",
})  # fmt: skip
"""What `-c` may name. Raw video is left out: a second of it can be larger than any reply."""

DECODERS = frozenset({"libvpx", "libvpx-vp9"})
"""What `-c` may name before the input: those that read the transparency of WebM, which ffmpeg's own do not."""
