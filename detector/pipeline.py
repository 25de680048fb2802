"""From the frames of one source to the revisions of its flashes: prefilter, verifier and publication."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Protocol

import msgspec

from detector.candidate import SLOW_SECONDS, Candidate
from detector.events import SOFTWARE, Flash, Media, State, Verdict, changed_keys
from detector.output.clip_files import AttachedClip
from detector.output.clips import ClipPlanner
from detector.output.media import FlashMedia, MediaWriter
from detector.output.rank import rank_of
from stream import Frame, utc_text

_log = logging.getLogger(__name__)

_JUDGED_INTERVALS = 5  # the median of these is not affected by a missing frame
_MOST = 0.5  # share of a file's frames so far
_MOSTLY_DAMAGED = "most frames of this file so far are damaged"
_NEAR_SECONDS = 0.25  # damage of which nothing complains stands beside damage that is known
_REMEMBERED_MARKS = 300
_NEAR_DAMAGE = "frames right before or after it are damaged"
# Cameras take turns by the frame: within one, threads would take Python's lock from each other at every array
# operation, and with a dozen cameras flashes would be told seconds late although a core is free.
_TURN = threading.Lock()
NOTHING_BEFORE = "it was lit in the first frame: nothing is known of the scene before"

VerdictCallback = Callable[[Candidate, Verdict], None]


class CandidateSource(Protocol):
    """Finds candidates in the frames of one source, like detector.prefilter.prefilter.Prefilter."""

    def push(self, frame: Frame) -> list[Candidate]:
        """Return the candidates that open or close with `frame`."""
        ...

    def flush(self) -> list[Candidate]:
        """Return the candidate that is open at the end of the source, closed."""
        ...


class VerifierQueue(Protocol):
    """Accepts closed candidates and answers each, at once or later, in any thread."""

    def ask(self, candidate: Candidate, answer: VerdictCallback, *, wait: bool = False) -> None:
        """Judge a candidate, and call `answer(candidate, verdict)`, again for a late verdict; files may `wait`."""
        ...


class FlashRevisions:
    """The revisions of one flash under one id: each call publishes its whole state as the next revision.

    Confirmed and rejected are final. The clip, which is cut after the verdict, follows as a separate revision.
    """

    def __init__(self, publish: Callable[[Flash], None], file: str | None, media: FlashMedia | None = None) -> None:
        self._publish = publish
        self._file = file
        self._media = media
        self._last: Flash | None = None
        self._lock = threading.Lock()

    def keep(self, media: FlashMedia | None) -> None:
        """Take the media of the finished flash."""
        self._media = media

    def detect(self, candidate: Candidate) -> None:
        """Publish the state at the onset."""
        with self._lock:
            self._tell(_flash(candidate, None, Media(), self._file))

    def judge(self, candidate: Candidate, verdict: Verdict) -> None:
        """Publish the verdict, with the media available now."""
        with self._lock:
            media = Media() if self._media is None else self._media.decide(verdict)
            self._tell(_flash(candidate, verdict, media, self._file))

    # Implements detector.output.clip_files.ClipTaker

    @property
    def flash_id(self) -> str:
        """Id of the flash."""
        return self._kept.flash_id

    @property
    def onset_seconds(self) -> float:
        """Its start in seconds on the source's clock."""
        return self._kept.onset_seconds

    @property
    def utc_offset(self) -> float | None:
        """UTC minus the source's clock, in seconds; None if UTC is unknown."""
        return self._kept.utc_offset

    @property
    def clip_name(self) -> str:
        """Path of its clip in the run's folder, without file ending."""
        return self._kept.clip_name

    @property
    def wants_clip(self) -> bool:
        """Whether the flash was not rejected."""
        return self._kept.wants_clip

    def attach(self, clip: AttachedClip) -> None:
        """Add the clip, and publish it if the verdict is known."""
        with self._lock:
            media = self._kept.attach(clip)
            if media is not None and self._last is not None and media != self._last.media:
                latency = round((time.monotonic() - clip.arrival) * 1000.0, 1)
                self._tell(msgspec.structs.replace(self._last, media=media, latency_ms=latency))

    @property
    def _kept(self) -> FlashMedia:
        assert self._media is not None  # noqa: S101 - only a flash with media waits for a clip
        return self._media

    def _tell(self, flash: Flash) -> None:
        last = self._last
        if last is not None:
            flash = msgspec.structs.replace(flash, revision=last.revision + 1)
            flash = msgspec.structs.replace(flash, changed=changed_keys(last, flash))
        self._last = flash
        self._publish(flash)


