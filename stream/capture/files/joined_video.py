"""The segments of a recorder, read as one recording."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from stream.capture.addresses import camera_name, redact
from stream.capture.clip_writer import Clip
from stream.capture.files.image_sequence import ImageSequence
from stream.capture.files.image_times import name_time
from stream.capture.files.video_file import Video
from stream.capture.frame import Frame
from stream.capture.open_video import open_video
from stream.capture.options import CaptureOptions
from stream.capture.status import Clock
from stream.errors import OpenError, VideoError

log = logging.getLogger(__name__)

# Times in names have whole seconds, of the opening or closing of a file.
SAME_SECONDS = 2.0


def gap_after(earlier: Path, length_seconds: float | None, later: Path) -> float | None:
    """Return the seconds missing between two segments, by the times in their names; None if a name has no time.

    Args:
        earlier: the first segment.
        length_seconds: length of the first segment.
        later: the second segment.
    """
    times = name_time(earlier), name_time(later)
    if times[0] is None or times[1] is None or length_seconds is None or times[0] == times[1]:
        return None
    missing = times[1] - times[0] - length_seconds
    return 0.0 if abs(missing) <= SAME_SECONDS else missing


class JoinedVideo:
    """Segments read as one recording, used like a `Video`: time, numbers and epochs continue from one to the next.

    Attributes:
        name: name of the camera.
        address: path of the first segment, and how many follow.
        codec: codec of the first segment.
        frame_rate: frame rate of the first segment.
        duration_seconds: None: the segments are opened one after the other.
        streams: number of video streams in the first segment.
        damaged: frames so far that may be damaged.
    """

    def __init__(
        self,
        parts: Sequence[Path],
        name: str | None = None,
        options: CaptureOptions | None = None,
        start_utc: float | None = None,
        history_seconds: float = 0.0,
        stream: int | None = None,
    ) -> None:
        """Open the first of `parts`; for the other arguments see `open_video`.

        Raises:
            OpenError: the first segment does not exist, or is not video.
        """
        self.name = name or camera_name(str(parts[0]))
        self.address = f"{redact(parts[0])} (+{len(parts) - 1})"
        self._parts = tuple(parts)
        self._start_utc = start_utc
        self._open: Callable[[Path], Video | ImageSequence] = lambda part: open_video(
            part, name=self.name, options=options, history_seconds=history_seconds, stream=stream
        )
        self._video = self._open(parts[0])
        self._shift = 0.0
        self.codec, self.frame_rate, self.streams = self._video.codec, self._video.frame_rate, self._video.streams
        self.duration_seconds: float | None = None
        self._damaged_before = 0
        self._begun = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames in pixels."""
        return self._video.size

    @property
    def clock(self) -> Clock:
        """Where the frames' UTC comes from."""
        return "file" if self._start_utc is not None else self._video.clock

    @property
    def damaged(self) -> int:
        """Number of frames that may be damaged so far."""
        return self._damaged_before + self._video.damaged

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the open segment; a second call does nothing."""
        self._video.close()

    def cut(self, start_seconds: float, end_seconds: float, utc_offset: float | None = None) -> Clip | None:
        """Return the part of that time that lies in the current segment as a file, as far as it was read."""
        shift = self._shift
        own = None if utc_offset is None else utc_offset + shift
        clip = self._video.cut(start_seconds - shift, end_seconds - shift, own)
        if clip is None:
            return None
        return replace(clip, start_seconds=clip.start_seconds + shift, end_seconds=clip.end_seconds + shift)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame of every segment, in order; may be iterated once.

        Raises:
            VideoError: after the last frame, if segments could not be read to their end; or on a second iteration.
        """
        if self._begun:
            raise VideoError(f"{self.address}: segments are read once; open them again")
        self._begun = True
        problems: list[str] = []
        last: Frame | None = None
        broken = False
        for part in self._parts:
            if part != self._parts[0]:
                try:
                    self._next(part)
                except OpenError as error:
                    problems.append(str(error))
                    broken = True
                    continue
            number, epoch, length = 0, 0, 0.0
            if last is not None:
                previous = self._parts[self._parts.index(part) - 1]
                missing = gap_after(previous, last.seconds + last.duration - self._shift, part) or 0.0
                self._shift = last.seconds + last.duration + max(0.0, missing)
                number, epoch = last.number + 1, last.epoch + (broken or missing != 0.0)
                if missing:
                    log.info("%s: %.1f s are missing before it, by the times in the names", redact(part), missing)
            broken = False
            try:
                for frame in self._video:
                    first_epoch = epoch if last is None or last.luma.shape == frame.luma.shape else epoch + 1
                    last = self._joined(frame, number, first_epoch if not frame.number else epoch)
                    epoch = last.epoch - frame.epoch
                    length = frame.seconds + frame.duration
                    yield last
            except VideoError as error:
                problems.append(str(error))
                broken = True
            log.debug("%s: %.2f s", redact(part), length)
        if problems:
            raise VideoError("; ".join(problems))

    def _next(self, part: Path) -> None:
        self._damaged_before += self._video.damaged
        self._video.close()
        self._video = self._open(part)

    def _joined(self, frame: Frame, number: int, epoch: int) -> Frame:
        seconds = frame.seconds + self._shift
        utc, clock, error = frame.utc, frame.clock, frame.utc_error_ms
        if self._start_utc is not None:
            utc, clock, error = self._start_utc + seconds, "file", 1000.0 * frame.duration
        return replace(
            frame,
            seconds=seconds,
            number=number + frame.number,
            epoch=epoch + frame.epoch,
            utc=utc,
            clock=clock,
            utc_error_ms=error,
        )
