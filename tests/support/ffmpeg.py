"""Both programs that ffmpeg's methods must work with, small media made by them, hostile inputs, and witnesses."""

import base64
import ctypes
import json
import os
import selectors
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from functions.ffmpeg.provider import provider
from tests.support.artifact import once
from tests.support.calls import Response, post
from tests.support.requirements_of_peers import peer_is_missing

DEBIAN = "/usr/bin/ffmpeg"


def shipped() -> str:
    """Give the program of imageio-ffmpeg, found by the package's own means and not by ours."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(params=["shipped", "debian"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two programs in turn, set as the one to run."""
    if request.param == "shipped":
        return shipped()
    if not Path(DEBIAN).exists():
        peer_is_missing("Debian's package ffmpeg is not installed")
    monkeypatch.setenv("INTEGRATIONS_FFMPEG", DEBIAN)
    return DEBIAN


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that takes the place of /tmp, so that what is left behind in it shows."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def run(method: str, data: bytes | None, *, seconds: float = 30.0, **arguments: Any) -> Response:
    """Call a method over HTTP with the bytes of a file."""
    file = {} if data is None else {"file": base64.b64encode(data).decode()}
    return post(provider, {"arguments": file | arguments}, method=method, seconds=seconds)


def command(cmd: str, data: bytes, *, seconds: float = 30.0) -> Response:
    """Call bash_cmd."""
    return run("bash_cmd", data, cmd=cmd, seconds=seconds)


# Media.

_VIDEO = "-f lavfi -i testsrc=size=160x120:rate=10:duration=1"
_SOUND = "-f lavfi -i sine=duration=1:sample_rate=44100"
_EXACT = "-fflags +bitexact -flags:v +bitexact -flags:a +bitexact"
_MEDIA = {
    "mp4": f"{_VIDEO} {_SOUND} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
    "mov": f"{_VIDEO} {_SOUND} -c:v mpeg4 -c:a aac",
    "mkv": f"{_VIDEO} {_SOUND} -i words.srt -map 0 -map 1 -map 2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p "
    "-c:a aac -c:s srt -metadata title=Tea -metadata:s:a language=eng",
    "webm": f"{_VIDEO} {_SOUND} -c:v libvpx -deadline realtime -cpu-used 8 -c:a libopus",
    "avi": f"{_VIDEO} {_SOUND} -c:v mpeg4 -c:a mp2",
    "ts": f"{_VIDEO} {_SOUND} -c:v mpeg2video -c:a mp2",
    "flv": f"{_VIDEO} {_SOUND} -c:v flv -c:a libmp3lame",
    "mp3": f"{_SOUND} -metadata title=Tea",
    "wav": f"{_SOUND}",
    "flac": f"{_SOUND}",
    "ogg": f"{_SOUND} -c:a libvorbis",
    "opus": f"{_SOUND} -c:a libopus",
    "aac": f"{_SOUND} -c:a aac",
    "m4a": f"{_SOUND} -c:a aac",
    "gif": f"{_VIDEO} -t 0.3",
    "png": f"{_VIDEO} -frames:v 1 -update 1",
    "jpg": f"{_VIDEO} -frames:v 1 -update 1",
    "webp": f"{_VIDEO} -frames:v 1",
    "bmp": f"{_VIDEO} -frames:v 1 -update 1",
    "tiff": f"{_VIDEO} -frames:v 1 -update 1",
}
WORDS = b"1\n00:00:00,100 --> 00:00:00,900\nHello\n"


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A second of test picture and tone in each format, by extension."""
    folder = once(tmp_path_factory, "media", _make_media)
    return {path.suffix[1:]: path.read_bytes() for path in folder.iterdir()}


def _make_media(folder: Path) -> None:
    (folder / "words.srt").write_bytes(WORDS)
    for extension, options in _MEDIA.items():
        argv = [shipped(), "-v", "error", "-y", *options.split(), *_EXACT.split(), f"media.{extension}"]
        subprocess.run(argv, cwd=folder, check=True, stdin=subprocess.DEVNULL)


# A program that plays ffmpeg: it tells what reached it, and does what a test asks.

_RECORDER = """#!{python} -IS
import json, os, resource, stat, sys
LIMITS = ("AS", "FSIZE", "CORE", "CPU")
with open({told!r} + str(os.getpid()), "w") as file:
    json.dump(
        {{
            "argv": sys.argv[1:],
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "mode": stat.S_IMODE(os.stat(".").st_mode),
            "files": {{name: stat.S_IMODE(os.stat(name).st_mode) for name in os.listdir(".")}},
            "input": open([name for name in os.listdir(".") if name.startswith("input.")][0], "rb").read().hex(),
            "stdin": os.fstat(0).st_rdev == os.stat("/dev/null").st_rdev,
            "stdout": os.fstat(1).st_rdev == os.stat("/dev/null").st_rdev,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "group": os.getpgid(0) == os.getpid(),
        }},
        file,
    )
