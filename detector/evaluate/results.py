"""Results: the flashes that a run reported, and the labelled clip of each."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detector.candidate import Candidate
from detector.errors import LabelsError
from detector.evaluate.labels import Interval
from detector.events import Flash, FlashMessage
from detector.output.jsonl import run_files
from stream import camera_name

DEFAULT_STATES = ("confirmed", "unverified")
_SEVERAL = ""
"""In place of a clip: a camera name shared by several clips."""

_Source = tuple[str | None, str]
_BY_CAMERA = 1_000_000  # a match by camera name is weaker than any match by path


@dataclass(frozen=True, slots=True)
class Detection:
    """The time of a reported flash, in seconds of presentation time.

    Attributes:
        interval: from the start to the end of the flash.
        pulses: intervals of its pulses.
    """

    interval: Interval
    pulses: tuple[Interval, ...] = ()


def read_results(path: Path) -> list[Flash]:
    """Return the last revision of each flash in a run's folder, its flashes.jsonl, or the output of `replay --json`.

    Raises:
        LabelsError: it cannot be read, or a line is not an event.
    """
    files = (run_files(path) or [path / "flashes.jsonl"]) if path.is_dir() else [path]
    last: dict[str, Flash] = {}
    for file in files:
        _read_into(last, file)
    return list(last.values())


def _read_into(last: dict[str, Flash], file: Path) -> None:
    """Add the flashes of one file to `last`, by id."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise LabelsError(
            f"{file}: cannot read results: {error.strerror}; expected what `replay --json` prints or --out writes"
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            flash = msgspec.json.decode(line, type=FlashMessage).data
        except msgspec.DecodeError as error:
            raise LabelsError(f"{file}, line {number}: not an event of this program: {error}") from error
        if flash.id not in last or flash.revision >= last[flash.id].revision:
            last[flash.id] = flash


def by_clip(
    flashes: Iterable[Flash], clips: Iterable[str], states: Sequence[str] = DEFAULT_STATES
) -> dict[str, list[Detection]]:
    """Return the flashes in one of `states`, for each of `clips` (file names).

    Raises:
        LabelsError: a flash may belong to two clips, or two files may be one clip.
    """
    flashes = list(flashes)
    found: dict[str, list[Detection]] = {clip: [] for clip in clips}
    clip_of = _clips_of(flashes, found)
    files: dict[str, str] = {}
    for flash in flashes:
        clip = clip_of.get(_source_of(flash))
        if flash.state not in states or clip is None:
            continue
        if clip == _SEVERAL:
            raise LabelsError(f"{flash.id}: two labelled clips are called {flash.camera}; results must name the file")
        if flash.file is not None and files.setdefault(clip, flash.file) != flash.file:
            both = f"{files[clip]} and {flash.file}"
            raise LabelsError(f"{clip}: results are of {both}; label each clip by its path as the results have it")
        found[clip].append(detection_of(flash))
    return found


def of_other_clips(flashes: Iterable[Flash], clips: Iterable[str]) -> list[Flash]:
    """Return those of `flashes`, in any state, that belong to none of `clips`."""
    flashes = list(flashes)
    clip_of = _clips_of(flashes, set(clips))
    return [flash for flash in flashes if _source_of(flash) not in clip_of]


def detection_of(flash: Flash | Candidate) -> Detection:
    """Return the times of a flash or candidate."""
    start, end = flash.start_seconds, flash.end_seconds
    begins = [(start + pulse.offset_seconds, pulse.duration_seconds) for pulse in flash.pulses]
    pulses = tuple((begin, begin + seconds) for begin, seconds in begins)
    return Detection((start, start if end is None else end), pulses)


def _source_of(flash: Flash) -> _Source:
    """Return the recording of a flash: the file and the camera name."""
    return flash.file, flash.camera


def _clips_of(flashes: Iterable[Flash], clips: Collection[str]) -> dict[_Source, str]:
    """Return the clip of each source of `flashes`; sources without a clip are left out.

    A clip is recognised by its file (`night/a.mp4`), or by that without leading folders (`a.mp4`), or by its camera
    name. If several files could be one clip, the one with the fewest folders left out is used.
    """
    by_camera: dict[str, str] = {}
    for clip in clips:
        by_camera[camera_name(clip)] = _SEVERAL if camera_name(clip) in by_camera else clip
    claims = {source: _claim(source, clips, by_camera) for source in map(_source_of, flashes)}
    least: dict[str, int] = {}
    for claimed, left_out in claims.values():
        if claimed is not None:
            least[claimed] = min(left_out, least.get(claimed, left_out))
    return {source: clip for source, (clip, left_out) in claims.items() if clip is not None and left_out == least[clip]}


def _claim(source: _Source, clips: Collection[str], by_camera: dict[str, str]) -> tuple[str | None, int]:
    """Return the clip that `source` may be, and how many leading folders must be left out for that."""
    file, camera = source
    parts = [] if file is None else file.split("/")
    for left_out in range(len(parts)):
        name = "/".join(parts[left_out:])
        if name in clips:
            return name, left_out
    return by_camera.get(camera), _BY_CAMERA
