"""Fit a model's temperature and bias on labelled clips, and print them as settings.

RESULTS come from `replay --verifier minicpm` (or served) on the clips of LABELS, with the same settings as here. The
settings go to stdout; put them into your settings file. Fit again after any change of model, commit, prompt or
images.
"""

import argparse
import sys
from pathlib import Path

from detector.cli.options import (
    add_settings_arguments,
    add_verifier_arguments,
    lay_verifier_arguments,
    settings_of,
)
from detector.evaluate.calibration import fit, judged_flashes
from detector.evaluate.labels import read_labels
from detector.evaluate.results import read_results
from detector.verify.vlm.local.verifier import mode_of
from detector.verify.vlm.question import ModelIdentity, Question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add LABELS, RESULTS and the settings."""
    parser.add_argument("labels", type=Path, metavar="LABELS", help="JSON: flashes, pulses and ignore of each clip")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a run's folder, or what `replay --json` printed")
    add_verifier_arguments(parser)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read both, fit and print the settings.

    Raises:
        LabelsError: a file cannot be used, or no fit is possible.
    """
    settings = lay_verifier_arguments(settings_of(arguments), arguments)
    source, judged = judged_flashes(read_labels(arguments.labels), read_results(arguments.results))
    found = fit(judged)
    mode = "served" if source.verifier == "served" else mode_of(settings.minicpm)
    question = Question(settings.question, settings.batcher.picture_side_pixels)
    asked = ModelIdentity(source.verifier, source.model, source.revision, mode)
    lightning = sum(one.lightning for one in judged)
    print(
        f"{lightning} flashes of lightning and {len(judged) - lightning} of something else. Log loss "
        f"{found.before.log_loss:.3f} -> {found.after.log_loss:.3f}, calibration error "
        f"{found.before.calibration_error:.3f} -> {found.after.calibration_error:.3f} (on the same flashes).",
        file=sys.stderr,
    )
    if source.prompt_version != question.prompt.label:
        print(
            f"These results were made with prompt {source.prompt_version}, the settings have {question.prompt.label}.",
            file=sys.stderr,
        )
    key = question.calibration_key(asked)
    print(f'[question]\ntemperature = {found.temperature:.6g}\nbias = {found.bias:.6g}\ncalibrated_for = "{key}"')
    return 0
