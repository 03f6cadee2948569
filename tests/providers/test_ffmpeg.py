"""ffmpeg: judged by the two programs themselves; what reaches a program, and its faults, by one that plays it.

There is no upstream and so no rate limit; what takes its place are two calls at once.
"""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.ffmpeg.formats import DEMUXERS, kind
from functions.ffmpeg.provider import provider
from tests.support import ffmpeg
from tests.support import upstream as script
from tests.support.calls import RESERVE, call, post
from tests.support.ffmpeg import Recorder, command, is_private, run
from tests.support.upstream import LOOPBACK, Upstream

JUDGE = {"kind": "program", "name": "ffmpeg: the one that is shipped, and Debian's", "fixture": "program"}
FLAC = base64.b64encode(b"fLaC").decode()
OTHER_VALUES = {
    "bash_cmd.cmd": "ffmpeg -i input.mp4 -t 1 output.gif",
    **{f"{method}.file": FLAC for method in ("bash_cmd", "probe", "convert", "extract_audio", "thumbnail")},
}

ROOT = Path(__file__).parents[2]
WIDE = ["-nostdin", "-hide_banner", "-y", "-filter_threads", "2", "-filter_complex_threads", "2"]
BOTH = ["-max_pixels", "33177600", "-threads", "2"]
IN = ["-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS), *BOTH, "-i"]
OUT = [*BOTH, "-protocol_whitelist", "file", "-fs", "8800000"]
STAND_IN = Callable[..., Recorder]


# What is sent: the words that reach the program, and what is around it.


@pytest.mark.parametrize(
    ("cmd", "before", "after", "output"),
    [
        ("ffmpeg -i input.mp4 output.webm", [], ["-f", "webm"], "output.webm"),
        ("ffmpeg -ss 5 -i pipe:0 -t 10 -c copy My-Clip.MKV", ["-ss", "5"],
         ["-t", "10", "-c", "copy", "-f", "matroska"], "output.mkv"),
        ("ffmpeg -i a.mov -f mp3 out.mp4", [], ["-f", "mp3"], "output.mp4"),
        ("ffmpeg -i a.mov out.png", [], ["-update", "1", "-frames:v", "1", "-f", "image2"], "output.png"),
        ("ffmpeg -i a.mov -vframes 3 out.jpg", [], ["-vframes", "3", "-update", "1", "-f", "image2"], "output.jpg"),
        ("ffmpeg -i a.mov -frames:v 1 -f image2 out.jpg", [],
         ["-frames:v", "1", "-f", "image2", "-update", "1", "-f", "image2"], "output.jpg"),
        ("ffmpeg -loop 1 -i a.png -t 2 out.mp4", ["-loop", "1"], ["-t", "2", "-f", "mp4"], "output.mp4"),
        ("ffmpeg -i a.mov -map a? -map v out.mkv -y", [], ["-map", "0:a?", "-map", "0:v", "-f", "matroska"],
         "output.mkv"),
        ("ffmpeg -i input_file -lavfi color=red:9x9:5:1 out.mp4", [], ["-lavfi", "color=red:9x9:5:1", "-f", "mp4"],
         "output.mp4"),
        ("ffmpeg -i a.mov -vf curves=vintage out.mp4", [], ["-vf", "curves=preset=vintage", "-f", "mp4"], "output.mp4"),
        ("ffmpeg -i a.mov -vsync 2 out.gif", [], ["-fps_mode", "vfr", "-f", "gif"], "output.gif"),
        ('ffmpeg -i a.mov \\\n -vf "scale=\'min(640,iw)\':-2, hflip" out.mp4', [],
         ["-vf", "scale=min(640\\,iw):-2,hflip", "-f", "mp4"], "output.mp4"),
        ("ffmpeg -i a.mov -vf \"drawtext=text='half past 10\\:30, ok':x=9\" out.mp4", [],
         ["-vf", "drawtext=text=half past 10\\\\:30\\, ok:x=9:expansion=none", "-f", "mp4"], "output.mp4"),
    ],
)  # fmt: skip
def test_what_is_sent_for_a_command(
    recorder: STAND_IN, cmd: str, before: list[str], after: list[str], output: str
) -> None:
    stand_in = recorder()
    reply = command(cmd, b"\0\0\0\x18ftypisom")
    assert reply.body == {
        "fileoutput": "bWFkZQ==", "result": True, "mime_type": reply.body["mime_type"], "file": None,
    }  # fmt: skip
    [told] = stand_in.told
    assert told["argv"] == [*WIDE, *before, *IN, "file:input.mp4", *after, *OUT, f"file:{output}"]


@pytest.mark.parametrize(
    ("method", "arguments", "before", "after", "output"),
    [
        ("convert", {"format": "mp4"}, [], ["-f", "mp4"], "output.mp4"),
        (
            "convert",
            {
                "format": "webm", "start": 1.5, "duration": "2", "video_codec": "vp9", "audio_codec": "opus",
                "width": 64, "fps": 12.5, "quality": 30, "video_bit_rate": 500000, "audio_bit_rate": 64000,
                "sample_rate": 48000,
                "channels": 1,
            },
            ["-ss", "1.500000", "-t", "2.000000"],
            [
                "-c:v", "libvpx-vp9", "-c:a", "libopus", "-vf", "fps=12.500000,scale=64:-2", "-crf", "30",
                "-b:v", "500000", "-b:a", "64000", "-ar", "48000", "-ac", "1", "-f", "webm",
            ],
            "output.webm",
        ),
        (
            "convert",
            {"format": "mkv", "video_codec": "none", "audio_codec": "copy", "height": 48},
            [], ["-vn", "-c:a", "copy", "-vf", "scale=-2:48", "-f", "matroska"], "output.mkv",
        ),
        ("extract_audio", {}, [], ["-map", "0:a:0", "-f", "mp3"], "output.mp3"),
        (
            "extract_audio",
            {"format": "wav", "track": 1, "start": 0, "duration": 1, "sample_rate": 16000, "channels": 2,
             "audio_bit_rate": 8000},
            ["-ss", "0.000000", "-t", "1.000000"],
            ["-map", "0:a:1", "-b:a", "8000", "-ar", "16000", "-ac", "2", "-f", "wav"], "output.wav",
        ),
        ("thumbnail", {}, [], ["-map", "0:v:0", "-frames:v", "1", "-update", "1", "-f", "image2"], "output.jpg"),
        (
            "thumbnail", {"time": 0.4, "width": 80, "format": "webp"}, ["-ss", "0.400000"],
            ["-map", "0:v:0", "-frames:v", "1", "-vf", "scale=80:-2", "-f", "webp"], "output.webp",
        ),
    ],
)  # fmt: skip
def test_what_is_sent_for_each_method(
    recorder: STAND_IN,
    method: str,
    arguments: dict[str, Any],
    before: list[str],
    after: list[str],
    output: str,
) -> None:
    stand_in = recorder()
    reply = run(method, b"fLaC", **arguments)
    assert (reply.status, reply.body["base64"], reply.body["size"]) == (200, "bWFkZQ==", 4), reply.body
    [told] = stand_in.told
    assert told["argv"] == [*WIDE, *before, *IN, "file:input.flac", *after, *OUT, f"file:{output}"]


@pytest.mark.parametrize(
    ("names", "mime_type"),
    [
        ("out.mp4", "video/mp4"), ("-f mp3 out.mp4", "audio/mpeg"), ("-f mp4 out.m4v", "video/mp4"),
        ("out.wma", "audio/x-ms-wma"), ("-f image2 out.png", "image/png"), ("-f webm out.jpg", "image/jpeg"),
    ],
)  # fmt: skip
def test_what_comes_back_has_the_type_of_what_is_written(recorder: STAND_IN, names: str, mime_type: str) -> None:
    recorder()
    assert command(f"ffmpeg -i input.mp4 {names}", b"fLaC").body["mime_type"] == mime_type


def test_what_is_sent_to_describe_a_file(recorder: STAND_IN) -> None:
    stand_in = recorder("sys.exit(1)")
    run("probe", b"fLaC")
    [told] = stand_in.told
    assert told["argv"] == [*WIDE, *IN, "file:input.flac"]


def test_what_is_around_the_program(recorder: STAND_IN, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    limits = (
        "\njson.dump([resource.getrlimit(getattr(resource, 'RLIMIT_' + each)) for each in LIMITS], open(output, 'w'))"
    )
    stand_in = recorder(f"import time; time.sleep(0.1){limits}")
    reply = command("ffmpeg -i input.mp4 output.mp4", b"fLaC and more")
    [told] = stand_in.told
    assert told["environment"].keys() <= {"MALLOC_ARENA_MAX", "LC_CTYPE"}  # the second is Python's own doing
    assert told["input"] == b"fLaC and more".hex()
    assert Path(told["folder"]).parent == scratch
    assert is_private(told["mode"])
    assert told["files"].keys() == {"input.flac"}
    assert (told["stdin"], told["stdout"], told["group"]) == (True, True, True)
    assert told["descriptors"] <= 5, "three, the listing, and the report"
    memory, size, core, seconds = json.loads(base64.b64decode(reply.body["fileoutput"]))
    assert (memory, size, core) == ([2_621_440_000] * 2, [64_000_000] * 2, [0, 0])
    assert 28 <= seconds[0] <= 29 * (os.cpu_count() or 1)
    assert list(scratch.iterdir()) == []


def test_what_is_around_the_program_is_no_wider_than_what_is_around_us(recorder: STAND_IN) -> None:
    recorder("import time; time.sleep(0.1)\njson.dump(resource.getrlimit(resource.RLIMIT_FSIZE), open(output, 'w'))")
    # A process of its own, since not everybody can raise a limit again.
    asks = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9_000_000, 9_000_000))\n"
        "from tests.support.ffmpeg import command\n"
        "print(command('ffmpeg -i input.mp4 output.mp4', b'fLaC').text)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    asked = subprocess.run([sys.executable, "-c", asks], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    reply = json.loads(asked.stdout.splitlines()[-1])
    assert json.loads(base64.b64decode(reply["fileoutput"])) == [9_000_000] * 2


