"""The strip of a flash: the frames around its onset as one image, to step through them in a page."""

import io
from dataclasses import dataclass

import av
import numpy as np

from detector.output.stills import encode_image, tile
from stream import Clip

COLUMNS = 10
"""Frames in a row of a strip."""
_AROUND_SECONDS = 0.5  # before and after the onset
_FRAME_PIXELS = 320
_MOST_FRAMES = 60  # at higher rates only every second or third frame
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Strip:
    """The frames around an onset.

    Attributes:
        data: the bytes of a JPEG.
        seconds: times of the frames after the onset, in order; 0 for the frame of the onset.
    """

    data: bytes
    seconds: tuple[float, ...]


def strip_of(clip: Clip, onset_seconds: float) -> Strip | None:
    """Return the strip of the second around `onset_seconds` (source's clock); None if the clip does not cover it.

    Raises:
        av.FFmpegError: the clip cannot be decoded.
    """
    onset = onset_seconds - clip.start_seconds
    images: list[np.ndarray] = []
    seconds: list[float] = []
    with av.open(io.BytesIO(clip.data), "r") as container:
        stream = container.streams.video[0]
        begin = max(0.0, onset - _AROUND_SECONDS)
        if begin > 0:
            container.seek(int(begin * av.time_base), backward=True)
        rate = float(stream.average_rate or 25)
        every = max(1, -(-round(2 * _AROUND_SECONDS * rate) // _MOST_FRAMES))
        for number, frame in enumerate(container.decode(stream)):
            time = float(frame.time or 0.0) - onset
            if time > _AROUND_SECONDS:
                break
            if time < -_AROUND_SECONDS or number % every:
                continue
            scale = _FRAME_PIXELS / max(frame.width, frame.height)
            wide, high = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
            # More threads take longer to start than they save.
            images.append(frame.reformat(width=wide, height=high, format="rgb24", threads=1).to_ndarray())
            seconds.append(round(time, 3))
    if not images or any(image.shape != images[0].shape for image in images):
        return None
    return Strip(encode_image(tile(images, COLUMNS), _QUALITY, "strip"), tuple(seconds))
