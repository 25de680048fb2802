"""Light curves on disk: brightness of each recording over time, and the curve of each flash."""

import base64
import logging
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.output.files import make_folder, open_private
from detector.output.jsonl import append_line
from detector.output.report.curve_months import CurveMonths
from detector.prefilter.frame_change import FrameChange
from stream import Clock, Frame, load_opencv

cv2 = load_opencv()

_log = logging.getLogger(__name__)

CURVES = "curves.jsonl"
FLASH_CURVES = "flash-curves.jsonl"
STEP_SECONDS = 0.2
"""Away from flashes only the extremes of each such step are kept: two hours take about 250 kB."""
AROUND_SECONDS = 2.0
"""Seconds before and after a flash in which every frame is kept."""
_PIECE_SECONDS = 600.0  # limits memory, and the loss of a killed run
_BREAK_SECONDS = 2.0  # a longer time without a frame is a gap that was not watched
_LOOK_SECONDS = 0.1 - 1e-6
_NONE = 65535  # a step without a frame
_SCALE = 100.0  # levels are stored as hundredths in 16 bits; 297 is the most a camera records


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of curves.jsonl; arrays are little-endian, base64. See `CurvePiece`."""

    camera: str
    file: str | None = None
    begin: float
    end: float
    utc_offset: float | None = None
    clock: Clock = "none"
    step: float
    low: str
    high: str
    rise: str
    fine_seconds: str = ""
    fine_luma: str = ""
    fine_rise: str = ""


class _FlashLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    seconds: list[float]
    rise: list[float]
    clip_start: float | None = None


_L = TypeVar("_L", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, eq=False)
class CurvePiece:
    """The brightness of one stretch that was watched without a gap.

    Attributes:
        camera: the source's name.
        file: what events call the recording; None for a live camera.
        begin, end: seconds on the source's clock.
        utc_offset: UTC (seconds since 1970) less the source's clock; None where unknown.
        clock: where UTC comes from, as in events.
        step: seconds of one entry of `low`, `high` and `rise`; the first one starts at `begin`.
        low, high: (steps,) least and greatest mean luma, levels; NaN where no frame came.
        rise: (steps,) greatest rise of the brightest block over its background, levels.
        fine_seconds, fine_luma, fine_rise: (frames,) the same at every frame around flashes; seconds after `begin`.
    """

    camera: str
    file: str | None
    begin: float
    end: float
    utc_offset: float | None
    clock: Clock
    step: float
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    rise: NDArray[np.float32]
    fine_seconds: NDArray[np.float32]
    fine_luma: NDArray[np.float32]
    fine_rise: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FlashCurve:
    """The light curve of one flash.

    Attributes:
        seconds: (frames,) after its onset.
        rise: (frames,) mean rise over its blocks, levels.
        clip_start: start of its clip in seconds after the onset, so below 0; None if unknown.
    """

    seconds: NDArray[np.float32]
    rise: NDArray[np.float32]
    clip_start: float | None = None


class CurveRecorder:
    """Records the brightness of one source; call it from one thread. `close` at the source's end.

    Every frame is kept from `AROUND_SECONDS` before one that was added with `keep` to as long after the last one; of
    others the extremes of each step. A stretch of ten minutes is written as one line and forgotten. What cannot be
    written is logged once and costs the curve, never the run.

    Args:
        folder: the run's folder.
        camera: the source's name.
        file: what events call the recording; None for a live camera.
        step_seconds: a coarser step suits cameras that are watched for weeks.
        months: how long curves are kept, a file for each month; None for one file without an end.
    """

    def __init__(
        self,
        folder: Path,
        camera: str,
        file: str | None = None,
        step_seconds: float = STEP_SECONDS,
        months: CurveMonths | None = None,
    ) -> None:
        self._folder = folder
        self._months = months
        self._camera = camera
        self._file = file
        self._step = step_seconds
        self._failed = False
        self._recent: deque[tuple[float, float, float]] = deque()
        self._full_from = self._full_to = -float("inf")
        self._previous: float | None = None
        self._skipped: tuple[Frame, FrameChange] | None = None
        self._clear()

    def add(self, frame: Frame, mean_level: float, peak_rise: float, *, keep: bool = False) -> None:
        """Add the brightness of the next frame.

        Args:
            frame: for its times.
            mean_level: mean luma, levels.
            peak_rise: rise of the brightest block over its background, levels; 0 where that is not known.
            keep: whether a flash goes on, so that all frames about this one are kept.
        """
        seconds, previous = frame.seconds, self._previous
        if previous is not None and not 0 <= seconds - previous <= _BREAK_SECONDS:
            self.close()
        if self._begin is None:
            self._start(frame)
        self._previous = seconds
        self._end = seconds + frame.duration
        if keep:
            if seconds - AROUND_SECONDS > self._full_to:
                self._full_from = seconds - AROUND_SECONDS
            self._full_to = seconds + AROUND_SECONDS
        recent = self._recent
        recent.append((seconds, mean_level, peak_rise))
        while recent[0][0] < seconds - AROUND_SECONDS:
            self._settle(*recent.popleft())
        if self._begin is not None and seconds - self._begin >= _PIECE_SECONDS:
            self._write(through=seconds)
            self._start(frame)

    def watch(self, frame: Frame, change: FrameChange | None, *, quiet: bool) -> None:
        """Add the prefilter's measurements of `frame`; call it after each `Prefilter.push`.

        Calm frames are looked at ten times a second: a look costs more than half of them take otherwise.

        Args:
            frame: the frame that was pushed.
            change: `Prefilter.change`; None where there was nothing to compare with.
            quiet: `Prefilter.quiet`; False while a candidate is open.
        """
        if change is None:
            return
        since = -1.0 if self._previous is None else frame.seconds - self._previous
        if quiet and change.calm and 0 <= since < _LOOK_SECONDS:
            self._skipped = (frame, change)
            return
        skipped, self._skipped = self._skipped, None
        if skipped is not None and not quiet:
            self._look(*skipped, keep=True)  # or the curve would seem to grow since the last look
        self._look(frame, change, keep=not quiet)

    def _look(self, frame: Frame, change: FrameChange, *, keep: bool) -> None:
        # OpenCV's reductions take a third of NumPy's on grids this small. The background is a median, which costs more
        # than all else here: of a calm frame what was gained just now says as much.
        rise = cv2.minMaxLoc(
            change.step if change.calm and not keep else change.rise, change.scene.watched.view(np.uint8)
        )
        self.add(frame, cv2.mean(change.grid)[0], max(0.0, rise[1]), keep=keep)

    def close(self) -> None:
        """Write the rest; the recorder may continue with the next piece."""
        if self._begin is not None:
            self._write(through=self._end)
        self._previous = self._skipped = None

    def _clear(self) -> None:
        self._begin: float | None = None
        self._end = 0.0
        self._low, self._high, self._rise = array("H"), array("H"), array("H")
        self._fine = (array("f"), array("H"), array("H"))

    def _start(self, frame: Frame) -> None:
        self._begin = frame.seconds
        self._offset = None if frame.utc is None else frame.utc - frame.seconds
        self._clock = frame.clock

    def _settle(self, seconds: float, luma: float, rise: float) -> None:
        """Add a frame once it is known whether it is near a flash."""
        after = seconds - (self._begin or 0.0)
        level, peak = _packed(luma), _packed(rise)
        n = max(0, int(after / self._step))
        low, high, rises = self._low, self._high, self._rise
        while len(low) <= n:
            low.append(_NONE)
            high.append(_NONE)
            rises.append(0)
        if low[n] == _NONE:
            low[n] = high[n] = level
        elif level < low[n]:
            low[n] = level
        elif level > high[n]:
            high[n] = level
        rises[n] = max(rises[n], peak)
        if self._full_from <= seconds <= self._full_to:
            times, levels, peaks = self._fine
            times.append(after)
            levels.append(level)
            peaks.append(peak)

    def _write(self, through: float) -> None:
        while self._recent:
            self._settle(*self._recent.popleft())
        assert self._begin is not None  # noqa: S101 - both callers have just asked
        line = _Line(
            camera=self._camera,
            file=self._file,
            begin=round(self._begin, 6),
            end=round(through, 6),
            utc_offset=None if self._offset is None else round(self._offset, 6),
            clock=self._clock,
            step=self._step,
            low=_text(self._low),
            high=_text(self._high),
            rise=_text(self._rise),
            fine_seconds=_text(self._fine[0]),
            fine_luma=_text(self._fine[1]),
            fine_rise=_text(self._fine[2]),
        )
        utc = None if self._offset is None else self._begin + self._offset
        self._clear()
        self._failed = not _append(self._folder, CURVES, self._months, utc, msgspec.json.encode(line), self._failed)
        if self._months is not None:
            self._months.trim(self._folder)


def record_flash_curve(
    folder: Path, candidate: Candidate, clip_start_seconds: float | None = None, months: CurveMonths | None = None
) -> None:
    """Add the curve of a closed candidate to the run's folder; a failure is logged and costs only the curve.

    Args:
        folder: the run's folder.
        candidate: it must be closed.
        clip_start_seconds: when its clip begins on the source's clock (`Clip.start_seconds`); None without a clip.
        months: see `CurveRecorder`.
    """
    start = None if clip_start_seconds is None else round(clip_start_seconds - candidate.start_seconds, 3)
    curve = candidate.curve
    line = _FlashLine(
        id=candidate.id,
        seconds=np.round(curve.seconds - candidate.start_seconds, 3).tolist(),
        rise=[round(float(level), 1) for level in curve.rise],
        clip_start=start,
    )
    _append(folder, FLASH_CURVES, months, candidate.onset.utc, msgspec.json.encode(line), quiet=False)


def read_curves(folder: Path) -> list[CurvePiece]:
    """Return the pieces recorded in `folder`, in the order of writing; none if there is no file."""
    pieces = []
    for line in _lines(folder, CURVES, _Line):
        low, high = _levels(line.low), _levels(line.high)
        pieces.append(
            CurvePiece(
                camera=line.camera,
                file=line.file,
                begin=line.begin,
                end=line.end,
                utc_offset=line.utc_offset,
                clock=line.clock,
                step=line.step,
                low=low,
                high=high,
                rise=_levels(line.rise),
                fine_seconds=np.frombuffer(base64.b64decode(line.fine_seconds), "<f4"),
                fine_luma=_levels(line.fine_luma),
                fine_rise=_levels(line.fine_rise),
            )
        )
    return pieces


def read_flash_curves(folder: Path) -> dict[str, FlashCurve]:
    """Return the curve of each flash by its id; none if there is no file."""
    return {
        line.id: FlashCurve(np.array(line.seconds, np.float32), np.array(line.rise, np.float32), line.clip_start)
        for line in _lines(folder, FLASH_CURVES, _FlashLine)
        if len(line.seconds) == len(line.rise)
    }


def _packed(level: float) -> int:
    return min(_NONE - 1, max(0, int(level * _SCALE + 0.5)))


def _text(values: "array[int] | array[float]") -> str:
    little = np.asarray(values).astype("<f4" if values.typecode == "f" else "<u2")
    return base64.b64encode(little.tobytes()).decode()


def _levels(text: str) -> NDArray[np.float32]:
    packed = np.frombuffer(base64.b64decode(text), "<u2")
    return np.where(packed == _NONE, np.float32(np.nan), packed.astype(np.float32) / np.float32(_SCALE))


def curve_files(folder: Path, plain: str) -> list[Path]:
    """Return the files of curves in a run's folder: the plain one first, then those of months in order."""
    return sorted(folder.glob(plain)) + sorted(folder.glob(plain.replace(".jsonl", "-*.jsonl")))


def _append(folder: Path, plain: str, months: CurveMonths | None, utc: float | None, line: bytes, quiet: bool) -> bool:  # noqa: FBT001
    """Append a line, and return whether it was written."""
    path = folder / (plain if months is None else months.name(plain, utc))
    try:
        make_folder(path.parent)
        with open(path, "a+b", buffering=0, opener=open_private) as file:
            append_line(file, line + b"\n")
    except OSError as error:
        if not quiet:
            _log.error("%s: cannot write the light curve: %s", path, error.strerror)
        return False
    return True


def _lines(folder: Path, plain: str, kind: type[_L]) -> Iterator[_L]:
    """Yield the lines of the files that are whole; a killed run may have left half of one."""
    decoder = msgspec.json.Decoder(kind)
    for path in curve_files(folder, plain):
        with suppress(FileNotFoundError), path.open("rb") as file:  # its month may just have gone
            for line in file:
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError:
                    continue
