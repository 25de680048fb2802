"""`notify` as a program, beside a real feed and a real web server."""

import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from detector.cli.main import main
from detector.events import Media
from helpers import ROOT
from helpers.broker import free_port
from helpers.hook_server import HookServer, hook_server
from helpers.live_page import made_status
from helpers.mqtt_bridge import Site, site
from helpers.service import ended_like_a_service
from helpers.storms import made_still
from helpers.waiting import wait_until

pytestmark = pytest.mark.timeout(600)

SECRET = "not-for-everyone-7"


@contextmanager
def notify(north: Site, url: str, *words: str, log: Path) -> Iterator[psutil.Process]:
    """Run the program until the block ends; it is listening when the block begins."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "detector", "notify", north.endpoint, "--to", url, *words],
            stdout=errors, stderr=errors, env=os.environ | {"HOOK_SECRET": SECRET}, cwd=ROOT,
        )  # fmt: skip
    with ended_like_a_service(process) as running:
        wait_until(lambda: b"connected" in log.read_bytes() or process.poll() is not None, 150)
        yield running


def hook_url(hook: HookServer) -> str:
    return f"webhook://127.0.0.1:{hook.port}/alerts?secret={{HOOK_SECRET}}"


def kinds(hook: HookServer) -> list[list[str]]:
    return [[alert["kind"] for alert in post.json["alerts"]] for post in hook.taken]


def alerts(hook: HookServer) -> list[str]:
    return [kind for message in kinds(hook) for kind in message]


def reached(place: Path) -> int:
    """The number that the cursor is at."""
    return max(one["sequence"] for one in msgspec.json.decode(place.read_bytes())["feeds"].values())


def test_five_hundred_flashes_are_two_messages_at_most_and_none_again_after_a_restart(tmp_path: Path) -> None:
    log, words = tmp_path / "log", ("--cursor", str(tmp_path / "place"), "--set", "notify.messages_per_hour=3")
    with site(tmp_path, "roof") as north, hook_server() as hook:
        with notify(north, hook_url(hook), *words, log=log) as process:
            assert SECRET not in " ".join(process.cmdline())
            for _ in range(500):
                north.flash("roof")
            wait_until(lambda: alerts(hook) == ["first_flash", "storm_began"], 60)
            wait_until(lambda: reached(tmp_path / "place") >= 500, 60)  # of 501: the flashes, and the storm that began
        log.write_bytes(b"")
        with notify(north, hook_url(hook), *words, log=log):
            north.flash("roof")
            wait_until(lambda: reached(tmp_path / "place") >= 502, 150)
        assert alerts(hook) == ["first_flash", "storm_began"]  # in one message, or in two if the storm came later
        assert SECRET not in log.read_text()


def test_a_target_that_is_not_there_gets_one_summary_once_it_is(tmp_path: Path) -> None:
    port = free_port()
    url = f"webhook://127.0.0.1:{port}/alerts?secret={{HOOK_SECRET}}"
    words = ("--set", "notify.camera_down_seconds=0", "--cursor", str(tmp_path / "place"))
    with site(tmp_path, "roof", "yard") as north, notify(north, url, *words, log=tmp_path / "log") as process:
        north.flash("roof")
        wait_until(lambda: "trying again" in (tmp_path / "log").read_text(), 150)
        north.flash("roof")
        north.status = made_status("roof", "yard", state="down")
        kept = tmp_path / "place.alerts"
        wait_until(
            lambda: (
                kept.is_file()
                and all(
                    word in kept.read_text()
                    for word in ("storm_began", "camera_down test/roof", "camera_down test/yard")
                )
            ),
            150,
        )
        with hook_server(port) as hook:
            wait_until(lambda: hook.taken, 150)
            (found,) = kinds(hook)
            assert sorted(found) == ["camera_down", "camera_down", "first_flash", "storm_began"]
            assert hook.taken[0].json["title"] == "test: 4 messages that had to wait"
        assert process.is_running()


def test_what_waited_when_the_program_was_killed_is_sent_after_its_start(tmp_path: Path) -> None:
    port, words = free_port(), ("--cursor", str(tmp_path / "place"))
    url = f"webhook://127.0.0.1:{port}/alerts"
    with site(tmp_path, "roof") as north:
        with notify(north, url, *words, log=tmp_path / "log") as process:
            north.flash("roof")
            wait_until(lambda: "trying again" in (tmp_path / "log").read_text(), 150)
            process.kill()
        (tmp_path / "log").write_bytes(b"")
        with hook_server(port) as hook, notify(north, url, *words, log=tmp_path / "log"):
            wait_until(lambda: kinds(hook) == [["first_flash"]], 150)


def test_the_still_of_the_flash_goes_with_the_message(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made_still(out / "roof" / "a.jpg", 1)
    words = (
        "--attach",
        "still",
        "--out",
        str(out),
        "--on",
        "first_flash",
        "--template",
        "first_flash={camera}, {pulses}",
    )
    with (
        site(tmp_path, "roof") as north,
        hook_server() as hook,
        notify(north, hook_url(hook), *words, log=tmp_path / "log"),
    ):
        north.flash("roof", media=Media(still="roof/a.jpg"))
        wait_until(lambda: hook.taken, 150)
        told = hook.taken[0].json
        assert [one["name"] for one in told["attachments"]] == ["a.jpg"]
        assert told["text"].startswith("roof, 1\n")
        assert "Not a safety device" in told["text"]


def test_a_message_waits_for_the_clip_which_follows_the_flash(tmp_path: Path) -> None:
    clip = tmp_path / "out" / "roof" / "a.mp4"
    clip.parent.mkdir(parents=True)
    words = ("--attach", "clip", "--out", str(tmp_path / "out"), "--on", "first_flash")
    with (
        site(tmp_path, "roof") as north,
        hook_server() as hook,
        notify(north, hook_url(hook), *words, log=tmp_path / "log"),
    ):
        flash = north.flash("roof", media=Media(still="roof/a.jpg"))
        clip.write_bytes(b"a whole clip")
        north.storms.publish(
            msgspec.structs.replace(flash, revision=3, media=Media(clip="roof/a.mp4"), changed=("media.clip",))
        )
        wait_until(lambda: hook.taken, 150)
        (attached,) = hook.taken[0].json["attachments"]
        assert (attached["name"], attached["type"]) == ("a.mp4", "video/mp4")
        assert b64decode(attached["base64"]) == b"a whole clip"


def test_a_dry_run_prints_and_sends_nothing(tmp_path: Path) -> None:
    with site(tmp_path, "roof") as north, hook_server() as hook:
        for _ in range(3):
            north.flash("roof")
        with notify(north, hook_url(hook), "--dry-run", "--since", "0", log=tmp_path / "log"):
            wait_until(lambda: "a storm has begun" in (tmp_path / "log").read_text(), 150)
        text = (tmp_path / "log").read_text()
        assert "target 1 (webhook)" in text
        assert SECRET not in text
        assert not hook.posts


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--attach", "still"], "add --out DIR"),
        (["--dry-run", "--cursor", "place"], "--cursor must not move"),
        (["--quiet-hours", "22-7"], "quiet_hours"),
        (["--quiet-hours", "29:00-07:00"], "two times of day"),
        (["--template", "storm"], "KIND=TEXT"),
        (["--template", "storm_began={nonsense}"], "is not known"),
        (["--cooldown", "-1"], "cooldown_seconds"),
        (["--to", "webhook://h/?secret={NOT_SET_ANYWHERE}"], "NOT_SET_ANYWHERE"),
    ],
)
def test_wrong_flags_are_named(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["notify", "tcp://127.0.0.1:5556", "--to", "webhook://127.0.0.1:9/x", *words])
    assert code in (1, 2)
    assert complaint in capsys.readouterr().err


def test_help_says_that_this_is_no_safety_device(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("notify", "mqtt"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert "light, not distance: this is not a safety device" in told
