"""The flashes of a run as tables: counts, CSV, and a table in a terminal."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo

from rich.cells import cell_len, set_cell_size
from rich.table import Table

from detector.events import Flash, flash_in
from detector.output.local_time import local_text
from detector.output.text import clock_text, plain_utc
from stream import WireMessage, printable

_GAP = 2  # between two columns
_LEAST = 20  # least width of the first column before another column is left out
_TAIL = 0.4  # share of a shortened name for its end, where it differs from its neighbours

CSV_COLUMNS = (
    "id", "camera", "file", "state", "start_utc", "start_seconds", "peak_seconds", "end_seconds", "duration_seconds",
    "pulses", "peak_rise_levels", "lit_fraction", "probability", "verifier", "clock", "utc_error_ms",
    "quality", "still", "clip", "reason",
)  # fmt: skip


def csv_row(flash: Flash) -> dict[str, object]:
    """Return `flash` as the columns of flashes.csv."""
    row: dict[str, object] = {name: getattr(flash, name) for name in CSV_COLUMNS if hasattr(flash, name)}
    row["pulses"] = len(flash.pulses)
    row["quality"] = " ".join(flash.quality)
    row["probability"] = None if flash.verdict is None else flash.verdict.probability
    row["verifier"] = None if flash.verdict is None else flash.verdict.verifier
    row["reason"] = None if flash.verdict is None else flash.verdict.reason
    row["still"], row["clip"] = flash.media.still, flash.media.clip
    return {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}


def csv_rows(flashes: Iterable[Flash]) -> Iterator[bytes]:
    """Yield flashes.csv, line by line."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, CSV_COLUMNS)
    writer.writeheader()
    for flash in flashes:
        writer.writerow(csv_row(flash))
        yield table.getvalue().encode()
        table.seek(0)
        table.truncate()
    yield table.getvalue().encode()


class FlashCounter:
    """Count the flashes of a run by state; `add` each message of the feed.

    Only the states of the latest flashes are kept, so that months of watching need no more memory than a night.
    """

    _REMEMBERED = 10_000  # far more than can still get a late verdict

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def add(self, message: WireMessage) -> None:
        """Count one message of the feed."""
        flash = flash_in(message)
        if flash is not None:
            self._take(flash)

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
        """Number of flashes that are not rejected; any thread may read it."""
        return sum(self.counts[state] for state in ("confirmed", "unverified", "detected"))

    def summary(self) -> str:
        """Return the number of flashes of each kind, in words."""
        counts = self.counts
        order = ("confirmed", "unverified", "detected", "rejected")
        return ", ".join(f"{counts[state]} {state}" for state in order if counts[state]) or "no flashes"


class FlashTable(FlashCounter):
    """Count flashes, and keep their last revisions for a table.

    Args:
        zone: zone of local times; this computer's if omitted.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        super().__init__()
        self._zone = zone
        self._flashes: dict[str, Flash] = {}

    def _take(self, flash: Flash) -> None:
        super()._take(flash)
        self._flashes[flash.id] = flash

    def table(self, width: int = 250) -> Table:
        """Return the flashes that were not rejected, one per row, in the order of the video, `width` wide."""
        flashes = sorted(
            (flash for flash in self._flashes.values() if flash.state != "rejected"),
            key=lambda flash: (flash.file or "", flash.start_seconds),
        )
        columns = {head: [text_of(flash) for flash in flashes] for head, text_of in _COLUMNS.items()}
        if any(columns["UTC"]):
            columns["local"] = [_local(flash, self._zone) for flash in flashes]
        else:
            del columns["UTC"], columns["local"]
        return fitted_table(
            columns,
            width,
            left_out=("area", "rise", "pulses", "seconds", "local", "sure", "UTC"),
            right=("seconds", "pulses", "rise", "area", "sure"),
        )


def _local(flash: Flash, zone: tzinfo | None) -> str:
    return "" if flash.start_utc is None else local_text(flash.start_utc, zone)


def _sure(flash: Flash) -> str:
    verdict = flash.verdict
    return "" if verdict is None or verdict.probability is None else f"{verdict.probability:.0%}"


_COLUMNS: dict[str, Callable[[Flash], str]] = {
    "file": lambda flash: printable(flash.file or flash.camera),
    "start": lambda flash: clock_text(flash.start_seconds),
    "UTC": lambda flash: "" if flash.start_utc is None else f"{plain_utc(flash.start_utc)}Z",
    "local": lambda _flash: "",
    "state": lambda flash: flash.state,
    "seconds": lambda flash: "" if flash.duration_seconds is None else f"{flash.duration_seconds:.2f}",
    "pulses": lambda flash: str(len(flash.pulses)),
    "rise": lambda flash: f"{flash.peak_rise_levels:.0f}",
    "area": lambda flash: f"{flash.lit_fraction:.0%}",
    "sure": _sure,
}


def fitted_table(
    columns: Mapping[str, Sequence[str]], width: int, *, left_out: Sequence[str], right: Sequence[str]
) -> Table:
    """Return `columns` side by side in `width`; only the first, which holds names, may be cut.

    Args:
        columns: cells by heading.
        width: characters.
        left_out: headings to leave out if there is no room, the least important first.
        right: headings of columns that are aligned to the right.
    """
    shown = {head: max(map(cell_len, (head, *cells))) for head, cells in columns.items()}
    first = next(iter(shown))
    wanted = min(shown.pop(first), _LEAST)
    for head in left_out:
        if wanted + sum(shown.values()) + _GAP * len(shown) <= width:
            break
        shown.pop(head, None)
    room = max(1, width - sum(shown.values()) - _GAP * len(shown))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in (first, *shown):
        table.add_column(head, justify="right" if head in right else "left", no_wrap=True)
    names = [shortened(name, room) for name in columns[first]]
    for row in zip(names, *(columns[head] for head in shown), strict=True):
        table.add_row(*row)
    return table


def shortened(name: str, width: int) -> str:
    """Return `name` in at most `width` characters of a terminal, with an ellipsis for its missing middle."""
    if cell_len(name) <= width:
        return name
    tail = ""
    for letter in reversed(name):
        if cell_len(letter + tail) > _TAIL * width:
            break
        tail = letter + tail
    return f"{set_cell_size(name, width - 1 - cell_len(tail))}…{tail}"
