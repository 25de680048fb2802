"""Find the lightning in recorded video: files, or folders of files.

Prints a table of the flashes, or with --json one event a line as the feed carries it. Files are watched in order, as
fast as they decode; a file that breaks off still has the flashes before the break reported.
"""

import argparse

from detector.cli.loading import load
from detector.cli.options import (
    add_decoding_arguments,
    add_publish_arguments,
    add_settings_arguments,
    add_verifier_arguments,
)
from detector.cli.types import count_of, folder_of, number_of, recording_at, seconds_of, start_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add inputs, outputs, and options of the replay."""
    parser.add_argument(
        "inputs",
        nargs="+",
        type=recording_at,
        metavar="FILE|FOLDER|URL|-",
        help="video files, folders with video or with images, recordings on a web server (also HLS) "
        "or in a store (s3://, gs://, az://, sftp://; also folders), - for stdin",
    )
    parser.add_argument(
        "--out",
        type=folder_of,
        metavar="DIR",
        help="write flashes.jsonl, stills and clips (a folder a camera) there, flashes.csv and report.html at the end; "
        "refused where flashes are",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="with --out: remove the flashes of an earlier run there, stills and clips too, when this one begins",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="with --out: go on with the run there: files that are finished, and unchanged since, are skipped",
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="with --out: add what these inputs hold to the results there, as of a second card",
    )
    parser.add_argument(
        "--json", action="store_true", help="print each event of a flash as a line of JSON instead of the table"
    )
    parser.add_argument(
        "--jobs",
        type=number_of,
        metavar="N",
        help="watch N files at once, in processes of their own (0: as many as cores); results are those of --jobs 1, "
        "told file by file",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: files are watched on a Ray cluster, --jobs at once (default: as many as it has cores); results are "
        "those of one machine; needs the extra `ray`",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="with --engine ray: the cluster (auto: the one that runs here); default: one of its own on this machine",
    )
    parser.add_argument(
        "--split-minutes",
        type=count_of,
        metavar="M",
        help="with --jobs or --engine ray: cut longer recordings into parts of at most M minutes, each read from a key "
        "frame 90 s earlier on; a flash belongs to the part in which it begins",
    )
    parser.add_argument("--realtime", action="store_true", help="replay at the video's own pace, as a camera would")
    parser.add_argument(
        "--follow",
        type=seconds_of,
        metavar="S",
        help="the files are still being written: wait at the end for more, until none came for S seconds",
    )
    parser.add_argument(
        "--start",
        type=start_of,
        metavar="TIME",
        help="when the first frame of the one file was taken, e.g. 2026-11-22T21:29:03.5Z or "
        "2026-11-22T22:29:03.5+01:00 (without an offset: UTC); otherwise its creation time, if any",
    )
    parser.add_argument(
        "--stream",
        type=count_of,
        metavar="N",
        help="watch the Nth video stream of each file alone (default: all that differ, as NAME-1, NAME-2)",
    )
    parser.add_argument(
        "--joined",
        action="store_true",
        help="read the segments of a recorder as one recording: files of one folder that follow each other by the "
        "times in their names, or by their numbers",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    add_decoding_arguments(parser)
    add_verifier_arguments(parser)
    add_publish_arguments(parser, always=False)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay, print the result, and return 1 if a file could not be read to its end or a result not be written."""
    # Loaded now: the flags, and what is wrong with them, are told without video libraries.
    return int(load("detector.cli.run_replay").run_replay(arguments))
