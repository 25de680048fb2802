"""Small images for the page of `tune`: of each candidate, and of each moment that was nearly found."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.output.stills import encode_still
from stream import Frame, VideoError

_SIDE_PIXELS, _BESIDE_PIXELS, _QUALITY = 480, 240, 80
_MOST_NEAR = 300
"""So many moments that were nearly found have an image: 10 MB; the strongest ones."""


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame as the page shows it.

    Attributes:
        kind: what it is of the light: "before", "light" or "after".
        seconds: its time on the source's clock.
        jpeg: a small copy.
    """

    kind: str
    seconds: float
    jpeg: bytes


def candidate_images(candidate: Candidate) -> tuple[ShownFrame, ...]:
    """Return the frame that shows a candidate best, and those before and after it; call it while they are there."""
    shown = (
        ("before", candidate.before, _BESIDE_PIXELS),
        ("light", candidate.clear or candidate.peak, _SIDE_PIXELS),
        ("after", candidate.after, _BESIDE_PIXELS),
    )
    made = ((kind, frame, _small(frame, side)) for kind, frame, side in shown if frame is not None)
    return tuple(ShownFrame(kind, frame.seconds, jpeg) for kind, frame, jpeg in made if jpeg is not None)


@dataclass
class NearFrames:
    """Small images of moments that were nearly found, by the number of the frame.

    Of frames that follow one another within `gap_seconds` the strongest is kept, and of all moments the strongest.

    Attributes:
        gap_seconds: of the prefilter.
    """

    gap_seconds: float
    _held: tuple[float, int, Frame] | None = None
    _made: list[tuple[float, int, bytes]] = field(default_factory=list)

    def see(self, number: int, frame: Frame, strength: float) -> None:
        """Take a frame in which something was nearly found."""
        held = self._held
        if held is not None and frame.seconds - held[2].seconds >= self.gap_seconds:
            self._make()
        elif held is not None and held[0] >= strength:
            return
        self._held = (strength, number, frame)

    def images(self) -> Mapping[int, bytes]:
        """Return what was made, with the last one."""
        self._make()
        return {number: jpeg for _, number, jpeg in self._made}

    def _make(self) -> None:
        if self._held is None:
            return
        strength, number, frame = self._held
        self._held = None
        if len(self._made) == _MOST_NEAR and strength <= self._made[0][0]:
            return
        jpeg = _small(frame, _SIDE_PIXELS)
        if jpeg is None:
            return
        if len(self._made) < _MOST_NEAR:
            heapq.heappush(self._made, (strength, number, jpeg))
        else:
            heapq.heapreplace(self._made, (strength, number, jpeg))


def _small(frame: Frame, side: int) -> bytes | None:
    try:
        return encode_still(frame, side, _QUALITY)
    except (VideoError, OutputError):
        return None  # the curve and the numbers are there without it
