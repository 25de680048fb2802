"""Compare flashes with strokes that a lightning location network located: which of one the other has."""

import csv
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path
from statistics import median

from detector.errors import LabelsError
from detector.evaluate.labels import Interval
from detector.events import Flash

_TIME_COLUMNS = ("time", "time_utc", "utc", "timestamp", "datetime", "date_time", "flash_time_offset_of_first_event")
_LATITUDE_COLUMNS = ("lat", "latitude", "flash_lat", "group_lat", "event_lat")
_LONGITUDE_COLUMNS = ("lon", "lng", "long", "longitude", "flash_lon", "group_lon", "event_lon")
_EARTH_RADIUS_KM = 6371.0088  # mean radius R1 of the GRS 80 ellipsoid (Moritz 2000, doi:10.1007/s001900050278)
# A number is seconds, milliseconds, microseconds or nanoseconds since 1970: these lie 1,000 apart until the year 5138.
_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (math.inf, 1e9))


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the Earth, in degrees north and east."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        if not (abs(self.latitude) <= 90 and abs(self.longitude) <= 180):
            raise ValueError(f"{self.latitude:g}, {self.longitude:g} is no latitude and longitude in degrees")

    def distance_km(self, other: "Place") -> float:
        """Return the great-circle distance in km, by the haversine formula on a sphere (error below 0.6 %)."""
        north, other_north = math.radians(self.latitude), math.radians(other.latitude)
        east = math.radians(other.longitude - self.longitude)
        half = math.sin((other_north - north) / 2) ** 2
        half += math.cos(north) * math.cos(other_north) * math.sin(east / 2) ** 2
        return 2 * _EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


@dataclass(frozen=True, slots=True)
class Stroke:
    """A stroke that a network located.

    Attributes:
        utc: seconds since 1970.
        place: where it was located.
    """

    utc: float
    place: Place


@dataclass(frozen=True, slots=True)
class NetworkScore:
    """Comparison of the strokes of a network with the flashes of cameras.

    Attributes:
        span: the compared time, seconds since 1970.
        rings: outer distance in km, located strokes in that ring, and those of them at the time of a flash.
        flashes: flashes with a known UTC in that time.
        located: those of them at the time of a stroke within the largest distance.
        by_chance: share of the compared time in which a flash of typical length would be `located` by chance.
        onset_offset_seconds: median start of a flash minus its nearest stroke; None without any.
    """

    span: Interval
    rings: tuple[tuple[float, int, int], ...]
    flashes: int
    located: int
    by_chance: float
    onset_offset_seconds: float | None


