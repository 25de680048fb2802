"""The data of the page's script: curves, lanes and flashes as JSON."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from detector.output.report.cards import Card, address_of
from detector.output.report.curves import CurvePiece
from detector.output.report.lanes import Recording
from detector.output.report.model import Report, ReportFlash
from detector.output.report.words import Doubt

# Of one camera's curve, and of all together; more are joined, or a night, or a whole network, would load for seconds.
_STEPS_SHOWN, _STEPS_OF_ALL = 40_000, 240_000
_LANE_COLORS = 6


def page_data(report: Report, cards: Mapping[str, Card], subtitles: Mapping[str, str]) -> Markup:
    """Return the data of a report, escaped for a script element.

    Args:
        report: the report.
        cards: by flash id.
        subtitles: the line below the title with local times and with UTC, by `local` and `utc`.
    """
    timeline = report.timeline
    data = {
        "timed": timeline.timed,
        "zone": _transitions(report),
        "when": subtitles,
        "begin": timeline.begin,
        "end": timeline.end,
        "watched": timeline.watched,
        "storms": [(one.begin, one.end) for one in report.storms],
        "lanes": [
            {
                "name": lane,
                "color": number % _LANE_COLORS + 1,
                "spans": [
                    (one.begin, one.end, 0.0 if timeline.timed else _axis_offset(report, one))
                    for one in timeline.recordings
                    if one.lane == lane
                ],
                "pieces": _pieces(report, lane),
            }
            for number, lane in enumerate(timeline.lanes)
        ],
        "flashes": [_flash_data(one, cards[one.flash.id]) for one in report.flashes],
    }
    return script_safe(data)


def script_safe(data: Mapping[str, Any]) -> Markup:
    """Return data as JSON that may stand in a script element."""
    text = msgspec.json.encode(data).decode().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(text)  # noqa: S704 - nothing in it can end the element


def _axis_offset(report: Report, recording: Recording) -> float:
    offsets = report.timeline.offset_of
    return next((value for (camera, file), value in offsets.items()
                 if file == recording.name and report.timeline.lane_of[camera] == recording.lane), 0.0)  # fmt: skip


def _flash_data(one: ReportFlash, card: Card) -> dict[str, Any]:
    flash, facts = one.flash, one.clip_facts
    start, long = (facts.start, facts.length) if facts else (-1.0, one.duration + 2.0)
    data: dict[str, Any] = {
        "id": flash.id,
        "state": flash.state,
        "lane": one.lane,
        "at": one.at,
        "utc": one.utc,
        "duration": one.duration,
        "peak": round(flash.peak_seconds - flash.start_seconds, 3),
        "pulses": [(round(pulse.offset_seconds, 3), round(pulse.duration_seconds, 3)) for pulse in flash.pulses],
        "rise": flash.peak_rise_levels,
        "lit": flash.lit_fraction,
        "probability": one.probability,
        "rank": one.rank,
        "file": card.file or None,
        "seconds": flash.start_seconds,
        "quality": flash.quality,
        "reasons": one.reasons,
        "doubts": [_doubt_data(doubt) for doubt in one.doubts],
        "told": one.told,
        "also": one.also,
        "sure_same": one.sure_same,
        "image": card.image if card.image is not None and not card.image.startswith("data:") else None,
        "still": card.still,
        "brightest": address_of(one.brightest, card.base),
        "model": address_of(one.model, card.base),
        "clip": card.clip,
        "clip_words": "The clip was removed" if one.clip.removed else "No clip was kept",
        "start": start,
        "length": long,
        "rate": facts.rate if facts else 25.0,
    }
    if one.curve is not None and len(one.curve.seconds) > 1:
        data["curve"] = (np.round(one.curve.seconds, 3).tolist(), np.round(one.curve.rise, 1).tolist())
    return data


def _doubt_data(doubt: Doubt) -> dict[str, Any]:
    return {"words": doubt.words, "clue": doubt.clue, "value": doubt.value}


def _transitions(report: Report) -> list[tuple[float, float, str]] | None:
    """Return the zone's offsets over the storm as (from, seconds, name); None if local time is UTC or unknown."""
    timeline = report.timeline
    if not timeline.timed:
        return None
    found: list[tuple[float, float, str]] = []
    times = np.arange(timeline.begin, timeline.end + 900, 900.0)
    for at in times[:200_000]:
        then = datetime.fromtimestamp(float(at), report.zone)
        offset = then.utcoffset()
        seconds = 0.0 if offset is None else offset.total_seconds()
        if not found or found[-1][1] != seconds:
            # Offsets change on whole quarters of an hour.
            begin = timeline.begin if not found else float(at) // 900 * 900
            found.append((begin, seconds, then.tzname() or ""))
    return None if all(seconds == 0 for _, seconds, _ in found) else found


def _pieces(report: Report, lane: str) -> list[dict[str, Any]]:
    timeline = report.timeline
    pieces = [piece for piece in timeline.curves if timeline.lane_of.get(piece.camera) == lane]
    steps = sum(len(piece.low) for piece in pieces)
    room = min(_STEPS_SHOWN, _STEPS_OF_ALL // len(timeline.lanes))
    joined = max(1, -(-steps // room))
    return [_piece_data(piece, timeline.piece_begin(piece), joined) for piece in pieces]


def _piece_data(piece: CurvePiece, begin: float, joined: int) -> dict[str, Any]:
    data: dict[str, Any] = {
        "begin": begin,
        "step": piece.step * joined,
        "low": packed(_join(piece.low, joined, np.fmin)),
        "high": packed(_join(piece.high, joined, np.fmax)),
        "rise": packed(_join(piece.rise, joined, np.fmax)),
    }
    if len(piece.fine_seconds):
        data["t"] = base64.b64encode(piece.fine_seconds.astype("<f4").tobytes()).decode()
        data["luma"] = packed(piece.fine_luma)
        data["fine_rise"] = packed(piece.fine_rise)
    return data


def _join(values: NDArray[np.float32], count: int, extreme: np.ufunc) -> NDArray[np.float32]:
    if count == 1 or not len(values):
        return values
    joined: NDArray[np.float32] = extreme.reduceat(values, np.arange(0, len(values), count))
    return joined


def packed(levels: NDArray[np.floating[Any]]) -> str:
    """Return levels as the page's script reads them: hundredths in 16 bits, 65535 for NaN, in base64."""
    hundredths = np.where(np.isnan(levels), 65535, np.clip(np.round(np.nan_to_num(levels) * 100), 0, 65534)).astype(
        "<u2"
    )
    return base64.b64encode(hundredths.tobytes()).decode()
