"""The smoke check of a model server: whether it answers doctor's questions plausibly, and how fast."""

import time
from collections.abc import Iterator

from detector.settings import Settings
from detector.verify.vlm.local.smoke import Finding, examine, smoke_clips
from detector.verify.vlm.question import Question
from detector.verify.vlm.served import ServedVerifier


def served_findings(settings: Settings) -> Iterator[Finding]:
    """Yield findings about the answers of `served.endpoint` to black, white and flashing clips.

    Raises:
        VerifierError: the server does not answer, refuses, or gives no probabilities.
    """
    verifier = ServedVerifier(settings)
    try:
        yield Finding("server", ok=True, text=verifier.check())
        clips = smoke_clips(settings, Question(settings.question, settings.batcher.picture_side_pixels))
        yield from examine(verifier.scores, clips, settings, "served")
        count = settings.served.concurrency
        began = time.monotonic()
        verifier.scores([clips[number % len(clips)] for number in range(count)])
        seconds = (time.monotonic() - began) / count
        yield Finding("speed", ok=True, text=f"{seconds:.3g} s a clip, {count} requests at once")
    finally:
        verifier.close()
