"""The part of `watch --engine ray` on a node, without Ray: the real `watch`, and its feed."""

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from detector.run.cameras import load_cameras
from detector.run.cluster_node import LEASE_SECONDS, NodeReport, NodeWatch, Share
from detector.run.cluster_watch import settings_text
from helpers.waiting import wait_until
from stream import ClientKeys, HistoryFilter, JournalError, Subscriber, SubscriberOptions, new_client_keys, read_history

URL = "rtsp://joe:pa55word@127.0.0.1:1/cam"  # nothing listens there


def share_of(*names: str) -> Share:
    tables = {"verifier": {"kind": "photometric"}, "camera": [{"name": name, "url": URL} for name in names]}
    settings, cameras = load_cameras([("test", tables)])
    return Share(settings_text(settings, "site-here", cameras), {})


def states(report: NodeReport) -> list[tuple[str, Any]]:
    wanted = HistoryFilter(topics=("ev.system",))
    try:
        told = [kept.message for kept in read_history(Path(report.journal), wanted)]
    except JournalError:
        return []  # it is just being made
    return [(message.data["state"], message.data["cameras"]) for message in told]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_node_takes_another_share_without_a_new_start_lets_one_reader_in_and_ends_when_nobody_asks(
    state: Path,
) -> None:
    keys = new_client_keys()
    node = NodeWatch("site-here", keys.public, "127.0.0.1")
    assert node.keep(None).endpoint == ""
    share = share_of("a")
    report = node.keep(share)
    wait_until(lambda: node.keep(share) and states(report) == [("started", ["a"])], 120, "it watches")
    (settings,) = state.rglob("cameras.toml")
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert "pa55word" in settings.read_text()
    words = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not [line for line in words if "pa55word" in line]
    more = share_of("a", "b")
    wait_until(lambda: node.keep(more) and states(report)[1:] == [("reloaded", ["a", "b"])], 60, "it takes another")

    with Subscriber(report.endpoint, options=reading(keys, report)) as subscriber:
        first = subscriber.receive(60)
        assert first is not None
        assert subscriber.cursors[first.message.feed].sequence == 1
    wait_until(lambda: states(report)[-1][0] == "stopped", LEASE_SECONDS + 30, "it stops watching")
    node.keep(more)
    wait_until(lambda: node.keep(more) and states(report)[-1] == ("started", ["a", "b"]), 120, "it watches again")
    assert node.stop() == max(kept.sequence for kept in read_history(Path(report.journal), HistoryFilter()))
    assert states(report)[-1] == ("stopped", ["a", "b"])
    assert not settings.exists()


def reading(keys: ClientKeys, report: NodeReport) -> SubscriberOptions:
    return SubscriberOptions(since=0, keys=(replace(keys, server=report.server),))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_watch_of_a_node_ends_well_when_its_actor_is_killed(state: Path) -> None:
    program = (
        "import sys, time\nfrom detector.run.cluster_node import NodeWatch, Share\n"
        "node = NodeWatch('site-here', '0' * 40, '127.0.0.1')\nshare = Share(sys.argv[1], {})\n"
        "while True:\n    print(node.keep(share).journal, flush=True)\n    time.sleep(0.5)\n"
    )
    command = [sys.executable, "-c", program, share_of("a").settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as actor:
        try:
            assert actor.stdout is not None
            report = NodeReport("", "", actor.stdout.readline().strip(), ())
            wait_until(lambda: states(report) == [("started", ["a"])], 120, "it watches")
            watch = psutil.Process(actor.pid).children()
        finally:
            actor.send_signal(signal.SIGKILL)
    assert watch
    assert not psutil.wait_procs(watch, timeout=60)[1]
    assert states(report)[-1] == ("stopped", ["a"])
