"""Print what makes a shell complete commands, flags and file names.

bash: lightning-detector completion bash > ~/.local/share/bash-completion/completions/lightning-detector
zsh:  lightning-detector completion zsh > a folder of $fpath/_lightning-detector
"""

import argparse

import shtab

from detector.cli.commands import COMMANDS
from detector.cli.main import build_parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script to print")


def run(arguments: argparse.Namespace) -> int:
    """Print the completion script of the shell."""
    parser = build_parser(*COMMANDS)
    _complete_files(parser)
    print(shtab.complete(parser, shell=arguments.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Complete every value without a list of choices as a file name."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask for them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                _complete_files(command)
        elif action.nargs != 0 and action.choices is None:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own
