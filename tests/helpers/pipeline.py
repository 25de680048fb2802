"""A source's detector without its parts: what each frame brings, and the verdicts, are the test's."""

from collections.abc import Sequence

from detector.candidate import Candidate
from detector.events import Verdict
from detector.pipeline import VerdictCallback
from stream import Frame


class Script:
    """A prefilter that plays back what each frame is to bring."""

    def __init__(self, *pushed: Sequence[Candidate], flushed: Sequence[Candidate] = ()) -> None:
        self._pushed = list(pushed)
        self._flushed = flushed

    def push(self, _frame: Frame) -> list[Candidate]:
        return list(self._pushed.pop(0)) if self._pushed else []

    def flush(self) -> list[Candidate]:
        return list(self._flushed)


class Bench:
    """A verifier that keeps what it is asked until the test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[Candidate, VerdictCallback]] = []
        self.waited: list[bool] = []

    def ask(self, asked: Candidate, answer: VerdictCallback, *, wait: bool = False) -> None:
        self.asked.append((asked, answer))
        self.waited.append(wait)

    def say(self, lightning: bool | None) -> None:
        asked, answer = self.asked[-1]
        answer(asked, self.verdict(lightning))

    @staticmethod
    def verdict(lightning: bool | None) -> Verdict:
        return Verdict(lightning=lightning, probability=0.9, verifier="bench")
