"""The rate at which frames arrive, and how late the last one may be."""

from collections import deque

_RATE_FRAMES = 26  # frames after which the rate is known
_CATCHING_UP = 0.8  # of the time from frame to frame; closer frames had waited
_DECAY_SECONDS = 3.0  # time constant of a delay's decay while frames come at their rate
_DECAY_SHARE = 0.1  # largest decay at one frame: a second stall must not hide the first


class ArrivalRate:
    """The rate of frames by their arrival, and how late the last one may be.

    A gap may be a stall of the network: then frames waited, and each that comes faster than the rate reduces the delay.
    It may also be the camera's own gap: while frames come at their rate, the delay decays within seconds.

    Attributes:
        frame_seconds: time from frame to frame; at first the given one.
        late_seconds: how long the last frame may have waited on its way.
    """

    def __init__(self, frame_seconds: float) -> None:
        self.frame_seconds = frame_seconds
        self.late_seconds = 0.0
        self._arrival = 0.0
        self._sent = deque[float](maxlen=_RATE_FRAMES)

    @property
    def known(self) -> bool:
        """Whether there are enough frames to measure the rate."""
        return len(self._sent) == _RATE_FRAMES

    def add(self, arrival: float) -> None:
        """Add a frame that came at `arrival`, in monotonic seconds."""
        if self.known:
            gap = arrival - self._arrival
            if gap >= _CATCHING_UP * self.frame_seconds:
                self.late_seconds *= 1.0 - min(gap / _DECAY_SECONDS, _DECAY_SHARE)
            self.late_seconds = max(0.0, self.late_seconds + gap - self.frame_seconds)
        self._arrival = arrival
        self._sent.append(arrival - self.late_seconds)  # so that a stall and its burst do not change the rate
        if len(self._sent) > 1:
            self.frame_seconds = (self._sent[-1] - self._sent[0]) / (len(self._sent) - 1)
