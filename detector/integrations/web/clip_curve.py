"""The light curve of a flash's clip, measured when the clip is opened."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from detector.events import Flash
from stream import Frame, StreamError, open_video

_MOST_FRAMES = 1500  # a minute at 25 per second; the rest is left out, to limit the cost of a request
_STEP = 4  # every 4th pixel of every 4th row


def clip_curve(path: Path, flash: Flash, media: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the mean level at the place of the flash, for each frame of its clip; None if the clip cannot be read.

    Args:
        path: the clip.
        flash: the flash of the clip.
        media: media of its event; `clip_start_seconds` is the start of the clip, if the event has it.
    """
    seconds: list[float] = []
    levels: list[float] = []
    rate = 25.0
    try:
        with open_video(path) as video:
            for frame in video:
                seconds.append(frame.seconds)
                levels.append(_level(frame, flash.box))
                rate = 1 / frame.duration if frame.duration > 0 else rate
                if len(seconds) >= _MOST_FRAMES:
                    break
    except StreamError:
        if not seconds:
            return None
    if len(seconds) < 2:
        return None
    times = np.array(seconds) - seconds[0]
    start = media.get("clip_start_seconds")
    begin = start - flash.start_seconds if isinstance(start, float | int) else -_onset(times, np.array(levels))
    return {
        "clip_start": round(float(begin), 3),
        "length": round(float(times[-1]) + 1 / rate, 3),
        "rate": round(rate, 3),
        "seconds": [round(float(one), 3) for one in times + begin],
        "levels": [round(level, 1) for level in levels],
    }


def _level(frame: Frame, box: tuple[float, float, float, float]) -> float:
    height, width = frame.luma.shape
    left, top, right, bottom = box if frame.rotation == 0 else (0.0, 0.0, 1.0, 1.0)
    rows = slice(int(top * height), max(int(bottom * height), int(top * height) + 1), _STEP)
    columns = slice(int(left * width), max(int(right * width), int(left * width) + 1), _STEP)
    return float(frame.levels(frame.luma[rows, columns]).mean())


def _onset(times: "np.ndarray[Any, Any]", levels: "np.ndarray[Any, Any]") -> float:
    """Return the time of the steepest rise, for events that do not state the start of the clip."""
    return float(times[int(np.argmax(np.diff(levels, prepend=levels[0])))])
