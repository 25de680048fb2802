"""A run's results: flashes.jsonl and flashes.csv in its folder, and the table that a person reads."""

import csv
import io
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Self

import msgspec
from rich.table import Table
from rich.text import Text

from detector.errors import OutputError
from detector.events import FLASH_TOPIC, Flash, FlashMessage, Media
from detector.output.jsonl import ResultLines, last_revisions, read_lines
from detector.output.media import CLIPS, remove_media, write_whole
from detector.output.tables import fitted_table
from detector.output.text import plain_utc

_log = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder(FlashMessage)

CSV_COLUMNS = (
    "id", "camera", "file", "state", "start_utc", "start_seconds", "peak_seconds", "end_seconds", "duration_seconds",
    "pulses", "peak_rise_levels", "lit_fraction", "probability", "verifier", "clock", "utc_error_ms",
    "quality", "still", "clip", "reason",
)  # fmt: skip


class RunFolder:
    """The folder of a run. Use as a context; `begin` once there is something to watch, then `add` each message.

    Until `begin` nothing is touched. While the run goes on, flashes.jsonl grows by one line whenever a flash gets its
    verdict, so that a crash loses nothing; when the block ends, it holds each flash once, in its last revision, and
    flashes.csv is made from it. What cannot be written then costs these files and not the run: `failure` tells.

    keep_earlier: go on where an earlier run ended. overwrite: `begin` removes what an earlier run left, pictures too.

    Raises:
        OutputError: the folder or a file in it cannot be written, or holds flashes that would have to go.
    """

    def __init__(self, path: Path, *, keep_earlier: bool = False, overwrite: bool = False) -> None:
        self.path = path
        self.failure: OutputError | None = None
        self._overwrite = overwrite
        self._jsonl = path / "flashes.jsonl"
        self._lines = ResultLines(self._jsonl)
        check_writable(path)
        if not keep_earlier and not overwrite:
            self._refuse_earlier()
        self._earlier = self._read_earlier() if overwrite else []

    def __enter__(self) -> Self:
        return self

    @property
    def clips(self) -> frozenset[Path]:
        """The clips of an earlier run that are overwritten, as real paths."""
        made = (media.clip for media in self._earlier)
        return frozenset((self.path / CLIPS / PurePath(clip).name).resolve() for clip in made if clip is not None)

    def begin(self) -> None:
        """Make the folder and start flashes.jsonl; calls after the first do nothing."""
        try:
            self._write()
        except OSError as error:
            raise OutputError(f"--out {self.path}: cannot write results: {error.strerror}") from error

    def add(self, topic: str, _sequence: int, body: bytes) -> None:
        """Take one message of the feed; only final states of flashes are kept."""
        if not topic.startswith(FLASH_TOPIC) or _decoder.decode(body).data.state == "detected":
            return
        self._lines.hold(body + b"\n")
        try:
            self._write()
        except OSError as error:
            self._fail(_cannot_write(self._jsonl, error, "make room there; what waits in memory follows then"))

    def __exit__(self, *_exception: object) -> None:
        if not self._lines.begun and not self._lines.waiting:
            return
        try:
            self._write()
        except OSError as error:
            self._fail(_cannot_write(self._jsonl, error))
        self._lines.close()
        if self._lines.begun:
            self._finish()

    def _write(self) -> None:
        """Write what waits for flashes.jsonl."""
        if self._overwrite and not self._lines.begun:
            self._remove_earlier()
        self._lines.catch_up()
        if self.failure is not None and not self._lines.lost:
            _log.warning("%s: can be written again, and lacks nothing", self._jsonl)
            self.failure = None

    def _fail(self, error: OutputError) -> None:
        if self.failure is None:
            self.failure = error
            _log.error("%s", error)

    def _refuse_earlier(self) -> None:
        if self._jsonl.exists() and self._jsonl.stat().st_size:
            raise OutputError(
                f"--out {self.path}: holds the flashes of an earlier run; choose another folder, or replace them with "
                "--overwrite"
            )

    def _read_earlier(self) -> list[Media]:
        try:
            with self._jsonl.open("rb") as lines:
                return [message.data.media for _, message in read_lines(lines)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputError(
                f"{self._jsonl}: cannot be read, and so not be overwritten: {error.strerror}; choose another folder"
            ) from error

    def _remove_earlier(self) -> None:
        for media in self._earlier:
            remove_media(self.path, media)
        self._jsonl.unlink(missing_ok=True)
        (self.path / "flashes.csv").unlink(missing_ok=True)

    def _finish(self) -> None:
        try:
            write_whole(self._jsonl, last_revisions(self._jsonl))
            with self._jsonl.open("rb") as lines:
                write_whole(self.path / "flashes.csv", _csv_rows(message.data for _, message in read_lines(lines)))
        except OSError as error:
            self._fail(_cannot_write(Path(error.filename or self.path), error))


def _cannot_write(path: Path, error: OSError, advice: str = "make room there and run again") -> OutputError:
    return OutputError(f"{path}: cannot write results: {error.strerror}; {advice}")


def _csv_rows(flashes: Iterable[Flash]) -> Iterator[bytes]:
    """flashes.csv, line by line."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, CSV_COLUMNS)
    writer.writeheader()
    for flash in flashes:
        writer.writerow(csv_row(flash))
        yield table.getvalue().encode()
        table.seek(0)
        table.truncate()
    yield table.getvalue().encode()


def check_writable(path: Path) -> None:
    """Nothing, if a folder can be made or written at `path`.

    Raises:
        OutputError: it cannot; nothing has been touched.
    """
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise OutputError(f"--out {path}: {there} is a file, not a folder; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"--out {path}: no permission to write in {there}; choose another folder")


def csv_row(flash: Flash) -> dict[str, object]:
    """`flash` as the columns of flashes.csv."""
    row: dict[str, object] = {name: getattr(flash, name) for name in CSV_COLUMNS if hasattr(flash, name)}
    row["pulses"] = len(flash.pulses)
    row["quality"] = " ".join(flash.quality)
    row["probability"] = None if flash.verdict is None else flash.verdict.probability
    row["verifier"] = None if flash.verdict is None else flash.verdict.verifier
    row["reason"] = None if flash.verdict is None else flash.verdict.reason
    row["still"], row["clip"] = flash.media.still, flash.media.clip
    return row


def clock_text(seconds: float) -> str:
    """Seconds as h:mm:ss.mmm, as players show them."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02d}:{rest:06.3f}"


def flash_line(topic: str, body: bytes) -> Text | None:
    """A message as the one line that `watch` prints; None for what is no flash or was only the start of one."""
    if not topic.startswith(FLASH_TOPIC):
        return None
    flash = _decoder.decode(body).data
    if flash.state == "detected":
        return None
    when = clock_text(flash.start_seconds) if flash.start_utc is None else f"{plain_utc(flash.start_utc)}Z"
    sure = "" if flash.verdict is None or flash.verdict.probability is None else f"  {flash.verdict.probability:.0%}"
    why = "" if flash.verdict is None or flash.verdict.reason is None else f"  {flash.verdict.reason}"
    count = len(flash.pulses)
    pulses = f"{count} pulse{'s' if count != 1 else ''}"
    colour = {"confirmed": "bold yellow", "rejected": "dim"}.get(flash.state, "")
    return Text.assemble(
        f"{when}  {flash.camera}  ",
        (flash.state, colour),
        f"  {flash.duration_seconds or 0:.2f} s  {pulses}  rise {flash.peak_rise_levels:.0f}{sure}",
        (why, "dim"),
    )


class Counts:
    """How many flashes of a run are in each state; `add` each message of the feed.

    Only the states of the latest flashes are remembered, so that months of watching need no more memory than a night.
    """

    _REMEMBERED = 10_000  # far more than can still get a late verdict

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def add(self, topic: str, _sequence: int, body: bytes) -> None:
        """Take one message of the feed."""
        if topic.startswith(FLASH_TOPIC):
            self._take(_decoder.decode(body).data)

    def _take(self, flash: Flash) -> None:
        before = self._states.pop(flash.id, None)
        if before is not None:
            self.counts[before] -= 1
        self._states[flash.id] = flash.state
        self.counts[flash.state] += 1
        if len(self._states) > self._REMEMBERED:
            del self._states[next(iter(self._states))]

    @property
    def found(self) -> int:
        """How many are not rejected; may be asked from any thread."""
        return sum(self.counts[state] for state in ("confirmed", "unverified", "detected"))

    def summary(self) -> str:
        """How many flashes of each kind, in words."""
        counts = self.counts
        order = ("confirmed", "unverified", "detected", "rejected")
        return ", ".join(f"{counts[state]} {state}" for state in order if counts[state]) or "no flashes"


class Tally(Counts):
    """Counts, and the flashes themselves in their last revisions, for a table."""

    def __init__(self) -> None:
        super().__init__()
        self._flashes: dict[str, Flash] = {}

    def _take(self, flash: Flash) -> None:
        super()._take(flash)
        self._flashes[flash.id] = flash

    def table(self, width: int = 250) -> Table:
        """The flashes that were not rejected, one a row, in the order of the video, for `width` columns of text."""
        flashes = sorted(
            (flash for flash in self._flashes.values() if flash.state != "rejected"),
            key=lambda flash: (flash.file or "", flash.start_seconds),
        )
        columns = {head: [text_of(flash) for flash in flashes] for head, text_of in _COLUMNS.items()}
        if not any(columns["UTC"]):
            del columns["UTC"]
        return fitted_table(
            columns,
            width,
            left_out=("area", "rise", "pulses", "seconds", "sure", "UTC"),
            right=("seconds", "pulses", "rise", "area", "sure"),
        )


def _sure(flash: Flash) -> str:
    verdict = flash.verdict
    return "" if verdict is None or verdict.probability is None else f"{verdict.probability:.0%}"


_COLUMNS: dict[str, Callable[[Flash], str]] = {
    "file": lambda flash: flash.file or flash.camera,
    "start": lambda flash: clock_text(flash.start_seconds),
    "UTC": lambda flash: "" if flash.start_utc is None else f"{plain_utc(flash.start_utc)}Z",
    "state": lambda flash: flash.state,
    "seconds": lambda flash: "" if flash.duration_seconds is None else f"{flash.duration_seconds:.2f}",
    "pulses": lambda flash: str(len(flash.pulses)),
    "rise": lambda flash: f"{flash.peak_rise_levels:.0f}",
    "area": lambda flash: f"{flash.lit_fraction:.0%}",
    "sure": _sure,
}
