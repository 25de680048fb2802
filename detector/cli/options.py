"""Flags that commands share, and the only place where flags override settings."""

import argparse
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from detector.errors import SettingsError, UsageError
from detector.events import Flash
from detector.run.system_events import SystemState
from detector.settings import (
    BUILT_IN_VERIFIERS,
    DEFAULT_SETTINGS,
    SERVER_VERIFIERS,
    Settings,
    check_verifier_name,
    checked_settings,
    load_settings,
    parse_override,
    read_table,
)
from stream import CameraStatus, FeedOptions, HardwareKind

_log = logging.getLogger(__name__)

NOWHERE = "none"
_REVISION_VARIABLE = "MINICPM_REVISION"


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--set`, which every command that runs the detector has."""
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


def add_verifier_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--verifier`, `--model`, `--model-revision`, `--attn` and `--endpoint`."""
    group = parser.add_argument_group("verifier")
    group.add_argument(
        "--verifier",
        type=_verifier_name,
        metavar="NAME",
        help=f"who judges a candidate: {', '.join(BUILT_IN_VERIFIERS)}, or one that another package offers; "
        "auto: fused where a model runs on a GPU or a server is set, else photometric (shipped: auto)",
    )
    group.add_argument("--model", metavar="ID|DIR", help="MiniCPM-V model id, or a folder with its files")
    group.add_argument(
        "--model-revision",
        metavar="SHA",
        help="40-digit commit of the model; wins over the variable MINICPM_REVISION and the settings",
    )
    group.add_argument("--attn", metavar="BACKEND", help="attention backend: sdpa (shipped), flash_attention_2, eager")
    group.add_argument(
        "--endpoint",
        metavar="URL[,URL]",
        help="model server for --verifier served or fused, as http://host:8000/v1, or several with the same model",
    )


def add_decoding_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--fast` and `--hwaccel`."""
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--fast",
        action="store_true",
        help="decode without the filter that smooths the edges of blocks: less work, faint flashes may be missed",
    )
    group.add_argument(
        "--hwaccel",
        choices=get_args(HardwareKind),
        metavar="KIND",
        help=f"decode in hardware: {', '.join(get_args(HardwareKind))} (default: capture.hwaccel); the CPU decodes "
        "what it cannot",
    )


