"""Mutated commands: refused, or what runs holds nothing but what may run. And no filter on the list names a file."""

import itertools
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.ffmpeg.filterlist import ANY_OPTION, LARGEST
from functions.ffmpeg.options import INPUT, OUTPUT
from tests.support.ffmpeg import Recorder, command

MUTANTS = 500
BASES = [
    "ffmpeg -ss 1 -i input.mp4 -t 10 -c:v libx264 -crf 23 -preset fast -c:a aac -b:a 128k -movflags +faststart a.m4v",
    'ffmpeg -i input.mp4 -filter_complex "[0:v]scale=320:-2,fps=10[v];[0:a]volume=0.5[b]" -map [v] -map [b] out.mp4',
    "ffmpeg -i input.mp4 -vf drawtext=text=Hello:fontsize=24:x=10:y=10:expansion=none -metadata title=Tea out.mp4",
    "ffmpeg -i input.mkv -map 0:v:0 -map 0:a? -c copy -f matroska out.mkv",
    "ffmpeg -i input.wav -af atempo=1.5,loudnorm=I=-16:TP=-1.5,pan=mono|c0=c0 -ar 16000 -ac 1 out.ogg",
    "ffmpeg -i pipe:0 -vf select=eq(n\\\\,3),scale=iw/2:-1,curves=preset=vintage -frames:v 1 -q:v 2 out.jpg",
]
HOSTILE = r"""
/etc/passwd ../x file:x http://127.0.0.1/ -i - pipe:1 concat:a|b subfile,,:x -f lavfi tee segment hls null data image2
-attach -dump_attachment:t -progress -report -vstats_file -passlogfile -pass -sdp_file -fpre -vpre -init_hw_device
-hwaccel -filter_script -filter_complex_script -/filter -/vf -/metadata -stats_enc_pre -stats_mux_pre
-print_graphs_file -x264-params -x265-params -x264opts -svtav1-params -protocol_whitelist -format_whitelist -safe
-allowed_extensions -enable_drefs -use_absolute_path -re -stream_group -program -max_pixels -fs -threads -muxdelay
-bsf movie=/etc/passwd amovie=x drawtext=textfile=/etc/passwd drawtext=/text=/etc/passwd subtitles=x scale@movie=1
drawtext='text'file=/etc/passwd drawtext=fontfile=x lut3d=x sendcmd=f=x loudnorm=stats_file=x loudnorm=/tmp/x
deshake=filename=x paletteuse=debug_kdtree=x firequalizer=dumpfile=x curves=psfile=x curves=x:y:plot=z [in]movie=x[out]
scale=99999:1 scale=1e9:1 scale=0xFFFFF:1 ; & | > $HOME `id` $(id) % ' " \\ \\: \\' = : , [ ] @ # ~ * ? {x} %03d
"""
ORDINARY = [
    "-an",
    "-vn",
    "-shortest",
    "-r 30",
    "-t 00:00:03",
    "-b:v 128k",
    "-g 50",
    "-s 64x64",
    "-vf hflip",
    "-af volume=2",
]
# Written by hand, apart from the lists that it judges: names that must be on no list, ever.
NEVER = re.compile(
    r"attach|progress|report|vstats|pass|sdp|[fvas]pre$|hw|script|stats_|print_graph|params|opts|allowed|drefs|absolute|"
    r"^re$|safe|stream_group|program|dump|^/"
)
FORCED_IN = ("-protocol_whitelist", "file", "-format_whitelist")
FORCED_OUT = ("-max_pixels", "33177600", "-threads", "2", "-protocol_whitelist", "file", "-fs")


def mutants() -> list[str]:
    """Give commands, each with one thing changed, the same ones every time."""
    chance = random.Random(20261121)  # noqa: S311  # not a secret: the same mutants in every run
    hostile = [*HOSTILE.split(), *(f"-{name}" for name in OUTPUT), "\a", "\n", "\u202e"]
    made: list[str] = []
    while len(made) < MUTANTS:
        parts = chance.choice(BASES).split(" ")
        place, word = chance.randrange(1, len(parts)), chance.choice(hostile)
        kind = chance.randrange(7)
        if kind == 0:
            parts[place] = word
        elif kind == 1:
            parts.insert(place, word)
        elif kind == 2:
            parts[place : place + 1] = []
        elif kind == 3:
            cut = chance.randrange(len(parts[place]) + 1)
            parts[place] = parts[place][:cut] + word + parts[place][cut:]
        elif kind == 4:
            parts[place : place + 1] = [word, chance.choice(hostile)]
        elif kind == 5:
            parts.insert(place, chance.choice(parts))
        else:
            parts[-1:-1] = chance.choice(ORDINARY).split(" ")
        made.append(" ".join(parts))
    return made


