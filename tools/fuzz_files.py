#!/usr/bin/env python3
"""Replay damaged recordings: the program must not crash, hang, fill the memory or invent a flash.

Each mutant follows from the seed that is printed with it: `--seed S --count 1 --keep DIR` makes it again.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fuzz.clips import KINDS, encode, make_scene
from fuzz.mutants import mutate
from fuzz.trial import Outcome, Trial

_SCENES = 6


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="fuzz_files.py", description=__doc__)
    made.add_argument("--count", type=int, default=1000, help="mutants (default %(default)s)")
    made.add_argument("--seed", type=int, default=1, help="of the first; they count up (default %(default)s)")
    made.add_argument("--jobs", type=int, default=2, help="replays at once (default %(default)s)")
    made.add_argument("--only", metavar="SUFFIX", help="only this container, e.g. avi")
    made.add_argument("--seconds", type=float, default=30.0, help="limit for a replay (default %(default)s)")
    made.add_argument("--memory", type=float, default=400.0, metavar="MB", help="limit (default %(default)s)")
    made.add_argument("--keep", type=Path, metavar="DIR", help="put mutants that fail there")
    return made


def main() -> int:
    """Run all mutants, and return 1 if any had a fault."""
    given = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _Run(given, Path(folder)).go()


class _Run:
    """All mutants of one call."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self._given = given
        self._folder = folder
        self._kinds = [kind for kind in KINDS if given.only in (None, kind.suffix)]
        scenes = [make_scene(folder, seed) for seed in range(_SCENES)]
        self._clean = {(kind, at): encode(scene, kind) for kind in self._kinds for at, scene in enumerate(scenes)}
        self._faults: Counter[str] = Counter()
        self._codes: Counter[int] = Counter()
        self._peak = self._longest = 0.0

    def go(self) -> int:
        """Check that the clips themselves contain no flash, then run the mutants."""
        for clean in self._clean.values():
            self._finish(f"undamaged {clean.name}", self._wait(Trial(clean, self._given.seconds)), clean)
        waiting = list(range(self._given.seed, self._given.seed + self._given.count))
        running: list[tuple[str, Trial]] = []
        while waiting or running:
            while waiting and len(running) < self._given.jobs:
                running.append(self._begin(waiting.pop(0)))
            for name, trial in list(running):
                outcome = trial.outcome()
                if outcome is not None:
                    running.remove((name, trial))
                    self._finish(name, outcome, trial.path)
                    trial.path.unlink()
            time.sleep(0.01)
        bad = sum(self._faults.values())
        print(
            f"{self._given.count} mutants from seed {self._given.seed}: exit codes {dict(self._codes)}, "
            f"peak {self._peak:.0f} MB, longest {self._longest:.1f} s; faults: {dict(self._faults) or 'none'}"
        )
        return 1 if bad else 0

    def _begin(self, seed: int) -> tuple[str, Trial]:
        kind = self._kinds[seed % len(self._kinds)]
        clean = self._clean[kind, seed // len(self._kinds) % _SCENES]
        damage, data = mutate(clean.read_bytes(), seed)
        path = self._folder / f"{seed}-{damage}.{kind.suffix}"
        path.write_bytes(data)
        return f"seed {seed} {damage} {clean.name}", Trial(path, self._given.seconds)

    @staticmethod
    def _wait(trial: Trial) -> Outcome:
        while (outcome := trial.outcome()) is None:
            time.sleep(0.01)
        return outcome

    def _finish(self, name: str, outcome: Outcome, path: Path) -> None:
        self._codes[outcome.code] += 1
        self._peak = max(self._peak, outcome.peak_mb)
        self._longest = max(self._longest, outcome.seconds)
        faults = outcome.faults(self._given.memory)
        if not faults:
            return
        self._faults.update("confirmed" if "confirmed" in fault else fault for fault in faults)
        print(f"{name}: {', '.join(faults)}: {outcome.errors.strip()[-300:]}", flush=True)
        if self._given.keep is not None:
            self._given.keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self._given.keep)


if __name__ == "__main__":
    sys.exit(main())
