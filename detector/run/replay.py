"""Replay of recorded files: each is opened, watched to its end and closed before the next."""

import errno
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Protocol

from detector.errors import DetectorError, UsageError
from detector.pipeline import SourceDetector
from detector.run.cameras import distinct_names
from stream import (
    CaptureOptions,
    Frame,
    GrowingFile,
    OpenError,
    StreamError,
    Video,
    VideoError,
    open_video,
    printable,
    redact,
)

_log = logging.getLogger(__name__)

_SUFFIXES = (
    "3g2 3gp asf avi divx dv f4v flv m2t m2ts m4v mkv mov mp4 mpeg mpg mts mxf nut ogv trp ts vob webm wmv "
    "360 dav insv mod tod "  # these containers as GoPro, Dahua, Insta360 and JVC call them
    "264 265 h264 h265 hevc m2v mjpeg mjpg y4m"  # bare streams
)
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())


class NoVideoFound(DetectorError):
    """A folder holds no file that looks like video."""


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
    """

    capture: CaptureOptions
    realtime: bool = False
    start_utc: float | None = None
    history_seconds: float = 0.0
    follow_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One file to watch, and what events call it: a name of its own among the files of a run."""

    path: Path
    name: str


def find_videos(paths: Sequence[Path], overwritten: Collection[Path] = ()) -> list[Recording]:
    """Return the files named, and the videos in the folders named (sub-folders too, nothing hidden), each once.

    A file in a folder is called by its path in there, another one by its name; if two would be called the same, all
    are called by their paths as given.

    Args:
        paths: files and folders.
        overwritten: real paths of clips that this run removes; they are no recordings.

    Raises:
        NoVideoFound: a folder has none.
        UsageError: a file that is named would be removed.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for given in paths:
        if Path(os.path.realpath(given)) in overwritten:
            raise UsageError(f"{given}: --overwrite would remove it, a clip of the earlier run; choose another --out")
        files = _videos_in(given, overwritten) if given.is_dir() else [given]
        for path in files:
            short = path.relative_to(given) if path != given else Path(path.name)
            found.setdefault(os.path.realpath(path), (path, short))
    names = [_as_text(short) for _, short in found.values()]
    if len(set(names)) < len(names):
        names = [_as_text(path) for path, _ in found.values()]
    return [Recording(path, name) for (path, _), name in zip(found.values(), names, strict=True)]


def _videos_in(folder: Path, overwritten: Collection[Path]) -> list[Path]:
    inside = sorted(
        file
        for file in folder.rglob("*")
        # What begins with a dot is no recording: macOS leaves a `._name.mp4` beside each file, trash is hidden too.
        if file.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )
    recordings = [file for file in inside if file.resolve() not in overwritten]
    if len(recordings) < len(inside):
        _log.info("%s: left out %d clips of the run that is overwritten", folder, len(inside) - len(recordings))
    if not recordings:
        raise NoVideoFound(f"{folder}: no video in this folder (looked for {' '.join(sorted(VIDEO_SUFFIXES))})")
    return recordings


def _as_text(path: Path) -> str:
    """Return a name fit for a message; an old disk may hold one that is not UTF-8, and a stranger's one anything."""
    return printable(os.fsencode(path).decode(errors="replace"))


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
    detector_of: Callable[[str, str, Video], SourceDetector],
    options: ReplayOptions,
    progress: Progress,
    stop: Event,
) -> Outcome:
    """Watch each of `recordings`; one that cannot be opened or breaks off keeps no other from being watched.

    Args:
        recordings: the files, in order.
        detector_of: makes what finds the flashes, from the camera name, the recording's name and the open video.
        options: how they are replayed.
        progress: hears how it goes on.
        stop: ends the replay once set.
    """
    problems: list[str] = []
    tried = 0
    cameras = distinct_names([str(recording.path) for recording in recordings])
    for recording, camera in zip(recordings, cameras, strict=True):
        path = recording.path
        if stop.is_set():
            break
        tried += 1
        try:
            with open_video(
                _source(path, options, stop),
                name=camera,
                options=options.capture,
                start_utc=options.start_utc,
                history_seconds=options.history_seconds,
            ) as video:
                progress.begin(path, video.duration_seconds)
                whole = _watch(video, detector_of(camera, recording.name, video), options, progress, stop)
            progress.end(None)
            if not whole:
                break
        except (OpenError, VideoError) as error:
            if stop.is_set() and options.follow_seconds is not None:
                progress.end(None)
                break  # it ends where it was when we were stopped
            problems.append(str(error))
            progress.end(str(error))
        except Exception as error:
            if _ends_the_run(error):
                raise
            _log.debug("%s: unexpected failure", path, exc_info=True)
            problem = f"{path}: cannot be watched any further: {type(error).__name__}: {redact(error)}"
            problems.append(problem)
            progress.end(problem)
    else:
        return Outcome(tuple(problems), tried, stopped=False)
    return Outcome(tuple(problems), tried, stopped=True)


def _ends_the_run(error: Exception) -> bool:
    """Return whether it is no failure of one file: the feed, the results or stdout take nothing more."""
    lost = isinstance(error, OSError) and (isinstance(error, BrokenPipeError) or error.errno == errno.ENOSPC)
    return lost or isinstance(error, StreamError | DetectorError)


def _source(path: Path, options: ReplayOptions, stop: Event) -> Path | GrowingFile:
    wait = options.follow_seconds
    return path if wait is None else GrowingFile(path, wait, stop.is_set)


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
