"""Starting, hurting and stopping the RTSP server of the tests."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from helpers.ports import free_port

SERVER = Path(__file__).parent / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"


def missing() -> str | None:
    """Why the RTSP server cannot run on this machine, or None."""
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if not shutil.which(SYSTEM_PYTHON):
        return f"no {SYSTEM_PYTHON}"
    done = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, check=False, timeout=60)
    return "the GStreamer RTSP server is not installed (see tests/rtsp_server.py)" if done.returncode else None


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine, signed by itself, alone and together with its key."""
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "both.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return certificate, both


class RtspServer:
    """A camera in a process of its own that serves `clip` at `url`.

    `start` and `kill` may alternate: it comes back on the same port, also with another clip.
    """

    def __init__(self, clip: Path | None, *arguments: str, path: str = "/cam", port: int | None = None) -> None:
        self.clip = clip
        self.path = path
        self.port = port or free_port()
        self.arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}{self.path}"

    def start(self) -> Self:
        """Run it and wait until it takes clients."""
        command = [SYSTEM_PYTHON, str(SERVER), *([str(self.clip)] if self.clip else [])]
        command += ["--port", str(self.port), "--path", self.path, *self.arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the RTSP server did not start"
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP and SIGCONT freeze and thaw, SIGUSR1 mutes, SIGUSR2 throws clients out."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def kill(self) -> None:
        """End it at once, as a power cut would, but for the kernel closing its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
