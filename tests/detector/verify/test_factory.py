"""Choosing a verifier: ours by their names, and those that other packages offer."""

from pathlib import Path

import pytest

from detector.errors import SettingsError, VerifierError
from detector.settings import Settings, load_settings
from detector.verify.base import NullVerifier, Verifier
from detector.verify.factory import choose_verifier
from detector.verify.photometric.confidence import SCALE
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.candidates import candidate
from helpers.model_server import ModelServer
from helpers.plugins import offer_verifiers

MODULE = """
from detector.verify.base import NullVerifier
from detector.errors import VerifierError

class Quiet(NullVerifier):
    name = "quiet"
    def __init__(self, settings):
        self.threshold = settings.photometric.threshold

class Silent:
    name = "silent"
    def __init__(self, settings):
        pass

def failing(settings):
    raise RuntimeError("no licence for rtsp://user:secret@camera/")

def refusing(settings):
    raise VerifierError("quiet needs a licence; buy one")
"""


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with verifiers is installed, as far as Python can tell."""
    (tmp_path / "storm_verifiers.py").write_text(MODULE)
    names = {"quiet": "Quiet", "silent": "Silent", "failing": "failing", "refusing": "refusing", "lost": "nowhere"}
    offer_verifiers(tmp_path, **{name: f"storm_verifiers:{attribute}" for name, attribute in names.items()})
    monkeypatch.syspath_prepend(str(tmp_path))


def asking_for(kind: str) -> Settings:
    return load_settings([("test", {"verifier": {"kind": kind}})])


def test_each_of_ours_is_a_verifier_and_the_line_says_which() -> None:
    for kind, made in (("none", NullVerifier), ("photometric", PhotometricVerifier)):
        verifier, line = choose_verifier(asking_for(kind))
        assert isinstance(verifier, made)
        assert isinstance(verifier, Verifier)
        assert line.startswith(f"verifier: {kind}")


def test_weights_fitted_before_the_photometric_probability_changed_are_named_and_not_used() -> None:
    def line_of(calibrated_for: str) -> str:
        served, fused = {"endpoint": server.endpoint}, {"calibrated_for": calibrated_for}
        verifier, line = choose_verifier(
            load_settings([("test", {"verifier": {"kind": "fused"}, "served": served, "fused": fused})])
        )
        verifier.close()
        return line

    with ModelServer() as server:
        wanted = line_of("another").partition("calibrated_for is not '")[2].partition("'")[0]
        assert line_of(wanted).endswith("their log-odds are added as calibrated")
        before, changed, scale = wanted.partition(f" photometric {SCALE}")
        assert (changed, scale) == (f" photometric {SCALE}", "")
        assert f"fused.calibrated_for is not {wanted!r}: photometric decides below" in line_of(before)


@pytest.mark.usefixtures("offered")
def test_a_verifier_of_another_package_is_made_with_the_settings_and_the_line_names_the_package() -> None:
    verifier, line = choose_verifier(asking_for("quiet"))
    assert line == "verifier: quiet, from storm-verifiers 1.2 (asked for)"
    assert vars(verifier) == {"threshold": load_settings().photometric.threshold}
    assert verifier.verify([candidate()])[0].verifier == "quiet"


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("silent", "verifier silent of storm-verifiers 1.2: .* made a Silent without verify, close"),
        ("failing", "cannot be made from storm_verifiers:failing: RuntimeError: no licence"),
        ("refusing", "^quiet needs a licence; buy one$"),
        ("lost", "cannot be made from storm_verifiers:nowhere: AttributeError"),
    ],
)
def test_a_verifier_that_cannot_be_made_names_its_package_and_the_reason(kind: str, said: str) -> None:
    with pytest.raises(VerifierError, match=said) as refused:
        choose_verifier(asking_for(kind))
    assert "secret" not in str(refused.value)


@pytest.mark.usefixtures("offered")
def test_a_name_that_nobody_offers_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(SettingsError, match=r"'qiet' must be one of auto, none, .*; of other packages: .*quiet, "):
        asking_for("qiet")


def test_without_other_packages_the_refusal_lists_ours() -> None:
    with pytest.raises(SettingsError, match=r"'qiet' must be one of .*photometric\+minicpm, fused; no other package"):
        asking_for("qiet")


@pytest.mark.usefixtures("offered")
def test_one_that_was_uninstalled_since_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = asking_for("quiet")
    monkeypatch.undo()
    with pytest.raises(VerifierError, match="verifier quiet: no installed package offers it"):
        choose_verifier(settings)
