"""`check`: real cameras, good ones and bad ones."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.media import Clip, make_clip
from helpers.rtsp import RtspServer

PROGRAM = (sys.executable, "-m", "detector")


def check(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*PROGRAM, "check", *words], capture_output=True, text=True, timeout=90, check=False)


def results(*words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = check(*words, "--json")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {one["camera"]: one for one in json.loads(done.stdout)["cameras"]}


def test_a_good_camera_is_described_and_drawn_with_its_mask_and_region(
    rtsp_server: Callable[..., RtspServer], camera_clip: Path, tmp_path: Path
) -> None:
    config = tmp_path / "cameras.toml"
    config.write_text(
        f'[[camera]]\nname = "roof"\nurl = "{rtsp_server(camera_clip).url}"\nregion = [0.0, 0.0, 1.0, 0.75]\n'
        "mask = [{ polygon = [[0.5, 0.0], [1.0, 0.0], [1.0, 0.5], [0.5, 0.5]] }]\n"
    )
    code, found = results("--config", str(config), "--pictures", str(tmp_path / "out"))
    roof = found["roof"]
    assert code == 0
    assert (roof["codec"], roof["size"], roof["error"]) == ("h264", [640, 360], None)
    assert roof["fps"] == pytest.approx(25, rel=0.1)
    assert roof["key_seconds"] == pytest.approx(1.0, abs=0.3)
    assert roof["sender_reports"] >= 1
    assert roof["clock"] == "rtcp"
    assert abs(roof["latency_seconds"]) < 0.5
    image = np.asarray(Image.open(tmp_path / "out" / "roof.jpg").convert("RGB"), np.float32)
    red = image[..., 0] - image[..., 1:].mean(axis=2)
    assert red[40:140, 360:600].mean() > red[40:140, 40:280].mean() + 30  # the mask
    assert red[300:340, 40:280].mean() > red[40:140, 40:280].mean() + 30  # below the region


def test_a_dead_camera_fails_alone_and_all_are_tried_at_the_same_time(
    rtsp_server: Callable[..., RtspServer], camera_clip: Path, tmp_path: Path
) -> None:
    config = tmp_path / "cameras.toml"
    dead = "".join(f'[[camera]]\nname = "dead-{n}"\nurl = "rtsp://user:secret@127.0.0.1:{n}/x"\n' for n in (1, 2, 3))
    config.write_text(dead + f'[[camera]]\nname = "roof"\nurl = "{rtsp_server(camera_clip).url}"\n')
    began = time.monotonic()
    code, found = results("--config", str(config), "--seconds", "3", "--set", "capture.open_seconds=4")
    assert code == 1
    assert time.monotonic() - began < 35
    assert found["roof"]["ok"]
    for n in (1, 2, 3):
        assert "refused" in found[f"dead-{n}"]["error"]
        assert "secret" not in json.dumps(found)


def test_a_long_key_frame_interval_and_a_black_image_are_warned_of(
    rtsp_server: Callable[..., RtspServer], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "rare.mp4", Clip(seconds=10, key_seconds=4.0))
    code, found = results(rtsp_server(clip).url, "--seconds", "9")
    (only,) = found.values()
    assert code == 0
    assert "key frame" in " ".join(only["warnings"])


def test_people_get_a_table_and_what_to_set(rtsp_server: Callable[..., RtspServer], camera_clip: Path) -> None:
    done = check(rtsp_server(camera_clip).url, "rtsp://127.0.0.1:1/x", "--seconds", "2")
    assert done.returncode == 1
    assert "h264" in done.stdout
    assert "640x360" in done.stdout
    assert "refused" in done.stdout