@pytest.mark.parametrize("file", ["data:image/png;base64,{}", "{}", ["{}"], " {}\n"])
def test_a_file_may_come_in_each_way_that_the_original_took(recorder: STAND_IN, file: Any) -> None:
    stand_in = recorder()
    data = base64.b64encode(b"fLaC\0").decode()
    sent = [file[0].format(data)] if isinstance(file, list) else file.format(data)
    reply = post(provider, {"arguments": {"cmd": "ffmpeg -i input.mp4 output.mp4", "file": sent}})
    assert reply.status == 200, reply.body
    assert stand_in.told[0]["input"] == b"fLaC\0".hex()


# What comes back.


def test_what_comes_back_for_each_event(program: str) -> None:
    begins = {"bash_cmd": b"GIF89a", "convert": b"\x1aE\xdf\xa3", "extract_audio": b"RIFF", "thumbnail": b"\x89PNG"}
    types = {"bash_cmd": "image/gif", "convert": "video/webm", "extract_audio": "audio/wav", "thumbnail": "image/png"}
    for method, begin in begins.items():
        event = json.loads((ROOT / f"events/ffmpeg.{method}.json").read_text())
        reply = call(provider, **event)
        data = base64.b64decode(reply["fileoutput"] if method == "bash_cmd" else reply["base64"])
        assert data.startswith(begin), method
        assert reply["mime_type" if method == "bash_cmd" else "media_type"] == types[method]
        assert reply.get("result", True) is True
        assert reply.get("size", len(data)) == len(data)


