"""Whether this computer's clock is synchronised, by the kernel or timedatectl, and what its error is taken to be."""

import os
import stat
from pathlib import Path

import pytest

from stream.capture.timing.host_clock import HostClock, HostClockError, read_host_clock


def test_the_kernels_answer_is_that_of_its_own_tools() -> None:
    found = read_host_clock()
    assert found.source in ("adjtimex", "timedatectl", None)
    if found.synchronised:
        assert found.error_ms is None or 0 <= found.error_ms <= 16_000
    else:
        assert found.error_ms is None


@pytest.mark.parametrize(("said", "synchronised"), [("yes", True), ("no", False), ("", None)])
def test_where_the_kernel_may_not_be_asked_timedatectl_is(
    said: str, synchronised: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "timedatectl"
    command.write_text(f"#!/bin/sh\necho {said}\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = read_host_clock(kernel=False)
    assert found.synchronised is synchronised
    assert found.source == (None if synchronised is None else "timedatectl")


def test_the_error_is_read_again_after_half_a_minute_and_a_clock_that_nobody_keeps_gets_the_set_one() -> None:
    now = [100.0]
    answers = [HostClock(synchronised=True, error_ms=12.0), HostClock(synchronised=False), HostClock()]
    error = HostClockError(700.0, read=lambda: answers.pop(0), now=lambda: now[0])
    said = []
    for _ in range(6):
        said.append((error.ms(), error.synchronised))
        now[0] += 16.0
    assert said == [(12.0, True), (12.0, True), (700.0, False), (700.0, False), (700.0, None), (700.0, None)]


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (HostClock(synchronised=True, error_ms=12.4, source="adjtimex"), "synchronised, to 12 ms at worst (adjtimex)"),
        (HostClock(synchronised=True, source="timedatectl"), "synchronised (timedatectl)"),
        (HostClock(synchronised=False, source="adjtimex"), "timedatectl set-ntp true"),
        (HostClock(), "does not say"),
    ],
)
def test_it_is_said_in_words_with_what_to_do(clock: HostClock, words: str) -> None:
    assert words in str(clock)
