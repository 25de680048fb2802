"""What replay and watch share: the verifier, the feed and the detectors of one run."""

import argparse
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Literal, Self

import msgspec

from detector.cli.outlet import feed_options
from detector.events import FLASH_SCHEMA, FLASH_TOPIC, FLASH_TYPE, Flash, event_schema
from detector.output.media import ClipSource, MediaWriter
from detector.pipeline import SOFTWARE, SourceDetector
from detector.prefilter.prefilter import Prefilter
from detector.run.cameras import CameraEntry
from detector.run.recovery import left_open
from detector.settings import Settings
from detector.verify.base import NullVerifier, unverified
from detector.verify.batcher import Batcher
from detector.verify.factory import choose_verifier
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import CameraStatus, Publisher, WireMessage

CAMERA_TYPE = "lightning.camera.v1"
CAMERA_SCHEMA = "urn:lightning-detector:camera:1"
SYSTEM_TYPE = "lightning.system.v1"
SYSTEM_SCHEMA = "urn:lightning-detector:system:1"

_ASKING_NO_MODEL = (NullVerifier.name, PhotometricVerifier.name)

_log = logging.getLogger(__name__)

Listener = Callable[[str, int, bytes], None]


class SystemState(msgspec.Struct, frozen=True, kw_only=True):
    """What `watch` says of itself: that it started or stopped, with which cameras and which verifier, and why that."""

    state: Literal["started", "stopped"]
    cameras: tuple[str, ...]
    verifier: str
    software: str = SOFTWARE


class Session:
    """Use as a context: entering opens the feed and starts the verifier; leaving answers what is asked and drains it.

    listeners: each is called with (topic, sequence, body) of every message, after it was committed and published.
    stop: once set, nothing waits for the verifier any longer.
    line: which verifier was chosen, and why.

    Raises:
        VerifierError, FeedError, JournalError: when entered; nothing is left running.
    """

    def __init__(
        self,
        settings: Settings,
        arguments: argparse.Namespace,
        listeners: Sequence[Listener],
        out: Path | None,
        stop: Event | None = None,
    ) -> None:
        self._settings = settings
        self._arguments = arguments
        self._listeners = listeners
        self._album = None if out is None else MediaWriter(out, settings.evidence)
        self._stop = stop
        self._stack = ExitStack()
        self.line = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            options = feed_options(self._settings, self._arguments)
            verifier, self.line = choose_verifier(self._settings)
            self._verifier, self._journal = verifier.name, options.journal
            stack.callback(verifier.close)
            model = getattr(self._arguments, "model", None)
            if model is not None and verifier.name in _ASKING_NO_MODEL:
                _log.warning("--model %s is not asked: the verifier is %s; see --verifier", model, verifier.name)
            self._feed = stack.enter_context(Publisher(options, schema=event_schema(), on_message=self._tell))
            # Entered last, left first: what it still answers is published before the feed is drained.
            self._batcher = stack.enter_context(Batcher(verifier, self._settings.batcher, self._stop))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def history_seconds(self, settings: Settings) -> float:
        """How much of a source must be kept so that the longest candidate can be cut from it; 0 without a folder."""
        evidence, prefilter = settings.evidence, settings.prefilter
        if self._album is None or not evidence.clips:
            return 0.0
        longest = prefilter.max_candidate_seconds + prefilter.gap_seconds
        return evidence.before_seconds + longest + evidence.after_seconds

    def file_detector(self, name: str, file: str, source: ClipSource) -> SourceDetector:
        """A fresh detector for the recording that events call `file`, opened as `source`."""
        prefilter = Prefilter(name, self._settings.prefilter)
        return SourceDetector(prefilter, self._batcher, self._publish, album=self._album, source=source, file=file)

    def camera_detector(self, entry: CameraEntry, source: ClipSource) -> SourceDetector:
        """A fresh detector for a live camera."""
        prefilter = Prefilter(entry.name, entry.settings.prefilter, mask=entry.mask, region=entry.region)
        return SourceDetector(prefilter, self._batcher, self._publish, album=self._album, source=source)

    @property
    def failure(self) -> BaseException | None:
        """What ended the feed, if anything did: nothing more can be published then."""
        return self._feed.failure

    @property
    def lost_pictures(self) -> int:
        """How many stills and clips could not be written."""
        return 0 if self._album is None else self._album.lost

    def drain(self) -> None:
        """Wait until everything asked of the verifier is answered, or the run is stopped."""
        self._batcher.drain()

    def publish_camera(self, status: CameraStatus) -> None:
        """Publish the state of a camera."""
        name = status.camera
        self._feed.publish(
            topic=f"ev.camera.{name}", type=CAMERA_TYPE, subject=name, dataschema=CAMERA_SCHEMA, data=status
        )

    def publish_system(self, state: Literal["started", "stopped"], cameras: Sequence[str]) -> None:
        """Publish that watching `cameras` has started or stopped."""
        data = SystemState(state=state, cameras=tuple(cameras), verifier=self.line)
        site = self._settings.feed.site
        self._feed.publish(topic="ev.system", type=SYSTEM_TYPE, subject=site, dataschema=SYSTEM_SCHEMA, data=data)

    def close_left_open(self) -> None:
        """Publish as `unverified` what a killed run left in the journal without a verdict: nobody shall wait for it."""
        if self._journal is not None:
            for flash in left_open(self._journal, unverified(self._verifier, "its run was killed before the verdict")):
                _log.warning("%s: left without a verdict by a run that was killed; published as unverified", flash.id)
                self._publish(flash)

    def _publish(self, flash: Flash) -> None:
        self._feed.publish(
            topic=FLASH_TOPIC + flash.camera,
            type=FLASH_TYPE,
            subject=flash.camera,
            dataschema=FLASH_SCHEMA,
            data=flash,
        )

    def _tell(self, message: WireMessage) -> None:
        for listener in self._listeners:
            listener(message.topic, message.sequence, message.body)
