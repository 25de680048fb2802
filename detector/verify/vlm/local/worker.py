"""The model's process: waits for clips, scores them, answers; ends when the program that started it is gone."""

import math
import mmap
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from detector.verify.vlm.images import Difference, RgbImage, VlmImage
from detector.verify.vlm.local.protocol import (
    SLOTS,
    ImageRef,
    Load,
    Loaded,
    Reply,
    ScoreReply,
    ScoreRequest,
    WorkerError,
    decode_request,
    encode,
)
from detector.verify.vlm.question import VlmInput
from stream import redact

if TYPE_CHECKING:
    from detector.verify.vlm.local.scorer import StartedBatch

_POLL_SECONDS = 0.0005  # between two looks at whether the device is done; an ask that comes in meanwhile ends it


def serve(connection: Connection, memories: Sequence[int]) -> None:
    """Load the model that the first message names, then answer requests until the other side hangs up.

    Two requests are held at once: while the device works on one, the images and tokens of the next are prepared.

    Args:
        connection: to the program.
        memories: file descriptors of the shared memories in which images lie, one for each slot.

    Raises:
        TypeError: the first message does not name a model.
    """
    load = decode_request(connection.recv_bytes())
    if not isinstance(load, Load):
        raise TypeError(f"expected a load first, got {type(load).__name__}")
    try:
        answerer = _Answerer(load, memories)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise is told to the program, in one line
        connection.send_bytes(encode(WorkerError(reason=_line(error))))
        return
    connection.send_bytes(encode(answerer.loaded))
    started: deque[_StartedRequest] = deque()
    while True:
        if started and (len(started) == SLOTS or started[0].is_done()):
            connection.send_bytes(encode(answerer.finish(started.popleft())))
        elif connection.poll(_POLL_SECONDS if started else None):
            ask = decode_request(connection.recv_bytes())
            if isinstance(ask, ScoreRequest):
                started.append(answerer.start(ask))


@dataclass(frozen=True, slots=True)
class _StartedRequest:
    """A request that the device works on, or that failed before it got there.

    Attributes:
        number: of the request.
        began: monotonic seconds.
        batch: what the device was given, or why it was not.
    """

    number: int
    began: float
    batch: "StartedBatch | WorkerError"

    def is_done(self) -> bool:
        return isinstance(self.batch, WorkerError) or self.batch.is_done()


class _Answerer:
    """The loaded model and where its images come from."""

    def __init__(self, load: Load, memories: Sequence[int]) -> None:
        began = time.monotonic()
        # Imported here, after the environment is set and inside the guard that reports what fails.
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        from detector.verify.vlm.local.scorer import Scorer  # noqa: PLC0415
        from detector.verify.vlm.local.torch_device import pick_device, pick_precision  # noqa: PLC0415

        self._torch = torch
        self._memories = memories
        self._mappings: list[mmap.mmap | None] = [None] * len(memories)
        self._last_reply = 0.0
        torch.set_num_threads(load.threads)
        self._device = pick_device(load.device)
        precision = pick_precision(load.precision, self._device)
        self._scorer = Scorer.load(msgspec.structs.replace(load, precision=precision), self._device)
        self.loaded = Loaded(
            device=str(self._device),
            device_name=self._name(),
            precision=precision,
            attention=load.attention,
            threads=load.threads,
            seconds=time.monotonic() - began,
            memory_mib=self._memory_mib(),
            torch=str(torch.__version__),
            transformers=transformers.__version__,
        )

    def start(self, ask: ScoreRequest) -> _StartedRequest:
        """Read the images of a request and hand them to the device."""
        began = time.monotonic()
        try:
            return _StartedRequest(ask.number, began, self._scorer.start(self._read(ask)))
        except Exception as error:  # noqa: BLE001 - one bad batch must not end the process
            return _StartedRequest(ask.number, began, self._failure(ask.number, error))

    def finish(self, request: _StartedRequest) -> Reply:
        """Wait for the device and return scores, or what went wrong; seconds are those since the reply before."""
        began, batch = max(request.began, self._last_reply), request.batch
        try:
            reply: Reply = (
                batch
                if isinstance(batch, WorkerError)
                else ScoreReply(
                    number=request.number,
                    scores=batch.scores(),
                    seconds=time.monotonic() - began,
                    memory_mib=self._memory_mib(),
                )
            )
        except Exception as error:  # noqa: BLE001 - as above
            reply = self._failure(request.number, error)
        self._last_reply = time.monotonic()
        return reply

    def _failure(self, number: int, error: Exception) -> WorkerError:
        self._free()
        # The CPU's allocator has no error type of its own.
        out_of_memory = isinstance(error, self._torch.OutOfMemoryError | MemoryError) or (
            "can't allocate memory" in str(error)
        )
        return WorkerError(number=number, reason=_line(error), out_of_memory=out_of_memory)

    def _read(self, ask: ScoreRequest) -> list[VlmInput]:
        memory, mapping = self._memories[ask.slot], self._mappings[ask.slot]
        size = os.fstat(memory).st_size
        if mapping is None or len(mapping) != size:
            mapping = self._mappings[ask.slot] = mmap.mmap(memory, size, access=mmap.ACCESS_READ)
        return inputs_in(ask, mapping)

    def _free(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()

    def _name(self) -> str:
        if self._device.type == "cuda":
            return str(self._torch.cuda.get_device_name(self._device))
        return "CPU"

    def _memory_mib(self) -> float:
        if self._device.type == "cuda":
            return float(self._torch.cuda.max_memory_allocated(self._device)) / 2**20
        resident_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def inputs_in(ask: ScoreRequest, mapping: mmap.mmap) -> list[VlmInput]:
    """Return the clips of a request; their images lie in its shared memory, where nothing writes before the reply."""
    levels = np.frombuffer(mapping, np.uint8)
    read: dict[int, RgbImage] = {}

    def image(offset: int, ref: ImageRef) -> RgbImage:
        if offset not in read:
            shape = (ref.height, ref.width, 3)
            read[offset] = levels[offset : offset + math.prod(shape)].reshape(shape)
        return read[offset]

    def shown(ref: ImageRef) -> VlmImage:
        peak = image(ref.offset, ref)
        return peak if ref.before_offset < 0 else Difference(image(ref.before_offset, ref), peak)

    return [VlmInput([shown(ref) for ref in clip.images], ask.questions[clip.question]) for clip in ask.clips]


def _line(error: BaseException) -> str:
    """Return an error as one line of bounded length; libraries' texts run over many."""
    text = " ".join(str(error).split())
    return redact(f"{type(error).__name__}: {text}"[:600])


if __name__ == "__main__":
    try:
        serve(Connection(int(sys.argv[1])), [int(word) for word in sys.argv[2:]])
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)  # the program is gone, and so is our reason to be here
