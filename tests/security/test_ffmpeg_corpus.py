"""The corpus of commands: what is refused before anything runs, what runs, and what is contained while it runs."""

import codecs
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ffmpeg
from tests.support.ffmpeg import Recorder, Witnesses, command, hostile_inputs, run
from tests.support.requirements_of_peers import peer_is_missing

CORPUS = Path(__file__).parents[1] / "corpora/ffmpeg.tsv"


def rows(verdict: str) -> list[tuple[str, str]]:
    """Give command and reason of each row with this verdict."""
    lines = [line.split("\t") for line in CORPUS.read_text().splitlines() if not line.startswith("#")]
    found = [
        (codecs.decode(re.sub(r"\\(?!x)", r"\\\\", cmd), "unicode_escape"), why)
        for cmd, says, why in lines
        if says == verdict
    ]
    assert found
    return found


def test_the_corpus_is_whole() -> None:
    assert (len(rows("deny")), len(rows("allow")), len(rows("contain"))) == (128, 51, 9)


@pytest.mark.parametrize(("cmd", "why"), rows("deny"))
def test_what_is_denied_is_refused_before_anything_runs(recorder: Callable[..., Recorder], cmd: str, why: str) -> None:
    stand_in = recorder()
    reply = command(cmd, b"RIFF")
    assert (reply.status, reply.body["code"]) == (422, "command_denied"), why
    assert stand_in.told == []
    assert re.fullmatch(r"Word \d+ of the command is refused: .{10,400}\.", reply.body["detail"])
    rare = [word for word in cmd.split() if len(word) > 8 and not re.fullmatch(r"(in|out)put\.\w+", word)]
    assert not [word for word in rare if word in reply.text], "what was sent is not repeated"


@pytest.mark.parametrize(("cmd", "why"), rows("allow"))
def test_what_is_allowed_runs(program: str, scratch: Path, media: dict[str, bytes], cmd: str, why: str) -> None:
    given = re.search(r"-i input\.(\w+)", cmd)
    data = media[given[1] if given else "mp4"]
    reply = command(cmd, data)
    assert reply.status == 200, reply.body
    assert reply.body["result"] is True, reply.body["fileoutput"]
    assert list(scratch.iterdir()) == []


# What the reasons of the rows to be contained call their inputs.
INPUTS = {
    "m3u8 with a segment": "playlist with a file",
    "m3u8 with #EXT-X-KEY": "playlist with a key",
    "SDP with rtp": "SDP",
    "m3u8 over stdin": "playlist with a file",
    "AVI with a GAB2": "playlist in the subtitles of an AVI",
    "MOV with an external": "MOV with its data elsewhere",
}


def input_of(why: str, witnesses: Witnesses, media: dict[str, bytes]) -> bytes:
    if "claims 100 hours" in why:
        return ffmpeg.claiming_hours(media["mp4"], 100)
    if "truncated" in why:
        return media["mp4"][: len(media["mp4"]) // 2]
    if "/dev/urandom" in why:
        return random.Random(1).randbytes(1_000_000)  # noqa: S311  # the same noise in every run
    (name,) = [name for begin, name in INPUTS.items() if f"[input:{begin}" in why]
    return hostile_inputs(witnesses.secret, witnesses.server.port, media)[name]


@pytest.mark.parametrize(("cmd", "why"), rows("contain"))
def test_what_is_hostile_is_contained(
    program: str, witnesses: Witnesses, media: dict[str, bytes], cmd: str, why: str
) -> None:
    reply = command(cmd, input_of(why, witnesses, media), seconds=8)
    witnesses.check(reply)
    assert reply.status == 200
    # The pictures of the AVI, the second that the long MP4 really has and what the MOV holds itself can be converted.
    assert reply.body["result"] is any(words in why for words in ("GAB2", "100 hours", "MOV"))
    if not reply.body["result"]:
        assert re.fullmatch(r"ffmpeg (failed|wrote nothing): [^/\[@]{10,120}\.", reply.body["fileoutput"])


@pytest.mark.parametrize("method", ["bash_cmd", "probe", "convert", "extract_audio", "thumbnail"])
def test_every_hostile_input_is_contained_by_every_method(
    program: str, witnesses: Witnesses, media: dict[str, bytes], method: str
) -> None:
    arguments = {"bash_cmd": {"cmd": "ffmpeg -i input.m4a output.mkv"}, "convert": {"format": "mkv"}}.get(method, {})
    inputs = hostile_inputs(witnesses.secret, witnesses.server.port, media)
    if method not in ("bash_cmd", "probe"):  # the others run as bash_cmd does: one of each protocol will do
        inputs = {name: inputs[name] for name in ("playlist with a map", "MOV with its data elsewhere")}
    for name, data in inputs.items():
        reply = run(method, data, seconds=8, **arguments)
        assert reply.status in (200, 422), name
        witnesses.check(reply)


@pytest.mark.parametrize(
    "name", ["playlist with a file", "playlist with a key", "master playlist", "MOV with its data elsewhere"]
)
def test_the_witnesses_see_what_happens_without_containment(
    witnesses: Witnesses, media: dict[str, bytes], name: str, tmp_path: Path
) -> None:
    if not Path(ffmpeg.DEBIAN).exists():
        peer_is_missing("Debian's package ffmpeg is not installed")
    hostile = hostile_inputs(witnesses.secret, witnesses.server.port, media)[name]
    (tmp_path / "input.m3u8").write_bytes(hostile)
    loose = ["-protocol_whitelist", "file,http,tcp,crypto"]
    loose += ["-enable_drefs", "1", "-use_absolute_path", "1"] if "MOV" in name else []
    argv = [ffmpeg.DEBIAN, "-v", "quiet", "-nostdin", *loose, "-i", "input.m3u8", "output.mkv"]
    subprocess.run(argv, cwd=tmp_path, check=False, timeout=20)
    assert witnesses.server.hits or witnesses.opened()


def test_the_subtitles_of_the_hostile_avi_are_where_they_are_looked_for(program: str, media: dict[str, bytes]) -> None:
    reply = run("probe", ffmpeg.avi_with_subtitles(media["jpg"], ffmpeg.WORDS))
    assert [stream["codec"] for stream in reply.body["streams"]] == ["mjpeg", "subrip"]
