"""The checks before the model's own code may run, and the process that then runs it."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detector.errors import VerifierError
from detector.verify.vlm.local.attention import check_attention, setup
from detector.verify.vlm.local.environment_report import EnvironmentReport
from detector.verify.vlm.local.models import known_good
from detector.verify.vlm.local.snapshot import Snapshot
from detector.verify.vlm.server45.environment import Environment, lend_package
from detector.verify.vlm.server45.imports import Need, needs
from detector.verify.vlm.server45.serve_config import ServeConfig
from detector.verify.vlm.server45.trust import CodeFiles, code_files, objection, read_store, stage, trust

_FLASH = "flash_attn"
# Nothing else of the environment reaches the model's code: no keys, no tokens, no home folder.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
_PASSED_ON_STARTS = ("CUDA_", "NVIDIA_", "HIP_", "ROCR_", "OMP_", "MKL_", "PYTORCH_", "TORCH_")
_GRACE_SECONDS = 40.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Checked:
    """A snapshot whose code may run and whose needs are met in `environment`; `notes` are for the user."""

    snapshot: Snapshot
    environment: Environment
    files: CodeFiles
    notes: tuple[str, ...]


def check(snapshot: Snapshot, environment: Environment, attention: str, record: Path, *, confirm: bool) -> Checked:
    """Check the environment, whether the code is trusted, and what it needs; none of the code runs.

    Args:
        snapshot: the model's files.
        environment: in which it would run.
        attention: the attention backend asked for.
        record: file of the trusted hashes.
        confirm: record the code as trusted if it is not yet and nothing else is wrong.

    Returns:
        what was checked, for `serving`.

    Raises:
        VerifierError: one of these checks failed; the message says what to try.
    """
    environment.require()
    files = code_files(snapshot.folder)
    wanted = needs(snapshot.folder)
    revision = snapshot.revision or str(snapshot.folder)
    against = objection(read_store(record), snapshot.model, revision, files)
    if against and not confirm:
        raise VerifierError(
            f"{against}\nThis code would run as you: in a process and an environment of its own, but not walled in. "
            f"Read it in {snapshot.folder}, then run this again with --trust, which records these hashes"
        )
    report = environment.probe([*(need.package for need in wanted), _FLASH])
    _refuse_unmet(snapshot, environment, wanted, report, attention)
    try:
        check_attention(attention, report)
    except VerifierError as error:
        raise VerifierError(f"{error} (looked at in {environment.folder})") from error
    notes: list[str] = []
    if against:
        trust(record, snapshot.model, revision, files)
        notes = [*against.splitlines(), f"trusted from now on; recorded in {record}"]
    return Checked(snapshot, environment, files, tuple(notes))


def run(checked: Checked, config: ServeConfig, stop: threading.Event) -> int:
    """Serve until the process ends by itself or `stop` is set.

    Returns:
        the exit code of the process.

    Raises:
        VerifierError: the code changed since it was checked, or the process cannot be started.
    """
    with serving(checked, config) as process:
        while process.poll() is None and not stop.wait(_POLL_SECONDS):
            pass
        return 0 if process.returncode is None else process.returncode


@contextmanager
def serving(checked: Checked, config: ServeConfig, output: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process that serves a staged copy of the snapshot; it ends with the block, or with this process.

    Args:
        checked: what `check` returned.
        config: how it serves.
        output: file descriptor for its stdout; the first line there is the endpoint, once it answers.

    Yields:
        the running process.

    Raises:
        VerifierError: the code changed since it was checked, or the process cannot be started.
    """
    with checked.environment.in_use(), tempfile.TemporaryDirectory(prefix="lightning-45-") as name:
        folder = Path(name)
        staged = stage(checked.snapshot.folder, checked.files, folder / "snapshot")
        task = folder / "serve.json"
        task.touch(mode=0o600)  # it may hold the key
        task.write_bytes(msgspec.json.encode(msgspec.structs.replace(config, folder=str(staged))))
        words = ["-P", "-s", "-W", "ignore", "-m", "detector.verify.vlm.server45.serve", str(task)]
        with _process([str(checked.environment.python), *words], _surroundings(folder), output) as process:
            yield process


@contextmanager
def _process(
    command: Sequence[str], surroundings: dict[str, str], output: int | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command inside the block; at its end, ask the process to end, and kill it if it does not."""
    try:
        # In its own session: Ctrl-C reaches only us, and we ask it to end once. The pipe shows it when we are gone.
        process = subprocess.Popen(
            command, env=surroundings, stdin=subprocess.PIPE, stdout=output, start_new_session=True
        )
    except OSError as error:
        raise VerifierError(f"{command[0]}: cannot be started: {error.strerror}") from error
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_GRACE_SECONDS)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _surroundings(folder: Path) -> dict[str, str]:
    """Return the environment variables that the model's code sees."""
    passed = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_STARTS)
    }
    home, scratch = folder / "home", folder / "scratch"
    home.mkdir()
    scratch.mkdir()
    return {
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads would use the cores that decode video
        "PYTHONUNBUFFERED": "1",
        **passed,
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "PYTHONPATH": lend_package(folder),
        "HF_HOME": str(home / "hf"),
        "HF_MODULES_CACHE": str(folder / "modules"),  # empty: transformers compares with older copies by size and time
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _refuse_unmet(
    snapshot: Snapshot, environment: Environment, wanted: Sequence[Need], report: EnvironmentReport, attention: str
) -> None:
    """Raise if the code imports modules that cannot be imported, before any of it is loaded."""
    for need in wanted:
        reason = report.broken.get(need.package)
        if reason is None:
            continue
        inside = "" if need.at_import else " (inside a function, which transformers counts as well)"
        why = f"which fails there: {reason}" if reason else "which is not installed there"
        what = f"{snapshot.label}: {need.file} line {need.line} imports {need.package}{inside}, {why}"
        if need.package != _FLASH:
            raise VerifierError(f"{what}; {_missing_advice(environment, need.package)}")
        if attention != "flash_attention_2":
            what += f"; attention {attention!r} would not even use it"
        pinned = known_good(snapshot.model)
        if pinned and snapshot.revision != pinned:
            raise VerifierError(f"{what}. The pinned revision does not ask for it: --model-revision {pinned}")
        raise VerifierError(
            f"{what}. It works only on an NVIDIA GPU with a wheel made for that torch, CUDA and Python, and there "
            f"{setup(report)}: lightning-detector setup-45 --environment {environment.folder} --with WHEEL, or "
            "use another revision"
        )


def _missing_advice(environment: Environment, package: str) -> str:
    """Return how to get `package` into the environment, or why setup-45 could not."""
    stamp = environment.stamp()
    tried = [note for note in (stamp.notes if stamp else ()) if package in note]
    setup_45 = f"lightning-detector setup-45 --environment {environment.folder}"
    if tried:
        return f"{tried[0]}. Let pip take both from one index (PIP_INDEX_URL), then: {setup_45} --again"
    return f"if you trust that package: {setup_45} --with {package}"
