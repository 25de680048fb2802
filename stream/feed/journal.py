"""An append-only journal of numbered messages in SQLite; messages are on disk before they are published."""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from stream.errors import JournalError
from stream.feed.journal_lock import JournalLock
from stream.feed.message import WireMessage

_FORMAT = 1
_APPLICATION = 0x4C467631  # "LFv1": marks our files among SQLite databases
_PRUNE_ROWS = 2000  # per step, so that pruning never delays a message for long
_TABLES = """
create table if not exists meta(key text primary key, value text not null);
create table if not exists message(
    sequence integer primary key autoincrement, id text not null, topic text not null, subject text not null,
    published real not null, body blob not null);
create index if not exists message_id on message(id);
create table if not exists upstream(feed text primary key, run text not null, sequence integer not null);
"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long messages are kept: until they are older than `days`, or the file is larger than `megabytes` (10**6)."""

    days: float
    megabytes: float


class RelayPosition(NamedTuple):
    """A relayed message's place in its own feed; stored with the message, so that a relay knows how far it has come."""

    feed: str
    run: str
    sequence: int


@dataclass(frozen=True, kw_only=True)
class JournalRecord(WireMessage):
    """One message in the journal.

    Attributes:
        id: the message's id.
        subject: the camera or site that the message is about.
        published_utc: when it was published, in seconds since 1970.
        upstream: for a relayed message, its place in the feed that it came from; not read by `Journal.since`.
    """

    id: str
    subject: str
    published_utc: float
    upstream: RelayPosition | None = None

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Return the record in a row of RECORD_COLUMNS."""
        sequence, message_id, topic, subject, published, body = row
        return cls(topic=topic, sequence=sequence, body=body, id=message_id, subject=subject, published_utc=published)


RECORD_COLUMNS = "sequence, id, topic, subject, published, body"


class Journal:
    """Numbered messages in the SQLite file at `path`, or in memory.

    Commits are on disk when `append` returns (WAL, synchronous FULL). One publisher at a time holds a journal; any
    number of readers may read it. A journal belongs to the thread that opened it.

    Raises:
        JournalError: from every method, if the file cannot be opened, read or written.
    """

    def __init__(self, path: Path | None, *, busy_seconds: float = 0.25) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._lock = None if path is None else JournalLock(path)
        self._database: sqlite3.Connection | None = None
        try:
            with self._explained("open"):
                self._database = self._connect()
                self.feed = self._prepare()
            self._inode = self._inode_now()
            self.last = max(self._last_kept(), self._lock.reserved(self.feed) if self._lock else 0)
            self.first = self._first_kept()
        except BaseException:
            self.close()
            raise

    def append(self, records: Sequence[JournalRecord]) -> None:
        """Write `records`, numbered on from `last`, all or none; they are on disk on return."""
        rows = [(one.sequence, one.id, one.topic, one.subject, one.published_utc, one.body) for one in records]
        upstreams = [record.upstream for record in records if record.upstream]
        with self._explained("write"), self._transaction() as database:
            database.executemany("insert into message values(?,?,?,?,?,?)", rows)
            database.executemany("insert or replace into upstream values(?,?,?)", upstreams)
        self.last = records[-1].sequence
        self.first = min(self.first, records[0].sequence)

    def reserve(self, sequence: int) -> None:
        """Reserve the numbers up to `sequence`, although their messages could not be written."""
        if self._lock is not None:
            self._lock.reserve(self.feed, sequence)

    def since(self, sequence: int, limit: int) -> Iterator[JournalRecord]:
        """Yield the messages numbered above `sequence`, oldest first, at most `limit`."""
        with self._explained("read"):
            rows = self._open.execute(
                f"select {RECORD_COLUMNS} from message where sequence > ? order by sequence limit ?",  # noqa: S608 - fixed text
                (sequence, limit),
            )
            for row in rows:
                yield JournalRecord.from_row(row)

    def knows(self, message_id: str) -> bool:
        """Return whether a message with this id is in the journal."""
        with self._explained("read"):
            return bool(self._open.execute("select 1 from message where id = ?", (message_id,)).fetchone())

    def upstreams(self) -> list[RelayPosition]:
        """Return the last message relayed from each other feed."""
        with self._explained("read"):
            return [RelayPosition._make(row) for row in self._open.execute("select feed, run, sequence from upstream")]

    def newest_utc(self) -> float | None:
        """Return when the newest message was published, in seconds since 1970; None if there is none."""
        with self._explained("read"):
            row = self._open.execute("select published from message order by sequence desc limit 1").fetchone()
        return None if row is None else float(row[0])

    def prune_age(self, before_utc: float, *, young: int | None = None, most: int = _PRUNE_ROWS) -> int:
        """Delete the oldest messages that were published before `before_utc`.

        Only the oldest are deleted, so a clock that steps back keeps messages longer, never shorter.

        Args:
            before_utc: seconds since 1970.
            young: messages from this number on stay, whatever the clock said when they were published.
            most: the most messages deleted in one call.

        Returns:
            how many were deleted.
        """
        boundary = min(self.first + most, self.last + 1 if young is None else young)
        with self._explained("prune"):
            kept = self._open.execute(
                "select min(sequence) from message where sequence < ? and published >= ?", (boundary, before_utc)
            ).fetchone()[0]
        return self._delete_below(boundary if kept is None else kept)

    def prune_size(self, megabytes: float) -> int:
        """Delete the oldest messages, 2000 at most, if the file is larger than `megabytes`, and return how many."""
        with self._explained("prune"):
            boundary = self._boundary_by_size(megabytes * 1e6)
        return self._delete_below(min(boundary, self.first + _PRUNE_ROWS))

    def restore_if_gone(self) -> bool:
        """Write the file again if it was deleted or replaced while open, and return whether it was."""
        if self._path is None or self._inode_now() == self._inode:
            return False
        with self._explained("restore"):
            _put_aside(self._path)
            try:
                fresh = self._connect()
                self._open.backup(fresh)
            except sqlite3.Error:
                self._path.unlink(missing_ok=True)  # the next attempt would move half a journal over another file
                raise
            self._open.close()
            self._database = fresh
            fresh.execute("pragma journal_mode=wal").fetchall()
            self._inode = self._inode_now()
        return True

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def durable(self) -> bool:
        """Whether the journal is on disk."""
        return self._path is not None

    @property
    def name(self) -> str:
        """The path, for messages to people."""
        return str(self._path or "journal in memory")

    @property
    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise JournalError(f"{self.name}: the journal is closed")
        return self._database

    def _inode_now(self) -> tuple[int, int] | None:
        try:
            facts = self._path.stat() if self._path else None
        except OSError:
            return None
        return facts and (facts.st_dev, facts.st_ino)

    def _connect(self) -> sqlite3.Connection:
        if self._path is not None:
            # SQLite would let everybody read a new file; -wal and -shm take the mode of the file itself. A file that is
            # there is not opened: closing it would take away the locks of other readers in this process.
            with suppress(OSError):  # it is there, or SQLite will report the error
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640))
        database = sqlite3.connect(self._path or ":memory:", isolation_level=None, timeout=self._busy_seconds)
        for pragma in (
            "auto_vacuum=incremental",
            "journal_mode=wal",
            "synchronous=full",
            "journal_size_limit=16777216",
        ):
            database.execute(f"pragma {pragma}").fetchall()
        return database

    def _prepare(self) -> str:
        """Check that the file is a journal, create missing tables, and return the feed's id."""
        database = self._open
        check_format(database, self.name)
        with self._transaction():
            for statement in filter(str.strip, _TABLES.split(";")):
                database.execute(statement)
            database.execute("insert or ignore into meta values('feed', ?)", (secrets.token_hex(6),))
            database.execute(f"pragma application_id={_APPLICATION}")
            database.execute(f"pragma user_version={_FORMAT}")
        return str(database.execute("select value from meta where key = 'feed'").fetchone()[0])

    def _first_kept(self) -> int:
        """Return the oldest number kept, or last + 1 if none is."""
        with self._explained("read"):
            first = self._open.execute("select min(sequence) from message").fetchone()[0]
        return int(first or self.last + 1)

    def _last_kept(self) -> int:
        """Return the last number ever written; its message may be pruned by now."""
        with self._explained("read"):
            last = self._open.execute("select max(sequence) from message").fetchone()[0]
            given = self._open.execute("select seq from sqlite_sequence where name = 'message'").fetchone()
        return max(last or 0, given[0] if given else 0)

    def _delete_below(self, boundary: int) -> int:
        if boundary <= self.first:
            return 0
        with self._explained("prune"):
            with self._transaction() as database:
                removed = database.execute("delete from message where sequence < ?", (boundary,)).rowcount
            # As a script: `execute` would stop after the first page, since the statement returns no rows.
            self._open.executescript("pragma incremental_vacuum")
            self.first = self._first_kept()
        return removed

    def _boundary_by_size(self, limit_bytes: float) -> int:
        """Return the number below which messages must be deleted to fit `limit_bytes`, by their average size."""
        pages, free, page_bytes = (
            self._open.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        excess = 1 - limit_bytes / ((pages - free) * page_bytes)
        return self.first + (int((self.last - self.first + 1) * excess) + 1 if excess > 0 else 0)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._open
        database.execute("begin immediate")
        try:
            yield database
            database.execute("commit")
        except BaseException:
            if database.in_transaction:
                database.execute("rollback")
            raise

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"{self.name}: cannot {doing} the journal: {error}; {_advice(error)}") from error
        except OSError as error:
            raise JournalError(
                f"{self.name}: cannot {doing} the journal: {error.strerror}; "
                "check that its folder exists and is writable"
            ) from error


