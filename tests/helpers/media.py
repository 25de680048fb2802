"""Small clips made for tests: a drifting, noisy sky with a frame counter burnt in and flashes where asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream
from numpy.typing import NDArray

from storm.scheduling import ordinary_scheduling

COUNTER_BITS = 16


@dataclass(frozen=True)
class Clip:
    """What to draw and how to encode it. flashes: numbers of the frames that are lit."""

    seconds: float = 2.0
    rate: Fraction = Fraction(25)
    size: tuple[int, int] = (640, 360)
    codec: str = "libx264"
    pixels: str = "yuv420p"
    full_range: bool = False
    key_seconds: float = 1.0
    flashes: Sequence[int] = ()
    flash_levels: float = 60.0
    noise_levels: float = 2.0
    bits_per_second: int = 3_000_000
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    stamp: Callable[[int], int] | None = None  # frame number -> pts in 1/rate; default: the number itself

    @property
    def frames(self) -> int:
        return round(self.seconds * self.rate)


X264 = {"preset": "ultrafast", "x264-params": "scenecut=0:bframes=0"}


def draw_frame(clip: Clip, number: int) -> NDArray[np.uint8]:
    """(height, width) levels 0..255 of frame `number`, before encoding."""
    width, height = clip.size
    waves, noise = 14 * np.sin((np.arange(width) + 2 * number) / 67.0), _noise(clip.size)
    start = int(np.random.default_rng(number).integers(noise.shape[0] - height))
    sky = waves + 50 + 10 * np.cos(np.arange(height) / 41.0)[:, None]
    sky += clip.noise_levels * noise[start : start + height]
    if number in clip.flashes:
        sky += clip.flash_levels
    side = width // COUNTER_BITS // 2 * 2
    for bit in range(COUNTER_BITS):
        sky[0:side, bit * side : (bit + 1) * side] = 235 if number >> bit & 1 else 20
    return np.clip(sky, 0, 255).astype(np.uint8)


@cache
def _noise(size: tuple[int, int]) -> NDArray[np.float32]:
    """Standard noise, three frames high: each frame cuts its own out of it."""
    return np.random.default_rng(0).standard_normal((3 * size[1], size[0]), np.float32)


def counter(levels: NDArray[np.float32]) -> int:
    """The frame number that is burnt into a frame, from its luma in levels 0..255."""
    side = levels.shape[1] // COUNTER_BITS // 2 * 2
    edge = side // 4
    row = levels[edge : side - edge]
    values = [row[:, bit * side + edge : (bit + 1) * side - edge].mean() for bit in range(COUNTER_BITS)]
    return sum(1 << bit for bit, value in enumerate(values) if value > 125)


def make_clip(path: Path, clip: Clip = Clip()) -> Path:
    """`clip` drawn and encoded to `path`; the ending chooses the container."""
    with ordinary_scheduling(), av.open(str(path), "w", container_options=clip.container_options) as container:
        container.metadata.update(clip.metadata)
        stream = _add_stream(container, clip)
        for number in range(clip.frames):
            frame = av.VideoFrame.from_ndarray(draw_frame(clip, number), format="gray")
            frame = frame.reformat(format=clip.pixels, src_color_range=2, dst_color_range=2 if clip.full_range else 1)
            frame.pts = clip.stamp(number) if clip.stamp else number
            frame.time_base = 1 / clip.rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def encode_again(made: Path, path: Path, clip: Clip) -> Path:
    """Return the frames of the file `made`, encoded to `path` as `clip` says."""
    with ordinary_scheduling(), av.open(str(made)) as source, av.open(str(path), "w") as container:
        stream = _add_stream(container, clip)
        for number, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base = number, 1 / clip.rate
            frame.pict_type = PictureType.NONE  # key frames where `clip` wants them
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _add_stream(container: OutputContainer, clip: Clip) -> VideoStream:
    options = dict(X264 if clip.codec == "libx264" else {}) | clip.options
    stream: VideoStream = container.add_stream(clip.codec, rate=clip.rate, options=options)
    stream.width, stream.height = clip.size
    stream.pix_fmt = clip.pixels
    stream.bit_rate = clip.bits_per_second
    stream.codec_context.gop_size = max(1, round(clip.key_seconds * clip.rate))
    stream.codec_context.time_base = 1 / clip.rate
    stream.codec_context.color_range = 2 if clip.full_range else 1
    return stream


def upside_down(clip: Path, path: Path) -> Path:
    """Write another scene to `path`: `clip`, turned by half a circle."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "25"})
        stream.width, stream.height = source.streams.video[0].width, source.streams.video[0].height
        stream.pix_fmt = "yuv420p"
        for frame in source.decode(video=0):
            turned = np.ascontiguousarray(frame.to_ndarray(format="gray")[::-1, ::-1])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(turned, "gray")))
        output.mux(stream.encode(None))
    return path
