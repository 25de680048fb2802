"""Short recordings without lightning, in containers and codecs that cameras and archives use."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType, VideoFrame

from storm import ClipFormat, LookalikePlan, Plan, Scene, write_clip
from storm.plan import SKIES

_SECONDS, _SIZE, _RATE = 4.0, (320, 180), 25


@dataclass(frozen=True, slots=True)
class Kind:
    """A container and the codec in it.

    Attributes:
        suffix: the file's ending, which chooses the container.
        codec: an encoder of FFmpeg.
        options: options of the encoder.
        pixels: pixel format.
    """

    suffix: str
    codec: str
    options: tuple[tuple[str, str], ...] = ()
    pixels: str = "yuv420p"


_X264 = (("preset", "veryfast"), ("g", "25"))
KINDS = (
    Kind("mp4", "libx264", _X264),
    Kind("mkv", "libx265", (("preset", "ultrafast"), ("g", "25"), ("x265-params", "log-level=error"))),
    Kind("avi", "mjpeg", (("qmin", "3"), ("qmax", "5")), "yuvj420p"),
    Kind("ts", "libx264", _X264),
    Kind("mpg", "mpeg2video", (("g", "15"),)),
    Kind("webm", "libvpx", (("deadline", "realtime"), ("cpu-used", "8"), ("g", "25"))),
    Kind("asf", "mpeg4", (("g", "25"),)),
    Kind("flv", "libx264", _X264),
)
"""The containers of a run."""


def make_scene(folder: Path, seed: int) -> Path:
    """Write a scene without lightning, with little compression, to `folder`, and return the file."""
    path = folder / f"scene-{seed}.mkv"
    plan = Plan(
        seconds=_SECONDS,
        size=_SIZE,
        rate=_RATE,
        sky=SKIES[seed % len(SKIES)],
        lookalikes=(LookalikePlan(kind="headlights"),) if seed % 2 else (),
        wind=1.0,
        seed=seed,
    )
    write_clip(Scene(plan), path, ClipFormat(codec="libx264", crf=8))
    return path


def encode(scene: Path, kind: Kind) -> Path:
    """Return the scene in the container and codec of `kind`, in a file beside it."""
    path = scene.with_suffix(f".{kind.codec}.{kind.suffix}")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(kind.codec, rate=_RATE, options=dict(kind.options))
        stream.width, stream.height = _SIZE
        stream.pix_fmt = kind.pixels
        stream.bit_rate = 3_000_000
        stream.thread_count = 1  # with more, FFmpeg's JPEGs restart in each row, which limits damage
        for frame in _frames(scene):
            container.mux(stream.encode(frame.reformat(format=kind.pixels)))
        container.mux(stream.encode(None))
    return path


def _frames(scene: Path) -> Iterator[VideoFrame]:
    with av.open(str(scene)) as source:
        for frame in source.decode(video=0):
            frame.pict_type = PictureType.NONE  # the encoder chooses the key frames
            yield frame
