"""Fit a model's temperature and bias on labelled clips, and print them as settings.

RESULTS come from `replay --verifier minicpm` (or served, or fused) on the clips of LABELS, with the same settings as
here. On stderr stands how good the model is on recordings that the fit has not seen, beside brightness alone and the
photometric verifier; a model that is no better than brightness is refused. The settings go to stdout; put them into
your settings file. Fit again after any change of model, commit, prompt or images.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector.cli.options import (
    add_settings_arguments,
    add_verifier_arguments,
    lay_verifier_arguments,
    settings_of,
)
from detector.errors import LabelsError
from detector.evaluate.calibration import (
    BRIGHTNESS,
    JudgedFlash,
    compare_judges,
    fit,
    fit_fused,
    judged_flashes,
)
from detector.evaluate.labels import read_labels
from detector.evaluate.results import read_results
from detector.verify.fused import fused_key
from detector.verify.vlm.local.verifier import mode_of
from detector.verify.vlm.question import ModelIdentity, Question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add LABELS, RESULTS and the settings."""
    parser.add_argument("labels", type=Path, metavar="LABELS", help="JSON: flashes, pulses and ignore of each clip")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a run's folder, or what `replay --json` printed")
    parser.add_argument(
        "--anyway", action="store_true", help="print the fit also where the model is no better than brightness alone"
    )
    add_verifier_arguments(parser)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read labels and results, compare them, fit and print the settings.

    Returns:
        the exit code.

    Raises:
        LabelsError: a file cannot be used, no fit is possible, or the model is no better than brightness.
    """
    settings = lay_verifier_arguments(settings_of(arguments), arguments)
    source, judged = judged_flashes(read_labels(arguments.labels), read_results(arguments.results))
    found = fit(judged)
    mode = "served" if source.verifier == "served" else mode_of(settings.minicpm)
    question = Question(settings.question, settings.batcher.picture_side_pixels)
    asked = ModelIdentity(source.verifier, source.model, source.revision, mode)
    lightning = sum(one.lightning for one in judged)
    _say(
        f"{lightning} flashes of lightning and {len(judged) - lightning} of something else. Log loss "
        f"{found.before.log_loss:.3f} -> {found.after.log_loss:.3f}, calibration error "
        f"{found.before.calibration_error:.3f} -> {found.after.calibration_error:.3f} (on the same flashes)."
    )
    if source.prompt_version != question.prompt.label:
        _say(f"These results were made with prompt {source.prompt_version}, the settings have {question.prompt.label}.")
    _compare(judged, anyway=arguments.anyway)
    key = question.calibration_key(asked)
    print(f'[question]\ntemperature = {found.temperature:.6g}\nbias = {found.bias:.6g}\ncalibrated_for = "{key}"')
    fused = fit_fused(judged)
    if fused is not None:
        print(
            f"\n[fused]\nphotometric_weight = {fused.photometric_weight:.6g}\nmodel_weight = {fused.model_weight:.6g}\n"
            f'bias = {fused.bias:.6g}\ncalibrated_for = "{fused_key(key)}"'
        )
    return 0


def _compare(judged: Sequence[JudgedFlash], *, anyway: bool) -> None:
    """Print the quality of each predictor on unseen recordings.

    Raises:
        LabelsError: the model is no better than brightness, and the fit is not wanted anyway.
    """
    try:
        compared = compare_judges(judged)
    except LabelsError as error:
        if not anyway:
            raise LabelsError(f"{error}; --anyway prints the fit untried") from error
        _say(f"Not tried on unseen recordings: {error}.")
        return
    clips = len({one.clip for one in judged})
    _say(f"On recordings that the fit has not seen (each of {clips} left out in turn):")
    _say(f"  {'':<18} {'AUC':>6} {'Brier':>7} {'log loss':>9}")
    for name, quality in compared.items():
        _say(f"  {name:<18} {quality.auc:6.3f} {quality.brier:7.3f} {quality.log_loss:9.3f}")
    model, brightness = compared["the model"], compared[BRIGHTNESS]
    if model.auc <= brightness.auc or model.log_loss >= brightness.log_loss:
        worse = (
            f"the model (AUC {model.auc:.3f}, log loss {model.log_loss:.3f}) is no better than brightness alone "
            f"({brightness.auc:.3f}, {brightness.log_loss:.3f}) on these recordings"
        )
        if not anyway:
            raise LabelsError(f"{worse}: a calibration would hide that. --anyway prints it all the same")
        _say(f"Warning: {worse}.")
    photometric = compared.get("photometric")
    if photometric is None:
        _say("Not all of these flashes have a photometric opinion to compare with; `replay --verifier fused` gives it.")
    elif model.log_loss >= photometric.log_loss:
        _say("Warning: the model is no better than the photometric verifier here; fused weighs both.")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
