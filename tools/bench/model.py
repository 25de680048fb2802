"""Measure the speed of the model stage on this machine: a full-size model with random weights, without network.

    python tools/bench model [--device cuda] [--batch 1 4 8] [--pictures 4] [--side 224 448]
    python tools/bench model --size deep --batch 8 --side 448      # the operators alone, in seconds

Speed and memory do not depend on the values of the weights, so the real ones cost the same. Gives for each combination:
 milliseconds, host CPU and device milliseconds per clip, operators per batch, clips per second, and the
share of the rate that this device reached in a plain matrix product just before.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import MiniCPMV4_6ImageProcessorPil

from bench.result import Result
from detector.verify.vlm.local.scorer import Scorer
from detector.verify.vlm.local.torch_device import PRECISIONS, pick_device, pick_precision
from detector.verify.vlm.local.windows import batch_vision_attention
from detector.verify.vlm.question import VlmInput, read_prompt
from random_snapshot import image_settings, make_config, make_model, make_tokenizer

LETTERS_PER_TOKEN = 4
NAMES = ("before", "peak", "after", "difference")


@dataclass(frozen=True)
class Row:
    """One combination.

    Attributes:
        device_ms: per clip, by the card's own clock; None on a CPU.
        operators: of the batch; about one launch each on a card.
        share: share of the measured matrix rate.
        memory_mib: memory of the card, or resident memory of the process.
    """

    batch: int
    pictures: int
    side: int
    seconds_per_clip: float
    cpu_seconds_per_clip: float
    device_ms: float | None
    operators: int
    clips_per_second: float
    teraflop_per_clip: float
    share: float
    memory_mib: float


# These are only views of memory and launch nothing.
VIEWS = frozenset(
    {
        "view",
        "_unsafe_view",
        "t",
        "transpose",
        "permute",
        "expand",
        "unsqueeze",
        "squeeze",
        "slice",
        "select",
        "detach",
        "alias",
        "as_strided",
        "split",
        "split_with_sizes",
        "unbind",
        "reshape",
        "_reshape_alias",
        "lift_fresh",
        "chunk",
        "empty",
        "empty_like",
        "sym_size",
        "numel",
        "is_same_size",
        "new_empty",
        "_local_scalar_dense",
    }
)


class OperatorCounter(TorchDispatchMode):
    """Count the operators that run in its block, except those in VIEWS."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator unchanged."""
        self.count += func.overloadpacket.__name__ not in VIEWS
        return func(*args, **(kwargs or {}))


def device_ms(work: Callable[[], Any], device: torch.device) -> float | None:
    """Return the milliseconds between first and last operation of `work` on the card; None on a CPU."""
    if device.type != "cuda":
        return None
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    work()
    ended.record()
    torch.cuda.synchronize(device)
    return float(began.elapsed_time(ended))


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return floating point operations per second of a large matrix product in this precision: the best of several."""
    side = 8192 if device.type == "cuda" else 1536
    left, right = (torch.randn(side, side, dtype=torch.float32, device=device).to(dtype) for _ in range(2))
    best = 0.0
    for _ in range(6):
        best = max(best, 2 * side**3 / timed(lambda: left @ right, device))
    return best


def timed(work: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds of `work`, including the device's own queue."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def make_scorer(arguments: argparse.Namespace, side: int, model: Any) -> Scorer:
    """Return a scorer around `model` as in production."""
    images = MiniCPMV4_6ImageProcessorPil(
        **{name: value for name, value in image_settings(arguments.version).items() if "_type" not in name}
    )
    return Scorer(model, make_tokenizer(), images, downsample_mode=arguments.mode, picture_side=side)


def make_clips(batch: int, pictures: int) -> list[VlmInput]:
    """Return candidates with 640x360 images of noise and as many words as the shipped question."""
    dice = np.random.default_rng(0)
    text = read_prompt("shipped").text([NAMES[n % len(NAMES)] for n in range(pictures)])
    # This tokenizer makes a token of each letter, the real one of about four letters.
    text = text[: len(text) // LETTERS_PER_TOKEN]
    return [
        VlmInput([dice.integers(0, 256, (360, 640, 3), dtype=np.uint8) for _ in range(pictures)], text)
        for _ in range(batch)
    ]


def cost_of(
    scorer: Scorer, clips: list[VlmInput], device: torch.device, rate: float, repeat: int
) -> tuple[float, float, float | None, int, float, float]:
    """Return seconds, CPU seconds and card's ms per clip, operators per batch, operations per clip, share of `rate`."""
    with FlopCounterMode(display=False) as counter:
        scorer.score(clips)  # also warms up
    operations = counter.get_total_flops()
    with torch.inference_mode(), OperatorCounter() as operators:
        scorer.score(clips)
    on_card = device_ms(lambda: scorer.score(clips), device)
    cpu = time.process_time()
    walls = [timed(lambda: scorer.score(clips), device) for _ in range(repeat)]
    cpu_seconds = (time.process_time() - cpu) / repeat
    wall = statistics.median(walls)
    return (
        wall / len(clips),
        cpu_seconds / len(clips),
        None if on_card is None else on_card / len(clips),
        operators.count,
        operations / len(clips),
        operations / wall / rate,
    )