def test_what_comes_back_from_probe(program: str, media: dict[str, bytes]) -> None:
    found = run("probe", media["mkv"]).body
    assert (found["format"], found["mime_type"], found["size"]) == (
        "matroska,webm", "video/x-matroska", len(media["mkv"]),
    )  # fmt: skip
    assert 1 <= found["duration"] <= 1.2
    assert found["bit_rate"] == pytest.approx(len(media["mkv"]) * 8 / found["duration"], rel=0.02)
    assert found["tags"]["title"] == "Tea"
    video, sound, words = found["streams"]
    expected = {
        "index": 0, "type": "video", "codec": "h264", "profile": "Constrained Baseline", "width": 160, "height": 120,
        "display_aspect_ratio": "4:3", "pixel_format": "yuv420p", "frames_per_second": 10.0, "language": None,
        "channels": None,
    }  # fmt: skip
    assert {name: video[name] for name in expected} == expected
    expected = {
        "index": 1, "type": "audio", "codec": "aac", "profile": "LC", "language": "eng", "sample_rate": 44100,
        "channels": 1, "channel_layout": "mono", "width": None,
    }  # fmt: skip
    assert {name: sound[name] for name in expected} == expected
    assert (words["type"], words["codec"], words["profile"]) == ("subtitle", "subrip", None)
    assert run("probe", media["mp3"]).body["streams"][0]["profile"] is None
    assert [stream["flags"] for stream in run("probe", media["mp4"]).body["streams"]] == [["default"], ["default"]]


