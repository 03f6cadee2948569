"""The one place where the program runs: bounded in time, memory, processor, files and bytes, and cut off from the rest.

The program is the one that the package imageio-ffmpeg 0.8.1 brings, version 9.0.2 for both architectures of Lambda
(172,692,552 bytes on x86_64, 130,865,896 on arm64; there is no ffprobe in it), or what `INTEGRATIONS_FFMPEG` names.

Whatever the caller's options are, these are given after them, and the last one on the line wins:

* before the input `-protocol_whitelist file` and `-format_whitelist`, so that no input opens a host or another file by
  itself: a list of protocols alone does not hold a playlist back, a list of demuxers does. `-max_pixels`, `-threads`.
* before the output the same, the muxer by name, and `-fs`.

The process has no environment but a word to the allocator (in Lambda ours holds the credentials of the role), a folder
of its own that nobody else may enter and that is gone afterwards, no standard input, a process group that is killed in
every case, and limits on memory, processor time, file size and core dumps. There is none on the number of processes,
since that would count all of the user's, and the program starts none.
"""

import contextlib
import importlib.util
import math
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

from functions.ffmpeg.commands import Command
from functions.ffmpeg.formats import DEMUXERS, FORMATS, kind
from functions.ffmpeg.rules import MAX_PIXELS
from integrations.errors import DeadlineExceeded, Misconfigured, ResponseTooLarge

MEMORY = 2_500 * 1024 * 1024
"""Bytes of address space, out of the 3,008 MB of the function.

Measured for H.264, H.265 and VP9 with two threads: 1080p fits into 1.2 GB, 4K into 2.0.
"""

_LARGEST_FILE = 64_000_000  # bytes, where a muxer does not count what it has written
_THREADS = 2
_LOG = 1_048_576  # bytes of what the program says that are kept, the last ones: a book may have a thousand chapters
_SHORTEST = 0.25  # seconds below which nothing is begun
_REPLY = 0.25  # seconds for reading the output back


class Run(NamedTuple):
    """What became of a run: the exit code (negative for a signal), the file if any, and the words of the program."""

    code: int
    output: bytes | None
    log: str

    @property
    def overran(self) -> bool:
        """Say whether the limit on the processor's time ended it."""
        return self.code == -signal.SIGXCPU


def convert(command: Command, data: bytes, deadline: float, max_bytes: int) -> Run:
    """Run a command on the bytes of a file. Give no output unless the program ended well.

    Raise DeadlineExceeded when the time is over, ResponseTooLarge for an output of more than `max_bytes`, and
    Misconfigured where there is no program.
    """
    form = FORMATS[command.extension]
    after = list(command.after)
    if form.picture:
        # One picture: the first one, unless the caller counts.
        counted = any(option.split(":")[0] in ("-frames", "-vframes") for option in after)
        after += ["-update", "1"] if counted else ["-update", "1", "-frames:v", "1"]
    if "-f" not in after or form.picture:
        after += ["-f", form.muxer]
    name = f"output.{command.extension}"
    after += [*_both(), *_PROTOCOLS, "-fs", str(2 * max_bytes), f"file:{name}"]
    return _run(command.before, after, data, name, deadline, max_bytes)


def describe(data: bytes, deadline: float) -> str:
    """Give what the program says about a file: it opens the input and, having no output, ends. Raise as `convert`."""
    return _run([], [], data, None, deadline, 0).log


_FILTERING = ("-filter_threads", str(_THREADS), "-filter_complex_threads", str(_THREADS))
_PROTOCOLS = ("-protocol_whitelist", "file")


def _both() -> tuple[str, ...]:
    return ("-max_pixels", str(MAX_PIXELS), "-threads", str(_THREADS))


def _run(before: list[str], after: list[str], data: bytes, output: str | None, deadline: float, max_bytes: int) -> Run:
    until = deadline - _REPLY
    program = _program()
    with tempfile.TemporaryDirectory(prefix="ffmpeg-") as folder:
        name = f"input.{kind(data).extension}"
        (Path(folder) / name).write_bytes(data)
        forced = (*_PROTOCOLS, "-format_whitelist", ",".join(DEMUXERS), *_both(), "-i", f"file:{name}")
        program_wide = ("-nostdin", "-hide_banner", "-y", *_FILTERING)
        code, log = _finished([program, *program_wide, *before, *forced, *after], folder, until)
        written = _read(Path(folder) / output, max_bytes) if output and code == 0 else None
        if code == -signal.SIGXFSZ or (written is not None and len(written) > max_bytes):
            raise ResponseTooLarge(
                f"The output is larger than {max_bytes:,} bytes; ask for a shorter part, a smaller size or a lower "
                "bit rate."
            )
        return Run(code, written or None, log)


