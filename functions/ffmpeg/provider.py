"""ffmpeg: convert, cut and look into audio, video and pictures. A local program: no service is asked.

What a caller may make the program do is in commands.py and filters.py, and how it is contained in process.py.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from functions.ffmpeg.arguments import BitRate, File, Seconds, read
from functions.ffmpeg.commands import Command, parse
from functions.ffmpeg.formats import kind
from functions.ffmpeg.process import convert as run
from functions.ffmpeg.process import describe
from functions.ffmpeg.report import described, facts_of, reason
from integrations import Arguments, Output, Provider
from integrations.errors import UpstreamRejected
from integrations.files import FileOutput, Files

provider = Provider(
    name="ffmpeg",
    title="FFmpeg",
    url="https://ffmpeg.org",
    docs="https://ffmpeg.org/ffmpeg.html",
    category="media",
    # The processor's share grows with the memory, to 1.7 of a processor here; it is also what process.py may use.
    function={"MemorySize": 3008},
)


INPUT = "The input in base64 or as a data URI, or where it is: an https URL, or s3 in the bundle's bucket."


class CommandArguments(Arguments):
    cmd: str = Field(
        description="The command, such as: ffmpeg -i input.mp4 -vf scale=640:-2 output.mp4. One input and one output, "
        "both plain names; the input is the file given."
    )
    file: File = Field(description=INPUT)


class CommandOutput(Output):
    fileoutput: str | None = Field(description="The output in base64, or why there is none; null where file has it.")
    result: bool = Field(description="Whether the command gave an output.")
    mime_type: str | None = Field(description="The media type of the output.")
    file: FileOutput | None = Field(None, description="The output, where it is too large to be in fileoutput.")


@provider.method(read_only=True, open_world=False, files=True)
def bash_cmd(args: CommandArguments, files: Files, deadline: float) -> CommandOutput:
    """Run one ffmpeg command on one file and give its output. Options that reach other files or hosts are refused."""
    command = parse(args.cmd)
    done = run(command, read(args.file, files), deadline, files.most)
    if done.output is None:
        return CommandOutput(fileoutput=reason(done), result=False, mime_type=None)
    file = files.write(done.output, media_type=command.mime_type)
    return CommandOutput(
        fileoutput=file.base64,
        result=True,
        mime_type=command.mime_type,
        file=None if file.base64 else file,
    )


class ProbeArguments(Arguments):
    file: File = Field(description=INPUT)


class ProbeStream(BaseModel):
    index: int = Field(description="Its place in the file; the first is 0.")
    type: str = Field(description="video, audio, subtitle, data or attachment.")
    codec: str | None = Field(None, description="The codec, such as h264.")
    profile: str | None = Field(None, description="The profile of the codec.")
    language: str | None = Field(None, description="The language, three letters by ISO 639-2.")
    bit_rate: int | None = Field(None, description="Bits per second.")
    width: int | None = Field(None, description="Pixels across.")
    height: int | None = Field(None, description="Pixels down.")
    display_aspect_ratio: str | None = Field(None, description="How wide it is shown, such as 16:9.")
    pixel_format: str | None = Field(None, description="How pixels are stored, such as yuv420p.")
    frames_per_second: float | None = Field(None, description="The average frame rate.")
    rotation: float | None = Field(None, description="Degrees that the picture is turned by when it is shown.")
    sample_rate: int | None = Field(None, description="Samples per second of one channel.")
    channels: int | None = Field(None, description="How many channels of sound.")
    channel_layout: str | None = Field(None, description="Where the channels are, such as stereo.")
    flags: list[str] = Field(default_factory=list, description="Dispositions, such as default or attached pic.")
    tags: dict[str, str] = Field(default_factory=dict, description="What the file says of the stream.")


class ProbeChapter(BaseModel):
    start: float = Field(description="Where it begins, in seconds.")
    end: float = Field(description="Where it ends, in seconds.")
    tags: dict[str, str] = Field(description="What the file says of the chapter, such as its title.")


class ProbeOutput(Output):
    format: str = Field(description="The names of the container, such as mov,mp4,m4a,3gp,3g2,mj2.")
    mime_type: str = Field(description="The media type by the first bytes.")
    size: int = Field(description="Bytes.")
    duration: float | None = Field(description="Seconds, where the container says so.")
    start: float | None = Field(description="The time of the first frame, in seconds.")
    bit_rate: int | None = Field(description="Bits per second of all streams together.")
    tags: dict[str, str] = Field(description="What the file says of itself, such as title and artist.")
    streams: list[ProbeStream] = Field(description="Video, audio, subtitles and others, in the order of the file.")
    chapters: list[ProbeChapter] = Field(description="Chapters, where the file has any.")


@provider.method(read_only=True, open_world=False, files=True)
def probe(args: ProbeArguments, files: Files, deadline: float) -> ProbeOutput:
    """Tell what a media file holds: container, duration, bit rate, and codec, size and rate of each stream."""
    data = read(args.file, files)
    found = described(describe(data, deadline))
    if found is None:
        raise UpstreamRejected("The file cannot be read as media, or is cut off or broken.")
    streams = [
        ProbeStream(
            index=stream.number,
            type=stream.kind,
            language=stream.language,
            rotation=stream.rotation,
            tags=stream.tags,
            **facts_of(stream),
        )
        for stream in found.streams
    ]
    return ProbeOutput(
        format=found.format,
        mime_type=kind(data).mime_type,
        size=len(data),
        duration=found.duration,
        start=found.start,
        bit_rate=found.bit_rate,
        tags=found.tags,
        streams=streams,
        chapters=[ProbeChapter(**chapter) for chapter in found.chapters],
    )


class PartArguments(Arguments):
    file: File = Field(description=INPUT)
    start: Seconds | None = Field(None, description="Where to begin, in seconds.")
    duration: Annotated[float, Field(gt=0, le=86_400)] | None = Field(None, description="How many seconds to take.")
    audio_bit_rate: BitRate | None = Field(None, description="Bits per second of sound, such as 128000.")
    sample_rate: int | None = Field(None, description="Samples per second, such as 44100.", ge=8_000, le=192_000)
    channels: int | None = Field(None, description="How many channels: 1 for mono, 2 for stereo.", ge=1, le=8)

    def before(self) -> list[str]:
        """Give the options before the input: finding a place there is fast, and as exact as decoding."""
        return [*_given("-ss", self.start), *_given("-t", self.duration)]

    def sound(self) -> list[str]:
        """Give the options of sound."""
        given = (("-b:a", self.audio_bit_rate), ("-ar", self.sample_rate), ("-ac", self.channels))
        return [word for option, value in given for word in _given(option, value)]


_VIDEO_CODECS = {"h264": "libx264", "h265": "libx265", "vp8": "libvpx", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_AUDIO_CODECS = {"mp3": "libmp3lame", "opus": "libopus", "vorbis": "libvorbis", "pcm": "pcm_s16le"}


class ConvertArguments(PartArguments):
    format: Literal[
        "mp4", "mov", "mkv", "webm", "avi", "mp3", "m4a", "wav", "flac", "ogg", "opus", "gif", "webp", "png", "jpg",
        "avif", "srt", "vtt",
    ] = Field(description="What to make of it.")  # fmt: skip
    video_codec: Literal["h264", "h265", "vp8", "vp9", "av1", "mpeg4", "copy", "none"] | None = Field(
        None, description="The codec of the picture; by the format when left out. none leaves the picture out."
    )
    audio_codec: Literal["aac", "mp3", "opus", "vorbis", "flac", "pcm", "copy", "none"] | None = Field(
        None, description="The codec of the sound; by the format when left out. none leaves the sound out."
    )
    width: int | None = Field(None, description="Pixels across; with height alone, in proportion.", ge=2, le=7680)
    height: int | None = Field(None, description="Pixels down; with width alone, in proportion.", ge=2, le=7680)
    fps: float | None = Field(None, description="Frames per second.", gt=0, le=240)
    quality: int | None = Field(
        None,
        description="Constant quality of video, from 0, the best, to 63; about 23 for h264, 32 for vp9.",
        ge=0,
        le=63,
    )
    video_bit_rate: BitRate | None = Field(None, description="Bits per second of video, such as 1000000.")


@provider.method(read_only=True, open_world=False, files=True)
def convert(args: ConvertArguments, files: Files, deadline: float) -> FileOutput:
    """Convert a media file to another format, with other codecs, size, frame rate or length where asked."""
    filters = [f"fps={args.fps:f}"] if args.fps else []
    if args.width or args.height:
        filters.append(f"scale={args.width or -2}:{args.height or -2}")
    after = [
        *_codec("-c:v", "-vn", args.video_codec, _VIDEO_CODECS),
        *_codec("-c:a", "-an", args.audio_codec, _AUDIO_CODECS),
        *_given("-vf", ",".join(filters) or None),
        *_given("-crf", args.quality),
        *_given("-b:v", args.video_bit_rate),
        *args.sound(),
    ]
    return _file(Command(args.before(), after, args.format), args.file, files, deadline)


class ExtractAudioArguments(PartArguments):
    format: Literal["mp3", "m4a", "aac", "wav", "flac", "ogg", "opus"] = Field("mp3", description="What to make of it.")
    track: int = Field(0, description="Which of the sound tracks; the first is 0.", ge=0, le=99)


@provider.method(read_only=True, open_world=False, files=True)
def extract_audio(args: ExtractAudioArguments, files: Files, deadline: float) -> FileOutput:
    """Take the sound out of a video, or a part of it."""
    after = ["-map", f"0:a:{args.track}", *args.sound()]
    return _file(Command(args.before(), after, args.format), args.file, files, deadline)


class ThumbnailArguments(Arguments):
    file: File = Field(description=INPUT)
    time: Seconds = Field(0.0, description="Which moment to show, in seconds.")
    width: int | None = Field(None, description="Pixels across; as in the video when left out.", ge=2, le=7680)
    format: Literal["jpg", "png", "webp"] = Field("jpg", description="What to make of it.")


@provider.method(read_only=True, open_world=False, files=True)
def thumbnail(args: ThumbnailArguments, files: Files, deadline: float) -> FileOutput:
    """Make a picture of one moment of a video."""
    after = ["-map", "0:v:0", "-frames:v", "1", *_given("-vf", args.width and f"scale={args.width}:-2")]
    return _file(
        Command(["-ss", f"{args.time:f}"] if args.time else [], after, args.format), args.file, files, deadline
    )


def _given(option: str, value: float | str | None) -> list[str]:
    return [] if value is None else [option, f"{value:f}" if isinstance(value, float) else str(value)]


def _codec(option: str, without: str, name: str | None, encoders: dict[str, str]) -> list[str]:
    if name == "none":
        return [without]
    return [] if name is None else [option, encoders.get(name, name)]


def _file(command: Command, file: str, files: Files, deadline: float) -> FileOutput:
    done = run(command, read(file, files), deadline, files.most)
    if done.output is None:
        raise UpstreamRejected(reason(done))
    return files.write(done.output, media_type=command.mime_type)


handler = provider.handler
