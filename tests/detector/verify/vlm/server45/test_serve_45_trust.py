"""`serve-45` before anything is loaded: whose code it runs, and what it names instead of failing half-way."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from detector.verify.vlm.server45.trust import code_files, trust
from helpers.asking45 import ask, image, request
from helpers.hub_server import HubServer
from helpers.standin45 import (
    MODEL,
    REVISION,
    Place,
    appended,
    demanding_flash_attention,
    edit_json,
    lay_out,
)


def test_code_runs_only_after_it_was_trusted_and_not_after_it_changed(standin45: Path, tmp_path: Path) -> None:
    secrets = {"LIGHTNING_MODEL_KEY": "s3cret-key", "HF_TOKEN": "s3cret-token", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    place = lay_out(standin45, tmp_path, variables=secrets)
    first = place.refused()
    assert "has never been trusted here" in first
    assert all(f"{path.name}" in first for path in place.snapshot.glob("*.py"))
    assert not place.record.exists()

    with place.serving("--trust") as serving:
        assert "trusted from now on" in serving.said
        # In passing: with a key in the variable, nobody is answered without it, and it shows nowhere.
        assert ask(serving.url, request(image(1))).status_code == 401
        assert httpx.get(f"{serving.url}/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert ask(serving.url, request(image(1)), Authorization="Bearer s3cret-key").status_code == 200
        assert "s3cret-key" not in serving.said
        # Nor does the model's process see any secret in its surroundings, or its way to the network's hub.
        (model,) = serving.model_processes()
        assert "s3cret" not in str((model.cmdline(), model.environ()))
        assert model.environ()["HF_HUB_OFFLINE"] == "1"

        # In passing: the model does not outlive the process that started it, however that ends.
        os.kill(serving.process.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs([model], timeout=20)
        assert (len(gone), alive) == (1, [])
        assert list(place.scratch.iterdir()) == []

    appended("resampler.py", "\nprint('harmless?')\n")(place.snapshot)
    changed = place.refused()
    assert "the code is not the one that was trusted" in changed
    assert "A commit never changes" in changed
    assert "changed  resampler.py" in changed


def test_a_snapshot_that_demands_flash_attn_for_nothing_is_named_with_the_revision_that_does_not(
    standin45: Path, tmp_path: Path
) -> None:
    place = lay_out(standin45, tmp_path, demanding_flash_attention, revision="b" * 40)
    said = place.refused("--model-revision", "b" * 40, "--trust")
    assert "modeling_minicpmv.py line 4 imports flash_attn" in said
    assert "attention 'sdpa' would not even use it" in said
    assert f"--model-revision {REVISION}" in said
    assert not place.record.exists()


def test_flash_attention_2_fails_at_once_where_it_cannot_work_and_names_the_versions_there(
    standin45: Path, tmp_path: Path
) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("there is a GPU here")
    said = lay_out(standin45, tmp_path).refused("--attn", "flash_attention_2", "--trust")
    assert "--attn flash_attention_2" in said
    assert "torch 2.13.0" in said


def test_a_package_that_is_missing_is_named_with_the_line_that_imports_it(standin45: Path, tmp_path: Path) -> None:
    said = lay_out(standin45, tmp_path, appended("resampler.py", "\nimport decord\n")).refused("--trust")
    assert "imports decord" in said
    assert "setup-45" in said
    assert "--with decord" in said


def test_what_is_broken_or_not_there_is_named_in_one_line(standin45: Path, tmp_path: Path) -> None:
    broken = lay_out(standin45, tmp_path / "code", appended("modeling_minicpmv.py", "\ndef f(:\n"))
    assert "modeling_minicpmv.py line" in broken.refused("--trust")
    cut = lay_out(standin45, tmp_path / "weights", lambda snapshot: os.truncate(snapshot / "model.safetensors", 5000))
    assert "model.safetensors has 5000 bytes" in cut.refused("--trust")
    foreign = lay_out(standin45, tmp_path / "foreign")
    edit_json(
        foreign.snapshot / "config.json",
        lambda table: table.update(auto_map={"AutoModel": "someone/else--modeling.Model"}),
    )
    assert "another repository" in foreign.refused("--trust")
    nothing = Place(tmp_path / "nothing")
    assert f"{MODEL} at {REVISION} is not on this machine" in nothing.refused()
    assert "lightning-detector pull" in nothing.refused()
    assert "40 hexadecimal digits" in nothing.refused("--model-revision", "a8dd5db")
    told = Place(tmp_path / "nothing", variables={"MINICPM_REVISION": "d" * 40})
    assert f"{MODEL} at {'d' * 40} is not" in told.refused("--set", f"minicpm45.revision={'e' * 40}")
    assert f"{MODEL} at {'f' * 40} is not" in told.refused("--model-revision", "f" * 40)


def test_an_address_that_will_not_do_is_refused_before_anything_is_loaded(standin45: Path, tmp_path: Path) -> None:
    place = lay_out(standin45, tmp_path)
    assert "can be reached from other machines" in place.refused("--host", "0.0.0.0", "--trust")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}: cannot listen there: Address already in use" in place.refused("--port", port)
    assert not place.record.exists()


def test_edge_fetches_the_newest_says_so_loudly_and_runs_new_code_only_when_it_is_confirmed(
    standin45: Path, tmp_path: Path
) -> None:
    newest = tmp_path / "newest"
    shutil.copytree(standin45, newest)
    appended("resampler.py", "\n# newer\n")(newest)
    with HubServer(newest, MODEL, "c" * 40) as hub:
        online = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        place = Place(tmp_path, revision="c" * 40, variables=online)
        trust(place.record, MODEL, REVISION, code_files(standin45))
        said = place.refused("--edge")
        assert f"CHANNEL EDGE: {MODEL}, branch main, is now at {'c' * 40}" in said
        assert "changed  resampler.py" in said
        with place.serving("--edge", "--trust") as serving:
            assert httpx.get(f"{serving.url}/models").json()["data"][0]["revision"] == "c" * 40
            assert code_files(newest)["resampler.py"] in serving.said
        exclusive = place.refused("--edge", "--model-revision", "c" * 40)
        pull = [sys.executable, "-m", "detector", "pull", "--model", MODEL, "--model-revision", "c" * 40]
        pulled = subprocess.run(pull, capture_output=True, text=True, timeout=60, env=place.surroundings, check=False)
        assert str(place.snapshot) in pulled.stdout, pulled.stderr
    assert "exclude each other" in exclusive


def test_it_is_refused_by_name_without_its_environment(tmp_path: Path) -> None:
    place = Place(tmp_path)
    said = place.refused("--environment", str(tmp_path / "none"))
    assert "has not been made" in said
    assert "lightning-detector setup-45" in said