class SourceDetector:
    """Find the flashes of one camera or file.

    Args:
        prefilter: a new one, for this source alone.
        verifier: the queue of the verifier, shared by all sources.
        publish: called with every revision, from this thread, the verifier's or the clip writer's.
        media: writes stills and clips, or None.
        clips: cuts the clips of this source, or None.
        file: name of the recording in events; None for a live camera.
    """

    def __init__(
        self,
        prefilter: CandidateSource,
        verifier: VerifierQueue,
        publish: Callable[[Flash], None],
        *,
        media: MediaWriter | None = None,
        clips: ClipPlanner | None = None,
        file: str | None = None,
    ) -> None:
        self._prefilter = prefilter
        self._verifier = verifier
        self._publish = publish
        self._media = media
        self._file = file
        self._frames = 0
        self._damaged = 0
        self._damaged_at: deque[float] = deque(maxlen=_REMEMBERED_MARKS)
        self._intervals: list[float] | None = []  # None after the check
        self._last_seconds: float | None = None
        self._clips = clips
        self._open: dict[str, tuple[FlashRevisions, float]] = {}

    def push(self, frame: Frame) -> None:
        """Take the next frame."""
        self._frames += 1
        if frame.quality:
            self._damaged += 1
            self._damaged_at.append(frame.seconds)
        if self._intervals is not None:
            self._judge_rate(frame, self._intervals)
        with _TURN:
            candidates = self._prefilter.push(frame)
        for candidate in candidates:
            self._take(candidate)
        if self._clips is not None:
            self._clips.advance(frame, min((start for _, start in self._open.values()), default=None))

    def _judge_rate(self, frame: Frame, intervals: list[float]) -> None:
        """Log once if frames are too far apart to show how suddenly a light comes."""
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
        """Close the open candidate and cut its clips as far as possible, since the source has ended or is away."""
        for candidate in self._prefilter.flush():
            self._take(candidate)
        if self._clips is not None:
            self._clips.finish()

    def _take(self, candidate: Candidate) -> None:
        if candidate.open:
            record = FlashRevisions(self._publish, self._file)
            self._open[candidate.id] = record, candidate.start_seconds
            record.detect(candidate)
            return
        record, _ = self._open.pop(candidate.id, (FlashRevisions(self._publish, self._file), 0.0))
        # Taken now: the verifier may keep the candidate long after its source has dropped these frames.
        media = None if self._media is None else self._media.take(candidate)
        record.keep(media)

        # A camera's link may lose packets all the time; a mostly damaged file has nothing to compare with.
        unsure = self._why_unsure(candidate) if self._file is not None else None

        def answer(judged: Candidate, verdict: Verdict) -> None:
            if unsure is not None and verdict.lightning:
                verdict = msgspec.structs.replace(verdict, lightning=None, reason=unsure)
            record.judge(judged, _as_far_as_known(judged, verdict))

        # A file can wait; a live camera never waits for a verifier.
        self._verifier.ask(candidate, answer, wait=self._file is not None)
        if media is not None:
            media.stage()  # to disk: the stills of many waiting candidates would fill the memory
            if self._clips is not None and media.wants_clip:
                self._clips.add(record, candidate.start_seconds, candidate.end_seconds)

    def _why_unsure(self, candidate: Candidate) -> str | None:
        """Return why the damage in a file makes a candidate unsure, if it does."""
        if candidate.quality:
            return _MOSTLY_DAMAGED if self._damaged > _MOST * self._frames else None
        first, last = candidate.start_seconds - _NEAR_SECONDS, candidate.end_seconds + _NEAR_SECONDS
        return _NEAR_DAMAGE if any(first <= seconds <= last for seconds in self._damaged_at) else None


def _as_far_as_known(candidate: Candidate, verdict: Verdict) -> Verdict:
    """Return `verdict`, but not a confirmation if the light was on from the first frame, like a lamp."""
    if not verdict.lightning or candidate.context.frames_before:
        return verdict
    return msgspec.structs.replace(verdict, lightning=None, reason=NOTHING_BEFORE)


def _flash(candidate: Candidate, verdict: Verdict | None, media: Media, file: str | None) -> Flash:
    """Return the flash for a candidate; the caller counts its revision."""
    onset = candidate.onset
    state: State = "detected" if verdict is None else verdict.state
    # The frame whose arrival decided this revision: the onset's for `detected`, the last frame for the rest.
    decided = onset if verdict is None else (candidate.after or candidate.peak)
    start_utc = None if onset.utc is None else onset.utc + candidate.start_seconds - onset.seconds
    return Flash(
        id=candidate.id,
        camera=candidate.camera,
        file=file,
        state=state,
        revision=1,
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
        rank=None
        if candidate.open
        else rank_of(candidate.structure, candidate.peak_rise_levels, candidate.lit_fraction),
        verdict=verdict,
        media=media,
        latency_ms=round((time.monotonic() - decided.arrival) * 1000.0, 1),
        software=SOFTWARE,
    )
