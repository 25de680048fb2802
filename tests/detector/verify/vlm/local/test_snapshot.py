"""Snapshots: pinned, whole and native, or one line that says which command helps."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detector.cli.options import lay_verifier_arguments
from detector.errors import VerifierError
from detector.verify.vlm.local.models import known_models
from detector.verify.vlm.local.snapshot import damaged_files, find_snapshot, hub_cache, missing_parts
from helpers.models import MODEL_46, MODEL_47, REVISION_46, model_settings


def weights(size: int = 8) -> bytes:
    table = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    return len(table).to_bytes(8, "little") + table + bytes(size)


def write_files(folder: Path, model_type: str = "minicpmv4_6") -> Path:
    """A folder with the names and forms of a snapshot; small enough to be written by hand."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_text('{"a": 1}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(weights())
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    write_files(tmp_path / "models--openbmb--MiniCPM-V-4.6" / "snapshots" / REVISION_46)
    return tmp_path


def minicpm(**changes: Any) -> Any:
    return model_settings(minicpm=changes).minicpm


def test_the_pinned_snapshot_is_found_under_its_real_name(cache: Path) -> None:
    found = find_snapshot(minicpm(), cache)
    assert (found.model, found.revision) == (MODEL_46, REVISION_46)
    assert found.folder.is_dir()


def test_a_missing_snapshot_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(VerifierError, match=r"lightning-detector pull$") as refused:
        find_snapshot(minicpm(), tmp_path)
    assert REVISION_46 in str(refused.value)
    with pytest.raises(VerifierError, match=f"pull --model {MODEL_47} --model-revision {'a' * 40}$"):
        find_snapshot(minicpm(model=MODEL_47, revision="a" * 40), tmp_path)


@pytest.mark.parametrize("revision", ["main", "1740887", REVISION_46[:39], REVISION_46.upper(), "../../etc"])
def test_a_revision_that_is_no_full_commit_is_refused(cache: Path, revision: str) -> None:
    with pytest.raises(VerifierError, match="40 hexadecimal digits"):
        find_snapshot(minicpm(revision=revision), cache)


def test_a_commit_that_is_not_here_is_not_replaced_by_another(cache: Path) -> None:
    with pytest.raises(VerifierError, match="not on this machine"):
        find_snapshot(minicpm(revision="b" * 40), cache)


def test_a_model_without_a_known_commit_asks_for_one(cache: Path) -> None:
    with pytest.raises(VerifierError, match="--model-revision"):
        find_snapshot(minicpm(model=MODEL_47), cache)


def test_a_folder_and_a_revision_together_are_refused(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "mine")
    assert find_snapshot(minicpm(model=str(folder))).revision is None
    with pytest.raises(VerifierError, match="cannot apply"):
        find_snapshot(minicpm(model=str(folder), revision=REVISION_46))


def test_a_path_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(VerifierError, match="neither a folder nor a model id"):
        find_snapshot(minicpm(model=str(tmp_path / "nowhere")))


def test_another_kind_of_model_is_sent_to_a_server(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "other", model_type="llama")
    with pytest.raises(VerifierError, match=r"'llama'.*--verifier served"):
        find_snapshot(minicpm(model=str(folder)))


def test_the_model_that_runs_only_on_a_server_says_so(cache: Path) -> None:
    with pytest.raises(VerifierError, match="cannot run here"):
        find_snapshot(minicpm(model="openbmb/MiniCPM-V-4_5"), cache)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", None, "config.json is missing"),
        ("tokenizer.json", b"", "tokenizer.json is not JSON"),
        ("chat_template.jinja", None, "chat_template.jinja is missing"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", weights()[:-3], "has 74 bytes, not 77"),
        ("model.safetensors", b"\x01", "is cut off"),
        ("model.safetensors", (5).to_bytes(8, "little") + b"hello!!", "table of contents"),
    ],
)
def test_a_snapshot_that_is_not_whole_says_what_is_wrong(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    folder = write_files(tmp_path / "s")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    assert any(said in problem for problem in missing_parts(folder)), list(missing_parts(folder))
    with pytest.raises(VerifierError):
        find_snapshot(minicpm(model=str(folder)))


def test_every_shard_of_the_index_must_be_there(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "s")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert list(missing_parts(folder)) == ["model-2.safetensors is missing"]


def test_a_changed_byte_is_found_by_the_hash_that_names_the_file(tmp_path: Path) -> None:
    folder, store = tmp_path / "s", tmp_path / "blobs"
    folder.mkdir()
    store.mkdir()
    big, small = weights(64), b'{"model_type": "minicpmv4_6"}'
    names = {
        "model.safetensors": (hashlib.sha256(big).hexdigest(), big),
        "config.json": (hashlib.sha1(f"blob {len(small)}\0".encode() + small).hexdigest(), small),
    }
    for name, (digest, content) in names.items():
        (store / digest).write_bytes(content)
        (folder / name).symlink_to(store / digest)
    assert list(damaged_files(folder)) == []
    (store / names["model.safetensors"][0]).write_bytes(big[:-1] + b"\x01")
    assert [line.split()[0] for line in damaged_files(folder)] == ["model.safetensors"]


def test_the_cache_is_where_the_hubs_own_variables_say() -> None:
    assert hub_cache({"HF_HUB_CACHE": "/a"}) == Path("/a")
    assert hub_cache({"HF_HOME": "/b"}) == Path("/b/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert hub_cache({}) == Path("~/.cache/huggingface/hub").expanduser()


def arguments(**given: str) -> Any:
    return argparse.Namespace(**given)


def test_a_flag_wins_over_the_variable_and_the_variable_over_the_settings() -> None:
    settings = model_settings(minicpm={"revision": "a" * 40})
    environment = {"MINICPM_REVISION": "b" * 40}

    def revision(flags: Any, variables: dict[str, str]) -> str:
        return lay_verifier_arguments(settings, flags, variables).minicpm.revision

    assert revision(arguments(), {}) == "a" * 40
    assert revision(arguments(), environment) == "b" * 40
    assert revision(arguments(model_revision="c" * 40), environment) == "c" * 40


def test_the_matrix_pins_the_default_model_and_claims_nothing_that_was_not_seen() -> None:
    rows = known_models()
    assert rows[model_settings().minicpm.model].revision == REVISION_46
    assert {row.verified for row in rows.values()} == {"no"}
    assert all(len(row.revision) in (0, 40) for row in rows.values())


def test_choosing_looks_neither_at_the_network_nor_at_torch(cache: Path) -> None:
    program = (
        "import sys; from detector.settings import load_settings; from detector.verify.factory import choose_verifier;"
        "print(choose_verifier(load_settings())[1]);"
        "print({'torch', 'transformers', 'huggingface_hub'} & {*sys.modules})"
    )
    nowhere = os.environ | {"HF_HUB_CACHE": str(cache / "empty"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env=nowhere
    )
    line, modules = done.stdout.splitlines()
    assert line.startswith(("verifier: photometric (auto: no model:", "verifier: photometric (auto: no GPU)"))
    assert modules == "set()"
