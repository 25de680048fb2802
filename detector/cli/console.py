"""Consoles for what a command prints."""

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
