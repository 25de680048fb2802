"""The inputs of a replay: files, folders of video or of images, recordings on a web server, standard input."""

import logging
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detector.errors import DetectorError, UsageError
from stream import (
    IMAGE_SUFFIXES,
    CaptureOptions,
    OpenError,
    Part,
    gap_after,
    is_stored,
    open_video,
    printable,
    redact,
    stored_files,
)

_log = logging.getLogger(__name__)

_SUFFIXES = (
    "3g2 3gp asf avi divx dv f4v flv m2t m2ts m4v mkv mov mp4 mpeg mpg mts mxf nut ogv trp ts vob webm wmv "
    "360 dav insv mod tod "  # names of these containers by GoPro, Dahua, Insta360 and JVC
    "264 265 h264 h265 hevc m2v mjpeg mjpg mpjpeg y4m "  # raw streams
    "gif apng"
)
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
STANDARD_INPUT = "-"

_LEAST_IMAGES = 10  # in one folder; fewer are snapshots, not a recording of an all-sky camera
_DIGITS = re.compile(r"\d+")
_NAMED_SKIPPED = 5  # files named in one log line


class NoVideoFound(DetectorError):
    """A folder holds no file that looks like video."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time of a recording whose flashes are told, in seconds on its clock.

    Attributes:
        start: a flash that begins earlier is told elsewhere.
        end: so is one that begins at this time or later.
        first: time of the recording's first frame.
        read: the part that is read for it, which begins earlier and ends later; None: all of the recording.
    """

    start: float
    end: float
    first: float
    read: Part | None


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to watch.

    Attributes:
        source: its file, its folder of images, its URL, or `-`.
        name: its name in events, unique among the recordings of a run.
        parts: the segments that are read as one recording, if there are several; the first is `source`.
        camera: the name of its camera, unique in a run; made from the path if empty.
        span: the time of it that is told; None: all of it.
    """

    source: Path | str
    name: str
    parts: tuple[Path, ...] = ()
    camera: str = ""
    span: Span | None = None

    @property
    def path(self) -> Path:
        """The path to show to a person."""
        return self.source if isinstance(self.source, Path) else Path(self.name)


def find_videos(
    given: Sequence[Path | str], overwritten: Collection[Path] = (), out: Path | None = None
) -> list[Recording]:
    """Return the named inputs, and the videos in named folders (with sub-folders, without hidden ones), each once.

    A file in a folder is named by its path in that folder, other files by their file name; if two names would be equal,
    all are named by their paths as given. A sub-folder with many images is one recording. A folder with the results of
    a run is left out, since the clips in it are not recordings.

    Args:
        given: files and folders as paths; URLs and `-` as text.
        overwritten: real paths of clips in `out`, which are not recordings.
        out: folder of this run's results, which may be among its recordings.

    Raises:
        NoVideoFound: a folder has no videos.
        OpenError: what is in a store cannot be reached.
        UsageError: a named file would be removed.
    """
    found: dict[str, tuple[Path | str, Path]] = {}
    for one in given:
        if isinstance(one, str):
            for url, name in _stored_in(one) if is_stored(one) else ((one, Path(_name_of(one))),):
                found.setdefault(url, (url, name))
            continue
        if Path(os.path.realpath(one)) in overwritten:
            raise UsageError(f"{one}: --overwrite would remove it, a clip of the earlier run; choose another --out")
        files = _videos_in(one, overwritten, out) if one.is_dir() else [one]
        for path in files:
            short = path.relative_to(one) if path != one else Path(path.name or path.resolve().name)
            found.setdefault(os.path.realpath(path), (path, short))
    names = [_as_text(short) for _, short in found.values()]
    if len(set(names)) < len(names):
        names = [_as_text(Path(source)) for source, _ in found.values()]
    return [Recording(source, name) for (source, _), name in zip(found.values(), names, strict=True)]


def join_segments(recordings: Sequence[Recording], options: CaptureOptions) -> list[Recording]:
    """Return `recordings` with the segments of one recording joined: files of one folder, in the order of their names.

    Segments follow each other by the times in their names and their lengths or, without such times, by their numbers. A
    joined recording has the name of its first segment.

    Args:
        recordings: the files, in order.
        options: how they are opened.
    """
    joined: list[list[Recording]] = []
    for recording in recordings:
        if joined and _follows(joined[-1][-1], recording, options):
            joined[-1].append(recording)
        else:
            joined.append([recording])
    return [
        replace(group[0], parts=tuple(one.source for one in group if isinstance(one.source, Path)))
        if len(group) > 1
        else group[0]
        for group in joined
    ]


def _follows(earlier: Recording, later: Recording, options: CaptureOptions) -> bool:
    first, second = earlier.source, later.source
    if isinstance(first, str) or isinstance(second, str) or first.is_dir() or second.is_dir():
        return False
    if first.parent != second.parent or first.suffix != second.suffix:
        return False
    try:
        with open_video(first, options=options) as video:
            missing = gap_after(first, video.duration_seconds, second)
    except OpenError:
        return False
    if missing is not None:
        return missing == 0.0
    shapes = [_DIGITS.sub("0", path.stem) for path in (first, second)]
    return shapes[0] == shapes[1] and first.stem != second.stem


def _stored_in(address: str) -> list[tuple[str, Path]]:
    """Return the videos in a folder of a store, or the file, each with its address and name."""
    files = stored_files(address)
    videos = [Path(file) for file in files if _is_video(Path(file))]
    if files and not videos:
        raise NoVideoFound(f"{redact(address)}: no video among the {len(files)} files there")
    if not files:
        return [(address, Path(_name_of(address)))]
    return [(f"{address.rstrip('/')}/{video.as_posix()}", video) for video in videos]


def _is_video(path: Path) -> bool:
    """Return whether a file is named as a video, and is not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _videos_in(folder: Path, overwritten: Collection[Path], out: Path | None) -> list[Path]:
    """Return the recordings in a folder; log the number and names of other files."""
    results, own = results_in(folder), None if out is None else out.resolve()
    if folder.resolve() in results and folder.resolve() != own:
        raise NoVideoFound(
            f"{folder}: holds the results of a run, and clips of results are no recordings; give the folder of the "
            "recordings, or name the files"
        )
    videos: list[Path] = []
    images: dict[Path, list[Path]] = {}
    others: list[Path] = []
    files = list(_files_in(folder))
    offered = [file for file in files if not _is_result(file, results, own)]
    if len(offered) < len(files):
        left = len(files) - len(offered)
        _log.info("%s: left out %d files in folders that hold the results of a run", folder, left)
    for file in offered:
        suffix = file.suffix.lower()
        if suffix in VIDEO_SUFFIXES:
            videos.append(file)
        elif suffix in IMAGE_SUFFIXES:
            images.setdefault(file.parent, []).append(file)
        else:
            others.append(file)
    recordings = [file for file in videos if file.resolve() not in overwritten]
    if len(recordings) < len(videos):
        _log.info("%s: left out %d clips of the run that is overwritten", folder, len(videos) - len(recordings))
    for place, files in images.items():
        animated = [file for file in files if file.suffix.lower() == ".webp" and _is_animated(file)]
        stills = [file for file in files if file not in animated]
        recordings += animated
        if len(stills) >= _LEAST_IMAGES:
            recordings.append(place)
        else:
            others += stills
    if others and recordings:
        _say_skipped(folder, sorted(others))
    if not recordings:
        raise NoVideoFound(
            f"{folder}: no video in this folder, nor {_LEAST_IMAGES} images (looked for "
            f"{' '.join(sorted(VIDEO_SUFFIXES))}, images {' '.join(sorted(IMAGE_SUFFIXES))})"
        )
    return sorted(recordings)


