"""The command line: parse, call one command, print its failure as one line, return its exit code."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from pkgutil import iter_modules
from typing import NoReturn

from detector import __version__
from detector.cli import commands
from detector.errors import DetectorError, UsageError
from stream import StreamError, redact

_NOT_COMMANDS = {"common"}


class _Parser(argparse.ArgumentParser):
    """Repeats what was typed wrong, but not a password in it."""

    def error(self, message: str) -> NoReturn:
        super().error(redact(message))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; one module in detector/commands is one command."""
    parser = _Parser(
        prog="lightning-detector",
        description="Find lightning in cameras and recordings, and tell other services about every flash.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    chosen = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in iter_modules(commands.__path__):
        if module.name in _NOT_COMMANDS:
            continue
        command = import_module(f"detector.cli.commands.{module.name}")
        summary = (command.__doc__ or "").strip()
        added = chosen.add_parser(
            module.name.replace("_", "-"),
            help=summary.splitlines()[0],
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run the command in `words` (default: the process's arguments) and give back its exit code.

    0 done, 1 something went wrong that the message names, 2 wrong use, 130 ended by Ctrl-C.
    """
    _replace_what_is_closed()
    _let_no_sign_fail()
    arguments = build_parser().parse_args(words)
    try:
        return _run(arguments)
    except (StreamError, DetectorError) as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return _reader_has_left()
        print(f"lightning-detector: {redact(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        return _reader_has_left()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        print(f"lightning-detector: stdout: cannot write results: {error.strerror}; free disk space", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace) -> int:
    """The command's exit code, once all that it printed is out: at the program's end nobody could explain a failure."""
    code = int(arguments.run(arguments))
    sys.stdout.flush()
    return code


def _replace_what_is_closed() -> None:
    """What is written to a stream that the shell closed (`>&-`) goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole run


def _let_no_sign_fail() -> None:
    """Show `?` for what a terminal cannot show or is no text, as in names of files: it must not end the program."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _reader_has_left() -> int:
    """The reader of our output (head, less) has left: no error."""
    _write_no_more()
    return 0


def _write_no_more() -> None:
    """Nothing more can be said on stdout, nor is tried when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
