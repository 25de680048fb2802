"""The flags with which a command chooses its verifier, laid over the settings."""

import argparse
import os
from collections.abc import Mapping
from typing import Any

import msgspec

from detector.errors import SettingsError
from detector.settings import BUILT_IN_VERIFIERS, Settings, check_verifier_name, checked_settings


def add_verifier_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags `--verifier`, `--model`, `--model-revision`, `--attn` and `--endpoint`."""
    group = parser.add_argument_group("verifier")
    group.add_argument(
        "--verifier",
        type=_verifier_name,
        metavar="NAME",
        help=f"who judges a candidate: {', '.join(BUILT_IN_VERIFIERS)}, or one that another package offers; "
        "auto: minicpm where it can run on a GPU, else photometric (shipped: auto)",
    )
    group.add_argument("--model", metavar="ID|DIR", help="MiniCPM-V model id, or a folder with its files")
    group.add_argument(
        "--model-revision",
        metavar="SHA",
        help="40-digit commit of the model; wins over the variable MINICPM_REVISION and the settings",
    )
    group.add_argument("--attn", metavar="BACKEND", help="attention backend: sdpa (shipped), flash_attention_2, eager")
    group.add_argument("--endpoint", metavar="URL", help="model server for --verifier served, as http://host:8000/v1")


def _verifier_name(text: str) -> str:
    try:
        check_verifier_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def lay_verifier_arguments(
    settings: Settings, arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ
) -> Settings:
    """`settings` with the flags of `add_verifier_arguments` and the variable MINICPM_REVISION laid over them.

    A flag that the command does not have counts as not given.

    Raises:
        SettingsError: a value is not allowed, or a server is named that nobody would ask.
    """
    given: dict[tuple[str, str], Any] = {
        ("verifier", "kind"): getattr(arguments, "verifier", None),
        ("minicpm", "model"): getattr(arguments, "model", None),
        ("minicpm", "revision"): getattr(arguments, "model_revision", None) or environment.get("MINICPM_REVISION"),
        ("minicpm", "attention"): getattr(arguments, "attn", None),
        ("served", "endpoint"): getattr(arguments, "endpoint", None),
    }
    table = msgspec.to_builtins(settings)
    for (section, key), value in given.items():
        if value is not None:
            table[section][key] = value
    if given["verifier", "kind"] == "served" and given["minicpm", "model"] is not None:
        table["served"]["model"] = given["minicpm", "model"]
    kind = table["verifier"]["kind"]
    if given["served", "endpoint"] is not None and kind != "served":
        raise SettingsError(f"--endpoint: the verifier is {kind}, which asks no server; add --verifier served")
    return checked_settings("command line", table)
