"""The state of a camera, and the words for the quality of its frames; imports neither NumPy nor PyAV."""

from typing import Literal

import msgspec

Clock = Literal["rtcp", "arrival", "file", "none"]
"""Where the UTC of a frame comes from."""
Quality = Literal["packet_loss", "decode_error", "interrupted"]
"""Why a frame may be damaged; these words appear in events."""
State = Literal["connecting", "live", "stalled", "down"]


class CameraStatus(msgspec.Struct, frozen=True):
    """The state and counters of a camera.

    Attributes:
        camera: name of the camera.
        state: connecting (never live so far), live, stalled (connected, but no frame within the limit) or down.
        since: seconds since 1970 when this state began.
        last_error: why it was last lost or refused, without secrets.
        refused: whether only a person can help, as with a wrong password or path.
        frames: frames delivered so far.
        attempts: connections tried so far.
        reconnects: times that the camera came back.
        damaged: frames delivered that may be damaged.
        late: frames delivered that were handled late.
        skipped: frames left out because the program was too slow.
        fps: recent frames per second.
        size: (width, height) of its frames in pixels.
        clock: where the UTC of its frames comes from.
        clock_problem: what is wrong with its clock or its time stamps, and what to set.
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
