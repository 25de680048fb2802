"""An example of your own verifier, for `--verifier wide-glow`: light over much of the sky is lightning.

It is installed with a package whose pyproject.toml declares it:

    [project.entry-points."lightning_detector.verifiers"]
    wide-glow = "own_verifier:WideGlow"
"""

from collections.abc import Sequence

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import Settings


class WideGlow:
    """Judges by the share of the frame that lit up."""

    name = "wide-glow"
    inline = True  # answers within a millisecond; leave it out for a slow verifier, which is then asked in batches

    def __init__(self, settings: Settings) -> None:
        self._threshold = settings.photometric.threshold

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return one verdict for each candidate, in order."""
        return [self._judge(candidate.lit_fraction) for candidate in candidates]

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _judge(self, lit: float) -> Verdict:
        probability = lit / (lit + 0.05)
        evidence = {"lit_fraction": lit}
        lightning = probability >= self._threshold
        return Verdict(lightning=lightning, probability=probability, verifier=self.name, evidence=evidence)
