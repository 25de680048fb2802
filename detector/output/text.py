"""Flashes and messages as single lines: of `watch`, and of `subscribe` and `history`."""

from typing import Any

from rich.console import Console
from rich.text import Text

from detector.events import flash_in
from stream import Message, WireMessage, printable

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
    """Return one message: number, when, about what, state, start, length in s, rise in levels, probability, id.

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
    return Text(printable(" ".join(cells)), style=_STYLES.get(state, ""))


def clock_text(seconds: float) -> str:
    """Return seconds as h:mm:ss.mmm, as players show them."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02d}:{rest:06.3f}"


def flash_line(message: WireMessage) -> Text | None:
    """Return a message as the one line that `watch` prints; None for what is no flash or was only the start of one."""
    flash = flash_in(message)
    if flash is None or flash.state == "detected":
        return None
    when = clock_text(flash.start_seconds) if flash.start_utc is None else f"{plain_utc(flash.start_utc)}Z"
    sure = "" if flash.verdict is None or flash.verdict.probability is None else f"  {flash.verdict.probability:.0%}"
    why = "" if flash.verdict is None or flash.verdict.reason is None else f"  {printable(flash.verdict.reason)}"
    count = len(flash.pulses)
    pulses = f"{count} pulse{'s' if count != 1 else ''}"
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


def _number(value: object, width: int, digits: int) -> str:
    return f"{value:>{width}.{digits}f}" if isinstance(value, int | float) else " " * width
