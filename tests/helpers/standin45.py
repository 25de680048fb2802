"""A stand-in for MiniCPM-V 4.5's snapshot in a hub cache, variants of it, and `serve-45` running on it."""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psutil

from detector.verify.vlm.server45.environment import Environment
from helpers import ROOT

MODEL = "openbmb/MiniCPM-V-4_5"
REVISION = "a8dd5db4715809f904dbf39c2a98a6112033f0f1"
ENVIRONMENT = Environment(ROOT / ".venv45")
START_SECONDS = 90.0
_PARTS = Path(__file__).parent / "standin45_snapshot"


def build_standin(folder: Path) -> Path:
    """The stand-in snapshot, written by the second environment's transformers."""
    surroundings = os.environ | {"HF_MODULES_CACHE": str(folder.with_name("modules")), "HF_HUB_OFFLINE": "1"}
    command = [str(ENVIRONMENT.python), "-W", "ignore", str(_PARTS / "build.py"), str(folder)]
    subprocess.run(command, check=True, timeout=START_SECONDS, env=surroundings)
    return folder


@dataclass(frozen=True)
class Place:
    """A hub cache with one snapshot, and a folder for the record of trust; nothing of the user's own is touched."""

    folder: Path
    revision: str = REVISION
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def snapshot(self) -> Path:
        return self.folder / "hub" / f"models--{MODEL.replace('/', '--')}" / "snapshots" / self.revision

    @property
    def record(self) -> Path:
        return self.folder / "state" / "lightning-detector" / "trusted-code.json"

    @property
    def scratch(self) -> Path:
        """Where the run's own folder is made; empty again when it ends."""
        folder = self.folder / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def surroundings(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in {"HF_HOME", "MINICPM_REVISION"}}
        return kept | {
            "HF_HUB_CACHE": str(self.folder / "hub"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "TMPDIR": str(self.scratch),
            "HF_HUB_OFFLINE": "1",
            **self.variables,
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "detector", "serve-45", "--environment", str(ENVIRONMENT.folder), *words]

    def refused(self, *words: str) -> str:
        """What `serve-45` says when it does not start: stderr, which holds no traceback."""
        command = self.command("--port", "0", *words)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_SECONDS, env=self.surroundings, check=False
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        return done.stderr

    @contextmanager
    def serving(self, *words: str) -> Iterator["Serving"]:
        """`serve-45` on a free port, ready; asked to end by Ctrl-C's signal."""
        process = subprocess.Popen(
            self.command("--port", "0", "--set", "minicpm45.precision=fp32", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.surroundings,
        )
        serving = Serving(process)
        try:
            serving.wait_until_ready()
            yield serving
        finally:
            serving.stop()


class Serving:
    """A running `serve-45`: its endpoint and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.url = ""
        self._said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, sink), name=name)
            for pipe, sink, name in (
                (process.stdout, self._lines.put, "serve-45-stdout"),
                (process.stderr, self._said.append, "serve-45-stderr"),
            )
        ]
        for reader in self._readers:
            reader.start()

    @property
    def said(self) -> str:
        return "".join(self._said)

    def model_processes(self) -> list[psutil.Process]:
        """What it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_until_ready(self) -> None:
        try:
            self.url = self._lines.get(timeout=START_SECONDS).strip()
        except queue.Empty:
            raise TimeoutError(f"not ready after {START_SECONDS} s: {self.said}") from None
        assert self.url, f"ended with {self.process.wait(10)}: {self.said}"

    def stop(self) -> int:
        """Its exit code after one SIGINT."""
        if self.process.poll() is None:
            self.process.send_signal(2)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for reader in self._readers:
            reader.join(10)
        return code

    @staticmethod
    def _read(pipe: TextIO, sink: Callable[[str], object]) -> None:
        with pipe:
            for line in pipe:
                sink(line)
        sink("")


def lay_out(standin: Path, folder: Path, change: Callable[[Path], None] | None = None, **place: object) -> Place:
    """A Place in `folder` with a copy of the stand-in, changed by `change`."""
    made = Place(folder, **place)
    shutil.copytree(standin, made.snapshot)
    if change is not None:
        change(made.snapshot)
    return made


def edit_json(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def without_auto_processor(snapshot: Path) -> None:
    """AutoProcessor then gives the bare tokenizer."""
    edit_json(
        snapshot / "preprocessor_config.json", lambda table: [table.pop(key) for key in ("auto_map", "processor_class")]
    )


def without_processor(snapshot: Path) -> None:
    """As snapshots of before MiniCPM-V 2.5 were: the model prepares the images in its own `chat`."""
    for name in ("preprocessor_config.json", "processing_minicpmv.py", "image_processing_minicpmv.py"):
        (snapshot / name).unlink()
    shutil.copy(_PARTS / "old" / "modeling_minicpmv.py", snapshot)


def demanding_flash_attention(snapshot: Path) -> None:
    """As later commits of the real one: imported whether it is used or not."""
    path = snapshot / "modeling_minicpmv.py"
    path.write_text(
        path.read_text().replace("import torch\n", "import torch\nfrom flash_attn import flash_attn_func\n", 1)
    )


def appended(name: str, text: str) -> Callable[[Path], None]:
    """A change that adds `text` at the end of the file `name`."""

    def change(snapshot: Path) -> None:
        with (snapshot / name).open("a") as file:
            file.write(text)

    return change
