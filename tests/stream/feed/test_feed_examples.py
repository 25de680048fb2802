"""The examples in other languages and without this package: run as they are, over kills and restarts."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.feed import LIMIT_SECONDS, free_endpoint, options_for, publish
from helpers.waiting import wait_until
from stream import HistoryFilter, Publisher, read_history

EXAMPLES = ROOT / "tools" / "examples"


def node_modules() -> str | None:
    """Where Node's zeromq is: beside the example, or in $NODE_PATH; None if it is nowhere."""
    for folder in (EXAMPLES / "node_modules", *map(Path, os.environ.get("NODE_PATH", "").split(":"))):
        if (folder / "zeromq").is_dir():
            return str(folder)
    return None


def command(language: str, folder: Path) -> list[str]:
    """How to run the example; skips where its parts are missing."""
    if language == "python":
        return [sys.executable, str(EXAMPLES / "subscribe.py")]
    modules = node_modules()
    if shutil.which("node") is None or modules is None:
        pytest.skip("Node or its zeromq is missing: npm install --ignore-scripts --prefix tools/examples")
    # Modules are looked for beside the script, so a copy stands beside them.
    (folder / "node_modules").symlink_to(modules)
    shutil.copy(EXAMPLES / "subscribe.mjs", folder)
    return ["node", str(folder / "subscribe.mjs")]


@pytest.mark.parametrize("language", ["python", "node"])
def test_an_example_gets_every_event_once_over_restarts_and_a_wiped_journal(language: str, tmp_path: Path) -> None:
    endpoint, printed = free_endpoint(), tmp_path / "printed"
    with ExitStack() as stack:
        out = stack.enter_context(printed.open("wb"))
        client = subprocess.Popen([*command(language, tmp_path), endpoint, "0"], stdout=out)
        stack.callback(client.wait, LIMIT_SECONDS)
        stack.callback(client.kill)
        total = 0
        for name in ("one.db", "one.db", "two.db"):
            with Publisher(options_for(endpoint, tmp_path / name), {}) as feed:
                publish(feed, 700)
                total += 700
                wait_until(lambda expected=total: printed.read_bytes().count(b"\n") >= expected)
    got = [json.loads(line)["id"] for line in printed.read_text().splitlines()]
    kept = [one.message.id for name in ("one.db", "two.db") for one in read_history(tmp_path / name, HistoryFilter())]
    assert got == kept
