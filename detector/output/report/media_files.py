"""The media of a run in the report: existing files, small copies, and the structure of stills."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from detector.events import Flash
from stream import decoder_threads, load_opencv

cv2 = load_opencv()

THUMBNAIL_PIXELS = 640
_TOPHAT_PIXELS = 9  # of 640 across: a channel is thinner, a lit cloud is not
_BEST_SHARE = 0.004
_STILLS_FOR_MEDIAN = 3  # fewer do not show the permanent lights
_ALIGNED_CLIPS = 24  # decoding more clips to find their onsets would take a minute


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One file of a flash: its path in the run's folder, or why there is none.

    Attributes:
        path: relative to the run's folder; None if there is no file to show.
        removed: whether the event names a file that does not exist any more.
    """

    path: str | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """A clip's start in seconds after the onset (so below 0), its length in seconds, and its frames per second."""

    start: float
    length: float
    rate: float


def media_file(folder: Path, name: str | None) -> MediaFile:
    """Return the file that an event names; one that leads out of the folder counts as removed."""
    if name is None:
        return MediaFile()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return MediaFile(removed=True)
    return MediaFile(path=PurePosixPath(name).as_posix())


def small_image(path: Path, pixels: int = THUMBNAIL_PIXELS) -> Image.Image | None:
    """Return the image at `path`, at most `pixels` wide and high; None if it cannot be read."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (pixels, pixels))
            small = image.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    small.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
    return small


def structure_levels(images: Mapping[str, Image.Image], views: Mapping[str, str]) -> dict[str, float]:
    """Return how far thin bright lines stand out in each still, in levels.

    Permanent lights of each view, such as street lamps, are removed first.

    Args:
        images: small stills by flash id.
        views: the camera of each still, by flash id.
    """
    found: dict[str, float] = {}
    for view in sorted({views[key] for key in images}):
        keys = [key for key in images if views[key] == view]
        by_size: dict[tuple[int, int], list[str]] = {}
        for key in keys:
            by_size.setdefault(images[key].size, []).append(key)
        for same in by_size.values():
            lumas = {key: np.asarray(images[key].convert("L"), np.uint8) for key in same}
            always = dark_median([lumas[key] for key in same])
            for key, luma in lumas.items():
                found[key] = _structure(luma if always is None else cv2.subtract(luma, always))
    return found


def dark_median(images: Sequence[NDArray[np.uint8]], most: int = 24) -> NDArray[np.uint8] | None:
    """Return a view without lightning: the lower third of its stills at each pixel; None if there are too few."""
    if len(images) < _STILLS_FOR_MEDIAN:
        return None
    chosen = [images[n] for n in np.linspace(0, len(images) - 1, min(most, len(images))).astype(int)]
    stack = np.stack(chosen)
    ranked: NDArray[np.uint8] = np.partition(stack, len(chosen) // 3, axis=0)[len(chosen) // 3]
    return ranked


def _structure(added: NDArray[np.uint8]) -> float:
    size = max(3, round(_TOPHAT_PIXELS * max(added.shape) / THUMBNAIL_PIXELS) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    tophat = cv2.morphologyEx(added, cv2.MORPH_TOPHAT, kernel).ravel()
    best = max(1, int(tophat.size * _BEST_SHARE))
    return float(np.partition(tophat, tophat.size - best)[-best:].mean())


def clip_facts(
    folder: Path, clips: Iterable[tuple[Flash, str]], starts: Mapping[str, float], after_seconds: float = 2.0
) -> dict[str, ClipFacts]:
    """Return the times of each clip by flash id; unreadable clips are left out.

    Args:
        folder: the run's folder.
        clips: flashes, and the paths of their clips in it.
        starts: start of each clip in seconds after the onset, by flash id; if a start was not recorded and clips are
            few, the onset is located in the frames.
        after_seconds: assumed time between a flash's end and its clip's, in other cases.
    """
    chosen = list(clips)
    found = {}
    for flash, name in chosen:
        start = starts.get(flash.id)
        look = start is None and len(chosen) <= _ALIGNED_CLIPS
        try:
            facts = _read_clip(folder / name, flash, look=look)
        except (OSError, av.FFmpegError, ValueError):
            continue
        if facts is None:
            continue
        onset, length, rate = facts
        if start is not None:
            onset = -start
        elif onset is None:
            onset = min(length, max(0.0, length - (flash.duration_seconds or 0.0) - after_seconds))
        found[flash.id] = ClipFacts(start=round(-onset, 3), length=round(length, 3), rate=round(rate, 3))
    return found


def _read_clip(path: Path, flash: Flash, *, look: bool) -> tuple[float | None, float, float] | None:
    """Return the onset in seconds of the clip (None: not located), its length and its rate; None without video."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            return None
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        length = float(container.duration or 0) / 1_000_000
        onset = None
        if look:
            with decoder_threads(stream):
                times, levels = _levels(container.decode(stream), flash)
            length = max(length, times[-1] + 1 / rate) if times else length
            onset = _onset(times, levels, flash)
    return onset, length, rate


def _levels(frames: Iterable[av.VideoFrame], flash: Flash) -> tuple[list[float], list[float]]:
    """Return the times of frames, and the mean luma at the place of the flash."""
    left, top, right, bottom = flash.box
    times, levels = [], []
    for frame in frames:
        plane = frame.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        high, wide = luma.shape
        part = luma[int(top * high) : max(int(bottom * high), 1) : 4, int(left * wide) : max(int(right * wide), 1) : 4]
        times.append(float(frame.time or 0.0))
        levels.append(float(part.mean()) if part.size else 0.0)
    return times, levels


def _onset(times: Sequence[float], levels: Sequence[float], flash: Flash) -> float | None:
    """Return the time at which the jumps of luma agree best with the flash's pulses."""
    if len(times) < 2:
        return None
    seconds = np.array(times)
    gained = np.maximum(np.diff(np.array(levels), prepend=levels[0]), 0.0)
    weight = {pulse.offset_seconds: pulse.rise_levels for pulse in flash.pulses} or {0.0: 1.0}
    weight[0.0] = 2 * weight.get(0.0, 1.0)  # if later pulses are not visible, the first one decides
    step = float(np.median(np.diff(seconds)))

    def score(begin: float) -> float:
        places = np.searchsorted(seconds, [begin + offset - step / 2 for offset in weight])
        return float(sum(gained[n] * rise for n, rise in zip(places, weight.values(), strict=True) if n < len(gained)))

    last = seconds[-1] - min(flash.duration_seconds or 0.0, float(seconds[-1])) + step
    scores = [score(t) if t <= last else 0.0 for t in seconds]
    return float(seconds[int(np.argmax(scores))])
