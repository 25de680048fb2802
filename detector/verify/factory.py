"""Make the verifier that the settings ask for: a built-in one, or another package's by the name of its entry point."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import VerifierError
from detector.settings import VERIFIER_GROUP, Settings, installed_verifiers
from detector.verify.base import NullVerifier, Verifier
from detector.verify.cascade import Cascade
from detector.verify.fused import Fused, fused_key
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import redact

if TYPE_CHECKING:
    from detector.verify.vlm.local.environment_report import EnvironmentReport
    from detector.verify.vlm.local.verifier import MinicpmVerifier
    from detector.verify.vlm.served import ServedVerifier

_UNSEEN_GPU = "no GPU that torch can see"


def choose_verifier(settings: Settings) -> tuple[Verifier, str]:
    """Return the verifier that `settings` ask for, and a line that says which it is and why.

    A model starts to load in the background; always `close` the verifier (a Batcher does).

    Raises:
        VerifierError: a verifier asked for by name cannot work here; the message says what is missing and what to do.
        SettingsError: the prompt file cannot be used.
    """
    kind = settings.verifier.kind
    make = _BUILT_IN.get(kind)
    return _installed(kind, settings) if make is None else make(settings)


def why_no_gpu_model(
    settings: Settings, report: "EnvironmentReport | None" = None, devices: Path = Path("/dev")
) -> str | None:
    """Return in some words why `auto` does not ask a model here; None if it does.

    Without a GPU nothing else is worth installing or fetching. Torch is asked only if the other parts exist, and not
    if its `report` is known.
    """
    from detector.verify.vlm.local.environment_report import (  # noqa: PLC0415 - what only models need costs each start
        environment_report,
        may_have_gpu,
    )

    if report is None and not may_have_gpu(devices):
        return "no GPU"
    if report is not None and report.torch is not None and report.torch_error is None and not report.gpus:
        return _UNSEEN_GPU
    from detector.verify.vlm.local.attention import check_attention  # noqa: PLC0415 - the same
    from detector.verify.vlm.local.snapshot import find_snapshot  # noqa: PLC0415 - the same
    from detector.verify.vlm.local.verifier import check_versions  # noqa: PLC0415 - the same

    try:
        check_versions(settings.minicpm)
        find_snapshot(settings.minicpm)
        report = report or environment_report()
        check_attention(settings.minicpm.attention, report)
    except VerifierError as error:
        return f"no model: {error}"
    if report.torch_error is not None:
        return f"no model: torch does not work: {report.torch_error}"
    return None if report.gpus else _UNSEEN_GPU


def _none(_settings: Settings) -> tuple[Verifier, str]:
    return NullVerifier(), "verifier: none, every candidate stays unverified (asked for)"


def _photometric(settings: Settings, why: str = "asked for") -> tuple[Verifier, str]:
    return PhotometricVerifier(settings.photometric), f"verifier: photometric ({why})"


def _auto(settings: Settings) -> tuple[Verifier, str]:
    if settings.served.endpoint:
        try:
            return _fused(settings, "auto: a model server is set")
        except VerifierError as error:
            return _photometric(settings, f"auto: {redact(error)}")
    why_not = why_no_gpu_model(settings)
    if why_not is None:
        return _fused(settings, "auto: torch, a GPU and the model are here")
    return _photometric(settings, f"auto: {why_not}")


def _fused(settings: Settings, why: str = "asked for") -> tuple[Verifier, str]:
    photometric = PhotometricVerifier(settings.photometric)
    model, line = _served(settings, why) if settings.served.endpoint else _minicpm(settings, why)
    key = fused_key(model.calibration_key)
    fused, cascade = settings.fused, settings.cascade
    verifier = Fused(photometric, model, fused, cascade, calibrated=fused.calibrated_for == key)
    how = "their log-odds are added as calibrated"
    if fused.calibrated_for != key:
        lacking = f"fused.calibrated_for is not {key!r}" if fused.calibrated_for else "not calibrated"
        how = (
            f"{lacking}: photometric decides below {cascade.reject_below:g} and above {cascade.confirm_above:g}, "
            "the model the rest"
        )
    return verifier, f"verifier: fused, photometric and {line.removeprefix('verifier: ')}; {how}"


def _minicpm(settings: Settings, why: str = "asked for") -> tuple["MinicpmVerifier", str]:
    from detector.verify.vlm.local.device import check_device  # noqa: PLC0415 - the same
    from detector.verify.vlm.local.hub import find_or_fetch  # noqa: PLC0415 - the same
    from detector.verify.vlm.local.verifier import MinicpmVerifier, check_installed  # noqa: PLC0415 - the same

    check_installed(settings.minicpm)
    check_device(settings.minicpm.device)
    snapshot = find_or_fetch(settings.minicpm)
    verifier = MinicpmVerifier(settings, snapshot)
    revision = "a folder of your own" if snapshot.revision is None else snapshot.revision
    return verifier, f"verifier: minicpm, {snapshot.model} at {revision} ({why}), {verifier.note}"


def _cascade(settings: Settings) -> tuple[Verifier, str]:
    model, line = _minicpm(settings)
    cascade = settings.cascade
    between = f"photometric decides, except between {cascade.reject_below:g} and {cascade.confirm_above:g}"
    return Cascade(PhotometricVerifier(settings.photometric), model, cascade), f"{line}; {between}"


def _served(settings: Settings, why: str = "asked for") -> tuple["ServedVerifier", str]:
    from detector.verify.vlm.served import ServedVerifier  # noqa: PLC0415 - its HTTP client is slow to import

    verifier = ServedVerifier(settings)
    try:
        return verifier, f"verifier: {verifier.check(why)}"
    except VerifierError:
        verifier.close()
        raise


def _installed(name: str, settings: Settings) -> tuple[Verifier, str]:
    """Make the verifier that another package offers under `name`: a callable that takes the settings."""
    point = installed_verifiers().get(name)
    if point is None:  # uninstalled since the settings were checked
        raise VerifierError(f"verifier {name}: no installed package offers it (entry point group {VERIFIER_GROUP})")
    package = "another package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    try:
        verifier = point.load()(settings)
    except VerifierError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {redact(error)}"
        raise VerifierError(f"verifier {name} of {package} cannot be made from {point.value}: {reason}") from error
    if not isinstance(verifier, Verifier):
        lacking = [part for part in ("name", "verify", "close") if not hasattr(verifier, part)]
        raise VerifierError(
            f"verifier {name} of {package}: {point.value} made a {type(verifier).__name__} without "
            f"{', '.join(lacking)}; see detector.verify.base.Verifier"
        )
    return verifier, f"verifier: {verifier.name}, from {package} (asked for)"


_BUILT_IN: dict[str, Callable[[Settings], tuple[Verifier, str]]] = {
    "auto": _auto,
    "none": _none,
    "photometric": _photometric,
    "minicpm": _minicpm,
    "served": _served,
    "photometric+minicpm": _cascade,
    "fused": _fused,
}
