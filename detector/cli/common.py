"""What commands share: the settings flags and how a run says things to a person."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.shipped import DEFAULT_SETTINGS

if TYPE_CHECKING:
    from rich.console import Console

    from detector.settings import Settings


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags `--config` and `--set`, which every command that runs the detector has."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        # argparse fills in what follows a percent sign.
        help=f"TOML file with the settings to change; {str(DEFAULT_SETTINGS).replace('%', '%%')} lists all of them",
    )
    group.add_argument(
        "--set",
        dest="overrides",
        type=_override,
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change one setting for this run; may be repeated",
    )


def _override(text: str) -> "tuple[str, dict[str, Any]]":
    """One `--set` as a table, with where it came from."""
    from detector.errors import SettingsError
    from detector.settings import parse_override

    try:
        return f"--set {text}", parse_override(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def settings_tables(arguments: argparse.Namespace) -> "list[tuple[str, dict[str, Any]]]":
    """What `--config` and then each `--set` lay over the shipped settings, with where each came from.

    Raises:
        SettingsError: the file cannot be read.
    """
    from detector.settings import read_table

    tables = [] if arguments.config is None else [(str(arguments.config), read_table(arguments.config))]
    return tables + list(arguments.overrides)


def settings_of(arguments: argparse.Namespace) -> "Settings":
    """The shipped settings, changed by `--config` and then by each `--set`; cameras in the file are for `watch` alone.

    Raises:
        SettingsError: a file, key or value is wrong.
    """
    from detector.settings import load_settings

    return load_settings((origin, _without_cameras(table)) for origin, table in settings_tables(arguments))


def _without_cameras(table: "dict[str, Any]") -> "dict[str, Any]":
    return {key: part for key, part in table.items() if key != "camera" or not isinstance(part, list)}


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags `--camera` and `--state` of the commands that show events."""
    parser.add_argument("--camera", action="append", default=[], metavar="NAME", help="only this camera; repeatable")
    parser.add_argument(
        "--state",
        type=_state_of,
        action="append",
        default=[],
        metavar="STATE",
        help="only this state, e.g. confirmed; repeatable",
    )


def _state_of(text: str) -> str:
    """A state that an event may be in: a flash, a camera or the program itself."""
    from typing import get_args, get_type_hints

    from detector.events import Flash
    from detector.run.session import SystemState
    from stream import CameraStatus

    known = [state for kind in (Flash, CameraStatus, SystemState) for state in get_args(get_type_hints(kind)["state"])]
    if text not in known:
        raise argparse.ArgumentTypeError(f"no event is ever {text!r}; choose of {', '.join(known)}")
    return text


def progress_console() -> "Console":
    """Where progress and logs go: stderr, in colour only if it is a terminal. What is printed is text, not markup."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def result_console() -> "Console":
    """Where results go: stdout, in colour only if it is a terminal; elsewhere no line is broken to a screen's width."""
    from detector.cli.console import ResultConsole

    return ResultConsole(width=None if sys.stdout.isatty() else 250)
