"""Which code of a snapshot may run: what is listed, recorded, compared and laid out."""

import hashlib
import json
from pathlib import Path

import pytest

from detector.errors import VerifierError
from detector.verify.vlm.server45.trust import code_files, differences, objection, read_store, stage, trust

MODEL = "openbmb/MiniCPM-V-4_5"
FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    (folder / "parts").mkdir(parents=True)
    (folder / "modeling.py").write_text("import torch\n")
    (folder / "parts" / "deep.py").write_text("x = 1\n")
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Model"}}))
    (folder / "generation_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "kernel.so").write_bytes(b"\x7fELF")
    return folder


def test_every_python_file_and_every_file_that_names_classes_is_listed_with_its_hash(snapshot: Path) -> None:
    files = code_files(snapshot)
    assert list(files) == ["modeling.py", "parts/deep.py", "config.json"]
    assert files["modeling.py"] == hashlib.sha256(b"import torch\n").hexdigest()


def test_code_that_was_never_trusted_is_shown_with_every_hash(snapshot: Path, tmp_path: Path) -> None:
    files = code_files(snapshot)
    said = objection(read_store(tmp_path / "none.json"), MODEL, FIRST, files)
    assert said is not None
    assert all(f"{sha256}  {path}" in said for path, sha256 in files.items())


def test_trusted_code_may_run_until_it_changes_and_then_every_change_is_named(snapshot: Path, tmp_path: Path) -> None:
    record = tmp_path / "state" / "trusted.json"
    before = code_files(snapshot)
    trust(record, MODEL, FIRST, before)
    assert objection(read_store(record), MODEL, FIRST, before) is None

    (snapshot / "modeling.py").write_text("import os\n")
    (snapshot / "parts" / "deep.py").unlink()
    (snapshot / "new.py").write_text("")
    now = code_files(snapshot)
    said = objection(read_store(record), MODEL, FIRST, now) or ""
    assert f"changed  modeling.py {before['modeling.py']} -> {now['modeling.py']}" in said
    assert "removed  parts/deep.py" in said
    assert "added    new.py" in said

    trust(record, MODEL, FIRST, now)
    assert objection(read_store(record), MODEL, FIRST, now) is None
    assert objection(read_store(record), MODEL, FIRST, before) is not None


def test_the_same_code_at_another_revision_needs_no_new_trust_but_other_code_does(
    snapshot: Path, tmp_path: Path
) -> None:
    record = tmp_path / "trusted.json"
    files = code_files(snapshot)
    trust(record, MODEL, FIRST, files)
    assert objection(read_store(record), MODEL, SECOND, files) is None
    other = files | {"modeling.py": "0" * 64}
    assert "the code is not that trusted on" in (objection(read_store(record), MODEL, SECOND, other) or "")
    assert objection(read_store(record), "somebody/else", FIRST, files) is not None


def test_code_from_another_repository_is_refused_because_no_revision_pins_it(snapshot: Path) -> None:
    (snapshot / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": [None, "someone/else--tokenization.Tokenizer"]}})
    )
    with pytest.raises(VerifierError, match="another repository"):
        code_files(snapshot)


def test_a_settings_file_that_is_no_json_is_named(snapshot: Path) -> None:
    (snapshot / "config.json").write_text('{"auto_map":')
    with pytest.raises(VerifierError, match=r"config\.json: not readable as JSON"):
        code_files(snapshot)


def test_a_snapshot_without_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerifierError, match="no Python file"):
        code_files(tmp_path)


def test_what_is_laid_out_is_what_was_hashed_and_nothing_else_that_could_run(snapshot: Path, tmp_path: Path) -> None:
    files = code_files(snapshot)
    staged = stage(snapshot, files, tmp_path / "staged")
    assert {path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()} == {
        "modeling.py", "parts/deep.py", "config.json", "generation_config.json", "model.safetensors"
    }  # fmt: skip
    assert (staged / "model.safetensors").is_symlink()
    (snapshot / "modeling.py").write_text("import os\n")
    assert (staged / "modeling.py").read_text() == "import torch\n"


def test_code_that_changes_between_the_check_and_the_start_does_not_run(snapshot: Path, tmp_path: Path) -> None:
    files = code_files(snapshot)
    (snapshot / "modeling.py").write_text("import os\n")
    with pytest.raises(VerifierError, match="changed while it was being checked"):
        stage(snapshot, files, tmp_path / "staged")


def test_an_unreadable_record_stops_instead_of_starting_afresh(tmp_path: Path) -> None:
    record = tmp_path / "trusted.json"
    record.write_text("{")
    with pytest.raises(VerifierError, match="record of trusted code cannot be read"):
        read_store(record)


def test_a_record_that_cannot_be_written_is_named() -> None:
    with pytest.raises(VerifierError, match=r"nowhere/trusted\.json: cannot be written: .*; nothing is trusted yet"):
        trust(Path("/proc/nowhere/trusted.json"), MODEL, FIRST, {"modeling.py": "1"})


def test_equal_lists_have_no_differences() -> None:
    assert differences({"a.py": "1"}, {"a.py": "1"}) == []
