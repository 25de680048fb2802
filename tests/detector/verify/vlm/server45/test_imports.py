"""What a snapshot's code asks for is read from its text, before any of it is loaded."""

import json
import subprocess
from pathlib import Path

import pytest

from detector.errors import VerifierError
from detector.verify.vlm.server45.imports import classes_of, loaded_files, needs

MODELING = """
import math
import torch, torchvision.transforms
from transformers import AutoProcessor
from transformers.utils import is_flash_attn_2_available

from .resampler import Resampler

if is_flash_attn_2_available():
    from flash_attn import flash_attn_func
try:
    import deepspeed
except ImportError:
    deepspeed = None


class Model:
    def slow_path(self):
        import einops.layers
"""


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Model"}}))
    (tmp_path / "modeling.py").write_text(MODELING)
    (tmp_path / "resampler.py").write_text("import numpy as np\n")
    (tmp_path / "processing_own.py").write_text(
        "from transformers.processing_utils import ProcessorMixin\nclass Own(ProcessorMixin): pass\n"
    )
    (tmp_path / "demo.py").write_text("import gradio\n")
    return tmp_path


def test_packages_are_found_with_file_and_line_and_guarded_ones_do_not_count(snapshot: Path) -> None:
    found = {need.package: need for need in needs(snapshot)}
    assert set(found) == {"torch", "torchvision", "transformers", "numpy", "einops"}
    assert (found["torchvision"].file, found["torchvision"].line) == ("modeling.py", 3)
    assert found["torchvision"].at_import
    assert not found["einops"].at_import


def test_an_unguarded_flash_attn_is_found_at_its_line(snapshot: Path) -> None:
    (snapshot / "resampler.py").write_text("import numpy\nfrom flash_attn.bert_padding import pad_input\n")
    flash = next(need for need in needs(snapshot) if need.package == "flash_attn")
    assert (flash.file, flash.line, flash.at_import) == ("resampler.py", 2, True)


def test_only_files_that_loading_can_reach_are_read(snapshot: Path) -> None:
    assert loaded_files(snapshot) == ["modeling.py", "processing_own.py", "resampler.py"]


def test_the_processor_class_is_found_although_auto_map_forgets_it(snapshot: Path) -> None:
    assert classes_of(snapshot, "ProcessorMixin") == ["processing_own.Own"]


def test_a_broken_file_is_named_with_its_line(snapshot: Path) -> None:
    (snapshot / "resampler.py").write_text("import numpy\ndef f(:\n")
    with pytest.raises(VerifierError, match=r"resampler\.py line 2: not Python"):
        needs(snapshot)


def test_imports_are_read_as_transformers_reads_them(snapshot: Path, environment45: Path) -> None:
    program = (
        "import sys, json; from transformers.dynamic_module_utils import get_imports;"
        "print(json.dumps(get_imports(sys.argv[1])))"
    )
    done = subprocess.run(
        [environment45 / "bin" / "python", "-c", program, snapshot / "modeling.py"],
        capture_output=True,
        check=True,
        timeout=90,
    )
    assert set(json.loads(done.stdout)) - {"math"} == {need.package for need in needs(snapshot)} - {"numpy"}
