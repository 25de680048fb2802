"""One life of the model's process, as the program sees it."""

import logging
import mmap
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from multiprocessing import Pipe
from pathlib import Path

import msgspec
import numpy as np

from detector.errors import VerifierError
from detector.verify.vlm.images import Difference, RgbImage, VlmImage
from detector.verify.vlm.local.protocol import (
    SLOTS,
    Clip,
    ImageRef,
    Load,
    Loaded,
    Reply,
    ScoreReply,
    ScoreRequest,
    WorkerError,
    decode_reply,
    encode,
)
from detector.verify.vlm.question import VlmInput

_log = logging.getLogger(__name__)

_TURN_SECONDS = 0.5  # between two looks at whether the batch before was answered


class ModelLost(VerifierError):
    """The model's process ended, fell silent or could not load; says which and after how long."""


class ModelNotLoaded(ModelLost):
    """The model could not be loaded, or not in time."""


class Slot:
    """A shared memory for the images of one batch."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.memory = os.memfd_create(f"lightning-images-{number}", os.MFD_CLOEXEC)
        self._mapping: mmap.mmap | None = None

    def mapped(self, size: int) -> mmap.mmap:
        """Return the memory, of `size` bytes and more; mapped once, since a new mapping faults all pages in."""
        if self._mapping is None or len(self._mapping) < size:
            os.ftruncate(self.memory, max(size, 1))
            self._mapping = mmap.mmap(self.memory, max(size, 1))
        return self._mapping

    def close(self) -> None:
        """Give it back."""
        self._mapping = None
        os.close(self.memory)


class ModelProcess:
    """One life of the model's process. `ask`, `wait_loaded` and `kill` may be called from any thread.

    It holds up to SLOTS batches at once; a further `ask` waits for its turn. What it says is read in a thread of its
    own, minicpm-replies, which ends with it.
    """

    def __init__(self, load: Load) -> None:
        self.loaded: Loaded | None = None
        self._began = time.monotonic()
        self._lock = threading.Lock()  # of sending, and of what follows
        self._number = 0
        self._replies: dict[int, Future[Reply]] = {0: Future()}  # by number; 0: of loading
        self._loading = self._replies[0]
        self._answered = 0.0  # when the last reply came
        self._over: ModelLost | None = None
        self._slots = [Slot(number) for number in range(SLOTS)]
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - its stdout and stderr; closed in `end`
        self._connection, theirs = Pipe()
        passed = (theirs.fileno(), *(slot.memory for slot in self._slots))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "detector.verify.vlm.local.worker", *map(str, passed)],
                pass_fds=passed,
                env=_environment(load.threads),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                process_group=0,  # Ctrl-C is for the program, which then ends this one
            )
        finally:
            theirs.close()
        self._reader = threading.Thread(target=self._read_replies, name="minicpm-replies", daemon=True)
        self._reader.start()
        try:
            with self._lock:
                self._send(encode(load))
        except ModelLost:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def alive(self) -> bool:
        """Return whether it still runs."""
        return self._process.poll() is None

    def has_news(self, load_limit_seconds: float) -> bool:
        """Return whether loading is over, well or badly, and nobody has looked yet."""
        if self.loaded is not None:
            return not self.alive()
        return self._loading.done() or not self.alive() or time.monotonic() > self._began + load_limit_seconds

    def wait_loaded(self, limit_seconds: float) -> Loaded:
        """Wait until the model is ready, at most `limit_seconds` after the start.

        Returns:
            what the worker says of the loaded model.

        Raises:
            ModelNotLoaded: it could not be loaded, or not in time.
        """
        if self.loaded is None:
            left = self._began + limit_seconds - time.monotonic()
            try:
                reply = self._loading.result(max(left, 0.0))
            except TimeoutError as error:
                raise ModelNotLoaded(f"the model could not be loaded: not ready within {limit_seconds:g} s") from error
            except ModelLost as error:
                raise ModelNotLoaded(f"the model could not be loaded: {error}") from error
            if not isinstance(reply, Loaded):
                raise ModelNotLoaded(f"the model could not be loaded: {getattr(reply, 'reason', reply)}")
            self.loaded = reply
        return self.loaded

    def ask(self, clips: Sequence[VlmInput], limit_seconds: float) -> ScoreReply:
        """Return scores for these clips.

        Args:
            clips: one batch.
            limit_seconds: for this batch, beginning when the process is done with the one before.

        Raises:
            ModelLost: the process ended, or did not answer within the limit.
            MemoryError: the batch is too large for the device.
            VerifierError: it answered that it cannot.
        """
        slot = self._free.get()
        try:
            with self._lock:
                if self._over is not None:
                    raise self._over
                self._number += 1
                number, found = self._number, Future[Reply]()
                self._replies[number] = found
            request = make_request(number, slot, clips)
            with self._lock:
                self._send(encode(request))
            silence = ModelLost(f"no answer for {len(clips)} candidates within {limit_seconds:g} s")
            reply = self._wait_for(number, found, limit_seconds, silence)
        finally:
            self._free.put(slot)
        if isinstance(reply, WorkerError):
            raise MemoryError(reply.reason) if reply.out_of_memory else VerifierError(reply.reason)
        if not isinstance(reply, ScoreReply) or len(reply.scores) != len(clips):
            raise ModelLost(f"the model's process answered {type(reply).__name__} to ask {number}")
        return reply

    def kill(self) -> None:
        """End it now; waits for its answers end with ModelLost."""
        self._process.kill()

    def end(self) -> None:
        """End it and give back what it held, once all asks have come back."""
        self.kill()
        try:
            self._process.wait(timeout=10.0)
            self._reader.join(timeout=10.0)
        except subprocess.TimeoutExpired:
            _log.error("the model's process %d does not end (a driver call that never returns?)", self.pid)
        self._lose_all(ModelLost("the model's process was stopped"))
        for _ in self._slots:  # an ask may still be writing into one
            self._free.get()
        for slot in self._slots:
            slot.close()
            self._free.put(slot)  # an ask that waits for one finds that all is over
        self._connection.close()
        self._output.close()

    def _wait_for(self, number: int, found: "Future[Reply]", limit_seconds: float, silence: ModelLost) -> Reply:
        """Return the reply; its time is counted from when the batches before it were answered."""
        sent = time.monotonic()
        while True:
            with self._lock:
                is_next = number <= min(self._replies, default=number)
                left = max(sent, self._answered) + limit_seconds - time.monotonic() if is_next else _TURN_SECONDS
            if left <= 0:
                raise silence
            try:
                return found.result(left)
            except TimeoutError:
                continue

    def _read_replies(self) -> None:
        """Hand each reply to who waits for it, and tell all of the process's end, in the thread minicpm-replies."""
        try:
            while True:
                reply = decode_reply(self._connection.recv_bytes())
                number = 0 if isinstance(reply, Loaded) else reply.number
                with self._lock:
                    found = self._replies.pop(number, None)
                    self._answered = time.monotonic()
                if found is not None:
                    found.set_result(reply)
        except (EOFError, OSError, msgspec.DecodeError):
            self._lose_all(self.lost())

    def _lose_all(self, error: ModelLost) -> None:
        with self._lock:
            self._over = self._over or error
            replies, self._replies = self._replies, {}
        for found in replies.values():
            found.set_exception(error)

    def _send(self, message: bytes) -> None:
        # Never blocks: a few KiB for each of at most SLOTS batches, which a socket's buffer holds.
        try:
            self._connection.send_bytes(message)
        except OSError as error:
            raise self.lost() from error

    def lost(self) -> ModelLost:
        """Return an error that says how it ended."""
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            return ModelLost("the model's process hung up but still runs")
        after = time.monotonic() - self._began
        if code < 0:
            how = f"was ended by signal {-code} ({signal.strsignal(-code)})"
            hint = "; out of main memory? the kernel's log tells (dmesg)" if code == -signal.SIGKILL else ""
        else:
            how, hint = f"ended with code {code}", self._last_output_line()
        return ModelLost(f"the model's process {how} after {after:.1f} s{hint}")

    def _last_output_line(self) -> str:
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - 4096))
        lines = self._output.read().decode("utf-8", errors="replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""


def make_request(number: int, slot: Slot, clips: Sequence[VlmInput]) -> ScoreRequest:
    """Put the images into the slot's memory, each once, and return where each lies and what is asked."""
    arrays = {id(array): array for clip in clips for image in clip.images for array in _arrays_of(image)}
    offsets: dict[int, int] = {}
    offset = 0
    shared = np.frombuffer(slot.mapped(sum(array.nbytes for array in arrays.values())), np.uint8)
    for key, array in arrays.items():
        shared[offset : offset + array.nbytes].reshape(array.shape)[:] = array
        offsets[key] = offset
        offset += array.nbytes
    questions = list(dict.fromkeys(clip.text for clip in clips))
    placed = [Clip([_ref(image, offsets) for image in clip.images], questions.index(clip.text)) for clip in clips]
    return ScoreRequest(number=number, slot=slot.number, clips=placed, questions=questions)


def _arrays_of(image: VlmImage) -> tuple[RgbImage, ...]:
    return (image.before, image.peak) if isinstance(image, Difference) else (image,)


def _ref(image: VlmImage, offsets: Mapping[int, int]) -> ImageRef:
    if isinstance(image, Difference):
        height, width = image.peak.shape[:2]
        return ImageRef(offsets[id(image.peak)], height, width, offsets[id(image.before)])
    return ImageRef(offsets[id(image)], image.shape[0], image.shape[1])


def _environment(threads: int) -> dict[str, str]:
    """Return the process's environment: this package importable, no network, and OpenMP threads that sleep."""
    root = str(Path(__file__).parents[4])
    path = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
        "HF_HUB_OFFLINE": "1",
        # Spinning OpenMP workers take the cores that decode video.
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),  # torch on ARM has it
        "TOKENIZERS_PARALLELISM": "false",
    }
