"""What a served storm really showed and when, against what was seen and said of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from detector.events import Flash
from detector.pipeline import SourceDetector
from detector.prefilter.prefilter import Prefilter
from detector.settings import Settings
from detector.verify.batcher import Batcher
from stream import Camera

Span = tuple[float, float]


def sent(log: Path) -> list[tuple[float, int]]:
    """(UTC, loop) of every frame that the RTSP server wrote down in `log`."""
    rows = [line.split() for line in log.read_text().splitlines()]
    return [(int(row[0]) / 1e9, int(row[1])) for row in rows if len(row) == 3]


def flashes_shown(log: Path, spans: Iterable[Span], *, partly: bool = False) -> list[Span]:
    """UTC (begin, end) of every flash that was sent, whole or also `partly`; `spans` are in the clip's own seconds."""
    loops: list[Span] = []
    before = None
    for utc, loop in sent(log):
        if loop != before:
            loops.append((utc, utc))
        began, last = loops[-1]
        loops[-1] = min(began, utc), max(last, utc)
        before = loop
    return [(began + a, began + b) for began, last in loops for a, b in spans if began + (a if partly else b) < last]


@dataclass
class Seen:
    """What one camera's thread saw: (UTC of arrival, marked) of every frame, and each flash's last revision."""

    rate: float = 25.0
    arrivals: list[tuple[float, bool]] = field(default_factory=list)
    flashes: dict[str, Flash] = field(default_factory=dict)

    def watch(self, camera: Camera, settings: Settings, judge: Batcher, utc_offset: float) -> None:
        """Do with every frame what the program does, until the camera is stopped."""

        def publish(flash: Flash) -> None:
            self.flashes[flash.id] = flash

        detector = SourceDetector(Prefilter(camera.name, settings.prefilter), judge, publish)
        for frame in camera:
            self.arrivals.append((frame.arrival + utc_offset, bool(frame.quality)))
            detector.push(frame)
        detector.finish()

    def count_frames(self, begin: float, end: float) -> tuple[int, int]:
        """Frames that came in a span, and how many of them were marked."""
        inside = [marked for when, marked in self.arrivals if begin <= when < end]
        return len(inside), sum(inside)

    @property
    def confirmed(self) -> list[Flash]:
        """Flashes said to be lightning."""
        return [flash for flash in self.flashes.values() if flash.state == "confirmed"]

    def whole(self, span: Span) -> bool:
        """Whether the frames from 1.5 s before a flash to 1 s after it came unmarked, all but at most three."""
        begin, end = span[0] - 1.5, span[1] + 1.0
        got, marked = self.count_frames(begin, end)
        return marked == 0 and got >= (end - begin) * self.rate - 3

    def seen_at_all(self, span: Span) -> bool:
        """Whether frames came throughout a flash, marked or not."""
        got, _ = self.count_frames(span[0], span[1] + 0.2)
        return got >= (span[1] - span[0]) * self.rate

    def found(self, span: Span) -> bool:
        """Whether the flash of `span` was confirmed."""
        return any(matches(flash, [span]) for flash in self.confirmed)


def matches(flash: Flash, shown: Iterable[Span]) -> bool:
    """Whether a flash was shown when `flash` is said to have been."""
    if flash.start_utc is None:
        return False
    when = datetime.fromisoformat(flash.start_utc).timestamp()
    slack = (flash.utc_error_ms or 0) / 1000 + 0.1
    return any(begin - slack <= when <= end + slack for begin, end in shown)
