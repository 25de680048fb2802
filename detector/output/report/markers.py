"""Flashes as markers on the timeline of a video editor."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.errors import OutputError
from detector.output.files import write_whole
from detector.output.report.model import Report, ReportFlash

MARKER_FORMATS = ("resolve", "premiere", "kdenlive")
_COLORS = {"confirmed": "Purple", "unverified": "Yellow"}
_SUFFIXES = {"resolve": ".edl", "premiere": ".csv", "kdenlive": ".txt"}
DEFAULT_RATE = 25.0


def write_markers(report: Report, folder: Path, form: str, rate: float | None = None) -> list[Path]:
    """Write one file of markers for each recording.

    DaVinci Resolve reads an EDL of colour markers, Premiere a table of tab-separated cells with its own column names,
    Kdenlive lines of a time and a comment. Times are in the recording; for cameras, after the first watched frame.

    Args:
        report: the run's report.
        folder: where the files go.
        form: one of `MARKER_FORMATS`.
        rate: frames per second of the editor's timeline; that of the clips if omitted, else 25.

    Returns:
        the paths of the files.

    Raises:
        OutputError: the files cannot be written.
    """
    sources: dict[str, list[ReportFlash]] = {}
    for one in report.flashes:
        if one.flash.state in _COLORS:
            sources.setdefault(one.flash.file or one.flash.camera, []).append(one)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, flashes in sources.items():
            frames = rate or next((one.clip_facts.rate for one in flashes if one.clip_facts), DEFAULT_RATE)
            path = folder / f"{_file_name(name)}-markers{_SUFFIXES[form]}"
            write_whole(path, [markers_text(flashes, form, frames).encode()])
            written.append(path)
    except OSError as error:
        raise OutputError(f"{error.filename or folder}: cannot write markers: {error.strerror}") from error
    return written


def markers_text(flashes: Sequence[ReportFlash], form: str, rate: float) -> str:
    """Return the content of a file of markers for one recording.

    Args:
        flashes: flashes of the recording, in the order of time.
        form: one of `MARKER_FORMATS`.
        rate: frames per second.
    """
    first = 0.0 if flashes and flashes[0].flash.file is not None else min(
        (one.flash.start_seconds for one in flashes), default=0.0
    )  # fmt: skip
    lines = {"resolve": _resolve, "premiere": _premiere, "kdenlive": _kdenlive}[form](flashes, rate, first)
    return "".join(lines)


def _resolve(flashes: Sequence[ReportFlash], rate: float, first: float) -> Iterator[str]:
    yield "TITLE: Lightning\nFCM: NON-DROP FRAME\n\n"
    for number, one in enumerate(flashes, 1):
        begin, frames = _frames(one, rate, first)
        # Resolve's timelines begin at one hour by default.
        codes = [timecode(at, rate, hours=1) for at in (begin, begin + frames)]
        color = f"ResolveColor{_COLORS[one.flash.state]}"
        yield f"{number:03d}  001      V     C        {codes[0]} {codes[1]} {codes[0]} {codes[1]}\n"
        yield f" |C:{color} |M:{_name(one)} |D:{frames}\n\n"


def _premiere(flashes: Sequence[ReportFlash], rate: float, first: float) -> Iterator[str]:
    rows = [["Marker Name", "Description", "In", "Out", "Duration", "Marker Type"]]
    for one in flashes:
        begin, frames = _frames(one, rate, first)
        codes = [timecode(at, rate) for at in (begin, begin + frames, frames)]
        rows.append([_name(one), ", ".join(one.reasons), *codes, "Comment"])
    table = io.StringIO(newline="")
    csv.writer(table, delimiter="\t").writerows(rows)
    yield table.getvalue()


def _kdenlive(flashes: Sequence[ReportFlash], _rate: float, first: float) -> Iterator[str]:
    for one in flashes:
        ticks = round((one.flash.start_seconds - first) * 1000)
        minutes, ms = divmod(ticks, 60_000)
        yield f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d}.{ms % 1000:03d} {_name(one)}\n"


def _frames(one: ReportFlash, rate: float, first: float) -> tuple[int, int]:
    """Return the flash's first frame and its duration, in frames of the editor's timeline."""
    return round((one.flash.start_seconds - first) * rate), max(1, round(one.duration * rate))


def timecode(frame: int, rate: float, hours: int = 0) -> str:
    """Return a frame's number as hh:mm:ss:ff, non-drop."""
    whole = max(1, round(rate))
    seconds, frames = divmod(frame, whole)
    return f"{seconds // 3600 + hours:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _name(one: ReportFlash) -> str:
    rank = f"#{one.rank} " if one.rank else ""
    return f"{rank}+{one.flash.peak_rise_levels:.0f} levels {one.flash.state}"


def _file_name(source: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in source).strip(".") or "flashes"