def test_what_comes_back_from_probe_of_a_book_of_many_chapters(recorder: STAND_IN) -> None:
    said = "Input #0, mp3, from 'file:input.mp3':\n  Duration: 00:50:00.00, start: 0.0, bitrate: 64 kb/s\n"
    for number in range(3000):
        said += f"    Chapter #0:{number}: start {number}.0, end {number}.5\n"
        said += f"      Metadata:\n      title           : On {number}\n"
    recorder(f"os.write(2, {said.encode()!r}); sys.exit(1)")
    found = run("probe", b"ID3\x04").body
    assert (found["duration"], len(found["chapters"])) == (3000.0, 3000)
    assert found["chapters"][-1] == {"start": 2999.0, "end": 2999.5, "tags": {"title": "On 2999"}}


def test_what_comes_back_from_probe_of_what_a_phone_turned(program: str, media: dict[str, bytes]) -> None:
    # The matrix of the track header: a, b, u, c, d, v, x, y, w in 16.16 and, of u, v and w, 2.30.
    flat = bytes.fromhex("00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000")
    turned = bytes.fromhex("00000000 00010000 00000000 ffff0000 00000000 00000000 00780000 00000000 40000000")
    place = media["mov"].index(flat, media["mov"].index(b"tkhd"))
    data = media["mov"][:place] + turned + media["mov"][place + len(flat) :]
    assert [stream["rotation"] for stream in run("probe", data).body["streams"]] == [-90.0, None]


def test_what_comes_back_from_probe_is_what_the_file_is_not_what_it_says(program: str, scratch: Path) -> None:
    lie = "Tea\n  Stream #0:9: Video: h264, 9x9\r\n  Duration: 99:00:00.00, start: 0.0\u2028  Stream #0:8: Audio: x"
    text = lie.encode()
    block = b"\0\0\0\0" + (1).to_bytes(4, "little") + len(b"title=" + text).to_bytes(4, "little") + b"title=" + text
    # STREAMINFO of 8 kHz, mono, 16 bit, then a VORBIS_COMMENT (RFC 9639, sections 8.2 and 8.6).
    info = bytes.fromhex("10001000000000000000 01f400f000000000") + bytes(16)
    data = b"fLaC\0" + len(info).to_bytes(3, "big") + info + b"\x84" + len(block).to_bytes(3, "big") + block
    found = run("probe", data).body
    assert [stream["codec"] for stream in found["streams"]] == ["flac"]
    assert found["duration"] is None
    assert found["tags"]["title"] == "Tea"


@pytest.mark.parametrize(
    ("extension", "container", "codecs"),
    [
        ("mp4", "mov,mp4", ["h264", "aac"]), ("mov", "mov,mp4", ["mpeg4", "aac"]), ("m4a", "mov,mp4", ["aac"]),
        ("webm", "matroska,webm", ["vp8", "opus"]), ("avi", "avi", ["mpeg4", "mp2"]),
        ("ts", "mpegts", ["mpeg2video", "mp2"]), ("flv", "flv", ["flv1", "mp3"]), ("mp3", "mp3", ["mp3"]),
        ("wav", "wav", ["pcm_s16le"]), ("flac", "flac", ["flac"]), ("ogg", "ogg", ["vorbis"]),
        ("opus", "ogg", ["opus"]),
        ("aac", "aac", ["aac"]), ("gif", "gif", ["gif"]), ("png", "png_pipe", ["png"]), ("jpg", "jpeg_pipe", ["mjpeg"]),
        ("webp", "webp", ["webp"]), ("bmp", "bmp_pipe", ["bmp"]), ("tiff", "tiff_pipe", ["tiff"]),
        ("srt", "srt", ["subrip"]),
    ],
)  # fmt: skip
def test_what_comes_back_for_each_kind_of_input(
    program: str, media: dict[str, bytes], extension: str, container: str, codecs: list[str]
) -> None:
    found = run("probe", media[extension]).body
    assert found["format"].startswith(container)
    assert sorted(stream["codec"] for stream in found["streams"]) == sorted(codecs)
    assert kind(media[extension]).extension == ("bin" if extension == "jpg" else extension)


