"""The model's process: waits for clips, scores them, answers; ends when the program that started it is gone."""

import math
import mmap
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

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
    decode_request,
    encode,
)
from detector.verify.vlm.question import VlmInput
from stream import redact


def serve(connection: Connection, memory: int) -> None:
    """Load the model that the first message names, then answer asks until the other side hangs up.

    memory: file descriptor of the shared memory in which the images lie.
    """
    load = decode_request(connection.recv_bytes())
    if not isinstance(load, Load):
        raise TypeError(f"expected a load first, got {type(load).__name__}")
    try:
        answerer = _Answerer(load, memory)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise is told to the program, in one line
        connection.send_bytes(encode(WorkerError(reason=_line(error))))
        return
    connection.send_bytes(encode(answerer.loaded))
    while True:
        ask = decode_request(connection.recv_bytes())
        if isinstance(ask, ScoreRequest):
            connection.send_bytes(encode(answerer.answer(ask)))


class _Answerer:
    """The loaded model and where its images come from."""

    def __init__(self, load: Load, memory: int) -> None:
        began = time.monotonic()
        # Imported here, after the environment is set and inside the guard that reports what fails.
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        from detector.verify.vlm.local.scorer import Scorer, pick_device, pick_precision  # noqa: PLC0415

        self._torch = torch
        self._memory = memory
        self._mapping: mmap.mmap | None = None
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

    def answer(self, ask: ScoreRequest) -> Reply:
        """Scores, or what went wrong."""
        began = time.monotonic()
        out_of_memory: tuple[type[BaseException], ...] = (self._torch.OutOfMemoryError, MemoryError)
        try:
            scores = self._scorer.score(self._read(ask.clips))
        except out_of_memory as error:
            self._free()
            return WorkerError(reason=_line(error), out_of_memory=True)
        except Exception as error:  # noqa: BLE001 - one bad batch must not end the process
            self._free()
            # The CPU's allocator has no error type of its own.
            return WorkerError(reason=_line(error), out_of_memory="can't allocate memory" in str(error))
        return ScoreReply(
            number=ask.number, scores=scores, seconds=time.monotonic() - began, memory_mib=self._memory_mib()
        )

    def _read(self, clips: list[Clip]) -> list[VlmInput]:
        """Return the clips with images that lie in the shared memory: nothing writes there before the answer is out."""
        size = os.fstat(self._memory).st_size
        if self._mapping is None or len(self._mapping) != size:
            self._mapping = mmap.mmap(self._memory, size, access=mmap.ACCESS_READ)
        levels = np.frombuffer(self._mapping, np.uint8)
        read: dict[int, RgbImage] = {}

        def image(offset: int, ref: ImageRef) -> RgbImage:
            if offset not in read:
                shape = (ref.height, ref.width, 3)
                read[offset] = levels[offset : offset + math.prod(shape)].reshape(shape)
            return read[offset]

        def shown(ref: ImageRef) -> VlmImage:
            peak = image(ref.offset, ref)
            return peak if ref.before_offset < 0 else Difference(image(ref.before_offset, ref), peak)

        return [VlmInput([shown(ref) for ref in clip.images], clip.question) for clip in clips]

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


def _line(error: BaseException) -> str:
    """Return an error as one line of bounded length; libraries' texts run over many."""
    text = " ".join(str(error).split())
    return redact(f"{type(error).__name__}: {text}"[:600])


if __name__ == "__main__":
    try:
        serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)  # the program is gone, and so is our reason to be here
