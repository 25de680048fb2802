"""The model's process as the program sees it: one life of it, and the keeper that gives it another one."""

import logging
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from pathlib import Path

from detector.errors import VerifierError
from detector.minicpm.protocol import Ask, Clip, Load, Loaded, Place, Reply, Scored, Trouble, decode_reply, encode
from detector.question import Shown

_log = logging.getLogger(__name__)

_FIRST_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 60.0
_PATIENCE_SECONDS = 5.0  # while the process rests for longer than this, asks are refused at once
_LOOK_SECONDS = 0.5  # how often the keeper looks whether the process still lives
_SHORTEST_LIMIT_SECONDS = 30.0
_SLOWER_THAN_EVER = 10.0  # an answer that takes so many times the slowest seen so far will not come


class ModelLost(VerifierError):
    """The model's process ended, fell silent or could not load; says which and after how long."""


class ModelNotLoaded(ModelLost):
    """The model could not be loaded, or not in time."""


class ModelProcess:
    """One life of the model's process. Used by one thread at a time; `kill` may come from any."""

    def __init__(self, load: Load) -> None:
        self.loaded: Loaded | None = None
        self._began = time.monotonic()
        self._number = 0
        self._memory = os.memfd_create("lightning-pictures", os.MFD_CLOEXEC)
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - what the process says; closed in `end`
        self._connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "detector.minicpm.worker", str(theirs.fileno()), str(self._memory)],
                pass_fds=(theirs.fileno(), self._memory),
                env=_environment(load.threads),
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                process_group=0,  # Ctrl-C is for the program, which then ends this one
            )
        finally:
            theirs.close()
        self._send(encode(load))

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def has_news(self, load_limit_seconds: float) -> bool:
        """Whether loading is over, well or badly, and nobody has looked yet."""
        if self.loaded is not None:
            return not self.alive()
        return self._connection.poll(0) or not self.alive() or time.monotonic() > self._began + load_limit_seconds

    def wait_loaded(self, limit_seconds: float) -> Loaded:
        """Wait until the model stands ready, at most `limit_seconds` after the start.

        Raises:
            ModelNotLoaded: it could not be loaded, or not in time.
        """
        if self.loaded is None:
            left = self._began + limit_seconds - time.monotonic()
            try:
                reply = self._receive(max(left, 0.0), f"not ready within {limit_seconds:g} s")
            except ModelLost as error:
                raise ModelNotLoaded(f"the model could not be loaded: {error}") from error
            if not isinstance(reply, Loaded):
                raise ModelNotLoaded(f"the model could not be loaded: {getattr(reply, 'reason', reply)}")
            self.loaded = reply
        return self.loaded

    def ask(self, clips: Sequence[Shown], limit_seconds: float) -> Scored:
        """Scores for these clips.

        Raises:
            ModelLost: the process ended, or did not answer within `limit_seconds`.
            MemoryError: the batch is too large for the device.
            VerifierError: it answered that it cannot.
        """
        self._number += 1
        self._send(encode(Ask(number=self._number, clips=self._place(clips))))
        reply = self._receive(limit_seconds, f"no answer for {len(clips)} candidates within {limit_seconds:g} s")
        if isinstance(reply, Trouble):
            raise MemoryError(reply.reason) if reply.out_of_memory else VerifierError(reply.reason)
        if not isinstance(reply, Scored) or reply.number != self._number or len(reply.scores) != len(clips):
            raise ModelLost(f"the model's process answered {type(reply).__name__} to ask {self._number}")
        return reply

    def kill(self) -> None:
        """End it now; a wait for its answer ends with ModelLost."""
        self._process.kill()

    def end(self) -> None:
        """End it and give back what it held."""
        self.kill()
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            _log.error("the model's process %d does not end (a driver call that never returns?)", self.pid)
        self._connection.close()
        self._words.close()
        os.close(self._memory)

    def _place(self, clips: Sequence[Shown]) -> list[Clip]:
        """Put the pictures into the shared memory, one behind the other, and tell where each lies."""
        size = sum(picture.nbytes for clip in clips for picture in clip.pictures)
        if os.fstat(self._memory).st_size < size:
            os.ftruncate(self._memory, size)
        placed: list[Clip] = []
        offset = 0
        with mmap.mmap(self._memory, max(size, 1)) as shared:
            for clip in clips:
                places: list[Place] = []
                for picture in clip.pictures:
                    shared[offset : offset + picture.nbytes] = picture.tobytes()
                    places.append(Place(offset, picture.shape[0], picture.shape[1]))
                    offset += picture.nbytes
                placed.append(Clip(places, clip.text))
        return placed

    def _send(self, message: bytes) -> None:
        # Never blocks: one message of a few KiB at a time, and it is read before the next.
        try:
            self._connection.send_bytes(message)
        except OSError as error:
            raise self.lost() from error

    def _receive(self, limit_seconds: float, silence: str) -> Reply:
        try:
            if not self._connection.poll(limit_seconds):
                raise ModelLost(silence)
            return decode_reply(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self.lost() from error

    def lost(self) -> ModelLost:
        """How it ended."""
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            return ModelLost("the model's process hung up but still runs")
        after = time.monotonic() - self._began
        if code < 0:
            how = f"was ended by signal {-code} ({signal.strsignal(-code)})"
            hint = "; out of main memory? the kernel's log tells (dmesg)" if code == -signal.SIGKILL else ""
        else:
            how, hint = f"ended with code {code}", self._last_words()
        return ModelLost(f"the model's process {how} after {after:.1f} s{hint}")

    def _last_words(self) -> str:
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - 4096))
        lines = self._words.read().decode("utf-8", errors="replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""


class ModelKeeper:
    """Keeps a model's process running: starts it, notices its death, starts it again after a rest.

    Rests grow from 1 s to 60 s while failures follow each other. Loading begins at once, in the background.
    `said` is called with one line when the model stands ready.
    """

    def __init__(
        self,
        load: Load,
        *,
        load_limit_seconds: float,
        answer_limit_seconds: float,
        said: Callable[[str], None] = _log.info,
    ) -> None:
        self._load = load
        self._load_limit = load_limit_seconds
        self._answer_limit = answer_limit_seconds
        self._said = said
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process: ModelProcess | None = None
        self._failures = 0
        self._rest_until = 0.0
        self._why = ""
        self._slowest = 0.0
        self.restarts = -1
        self._start()
        self._thread = threading.Thread(target=self._keep, name="minicpm-keeper", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The running process's number."""
        process = self._process
        return None if process is None else process.pid

    def ask(self, clips: Sequence[Shown]) -> Scored:
        """Scores for these clips; if the process is lost over them, a new one is asked once more.

        Raises:
            ModelLost: twice without an answer, or the process rests after repeated failures.
            MemoryError: the batch is too large for the device.
            VerifierError: the model cannot score these clips.
        """
        with self._lock:
            try:
                return self._ask(clips)
            except ModelNotLoaded:
                raise
            except ModelLost as first:
                if self._closing.is_set() or self._resting() > _PATIENCE_SECONDS:
                    raise
                _log.warning("%s; starting it again and asking once more", first)
                return self._ask(clips)

    def wait_loaded(self) -> Loaded:
        """Wait until the model stands ready.

        Raises:
            ModelLost: it could not be loaded.
        """
        with self._lock:
            return self._ready()[1]

    def close(self) -> None:
        """End the process; an ask that waits for it ends with ModelLost."""
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

    def _ask(self, clips: Sequence[Shown]) -> Scored:
        process, _ = self._ready()
        try:
            scored = process.ask(clips, self._limit(len(clips)))
        except ModelLost as error:
            self._failed(error)
            raise
        self._failures = 0
        self._slowest = max(self._slowest, scored.seconds / len(clips))
        return scored

    def _limit(self, clips: int) -> float:
        """Seconds after which an answer for so many clips will not come any more."""
        if self._slowest == 0.0:
            return self._answer_limit
        usual = max(_SHORTEST_LIMIT_SECONDS, _SLOWER_THAN_EVER * self._slowest * clips)
        return min(self._answer_limit, usual)

    def _ready(self) -> tuple[ModelProcess, Loaded]:
        if self._process is None:
            rest = self._resting()
            if rest > _PATIENCE_SECONDS:
                raise ModelLost(
                    f"the model's process failed {self._failures} times, next try in {rest:.0f} s: {self._why}"
                )
            self._closing.wait(rest)
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
            self._said(_ready_line(loaded))
        return process, loaded

    def _resting(self) -> float:
        return max(0.0, self._rest_until - time.monotonic())

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
        if self._closing.is_set():  # meanwhile; `close` may have looked before there was a process to end
            self._process.kill()

    def _failed(self, error: Exception) -> None:
        self._why = str(error)
        self._drop()
        rest = min(_FIRST_REST_SECONDS * 8 ** min(self._failures, 4), _LONGEST_REST_SECONDS)
        self._failures += 1
        self._rest_until = time.monotonic() + rest

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _keep(self) -> None:
        """Thread minicpm-keeper: bring the process back while nobody asks, so that it is there when one does."""
        while not self._closing.wait(_LOOK_SECONDS):
            if not self._lock.acquire(blocking=False):
                continue  # somebody asks just now and sees for himself
            try:
                self._look()
            except ModelLost as error:
                _log.warning("%s; next try in %.0f s", error, self._resting())
            finally:
                self._lock.release()

    def _look(self) -> None:
        process = self._process
        if process is None:
            if self._resting() == 0.0:
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


def _environment(threads: int) -> dict[str, str]:
    """The process's environment: this package found as here, no network, and threads that sleep while they wait."""
    root = str(Path(__file__).parent.parent.parent)
    path = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
        "HF_HUB_OFFLINE": "1",
        # Spinning OpenMP workers take the cores that decode video.
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
    }
