"""The report's time axis: the lane of each camera, the times that were watched, and the place of each flash."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from detector.events import Flash
from detector.output.report.curves import CurvePiece
from detector.output.report.source import RunResults, utc_of
from stream import Clock

_COUNTER = re.compile(r"[-_. ]*\d+$")  # `west-ridge-0002`: the second file of one camera
_JOINED_SECONDS = 0.5  # spans with a smaller gap are one


@dataclass(frozen=True, slots=True)
class Recording:
    """One file, or a span in which a live camera was watched without a gap.

    Attributes:
        lane: the camera's name in the report.
        name: the file's name; None for a live camera.
        begin, end: on the report's axis.
        clock: where its times come from.
        known: whether the watched time was recorded; False if only its flashes are known.
    """

    lane: str
    name: str | None
    begin: float
    end: float
    clock: Clock
    known: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The axis of a report.

    Attributes:
        timed: whether the axis is UTC; otherwise recordings follow one another from 0 on.
        lanes: the cameras' names, in order of appearance.
        recordings: in the order of time.
        watched: whether the times that were watched are known.
        begin, end: the whole axis.
    """

    timed: bool
    lanes: tuple[str, ...]
    recordings: tuple[Recording, ...]
    watched: bool
    begin: float
    end: float
    lane_of: Mapping[str, str]
    offset_of: Mapping[tuple[str, str | None], float]
    curves: tuple[CurvePiece, ...]

    def lane(self, flash: Flash) -> str:
        """Return the lane of a flash."""
        return self.lane_of.get(flash.camera, flash.camera)

    def utc(self, flash: Flash) -> float | None:
        """Return the start of a flash in seconds since 1970; None if unknown."""
        return utc_of(flash)

    def at(self, flash: Flash) -> float:
        """Return the start of a flash on the axis."""
        utc = utc_of(flash)
        if self.timed and utc is not None:
            return utc
        return flash.start_seconds + self.offset_of.get((flash.camera, flash.file), 0.0)

    def piece_begin(self, piece: CurvePiece) -> float:
        """Return the start of a piece on the axis."""
        if self.timed and piece.utc_offset is not None:
            return piece.begin + piece.utc_offset
        return piece.begin + self.offset_of.get((piece.camera, piece.file), 0.0)

    def pieces(self, flash: Flash) -> list[CurvePiece]:
        """Return the pieces of a flash's recording that contain it."""
        return [
            piece
            for piece in self.curves
            if piece.camera == flash.camera
            and piece.file == flash.file
            and piece.begin - 1e-3 <= flash.start_seconds <= piece.end + 1e-3
        ]

    def unwatched(self, begin: float, end: float) -> float:
        """Return the seconds between two times in which no camera was watched."""
        missing, at = 0.0, begin
        for recording in sorted(self.recordings, key=lambda one: one.begin):
            if recording.end <= at or recording.begin >= end:
                continue
            missing += max(0.0, recording.begin - at)
            at = max(at, recording.end)
        return missing + max(0.0, end - at)

    @property
    def watched_seconds(self) -> float:
        """Seconds of video in all recordings together."""
        return sum(one.end - one.begin for one in self.recordings)


def timeline_of(results: RunResults) -> Timeline:
    """Return the axis of a run."""
    timed = all(utc_of(flash) is not None for flash in results.flashes) and all(
        piece.utc_offset is not None for piece in results.curves
    )
    timed = timed and bool(results.flashes or results.curves)
    spans = _spans(results, timed=timed)
    offsets = {} if timed else _laid_out(spans)
    placed = {key: [(a + offsets.get(key, 0.0), b + offsets.get(key, 0.0)) for a, b in of] for key, of in spans.items()}
    lane_of = _lanes(placed)
    clocks = {(piece.camera, piece.file): piece.clock for piece in results.curves}
    clocks |= {(flash.camera, flash.file): flash.clock for flash in results.flashes}
    known = {(piece.camera, piece.file) for piece in results.curves}
    recordings = sorted(
        (
            Recording(lane_of[camera], file, begin, end, clocks.get((camera, file), "none"), (camera, file) in known)
            for (camera, file), of in placed.items()
            for begin, end in of
        ),
        key=lambda one: (one.begin, one.lane),
    )
    begin = min((one.begin for one in recordings), default=0.0)
    end = max((one.end for one in recordings), default=begin + 1.0)
    margin = max(1.0, 0.012 * (end - begin))
    return Timeline(
        timed=timed,
        lanes=tuple(dict.fromkeys(one.lane for one in recordings)),
        recordings=tuple(recordings),
        watched=bool(results.curves),
        begin=begin - margin,
        end=end + margin,
        lane_of=lane_of,
        offset_of=offsets,
        curves=results.curves,
    )


_Key = tuple[str, str | None]


def _spans(results: RunResults, *, timed: bool) -> dict[_Key, list[tuple[float, float]]]:
    """Return the watched spans, joined, by camera and file; for sources without curves, the spans of their flashes."""
    found: dict[_Key, list[tuple[float, float]]] = {}
    for piece in results.curves:
        offset = piece.utc_offset if timed and piece.utc_offset is not None else 0.0
        found.setdefault((piece.camera, piece.file), []).append((piece.begin + offset, piece.end + offset))
    known = set(found)
    for flash in results.flashes:
        key = (flash.camera, flash.file)
        if key not in known:
            utc = utc_of(flash)
            begin = utc if timed and utc is not None else flash.start_seconds
            found.setdefault(key, []).append((begin, begin + (flash.duration_seconds or 0.0)))
    return {key: _joined(of, None if key in known else float("inf")) for key, of in found.items()}


def _joined(spans: Sequence[tuple[float, float]], gap: float | None) -> list[tuple[float, float]]:
    within = _JOINED_SECONDS if gap is None else gap
    made: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if made and begin - made[-1][1] <= within:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((begin, end))
    return made


def _laid_out(spans: Mapping[_Key, Sequence[tuple[float, float]]]) -> dict[_Key, float]:
    """Return the offset of each recording's seconds so that recordings follow one another."""
    offsets: dict[_Key, float] = {}
    at = 0.0
    for key, of in spans.items():
        begin, end = min(0.0, of[0][0]), of[-1][1]
        offsets[key] = at - begin
        at += (end - begin) + max(1.0, 0.02 * (end - begin))
    return offsets


def _lanes(placed: Mapping[_Key, Sequence[tuple[float, float]]]) -> dict[str, str]:
    """Return the lane of each camera: files that differ only in a counter and never overlap belong to one camera."""
    by_stem: dict[str, list[_Key]] = {}
    for key in placed:
        camera, file = key
        stem = camera if file is None else _COUNTER.sub("", camera)
        by_stem.setdefault(stem or camera, []).append(key)
    lanes = {}
    for stem, keys in by_stem.items():
        spans = sorted(span for key in keys for span in placed[key])
        apart = all(after[0] >= before[1] - 1e-3 for before, after in pairwise(spans))
        for camera, _ in keys:
            lanes[camera] = stem if apart and len(placed) > 1 else camera
    return lanes


def recording_name(recording: Recording) -> str:
    """Return the name of a recording for a reader."""
    return recording.lane if recording.name is None else PurePath(recording.name).name