def add_publish_arguments(parser: argparse.ArgumentParser, *, always: bool) -> None:
    """Add the flags of publishing.

    Args:
        parser: takes the flags.
        always: publish on `feed.endpoint` even without --publish, as `watch` does.
    """
    otherwise = "default: feed.endpoint of the settings; 'none' for nowhere" if always else "default: nowhere"
    group = parser.add_argument_group("publishing")
    group.add_argument(
        "--publish", metavar="ENDPOINT", help=f"publish events on tcp://HOST:PORT, history one port up ({otherwise})"
    )
    group.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="keep the numbered events in this file (default: feed.journal of the settings; without, only in memory)",
    )
    group.add_argument(
        "--keys", type=Path, metavar="DIR", help="admit only clients with a key in this folder (see: keys)"
    )
    group.add_argument(
        "--insecure", action="store_true", help="publish to other machines without keys: anyone there can read along"
    )
    parser.set_defaults(publish_always=always)


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--camera` and `--state` of the commands that show events."""
    parser.add_argument("--camera", action="append", default=[], metavar="NAME", help="only this camera; repeatable")
    parser.add_argument(
        "--state",
        type=_state_of,
        action="append",
        default=[],
        metavar="STATE",
        help="only this state, e.g. confirmed; repeatable",
    )


def settings_tables(arguments: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """Return what `--config`, each `--set` and the flags of decoding lay over the defaults, with where each came from.

    Raises:
        SettingsError: the file cannot be read.
    """
    tables = [] if arguments.config is None else [(str(arguments.config), read_table(arguments.config))]
    capture = {"fast": getattr(arguments, "fast", False) or None, "hwaccel": getattr(arguments, "hwaccel", None)}
    given = {key: value for key, value in capture.items() if value is not None}
    return tables + list(arguments.overrides) + ([("command line", {"capture": given})] if given else [])


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the defaults, changed by `--config` and then by each `--set`; cameras in the file are for `watch` alone.

    Raises:
        SettingsError: a file, key or value is wrong.
    """
    return load_settings((origin, _without_cameras(table)) for origin, table in settings_tables(arguments))


def lay_verifier_arguments(
    settings: Settings, arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Return `settings`, overridden by the flags of `add_verifier_arguments` and the variable MINICPM_REVISION.

    A flag that the command does not have counts as not given.

    Raises:
        SettingsError: a value is not allowed, or a server is given that the verifier would not ask.
    """
    given: dict[tuple[str, str], Any] = {
        ("verifier", "kind"): getattr(arguments, "verifier", None),
        ("minicpm", "model"): getattr(arguments, "model", None),
        ("minicpm", "revision"): getattr(arguments, "model_revision", None) or environment.get(_REVISION_VARIABLE),
        ("minicpm", "attention"): getattr(arguments, "attn", None),
        ("served", "endpoint"): getattr(arguments, "endpoint", None),
    }
    if given["verifier", "kind"] == "served" or given["served", "endpoint"] is not None:
        given["served", "model"] = given["minicpm", "model"]
    laid = _laid_over(settings, given)
    if given["served", "endpoint"] is not None and laid.verifier.kind not in SERVER_VERIFIERS:
        raise SettingsError(
            f"--endpoint: the verifier is {laid.verifier.kind}, which asks no server; add --verifier served or fused"
        )
    return laid


def lay_serve_45_arguments(
    settings: Settings, arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Return `settings` with `[minicpm45]` overridden by the flags of `serve-45` and the variable MINICPM_REVISION.

    Raises:
        SettingsError: a value is not allowed.
    """
    given = {
        "model": arguments.model,
        "revision": arguments.model_revision or environment.get(_REVISION_VARIABLE),
        "attention": arguments.attn,
        "channel": "edge" if arguments.edge else None,
        "host": arguments.host,
        "port": arguments.port,
        "environment": str(arguments.environment) if arguments.environment else None,
    }
    return _laid_over(settings, {("minicpm45", key): value for key, value in given.items()})


def lay_notify_arguments(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """Return `settings` with the flags of `notify` laid over `[notify]`.

    Raises:
        SettingsError: a value is not allowed.
    """
    given = {"on": arguments.on, "cooldown_seconds": arguments.cooldown, "quiet_hours": arguments.quiet_hours}
    return _laid_over(settings, {("notify", key): value for key, value in given.items()})


def publish_options(settings: Settings, arguments: argparse.Namespace) -> FeedOptions:
    """Return the feed options of this run: `[feed]`, overridden by the flags of `add_publish_arguments`.

    Raises:
        UsageError: clients are admitted although nothing is published.
    """
    feed = settings.feed
    endpoint = arguments.publish or (feed.endpoint if arguments.publish_always else NOWHERE)
    if arguments.keys is not None and endpoint == NOWHERE:
        raise UsageError(f"--keys {arguments.keys}: nothing is published that could be read; add --publish ENDPOINT")
    values = msgspec.structs.asdict(feed) | {
        "endpoint": None if endpoint == NOWHERE else endpoint,
        "journal": _path(arguments.journal, feed.journal),
        "keys": _path(arguments.keys, feed.keys),
        "insecure": arguments.insecure,
    }
    return FeedOptions(**values)


def warn_of_unasked_model(arguments: argparse.Namespace, verifier: str, *, asks_model: bool) -> None:
    """Log a warning if `--model` names a model that `verifier`, the one chosen, does not ask."""
    if arguments.model is not None and not asks_model:
        _log.warning("--model %s is not asked: the verifier is %s; see --verifier", arguments.model, verifier)


def _laid_over(settings: Settings, given: Mapping[tuple[str, str], Any]) -> Settings:
    """Return `settings` with each value that is not None at its (section, key)."""
    table = msgspec.to_builtins(settings)
    for (section, key), value in given.items():
        if value is not None:
            table[section][key] = value
    return checked_settings("command line", table)


def _override(text: str) -> tuple[str, dict[str, Any]]:
    """Return one `--set` as a table, with its source."""
    try:
        return f"--set {text}", parse_override(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _verifier_name(text: str) -> str:
    try:
        check_verifier_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _state_of(text: str) -> str:
    """Return a state that an event may be in: a flash, a camera or the program itself."""
    known = [state for kind in (Flash, CameraStatus, SystemState) for state in get_args(get_type_hints(kind)["state"])]
    if text not in known:
        raise argparse.ArgumentTypeError(f"no event is ever {text!r}; choose of {', '.join(known)}")
    return text


def _without_cameras(table: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in table.items() if key != "camera" or not isinstance(part, list)}


def _path(flag: Path | None, setting: str) -> Path | None:
    return flag or (Path(setting).expanduser() if setting else None)
