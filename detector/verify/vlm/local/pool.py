"""A worker for each device: requests go to the least loaded one, and from a lost one to another."""

import logging
import threading
from collections.abc import Callable, Sequence

from detector.verify.vlm.local.process import ModelLost
from detector.verify.vlm.local.protocol import SLOTS, Load, ScoreReply
from detector.verify.vlm.local.supervisor import ModelSupervisor
from detector.verify.vlm.question import VlmInput

_log = logging.getLogger(__name__)


class WorkerPool:
    """Model processes, one for each device, under a ModelSupervisor each. `ask` may be called from many threads.

    Attributes:
        supervisors: one for each device, in the order given.
    """

    def __init__(
        self,
        loads: Sequence[Load],
        *,
        load_limit_seconds: float,
        answer_limit_seconds: float,
        on_ready: Callable[[str], None] = _log.info,
    ) -> None:
        self.supervisors = [
            ModelSupervisor(
                load,
                load_limit_seconds=load_limit_seconds,
                answer_limit_seconds=answer_limit_seconds,
                on_ready=on_ready,
            )
            for load in loads
        ]
        self._lock = threading.Lock()
        self._given = [0] * len(loads)  # current requests of each worker

    @property
    def workers(self) -> int:
        """Number of batches computed at once."""
        return len(self.supervisors)

    @property
    def calls(self) -> int:
        """Number of batches held at once: those beyond `workers` are prepared meanwhile."""
        return SLOTS * len(self.supervisors)

    def ask(self, clips: Sequence[VlmInput]) -> ScoreReply:
        """Return scores for these clips; from another worker if the first is lost over them.

        Raises:
            ModelLost: no worker answers.
            MemoryError: the batch is too large for the device.
            VerifierError: the model cannot score these clips.
        """
        tried: set[int] = set()
        while True:
            number = self._take(tried)
            try:
                return self.supervisors[number].ask(clips)
            except ModelLost as error:
                tried.add(number)
                if len(tried) == len(self.supervisors):
                    raise
                _log.warning("worker %d: %s; another is asked", number, error)
            finally:
                with self._lock:
                    self._given[number] -= 1

    def close(self) -> None:
        """End all processes; requests that wait for them end with ModelLost."""
        for supervisor in self.supervisors:
            supervisor.close()

    def _take(self, tried: set[int]) -> int:
        """Return the worker with the fewest requests of those not tried; one in a pause only if all are."""
        with self._lock:
            number = min(
                (number for number in range(len(self.supervisors)) if number not in tried),
                key=lambda number: (self.supervisors[number].resting, self._given[number]),
            )
            self._given[number] += 1
            return number
