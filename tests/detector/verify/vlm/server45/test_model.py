"""The model by its own code: the processor it gets, batches, packs, memory, and what it raises."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.asking45 import QUESTION
from helpers.standin45 import (
    ENVIRONMENT,
    MODEL,
    ROOT,
    appended,
    lay_out,
    without_auto_processor,
    without_processor,
)


def scores_of(orders: list[dict[str, Any]], tmp_path: Path) -> list[dict[str, Any]]:
    """Scores by the server's own model class, several snapshots in one process."""
    (tmp_path / "orders.json").write_text(json.dumps(orders))
    surroundings = os.environ | {
        "PYTHONPATH": str(ROOT), "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"
    }  # fmt: skip
    command = [
        ENVIRONMENT.python,
        "-W",
        "ignore",
        ROOT / "tests" / "helpers" / "standin45_snapshot" / "score.py",
        tmp_path / "orders.json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=surroundings, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_the_processor_is_built_right_whatever_the_snapshot_ships_and_packs_do_not_mix(
    standin45: Path, tmp_path: Path
) -> None:
    changes: dict[str, Callable[[Path], None] | None] = {
        "whole": None,
        "packed": None,
        "bare": without_auto_processor,
        "old": without_processor,
        "incomplete": lambda snapshot: (snapshot / "image_processing_minicpmv.py").write_text("import torch\n"),
        # Runs out of memory with more than one question: the batch is halved until it goes.
        "cramped": appended(
            "modeling_minicpmv.py",
            "\nroomy = MiniCPMV.get_vllm_embedding\n"
            "def cramped(self, data):\n    if len(data['input_ids']) > 1:\n        raise torch.OutOfMemoryError\n"
            "    return roomy(self, data)\nMiniCPMV.get_vllm_embedding = cramped\n",
        ),
        "raising": appended("modeling_minicpmv.py", "\nraise RuntimeError('not today\\nat all')\n"),
        "fetching": appended(
            "modeling_minicpmv.py",
            f"\nfrom transformers import AutoTokenizer as A\nA.from_pretrained('{MODEL}', trust_remote_code=True)\n",
        ),
    }
    clips = [[10, 200], [255, 0, 7], [[3, 60, 90], 10, 200, 10], [90]]
    orders = [
        {
            # Each under a revision of its own: transformers names the loaded modules after it.
            "folder": str(lay_out(standin45, tmp_path, change, revision=str(number) * 40).snapshot),
            "clips": clips,
            "pack_frames": 3 if name == "packed" else 1,
        }
        for number, (name, change) in enumerate(changes.items())
    ]
    orders.append(orders[0] | {"text": QUESTION.replace("!", "")})
    *answers, without_mark = scores_of(orders, tmp_path)
    whole, packed, bare, old, incomplete, cramped, raising, fetching = answers
    assert whole["processor"] == "AutoProcessor"
    assert "MiniCPMVProcessor put together by hand (AutoProcessor gave a bare" in bare["processor"]
    assert bare["alone"] == cramped["alone"] == whole["alone"]
    assert "the model prepares the images itself" in old["processor"]
    for one in (whole, packed, bare, old, cramped):
        assert one["together"] == pytest.approx(one["alone"], abs=1e-5)
        assert len({round(value, 4) for value in one["alone"]}) == len(clips)
    # The processor's own mask takes "!", which is token 0, for padding; the server's does not.
    assert without_mark["alone"] != pytest.approx(whole["alone"], abs=1e-3)
    assert packed["alone"] != pytest.approx(whole["alone"], abs=1e-3)
    assert packed["alone"][3] == pytest.approx(whole["alone"][3], abs=0.5)
    assert "processing_minicpmv.MiniCPMVProcessor cannot be put together" in incomplete["error"]
    assert raising["error"].startswith("the model cannot be loaded: RuntimeError: not today; ")
    # A load inside the snapshot's code that names no revision finds nothing to fetch.
    assert "the model cannot be loaded: OSError" in fetching["error"]