def _is_result(file: Path, results: Collection[Path], own: Path | None) -> bool:
    """Return whether a file is in a folder of results; recordings may be in `own`, the folder of this run."""
    above = {folder for folder in results if folder in file.resolve().parents}
    return bool(above) and (above != {own} or file.suffix.lower() not in VIDEO_SUFFIXES)


def results_in(folder: Path) -> set[Path]:
    """Return the folders in `folder`, itself included, that hold the flashes of a run, as real paths."""
    return {file.parent.resolve() for file in folder.rglob("flashes*.jsonl")}


def _files_in(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        # Names with a leading dot are not recordings: macOS leaves a `._name.mp4` beside each file.
        if not any(part.startswith(".") for part in file.relative_to(folder).parts) and file.is_file():
            yield file


def _is_animated(file: Path) -> bool:
    """Return whether a WebP file holds an animation, by its header."""
    try:
        with file.open("rb") as opened:
            head = opened.read(21)
    except OSError:
        return False
    return head[12:16] == b"VP8X" and bool(head[20] & 0x02)


def _say_skipped(folder: Path, others: Sequence[Path]) -> None:
    names = ", ".join(_as_text(file.relative_to(folder)) for file in others[:_NAMED_SKIPPED])
    more = f" and {len(others) - _NAMED_SKIPPED} more" if len(others) > _NAMED_SKIPPED else ""
    plural = "files are" if len(others) != 1 else "file is"
    _log.info("%s: %d %s no video and left out: %s%s", folder, len(others), plural, names, more)


def _name_of(source: str) -> str:
    """Return the name in events of a URL, without its secrets, or of standard input."""
    if source == STANDARD_INPUT:
        return "standard input"
    return redact(source).partition("?")[0].rstrip("/").rpartition("/")[2]


def _as_text(path: Path) -> str:
    """Return the path as text that is safe in a message; names may be invalid UTF-8 or contain control characters."""
    return printable(os.fsencode(path).decode(errors="replace"))
