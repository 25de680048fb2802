"""Parsers of flag values: each refuses invalid values with a message about the valid ones."""

import argparse
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from urllib.parse import quote

from detector.settings import NAME_PATTERN
from stream import STORES

_EARLIEST_START = datetime(1900, 1, 1, tzinfo=UTC).timestamp()
_LATEST_START = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


def folder_of(text: str) -> Path:
    """Return the folder that `text` names; it need not exist.

    An empty word, as from a variable that is not set, would mean the current folder, and is refused.

    Returns:
        the folder.

    Raises:
        ArgumentTypeError: `text` is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("no folder is named; write . for the one you are in")
    return Path(text)


def number_of(text: str) -> int:
    """Return a whole number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number (0, 1, 2, ...)")
    return int(text)


def count_of(text: str) -> int:
    """Return a whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def seconds_of(text: str) -> float:
    """Return a time in seconds, above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def site_of(text: str) -> str:
    """Parse the name of a site."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError(f"{text!r}: 1 to 32 of a-z, 0-9 and '-'")
    return text


def folders_of(texts: Iterable[str]) -> dict[str, Path]:
    """Return the folder of each site of `[SITE=]DIR`; one alone serves every site that is not named."""
    found: dict[str, Path] = {}
    for text in texts:
        site, equals, folder = text.partition("=")
        named = bool(equals) and quote(site, safe="") == site and "/" not in site
        found[site if named else ""] = Path(folder if named else text)
    return found


def recording_at(text: str) -> Path | str:
    """Return a file or folder as a path, or as text the URL of a recording or - for standard input."""
    if text == "-":
        return text
    if "://" in text and not Path(text).exists():
        if text.partition("://")[0].lower() in ("http", "https", *STORES):
            return text
        raise argparse.ArgumentTypeError(
            f"{text} is an address, not a file: for a camera use watch; recordings are opened over http and https, "
            f"and from {', '.join(STORES)}"
        )
    return Path(text)


def utc_of(text: str) -> float:
    """Return an ISO 8601 time as seconds since 1970; without an offset it is taken as UTC."""
    try:
        time = datetime.fromisoformat(text.strip().replace(" ", "T"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-11-22T21:29:03.5Z") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


class StartTime(float):
    """Seconds since 1970, and whether they were given with a zone."""

    zoned = True


def unzoned_words(flag: str, seconds: float, zone: tzinfo | None) -> str:
    """Return a sentence on how a time without a zone was read, and how to write it as local time.

    Args:
        flag: the flag of the time.
        seconds: the time as UTC, in seconds since 1970.
        zone: zone of local times; this computer's if None.
    """
    taken = datetime.fromtimestamp(seconds, UTC)
    # The same digits as local time, which the user may have meant.
    meant = taken.replace(tzinfo=zone) if zone is not None else taken.replace(tzinfo=None).astimezone()
    return (
        f"{flag} has no zone: taken as UTC, {taken:%Y-%m-%dT%H:%M:%S}Z; if it is local time, write {meant.isoformat()}"
    )


def start_of(text: str) -> StartTime:
    """Return the UTC of a recording's first frame: date and time, in a year that leaves room for its last frame."""
    seconds = utc_of(text)
    with suppress(ValueError):
        date.fromisoformat(text.strip())
        raise argparse.ArgumentTypeError(
            f"{text!r} is a day without its time; write for example 2026-11-22T21:29:03.5Z"
        )
    if not _EARLIEST_START <= seconds < _LATEST_START:
        raise argparse.ArgumentTypeError(f"{text!r} is not in the years 1900 to 8999")
    start = StartTime(seconds)
    start.zoned = datetime.fromisoformat(text.strip().replace(" ", "T")).tzinfo is not None
    return start
