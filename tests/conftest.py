"""What tests of several rooms share: clips, a real RTSP camera and what may go wrong on the way to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import msgspec
import pytest

from detector.settings import load_settings
from helpers.mangler import Faults, Mangler
from helpers.media import Clip, make_clip
from helpers.rtsp import RtspServer, missing
from helpers.standin45 import ENVIRONMENT, Serving, build_standin, lay_out
from stream import CaptureOptions

rtsp_missing = cache(missing)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the RTSP server or the second environment carries its marker."""
    for item in items:
        if "rtsp_server" in getattr(item, "fixturenames", ()):
            item.add_marker("rtsp")
        if "environment45" in getattr(item, "fixturenames", ()):
            item.add_marker("env45")
            item.add_marker(pytest.mark.timeout(600))  # the first of them may have to make the environment


@pytest.fixture(scope="session")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of 640x360 at 25 pictures/s with a key frame each second, a counter burnt in and three flashes."""
    return make_clip(tmp_path_factory.mktemp("clip") / "camera.mp4", Clip(seconds=10, flashes=(60, 61, 130, 210)))


@pytest.fixture
def rtsp_server() -> Iterator[Callable[..., RtspServer]]:
    """Starts RTSP cameras: `rtsp_server(clip, "--user", "u", ...)` gives a running RtspServer."""
    if reason := rtsp_missing():
        pytest.skip(reason)
    with ExitStack() as stack:
        yield lambda clip, *arguments, **more: stack.enter_context(RtspServer(clip, *arguments, **more))


@pytest.fixture
def mangled() -> Iterator[Callable[[RtspServer, Faults], tuple[Mangler, str]]]:
    """Puts a Mangler in front of a server: `mangler, url = mangled(server, Faults(drop=0.01))`."""
    with ExitStack() as stack:

        def start(server: RtspServer, faults: Faults) -> tuple[Mangler, str]:
            mangler = stack.enter_context(Mangler(server.port, faults))
            return mangler, server.url.replace(str(server.port), str(mangler.port))

        yield start


@pytest.fixture(scope="session")
def capture_options() -> CaptureOptions:
    """The shipped options with waits short enough for tests."""
    return msgspec.structs.replace(
        load_settings().capture, open_seconds=3.0, stall_seconds=1.0, retry_first_seconds=0.1, retry_quick_seconds=0.3
    )


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as Hugging Face's, with a tiny snapshot of each model of the program."""
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    from helpers.models import tiny_hub_cache  # noqa: PLC0415 - imports torch, which the program runs without

    return tiny_hub_cache(tmp_path_factory.getbasetemp() / "hub")


@pytest.fixture(scope="session")
def environment45() -> Path:
    """The second environment's folder, made by what `setup-45` runs; kept in the checkout while it is up to date."""
    ENVIRONMENT.make()
    return ENVIRONMENT.folder


@pytest.fixture(scope="session")
def standin45(environment45: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in snapshot of MiniCPM-V 4.5, to be copied."""
    return build_standin(tmp_path_factory.mktemp("standin45") / "snapshot")


@pytest.fixture(scope="session")
def served45(standin45: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The plain stand-in, trusted and served by `serve-45`."""
    with lay_out(standin45, tmp_path_factory.mktemp("served45")).serving("--trust") as serving:
        yield serving
