"""Long recordings cut into parts that are watched at once; each flash is told by the part in which it begins."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from detector.run.recordings import STANDARD_INPUT, Recording, Span
from detector.run.replay import ReplayOptions
from stream import OpenError, Part, Video, VideoError, open_video

WARM_UP_SECONDS = 90.0
"""What is read before a part: a minute of clutter is remembered, after half a minute of levels and noise."""


def in_parts(
    recordings: Sequence[Recording], seconds: float, options: ReplayOptions, longest_flash_seconds: float
) -> list[Recording]:
    """Return `recordings`, those that are longer than `seconds` cut into equal parts that are not.

    Joined segments, folders of images, playlists, several video streams and containers without the time of each frame
    stay whole.

    Args:
        recordings: the files, in order.
        seconds: longest part.
        options: how they are replayed.
        longest_flash_seconds: so long may a flash last that begins at the end of a part; its clip lasts longer.
    """
    after = max(longest_flash_seconds, options.history_seconds)
    return [part for recording in recordings for part in _parts(recording, seconds, options, after)]


def rest_of(recording: Recording, start: float) -> Recording:
    """Return what is to be watched where a part cannot be: all from `start` on, with the recording read as a whole."""
    assert recording.span is not None  # noqa: S101 - only a part has a rest
    return replace(recording, span=replace(recording.span, start=start, end=math.inf, read=None))


def _parts(recording: Recording, seconds: float, options: ReplayOptions, after: float) -> list[Recording]:
    if recording.parts or recording.source == STANDARD_INPUT:
        return [recording]
    try:
        with open_video(recording.source, options=options.capture, stream=options.stream) as video:
            if not isinstance(video, Video) or not video.divisible or (options.stream is None and video.streams > 1):
                return [recording]
            length = video.duration_seconds or 0.0
            first = next(iter(video)).seconds if length > seconds else 0.0
    except (OpenError, VideoError):
        return [recording]  # whoever watches it says what is wrong
    count = math.ceil(length / seconds)
    if count < 2:
        return [recording]
    source = str(recording.source.absolute() if isinstance(recording.source, Path) else recording.source)
    cuts = [0.0, *(length * number / count for number in range(1, count)), math.inf]
    return [
        replace(
            recording, span=Span(start, end, first, Part(source, max(0.0, start - WARM_UP_SECONDS), end + after, first))
        )
        for start, end in pairwise(cuts)
    ]
