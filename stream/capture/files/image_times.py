"""Times of images, from their EXIF data or from the digits of their names."""

import re
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

_HEAD_BYTES = 128 * 1024  # EXIF data are at the start, in at most 64 KB
_EXIF = b"Exif\0\0"
_EXIF_POINTER, _TAKEN, _SUBSECONDS, _OFFSET = 0x8769, 0x9003, 0x9291, 0x9011
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}  # bytes of a value, by its type
_MOST_ENTRIES = 1000

_DATE_IN_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.:]?([01]\d)[-_.:]?([0-3]\d)[-_.:T hH]{0,2}([0-2]\d)[-_.:hH]?([0-5]\d)[-_.:mM]?([0-6]\d)"
    r"(?:[-_.,]?(\d{1,6}))?(?!\d)"
)
_EPOCH_IN_NAME = re.compile(r"(?<!\d)(1\d{9})[._]?(\d{3}|\d{6})?(?!\d)")


def times_of(images: Sequence[Path]) -> tuple[list[float] | None, str]:
    """Return when each of `images` was taken, in seconds of the camera's own clock, and the source of the times.

    All times come from one source, "EXIF data" or "names"; None if neither has them all.
    """
    for read, place in ((exif_time, "EXIF data"), (name_time, "names")):
        times: list[float] = []
        for image in images:
            time = read(image)
            if time is None:
                break
            times.append(time)
        if len(times) == len(images) and len(set(times)) > 1:
            return times, place
    return None, "nowhere"


def name_time(path: Path) -> float | None:
    """Return the time in the name of a file as seconds since 1970, read as if it were UTC."""
    stem = path.stem
    dates = list(_DATE_IN_NAME.finditer(stem))
    if dates:
        found = dates[-1]
        year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
        try:
            taken = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        except ValueError:
            return None
        return taken.timestamp() + max(0, second - 59) + _fraction(found[7])
    epoch = _EPOCH_IN_NAME.search(stem)
    return None if epoch is None else int(epoch[1]) + _fraction(epoch[2])


def _fraction(digits: str | None) -> float:
    return float(f"0.{digits}") if digits else 0.0


def exif_time(path: Path) -> float | None:
    """Return an image's EXIF time in seconds since 1970, read as if it were UTC if it has no zone."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    begin = head.find(_EXIF)
    if begin < 0:
        begin = head.find(b"eXIf") - 2  # a PNG chunk holds the same data without the name
        if begin < 0:
            return None
    try:
        return _taken(dict(_tags(head[begin + len(_EXIF) :])))
    except (struct.error, ValueError, OverflowError):
        return None


def _taken(tags: dict[int, bytes]) -> float | None:
    if _TAKEN not in tags:
        return None
    taken = datetime.strptime(_text(tags[_TAKEN]), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    zone = re.fullmatch(r"([+-])(\d\d):(\d\d)", _text(tags.get(_OFFSET, b"")))
    if zone is not None:
        ahead = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
        taken -= ahead if zone[1] == "+" else -ahead
    return taken.timestamp() + _fraction(re.sub(r"\D", "", _text(tags.get(_SUBSECONDS, b""))))


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode("ascii", "replace").strip()


def _tags(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, value) of the first directory and of the Exif directory."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return
    waiting = [struct.unpack_from(f"{order}I", data, 4)[0]]
    for place in waiting:
        (count,) = struct.unpack_from(f"{order}H", data, place)
        for number in range(min(count, _MOST_ENTRIES)):
            entry = place + 2 + 12 * number
            tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
            size = _WIDTHS.get(kind, 1) * length
            at = entry + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)[0]
            if tag == _EXIF_POINTER and len(waiting) == 1:
                waiting.append(struct.unpack_from(f"{order}I", data, entry + 8)[0])
            yield tag, data[at : at + size]
