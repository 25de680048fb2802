"""The smoke check: whether the loaded model answers plausibly, how fast, and in how much memory."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from detector.settings import Settings
from detector.verify.vlm.images import RgbImage
from detector.verify.vlm.local.protocol import Load, Loaded
from detector.verify.vlm.local.snapshot import Snapshot
from detector.verify.vlm.local.supervisor import ModelSupervisor
from detector.verify.vlm.local.verifier import loads_of
from detector.verify.vlm.question import Question, Score, VlmInput

# Allowed difference of log-odds between a batch and a clip alone, plus this share of the largest: in 16 bit, rounding
# inside the layers depends on the batch's shape. The head is fp32 here; a server may answer in steps of 0.125.
_SAME = {"fp32": (1e-4, 1e-4), "bf16": (0.02, 0.02), "fp16": (0.005, 0.005), "served": (0.13, 0.02)}
_TIMED_BATCHES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One property of the model's answers, and whether it holds."""

    name: str
    ok: bool
    text: str


class SmokeTest:
    """Load the model as a run would, and ask it about black, white and flashing clips.

    loaded, seconds_per_clip: known after all findings.

    Raises (from `findings`):
        ModelLost: the model cannot be loaded, or its process ends.
    """

    def __init__(self, settings: Settings, snapshot: Snapshot) -> None:
        self._settings = settings
        self._loads = loads_of(settings.minicpm, snapshot)
        self._question = Question(settings.question, settings.batcher.picture_side_pixels)
        self.loaded: Loaded | None = None
        self.seconds_per_clip = math.inf

    def findings(self) -> Iterator[Finding]:
        """Yield all findings, each as soon as it is known, for one device after the other."""
        for load in self._loads:
            yield from self._findings_of(load)

    def _findings_of(self, load: Load) -> Iterator[Finding]:
        minicpm = self._settings.minicpm
        supervisor = ModelSupervisor(
            load,
            load_limit_seconds=minicpm.load_limit_seconds,
            answer_limit_seconds=minicpm.answer_limit_seconds,
            on_ready=lambda _line: None,
        )
        try:
            self.loaded = loaded = supervisor.wait_loaded()
            where = loaded.device if loaded.device == "cpu" else f"{loaded.device} ({loaded.device_name})"
            yield Finding(
                "load", ok=True, text=f"{loaded.seconds:.1f} s on {where}, {loaded.precision}, {loaded.attention}"
            )
            clips = smoke_clips(self._settings, self._question)
            yield from examine(lambda asked: supervisor.ask(asked).scores, clips, self._settings, loaded.precision)
            yield self._time(supervisor, clips)
        finally:
            supervisor.close()

    def _time(self, supervisor: ModelSupervisor, clips: list[VlmInput]) -> Finding:
        size = self._settings.batcher.batch_size
        batch = [clips[number % len(clips)] for number in range(size)]
        began = time.monotonic()
        batches, memory = 0, 0.0
        while batches < _TIMED_BATCHES and (batches == 0 or time.monotonic() - began < 60.0):
            memory = supervisor.ask(batch).memory_mib
            batches += 1
        self.seconds_per_clip = (time.monotonic() - began) / (batches * size)
        return Finding(
            "speed", ok=True, text=f"{self.seconds_per_clip:.3g} s a clip in batches of {size}, {memory:.0f} MiB"
        )


def examine(
    ask: Callable[[list[VlmInput]], list[Score]], clips: list[VlmInput], settings: Settings, precision: str
) -> Iterator[Finding]:
    """Yield findings about the answers to `smoke_clips`; `ask` scores its questions in one batch."""
    alone = [ask([clip])[0] for clip in clips]
    step, share = _SAME[precision]
    same = step + share * max(abs(score.log_odds) for score in alone)
    again = ask([clips[0]])[0]
    together = ask(clips)
    odds = [score.log_odds for score in alone]
    shown = ", ".join(f"{name} {value:+.4f}" for name, value in zip(("black", "white", "flash"), odds, strict=True))
    yield Finding("finite", all(map(math.isfinite, odds)), f"log-odds {shown}")
    yield Finding("moves with the pixels", len({round(value, 6) for value in odds}) == 3, shown)
    yield Finding("repeats", abs(again.log_odds - odds[0]) <= same, f"{odds[0]:+.6f}, again {again.log_odds:+.6f}")
    apart = max(abs(a.log_odds - b.log_odds) for a, b in zip(alone, together, strict=True))
    yield Finding(
        "batched as alone", apart <= same, f"log-odds differ by {apart:.1e}, at most {same:.2g} allowed in {precision}"
    )
    mass = min(score.answer_mass for score in alone)
    lowest = settings.question.min_answer_mass
    yield Finding("answers Yes or No", mass >= lowest, f"answer mass {mass:.3g}, at least {lowest:g} wanted")


def smoke_clips(settings: Settings, question: Question) -> list[VlmInput]:
    """Return three questions: all images black, all white, and black with a bright peak and difference."""
    names = settings.question.pictures
    text = question.prompt.text(names)

    def flat(level: int) -> RgbImage:
        return np.full((252, 448, 3), level, np.uint8)

    black, white = [flat(0)] * len(names), [flat(255)] * len(names)
    flash = [flat(255 if name in ("peak", "difference") else 0) for name in names]
    if len(set(names)) == 1:
        flash = [np.concatenate([flat(0)[:126], flat(255)[:126]])]
    return [VlmInput(images, text) for images in (black, white, flash)]