def read_strokes(path: Path) -> list[Stroke]:
    """Return the strokes of a CSV file, ordered by time.

    The first line names the columns: a latitude, a longitude and a time, in ISO 8601 (UTC where it names no zone) or as
    seconds, milli-, micro- or nanoseconds since 1970; others are ignored. The separator is a comma, semicolon or tab.

    Returns:
        the strokes.

    Raises:
        LabelsError: the file cannot be read, or a column or value is missing or wrong; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return sorted(_strokes_in(path, lines), key=lambda stroke: stroke.utc)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise LabelsError(f"{path}: cannot read strokes: {reason}; expected CSV with time, lat and lon") from error


def _strokes_in(path: Path, lines: Iterable[str]) -> Iterator[Stroke]:
    lines = iter(lines)
    header = next(lines, "").lstrip("# ").strip()
    separator = max(",;\t", key=header.count)
    names = [name.strip().strip('"').lower() for name in header.split(separator)]
    time, latitude, longitude = (
        _column(path, names, known) for known in (_TIME_COLUMNS, _LATITUDE_COLUMNS, _LONGITUDE_COLUMNS)
    )
    for number, row in enumerate(csv.reader(lines, delimiter=separator), 2):
        if not row:
            continue
        try:
            yield Stroke(_utc_of(row[time].strip()), Place(float(row[latitude]), float(row[longitude])))
        except (ValueError, IndexError, OverflowError) as error:
            raise LabelsError(
                f"{path}, line {number}: no stroke with a time, latitude and longitude: {error}"
            ) from error


def _column(path: Path, names: Sequence[str], known: Sequence[str]) -> int:
    found = next((names.index(name) for name in known if name in names), None)
    if found is None:
        raise LabelsError(
            f"{path}, line 1: no column {known[0]!r} (or {', '.join(known[1:])}) among {', '.join(names)}"
        )
    return found


def _utc_of(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise ValueError(f"{text} is no time")
    return number / next(unit for limit, unit in _EPOCH_UNITS if abs(number) < limit)


def score_network(
    flashes: Iterable[Flash],
    strokes: Sequence[Stroke],
    site: Place,
    *,
    within_km: float,
    tolerance_seconds: float,
    span: tuple[float | None, float | None] = (None, None),
) -> NetworkScore:
    """Compare flashes with strokes by their times.

    A stroke is at the time of a flash if it lies between start and end, widened by the bound of the flash's UTC and by
    the tolerance. Light needs 0.17 ms for 50 km, which nothing corrects.

    Args:
        flashes: those that count as reported.
        strokes: ordered by time.
        site: where the cameras stand.
        within_km: strokes farther away are left out.
        tolerance_seconds: how far a stroke may lie outside a flash.
        span: compared time, seconds since 1970; None: from the first flash, and to the last.

    Returns:
        the counts.

    Raises:
        LabelsError: no flash has a known UTC, or the time is empty.
    """
    spans = [_utc_span(flash, tolerance_seconds) for flash in flashes if flash.start_utc is not None]
    if not spans:
        raise LabelsError("no flash with a known UTC to compare with strokes; give `replay` its --start")
    begin = min(start for start, _, _ in spans) if span[0] is None else span[0]
    end = max(last for _, last, _ in spans) if span[1] is None else span[1]
    if not begin < end:
        raise LabelsError(f"nothing to compare: the time ends at {_iso(end)}, before it begins at {_iso(begin)}")
    spans = [one for one in spans if one[0] <= end and one[1] >= begin]
    near = [(site.distance_km(stroke.place), stroke.utc) for stroke in strokes if begin <= stroke.utc <= end]
    near = [(distance, utc) for distance, utc in near if distance <= within_km]
    times = [utc for _, utc in near]
    at = [range(bisect_left(times, first), bisect_right(times, last)) for first, last, _ in spans]
    lit = set(chain.from_iterable(at))
    edges = (0.0, within_km / 4, within_km / 2, within_km)
    rings = []
    for inner, outer in pairwise(edges):
        inside = {n for n, (distance, _) in enumerate(near) if inner < distance <= outer or distance == inner == 0}
        rings.append((outer, len(inside), len(inside & lit)))
    offsets = [
        min((start - times[n] for n in indices), key=abs)
        for (_, _, start), indices in zip(spans, at, strict=True)
        if indices
    ]
    half = median(last - first for first, last, _ in spans) / 2 if spans else 0.0
    return NetworkScore(
        span=(begin, end),
        rings=tuple(rings),
        flashes=len(spans),
        located=len(offsets),
        by_chance=_covered([(utc - half, utc + half) for utc in times], begin, end),
        onset_offset_seconds=median(offsets) if offsets else None,
    )


def _utc_span(flash: Flash, tolerance_seconds: float) -> tuple[float, float, float]:
    """Return the earliest and latest time of a stroke of this flash, and its start."""
    start = datetime.fromisoformat(flash.start_utc or "").timestamp()
    margin = tolerance_seconds + (flash.utc_error_ms or 0) / 1000
    return start - margin, start + (flash.duration_seconds or 0) + margin, start


def _covered(intervals: Sequence[Interval], begin: float, end: float) -> float:
    """Return the share of the time from `begin` to `end` that ordered `intervals` cover."""
    covered, until = 0.0, begin
    for start, stop in intervals:
        covered += max(0.0, min(stop, end) - max(start, until))
        until = max(until, stop)
    return covered / (end - begin)


def _iso(utc: float) -> str:
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def network_numbers(score: NetworkScore) -> Mapping[str, object]:
    """Return the printed values of a score, by the keys that scripts rely on."""
    strokes = sum(count for _, count, _ in score.rings)
    seen = sum(count for _, _, count in score.rings)
    return {
        "begin": _iso(score.span[0]),
        "end": _iso(score.span[1]),
        "rings": [{"km": km, "strokes": count, "with_flash": lit} for km, count, lit in score.rings],
        "strokes": strokes,
        "strokes_with_flash": seen,
        "flashes": score.flashes,
        "flashes_with_stroke": score.located,
        "by_chance": round(score.by_chance, 4),
        "onset_offset_ms": None if score.onset_offset_seconds is None else round(1000 * score.onset_offset_seconds, 1),
    }
