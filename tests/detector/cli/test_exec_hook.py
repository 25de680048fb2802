"""A user's program that is run for each event."""

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from detector.cli.exec_hook import EventCommand


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it is let go while it runs
def test_a_program_that_runs_as_another_user_and_too_long_is_named_and_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []

    def refuse(group: int, _number: int) -> None:
        """As the system answers where the program became root's by sudo, which a test cannot be sure to have."""
        refused.append(group)
        raise PermissionError

    told: list[str] = []
    try:
        with (
            monkeypatch.context() as patched,
            closing(EventCommand("sleep 30", limit_seconds=0.1, jobs=1, complain=told.append)) as command,
        ):
            patched.setattr(os, "killpg", refuse)
            command.run("message 1", b"{}").result(20)
    finally:
        os.killpg(refused[0], signal.SIGKILL)
        os.waitpid(refused[0], 0)  # no later test shall find a child of its own that nobody awaits
    assert told == ["message 1: sleep ran longer than 0.1 s and may not be stopped: it runs as another user"]
