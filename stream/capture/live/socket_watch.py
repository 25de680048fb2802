"""Watch what FFmpeg reads for one connection: count its bytes, and end reads that would not end."""

import contextlib
import errno
import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_TICK_SECONDS = 0.02  # a fast link brings 40 MB in this time, and FFmpeg doubles its buffer for them
_SEARCH_SECONDS = 0.02  # while it connects: much may arrive within a tick
_SEARCH_GROWTH = 1.05
_LONGEST_SEARCH_SECONDS = 1.0  # if the source redirected FFmpeg to another host
_GRACE_SECONDS = 1.5  # FFmpeg first gets time to end the session with the camera by itself
_LEAST_SILENCE_SECONDS = 1.0  # without a frame, before growth of the process may be this connection's
_FEW_BYTES = 1 << 20  # over TCP: the video comes another way
_RECEIVED_AT = 128  # tcpi_bytes_received in Linux's struct tcp_info
_DESCRIPTORS = Path("/proc/self/fd")
_MEMORY = Path("/proc/self/statm")

_NOT_THAT_SOCKET = "another one by now, or no socket"

_claimed: set[int] = set()  # inodes of the sockets of other watches
_claim_lock = threading.Lock()


class SocketWatch:
    """Limit the bytes that one connection receives without completing a frame, in a thread of its own.

    FFmpeg collects an endless frame without a limit, and cannot be interrupted while data comes. So its socket is shut
    down when more than the limit came since the last `reset`, or when a read continues long after `release`. The system
    does not count what comes over UDP: there, the socket is shut down when the memory of the process grew by more than
    the limit while no frame came for a second. Linux only; on other systems there is no limit.

    Attributes:
        tripped: whether the limit was exceeded, and the socket shut down.
    """

    def __init__(self, name: str, host: str, port: int, limit_bytes: float) -> None:
        """Prepare to watch the next connection of this process to `host`.

        Args:
            name: name of the camera.
            host: name or address.
            port: TCP port.
            limit_bytes: the most bytes without a complete frame.
        """
        self.tripped = False
        self._host = host
        self._port = port
        self._limit_bytes = limit_bytes
        self._number = -1
        self._inode = 0  # of the watched socket; 0 while there is none
        self._received = 0
        self._counted_from = 0
        self._frames = self._known_frames = 0
        self._idle_since = time.monotonic()
        self._idle_bytes: int | None = None  # the memory of the process when the last frame came
        self._released = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"socket-{name}", daemon=True)

    @property
    def received(self) -> int | None:
        """Bytes received over the last socket, or None if none was found."""
        return self._received if self._number >= 0 else None

    def reset(self) -> None:
        """Note that a frame was completed."""
        self._counted_from = self._received
        self._frames += 1

    def release(self) -> None:
        """Ask the connection to end; its socket is shut down soon."""
        self._released.set()

    @contextlib.contextmanager
    def watching(self) -> Iterator["SocketWatch"]:
        """Watch inside the block."""
        if sys.platform == "linux":
            self._thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            if self._thread.ident is not None:
                self._thread.join()
            self._let_go()

    def _run(self) -> None:
        addresses = _addresses(self._host, self._port)
        search = _SEARCH_SECONDS
        while not self._ended.wait(_TICK_SECONDS if self._inode else search):
            if not self._inode:
                self._find(addresses)
                search = min(search * _SEARCH_GROWTH, _LONGEST_SEARCH_SECONDS)
            self._measure()  # also of one that was just found: much has come by then
            if self._received - self._counted_from > self._limit_bytes or self._is_growing():
                self.tripped = True
                self._shut_down()
            if self._released.is_set() and not self._ended.wait(_GRACE_SECONDS):
                self._shut_down()

    def _find(self, addresses: set[tuple[str, int]]) -> None:
        for entry in _DESCRIPTORS.iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                number = int(entry.name)
                inode = os.stat(number).st_ino
                if inode in _claimed:
                    continue
                with _shared(number, inode) as one:
                    ours = one.type == socket.SOCK_STREAM and one.getpeername()[:2] in addresses
                with _claim_lock:
                    if ours and inode not in _claimed:
                        _claimed.add(inode)
                        self._number, self._inode = number, inode
                        self._received = self._counted_from = 0
                        return

    def _measure(self) -> None:
        if not self._inode:
            return
        try:
            with _shared(self._number, self._inode) as one:
                facts = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED_AT + 8)
                self._received = struct.unpack_from("=Q", facts, _RECEIVED_AT)[0]
        except (OSError, struct.error):
            self._let_go()  # FFmpeg closed it, and may connect again

    def _is_growing(self) -> bool:
        """Return whether the process grew beyond the limit since the last frame, while little came over TCP."""
        if not self._inode or self._received > _FEW_BYTES:
            return False
        now, held = time.monotonic(), _resident_bytes()
        if self._frames != self._known_frames or self._idle_bytes is None:
            self._known_frames, self._idle_since, self._idle_bytes = self._frames, now, held
            return False
        return now - self._idle_since > _LEAST_SILENCE_SECONDS and held - self._idle_bytes > self._limit_bytes

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError), _shared(self._number, self._inode) as one:
            one.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        with _claim_lock:
            _claimed.discard(self._inode)
        self._inode = 0


@contextlib.contextmanager
def _shared(number: int, inode: int) -> Iterator[socket.socket]:
    """Give FFmpeg's socket inside the block: a duplicate of descriptor `number`, if that is still the same socket.

    A file is never duplicated: closing any descriptor of a file takes away all locks that the process holds on it, and
    another program could then change the journal's shared memory under the publisher.

    Yields:
        the duplicate.

    Raises:
        OSError: the descriptor is closed, reused for another socket, or not a socket.
    """
    if not _is_socket(number, inode):
        raise OSError(errno.EBADF, _NOT_THAT_SOCKET)
    copy = os.dup(number)
    if not _is_socket(copy, inode):  # reused just now; a copy of a file stays open, for the locks
        if stat.S_ISSOCK(os.fstat(copy).st_mode):
            os.close(copy)
        raise OSError(errno.EBADF, _NOT_THAT_SOCKET)
    with socket.socket(fileno=copy) as one:
        yield one


def _is_socket(number: int, inode: int) -> bool:
    status = os.fstat(number)
    return stat.S_ISSOCK(status.st_mode) and status.st_ino == inode


def _resident_bytes() -> int:
    return int(_MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _addresses(host: str, port: int) -> set[tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {(str(address[0]), int(address[1])) for *_, address in found}
