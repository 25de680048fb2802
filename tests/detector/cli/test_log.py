"""The log on stderr: a line is there at once, and a reader who pauses holds up nobody."""

import subprocess
import sys

PROGRAM = """
import logging
from detector.cli.log import log_to_stderr
log_to_stderr()
for number in range(20_000):
    logging.warning("line %d", number)
print("done", flush=True)
input()
"""


def test_whoever_logs_goes_on_while_the_reader_pauses_and_what_is_left_out_is_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "done\n"
        said = []
        while not said or "left out" not in said[-1]:
            said.append(process.stderr.readline())
        process.communicate("\n", timeout=20)
    lines = [line for line in said if " line " in line]
    assert [int(line.split()[-1]) for line in lines] == list(range(len(lines)))
    assert f"stderr: its reader paused; {20_000 - len(lines)} lines of the log were left out here" in said[-1]


def test_a_line_is_there_before_what_is_printed_after_it() -> None:
    program = "import logging, sys\nfrom detector.cli.log import log_to_stderr\nlog_to_stderr()\n"
    program += 'for number in range(100):\n    logging.warning("logged")\n    print("printed", file=sys.stderr)\n'
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert [line.split()[-1] for line in done.stderr.splitlines()] == ["logged", "printed"] * 100
