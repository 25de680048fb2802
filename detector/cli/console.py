"""Consoles for what a command prints."""

import sys
from typing import Any

from rich.console import Console


class ResultConsole(Console):
    """On stdout. What is printed is text, not markup: a file may be called `storm [night].mp4`.

    When its reader has left (head, less) it says so, where Rich would leave with code 1.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def on_broken_pipe(self) -> None:
        """Raise what happened; the command line knows what it means."""
        raise BrokenPipeError


def result_console() -> Console:
    """Return where results go: stdout, in colour only on a terminal; elsewhere no line is broken to a width."""
    return ResultConsole(width=None if sys.stdout.isatty() else 250)


def progress_console() -> Console:
    """Return where progress and logs go: stderr, in colour only on a terminal. What is printed is text, not markup."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
