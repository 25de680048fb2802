"""Ctrl-C: the first asks for a clean end, the second leaves at once, and the handlers are given back."""

import signal
import subprocess
import sys
from threading import Event

from detector.cli.signals import stop_on_signals

PROGRAM = """
from threading import Event
from detector.cli.signals import stop_on_signals
with stop_on_signals(Event()) as stop:
    print("ready", flush=True)
    stop.wait(60)
    print("finishing", flush=True)
    {after}
print("done", flush=True)
"""


def started(after: str, number: signal.Signals = signal.SIGINT) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(after=after)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "finishing\n"
    return process


def test_the_first_ctrl_c_lets_the_work_finish() -> None:
    with started("pass") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == "done\n"
        assert "Ctrl-C again leaves now" in process.stderr.read()


def test_the_second_ctrl_c_leaves_at_once() -> None:
    with started("Event().wait(60)") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 130


def test_a_terminal_that_is_closed_lets_the_work_finish_though_it_says_so_twice() -> None:
    with started("input()", signal.SIGHUP) as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGHUP)
        assert process.communicate("\n", timeout=20)[0] == "done\n"
    assert process.returncode == 0


def test_what_runs_under_nohup_does_not_hear_that_its_terminal_was_closed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(Event()) as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_handlers_from_before_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals(Event()):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


LOADING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "stream":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, CtrlC())
from detector.__main__ import main
sys.exit(main())
"""


def test_ctrl_c_while_the_program_is_being_loaded_ends_it_without_a_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")
