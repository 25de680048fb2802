"""Messages of a feed as lines of a table that grows: for subscribe and history."""

from typing import Any

from rich.console import Console
from rich.text import Text

from stream import Message

_STYLES = {"detected": "yellow", "confirmed": "bold green", "rejected": "dim", "unverified": "magenta"}
_HEADER = (
    f"{'number':>8}  {'published (UTC)':<23}  {'camera':<20} {'state':<11} {'start (UTC, else s)':<23} {'lasted':>8} "
    f"{'rise':>6} {'prob.':>6}  id"
)


class EventLines:
    """Prints one line for each message, and the column heads before the first."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._headed = False

    def add(self, message: Message[dict[str, Any]]) -> None:
        """Print `message`; what it lacks stays blank."""
        if not self._headed:
            self._headed = True
            self._console.print(Text(_HEADER, style="bold"), soft_wrap=True)
        self._console.print(event_line(message), soft_wrap=True)


def event_line(message: Message[dict[str, Any]]) -> Text:
    """One message: number, when, about what, state, start, length in s, rise in levels, probability, id.

    The start is in UTC where that is known, else in seconds of the source's own clock.
    """
    data = message.data
    state = str(data.get("state", ""))
    start_utc = data.get("start_utc")
    verdict = data.get("verdict")
    probability = verdict.get("probability") if isinstance(verdict, dict) else None
    cells = (
        f"{message.sequence:>8}",
        f" {plain_utc(message.time):<23}",
        f" {message.subject:<20}",
        f"{state:<11}",
        f"{plain_utc(start_utc):<23}" if isinstance(start_utc, str) else _number(data.get("start_seconds"), 23, 3),
        _number(data.get("duration_seconds"), 8, 3),
        _number(data.get("peak_rise_levels"), 6, 1),
        _number(probability, 6, 2),
        f" {data.get('id', message.type)}",
    )
    return Text(" ".join(cells), style=_STYLES.get(state, ""))


def plain_utc(utc: str) -> str:
    """To the millisecond, which is finer than any camera's frame."""
    return utc[:23].replace("T", " ")


def _number(value: object, width: int, digits: int) -> str:
    return f"{value:>{width}.{digits}f}" if isinstance(value, int | float) else " " * width
