"""Make the second environment, in which `serve-45` runs MiniCPM-V 4.5's own code."""

import argparse
from pathlib import Path

from detector.cli.console import progress_console, result_console
from detector.verify.vlm.local.attention import setup
from detector.verify.vlm.server45.environment import Environment, environment_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder, further packages, and the option to check only."""
    parser.add_argument("--environment", type=Path, metavar="DIR", help="its folder (default: in your data folder)")
    parser.add_argument(
        "--with",
        dest="added",
        action="append",
        default=[],
        metavar="REQUIREMENT",
        help="a package to install as well, e.g. a flash-attn wheel's path or URL; may be repeated",
    )
    parser.add_argument("--again", action="store_true", help="make it anew even if it is up to date")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; say what it holds, or why it is not ready"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make or check the environment, and print its content."""
    environment = Environment(arguments.environment or environment_folder())
    if arguments.check:
        environment.require()
    else:
        progress_console().print(f"{environment.folder}: making sure that MiniCPM-V 4.5's environment is there")
        environment.make(arguments.added, again=arguments.again)
    report = environment.probe()
    stamp = environment.stamp()
    lines = [
        f"{environment.folder}: ready",
        f"{setup(report)}, transformers {report.transformers}",
        f"flash-attn: {report.flash_attention or 'not installed'}",
        *(stamp.notes if stamp else ()),
    ]
    for line in lines:
        result_console().print(line, soft_wrap=True)
    return 0
