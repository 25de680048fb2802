"""One life of the model's process, as the program sees it."""

import logging
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from pathlib import Path

import numpy as np

from detector.errors import VerifierError
from detector.verify.vlm.images import Difference, RgbImage, VlmImage
from detector.verify.vlm.local.protocol import (
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
        self._memory = os.memfd_create("lightning-images", os.MFD_CLOEXEC)
        self._mapping: mmap.mmap | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - its stdout and stderr; closed in `end`
        self._connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "detector.verify.vlm.local.worker", str(theirs.fileno()), str(self._memory)],
                pass_fds=(theirs.fileno(), self._memory),
                env=_environment(load.threads),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
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
        """Return whether it still runs."""
        return self._process.poll() is None

    def has_news(self, load_limit_seconds: float) -> bool:
        """Return whether loading is over, well or badly, and nobody has looked yet."""
        if self.loaded is not None:
            return not self.alive()
        return self._connection.poll(0) or not self.alive() or time.monotonic() > self._began + load_limit_seconds

    def wait_loaded(self, limit_seconds: float) -> Loaded:
        """Wait until the model is ready, at most `limit_seconds` after the start.

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

    def ask(self, clips: Sequence[VlmInput], limit_seconds: float) -> ScoreReply:
        """Return scores for these clips.

        Raises:
            ModelLost: the process ended, or did not answer within `limit_seconds`.
            MemoryError: the batch is too large for the device.
            VerifierError: it answered that it cannot.
        """
        self._number += 1
        self._send(encode(ScoreRequest(number=self._number, clips=self._place_images(clips))))
        reply = self._receive(limit_seconds, f"no answer for {len(clips)} candidates within {limit_seconds:g} s")
        if isinstance(reply, WorkerError):
            raise MemoryError(reply.reason) if reply.out_of_memory else VerifierError(reply.reason)
        if not isinstance(reply, ScoreReply) or reply.number != self._number or len(reply.scores) != len(clips):
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
        self._output.close()
        self._mapping = None
        os.close(self._memory)

    def _place_images(self, clips: Sequence[VlmInput]) -> list[Clip]:
        """Put the images into the shared memory, each once, and return where each lies."""
        arrays = {id(array): array for clip in clips for image in clip.images for array in _arrays_of(image)}
        size = sum(array.nbytes for array in arrays.values())
        offsets: dict[int, int] = {}
        offset = 0
        shared = np.frombuffer(self._mapped(size), np.uint8)
        for key, array in arrays.items():
            shared[offset : offset + array.nbytes].reshape(array.shape)[:] = array
            offsets[key] = offset
            offset += array.nbytes
        return [Clip([_ref(image, offsets) for image in clip.images], clip.text) for clip in clips]

    def _mapped(self, size: int) -> mmap.mmap:
        """Return the shared memory, of `size` bytes and more; mapped once, since a new mapping faults all pages in."""
        if self._mapping is None or len(self._mapping) < size:
            os.ftruncate(self._memory, max(size, 1))
            self._mapping = mmap.mmap(self._memory, max(size, 1))
        return self._mapping

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
        "TOKENIZERS_PARALLELISM": "false",
    }
