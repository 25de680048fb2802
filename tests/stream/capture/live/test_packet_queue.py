"""What a camera's connections leave for the thread that decodes, and what a slow one misses of it."""

import contextlib

import numpy as np
from av import VideoFrame

from stream.capture.live.connection import Connected, Connection, DecodedFrame
from stream.capture.live.packet_queue import PacketQueue

ROOM = 50  # frames: the least that a queue has
FRAME = VideoFrame.from_ndarray(np.zeros((2, 2, 3), np.uint8), format="bgr24")


class Idle(Connection):
    """A connection whose frames the test leaves itself."""

    def __init__(self) -> None:
        super().__init__("roof", "rtsp://camera/live", lambda _connection, _item: None)
        self.release()

    def _read(self, opened: contextlib.ExitStack) -> None:
        pass


def decoded(*, key: bool) -> DecodedFrame:
    return DecodedFrame(FRAME, arrival=0.0, utc_minus_arrival=0.0, key=key)


def drained(packets: PacketQueue) -> list[tuple[Connection, bool]]:
    """Whose frame each is that waits, and whether it is a key frame."""
    left = [entry for _ in range(packets.waiting) if (entry := packets.get(0)) is not None]
    return [(connection, item.key) for connection, item in left if isinstance(item, DecodedFrame)]


def test_of_two_connections_that_find_no_room_each_goes_on_with_a_key_frame_of_its_own() -> None:
    packets, old, fresh = PacketQueue(0.1), Idle(), Idle()
    packets.put(old, Connected(0.04))
    while packets.waiting < ROOM:
        packets.put(old, decoded(key=False))
    for connection in (old, fresh):
        packets.put(connection, decoded(key=False))
    assert packets.skipped == 2
    drained(packets)
    for key in (False, True, False):
        for connection in (old, fresh):
            packets.put(connection, decoded(key=key))
    assert drained(packets) == [(old, True), (fresh, True), (old, False), (fresh, False)]
    assert packets.skipped == 4


def test_what_was_skipped_is_taken_up_again_only_at_a_key_frame_that_finds_half_of_the_room_free() -> None:
    packets, roof = PacketQueue(0.1), Idle()
    while packets.waiting < ROOM:
        packets.put(roof, decoded(key=False))
    packets.put(roof, decoded(key=True))
    packets.get(0)
    packets.put(roof, decoded(key=True))  # nearly no room: the next frames would be missed again
    assert packets.skipped == 2
    while packets.waiting > ROOM // 2:
        packets.get(0)
    packets.put(roof, decoded(key=True))
    assert (packets.waiting, packets.skipped) == (ROOM // 2 + 1, 2)
