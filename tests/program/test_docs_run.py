"""The command lines of the pages do what the pages say: each is run, or named here with the reason why it is not."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av
import pytest

from helpers import ROOT
from helpers.model_server import ModelServer
from helpers.pages import typed
from helpers.ports import free_port
from helpers.rtsp import RtspServer, missing
from helpers.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

PROGRAM = (sys.executable, "-m", "detector")

ENDING = (
    "check --config cameras.toml --pictures pictures",
    "history FILE",
    "history feed.db",
    "keys client wall-display --keys keys/",
    "keys revoke wall-display --keys keys/",
    "keys server --keys keys/",
    "replay -",
    "replay allsky/2026-11-22/",
    "replay clips/ --verifier fused --config my-settings.toml --out run2",
    "replay clips/ --verifier photometric --out run3",
    "replay dashcam/ --joined",
    "replay footage/ --out results",
    "replay now.ts --follow 30",
    "replay storm.mp4",
    "replay storm.mp4 --out results",
    "replay storm.mp4 --out run",
    "report DIR",
    "report JOURNAL --from 2026-07-14T19:00Z --to 2026-07-15 --open",
    "report results --open",
    "schema --type lightning.flash.v1",
    "schema --type lightning.storm.v1",
    "score --network strokes.csv run --at 48.2,16.37 --within-km 30 --json",
    "score --network strokes.csv run --states confirmed",
    "score labels.json run",
    "score labels.json run2 run3 --by verifier",
    "share DIR --composite --reel",
    "tune FILE",
    "tune FILE --evidence",
    "tune FILE --model-images FOLDER",
    "tune storm.mp4 --model-images look/",
)
"""Lines that end by themselves, with 0."""

LASTING = {
    "notify tcp://127.0.0.1:5556 --to ntfys://ntfy.sh/my-topic --since 0 --dry-run": "storm",
    "page tcp://127.0.0.1:5556 --out results": "http://127.0.0.1:",
    "relay tcp://north:5556 tcp://south:5556 --publish tcp://127.0.0.1:5600 --journal all.db": "connected",
    "subscribe tcp://127.0.0.1:5556": "confirmed",
    "subscribe tcp://127.0.0.1:5556 --cursor place": "confirmed",
    "subscribe tcp://127.0.0.1:5556 --cursor place --exec /usr/local/bin/alarm": "alarm",
    "watch --config cameras.toml --journal feed.db": "confirmed",
    "watch rtsp://... --publish tcp://0.0.0.0:5556 --keys keys/": "confirmed",
    "watch rtsp://... --verifier served --endpoint http://127.0.0.1:8045/v1": "confirmed",
    "watch rtsp://... --verifier served --endpoint http://gpu-box:8000/v1": "confirmed",
    "watch rtsp://camera/live --publish tcp://0.0.0.0:5556 --keys keys/": "confirmed",
    "watch rtsp://user:secret@camera/live": "confirmed",
    "watch rtsp://user:secret@camera/live --journal feed.db": "confirmed",
}
"""Lines that go on until Ctrl-C ends them with 0, and what they print before."""

NO_WEIGHTS = "needs gigabytes of weights; tests/program/test_model_runs.py does it with a tiny snapshot"
SECOND = "needs the second environment; tests/program/test_serve_45_runs.py does it with a stand-in"
NOT_RUN = {
    "calibrate labels.json run": "needs runs of a model on many clips; tests/detector/evaluate/test_calibration.py",
    "doctor --smoke": NO_WEIGHTS,
    "doctor --smoke --verifier minicpm": NO_WEIGHTS,
    "doctor --smoke --verifier minicpm --set minicpm.channel=edge": NO_WEIGHTS,
    "doctor --smoke --verifier served --endpoint URL": NO_WEIGHTS,
    "mqtt tcp://127.0.0.1:5556 --broker 'mqtts://user:{MQTT_PASSWORD}@broker.example:8883' --cursor mqtt-place "
    "--discovery homeassistant --out results": "needs a broker; tests/detector/integrations/mqtt",
    "notify tcp://127.0.0.1:5556 --to 'mailtos://me:{MAIL_PASSWORD}@example.org?to=you@example.org' "
    "--cursor notify-place": "needs a mail server; tests/detector/integrations/notify",
    "notify tcp://127.0.0.1:5556 --to 'webhooks://example.org/hook?secret={HOOK_SECRET}' --attach still "
    "--out results": "needs a web server; tests/detector/integrations/notify",
    "notify tcp://127.0.0.1:5556 --to ntfys://ntfy.sh/my-topic --quiet-hours 22:00-07:00 --on storm_began "
    "--on storm_ended": "would send to ntfy.sh; tests/detector/integrations/notify",
    "page tcp://a:5556 tcp://b:5556 --out a=/mnt/a --out b=/mnt/b --key page.key": "needs two sites; "
    "tests/detector/integrations/web",
    "pull --model openbmb/MiniCPM-V-4_5": NO_WEIGHTS,
    "watch --engine ray --config cameras.toml --journal all.db": "needs a cluster; make ray",
    "replay /mnt/archive --out /mnt/results --engine ray --address auto --verifier photometric": "needs a cluster; "
    "make ray",
    "replay clips/ --verifier fused --out run": NO_WEIGHTS,
    "replay https://host/night.m3u8": "needs a web server; tests/stream/capture/test_hls.py",
    "replay storm.mp4 --verifier minicpm": NO_WEIGHTS,
    "serve-45 --smoke --edge": SECOND,
    "serve-45 --trust": SECOND,
    "setup-45 --with PACKAGE": SECOND,
    "subscribe tcp://publisher:5556 --key wall-display.key": "needs keys of both; tests/program/test_feed_commands.py",
}
"""Lines that are not run here, and why."""


def test_each_command_line_of_the_pages_is_run_here_or_named_with_a_reason() -> None:
    shown = {line for _, line in typed() if not line.endswith(" --help")}
    assert shown == {*ENDING, *LASTING, *NOT_RUN}


def program(*words: str, folder: Path, stdin: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=folder,
        input=None if stdin is None else stdin.read_bytes().decode("latin-1"),
        encoding="latin-1",
        capture_output=True,
        timeout=120,
        check=False,
        env=environment(),
    )


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "BROWSER": "true"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages name: recordings, labels, strokes, keys, and runs."""
    folder = tmp_path_factory.mktemp("docs")
    words = "storm.mp4 --seconds 8 --size 320x180 --flash sheet@2 --flash bolt@5 --key-seconds 1 --labels labels.json"
    subprocess.run(
        [sys.executable, str(ROOT / "tools" / "make_storm.py"), *words.split()],
        cwd=folder, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    for name in ("footage/storm.mp4", "clips/storm.mp4", "dashcam/1.mp4", "dashcam/2.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "storm.mp4", folder / name)
    images = folder / "allsky" / "2026-11-22"
    images.mkdir(parents=True)
    with av.open(str(folder / "storm.mp4")) as clip, av.open(str(folder / "now.ts"), "w") as stream:
        copied = stream.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                stream.mux(packet)
    with av.open(str(folder / "storm.mp4")) as clip:
        for number, frame in enumerate(clip.decode(video=0)):
            if number % 12 == 0:
                frame.to_image().save(images / f"2026-11-22_21-{number // 12:02}-00.jpg")
    (folder / "strokes.csv").write_text("time,lat,lon\n2026-11-22T21:00:02Z,48.3,16.4\n")
    for run in ("run", "run2", "run3", "results"):
        start = ("--start", "2026-11-22T21:00:00Z", "--journal", "feed.db") if run == "run" else ()
        place = ("--set", "site.latitude=48.2", "--set", "site.longitude=16.37")
        done = program(
            "replay", "clips/storm.mp4", "--verifier", "photometric", "--out", run, *start, *place, folder=folder
        )
        assert done.returncode == 0, done.stderr
    for words in ("server", "client wall-display"):
        assert program("keys", *words.split(), "--keys", "keys/", folder=folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def camera(made: Path) -> Iterator[str]:
    if reason := missing():
        pytest.skip(reason)
    with RtspServer(made / "storm.mp4") as server:
        yield server.url


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with ModelServer() as server:
        yield server.endpoint


@pytest.fixture
def folder(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the folder, without the result that the line is to make."""
    own = tmp_path / "own"
    shutil.copytree(made, own)
    line = str(request.node.callspec.params["line"])
    if line.startswith("replay") and " --out " in line:
        shutil.rmtree(own / line.split(" --out ")[1].split(maxsplit=1)[0])
    if line.startswith(("keys server", "keys client")):
        shutil.rmtree(own / "keys")
        (own / "wall-display.key").unlink()
    if line.startswith("keys client"):
        assert program("keys", "server", "--keys", "keys/", folder=own).returncode == 0
    return own


def words_of(line: str, **values: str) -> list[str]:
    """The words of a line, with what the pages leave to the reader."""
    names = {"FILE": "storm.mp4", "FOLDER": "look", "DIR": "results", "JOURNAL": "feed.db"}
    if line.startswith("history"):
        names["FILE"] = "feed.db"
    replaced = {**names, **values}
    return [replaced.get(word, word) for word in line.split()]


@pytest.mark.parametrize("line", ENDING)
def test_a_line_that_ends_does_so_well(line: str, folder: Path, request: pytest.FixtureRequest) -> None:
    if "my-settings" in line:
        endpoint = request.getfixturevalue("model")
        (folder / "my-settings.toml").write_text(f'[served]\nendpoint = "{endpoint}"\n')
    if "cameras.toml" in line:
        url = request.getfixturevalue("camera")
        (folder / "cameras.toml").write_text(f'[[camera]]\nname = "roof"\nurl = "{url}"\n')
    done = program(*words_of(line), folder=folder, stdin=folder / "now.ts" if line == "replay -" else None)
    assert done.returncode == 0, done.stderr
    assert done.stdout or done.stderr


@contextmanager
def running(*words: str, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """The process and what it has printed so far."""
    process = subprocess.Popen(
        [*PROGRAM, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )
    told: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=told.extend, args=(iter(process.stdout.readline, ""),), daemon=True)
    with process:
        reader.start()
        try:
            yield process, told
        finally:
            process.kill()
            reader.join(10)


@pytest.mark.parametrize("line", LASTING)
def test_a_line_that_goes_on_works_until_ctrl_c_ends_it_well(
    line: str, folder: Path, camera: str, request: pytest.FixtureRequest
) -> None:
    feed, own = (f"tcp://127.0.0.1:{free_port(neighbours=1)}" for _ in range(2))
    alarm = folder / "alarm"
    alarm.write_text("#!/bin/sh\necho alarm\n")
    alarm.chmod(0o755)
    (folder / "cameras.toml").write_text(f'[[camera]]\nname = "roof"\nurl = "{camera}"\n')
    values = dict.fromkeys(("rtsp://user:secret@camera/live", "rtsp://camera/live", "rtsp://..."), camera)
    values |= dict.fromkeys(("tcp://127.0.0.1:5556", "tcp://north:5556", "tcp://south:5556"), feed)
    values |= {"tcp://127.0.0.1:5600": own, "tcp://0.0.0.0:5556": own.replace("127.0.0.1", "0.0.0.0")}
    values |= {"/usr/local/bin/alarm": str(alarm)}
    if "--verifier served" in line:
        values |= dict.fromkeys(
            ("http://127.0.0.1:8045/v1", "http://gpu-box:8000/v1"), request.getfixturevalue("model")
        )
    words = words_of(line, **values)
    watches = line.startswith("watch")
    if watches and "--publish" not in words:
        words += ["--publish", own]
    if line.startswith("page"):
        words += ["--listen", f"127.0.0.1:{free_port()}"]
    with ExitStack() as stack:
        if not watches:
            stack.enter_context(running("watch", camera, "--publish", feed, "--journal", "site.db", folder=folder))
        process, told = stack.enter_context(running(*words, folder=folder))
        wait_until(lambda: any(LASTING[line] in one for one in told), 60, f"{LASTING[line]!r} of {line}")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, "".join(told)
