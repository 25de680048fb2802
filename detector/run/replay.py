"""Replay of recorded files: each is opened, watched to its end and closed before the next."""

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
    """Hears how a replay goes on, for a person to see."""

    def begin(self, path: Path, duration_seconds: float | None) -> None:
        """A file starts."""
        ...

    def advance(self, seconds: float) -> None:
        """The file has been watched up to `seconds` on its own clock."""
        ...

    def end(self, problem: str | None) -> None:
        """The file is done, or broke off for the reason given."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How files are replayed.

    Attributes:
        capture: how they are opened.
        realtime: at their own pace, else as fast as they decode.
        start_utc: UTC of the first frame, seconds since 1970, if known.
        history_seconds: how much of what was read is kept for clips.
        follow_seconds: how long to wait at the end of a file that still grows; None where files are whole.
        stream: number of the one video stream to watch; None for all that differ.
        cameras: names that no further video stream of a file may get.
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
    """What became of a replay.

    Attributes:
        problems: one line for each file that could not be watched to its end.
        tried: how many files it came to.
        stopped: it was told to stop before the end.
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
        detector_of: makes what finds the flashes, from the camera name, the recording's name and the open video.
        options: how they are replayed.
        progress: hears how it goes on.
        stop: ends the replay once set.
        finished: told of each that was watched to its end, or why it was not, unless it was stopped.

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
    """Names of cameras, each given once.

    Attributes:
        given: one for each recording.
    """

    def __init__(self, addresses: Sequence[str], taken: Collection[str]) -> None:
        self.given = distinct_names(addresses)
        self._taken = {*self.given, *taken}

    def of_stream(self, camera: str, number: int) -> str:
        """Return a name for a video stream of the recording that is called `camera`."""
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
        """Return whether it was not stopped, and what kept it from being watched to its end."""
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
                return False, None  # it ends where it was when we were stopped
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
        return open_video(
            _source(self.recording.source, options, self.stop),
            name=camera,
            options=options.capture,
            start_utc=options.start_utc,
            history_seconds=options.history_seconds,
            stream=number,
        )

    def _streams(self, video: AnyVideo) -> tuple[int, ...]:
        """Return the numbers of the video streams to watch, and say which are left out."""
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
    """Return whether it is no failure of one file: the feed, the results or stdout take nothing more."""
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
    """Return whether it was watched to its end, and not stopped before."""
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
        # What still grows ends early when the run is stopped.
        return options.follow_seconds is None or not stop.is_set()
    finally:
        # Also when the file breaks off: flashes before the break are reported.
        detector.finish()
