"""The pace of a source whose pictures carry no time, and how late its last picture may have come."""

from collections import deque

_PICTURES = 26  # by so many the pace is known
_HURRY = 0.8  # of the pace: pictures closer together than that had waited
_FORGET_SECONDS = 3.0
_FORGET_SHARE = 0.1  # at most so much at one picture: a second stall must not hide the first


class ArrivalRate:
    """Learns from when the pictures of one connection came.

    frame_seconds: how long a picture lasts. late_seconds: how long the last picture may have waited on its way. A gap
    may be a stall of the network; then pictures waited, and each that comes faster than the pace makes up for some of
    it. It may be the camera's own as well: while pictures come at their pace, it is forgotten within seconds.
    """

    def __init__(self, frame_seconds: float) -> None:
        self.frame_seconds = frame_seconds
        self.late_seconds = 0.0
        self._arrival = 0.0
        self._sent = deque[float](maxlen=_PICTURES)

    def take(self, arrival: float) -> None:
        """A picture came at `arrival` (steady seconds)."""
        if len(self._sent) == _PICTURES:
            gap = arrival - self._arrival
            if gap >= _HURRY * self.frame_seconds:
                self.late_seconds *= 1.0 - min(gap / _FORGET_SECONDS, _FORGET_SHARE)
            self.late_seconds = max(0.0, self.late_seconds + gap - self.frame_seconds)
        self._arrival = arrival
        self._sent.append(arrival - self.late_seconds)  # so that a stall and its burst do not change the pace
        if len(self._sent) > 1:
            self.frame_seconds = (self._sent[-1] - self._sent[0]) / (len(self._sent) - 1)
