"""Choose among several video streams in one recording: those with different scenes."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stream.capture.addresses import redact
from stream.capture.files.container import open_container, readable, video_streams
from stream.capture.files.growing_file import GrowingFile
from stream.capture.opencv import load_opencv
from stream.capture.options import CaptureOptions

_COMPARED_FRAMES = 8  # of each stream, from its beginning
_COMPARED_PACKETS = 400  # packets read to find these frames
_GRID = (64, 36)  # columns and rows to which a frame is averaged
# Detail of one scene agrees even if coded twice; that of two scenes, or their noise, agrees by a few percent.
_SAME_DETAIL = 0.5
_LEAST_DETAIL_LEVELS = 0.3  # less detail than this is coding noise


@dataclass(frozen=True, slots=True)
class StreamChoice:
    """The video streams of a recording.

    Attributes:
        watched: numbers, from 1, of the streams that differ in content; the largest one of each scene.
        left_out: for each other stream, a line that says why.
    """

    watched: tuple[int, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """The first frames of a stream, reduced to a grid.

    Attributes:
        number: number of the stream.
        pixels: number of pixels of a frame.
        frames: (frames, rows, columns) levels of the first frames.
    """

    number: int
    pixels: int
    frames: NDArray[np.float32]


def choose_streams(source: str, options: CaptureOptions) -> StreamChoice:
    """Return which video streams of the recording `source` to watch, by their first frames.

    Raises:
        OpenError: the recording does not exist, or is not video.
    """
    shown = redact(source)
    read = readable(source, options)
    with ExitStack() as opened:
        if not isinstance(read, str | GrowingFile):
            opened.callback(read.close)
        container = opened.enter_context(open_container(read, options))
        return compare_streams(container, video_streams(container, shown), shown)


def compare_streams(container: InputContainer, streams: Sequence[VideoStream], shown: str) -> StreamChoice:
    """Return which of `streams` in an open container differ; reads on in it. `shown` names the source."""
    if len(streams) == 1:
        return StreamChoice((1,))
    samples, left_out = _samples(container, streams)
    chosen: list[_Sample] = []
    for sample in sorted(samples, key=lambda one: -one.pixels):
        twin = next((other for other in chosen if _show_same(sample, other)), None)
        if twin is None:
            chosen.append(sample)
        else:
            left_out.append(f"video stream {sample.number} shows the same as stream {twin.number}, which is watched")
    watched = tuple(sorted(sample.number for sample in chosen)) or (1,)
    return StreamChoice(watched, tuple(f"{shown}: {line}" for line in left_out))


def _samples(container: InputContainer, streams: Sequence[VideoStream]) -> tuple[list[_Sample], list[str]]:
    found: dict[int, list[NDArray[np.float32]]] = {stream.index: [] for stream in streams}
    known = [stream for stream in streams if stream.codec_context is not None]
    for packet in islice(container.demux(*known), _COMPARED_PACKETS * len(known)):
        frames = found[packet.stream.index]
        if len(frames) < _COMPARED_FRAMES:
            try:
                frames += [_reduced(frame) for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
            except av.FFmpegError:
                continue
        if all(len(found[stream.index]) >= _COMPARED_FRAMES for stream in known):
            break
    longest = max(len(frames) for frames in found.values())
    samples, left_out = [], []
    for number, stream in enumerate(streams, start=1):
        frames = found[stream.index]
        if len(frames) <= 1 < longest:
            what = "holds one image" if frames else "cannot be decoded"
            left_out.append(f"video stream {number} {what} and is left out")
        elif frames:
            kept = np.stack(frames[:_COMPARED_FRAMES])
            samples.append(_Sample(number, stream.codec_context.width * stream.codec_context.height, kept))
    return samples, left_out


def _reduced(frame: av.VideoFrame) -> NDArray[np.float32]:
    grey = frame.to_ndarray(format="gray").astype(np.float32)
    small: NDArray[np.float32] = load_opencv().resize(grey, _GRID, interpolation=load_opencv().INTER_AREA)
    return small


def _show_same(first: _Sample, second: _Sample) -> bool:
    frames = min(len(first.frames), len(second.frames))
    one, other = _detail(first.frames[:frames]), _detail(second.frames[:frames])
    strength = float(one.std()), float(other.std())
    if min(strength) < _LEAST_DETAIL_LEVELS:
        return False
    return float(np.mean(one * other)) / (strength[0] * strength[1]) >= _SAME_DETAIL


def _detail(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the difference from the surroundings: two skies are both bright above, but differ in detail."""
    cv2 = load_opencv()
    fine: NDArray[np.float32] = np.stack([frame - cv2.blur(frame, (7, 7)) for frame in frames])
    level: NDArray[np.float32] = fine - fine.mean()
    return level
