"""The walls of the house, held by a look at every import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stream
from helpers import ROOT

ZMQ_ROOMS = ("feed", "subscriber", "keys")
MODEL_ROOMS = ("minicpm", "minicpm45")


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """(module, name or None) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the walls"
            yield from ((node.module or "", alias.name) for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


@pytest.mark.parametrize("path", sources("stream"), ids=lambda path: path.name)
def test_stream_knows_nothing_of_lightning_or_models(path: Path) -> None:
    tops = {module.split(".")[0] for module, _ in imports(path)}
    assert not tops & {"detector", "torch", "transformers"}


@pytest.mark.parametrize("path", sources("stream") + sources("detector"), ids=lambda path: path.name)
def test_only_the_feed_its_subscriber_and_its_keys_touch_zeromq(path: Path) -> None:
    if any(module.split(".")[0] == "zmq" for module, _ in imports(path)):
        assert path.parts[-2] == "stream"
        assert path.stem.split("_")[0] in ZMQ_ROOMS


@pytest.mark.parametrize("path", sources("detector"), ids=lambda path: path.name)
def test_detector_uses_only_what_stream_exports(path: Path) -> None:
    for module, name in imports(path):
        if module.split(".")[0] == "stream":
            assert module == "stream", f"imports {module}"
            assert name in stream.__all__, f"imports {name}"


@pytest.mark.parametrize("path", sources("detector"), ids=lambda path: path.name)
def test_only_the_model_rooms_import_torch_and_transformers(path: Path) -> None:
    if {module.split(".")[0] for module, _ in imports(path)} & {"torch", "transformers"}:
        assert room(path) in MODEL_ROOMS


@pytest.mark.parametrize("path", sources("stream") + sources("detector"), ids=lambda path: path.name)
def test_only_one_room_imports_opencv_which_says_what_to_install_where_it_is_missing(path: Path) -> None:
    if any(module.split(".")[0] == "cv2" for module, _ in imports(path)):
        assert path == ROOT / "stream" / "opencv.py"


def test_every_name_at_the_door_of_stream_is_there() -> None:
    for name in stream.__all__:
        assert getattr(stream, name) is not None


def test_importing_the_program_loads_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, detector.cli.main as c; c.build_parser(); print(*{'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