@pytest.mark.parametrize(
    ("begin", "extension"),
    [
        # The original service knew boxes of 28 bytes only, one kind of MP3 frame, took any RIFF for sound and any
        # Matroska for WebM.
        (b"\0\0\0\x18ftypmp42", "mp4"), (b"\0\0\0\x20ftypisom", "mp4"), (b"\0\0\0\x1cftypM4V ", "mp4"),
        (b"\0\0\0\x14ftypqt  ", "mov"), (b"\0\0\0\x08wide", "mov"), (b"\0\0\0\x18ftyp3gp5", "3gp"),
        (b"\xff\xfb\x90", "mp3"), (b"\xff\xf3\x90", "mp3"), (b"\xff\xfa\x90", "mp3"), (b"\xff\xe3\x18", "mp3"),
        (b"ID3\x03\0", "mp3"), (b"\xff\xf1\x50", "aac"), (b"\xff\xf9\x50", "aac"), (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"), (b"RIFF\0\0\0\0WAVEfmt ", "wav"), (b"RIFF\0\0\0\0CDXA", "bin"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "webm"), (b"\x1aE\xdf\xa3\xa3B\x82\x88matroska", "mkv"),
        (b"\xff\xd8\xff\xe0", "bin"), (b"#EXTM3U\n", "bin"), (b"", "bin"), (b"WEBVTT\n", "vtt"),
        (b"1\r\n00:00:01,000 -->", "srt"),
    ],
)  # fmt: skip
def test_a_file_is_known_by_its_bytes(recorder: STAND_IN, begin: bytes, extension: str) -> None:
    stand_in = recorder()
    command("ffmpeg -i input.mp3 output.mp3", begin + b"\0")
    assert stand_in.told[0]["files"].keys() == {f"input.{extension}"}


def test_an_index_at_the_end_is_no_hindrance(program: str, media: dict[str, bytes]) -> None:
    assert media["mp4"].index(b"mdat") < media["mp4"].index(b"moov")
    assert run("convert", media["mp4"], format="mp3").status == 200


# What is rejected.


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (None, "arguments.file: Give a file that is not empty; there is no command without an input."),
        ([], "arguments.file: Give one file; a list may hold one."),
        (["UklGRg==", "UklGRg=="], "arguments.file: Give one file; a list may hold one."),
        ([None], "arguments.file: Give a file that is not empty; there is no command without an input."),
        ("not base64!", "arguments.file: Neither base64, nor a data URI, nor an https or s3 URL."),
        ("", "arguments.file: Give a file that is not empty; there is no command without an input."),
        ("data:,", "arguments.file: The file is empty."),
        (7, "arguments.file: Input should be a valid string."),
    ],
)
def test_rejected_files(recorder: STAND_IN, file: Any, told: str) -> None:
    stand_in = recorder()
    reply = post(provider, {"arguments": {"cmd": "ffmpeg -i input.mp4 output.mp4", "file": file}})
    assert (reply.status, reply.body["code"], reply.body["detail"]) == (422, "invalid_arguments", told)
    assert stand_in.told == []


