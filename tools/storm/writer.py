"""Write a scene to a video file in any codec and container of PyAV."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from storm.scene import Scene
from storm.schedule import TICKS_PER_SECOND
from storm.scheduling import ordinary_scheduling
from storm.truth import Labels


class WriteError(Exception):
    """A clip cannot be written; the message names the file, the codec and FFmpeg's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFormat:
    """The coding of a clip.

    Attributes:
        codec: an encoder of FFmpeg, e.g. libx264, libx265, mpeg4, mjpeg, libvpx, libvpx-vp9, ffv1.
        crf: constant quality, lower is better.
        bit_rate: bits per second instead, held constant as in cheap cameras.
        preset: the encoder's own word for speed against size; None = a fast one if the encoder has presets.
        pixel_format: None = the encoder's own first choice near YUV 4:2:0.
        key_seconds: time between key frames.
    """

    codec: str = "libx264"
    crf: int | None = None
    bit_rate: int | None = None
    preset: str | None = None
    pixel_format: str | None = None
    key_seconds: float = 2.0

    def options(self) -> dict[str, str]:
        """Return the encoder's own options."""
        options: dict[str, str] = {}
        if self.codec in ("libx264", "libx265"):
            options["preset"] = self.preset or ("veryfast" if self.codec == "libx264" else "ultrafast")
        elif self.preset is not None:
            options["preset"] = self.preset
        if self.codec == "libx265":
            options["x265-params"] = "log-level=error"
        if self.codec.startswith("libvpx"):
            options |= {"deadline": "realtime", "cpu-used": "8"}
        if self.crf is not None:
            options["crf"] = str(self.crf)
        if self.bit_rate is not None:
            options |= {"maxrate": str(self.bit_rate), "minrate": str(self.bit_rate), "bufsize": str(self.bit_rate)}
        return options


def write_clip(
    scene: Scene, path: Path, form: ClipFormat | None = None, progress: Callable[[int], None] | None = None
) -> Labels:
    """Write the scene to `path`; the container follows from the file's ending.

    Args:
        scene: the scene.
        path: the file.
        form: how it is coded; the defaults if omitted.
        progress: called with the number of each frame written.

    Returns:
        its labels, on the file's own clock.

    Raises:
        WriteError: codec, container or pixel format is unknown or does not fit, or the file cannot be written.
    """
    form = form or ClipFormat()
    with ordinary_scheduling(), _explained(path, form), av.open(str(path), "w") as container:
        stream = _stream(container, scene, form)
        wanted = stream.codec_context.pix_fmt
        for number, (seconds, planes) in enumerate(scene.frames()):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            if wanted != "yuv420p":
                frame = frame.reformat(format=wanted)
            frame.pts = number if _constant(scene) else round(seconds * TICKS_PER_SECOND)
            frame.time_base = _time_base(scene)
            container.mux(stream.encode(frame))
            if progress is not None:
                progress(number)
        container.mux(stream.encode(None))
    return scene.truth(stamps_of(path, scene))


def stamps_of(path: Path, scene: Scene) -> NDArray[np.float64]:
    """Return the time stamps of the frames in the file; containers round them, and some begin later than 0.

    Returns:
        (frames,) seconds.

    Raises:
        WriteError: the file does not hold every frame of the scene.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        ticks = [packet.pts for packet in packets]
        base = stream.time_base
    if len(packets) != len(scene):
        raise WriteError(f"{path}: {len(packets)} frames written of {len(scene)}; try another codec or container")
    if base is None or any(tick is None for tick in ticks):  # AVI stores none: its frames have a constant rate
        return scene.seconds_of
    return np.array(sorted(float(tick * base) for tick in ticks if tick is not None))


def _constant(scene: Scene) -> bool:
    return scene.plan.jitter == 0 and scene.plan.drop == 0


def _time_base(scene: Scene) -> Fraction:
    return 1 / scene.rate if _constant(scene) else Fraction(1, TICKS_PER_SECOND)


def _stream(container: Any, scene: Scene, form: ClipFormat) -> Any:
    stream = container.add_stream(form.codec, rate=scene.rate, options=form.options())
    stream.width, stream.height = scene.plan.size
    stream.pix_fmt = form.pixel_format or _pixel_format(form.codec)
    stream.codec_context.time_base = _time_base(scene)
    stream.codec_context.gop_size = max(1, round(form.key_seconds * float(scene.rate)))
    if form.bit_rate is not None:
        stream.codec_context.bit_rate = form.bit_rate
    elif form.crf is None and form.codec in ("mpeg4", "mpeg2video", "mjpeg", "libvpx", "libvpx-vp9"):
        # these use 200 kbit/s or less by default, which no camera sends
        stream.codec_context.bit_rate = 40 * scene.plan.size[0] * scene.plan.size[1] // 4
    return stream


def _pixel_format(codec: str) -> str:
    """Return the encoder's format closest to that of cameras: 8-bit YUV 4:2:0 if it has that."""
    if codec == "mjpeg":
        return "yuvj420p"  # it also lists the other format, but refuses it: JPEG is full range
    offered = [one.name for one in av.Codec(codec, "w").video_formats or []]
    return offered[0] if offered and "yuv420p" not in offered else "yuv420p"


@contextmanager
def _explained(path: Path, form: ClipFormat) -> Iterator[None]:
    """Raise FFmpeg's errors as one sentence, and remove a half-written file."""
    try:
        yield
    except (av.error.FFmpegError, ValueError, OSError) as error:
        path.unlink(missing_ok=True)
        what = getattr(error, "strerror", None) or str(error)
        raise WriteError(
            f"{path}: cannot write it with codec {form.codec}: {what}; try another ending, codec or folder"
        ) from error
