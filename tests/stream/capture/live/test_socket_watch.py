"""What the search for a camera's socket does to the other files of the process."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from stream.capture.live.socket_watch import SocketWatch

ASK = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are searched on Linux only")
def test_looking_for_a_socket_takes_no_lock_away_that_the_process_holds_on_a_file(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db-shm"
    with journal.open("w+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        watch = SocketWatch("roof", "127.0.0.1", 9, limit_bytes=1e6)
        watch._find({("127.0.0.1", 9)})
        other = subprocess.run([sys.executable, "-c", ASK, str(journal)], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in other.stderr
