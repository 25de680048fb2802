"""Signals inside a block: Ctrl-C and SIGTERM ask for a clean end, a second one exits at once; SIGHUP may reload."""

import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event
from types import FrameType

_HANG_UP = getattr(signal, "SIGHUP", None)
"""None on Windows."""
_SIGNALS = tuple(number for number in (signal.SIGINT, signal.SIGTERM, _HANG_UP) if number is not None)


@contextmanager
def stop_on_signals(stop: Event, reload: Event | None = None) -> Iterator[Event]:
    """Set `stop` on the first signal inside the block; leave the process with code 130 on the second.

    A closing terminal may send SIGHUP twice, so the second one is ignored; under `nohup` the first is ignored, too.
    Where there is no terminal, as under systemd, SIGHUP sets `reload` instead, if given. Output to a terminal that is
    gone is discarded. The previous handlers are restored when the block ends.

    Yields:
        `stop`.
    """
    terminal = _has_terminal()  # asked now: when the signal comes, a closed terminal is no longer this process's
    shown = [number for number in (1, 2) if os.isatty(number)]

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == _HANG_UP and reload is not None and not terminal:
            reload.set()
            return
        if number == _HANG_UP:
            _write_nowhere(shown)
        if stop.is_set() and number == _HANG_UP:
            return
        if stop.is_set():
            # Threads may be inside FFmpeg or a model: only this exits without waiting for them.
            os._exit(130)
        stop.set()
        _say(b"\nStopping: finishing what is open. Ctrl-C again leaves now.\n")

    heard = [number for number in _SIGNALS if number != _HANG_UP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal, which may hang up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _write_nowhere(numbers: Sequence[int]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in numbers:
        os.dup2(nowhere, number)
    os.close(nowhere)


def _say(words: bytes) -> None:
    """Write `words` to stderr if that does not block, so that the program ends even if nobody reads them."""
    with suppress(OSError):
        _, ready, _ = select.select([], [sys.stderr], [], 0)
        if ready:
            os.write(sys.stderr.fileno(), words)
