"""What Windows lacks is not needed: `replay` runs without it."""

import subprocess
import sys
from pathlib import Path

from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

WITHOUT = """
import os, signal, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "resource", "termios", "pwd", "grp"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refuse())
for name in ("SIGHUP", "SIGKILL", "SIGUSR1"):
    delattr(signal, name)
for name in ("pread", "killpg", "getuid", "geteuid"):
    delattr(os, name)
from detector.__main__ import main
sys.exit(main())
"""


def test_a_replay_needs_nothing_that_windows_lacks(tmp_path: Path) -> None:
    clip, out = tmp_path / "storm.mp4", tmp_path / "run"
    plan = Plan(seconds=3.0, size=(320, 180), flashes=(FlashPlan(kind="sheet", at=1.5),))
    write_clip(Scene(plan), clip, ClipFormat())
    words = [
        "replay",
        str(clip),
        "--out",
        str(out),
        "--journal",
        str(tmp_path / "events.db"),
        "--verifier",
        "photometric",
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout.count("confirmed") == 1
    assert len((out / "flashes.jsonl").read_bytes().splitlines()) == 1