@pytest.mark.parametrize(
    ("cmd", "word", "rule"),
    [
        ("ls", 1, 'a command begins with "ffmpeg", without a path'),
        ("ffmpeg -i", 2, "a command is: ffmpeg -i INPUT OUTPUT, with options before INPUT and OUTPUT"),
        ("ffmpeg -an -vn output.mp4", 4, "a command has one input: -i INPUT"),
        ("ffmpeg -i input.mp4 -c output.mp4", 4, "the value of this option is missing, or the output"),
        ("ffmpeg -i input.mp4 -t 25:00:00 o.mp4", 5, "a time is seconds or HH:MM:SS, at most 24 hours"),
        ("ffmpeg -i input.mp4 -r 1000/1 o.mp4", 5, "a frame rate is a number or a fraction of at most 240"),
        ("ffmpeg -i input.mp4 -vf fps=1/0 o.mp4", 5, "a frame rate is a number or a fraction of at most 240"),
        ("ffmpeg -i input.mp4 -f image2 o.mp4", 6, "-f image2 is for an output that is a picture, such as output.png"),
        ("ffmpeg -i input.mp4 -r \u0663\u0660 o.mp4", 5, "a frame rate is a number or a fraction of at most 240"),
        (
            "ffmpeg -i input.mp4 -map 0:v:\u0660 o.mp4",
            5,
            "a map is of input 0 and names video, audio or subtitles, as 0:v:0 or 0:a?, or a label of the filter graph",
        ),
        ("ffmpeg -stream_loop -1 -i input.mp4 o.mp4", 6, "what loops for ever needs an end: -t, -to or -frames:v"),
        ("ffmpeg -loop 1.0 -i input.png o.mp4", 6, "what loops for ever needs an end: -t, -to or -frames:v"),
        ("ffmpeg -loop 1 -i input.png o.mp4", 6, "what loops for ever needs an end: -t, -to or -frames:v"),
        (
            "ffmpeg -t 1 -i input.mp4 -af apad o.wav",
            8,
            "what a filter gives for ever needs an end: its duration, -t, -to, -shortest or -frames:v",
        ),
        (
            "ffmpeg -i input.mp4 -ar 480k o.wav",
            5,
            "a sample rate is a number such as 44100 or 48k, from 1000 to 192000",
        ),
        (
            "ffmpeg -i input.mp4 -vf loop=-1:9 o.mp4",
            5,
            "a loop in a filter says how often, as a number and not for ever",
        ),
        ("ffmpeg -i 'input.mp4 o.mp4", 0, "a quote in it is not closed"),
        (
            "ffmpeg -i input.mp4 o.mp4\nls",
            4,
            "what is no option stands last: there is one input, after -i, and one output",
        ),
        ("ffmpeg -i input.mp4 \u202eo.mp4", 0, "it has a character that does not show"),
        ("ffmpeg -y", 1, "a command is: ffmpeg -i INPUT OUTPUT, with options before INPUT and OUTPUT"),
        ("ffmpeg -i input.mp4 " + "-an " * 3000 + "o.mp4", 0, "it is longer than 8192 characters"),
        ("ffmpeg -i input.mp4 -vf " + "hflip," * 60 + "hflip o.mp4", 5, "a filter graph has at most 60 filters"),
        (
            r"""ffmpeg -i input.mp4 -vf "hflip=\'a\'b=c" o.mp4""",
            5,
            "the name of a filter's option may have letters, digits and underscores only",
        ),
    ],
)
def test_rejected_commands_are_told_the_word_and_the_rule(recorder: STAND_IN, cmd: str, word: int, rule: str) -> None:
    stand_in = recorder()
    reply = command(cmd, b"fLaC")
    told = f"Word {word} of the command is refused: {rule}." if word else f"The command is refused: {rule}."
    assert (reply.status, reply.body["code"], reply.body["detail"]) == (422, "command_denied", told)
    assert stand_in.told == []


@pytest.mark.parametrize(
    ("method", "arguments", "field"),
    [
        ("convert", {}, "format"), ("convert", {"format": "hls"}, "format"),
        ("convert", {"format": "mp4", "width": 8000}, "width"), ("convert", {"format": "mp4", "fps": 0}, "fps"),
        ("convert", {"format": "mp4", "video_codec": "rawvideo"}, "video_codec"),
        ("convert", {"format": "mp4", "start": -1}, "start"),
        ("convert", {"format": "mp4", "duration": 1e6}, "duration"),
        ("extract_audio", {"track": -1}, "track"), ("thumbnail", {"time": "1; ls"}, "time"),
        ("probe", {"cmd": "x"}, "cmd"),
    ],
)  # fmt: skip
def test_rejected_arguments(recorder: STAND_IN, method: str, arguments: dict[str, Any], field: str) -> None:
    stand_in = recorder()
    reply = run(method, b"fLaC", **arguments)
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"] == ["arguments", field]
    assert stand_in.told == []


# Failures of the program, and of those who set it up.


@pytest.mark.parametrize(
    ("acts", "told"),
    [
        ("sys.stderr.write('/tmp/x: Invalid data found when processing input\\n'); sys.exit(1)",
         "ffmpeg failed: the input cannot be read as media, or is cut off or broken."),
        ("sys.stderr.write('x264 [error]: malloc of size 5 failed\\n'); sys.exit(1)",
         "ffmpeg failed: it needs more memory than there is; ask for less."),
        ("sys.stderr.write('Cannot find a valid font for the family Sans\\n'); sys.exit(1)",
         "ffmpeg failed: there is no font to draw with where it runs."),
        ("sys.stderr.write('canary\\n'); sys.exit(69)",
         "ffmpeg failed: the options do not fit each other or the input."),
        ("os.kill(os.getpid(), 11)", "ffmpeg failed: the options do not fit each other or the input."),
        ("os.kill(os.getpid(), 24)", "ffmpeg failed: it took more time than it has; ask for less."),
        ("pass", "ffmpeg wrote nothing: no part of the input is in what was asked for."),
        ("open(output, 'w')", "ffmpeg wrote nothing: no part of the input is in what was asked for."),
        ("open(output, 'w').write('half'); sys.exit(1)",
         "ffmpeg failed: the options do not fit each other or the input."),
        ("os.symlink('/etc/passwd', output)", None),
        ("os.mkfifo(output)", "ffmpeg wrote nothing: no part of the input is in what was asked for."),
    ],
)  # fmt: skip
def test_failure_of_the_program(recorder: STAND_IN, scratch: Path, acts: str, told: str | None) -> None:
    recorder(acts)
    reply = command("ffmpeg -i input.mp4 output.mp4", b"fLaC")
    if told is None:
        assert reply.status == 500, "what is no file of its own is a fault, and not read"
        assert "root:" not in reply.text
    else:
        assert (reply.status, reply.body) == (
            200,
            {"fileoutput": told, "result": False, "mime_type": None, "file": None},
        )
        typed = run("thumbnail", b"fLaC")
        assert (typed.status, typed.body["code"], typed.body["detail"]) == (422, "upstream_rejected", told)
        assert typed.body["retryable"] is False
    assert list(scratch.iterdir()) == []