def check(argv: list[str]) -> None:
    """Check what is about to run by rules of its own."""
    assert argv.count("-i") == 1
    split = argv.index("-i")
    assert re.fullmatch(r"file:input\.[a-z0-9]{2,4}", argv[split + 1])
    assert re.fullmatch(r"file:output\.[a-z0-9]{2,4}", argv[-1])
    assert tuple(argv[split - 8 : split - 5]) == FORCED_IN
    assert "hls" not in argv[split - 5]
    assert "concat" not in argv[split - 5]
    assert tuple(argv[-9:-2]) == FORCED_OUT
    for place, word in enumerate(argv):
        forced = split - 8 <= place < split or len(argv) - 9 <= place
        if word.startswith("-") and not re.fullmatch(r"-\d+(\.\d+)?|-0:.*", word) and not forced:
            name = word[1:].split(":")[0]
            assert not NEVER.search(name), word
            assert name in {*INPUT, *OUTPUT, "i", "fps_mode", "filter_threads", "filter_complex_threads"}, word
        if place not in (split + 1, len(argv) - 1):
            assert not re.search(r"://|^[/~.]|\.\./|\w*file\w*=|movie|\x00|file:", word), word
            assert not re.search(r"textfile|fontfile|psfile|plot=|dumpfile|debug_kdtree|filename", word), word


def test_a_mutated_command_is_refused_or_harmless(recorder: Callable[..., Recorder]) -> None:
    stand_in = recorder()

    def ask(cmd: str) -> bool:
        reply = command(cmd, b"RIFF....WAVE")
        assert reply.status == 200 or reply.body["code"] == "command_denied", (cmd, reply.body)
        return reply.status == 200

    with ThreadPoolExecutor(4) as pool:
        ran = sum(pool.map(ask, mutants()))
    told = stand_in.told
    assert len(told) == ran
    assert MUTANTS * 0.1 < ran < MUTANTS * 0.7, "both kinds are there"
    for each in told:
        check(each["argv"])


def test_the_judge_would_see_what_must_not_run() -> None:
    good = (
        "-ss 1 -protocol_whitelist file -format_whitelist avi -max_pixels 33177600 -threads 2 -i file:input.mp4 -c copy"
    )
    tail = "-max_pixels 33177600 -threads 2 -protocol_whitelist file -fs 8800000 file:output.mp4"
    check(f"{good} {tail}".split())
    for bad in ("-attach x", "-vf movie=x", "-progress x", "-vf drawtext=textfile=x", "-c http://x", "-c /x"):
        with pytest.raises(AssertionError):
            check(f"{good} {bad} {tail}".split())


@pytest.mark.parametrize("option", sorted({*INPUT, *OUTPUT}))
def test_no_option_on_a_list_is_one_that_names_a_file(option: str) -> None:
    assert not NEVER.search(option)


def test_each_option_takes_a_value_where_the_list_says_so(program: str) -> None:
    """Else the word after it, of the caller's or one that contains the run, would be read as something else."""
    sent = [
        (name, rule is not None) for name, rule in (*INPUT.items(), *OUTPUT.items()) if name not in ("v", "loglevel")
    ]
    unknown: set[str] = set()
    while True:
        words = [
            word
            for name, valued in sent
            if name not in unknown
            for word in ([f"-{name}", f"value-{name}"] if valued else [f"-{name}"])
        ]
        argv = [program, "-loglevel", "debug", *words, "out"]
        said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stderr
        if not (found := re.search(r"Unrecognized option '(\w+)'", said)):
            break
        unknown.add(found[1])
    assert unknown <= {"vsync", "async", "top", "display_rotation", "display_hflip", "display_vflip"}, (
        "of some versions"
    )
    read = re.findall(r"^Reading option '-?([^']+)' \.\.\.", said, re.MULTILINE)
    assert read[1:] == [*(name for name, _ in sent if name not in unknown), "out"], "each word is read as what it is"


def test_no_filter_on_the_list_has_an_option_that_names_a_file(program: str) -> None:
    """The list says which filters may be given any option; the program says what options those are."""
    sections = help_of(program, "full").split(" AVOptions:\n")
    options: dict[str, str] = {}
    for before, section in itertools.pairwise(sections):
        title = before.rpartition("\n")[2]  # scale(2ref), (a)select, alpha/beta: one class of options, several filters
        for name in (*title.split("/"), re.sub(r"\(.*?\)", "", title), re.sub(r"[()]", "", title)):
            options[name] = section
    alone = LARGEST.keys() - options.keys()
    assert len(alone) < 25, "what has no section has no options, or those of another"
    options |= {name: help_of(program, f"filter={name}") for name in alone}
    suspicious = {name: list(naming_files(options[name])) for name in LARGEST}
    assert not {name: found for name, found in suspicious.items() if found and name in ANY_OPTION}
    assert suspicious["drawtext"] == ["fontfile", "textfile"], "such options are seen"


def help_of(program: str, topic: str) -> str:
    done = subprocess.run([program, "-hide_banner", "-h", topic], capture_output=True, text=True, check=True)
    assert "Unknown filter" not in done.stdout + done.stderr
    return done.stdout


def naming_files(text: str) -> Iterator[str]:
    words = r"file|path|url|plugin|model|socket|address|device|script"
    for option, about in re.findall(r"^ +(\w+) +<(?:string|binary|dictionary)> +\S+ ?(.*)$", text, re.MULTILINE):
        if re.search(words, f"{option} {about}", re.IGNORECASE):
            yield option


def test_the_filters_that_may_be_given_any_option_are_most() -> None:
    assert len(ANY_OPTION) > 200
