"""CameraStatus: what a camera is doing now, and what it has been through."""

from typing import Literal

import msgspec

from stream.capture.frame import Clock

State = Literal["connecting", "live", "stalled", "down"]


class CameraStatus(msgspec.Struct, frozen=True):
    """What a camera is doing now.

    state: connecting (never live so far), live, stalled (connected, but no picture within the limit) or down.
    since: seconds since 1970 when this state began. last_error: why it was last lost or refused, without secrets.
    refused: only a person can help: wrong password or path. frames, damaged, late, skipped: pictures delivered so far,
    those of them that may be damaged, those handled late, and those left out because the program was too slow.
    attempts, reconnects: connections tried so far, and times that it came back. fps: pictures per second lately.
    clock_problem: why its clock is not believed.
    """

    camera: str
    state: State = "connecting"
    since: float = 0.0
    last_error: str | None = None
    refused: bool = False
    frames: int = 0
    attempts: int = 0
    reconnects: int = 0
    damaged: int = 0
    late: int = 0
    skipped: int = 0
    fps: float = 0.0
    size: tuple[int, int] | None = None
    clock: Clock = "none"
    clock_problem: str | None = None
