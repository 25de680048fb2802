"""What a candidate costs the CPU on its way to the model: from its arrival to the hand-over of its bytes to the device.

    python tools/bench model_host [--batch 8] [--frame 720x1280]

Candidates come from the real prefilter, on made frames with a flash; the model is tiny and random, which changes none
of these stages: images (chosen, compared, lifted), shared memory, tokens, bytes in one block. `downscaled` (the resize
of a waiting candidate's frames, in the camera's thread) is shown beside them and no part of the sum, nor are the resize
for the model, the difference image and the forward pass, which run on the device. CPU milliseconds of all threads a
candidate, the best of several.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from bench.result import Result
from detector.candidate import Candidate
from detector.prefilter.prefilter import Prefilter
from detector.settings import Settings, load_settings
from detector.verify.vlm.images import Difference, downscaled
from detector.verify.vlm.local.pixels import shape_of, stacked_bytes
from detector.verify.vlm.local.process import Slot, make_request
from detector.verify.vlm.local.protocol import Load, decode_request, encode
from detector.verify.vlm.local.scorer import Scorer
from detector.verify.vlm.local.worker import inputs_in
from detector.verify.vlm.question import Question, VlmInput
from random_snapshot import write_snapshot
from stream import Frame

SECONDS = 3.0
FLASH_AT = 1.6
RATE = 25.0
COUNTED = ("images but the difference", "shared memory", "message", "read", "tokens", "one block")


def made_frames(seed: int, height: int, width: int) -> list[Frame]:
    """Return a day scene with noise and, at FLASH_AT, two lit frames that leave a glow; no image repeats another."""
    dice = np.random.default_rng(seed)
    cells = dice.integers(30, 130, (height // 40, width // 40, 3), dtype=np.uint8)
    scene = np.kron(cells, np.ones((40, 40, 1), np.uint8)).astype(np.int16)
    noise = [dice.integers(-2, 3, scene.shape, dtype=np.int16) for _ in range(5)]
    frames: list[Frame] = []
    for number in range(round(SECONDS * RATE)):
        lit = number - round(FLASH_AT * RATE)
        image = scene + noise[number % len(noise)]
        if lit in (0, 1):
            image[: height // 2, width // 4 : 3 * width // 4] += (110, 60)[lit]
        elif lit > 1:
            image[: height // 2] += 8
        frames.append(_frame(np.clip(image, 0, 255).astype(np.uint8), number))
    return frames


def _frame(image: NDArray[np.uint8], number: int) -> Frame:
    luma = image[:, :, 1].copy()
    step = max(1, image.shape[1] // 640)

    def color(side: int | None) -> NDArray[np.uint8]:
        return image if side is None else np.ascontiguousarray(image[::step, ::step])

    return Frame(
        camera="bench", number=number, seconds=number / RATE, duration=1 / RATE, luma=luma, black=0, white=255,
        color=color,
    )  # fmt: skip


def candidates(settings: Settings, count: int, height: int, width: int) -> list[Candidate]:
    """Return so many candidates of the prefilter, each of another scene."""
    found: list[Candidate] = []
    for seed in range(count):
        prefilter = Prefilter("bench", settings.prefilter)
        closed = [one for frame in made_frames(seed, height, width) for one in prefilter.push(frame) if not one.open]
        closed += [one for one in prefilter.flush() if not one.open]
        found.append(replace(closed[0], id=f"bench-{seed}"))
    return found


def cpu_ms(work: Callable[[], Any], count: int, repeat: int) -> float:
    """Return CPU milliseconds of this process for each of `count`: the best of `repeat` runs."""
    work()
    best = float("inf")
    for _ in range(repeat):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return 1e3 * best / count


def stages(settings: Settings, scorer: Scorer, found: list[Candidate], repeat: int) -> dict[str, float]:
    """Return CPU milliseconds a candidate of each stage, in the order in which they come."""
    side, count = settings.batcher.picture_side_pixels, len(found)
    question, slot = Question(settings.question, side), Slot(0)
    names = tuple(name for name in settings.question.pictures if name != "difference")
    plain = Question(msgspec.structs.replace(settings.question, pictures=names), side)

    def measured(work: Callable[[], Any]) -> float:
        return cpu_ms(work, count, repeat)

    waiting = [downscaled(one, side) for one in found]
    shown = [question.show(one) for one in waiting]
    request = make_request(1, slot, shown)
    mapping = slot.mapped(0)
    read = inputs_in(request, mapping)
    costs = {
        "downscaled": measured(lambda: [downscaled(one, side) for one in found]),
        "images": measured(lambda: [question.show(one) for one in waiting]),
        "images but the difference": measured(lambda: [plain.show(one) for one in waiting]),
        "shared memory": measured(lambda: make_request(1, slot, shown)),
        "message": measured(lambda: decode_request(encode(request))),
        "read": measured(lambda: inputs_in(request, mapping)),
        "tokens": measured(lambda: scorer.tokens(read)),
        "one block": measured(lambda: _blocks(read)),
    }
    costs["images of a candidate"] = sum(len(one.images) for one in shown) / count
    return costs


def _blocks(clips: list[VlmInput]) -> None:
    """Put the images of each size together, as they are sent to the device."""
    by_shape: dict[tuple[int, int], list[Any]] = {}
    for clip in clips:
        for image in clip.images:
            if not isinstance(image, Difference):  # made on the device of two that are sent anyway
                by_shape.setdefault(shape_of(image), []).append(image)
    for images in by_shape.values():
        stacked_bytes(images)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: how many candidates, of what size."""
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frame", default="720x1280", metavar="HxW", help="size of the made frames")
    parser.add_argument("--repeat", type=int, default=7)


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Measure each stage; always good."""
    height, width = map(int, given.frame.split("x"))
    torch.set_num_threads(1)
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        load = Load(
            folder=str(write_snapshot(Path(folder) / "snapshot")), device="cpu", precision="fp32", attention="sdpa",
            downsample_mode="16x", picture_side_pixels=settings.minicpm.picture_side_pixels, threads=1,
        )  # fmt: skip
        scorer = Scorer.load(load, torch.device("cpu"))
        found = candidates(settings, given.batch, height, width)
        costs = stages(settings, scorer, found, given.repeat)
    result.add(images_of_a_candidate=costs.pop("images of a candidate"))
    costs["arrival to hand-over"] = sum(costs[name] for name in COUNTED)
    for name, value in costs.items():
        result.add(stage=name, cpu_ms_a_candidate=value)
    return True
