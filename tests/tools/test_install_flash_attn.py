"""tools/install_flash_attn.sh: the matching wheel, or why there is none."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from helpers import ROOT

SCRIPT = ROOT / "tools" / "install_flash_attn.sh"
MATCHING = "flash_attn-2.8.2+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[str]:
    """A mirror that has one wheel, of the second newest version."""
    (tmp_path / "v2.8.2").mkdir()
    (tmp_path / "v2.8.2" / MATCHING).write_bytes(b"wheel")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def run(*words: str, releases: str = "http://127.0.0.1:9") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"FLASH_ATTN_RELEASES": releases, "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [str(SCRIPT), *words], capture_output=True, text=True, timeout=100, check=False, env=environment
    )


def test_the_newest_wheel_that_matches_is_named(releases: str) -> None:
    done = run("--for", "cp311 2.8 12 TRUE linux_x86_64", releases=releases)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{releases}/v2.8.2/{MATCHING.replace('+', '%2B')}"


@pytest.mark.parametrize("facts", ["cp312 2.8 12 TRUE linux_x86_64", "cp311 2.13 13 TRUE linux_x86_64"])
def test_no_wheel_for_these_versions_is_said_with_what_can_be_done(facts: str, releases: str) -> None:
    done = run("--for", facts, releases=releases)
    assert done.returncode == 1
    tag, torch, *_ = facts.split()
    assert f"Python {tag}, torch {torch}" in done.stderr
    assert "--attn sdpa" in done.stderr


def test_no_network_is_not_taken_for_no_wheel() -> None:
    done = run("--for", "cp311 2.8 12 TRUE linux_x86_64")
    assert done.returncode == 1
    assert "cannot reach" in done.stderr


def test_another_system_is_told_at_once() -> None:
    assert "linux_x86_64 and linux_aarch64 only" in run("--for", "cp311 2.8 12 TRUE macosx_11_0_arm64").stderr
    assert run("--nonsense").returncode == 2


def test_a_torch_without_cuda_is_told_before_anything_is_fetched() -> None:
    torch = pytest.importorskip("torch", reason="the extra minicpm is not installed")
    if torch.version.cuda is not None:
        pytest.skip("this torch has CUDA")
    done = run("--python", sys.executable)
    assert done.returncode == 1
    assert "built without CUDA" in done.stderr
