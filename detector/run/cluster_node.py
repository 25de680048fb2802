"""What runs on a node of a Ray cluster for `watch`: the ordinary command, with the node's share of the cameras."""

import os
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from detector.run.child_process import ChildProcess
from stream import HistoryFilter, JournalError, allow_client, make_server_keys, read_history, write_atomically

LEASE_SECONDS = 10.0
"""A node that hears nothing from the driver for so long stops watching: others may have its cameras by then."""

_LOOK_SECONDS = 1.0
_END_SECONDS = 20.0  # for the last verdicts, clips and readers
_LINES = 200  # of its log that wait for the driver
# Ray sets them for an actor that asks for no GPU and no core; here they would hide what the model may use.
_OF_RAY = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Share:
    """What a node is to watch, and how.

    Attributes:
        settings: the settings file of its `watch`.
        environment: variables that the settings name.
        out: folder of its results, if any.
    """

    settings: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class NodeReport:
    """How a node does.

    Attributes:
        endpoint: its feed; empty before it watches.
        server: public key of its feed.
        journal: file of its journal.
        lines: what its `watch` logged since the last report.
    """

    endpoint: str
    server: str
    journal: str
    lines: tuple[str, ...]


class NodeWatch:
    """An actor of the cluster that keeps `watch` running on its node.

    Settings, keys and journal lie in a folder of the node, which a later run continues. Only public keys leave it.

    Args:
        name: of the folder.
        client: public key of the only reader of its feed.
        address: of this node, on which its feed listens.
    """

    def __init__(self, name: str, client: str, address: str) -> None:
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        self._folder = Path(state).expanduser() / "lightning-detector" / "nodes" / name
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = self._folder / "keys"
        shutil.rmtree(keys, ignore_errors=True)
        self._server = make_server_keys(keys).public
        allow_client(keys, "driver", client)
        self._address = address
        self._endpoint = ""
        self._share: Share | None = None
        self._child: ChildProcess | None = None
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._lock = threading.Lock()
        self._kept = time.monotonic()
        threading.Thread(target=self._look_at_lease, name="lease", daemon=True).start()

    def keep(self, share: Share | None) -> NodeReport:
        """Watch this share from now on, if any, for as long as this is called again and again.

        Returns:
            how this node does.
        """
        with self._lock:
            self._kept = time.monotonic()
            if share is not None and share != self._share:
                self._take(share)
            if self._child is not None:
                self._child.check()
            lines = tuple(self._lines.popleft() for _ in range(len(self._lines)))
            return NodeReport(self._endpoint, self._server, str(self._journal), lines)

    def stop(self) -> int:
        """Stop watching; return the last number of the journal, 0 if it is empty."""
        with self._lock:
            self._kept = float("inf")
            if self._child is not None:
                self._child.end()
            self._settings.unlink(missing_ok=True)
        try:
            return max((kept.sequence for kept in read_history(self._journal, HistoryFilter(newest=1))), default=0)
        except JournalError:  # it was never made
            return 0

    @property
    def _journal(self) -> Path:
        return self._folder / "journal.sqlite"

    @property
    def _settings(self) -> Path:
        return self._folder / "cameras.toml"

    def _take(self, share: Share) -> None:
        before, self._share = self._share, share
        write_atomically(self._settings, share.settings.encode(), mode=0o600)
        if self._child is not None and before is not None and before.environment == share.environment:
            self._child.tell("the cameras have changed")
            return
        if self._child is not None:
            self._child.end()
        own = {name: value for name, value in os.environ.items() if name not in _OF_RAY}
        self._child = ChildProcess(
            "watch",
            self._arguments,
            _END_SECONDS,
            environment=own | dict(share.environment),
            on_line=self._lines.append,
            folder=self._folder,
        )

    def _arguments(self) -> list[str]:
        host = f"[{self._address}]" if ":" in self._address else self._address
        self._endpoint = f"tcp://{host}:{_free_port(self._address)}"
        words = ["watch", "--engine", "local", "--config", str(self._settings), "--publish", self._endpoint]
        words += ["--journal", str(self._journal), "--keys", str(self._folder / "keys"), "--quiet"]
        out = None if self._share is None else self._share.out
        return words if out is None else [*words, "--out", str(out)]

    def _look_at_lease(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                if self._child is not None and time.monotonic() - self._kept > LEASE_SECONDS:
                    self._child.end()


def _free_port(address: str) -> int:
    """Return a port of this node that is free, as is the one above it; `watch` ends if one is taken meanwhile."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        with socket.socket(family) as events, socket.socket(family) as history:
            events.bind((address, 0))
            port: int = events.getsockname()[1]
            try:
                history.bind((address, port + 1))
            except (OSError, OverflowError):
                continue
            return port
