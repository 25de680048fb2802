"""Print the JSON Schema of the events that the feed carries."""

import argparse

import msgspec

from detector.events import event_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print it, indented."""
    del arguments
    print(msgspec.json.format(msgspec.json.encode(event_schema()), indent=2).decode())
    return 0
