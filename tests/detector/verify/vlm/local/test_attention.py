"""Attention backends: the advice names what this machine really has."""

import msgspec
import pytest

from detector.errors import VerifierError
from detector.verify.vlm.local.attention import check_attention
from detector.verify.vlm.local.environment_report import EnvironmentReport, Gpu

CARD = Gpu(name="NVIDIA L4", memory_gib=22.0, free_gib=21.0, capability="8.9")
READY = EnvironmentReport(
    python="3.11.7",
    torch="2.8.0+cu128",
    cuda="12.8",
    cxx11_abi=True,
    gpus=[CARD],
    transformers="5.23.0",
    flash_attention="2.8.3",
    backends={"sdpa": "", "eager": "", "flash_attention_2": ""},
)


def without(**changes: object) -> EnvironmentReport:
    return msgspec.structs.replace(READY, **changes)


@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_what_torch_itself_brings_needs_nothing(backend: str) -> None:
    check_attention(backend, EnvironmentReport(python="3.11.7"))


def test_flash_attention_works_with_everything_in_place() -> None:
    check_attention("flash_attention_2", READY)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (without(torch=None), "torch is not installed"),
        (without(torch_error="ImportError: libcudart.so"), "libcudart"),
        (without(cuda=None), "built for CUDA"),
        (without(gpus=[]), "nvidia-smi"),
        (without(gpus=[msgspec.structs.replace(CARD, name="Tesla T4", capability="7.5")]), "not Tesla T4"),
        (without(flash_attention=None), "tools/install_flash_attn.sh"),
        (without(flash_attention="2.3.1"), "2.3.1 is too old"),
        (without(backends={"flash_attention_2": "no usable package, or no GPU"}), "must match torch, CUDA and Python"),
    ],
)
def test_the_deepest_cause_is_named_with_the_versions_that_are_here(report: EnvironmentReport, said: str) -> None:
    with pytest.raises(VerifierError) as refused:
        check_attention("flash_attention_2", report)
    message = str(refused.value)
    assert said in message
    assert "this is Python 3.11.7, torch" in message
    assert message.endswith("--attn sdpa works without it")


def test_an_unknown_backend_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(VerifierError, match="sdpa, eager, flash_attention_2"):
        check_attention("nonsense", READY)
