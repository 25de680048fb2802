"""Recorded files in order: each is opened, watched to its end and closed before the next."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Protocol

from detector.cameras import distinct_names
from detector.errors import DetectorError
from detector.evidence import CLIPS
from detector.pipeline import SourceDetector
from stream import BadVideo, CannotOpen, CaptureOptions, Frame, GrowingFile, Video, open_video

_log = logging.getLogger(__name__)

_SUFFIXES = (
    "3gp 264 265 avi flv h264 h265 hevc m2ts m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts ogv ts webm wmv"  # containers, raw
)
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())


class NoVideo(DetectorError):
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
    """How files are replayed: at their own pace or as fast as they decode; UTC of their first frame if known.

    history_seconds: how much of what was read is kept for clips.
    follow_seconds: the files still grow: how long to wait at their end for more; None: they are whole.
    """

    capture: CaptureOptions
    realtime: bool = False
    start_utc: float | None = None
    history_seconds: float = 0.0
    follow_seconds: float | None = None


def find_videos(paths: Sequence[Path], out: Path | None = None) -> list[Path]:
    """The files named, and the videos in the folders named (sub-folders too), in order.

    out: the folder of this run's results; the clips that an earlier run left there are no recordings.

    Raises:
        NoVideo: a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file())
        if out is not None:
            clips = (out / CLIPS).resolve()
            recordings = [file for file in inside if not file.resolve().is_relative_to(clips)]
            own = len(inside) - len(recordings)
            if own:
                _log.info("%s: left out, since --out keeps its own clips there: %d videos", out / CLIPS, own)
            inside = recordings
        if not inside:
            raise NoVideo(f"{path}: no video in this folder (looked for {' '.join(sorted(VIDEO_SUFFIXES))})")
        found += inside
    return found


def replay_files(
    paths: Sequence[Path],
    detector_of: Callable[[str, Path, Video], SourceDetector],
    options: ReplayOptions,
    progress: Progress,
    stop: Event,
) -> list[str]:
    """Watch each of `paths`; gives back one line for each that could not be watched to its end.

    A file that cannot be opened or breaks off never keeps the others from being watched.
    """
    problems: list[str] = []
    for path, name in zip(paths, distinct_names([str(path) for path in paths]), strict=True):
        if stop.is_set():
            break
        try:
            with open_video(
                _source(path, options, stop),
                name=name,
                options=options.capture,
                start_utc=options.start_utc,
                history_seconds=options.history_seconds,
            ) as video:
                progress.begin(path, video.duration_seconds)
                _watch(video, detector_of(name, path, video), options, progress, stop)
            progress.end(None)
        except (CannotOpen, BadVideo) as error:
            if stop.is_set() and options.follow_seconds is not None:
                break  # it ends where it was when we were stopped
            problems.append(str(error))
            progress.end(str(error))
    return problems


def _source(path: Path, options: ReplayOptions, stop: Event) -> Path | GrowingFile:
    wait = options.follow_seconds
    return path if wait is None else GrowingFile(path, wait, stop.is_set)


def _watch(
    video: Iterable[Frame], detector: SourceDetector, options: ReplayOptions, progress: Progress, stop: Event
) -> None:
    started: float | None = None
    try:
        for frame in video:
            if options.realtime:
                started = time.monotonic() - frame.seconds if started is None else started
                if stop.wait(max(0.0, started + frame.seconds - time.monotonic())):
                    return
                detector.push(replace(frame, arrival=time.monotonic()))
            else:
                detector.push(frame)
            progress.advance(frame.seconds)
            if stop.is_set():
                return
    finally:
        # Also when the file breaks off: flashes before the break are reported.
        detector.finish()