output = sys.argv[-1].removeprefix("file:")
{acts}
"""


@dataclass
class Recorder:
    """A stand-in for ffmpeg and what reached it."""

    folder: Path
    acts: str = "open(output, 'wb').write(b'made')"

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = self.folder / "recorder.py"
        told = str(self.folder / "told-")
        path.write_text(_RECORDER.format(python=sys.executable, told=told, acts=self.acts))
        path.chmod(0o755)
        monkeypatch.setenv("INTEGRATIONS_FFMPEG", str(path))

    @property
    def told(self) -> list[dict[str, Any]]:
        """Give what each run was given, in no order."""
        return [json.loads(path.read_text()) for path in self.folder.glob("told-*")]

    @property
    def pids(self) -> list[int]:
        """Give the process number of each run."""
        return [int(path.name.removeprefix("told-")) for path in self.folder.glob("told-*")]


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorder]:
    """Put a stand-in in the place of ffmpeg: `recorder("what it does, in Python")`."""
    folder = tmp_path / "recorder"
    folder.mkdir()

    def install(*acts: str) -> Recorder:
        installed = Recorder(folder, *acts)
        installed.install(monkeypatch)
        return installed

    return install


# Witnesses.


class Canary:
    """A server on loopback that answers no one and counts who comes, by TCP and by UDP."""

    def __init__(self) -> None:
        self.hits = 0
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as waiting:
            for sock in (self._tcp, self._udp, self._woken):
                waiting.register(sock, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in waiting.select()}
                if self._tcp in ready:
                    self._tcp.accept()[0].close()
                    self.hits += 1
                if self._udp in ready:
                    self._udp.recv(65536)
                    self.hits += 1
                if self._woken in ready:
                    return

    def close(self) -> None:
        self._wake.send(b".")
        self._thread.join()
        for sock in (self._tcp, self._udp, self._wake, self._woken):
            sock.close()


@dataclass
class Witnesses:
    """A server nobody may come to, a file nobody may open, and a folder nothing may be left in."""

    server: Canary
    secret: Path
    opened: Callable[[], bool]
    scratch: Path
    around: Path
    before: set[str] = field(default_factory=set)

    def check(self, reply: Response) -> None:
        assert self.server.hits == 0, "it came to the server"
        assert not self.opened(), "it opened the file"
        assert "canary" not in reply.text
        assert list(self.scratch.iterdir()) == []
        assert {str(path) for path in self.around.rglob("*")} == self.before


_IN_OPEN = 0x20  # of linux/inotify.h
_IN_NONBLOCK = 0x800


@contextmanager
def _opens(path: Path) -> Iterator[Callable[[], bool]]:
    """Say, when asked, whether anybody has opened the file since."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(_IN_NONBLOCK)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(path), _IN_OPEN) >= 0

    def seen() -> bool:
        try:
            return bool(os.read(watch, 4096))
        except BlockingIOError:
            return False

    try:
        yield seen
    finally:
        os.close(watch)


@pytest.fixture
def witnesses(tmp_path: Path, scratch: Path) -> Iterator[Witnesses]:
    """Witnesses of what a hostile input tries."""
    around = tmp_path / "around"
    around.mkdir()
    secret = around / "secret.ts"
    secret.write_bytes(b"G" + b"canary" * 31 + b"\0")
    server = Canary()
    with _opens(secret) as opened:
        yield Witnesses(server, secret, opened, scratch, around, {str(secret)})
    server.close()


# Inputs that ask a player to open something else.


def hostile_inputs(secret: Path, port: int, media: dict[str, bytes]) -> dict[str, bytes]:
    """Give hostile files by what they try. `secret` is a file, `port` one of a server on loopback."""
    url = f"http://127.0.0.1:{port}"
    playlist = _playlist(f"file://{secret}")
    return {
        "playlist with a file": playlist,
        "playlist with a bare path": _playlist(str(secret)),
        "playlist with a segment of a server": _playlist(f"{url}/segment.ts"),
        "playlist with a key": _playlist(f"{url}/1.ts", f'#EXT-X-KEY:METHOD=AES-128,URI="{url}/key"\n'),
        "playlist with a map": _playlist(f"{url}/1.ts", f'#EXT-X-MAP:URI="file://{secret}"\n'),
        "playlist of nested protocols": _playlist(f"concat:file://{secret}|subfile,,start,0,end,9,,:{secret}"),
        "master playlist": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}/a.m3u8\n".encode(),
        "playlist after an ID3 tag": b"ID3\x04\0\0\0\0\0\0" + playlist,
        "playlist after a picture": media["png"] + playlist,
        "playlist in the subtitles of an AVI": avi_with_subtitles(media["jpg"], playlist),
        "SDP": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n".encode(),
        "RTSP redirect": f"RTSPtextRTSP://127.0.0.1:{port}/x\n".encode(),
        "concat script": f"ffconcat version 1.0\nfile '{secret}'\nfile {url}/x.ts\n".encode(),
        "DASH": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            f'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><BaseURL>{url}/</BaseURL>'
            '<Representation id="1" bandwidth="1"><SegmentList><SegmentURL media="x.mp4"/></SegmentList>'
            "</Representation>"
            "</AdaptationSet></Period></MPD>"
        ).encode(),
        "SVG with a picture": (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
            f'<image xlink:href="file://{secret}" width="9" height="9"/><image xlink:href="{url}/x.png"/></svg>'
        ).encode(),
        "XML with an entity": f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><svg>&e;</svg>'.encode(),
        "AviSynth script": f'DirectShowSource("{secret}")\n'.encode(),
        "MOV with its data elsewhere": mov_with_data_elsewhere(media["mov"], secret),
        "plain text": b"root:x:0:0:root:/root:/bin/bash\n" * 20,
    }


