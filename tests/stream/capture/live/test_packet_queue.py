"""What a camera's connections leave for the thread that decodes, and what a slow one misses of it."""

import contextlib

import numpy as np
from av import VideoFrame

from stream.capture.live.connection import Connection, Opened, Shot
from stream.capture.live.packet_queue import Inbox

ROOM = 50  # pictures: the least that an inbox has
PICTURE = VideoFrame.from_ndarray(np.zeros((2, 2, 3), np.uint8), format="bgr24")


class Idle(Connection):
    """A connection whose pictures the test leaves itself."""

    def __init__(self) -> None:
        super().__init__("roof", "rtsp://camera/live", lambda _connection, _item: None)
        self.let_go()

    def _read(self, opened: contextlib.ExitStack) -> None:
        pass


def shot(*, key: bool) -> Shot:
    return Shot(PICTURE, arrival=0.0, utc_minus_arrival=0.0, key=key)


def drained(inbox: Inbox) -> list[tuple[Connection, bool]]:
    """Whose picture each is that waits, and whether it is a key frame."""
    left = [entry for _ in range(inbox.waiting) if (entry := inbox.get(0)) is not None]
    return [(connection, item.key) for connection, item in left if isinstance(item, Shot)]


def test_of_two_connections_that_find_no_room_each_goes_on_with_a_key_frame_of_its_own() -> None:
    inbox, old, fresh = Inbox(0.1), Idle(), Idle()
    inbox.put(old, Opened(0.04))
    while inbox.waiting < ROOM:
        inbox.put(old, shot(key=False))
    for connection in (old, fresh):
        inbox.put(connection, shot(key=False))
    assert inbox.skipped == 2
    drained(inbox)
    for key in (False, True, False):
        for connection in (old, fresh):
            inbox.put(connection, shot(key=key))
    assert drained(inbox) == [(old, True), (fresh, True), (old, False), (fresh, False)]
    assert inbox.skipped == 4


def test_what_was_skipped_is_taken_up_again_only_at_a_key_frame_that_finds_half_of_the_room_free() -> None:
    inbox, roof = Inbox(0.1), Idle()
    while inbox.waiting < ROOM:
        inbox.put(roof, shot(key=False))
    inbox.put(roof, shot(key=True))
    inbox.get(0)
    inbox.put(roof, shot(key=True))  # nearly no room: the next pictures would be missed again
    assert inbox.skipped == 2
    while inbox.waiting > ROOM // 2:
        inbox.get(0)
    inbox.put(roof, shot(key=True))
    assert (inbox.waiting, inbox.skipped) == (ROOM // 2 + 1, 2)
