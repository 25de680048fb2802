"""The command line: import one command, run it, print its failure as one line, return its exit code."""

import argparse
import errno
import os
import stat
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from detector import __version__
from detector.cli.commands import COMMANDS
from detector.errors import DetectorError, UsageError
from stream import StreamError, printable, redact


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without passwords; --help has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {printable(redact(message))} (see {self.prog} --help)\n")


def build_parser(*chosen: str) -> argparse.ArgumentParser:
    """Return the parser of all commands, with the flags of the `chosen` ones, which alone are imported.

    Raises:
        StreamError: a library that the command needs cannot be loaded.
    """
    parser = _Parser(
        prog="lightning-detector",
        description="Find lightning in cameras and recordings, and tell other services about every flash.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    added = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        if name in chosen:
            command = import_module(f"detector.cli.commands.{name.replace('-', '_')}")
            description = (command.__doc__ or "").strip()
            formatter = argparse.RawDescriptionHelpFormatter
            own = added.add_parser(name, help=summary, description=description, formatter_class=formatter)
            command.add_arguments(own)
            own.set_defaults(run=command.run)
        else:
            added.add_parser(name, help=summary)
    return parser


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """Return the flags in `words`; exit with code 2 if they are wrong."""
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser = build_parser(*([] if chosen is None else [chosen]))
    if chosen is not None and chosen not in COMMANDS:
        near = get_close_matches(chosen, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(COMMANDS)}"
        parser.error(f"there is no command {chosen!r}; {hint}")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command in `words` (default: the process's arguments).

    Returns:
        the exit code: 0 done, 1 something went wrong that the message names, 2 wrong use, 130 ended by Ctrl-C.

    Raises:
        OSError: an error of the system that no command explains; a full disk is explained here.
    """
    _replace_what_is_closed()
    _let_no_sign_fail()
    # Before NumPy loads: the threads of its and OpenCV's OpenBLAS spin while they wait, a quarter of a short run's CPU.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return _run(_parsed(sys.argv[1:] if words is None else words))
    except (StreamError, DetectorError) as error:
        if _has_left(error.__cause__):
            return _reader_has_left()
        print(f"lightning-detector: {printable(redact(error))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        if _has_left(error):
            return _reader_has_left()
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        print(f"lightning-detector: stdout: cannot write results: {error.strerror}; free disk space", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace) -> int:
    """Run the command, flush stdout so that a failure is still explained, and return the exit code."""
    code = int(arguments.run(arguments))
    sys.stdout.flush()
    return code


def _replace_what_is_closed() -> None:
    """Replace streams that the shell closed (`>&-`) by the null device."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole run


def _let_no_sign_fail() -> None:
    """Print `?` for characters that a terminal cannot show, or that are not text, instead of failing."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _has_left(error: BaseException | None) -> bool:
    """Return whether `error` says that the reader of stdout is gone: a closed pipe, or a terminal that hung up."""
    if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):
        return isinstance(error, BrokenPipeError)
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode)


def _reader_has_left() -> int:
    """Return the exit code for a reader of our output (head, less) that has left, which is not an error."""
    _write_no_more()
    return 0


def _write_no_more() -> None:
    """Discard further output to stdout, also at the end of the program."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
