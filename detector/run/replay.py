"""Replay of recordings: each is opened, read to its end and closed before the next."""

import errno
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Protocol

from detector.errors import DetectorError
from detector.pipeline import SourceDetector
from detector.run.cameras import distinct_names, joined_name
from detector.run.recordings import STANDARD_INPUT, Recording
from stream import (
    CaptureOptions,
    Frame,
    GrowingFile,
    ImageSequence,
    JoinedVideo,
    OpenError,
    StandardInput,
    StreamError,
    Video,
    VideoError,
    choose_streams,
    open_video,
    redact,
)

_log = logging.getLogger(__name__)

AnyVideo = Video | ImageSequence | JoinedVideo


class Progress(Protocol):
    """Receives the progress of a replay, to show it to a person."""

    def begin(self, path: Path, duration_seconds: float | None) -> None:
        """Note that a file starts."""
        ...

    def advance(self, seconds: float) -> None:
        """Note that the file was replayed up to `seconds` on its own clock."""
        ...

    def end(self, problem: str | None) -> None:
        """Note that the file is finished, or broke off because of `problem`."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Options of a replay.

    Attributes:
        capture: how files are opened.
        realtime: replay at the recording's own speed instead of as fast as it decodes.
        start_utc: UTC of the first frame in seconds since 1970, if known.
        history_seconds: seconds of packets kept for clips.
        follow_seconds: how long to wait at the end of a growing file; None if files are complete.
        stream: number of the only video stream to replay; None for all that differ.
        cameras: names that further video streams of a file must not get.
    """

    capture: CaptureOptions
    realtime: bool = False
    start_utc: float | None = None
    history_seconds: float = 0.0
    follow_seconds: float | None = None
    stream: int | None = None
    cameras: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a replay.

    Attributes:
        problems: one line for each file that could not be replayed to its end.
        tried: number of files that were tried.
        stopped: whether it was stopped before the end.
    """

    problems: tuple[str, ...]
    tried: int
    stopped: bool


def replay_files(
    recordings: Sequence[Recording],
    detector_of: Callable[[str, str, AnyVideo], SourceDetector],
    options: ReplayOptions,
    progress: Progress,
    stop: Event,
    finished: Callable[[Recording, str | None], None] = lambda _recording, _problem: None,
) -> Outcome:
    """Replay each of `recordings`; one that cannot be opened or breaks off does not stop the others.

    Args:
        recordings: the files, in order.
        detector_of: makes the detector from the camera name, the recording's name and the open video.
        options: how they are replayed.
        progress: receives the progress.
        stop: ends the replay once set.
        finished: called for each recording that was not stopped, with the problem that ended it early, or None.

    Returns:
        how many files were tried, and the problems met.
    """
    problems: list[str] = []
    tried = 0
    names = _CameraNames([recording.camera or str(recording.path) for recording in recordings], options.cameras)
    for recording, camera in zip(recordings, names.given, strict=True):
        if stop.is_set():
            break
        tried += 1
        replayed = _Replay(recording, camera, detector_of, options, progress, stop)
        whole, problem = replayed.run(names)
        if problem is not None:
            problems.append(problem)
        if not whole:
            break
        finished(recording, problem)
    else:
        return Outcome(tuple(problems), tried, stopped=False)
    return Outcome(tuple(problems), tried, stopped=True)


class _CameraNames:
    """Unique names of cameras.

    Attributes:
        given: the name for each recording.
    """

    def __init__(self, addresses: Sequence[str], taken: Collection[str]) -> None:
        self.given = distinct_names(addresses)
        self._taken = {*self.given, *taken}

    def of_stream(self, camera: str, number: int) -> str:
        """Return a name for a video stream of the recording whose camera is `camera`."""
        name = joined_name(camera, number)
        while name in self._taken:
            name = joined_name(name, number)
        self._taken.add(name)
        return name


@dataclass(frozen=True, slots=True)
class _Replay:
    """The replay of one recording."""

    recording: Recording
    camera: str
    detector_of: Callable[[str, str, AnyVideo], SourceDetector]
    options: ReplayOptions
    progress: Progress
    stop: Event

    def run(self, names: _CameraNames) -> tuple[bool, str | None]:
        """Replay the recording, and return whether it was not stopped, and the problem that ended it early."""
        try:
            with self._open(self.camera, self.options.stream) as video:
                numbers = self._streams(video)
                if len(numbers) == 1 and numbers[0] in (self.options.stream, 1):
                    return self._watch_stream(video, self.camera), None
            for number in numbers:
                camera = self.camera if len(numbers) == 1 else names.of_stream(self.camera, number)
                with self._open(camera, number) as video:
                    if not self._watch_stream(video, camera):
                        return False, None
        except (OpenError, VideoError) as error:
            if self.stop.is_set() and self.options.follow_seconds is not None:
                self.progress.end(None)
                return False, None  # a growing input ends early when the run is stopped
            self.progress.end(str(error))
            return True, str(error)
        except Exception as error:
            if _ends_the_run(error):
                raise
            _log.debug("%s: unexpected failure", self.recording.name, exc_info=True)
            problem = f"{self.recording.path}: cannot be watched any further: {type(error).__name__}: {redact(error)}"
            self.progress.end(problem)
            return True, problem
        return True, None

    def _open(self, camera: str, number: int | None) -> AnyVideo:
        options = self.options
        if self.recording.parts:
            return JoinedVideo(
                self.recording.parts, camera, options.capture, options.start_utc, options.history_seconds, number
            )
        part = None if self.recording.span is None else self.recording.span.read
        return open_video(
            part or _source(self.recording.source, options, self.stop),
            name=camera,
            options=options.capture,
            start_utc=options.start_utc,
            history_seconds=options.history_seconds,
            stream=number,
        )

    def _streams(self, video: AnyVideo) -> tuple[int, ...]:
        """Return the numbers of the video streams to replay, and log those left out."""
        source, options = self.recording.source, self.options
        if options.stream is not None or video.streams == 1:
            return (options.stream or 1,)
        if options.follow_seconds is not None or source == STANDARD_INPUT:
            left_out = f"{video.streams - 1} more video streams are left out, since it can be read only once"
            _log.warning("%s: %s; to watch another: --stream N", self.recording.name, left_out)
            return (1,)
        choice = choose_streams(str(source), options.capture)
        for line in choice.left_out:
            _log.warning("%s (to watch it alone: --stream N)", line)
        if len(choice.watched) > 1:
            _log.info("%s: %d video streams differ; each is watched", self.recording.name, len(choice.watched))
        return choice.watched

    def _watch_stream(self, video: AnyVideo, camera: str) -> bool:
        self.progress.begin(self.recording.path, video.duration_seconds)
        detector = self.detector_of(camera, self.recording.name, video)
        whole = _watch(video, detector, self.options, self.progress, self.stop)
        self.progress.end(None)
        return whole


def _ends_the_run(error: Exception) -> bool:
    """Return whether the failure concerns the whole run: the feed, the results or stdout accept nothing more."""
    lost = isinstance(error, OSError) and (isinstance(error, BrokenPipeError) or error.errno == errno.ENOSPC)
    return lost or isinstance(error, StreamError | DetectorError)


def _source(source: Path | str, options: ReplayOptions, stop: Event) -> Path | str | GrowingFile:
    wait = options.follow_seconds
    if source == STANDARD_INPUT:
        return StandardInput(stop.is_set)
    return source if wait is None or isinstance(source, str) else GrowingFile(source, wait, stop.is_set)


def _watch(
    video: Iterable[Frame], detector: SourceDetector, options: ReplayOptions, progress: Progress, stop: Event
) -> bool:
    """Pass all frames to the detector, and return whether the video was not stopped before its end."""
    started: float | None = None
    try:
        for frame in video:
            if options.realtime:
                started = time.monotonic() - frame.seconds if started is None else started
                if stop.wait(max(0.0, started + frame.seconds - time.monotonic())):
                    return False
                detector.push(replace(frame, arrival=time.monotonic()))
            else:
                detector.push(frame)
            progress.advance(frame.seconds)
            if stop.is_set():
                return False
        # A growing file ends early when the run is stopped.
        return options.follow_seconds is None or not stop.is_set()
    finally:
        # Also if the file breaks off: flashes before the break are reported.
        detector.finish()
