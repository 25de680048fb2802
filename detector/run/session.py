"""A run, shared by replay and watch: the verifier, the feed and the detectors."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal

from detector.events import Flash, event_schema
from detector.output.clips import ClipSource, history_seconds
from detector.output.media import MediaWriter
from detector.output.quota import Removed
from detector.output.report.curve_months import CurveMonths
from detector.output.report.recorded_prefilter import RecordedPrefilter
from detector.pipeline import CandidateSource, SourceDetector
from detector.prefilter.part_prefilter import PartPrefilter
from detector.prefilter.prefilter import Prefilter
from detector.run.cameras import CameraEntry
from detector.run.recordings import Span
from detector.run.recovery import recover_unresolved
from detector.run.schemas import data_schemas
from detector.run.site_storms import SiteStorms
from detector.run.system_events import (
    CAMERA_SCHEMA,
    CAMERA_TOPIC,
    CAMERA_TYPE,
    SystemState,
    camera_state,
    publish_system,
)
from detector.settings import Settings
from detector.verify.base import ImageVerifier, NullVerifier, unverified
from detector.verify.batcher import Batcher
from detector.verify.factory import choose_verifier
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import CameraStatus, FeedOptions, Publisher, WireMessage, read_host_clock

_WATCH_STEP_SECONDS = 1.0  # step of the light curve of cameras: a year of one camera takes about 250 MB
_ASKING_NO_MODEL = (NullVerifier.name, PhotometricVerifier.name)

_log = logging.getLogger(__name__)

Listener = Callable[[WireMessage], None]


@contextmanager
def open_session(
    settings: Settings,
    publish: FeedOptions,
    listeners: Sequence[Listener] = (),
    *,
    out: Path | None = None,
    stop: Event | None = None,
) -> "Iterator[Session]":
    """Start the verifier and open the feed; at the end, judge the waiting candidates and drain the feed.

    Args:
        settings: settings of the run.
        publish: how events are published and kept.
        listeners: each is called with every message, after it was committed and published.
        out: folder of the run for stills and clips; None keeps none.
        stop: once set, nothing waits for the verifier any longer.

    Yields:
        the running session.

    Raises:
        VerifierError: the verifier cannot start; nothing is left running.
        FeedError: the feed cannot start; nothing is left running.
        JournalError: the journal cannot be opened; nothing is left running.
    """

    def tell(message: WireMessage) -> None:
        for listener in listeners:
            listener(message)

    with ExitStack() as stack:
        verifier, line = choose_verifier(settings)
        stack.callback(verifier.close)
        # Only clients ask for schemas, and making them takes milliseconds.
        schemas = ({}, {}) if publish.endpoint is None else (event_schema(), data_schemas())
        feed = stack.enter_context(Publisher(publish, schemas[0], tell, schemas[1]))
        media = None
        if out is not None:
            on_removed = partial(_publish_removed, feed, settings.feed.site, line)
            sheet = verifier.sheet if isinstance(verifier, ImageVerifier) else None
            media = MediaWriter(out, settings.evidence, settings.site, on_removed, sheet)
            stack.callback(media.close)
        storms = SiteStorms(feed, settings, publish.journal)
        stack.callback(storms.finish)
        # Entered last, left first: its last verdicts are published before the feed is drained.
        batcher = stack.enter_context(Batcher(verifier, settings.batcher, stop))
        yield Session(settings, storms, batcher, media, verifier_name=verifier.name, line=line)


class Session:
    """One run: makes the detector of each source and publishes the flashes; see `open_session`.

    Attributes:
        verifier_name: the chosen verifier.
        line: which verifier was chosen, and why.
        storms: makes storms and groups of the published flashes.
        run: identifies a replay that may be continued, for the ids of its flashes; None for random ids.
        curves: folder of light curves; None for the run's.
        span: the time of the recording that is told; None for all of it.
    """

    def __init__(
        self,
        settings: Settings,
        storms: SiteStorms,
        batcher: Batcher,
        media: MediaWriter | None,
        *,
        verifier_name: str,
        line: str,
    ) -> None:
        self.verifier_name = verifier_name
        self.line = line
        self._settings = settings
        self._feed = storms.feed
        self._batcher = batcher
        self._media = media
        self.storms = storms
        self.run: str | None = None
        self.curves: Path | None = None
        self.span: Span | None = None

    @property
    def asks_model(self) -> bool:
        """Whether the verifier asks a model."""
        return self.verifier_name not in _ASKING_NO_MODEL

    def history_seconds(self, settings: Settings) -> float:
        """Return the seconds of packets to keep of a source, so that the longest candidate can be cut from it.

        It is 0 if no clips are kept.
        """
        return 0.0 if self._media is None else history_seconds(settings.evidence, longest_flash(settings))

    def file_detector(self, name: str, file: str, source: ClipSource) -> SourceDetector:
        """Return a new detector for the recording whose name in events is `file`, opened as `source`."""
        seed = None if self.run is None else f"{self.run}/{file}"
        span, settings = self.span, self._settings.prefilter
        if span is None:
            prefilter = Prefilter(name, settings, seed=seed)
        else:
            prefilter = PartPrefilter(name, settings, (span.start, span.end), span.first, seed=seed)
        return self._detector(self._recorded(prefilter, name, file), source, self._settings, file)

    def camera_detector(self, entry: CameraEntry, source: ClipSource) -> SourceDetector:
        """Return a new detector for a live camera."""
        prefilter = Prefilter(entry.name, entry.settings.prefilter, mask=entry.mask, region=entry.region)
        return self._detector(self._recorded(prefilter, entry.name, None), source, entry.settings, None)

    def _recorded(self, prefilter: Prefilter, name: str, file: str | None) -> CandidateSource:
        """Return a prefilter whose light curve is kept in the run's folder, if there is one."""
        if self._media is None:
            return prefilter
        folder = self.curves or self._media.folder.path
        if file is not None:
            return RecordedPrefilter(prefilter, folder, name, file)
        kept = self._settings.evidence
        months = CurveMonths(kept.curve_megabytes, kept.keep_days)
        return RecordedPrefilter(prefilter, folder, name, None, _WATCH_STEP_SECONDS, months)

    def _detector(
        self, prefilter: CandidateSource, source: ClipSource, settings: Settings, file: str | None
    ) -> SourceDetector:
        media = self._media
        clips = None if media is None else media.planner(source, longest_flash(settings), live=file is None)
        return SourceDetector(prefilter, self._batcher, self._publish, media=media, clips=clips, file=file)

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the feed, if any: nothing more can be published then."""
        return self._feed.failure

    @property
    def lost_media(self) -> int:
        """Number of stills and clips that could not be written."""
        return 0 if self._media is None else self._media.lost

    def verifier_status(self) -> dict[str, object]:
        """Return the status of the verifier and the queues for heartbeats, without blocking."""
        return {"name": self.verifier_name, "waiting": self._batcher.waiting, "queued": self._feed.backlog}

    def drain(self) -> None:
        """Wait until all candidates are judged, or the run is stopped, and all clips are written."""
        self._batcher.drain()
        if self._media is not None:
            self._media.drain()

    def take(self, flash: Flash) -> None:
        """Publish a flash that another process found, and delete media beyond the quota."""
        self._publish(flash)
        if self._media is not None:
            self._media.keep(flash.id, flash.state, flash.media)

    def publish_camera(self, status: CameraStatus) -> None:
        """Publish the state of a camera."""
        name = status.camera
        self._feed.publish(
            topic=CAMERA_TOPIC + name,
            type=CAMERA_TYPE,
            subject=name,
            dataschema=CAMERA_SCHEMA,
            data=camera_state(status),
        )

    def publish_system(
        self,
        state: Literal["started", "stopped", "reloaded", "reload_refused"],
        cameras: Sequence[str],
        detail: str | None = None,
    ) -> None:
        """Publish that watching `cameras` has started, stopped, or was asked to reload."""
        data = SystemState(
            state=state,
            cameras=tuple(cameras),
            verifier=self.line,
            host_clock=read_host_clock(),
            detail=detail,
        )
        publish_system(self._feed, self._settings.feed.site, data)

    def publish_unresolved(self, journal: Path) -> None:
        """Publish as `unverified` the flashes that a killed run left in `journal` without a verdict.

        Subscribers then do not wait for a verdict that will never come.
        """
        verdict = unverified(self.verifier_name, "its run was killed before the verdict")
        for flash in recover_unresolved(journal, verdict):
            _log.warning("%s: left without a verdict by a run that was killed; published as unverified", flash.id)
            self._publish(flash)

    def _publish(self, flash: Flash) -> None:
        self.storms.publish(flash)


def longest_flash(settings: Settings) -> float:
    """Return the longest duration of a candidate in seconds."""
    return settings.prefilter.max_candidate_seconds + settings.prefilter.gap_seconds


def _publish_removed(feed: Publisher, site: str, line: str, removed: Removed) -> None:
    """Publish which stills and clips were deleted."""
    data = SystemState(
        state="media-removed",
        cameras=(),
        verifier=line,
        flashes=removed.flash_ids,
        megabytes=removed.megabytes,
        reason=removed.why,
    )
    publish_system(feed, site, data)