def _playlist(target: str, before: str = "") -> bytes:
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
    return f"{head}{before}#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n".encode()


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def avi_with_subtitles(picture: bytes, subtitles: bytes) -> bytes:
    """Make an AVI of one JPEG picture and of a subtitle file, which lies in a chunk that begins with GAB2.

    The layout is that of the RIFF AVI file format, and of GAB2 as libavformat/avidec.c reads it.
    """

    def stream(kind: bytes, codec: bytes, form: bytes) -> bytes:
        head = struct.pack("<4s4sIHHIIIIIIII4h", kind, codec, 0, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 160, 120)
        return _chunk(b"LIST", b"strl" + _chunk(b"strh", head) + _chunk(b"strf", form))

    bitmap = struct.pack("<IiiHH4sIiiII", 40, 160, 120, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    main = struct.pack("<14I", 100_000, 0, 0, 0, 1, 0, 2, 0, 160, 120, 0, 0, 0, 0)
    streams = stream(b"vids", b"MJPG", bitmap) + stream(b"txts", b"\0\0\0\0", b"\0" * 4)
    gab2 = b"GAB2\0" + struct.pack("<HI", 2, 2) + b"\0\0" + struct.pack("<HI", 4, len(subtitles)) + subtitles
    head = _chunk(b"LIST", b"hdrl" + _chunk(b"avih", main) + streams)
    data = _chunk(b"LIST", b"movi" + _chunk(b"01tx", gab2) + _chunk(b"00dc", picture))
    return _chunk(b"RIFF", b"AVI " + head + data)


_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"dinf")


def mov_with_data_elsewhere(data: bytes, elsewhere: Path) -> bytes:
    """Write each track's data reference anew: an alias record with the absolute path of another file.

    The index must come after the data, so that its size changes no place. ISO/IEC 14496-12 has `dref`, Apple's
    QuickTime File Format the alias, whose items libavformat/mov.c reads.
    """
    path = os.fsencode(elsewhere)
    name = os.fsencode(elsewhere.name)
    record = struct.pack(">10xB27s12xB63s16xhh16x", 4, b"disk", len(name), name, 0, 1)
    record += struct.pack(">HH", 2, len(path)) + path + b"\0" * (len(path) % 2) + struct.pack(">hH", -1, 0)
    alias = struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record
    return _rewritten(data, struct.pack(">II", 0, 1) + alias)


def _rewritten(data: bytes, reference: bytes) -> bytes:
    written, place = b"", 0
    while place < len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + size]
        if name == b"dref":
            body = reference
        elif name in _PARENTS:
            body = _rewritten(body, reference)
        written += struct.pack(">I4s", len(body) + 8, name) + body
        place += size
    return written


def claiming_hours(data: bytes, hours: int) -> bytes:
    """Make the header of an MP4 claim a length: the box mvhd, version 0, has its time scale at 20 and length at 24."""
    place = data.index(b"mvhd") - 4
    (scale,) = struct.unpack_from(">I", data, place + 20)
    return data[: place + 24] + struct.pack(">I", min(hours * 3600 * scale, 2**32 - 1)) + data[place + 28 :]


# Processes.


def running(folder: Path) -> list[str]:
    """Give the processes that work in the folder, and those started here, zombies too, that are called like ffmpeg."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, state = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            where = str((entry / "cwd").readlink()) if state.split()[0] != "Z" else ""
        except OSError:
            continue
        ours = int(state.split()[1]) == os.getpid() and name.startswith(("ffmpeg", "recorder", "a-program"))
        if ours or where.startswith(str(folder)):
            found.append(f"{entry.name} {name} {where}")
    return found


def is_private(mode: int) -> bool:
    """Say whether nobody but the owner may do anything."""
    return not mode & (stat.S_IRWXG | stat.S_IRWXO)
