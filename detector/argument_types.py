"""Values as flags take them: each refuses what it cannot be, and says what it may be."""

import argparse
from pathlib import Path


def folder_of(text: str) -> Path:
    """A folder, there already or not. An empty word, as of a variable that is not set, would be the one we are in."""
    if not text:
        raise argparse.ArgumentTypeError("no folder is named; write . for the one you are in")
    return Path(text)


def number_of(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number (0, 1, 2, ...)")
    return int(text)


def count_of(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def seconds_of(text: str) -> float:
    """A time in seconds, above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
