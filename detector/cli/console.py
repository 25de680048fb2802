"""Consoles for the output of commands."""

import sys
from typing import Any

from rich.console import Console


class ResultConsole(Console):
    """A console on stdout. It prints text, not markup: a file may be called `storm [night].mp4`.

    If its reader has left (head, less) it raises the error, while Rich would exit with code 1.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def on_broken_pipe(self) -> None:
        """Raise the error; the command line handles it."""
        raise BrokenPipeError


def result_console() -> Console:
    """Return the console for results: stdout, in colour only on a terminal; elsewhere lines are not wrapped."""
    return ResultConsole(width=None if sys.stdout.isatty() else 250)


def progress_console() -> Console:
    """Return the console for progress and logs: stderr, in colour only on a terminal. It prints text, not markup."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
