"""A part of a recording, read with the times that its frames have when all of it is read."""

import math
from dataclasses import dataclass

import av

from stream.capture.files.container import Recording
from stream.errors import OpenError, VideoError

_LATE_SECONDS = 10.0  # some containers are searched by packets: up to a group of frames is lost


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a recording, in seconds on the recording's clock.

    Attributes:
        source: the recording's path or URL; it must be `Video.divisible`.
        begin: reading begins at the last key frame before it.
        end: reading ends with the first frame at or after it.
        first: time of the recording's first frame.
    """

    source: str
    begin: float = 0.0
    end: float = math.inf
    first: float = 0.0

    def __str__(self) -> str:
        return self.source


class PartReading:
    """The reading of one part: moves to its key frame, and refuses times that follow only from the frames before."""

    def __init__(self, part: Part, recording: Recording, address: str) -> None:
        """Move `recording`, which was just opened, to where the part begins; `address` names it in errors.

        Raises:
            OpenError: it cannot be moved.
        """
        self._part = part
        self._address = address
        self._start = (recording.container.start_time or 0) / av.time_base
        self._begun = False
        if part.begin > 0:
            stream = recording.stream
            ticks = (part.begin + self._start) / float(stream.time_base or 1)
            try:
                recording.container.seek(int(ticks), stream=stream)
            except (av.FFmpegError, OSError) as error:
                raise OpenError(f"{address}: cannot be read from {part.begin:.0f} s on") from error

    def check(self, stamp: float | None, seconds: float) -> None:
        """Raise VideoError unless a frame's `seconds` follow from its time stamp alone, and the first is early enough.

        Raises:
            VideoError: read from its beginning, the recording may have other times here.
        """
        if stamp is None or seconds != stamp - self._start:
            raise VideoError(f"{self._address}: its time stamps begin anew or jitter about {seconds:.2f} s")
        if not self._begun and seconds > max(self._part.begin + _LATE_SECONDS, self._part.first):
            raise VideoError(f"{self._address}: no key frame is found from {self._part.begin:.2f} s on")
        self._begun = True
