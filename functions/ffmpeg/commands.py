"""The grammar of a command: from the caller's text to the options that are run.

    command = "ffmpeg" *option "-i" input *option output

One input, whatever plain name it has, and one output, a plain name that ends in a format of formats.py. An option is on
one of the lists below, its value fits the rule that stands there, and everything else is refused before anything runs.
There never is a shell: the text is split as one would, and each word is checked and handed over as it is.

The lists are in options.py, filterlist.py and formats.py.
"""

import contextlib
import itertools
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from functions.ffmpeg.filters import endless as goes_on
from functions.ffmpeg.formats import FORMATS, INPUT_EXTENSIONS
from functions.ffmpeg.options import INPUT, OUTPUT, RENAMED, WHOLE
from functions.ffmpeg.refusal import Refused
from functions.ffmpeg.rules import Rule
from integrations.errors import CommandDenied

LONGEST_COMMAND = 8192  # characters


class Command(NamedTuple):
    """What is run: the caller's options before and after the input, and what comes out."""

    before: list[str]
    after: list[str]
    extension: str
    """Of the output, a key of FORMATS."""

    @property
    def mime_type(self) -> str:
        """Give the media type of the output: by its name, or by the muxer where that is another one's."""
        named = FORMATS[self.extension]
        muxer = named.muxer if named.picture else [named.muxer, *_values(self.after, "-f")][-1]
        return next(form.mime_type for form in (named, *FORMATS.values()) if form.muxer == muxer)


def parse(text: str) -> Command:
    """Read a command. Raise CommandDenied, which names the word and the rule but never repeats what was sent."""
    words = _words(text)
    if words[:1] != ["ffmpeg"]:
        raise _denied(1, 'a command begins with "ffmpeg", without a path')
    if words[-1] == "-y":
        words.pop()  # it may come last, and every run has it
    if len(words) < 4 or words[-1].startswith("-"):
        raise _denied(max(len(words), 1), "a command is: ffmpeg -i INPUT OUTPUT, with options before INPUT and OUTPUT")
    before: list[str] = []
    after: list[str] | None = None
    place, last = 1, len(words) - 1
    while place < last:
        word, value = words[place], words[place + 1]
        with _at(place + 1):
            rule = _rule(word, after_input=after is not None, alone=place + 1 == last)
        with _at(place + 2):
            if rule is _input:
                _input(value)
                after = []
            else:
                side = before if after is None else after
                side += [word] if rule is None else [RENAMED.get(word, word), rule(value)]
        place += 1 if rule is None else 2
    if after is None:
        raise _denied(len(words), "a command has one input: -i INPUT")
    with _at(len(words)):
        extension = _output(words[-1])
        _check_together(before, after, extension)
    return Command(before, after, extension)


def _denied(word: int, rule: str) -> CommandDenied:
    return CommandDenied(f"Word {word} of the command is refused: {rule}.")


@contextlib.contextmanager
def _at(word: int) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise _denied(word, str(refused)) from None


def _words(text: str) -> list[str]:
    """Split as a shell would, without being one. Lines are joined, with or without a backslash at their ends."""
    text = re.sub(r"\\?\r?\n|\t", " ", text).strip()
    if len(text) > LONGEST_COMMAND:
        raise CommandDenied(f"The command is refused: it is longer than {LONGEST_COMMAND} characters.")
    if not text.isprintable():
        raise CommandDenied("The command is refused: it has a character that does not show.")
    try:
        return shlex.split(text)
    except ValueError:
        raise CommandDenied("The command is refused: a quote in it is not closed.") from None


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.)){0,99}")


def _input(name: str) -> str:
    """Check the name of the input. Each stands for the one file of the call."""
    extension = name.partition(".")[2] and name.rpartition(".")[2].lower()
    plain = _PLAIN_NAME.fullmatch(name) and extension in {"", *INPUT_EXTENSIONS}
    if plain or name in ("pipe:0", "pipe:", "-"):
        return name
    raise Refused("the input is a plain file name such as input.mp4, or pipe:0; both mean the file of the call")


def _output(name: str) -> str:
    """Check the name of the output and give its extension."""
    extension = name.rpartition(".")[2].lower()
    if _PLAIN_NAME.fullmatch(name) and "." in name and extension in FORMATS:
        return extension
    raise Refused(f"the output is a plain file name that ends in one of: {', '.join(FORMATS)}")


_ENDS = {"-t", "-to", "-frames", "-frames:v", "-vframes"}
_ENDS_OF_GRAPHS = _ENDS | {"-shortest", "-frames:a", "-aframes"}
_GRAPH = re.compile(r"-(?:vf|af|lavfi|filter(?:_complex)?)(?::.*)?")


def _check_together(before: list[str], after: list[str], extension: str) -> None:
    if "image2" in _values(after, "-f") and not FORMATS[extension].picture:
        raise Refused("-f image2 is for an output that is a picture, such as output.png")
    endless = any(float(times) for times in _values(before, "-loop"))
    endless = endless or any(float(times) < 0 for times in _values(before, "-stream_loop"))
    if endless and not _ENDS & {*before, *after}:
        raise Refused("what loops for ever needs an end: -t, -to or -frames:v")
    graphs = [value for word, value in itertools.pairwise(after) if _GRAPH.fullmatch(word)]
    # Before the input they end the input alone; of a picture the first frame is taken.
    if any(map(goes_on, graphs)) and not (_ENDS_OF_GRAPHS & {*after} or FORMATS[extension].picture):
        raise Refused("what a filter gives for ever needs an end: its duration, -t, -to, -shortest or -frames:v")


def _values(words: list[str], option: str) -> list[str]:
    return [value for word, value in itertools.pairwise(words) if word == option]


_OPTION = re.compile(r"-(?P<name>[A-Za-z][A-Za-z0-9_-]*)(?P<specifier>(?::[A-Za-z0-9]+)*)")
_SPECIFIER = re.compile(r"(?::[vasV])?(?::\d{1,2})?")
_METADATA_SPECIFIER = re.compile(r"(?::[gcp])?(?::s)?(?::[vas])?(?::\d{1,2})?")


def _rule(word: str, *, after_input: bool, alone: bool) -> Rule | None:
    """Give the rule of the value that follows a word, or None where none follows. `alone` says that none can."""
    if not word.startswith("-"):
        raise Refused("what is no option stands last: there is one input, after -i, and one output")
    rules = OUTPUT if after_input else {"i": _input, **INPUT}
    found = _OPTION.fullmatch(word)
    if found is None or found["name"] not in rules:
        raise Refused("this option is not on the list of those that a command may use here")
    name, specifier = found["name"], found["specifier"]
    fits = _METADATA_SPECIFIER if name == "metadata" else _SPECIFIER
    if specifier and (name in WHOLE or not fits.fullmatch(specifier)):
        raise Refused("an option may name streams as in -c:v, -b:a:0 or -metadata:s:a:0")
    if rules[name] and alone:
        raise Refused("the value of this option is missing, or the output")
    return rules[name]
