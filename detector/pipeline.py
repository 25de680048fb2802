"""From the frames of one source to the revisions of its flashes: prefilter, verifier and publication."""

import logging
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Protocol

import msgspec

from detector.candidate import SLOW_SECONDS, Candidate
from detector.events import SOFTWARE, Flash, Media, State, Verdict, changed_keys
from detector.output.media import CandidateMedia, ClipSource, MediaWriter
from stream import Frame, utc_text

_log = logging.getLogger(__name__)

_JUDGED_INTERVALS = 5  # the median of so many ignores a frame that was left out
_MOST = 0.5  # of a file's frames so far
_MOSTLY_DAMAGED = "most frames of this file so far are damaged"
NOTHING_BEFORE = "it was lit in the first frame: nothing is known of the scene before"

VerdictCallback = Callable[[Candidate, Verdict], None]


class CandidateSource(Protocol):
    """Finds candidates in the frames of one source, as detector.prefilter.prefilter.Prefilter does."""

    def push(self, frame: Frame) -> list[Candidate]:
        """Return the candidates that open or close with `frame`."""
        ...

    def flush(self) -> list[Candidate]:
        """Return what is still open at the end of the source, closed."""
        ...


class VerifierQueue(Protocol):
    """Takes closed candidates and answers each, at once or later, in any thread."""

    def ask(self, candidate: Candidate, answer: VerdictCallback, *, wait: bool = False) -> None:
        """Have `answer(candidate, verdict)` called once, or again when a late verdict follows; files may `wait`."""
        ...


class FlashRevisions:
    """The life of one flash under one id: each call publishes its whole state as the next revision."""

    def __init__(self, publish: Callable[[Flash], None], file: str | None) -> None:
        self._publish = publish
        self._file = file
        self._last: Flash | None = None
        self._lock = threading.Lock()

    def revise(self, candidate: Candidate, verdict: Verdict | None = None, media: Media | None = None) -> None:
        """Publish what is known now: without a verdict as `detected`, else in the verdict's state."""
        with self._lock:
            number = 1 if self._last is None else self._last.revision + 1
            flash = _flash(candidate, verdict, media or Media(), number, self._file)
            if self._last is not None:
                flash = msgspec.structs.replace(flash, changed=changed_keys(self._last, flash))
            self._last = flash
            self._publish(flash)


class SourceDetector:
    """Finds the flashes of one camera or file.

    Args:
        prefilter: fresh, for this source alone.
        verifier: the queue of the verifier, shared by all sources.
        publish: called with every revision, from this thread or from the verifier's.
        media: where stills and clips go, or None.
        source: the video or camera itself, which clips are cut from.
        file: what events call the recording; None for a live camera.
    """

    def __init__(
        self,
        prefilter: CandidateSource,
        verifier: VerifierQueue,
        publish: Callable[[Flash], None],
        *,
        media: MediaWriter | None = None,
        source: ClipSource | None = None,
        file: str | None = None,
    ) -> None:
        self._prefilter = prefilter
        self._verifier = verifier
        self._publish = publish
        self._media = media
        self._source = source
        self._file = file
        self._open: dict[str, FlashRevisions] = {}
        self._frames = 0
        self._damaged = 0
        self._intervals: list[float] | None = []  # None once they were judged
        self._last_seconds: float | None = None

    def push(self, frame: Frame) -> None:
        """Take the next frame."""
        self._frames += 1
        self._damaged += bool(frame.quality)
        if self._intervals is not None:
            self._judge_rate(frame, self._intervals)
        for candidate in self._prefilter.push(frame):
            self._take(candidate)

    def _judge_rate(self, frame: Frame, intervals: list[float]) -> None:
        """Say once where frames are too far apart to see how suddenly a light comes."""
        if self._last_seconds is not None:
            intervals.append(frame.seconds - self._last_seconds)
        self._last_seconds = frame.seconds
        if len(intervals) < _JUDGED_INTERVALS:
            return
        self._intervals = None
        usual = median(intervals)
        if usual >= SLOW_SECONDS:
            _log.warning(
                "%s: its frames are %.1f s apart: a flash is over within one, and how suddenly a light came cannot be "
                "seen; the photometric verifier is sure of nothing there",
                self._file or frame.camera,
                usual,
            )

    def finish(self) -> None:
        """The source has ended, or is away for now: close what is open."""
        for candidate in self._prefilter.flush():
            self._take(candidate)

    def _take(self, candidate: Candidate) -> None:
        if candidate.open:
            record = self._open[candidate.id] = FlashRevisions(self._publish, self._file)
            record.revise(candidate)
            return
        record = (
            self._open.pop(candidate.id) if candidate.id in self._open else FlashRevisions(self._publish, self._file)
        )
        # Taken now: the verifier may keep the candidate long after its source has forgotten these frames.
        media = None if self._media is None else self._media.take(candidate, self._source)

        # A camera's link may lose packets all the time; a file that is mostly damaged holds nothing to compare with.
        unsure = self._file is not None and bool(candidate.quality) and self._damaged > _MOST * self._frames

        def answer(judged: Candidate, verdict: Verdict) -> None:
            if unsure and verdict.lightning:
                verdict = msgspec.structs.replace(verdict, lightning=None, reason=_MOSTLY_DAMAGED)
            verdict = _as_far_as_known(judged, verdict)
            record.revise(judged, verdict, None if media is None else _decided(media, verdict))

        # A file has time; a live camera never waits for a verifier.
        self._verifier.ask(candidate, answer, wait=self._file is not None)
        if media is not None:
            media.stage()  # many may wait for a slow verifier: their clips would take the memory


def _as_far_as_known(candidate: Candidate, verdict: Verdict) -> Verdict:
    """Return `verdict`, without a confirmation where the light was on from the first frame: lamps are so too."""
    if not verdict.lightning or candidate.context.frames_before:
        return verdict
    return msgspec.structs.replace(verdict, lightning=None, reason=NOTHING_BEFORE)


def _decided(media: CandidateMedia, verdict: Verdict) -> Media:
    """Return where the stills and clips are; those of a rejected candidate are removed."""
    return media.discard() if verdict.lightning is False else media.commit()


def _flash(candidate: Candidate, verdict: Verdict | None, media: Media, revision: int, file: str | None) -> Flash:
    onset = candidate.onset
    state: State = "detected" if verdict is None else verdict.state
    # The frame whose arrival decided this revision: the onset's for `detected`, the last one seen for the rest.
    decided = onset if verdict is None else (candidate.after or candidate.peak)
    start_utc = None if onset.utc is None else onset.utc + candidate.start_seconds - onset.seconds
    return Flash(
        id=candidate.id,
        camera=candidate.camera,
        file=file,
        state=state,
        revision=revision,
        start_seconds=round(candidate.start_seconds, 6),
        peak_seconds=round(candidate.peak_seconds, 6),
        end_seconds=None if candidate.open else round(candidate.end_seconds, 6),
        duration_seconds=None if candidate.open else round(candidate.end_seconds - candidate.start_seconds, 6),
        start_utc=None if start_utc is None else utc_text(start_utc),
        clock=onset.clock,
        utc_error_ms=onset.utc_error_ms,
        quality=candidate.quality,
        pulses=candidate.pulses,
        peak_rise_levels=round(candidate.peak_rise_levels, 2),
        lit_fraction=round(candidate.lit_fraction, 4),
        box=candidate.box,
        centroid=candidate.centroid,
        verdict=verdict,
        media=media,
        latency_ms=round((time.monotonic() - decided.arrival) * 1000.0, 1),
        software=SOFTWARE,
    )
