"""`pull` and the channel edge, against a small hub over real HTTP."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from detector.verify.vlm.local.snapshot import damaged_files, find_snapshot
from helpers.hub_server import HubServer
from helpers.models import MODEL_46, MODEL_47, REVISION_46, model_settings

pytest.importorskip("torch", reason="the extra minicpm is not installed")
pytest.importorskip("huggingface_hub", reason="the extra minicpm is not installed")

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def files(hub_cache: Path) -> Path:
    return hub_cache / f"models--{MODEL_46.replace('/', '--')}" / "snapshots" / REVISION_46


def run(hub: HubServer, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-m", "detector", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, check=False)


def test_pull_fetches_the_pinned_commit_and_a_run_then_finds_it_offline(files: Path, tmp_path: Path) -> None:
    with HubServer(files, MODEL_46, REVISION_46) as hub:
        done = run(hub, tmp_path, "pull")
        assert done.returncode == 0, done.stderr
        assert "%" in done.stderr, "a bar shows the progress"
        folder = Path(done.stdout.strip())
        assert {path.name for path in folder.iterdir()} == {path.name for path in files.iterdir()}
    assert find_snapshot(model_settings().minicpm, tmp_path).folder == folder
    assert list(damaged_files(folder)) == []
    assert all(path.is_symlink() for path in folder.iterdir()), "so every file was compared with its hash"


def test_a_file_that_arrives_damaged_is_found(files: Path, tmp_path: Path) -> None:
    with HubServer(files, MODEL_46, REVISION_46, spoiled={"model.safetensors"}) as hub:
        done = run(hub, tmp_path, "pull")
    assert done.returncode == 1
    assert "model.safetensors is damaged" in done.stderr.splitlines()[-1]


def test_the_channel_edge_resolves_the_branch_and_says_the_commit(files: Path, tmp_path: Path) -> None:
    with HubServer(files, MODEL_47, "c" * 40) as hub:
        done = run(hub, tmp_path, "pull", "--model", MODEL_47, "--set", "minicpm.channel=edge")
    assert done.returncode == 0, done.stderr
    assert f"to pin this commit: --model-revision {'c' * 40}" in done.stderr


def test_what_the_hub_does_not_have_is_one_line(files: Path, tmp_path: Path) -> None:
    with HubServer(files, MODEL_46, REVISION_46) as hub:
        done = run(hub, tmp_path, "pull", "--model-revision", "d" * 40)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "d" * 40 in last
    assert "no such commit" in last
