"""What is said of packages that a snapshot's code asks for and that its environment lacks."""

import sys
from pathlib import Path

import msgspec
import pytest

from detector.errors import VerifierError
from detector.verify.vlm.local.environment_report import EnvironmentReport, Gpu
from detector.verify.vlm.local.models import known_good
from detector.verify.vlm.local.snapshot import Snapshot
from detector.verify.vlm.server45.environment import Environment, Stamp
from detector.verify.vlm.server45.imports import Need
from detector.verify.vlm.server45.launch import _refuse_unmet

MODEL = "openbmb/MiniCPM-V-4_5"
CARD = Gpu(name="NVIDIA L4", memory_gib=22.0, free_gib=21.0, capability="8.9")
REPORT = EnvironmentReport(python="3.11.7", torch="2.13.0", cuda="13.0", transformers="4.57.6", gpus=[CARD])


def refusal(
    folder: Path,
    package: str,
    *,
    reason: str = "",
    revision: str = "b" * 40,
    attention: str = "sdpa",
    notes: tuple[str, ...] = (),
) -> str:
    """What is said when a snapshot's code imports `package`, which is broken by `reason` or, without one, missing."""
    stamp = Stamp(requirements=(), python=f"{sys.version_info.major}.{sys.version_info.minor}", notes=notes)
    (folder / "lightning-detector.json").write_bytes(msgspec.json.encode(stamp))
    needs = [Need(package, "modeling_minicpmv.py", 5, at_import=package != "flash_attn")]
    report = msgspec.structs.replace(REPORT, broken={package: reason})
    with pytest.raises(VerifierError) as refused:
        _refuse_unmet(Snapshot(MODEL, revision, folder), Environment(folder), needs, report, attention)
    return str(refused.value)


def test_a_torchvision_that_setup_took_out_is_explained_by_what_setup_saw(tmp_path: Path) -> None:
    said = refusal(tmp_path, "torchvision", notes=("torchvision==0.28.0 does not fit this torch and was taken out",))
    assert "modeling_minicpmv.py line 5 imports torchvision, which is not installed there" in said
    assert "does not fit this torch" in said
    assert "--again" in said


def test_a_package_nobody_tried_is_a_question_of_trust(tmp_path: Path) -> None:
    assert f"setup-45 --environment {tmp_path} --with decord" in refusal(tmp_path, "decord")
    assert "which fails there: OSError: no libfoo" in refusal(tmp_path, "decord", reason="OSError: no libfoo")


def test_flash_attn_demanded_by_another_revision_points_to_the_pinned_one(tmp_path: Path) -> None:
    said = refusal(tmp_path, "flash_attn")
    assert "inside a function, which transformers counts as well" in said
    assert "attention 'sdpa' would not even use it" in said
    assert said.endswith(f"--model-revision {known_good(MODEL)}")


def test_flash_attn_demanded_by_the_pinned_revision_is_a_matter_of_a_wheel_for_these_versions(tmp_path: Path) -> None:
    said = refusal(tmp_path, "flash_attn", revision=known_good(MODEL), attention="flash_attention_2")
    assert "would not even use it" not in said
    for part in ("Python 3.11.7", "torch 2.13.0", "CUDA 13.0", "NVIDIA L4", "--with WHEEL"):
        assert part in said
