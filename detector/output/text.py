"""Flashes and messages as single lines, for `watch`, `subscribe` and `history`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from detector.events import flash_in
from detector.output.local_time import local_text
from stream import Message, WireMessage, printable

_STYLES = {"detected": "yellow", "confirmed": "bold green", "rejected": "dim", "unverified": "magenta"}
_GAP = 2  # between two columns
_NAME_LEAST, _NAME_MOST = 8, 20  # characters of a camera's name


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of events.

    Attributes:
        head: its heading.
        width: characters.
        text_of: returns its text for a message.
        right: whether the text is aligned to the right.
        left_out: columns with the highest number are left out first if a terminal is too narrow; 0: never.
    """

    head: str
    width: int
    text_of: Callable[[Message[dict[str, Any]]], str]
    right: bool = False
    left_out: int = 0


class EventLines:
    """Print one line for each message, and the headings before the first, as wide as the terminal allows.

    Args:
        console: where to print; all columns are printed if it is not a terminal.
        zone: zone of local times; this computer's if omitted.
    """

    def __init__(self, console: Console, zone: tzinfo | None = None) -> None:
        self._console = console
        self._columns = _columns_in(console.width if console.is_terminal else None, zone)
        self._headed = False

    def add(self, message: Message[dict[str, Any]]) -> None:
        """Print `message`, with blanks for missing values."""
        if not self._headed:
            self._headed = True
            heads = [_cell(column.head, column) for column in self._columns]
            self._print(heads, "bold")
        self._print(
            [_cell(column.text_of(message), column) for column in self._columns],
            _STYLES.get(str(message.data.get("state", "")), ""),
        )

    def _print(self, cells: Sequence[str], style: str) -> None:
        self._console.print(Text(printable((" " * _GAP).join(cells).rstrip()), style=style), soft_wrap=True)


def _columns_in(width: int | None, zone: tzinfo | None) -> list[_Column]:
    """Return the columns that fit into `width`, all if that is None; the camera's name is shortened last."""
    columns = _event_columns(zone)
    if width is None:
        return columns
    for column in sorted((one for one in columns if one.left_out), key=lambda one: -one.left_out):
        if _width_of(columns) - (_NAME_MOST - _NAME_LEAST) <= width:
            break
        columns.remove(column)
    over = max(0, _width_of(columns) - width)
    return [replace(one, width=max(_NAME_LEAST, one.width - over)) if one.head == "camera" else one for one in columns]


def _width_of(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _cell(text: str, column: _Column) -> str:
    if column.head == "camera" and cell_len(text) > column.width:
        text = f"{set_cell_size(text, column.width - 1)}…"
    return text.rjust(column.width) if column.right else text.ljust(column.width)


def _event_columns(zone: tzinfo | None) -> list[_Column]:
    """Return all columns: number, time, subject, state, start, length in s, rise in levels, probability, id.

    The start is in UTC if known, otherwise in seconds of the source's own clock.
    """

    def start(message: Message[dict[str, Any]]) -> str:
        utc = message.data.get("start_utc")
        return plain_utc(utc) if isinstance(utc, str) else _number(message.data.get("start_seconds"), 3).rjust(23)

    def local(message: Message[dict[str, Any]]) -> str:
        utc = message.data.get("start_utc", message.time)
        return local_text(utc, zone) if isinstance(utc, str) else ""

    def probability(message: Message[dict[str, Any]]) -> str:
        verdict = message.data.get("verdict")
        return _number(verdict.get("probability") if isinstance(verdict, dict) else None, 2)

    def datum(key: str, digits: int) -> Callable[[Message[dict[str, Any]]], str]:
        return lambda message: _number(message.data.get(key), digits)

    return [
        _Column("number", 8, lambda message: str(int(message.sequence)), right=True),
        _Column("published (UTC)", 23, lambda message: plain_utc(message.time), left_out=2),
        _Column("camera", _NAME_MOST, lambda message: str(message.subject)),
        _Column("state", 11, lambda message: str(message.data.get("state", ""))),
        _Column("start (UTC, else s)", 23, start),
        _Column("local", 14, local, left_out=3),
        _Column("lasted", 8, datum("duration_seconds", 3), right=True, left_out=5),
        _Column("rise", 6, datum("peak_rise_levels", 1), right=True, left_out=6),
        _Column("prob.", 6, probability, right=True, left_out=4),
        _Column("id", 36, lambda message: str(message.data.get("id", message.type)), left_out=7),
    ]


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def clock_text(seconds: float) -> str:
    """Return seconds as h:mm:ss.mmm, as players show them."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02d}:{rest:06.3f}"


def flash_line(message: WireMessage, zone: tzinfo | None = None) -> Text | None:
    """Return a message as the line that `watch` prints; None if it is not a flash or has no new state.

    Args:
        message: any message of the feed.
        zone: of local times; this computer's if omitted.
    """
    flash = flash_in(message)
    if flash is None or flash.state == "detected" or (flash.changed and "state" not in flash.changed):
        return None
    when = clock_text(flash.start_seconds)
    if flash.start_utc is not None:
        when = f"{plain_utc(flash.start_utc)}Z ({local_text(flash.start_utc, zone)})"
    sure = "" if flash.verdict is None or flash.verdict.probability is None else f"  {flash.verdict.probability:.0%}"
    why = "" if flash.verdict is None or flash.verdict.reason is None else f"  {printable(flash.verdict.reason)}"
    pulses = plural(len(flash.pulses), "pulse")
    colour = {"confirmed": "bold yellow", "rejected": "dim"}.get(flash.state, "")
    return Text.assemble(
        printable(f"{when}  {flash.camera}  "),
        (flash.state, colour),
        f"  {flash.duration_seconds or 0:.2f} s  {pulses}  rise {flash.peak_rise_levels:.0f}{sure}",
        (why, "dim"),
    )


def plain_utc(utc: str) -> str:
    """Return a time to the millisecond, which is finer than any camera's frame."""
    return utc[:23].replace("T", " ")


def _number(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else ""
