"""A device or backend that cannot work is named before torch is imported, where that is possible."""

import time
from pathlib import Path

import pytest

from detector.errors import VerifierError
from detector.verify.factory import choose_verifier
from detector.verify.vlm.local.device import check_device, quick_report
from detector.verify.vlm.local.environment_report import EnvironmentReport, Gpu
from helpers.models import model_settings

pytestmark = pytest.mark.model
CARD = Gpu(name="NVIDIA L4", memory_gib=22.0, free_gib=21.0, capability="8.9")
ONE_CARD = EnvironmentReport(python="3.11.7", torch="2.8.0+cu128", cuda="12.8", gpus=[CARD])


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_no_gpu_is_asked_for(device: str, tmp_path: Path) -> None:
    check_device(device, devices=tmp_path)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_that_is_there_is_taken(device: str) -> None:
    check_device(device, ONE_CARD)


def test_a_gpu_beyond_those_that_torch_sees_is_refused_with_what_to_set() -> None:
    with pytest.raises(VerifierError, match=r"'cuda:1': torch 2.8.0\+cu128 sees 1 GPUs; set minicpm.device to auto"):
        check_device("cuda:1", ONE_CARD)


def test_without_a_card_in_the_system_a_gpu_is_refused_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(VerifierError, match="sees 0 GPUs"):
        check_device("cuda:0", devices=tmp_path)
    assert time.monotonic() - began < 2, "torch was imported"


def test_a_card_in_the_system_is_seen_without_torch(tmp_path: Path) -> None:
    assert quick_report(tmp_path).gpus == []
    (tmp_path / "nvidia0").touch()
    assert len(quick_report(tmp_path).gpus) == 1


@pytest.mark.skipif(bool(quick_report().gpus), reason="this machine has a GPU")
@pytest.mark.parametrize("kind", ["minicpm", "photometric+minicpm", "fused"])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"device": "cuda:0"}, "minicpm.device = 'cuda:0'"),
        ({"attention": "flash_attention_2"}, "--attn flash_attention_2"),
    ],
)
def test_a_run_ends_before_its_model_is_started(kind: str, changed: dict[str, str], said: str) -> None:
    began = time.monotonic()
    with pytest.raises(VerifierError, match=said):
        choose_verifier(model_settings(kind, minicpm=changed))
    assert time.monotonic() - began < 5