def check_format(database: sqlite3.Connection, name: str) -> None:
    """Raise JournalError unless `database` is empty or a journal that this version reads.

    Raises:
        JournalError: it belongs to another program or a newer version.
    """
    application = database.execute("pragma application_id").fetchone()[0]
    version = database.execute("pragma user_version").fetchone()[0]
    tables = database.execute("select count(*) from sqlite_master").fetchone()[0]
    if tables and application != _APPLICATION:
        raise JournalError(f"{name}: a database of another program, not a journal; name another file")
    if version > _FORMAT:
        raise JournalError(f"{name}: journal format {version}, but this version reads up to {_FORMAT}; update it")


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return {
        sqlite3.SQLITE_FULL: "free disk space, or set feed.keep_megabytes lower",
        sqlite3.SQLITE_IOERR: "check the disk and its free space",
        sqlite3.SQLITE_BUSY: "another program holds it locked; close that program",
        sqlite3.SQLITE_READONLY: "make the file and its folder writable",
        sqlite3.SQLITE_CANTOPEN: "check that the folder exists and is writable",
        sqlite3.SQLITE_NOTADB: "it is not a journal; name another file",
        sqlite3.SQLITE_CORRUPT: "the file is damaged; move it away, and a new journal is made",
    }.get(code, "move the file away, and a new journal is made")


def _put_aside(path: Path) -> None:
    """Rename the file at `path` and its companions; a stray -wal would damage the new database."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".replaced"))
