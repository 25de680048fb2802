"""The supervisor of the model's process: start it, notice its end, and restart it after a pause."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from detector.verify.vlm.local.process import ModelLost, ModelNotLoaded, ModelProcess
from detector.verify.vlm.local.protocol import Load, Loaded, ScoreReply
from detector.verify.vlm.question import VlmInput
from stream import Backoff

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0
_PATIENCE_SECONDS = 5.0  # if the next start is further away, requests are refused at once
_POLL_SECONDS = 0.5  # how often the supervisor checks the process
_SHORTEST_LIMIT_SECONDS = 30.0
_SLOWER_THAN_EVER = 10.0  # in multiples of the slowest answer so far; a later answer will not come


class ModelSupervisor:
    """Start a model's process, notice its end, and restart it after a pause.

    Pauses double from 2 s to 60 s while failures continue. Loading starts at once, in the background. `on_ready` is
    called with one line when the model is ready. Several threads may call `ask`: the process holds two batches.

    Attributes:
        restarts: how often the process was restarted.
        asking: number of current requests.
    """

    def __init__(
        self,
        load: Load,
        *,
        load_limit_seconds: float,
        answer_limit_seconds: float,
        on_ready: Callable[[str], None] = _log.info,
    ) -> None:
        self._load = load
        self._load_limit = load_limit_seconds
        self._answer_limit = answer_limit_seconds
        self._on_ready = on_ready
        self._lock = threading.Lock()  # for starts and ends; requests do not hold it while they wait for scores
        self._counting = threading.Lock()
        self._closing = threading.Event()
        self._process: ModelProcess | None = None
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._retry_at = 0.0
        self._why = ""
        self._slowest = 0.0
        self.restarts = -1
        self.asking = 0
        self._start()
        self._thread = threading.Thread(target=self._supervise, name="minicpm-supervisor", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Id of the running process."""
        process = self._process
        return None if process is None else process.pid

    def ask(self, clips: Sequence[VlmInput]) -> ScoreReply:
        """Return scores for these clips; if the process is lost, a new one is asked once more.

        Raises:
            ModelLost: no answer in two attempts, or the process is not started yet after repeated failures.
            MemoryError: the batch is too large for the device.
            VerifierError: the model cannot score these clips.
            ModelNotLoaded: the model could not be loaded, or not in time.
        """
        with self._counting:
            self.asking += 1
        try:
            return self._ask(clips)
        except ModelNotLoaded:
            raise
        except ModelLost as first:
            if self._closing.is_set() or self._pause_left() > _PATIENCE_SECONDS:
                raise
            _log.warning("%s; starting it again and asking once more", first)
            return self._ask(clips)
        finally:
            with self._counting:
                self.asking -= 1

    @property
    def resting(self) -> bool:
        """Whether requests are refused at once, because of repeated failures and a later next start."""
        return self._process is None and self._pause_left() > _PATIENCE_SECONDS

    def wait_loaded(self) -> Loaded:
        """Wait until the model is ready.

        Returns:
            what the worker says of the loaded model.

        Raises:
            ModelLost: it could not be loaded.
        """
        with self._lock:
            return self._ready()[1]

    def close(self) -> None:
        """End the process; requests that wait for it end with ModelLost."""
        self._closing.set()
        process = self._process
        if process is not None:
            process.kill()
        self._thread.join(timeout=10.0)
        if not self._lock.acquire(timeout=10.0):
            _log.error("the thread that asks the model did not come back within 10 s")
            return
        try:
            self._drop()
        finally:
            self._lock.release()

    def _ask(self, clips: Sequence[VlmInput]) -> ScoreReply:
        with self._lock:
            process, _ = self._ready()
        try:
            scored = process.ask(clips, self._limit(len(clips)))
        except ModelLost as error:
            with self._lock:
                if self._process is process:  # otherwise another thread has replaced it already
                    self._failed(error)
            raise
        self._backoff.reset()
        self._slowest = max(self._slowest, scored.seconds / len(clips))
        return scored

    def _limit(self, clips: int) -> float:
        """Return the time limit in seconds of an answer for `clips` clips."""
        if self._slowest == 0.0:
            return self._answer_limit
        usual = max(_SHORTEST_LIMIT_SECONDS, _SLOWER_THAN_EVER * self._slowest * clips)
        return min(self._answer_limit, usual)

    def _ready(self) -> tuple[ModelProcess, Loaded]:
        if self._process is None:
            pause = self._pause_left()
            if pause > _PATIENCE_SECONDS:
                raise ModelLost(
                    f"the model's process failed {self._backoff.failures} times, next try in {pause:.0f} s: {self._why}"
                )
            self._closing.wait(pause)
            self._start()
        process = self._process
        if process is None:
            raise ModelLost("the model's process was stopped")
        fresh = process.loaded is None
        try:
            loaded = process.wait_loaded(self._load_limit)
        except ModelLost as error:
            self._failed(error)
            raise
        if fresh:
            self._on_ready(_ready_line(loaded))
        return process, loaded

    def _pause_left(self) -> float:
        return max(0.0, self._retry_at - time.monotonic())

    def _start(self) -> None:
        if self._closing.is_set():
            return
        self.restarts += 1
        self._slowest = 0.0
        try:
            self._process = ModelProcess(self._load)
        except (OSError, ModelLost) as error:
            self._failed(error)
            raise ModelLost(f"the model's process cannot be started: {error}") from error
        if self._closing.is_set():  # meanwhile: `close` may have run before there was a process to end
            self._process.kill()

    def _failed(self, error: Exception) -> None:
        self._why = str(error)
        self._drop()
        self._retry_at = time.monotonic() + self._backoff.next_wait()

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _supervise(self) -> None:
        """Restart the process without requests, so that it is ready for the next one (thread minicpm-supervisor)."""
        while not self._closing.wait(_POLL_SECONDS):
            if not self._lock.acquire(blocking=False):
                continue  # a current request notices it
            try:
                self._check()
            except ModelLost as error:
                _log.warning("%s; next try in %.0f s", error, self._pause_left())
            finally:
                self._lock.release()

    def _check(self) -> None:
        process = self._process
        if process is None:
            if self._pause_left() == 0.0:
                self._start()
        elif process.has_news(self._load_limit):
            if process.loaded is not None:
                lost = process.lost()
                self._failed(lost)
                raise lost
            self._ready()


def _ready_line(loaded: Loaded) -> str:
    where = loaded.device if loaded.device == "cpu" else f"{loaded.device} ({loaded.device_name})"
    return (
        f"minicpm: ready on {where}, {loaded.precision}, {loaded.attention}, {loaded.threads} CPU threads, "
        f"{loaded.memory_mib:.0f} MiB, loaded in {loaded.seconds:.1f} s (torch {loaded.torch}, "
        f"transformers {loaded.transformers})"
    )
