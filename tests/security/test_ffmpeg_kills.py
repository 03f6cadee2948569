"""No process outlives its call, whatever it does, and no folder."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.calls import RESERVE
from tests.support.ffmpeg import Recorder, command, run, running
from tests.support.processes import ends

KILLS = 50  # of each program
ENDLESS = "ffmpeg -stream_loop 100 -i input.mp4 -vf scale=1920:1080,nlmeans -c:v libx264 -preset placebo output.mp4"


def test_fifty_are_killed_at_the_deadline(program: str, scratch: Path, media: dict[str, bytes]) -> None:
    killed = 0
    with ThreadPoolExecutor(10) as pool:
        while killed < KILLS:  # a call that comes too late on a busy machine starts nothing, and counts for nothing
            replies = list(pool.map(lambda _: command(ENDLESS, media["mp4"], seconds=RESERVE + 1.0), range(10)))
            assert {(reply.status, reply.body["code"]) for reply in replies} == {(504, "deadline_exceeded")}
            killed += sum("was stopped" in reply.body["detail"] for reply in replies)
    assert running(scratch) == []
    assert list(scratch.iterdir()) == []


# A child of the program that would go on by itself, and that no polite signal ends.
FORKS = """
import signal, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    open({place!r}, "w").write(str(os.getpid()))
    time.sleep(60)
"""


@pytest.mark.parametrize("parent", ["waits", "ends well", "ends badly"])
def test_its_children_are_killed_with_it(
    recorder: Callable[..., Recorder], scratch: Path, tmp_path: Path, parent: str
) -> None:
    place = tmp_path / "child"
    then = {"waits": "time.sleep(60)", "ends well": "open(output, 'wb').write(b'made')", "ends badly": "os._exit(9)"}
    wait = f"\nwhile not (os.path.exists({str(place)!r}) and open({str(place)!r}).read()): time.sleep(0.01)\n"
    recorder(FORKS.format(place=str(place)) + wait + then[parent])
    reply = command("ffmpeg -i input.mp4 output.mp4", b"....ftypisom", seconds=RESERVE + 2)
    expected = {"waits": "deadline_exceeded", "ends well": None, "ends badly": None}
    assert reply.body.get("code") == expected[parent]
    assert ends(int(place.read_text()))
    assert running(scratch) == []
    assert list(scratch.iterdir()) == []


def test_nothing_is_begun_when_no_time_is_left(recorder: Callable[..., Recorder], scratch: Path) -> None:
    stand_in = recorder()
    reply = run("probe", b"RIFF", seconds=RESERVE + 0.3)
    assert (reply.status, reply.body["code"]) == (504, "deadline_exceeded")
    assert stand_in.told == []
    assert list(scratch.iterdir()) == []


def test_a_program_that_cannot_start_leaves_nothing(
    scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "a-program"
    broken.write_bytes(b"\x7fELF of no kind")
    broken.chmod(0o755)
    monkeypatch.setenv("INTEGRATIONS_FFMPEG", str(broken))
    reply = run("probe", b"RIFF")
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert list(scratch.iterdir()) == []
    assert running(scratch) == []
