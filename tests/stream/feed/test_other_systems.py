"""The feed publishes, journals and receives where fcntl and POSIX signals are missing, as on Windows."""

import subprocess
import sys
from pathlib import Path

from helpers.feed import free_endpoint

PROGRAM = """
import os, signal, sys
from pathlib import Path

MISSING = {"fcntl", "resource", "termios", "pwd", "grp"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in MISSING:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refuse())
for name in ("SIGHUP", "SIGKILL", "SIGUSR1"):
    delattr(signal, name)
for name in ("pread", "pwrite", "killpg", "getuid", "geteuid"):
    delattr(os, name)

from stream import FeedOptions, JournalError, Publisher, Subscriber, SubscriberOptions

endpoint, folder = sys.argv[1], Path(sys.argv[2])
options = FeedOptions(endpoint=endpoint, journal=folder / "j.db", farewell_seconds=0)
for run in range(2):
    with Publisher(options, {}) as feed:
        feed.publish(topic="ev.flash.cam", type="t", subject="cam", dataschema="d", data={"run": run})
        try:
            Publisher(FeedOptions(journal=folder / "j.db"), {}).__enter__()
        except JournalError as error:
            print(error, flush=True)
        with Subscriber(endpoint, options=SubscriberOptions(since=0, cursor=folder / "place")) as events:
            event = events.receive(20)
            print(event.sequence, event.message.data["run"], flush=True)
"""


def test_the_feed_needs_nothing_that_windows_lacks(tmp_path: Path) -> None:
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM, free_endpoint(), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    refused, first, refused_again, second = done.stdout.splitlines()
    assert "another publisher (process " in refused
    assert refused_again == refused
    assert [first, second] == ["1 0", "2 1"]