def compile_vision(model: Any, scorer: Scorer, clips: list[VlmInput]) -> None:
    """Have torch compile the layers of the vision part for these clips, and print how far the scores move.

    Layer by layer, since the vision part as a whole reads sizes from tensors, which would cut it into pieces.
    """
    layers = [layer for layer in model.modules() if type(layer).__name__.endswith("VisionEncoderLayer")]
    torch.compiler.reset()
    for layer in layers:
        layer.compile(dynamic=False)
    with torch.compiler.set_stance("force_eager"):
        plain = scorer.score(clips)
    began = time.perf_counter()
    compiled = scorer.score(clips)
    apart = max(abs(one.log_odds - other.log_odds) for one, other in zip(plain, compiled, strict=True))
    print(
        f"batch {len(clips)}: {len(layers)} layers compiled in {time.perf_counter() - began:.1f} s, log-odds differ by "
        f"{apart:.1e}",
        file=sys.stderr,
    )


def memory_mib(device: torch.device) -> float:
    """Return the largest memory on the card, or the current memory of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    resident = Path("/proc/self/status").read_text(encoding="ascii").partition("VmRSS:")[2].split()[0]
    return int(resident) / 1024


def rows(arguments: argparse.Namespace, device: torch.device, precision: str, rate: float) -> Iterator[Row]:
    """Yield each combination as it is done; one that does not fit into memory ends its batch sizes."""
    dtype = PRECISIONS[precision]
    model = make_model(
        make_config(make_tokenizer(), arguments.version, arguments.size), dtype=dtype, device=str(device)
    )
    if not arguments.own_attention:
        batch_vision_attention(model)
    for side, pictures in product(arguments.side, arguments.pictures):
        scorer = make_scorer(arguments, side, model)
        for batch in arguments.batch:
            if arguments.compile:
                compile_vision(model, scorer, make_clips(batch, pictures))
            try:
                found = cost_of(scorer, make_clips(batch, pictures), device, rate, arguments.repeat)
            except torch.OutOfMemoryError:
                print(f"batch {batch} of {pictures} pictures at {side}: out of memory", file=sys.stderr)
                break
            seconds, cpu_seconds, on_card, operators, operations, share = found
            yield Row(
                batch=batch,
                pictures=pictures,
                side=side,
                seconds_per_clip=seconds,
                cpu_seconds_per_clip=cpu_seconds,
                device_ms=on_card,
                operators=operators,
                clips_per_second=1 / seconds,
                teraflop_per_clip=operations / 1e12,
                share=share,
                memory_mib=memory_mib(device),
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: the model, the device, and the combinations."""
    parser.add_argument("--version", choices=("4.6", "4.7"), default="4.6")
    parser.add_argument("--size", choices=("full", "deep", "tiny"), default="full")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=("auto", *PRECISIONS), default="auto")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8], help="clips in a batch")
    parser.add_argument("--pictures", type=int, nargs="+", default=[4], help="images of a clip")
    parser.add_argument("--side", type=int, nargs="+", default=[224, 448], help="picture_side_pixels")
    parser.add_argument("--mode", choices=("16x", "4x"), default="16x", help="downsample_mode")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's own choice")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--own-attention", action="store_true", help="the library's vision attention, not the batched one"
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile for the layers of the vision part")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Measure each combination; always good."""
    if given.threads:
        torch.set_num_threads(given.threads)
    device = pick_device(given.device)
    precision = pick_precision(given.precision, device)
    rate = matrix_rate(device, PRECISIONS[precision])
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    result.add(
        device=name,
        precision=precision,
        cuda=torch.version.cuda,
        matrix_rate_tflops=rate / 1e12,
    )
    for row in rows(given, device, precision, rate):
        result.add(minicpm=f"{given.version}, {given.size}, random weights", **asdict(row))
    return True