def _finished(argv: list[str], folder: str, until: float) -> tuple[int, str]:
    """Run the program to its end and give its exit code and its last words. Raise DeadlineExceeded."""
    if until - time.monotonic() < _SHORTEST:
        raise DeadlineExceeded("No time was left to run ffmpeg.")
    process = _started(argv, folder)
    try:
        _limit(process.pid, until)
        assert process.stderr is not None  # noqa: S101  # it is a pipe
        log = _listen(process.pid, process.stderr, until)
    finally:
        # Not reaped yet, so the number is still the group's, also when the program has ended by itself.
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if process.stderr is not None:
            process.stderr.close()
    return code, log.decode("utf-8", "replace")


def _started(argv: list[str], folder: str) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603  # the program is ours and each word has been checked
            argv,
            cwd=folder,
            # Without this each of many threads reserves an arena of 64 MB, which counts as memory.
            env={"MALLOC_ARENA_MAX": "2"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
            umask=0o077,
        )
    except OSError:
        raise Misconfigured("ffmpeg does not start; is it a program for this kind of machine?") from None


def _limit(pid: int, until: float) -> None:
    """Limit a process that has just begun. From outside: code between fork and exec is not safe beside threads."""
    seconds = math.ceil(until - time.monotonic()) * (os.cpu_count() or 1) + 1
    limits = (
        (resource.RLIMIT_AS, (MEMORY, MEMORY)),
        (resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE)),
        (resource.RLIMIT_CPU, (seconds, seconds + 1)),  # told first, so that the reason is known
        (resource.RLIMIT_CORE, (0, 0)),
    )
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        for limited, bounds in limits:
            # What the operator has set lower for all of us stays.
            _, highest = resource.prlimit(pid, limited)
            if highest != resource.RLIM_INFINITY:
                bounds = (min(bounds[0], highest), min(bounds[1], highest))
            resource.prlimit(pid, limited, bounds)


def _listen(pid: int, stderr: IO[bytes], until: float) -> bytes:
    """Give the last words of the program when it has ended. Raise DeadlineExceeded when it does not."""
    said = bytearray()
    ended = os.pidfd_open(pid)
    try:
        os.set_blocking(stderr.fileno(), False)
        waiting = select.poll()
        waiting.register(ended, select.POLLIN)
        waiting.register(stderr, select.POLLIN)
        while True:
            left = until - time.monotonic()
            ready = {number for number, _ in waiting.poll(max(0.0, left) * 1000)}
            if stderr.fileno() in ready:
                words = stderr.read(_LOG)  # what a pipe holds at once
                said += words or b""
                del said[:-_LOG]
                if not words:
                    waiting.unregister(stderr)
            if ended in ready:
                return bytes(said)
            if left <= 0:
                raise DeadlineExceeded(
                    "ffmpeg was stopped because the time for the call was over; ask for a shorter part, a smaller size "
                    "or a faster preset."
                )
    finally:
        os.close(ended)


def _read(path: Path, max_bytes: int) -> bytes | None:
    """Read a file that the program has written, a plain one, up to a byte more than is wanted."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(number, "rb") as file:
        return file.read(max_bytes + 1) if stat.S_ISREG(os.fstat(number).st_mode) else None


def _program() -> str:
    """Give the path of the program. Raise Misconfigured where there is none.

    The package's own way of finding it is not taken: that runs what it finds with our environment, and takes any ffmpeg
    that is on the path.
    """
    if sys.platform != "linux":
        raise Misconfigured("ffmpeg is contained by means that only Linux has; run it on Linux or in a container.")
    chosen = os.environ.get("INTEGRATIONS_FFMPEG")
    if chosen:
        if Path(chosen).is_absolute() and os.access(chosen, os.X_OK):
            return chosen
        raise Misconfigured("INTEGRATIONS_FFMPEG is not the absolute path of a program; set it right or leave it out.")
    package = importlib.util.find_spec("imageio_ffmpeg")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for path in sorted(Path(folder).glob("binaries/ffmpeg-linux-*")):
            if os.access(path, os.X_OK):
                return str(path)
    raise Misconfigured(
        "There is no ffmpeg: install functions/ffmpeg/requirements.txt beside the function, or name a program with "
        "INTEGRATIONS_FFMPEG."
    )
