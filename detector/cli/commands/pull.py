"""Download the model's snapshot into the hub's cache, for runs without network.

Fetches the pinned commit of the default model, or what --model and --model-revision say. With
`--set minicpm.channel=edge` the newest commit of the branch main. Prints the snapshot's folder.
"""

import argparse
import sys

from detector.cli.options import add_settings_arguments, add_verifier_arguments, lay_verifier_arguments, settings_of
from detector.errors import VerifierError
from detector.verify.vlm.local.hub import fetch, revision_to_fetch
from detector.verify.vlm.local.models import known_models
from detector.verify.vlm.local.snapshot import damaged_files, is_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and the settings."""
    add_verifier_arguments(parser)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Resolve and fetch the snapshot, and print its folder."""
    minicpm = lay_verifier_arguments(settings_of(arguments), arguments).minicpm
    if is_folder(minicpm.model):
        raise VerifierError(f"--model {minicpm.model} is a folder: there is nothing to fetch; give a model id")
    known = known_models().get(minicpm.model)
    if known is not None and known.runs == "served":
        raise VerifierError(f"{minicpm.model} cannot run here: {known.notes}")
    revision = revision_to_fetch(minicpm)
    print(f"{minicpm.model} at {revision}", file=sys.stderr)
    snapshot = fetch(minicpm.model, revision)
    damaged = list(damaged_files(snapshot.folder))
    if damaged:
        raise VerifierError(f"{snapshot.label}: {'; '.join(damaged)}; delete {snapshot.folder} and pull again")
    if minicpm.channel == "edge":
        print(f"to pin this commit: --model-revision {revision}", file=sys.stderr)
    print(snapshot.folder)
    return 0