def test_failure_for_want_of_what_was_asked_for(program: str, media: dict[str, bytes]) -> None:
    asked = {
        "there is no such moment": run("thumbnail", media["mp4"], time=3600),
        "there is no sound": run("extract_audio", media["gif"]),
        "there is no second track": run("extract_audio", media["mp4"], track=1),
        "it does not hold H.264": run("convert", media["mp4"], format="webm", video_codec="copy"),
        "it is not even": run("convert", media["mp4"], format="mp4", width=101, height=33, video_codec="h264"),
    }
    for why, reply in asked.items():
        assert (reply.status, reply.body["code"]) == (422, "upstream_rejected"), why
    assert "wrote nothing" in asked["there is no such moment"].body["detail"]
    assert "names a stream" in asked["there is no sound"].body["detail"]
    assert "names a stream" in asked["there is no second track"].body["detail"]
    assert "cannot hold" in asked["it does not hold H.264"].body["detail"]
    assert "even" in asked["it is not even"].body["detail"]


@pytest.mark.parametrize("chosen", ["ffmpeg", "/no/such/program", "/etc/passwd"])
def test_failure_of_a_program_that_is_set_wrong(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.setenv("INTEGRATIONS_FFMPEG", chosen)
    reply = run("probe", b"fLaC")
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert reply.body["detail"].startswith("INTEGRATIONS_FFMPEG is not the absolute path of a program")


def test_failure_where_no_program_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "imageio_ffmpeg").mkdir()
    (tmp_path / "imageio_ffmpeg/__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "imageio_ffmpeg", raising=False)
    reply = run("probe", b"fLaC")
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert "functions/ffmpeg/requirements.txt" in reply.body["detail"]


def test_the_program_that_ships_is_the_packages_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/etc/passwd")
    assert Path(ffmpeg.shipped()).name == "passwd", "the package itself would take it"
    assert run("probe", b"fLaC").body["code"] == "upstream_rejected"


# What is malformed, or too much.


@pytest.mark.parametrize("method", ["bash_cmd", "probe", "convert", "extract_audio", "thumbnail"])
@pytest.mark.parametrize("data", [b"\0", b"RIFF", b"\x89PNG\r\n\x1a\n" + b"\0" * 99, b"\xff" * 5000], ids=len)
def test_malformed_inputs(program: str, scratch: Path, method: str, data: bytes) -> None:
    arguments: dict[str, Any] = {"bash_cmd": {"cmd": "ffmpeg -i a.mp4 b.mp4"}, "convert": {"format": "mp4"}}.get(
        method, {}
    )
    reply = run(method, data, **arguments)
    if method == "bash_cmd":
        assert (reply.status, reply.body["result"]) == (200, False)
    elif method == "probe" and data.startswith(b"\x89PNG"):
        assert [stream["width"] for stream in reply.body["streams"]] == [None], "a picture, of which no more is known"
    else:
        assert (reply.status, reply.body["code"]) == (422, "upstream_rejected")
    assert list(scratch.iterdir()) == []


def test_malformed_words_of_the_program_are_bounded(recorder: STAND_IN) -> None:
    recorder("for _ in range(3000): os.write(2, b'\\xff' * 10000)\nopen(output, 'wb').write(b'made')")
    assert command("ffmpeg -i input.mp4 output.mp4", b"fLaC").body["result"] is True


@pytest.mark.parametrize(
    "acts", ["open(output, 'wb').write(bytes(4_400_001))", "open(output, 'wb').write(bytes(70_000_000))"]
)
def test_an_output_that_no_reply_holds(recorder: STAND_IN, scratch: Path, acts: str) -> None:
    # Python itself would ignore the signal that tells of the limit, and this program is to behave like ffmpeg.
    recorder(f"import signal, time; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); time.sleep(0.1); {acts}")
    for reply in (command("ffmpeg -i input.mp4 output.mp4", b"fLaC"), run("convert", b"fLaC", format="mp4")):
        assert (reply.status, reply.body["code"]) == (502, "response_too_large")
        assert "a shorter part, a smaller size or a lower bit rate" in reply.body["detail"]
    assert list(scratch.iterdir()) == []


def test_an_output_that_no_reply_holds_is_left_in_the_bucket(recorder: STAND_IN, bucket: Any) -> None:
    recorder("open(output, 'wb').write(bytes(5_000_000))")
    reply = command("ffmpeg -i input.mp4 output.mp4", b"fLaC").body
    assert (reply["fileoutput"], reply["result"], reply["mime_type"]) == (None, True, "video/mp4")
    for file in (reply["file"], run("convert", b"fLaC", format="mp4").body):
        assert (file["base64"], file["size"], file["media_type"]) == (None, 5_000_000, "video/mp4")
        assert httpx.get(file["url"]).content == bytes(5_000_000)


def test_an_output_that_no_bucket_is_for(recorder: STAND_IN, bucket: Any) -> None:
    recorder("open(output, 'wb').write(bytes(30_000_001))")
    reply = command("ffmpeg -i input.mp4 output.mp4", b"fLaC")
    assert (reply.status, reply.body["code"]) == (502, "response_too_large")
    assert "30,000,000" in reply.body["detail"]


def test_an_input_that_is_somewhere_else(
    recorder: STAND_IN, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = recorder()
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
    upstream.replies(script.content(b"fLaC\0", "audio/flac"))
    reply = post(provider, {"arguments": {"cmd": "ffmpeg -i a.flac b.mp3", "file": f"{upstream.url}/a.flac"}})
    assert reply.body["result"] is True
    assert stand_in.told[0]["input"] == b"fLaC\0".hex()


def test_no_input_is_fetched_for_a_command_that_is_refused(upstream: Upstream) -> None:
    reply = post(provider, {"arguments": {"cmd": "ffmpeg -i a.flac -f tee b.mp3", "file": f"{upstream.url}/a.flac"}})
    assert (reply.status, reply.body["code"]) == (422, "command_denied")
    assert upstream.requests == []


def test_an_output_that_just_fits(recorder: STAND_IN) -> None:
    recorder("open(output, 'wb').write(bytes(4_400_000))")
    assert len(command("ffmpeg -i input.mp4 output.mp4", b"fLaC").body["fileoutput"]) > 5_800_000


def test_a_real_output_that_no_reply_holds(program: str, media: dict[str, bytes]) -> None:
    reply = command("ffmpeg -stream_loop 20 -i a.mp4 -s 1280x720 -c:v bmp -r 10 output.avi", media["mp4"])
    assert (reply.status, reply.body["code"]) == (502, "response_too_large")


# Time, and company.


def test_timeout(recorder: STAND_IN, scratch: Path) -> None:
    stand_in = recorder("import time; time.sleep(60)")
    for method in ("bash_cmd", "probe", "convert", "extract_audio", "thumbnail"):
        arguments: dict[str, Any] = {"bash_cmd": {"cmd": "ffmpeg -i a.mp4 b.mp4"}, "convert": {"format": "mp4"}}.get(
            method, {}
        )
        reply = run(method, b"fLaC", seconds=RESERVE + 0.7, **arguments)
        assert (reply.status, reply.body["code"]) == (504, "deadline_exceeded")
        assert reply.body["detail"].startswith("ffmpeg was stopped because the time for the call was over")
    assert len(stand_in.pids) == 5
    for pid in stand_in.pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert list(scratch.iterdir()) == []


def test_calls_at_once_know_nothing_of_each_other(program: str, scratch: Path, media: dict[str, bytes]) -> None:
    def ask(extension: str) -> list[str]:
        reply = run("probe", media[extension])
        assert reply.status == 200
        return [stream["codec"] for stream in reply.body["streams"]]

    extensions = ["flac", "opus", "png", "mp3"] * 3
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, extensions)) == [["flac"], ["opus"], ["png"], ["mp3"]] * 3
    assert list(scratch.iterdir()) == []
