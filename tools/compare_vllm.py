#!/usr/bin/env python3
r"""Does `minicpm` answer as vLLM does? The same 24 candidates, asked of both, on a small snapshot with random weights.

    make vllm                                              # an environment of vLLM in .venvvllm, and this as a test
    python tools/compare_vllm.py .venvvllm/bin/vllm [--version 4.6|4.7] [--precision bf16|fp32]

Starts the server, and prints the tokens of a prompt on both sides, the spread of the log-odds, their rank correlation
(Spearman), the largest difference, what swapping two images changes on both sides, and how a batch differs from single
questions. The server computes in bf16.
"""

import argparse
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from detector.settings import load_settings
from detector.verify.vlm.local.protocol import Load
from detector.verify.vlm.local.scorer import Scorer
from detector.verify.vlm.openai_chat import request_body
from detector.verify.vlm.question import Score, VlmInput, read_prompt
from detector.verify.vlm.served import ServedVerifier
from random_snapshot import Version, write_snapshot

COUNT = 24
NAMES = ("before", "peak", "after", "difference")
SIDE = 224
SPREAD = 3.0  # of the log-odds of the made snapshot: largest less smallest
MODEL = "small"
STARTING_SECONDS = 600
SERVER_OPTIONS = (
    "--served-model-name", MODEL, "--dtype", "bfloat16", "--max-model-len", "8192", "--enforce-eager",
    "--mm-processor-kwargs", '{"max_slice_nums": 1}', "--limit-mm-per-prompt", '{"image": 8, "video": 0}',
    "--host", "127.0.0.1",
)  # fmt: skip
SERVER_VARIABLES = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def clips() -> list[VlmInput]:
    """Return so many candidates: scenes of blocks, lit to different degrees in different places."""
    text = read_prompt("shipped").text(list(NAMES))
    made: list[VlmInput] = []
    for seed in range(COUNT):
        dice = np.random.default_rng(seed)
        cells = dice.integers(20, 60 + 4 * seed, (7, 7, 3), dtype=np.uint8)
        before = np.kron(cells, np.ones((SIDE // 7, SIDE // 7, 1), np.uint8)).astype(np.uint8)
        peak = before.copy()
        left, top = dice.integers(0, SIDE // 2, 2)
        lit = np.s_[top : top + SIDE // 2, left : left + SIDE // 2]
        peak[lit] = np.clip(peak[lit].astype(int) + dice.integers(30, 200), 0, 255)
        after = (before * dice.uniform(0.6, 1.4)).clip(0, 255).astype(np.uint8)
        made.append(VlmInput([before, peak, after, np.clip(peak.astype(int) - before, 0, 255).astype(np.uint8)], text))
    return made


def swapped(clip: VlmInput) -> VlmInput:
    """Return the same with its first two images in each other's place."""
    first, second, *rest = clip.images
    return VlmInput([second, first, *rest], clip.text)


def scorer_of(folder: Path, precision: str) -> Scorer:
    """Return what `minicpm` runs in its process."""
    torch.set_num_threads(1)
    load = Load(
        folder=str(folder), device="cpu", precision=precision, attention="sdpa", downsample_mode="16x",
        picture_side_pixels=448, threads=1,
    )  # fmt: skip
    return Scorer.load(load, torch.device("cpu"))


def make(folder: Path, version: Version = "4.6") -> Path:
    """Write the snapshot to `folder`, in bf16, with a head for which the log-odds of `clips` spread over SPREAD.

    Its rows of Yes and No lie along the direction in which the hidden states of the clips differ most: what random rows
    would tell apart is smaller than the rounding of bf16. They are orthogonal to the mean, so that logits stay small.

    Returns:
        `folder`.
    """
    write_snapshot(folder, version, size="small")
    scorer = scorer_of(folder, "bf16")
    model, states = scorer._model, []  # noqa: SLF001 - a tool
    model.model.language_model.norm.register_forward_hook(lambda _module, _given, out: states.append(out[:, -1]))
    scorer.score(clips())
    (hidden,) = states
    mean = hidden.mean(0)
    across = torch.linalg.svd(hidden - mean).Vh[0]
    across -= mean * (across @ mean) / (mean @ mean)
    places = hidden @ across
    row = across * SPREAD / (places.max() - places.min()) / 2
    with torch.no_grad():
        model.lm_head.weight[scorer._answers] = torch.stack([row, -row]).to(torch.bfloat16)  # noqa: SLF001
    head = model.lm_head.weight.detach().clone()
    path = folder / "model.safetensors"
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(path).items()}
    save_file(weights | {"lm_head.weight": head}, path, metadata={"format": "pt"})
    return folder


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's: the correlation of the ranks."""
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


@contextmanager
def serving(program: Path, folder: Path) -> Iterator[str]:
    """Yield the endpoint of vLLM, which serves the snapshot in `folder` during the block.

    Raises:
        RuntimeError: it ended, or was not ready in time; its last lines are in the message.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "serve", folder, *SERVER_OPTIONS, "--port", str(port)]
    log = folder.with_suffix(".log")
    with log.open("wb") as lines:
        server = subprocess.Popen(command, stdout=lines, stderr=lines, env=os.environ | SERVER_VARIABLES)
        try:
            ends = time.monotonic() + STARTING_SECONDS
            while not is_ready(port):
                if server.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(f"{program} does not serve:\n{log.read_text(errors='replace')[-4000:]}")
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait()


def is_ready(port: int) -> bool:
    """Return whether a server answers on `port`."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.TransportError:
        return False


def compare(folder: Path, endpoint: str, precision: str) -> dict[str, Any]:
    """Ask `minicpm`, in this precision, and the server at `endpoint` about `clips`; return what is found, by name."""
    questions = clips()
    other = [swapped(clip) for clip in questions]
    scorer = scorer_of(folder, precision)
    reply = httpx.post(f"{endpoint}/chat/completions", json=request_body(MODEL, questions[0]), timeout=600).json()
    served = {"endpoint": endpoint, "model": MODEL, "timeout_seconds": 600.0}
    with closing(ServedVerifier(load_settings([("tool", {"served": served})]))) as verifier:
        verifier.check()
        theirs, their_swapped = (values(verifier.scores(asked)) for asked in (questions, other))
    batched, swapped_too = (
        values(score for at in range(0, COUNT, 8) for score in scorer.score(asked[at : at + 8]))
        for asked in (questions, other)
    )
    alone = values(scorer.score([clip])[0] for clip in questions)
    difference = np.abs(alone - theirs)[:, 0] / np.ptp(alone[:, 0])
    changes = (swapped_too - batched)[:, 0], (their_swapped - theirs)[:, 0]
    return {
        "tokens, minicpm": int(scorer.tokens(questions[:1])["input_ids"].shape[1]),
        "tokens, vLLM": reply["usage"]["prompt_tokens"],
        "spread": float(np.ptp(alone[:, 0])),
        "rank correlation": rank_correlation(alone[:, 0], theirs[:, 0]),
        "largest difference, of the spread": float(difference.max()),
        "median difference, of the spread": float(np.median(difference)),
        "largest difference of the answer mass, relative": float(np.abs(theirs / alone - 1)[:, 1].max()),
        "median change by a swap, minicpm": float(np.median(np.abs(changes[0]))),
        "median change by a swap, vLLM": float(np.median(np.abs(changes[1]))),
        "correlation of these changes": float(np.corrcoef(*changes)[0, 1]),
        "batch less single, minicpm": float(np.abs(batched - alone)[:, 0].max()),
    }


def values(scores: Iterable[Score]) -> NDArray[np.float64]:
    """Return the (questions, 2) log-odds and answer masses of these scores."""
    return np.array([(score.log_odds, score.answer_mass) for score in scores])


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", type=Path, metavar="VLLM", help="the program vllm, in an environment of its own")
    parser.add_argument("--version", choices=("4.6", "4.7"), default="4.6", help="of the model")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of minicpm")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = make(Path(place) / "snapshot", arguments.version)
        with serving(arguments.program, folder) as endpoint:
            print(json.dumps(compare(folder, endpoint, arguments.precision), indent=1))


if __name__ == "__main__":
    main()
