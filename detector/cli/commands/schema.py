"""Print the JSON Schema of the events that the feed carries, or of one type's `data`."""

import argparse

import msgspec

from detector.events import event_schema
from detector.run.schemas import data_schemas


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the schema."""
    parser.add_argument(
        "--type",
        choices=sorted(data_schemas()),
        metavar="TYPE",
        help=f"the schema of `data` of this type, as `dataschema` names it: {', '.join(sorted(data_schemas()))}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the schema, indented."""
    schema = event_schema() if arguments.type is None else data_schemas()[arguments.type]
    print(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
    return 0
