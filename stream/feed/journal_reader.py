"""Read a journal that a publisher may be writing at the same time."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stream.errors import JournalError
from stream.feed.journal import RECORD_COLUMNS, JournalRecord, check_format

_PAGE = 500  # messages


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """A choice of messages; a field that is empty or None matches any.

    Attributes:
        since: only messages numbered above this.
        begin_utc: only messages published at or after this, in seconds since 1970.
        end_utc: only messages published before this, in seconds since 1970.
        cameras: only messages about one of these.
        states: only messages whose data.state is one of these.
        topics: only messages whose topic starts with one of these.
        newest: only the last so many of all that match.
    """

    since: int = 0
    begin_utc: float | None = None
    end_utc: float | None = None
    cameras: Collection[str] = ()
    states: Collection[str] = ()
    topics: Collection[str] = ()
    newest: int | None = None


def read_history(path: Path, wanted: HistoryFilter) -> Iterator[JournalRecord]:
    """Yield the messages in the journal at `path` that match `wanted`, oldest first.

    Messages written after the first was read are left out. The file is read in pages, so that a paused reader does not
    keep the publisher's files from shrinking.

    Raises:
        JournalError: the file is missing, not a journal, or cannot be read.
    """
    if not path.is_file():
        raise JournalError(f"{path}: no journal here; name the file that was given as --journal")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as database:
            check_format(database, str(path))
            yield from _pages(database, wanted)
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise JournalError(f"{path}: cannot read the journal: {error}; is it the file given as --journal?") from error


def _pages(database: sqlite3.Connection, wanted: HistoryFilter) -> Iterator[JournalRecord]:
    conditions, values = _conditions(wanted)
    # These queries are composed of fixed text only; every value is bound.
    matching = f"select sequence from message where {conditions} order by sequence desc limit ?"  # noqa: S608
    limit = -1 if wanted.newest is None else wanted.newest
    first, last = database.execute(
        f"select min(sequence), max(sequence) from ({matching})",  # noqa: S608
        [*values, limit],
    ).fetchone()
    query = (
        f"select {RECORD_COLUMNS} from message where {conditions} "  # noqa: S608
        "and sequence between ? and ? order by sequence limit ?"
    )
    while first is not None:
        rows = database.execute(query, [*values, first, last, _PAGE]).fetchall()
        for row in rows:
            record = JournalRecord.from_row(row)
            record.message  # noqa: B018 - decoded here, so that a damaged one is reported with the journal's name
            yield record
        first = rows[-1][0] + 1 if len(rows) == _PAGE else None


def _conditions(wanted: HistoryFilter) -> tuple[str, list[object]]:
    """Return the filter as SQL, and the values to bind."""
    parts: list[tuple[str, list[object]]] = [("sequence > ?", [wanted.since])]
    if wanted.begin_utc is not None:
        parts.append(("published >= ?", [wanted.begin_utc]))
    if wanted.end_utc is not None:
        parts.append(("published < ?", [wanted.end_utc]))
    if wanted.cameras:
        parts.append((f"subject in ({','.join('?' * len(wanted.cameras))})", list(wanted.cameras)))
    if wanted.states:
        state = "json_extract(cast(body as text), '$.data.state')"
        parts.append((f"{state} in ({','.join('?' * len(wanted.states))})", list(wanted.states)))
    if wanted.topics:
        starts = " or ".join(["substr(topic, 1, ?) = ?"] * len(wanted.topics))
        parts.append((f"({starts})", [value for topic in wanted.topics for value in (len(topic), topic)]))
    return " and ".join(text for text, _ in parts), [value for _, values in parts for value in values]
