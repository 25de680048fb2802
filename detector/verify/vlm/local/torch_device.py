"""The device and the precision that torch works with, for the values of the settings."""

import torch

from detector.errors import VerifierError
from detector.verify.vlm.local.environment_report import cpu_multiplies_bf16

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(wanted: str, setting: str = "minicpm.device") -> torch.device:
    """Return the device that the value `wanted` of `setting` names.

    Raises:
        VerifierError: a GPU was asked for and there is none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise VerifierError(
            f"{setting} = {wanted!r}: torch {torch.__version__} sees {torch.cuda.device_count()} GPUs; "
            f"set {setting} to auto or cpu, or install a torch build for this machine's driver"
        )
    return device


def pick_precision(wanted: str, device: torch.device) -> str:
    """Return the precision on `device`; for "auto" 16 bit, but only where the hardware multiplies it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if cpu_multiplies_bf16() else "fp32"
