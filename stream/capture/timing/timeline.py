"""Time stamps made steady: seconds that never go backwards, and epochs that part what must not be compared."""


class MonotonicTimeline:
    """Places each picture on its source's own clock.

    Seconds follow the stream's time stamps; where those jump back, wrap or are missing, they go on from the last
    picture. `epoch` rises at every step back by a picture or more, at a step forward beyond `jump_seconds` that is also
    unusual for this stream (a time-lapse with a picture every five seconds does not jump), and whenever `restart` is
    called. stepped_back: they jumped back or wrapped once; how long that took only a live source's host knows.
    """

    def __init__(self, jump_seconds: float, origin: float | None = None) -> None:
        """`origin`: the time stamp that stands for 0 seconds; without it the first picture does."""
        self.epoch = 0
        self.stepped_back = False
        self._jump_seconds = jump_seconds
        self._origin = origin
        self._seconds: float | None = None
        self._stamp: float | None = None
        self._usual_step = 0.0
        self._now: float | None = None
        self._restarted = False

    @property
    def origin(self) -> float:
        """What to subtract from a time stamp to get seconds, as of the last picture."""
        return self._origin or 0.0

    def restart(self) -> None:
        """The next picture belongs to a new connection: its time stamps have nothing to do with those before."""
        self._restarted = self._seconds is not None

    def new_epoch(self) -> None:
        """The next picture looks different for a reason that is not light, e.g. another size."""
        self.epoch += 1

    def place(self, stamp: float | None, duration: float, now: float | None = None) -> float:
        """Seconds of the picture with time stamp `stamp` (seconds, None where the stream has none).

        duration: seconds that a picture of this stream usually lasts.
        now: a steady host clock, for live sources: what passed there is what passed across a jump.
        """
        if self._seconds is None:
            return self._begin(stamp, now)
        before, self._now = self._now, now
        passed = duration if now is None or before is None else max(duration, now - before)
        if stamp is None or self._doubled(stamp, duration):
            return self._advance(self._seconds + duration)
        if self._restarted or self._stamp is None:
            self.epoch += self._restarted
            self._restarted = False
            return self._rebase(stamp, self._seconds + passed)
        step = stamp - self._stamp
        limit = max(self._jump_seconds, 5 * self._usual_step)
        self._usual_step = max(step, 0.0)
        if step <= 0:
            self.epoch += 1
            self.stepped_back = True
            return self._rebase(stamp, self._seconds + passed)
        if step > limit:
            self.epoch += 1
            if now is not None:
                return self._rebase(stamp, self._seconds + passed)
        self._stamp = stamp
        return self._advance(stamp - self.origin)

    def _doubled(self, stamp: float, duration: float) -> bool:
        """Whether the last picture had this time stamp, or nearly: nothing is missing, and those that follow hold.

        Not so where they stood still for long: what follows would have to wait for its time.
        """
        if self._stamp is None or self._seconds is None or self._restarted:
            return False
        ahead = self._seconds - (stamp - self.origin)
        return -duration < stamp - self._stamp <= 0 and ahead < self._jump_seconds

    def _begin(self, stamp: float | None, now: float | None) -> float:
        self._now, self._stamp = now, stamp
        if stamp is not None and (self._origin is None or stamp < self._origin):
            self._origin = stamp
        self._seconds = 0.0 if stamp is None else stamp - self.origin
        return self._seconds

    def _rebase(self, stamp: float, seconds: float) -> float:
        self._stamp = stamp
        self._origin = stamp - seconds
        return self._advance(seconds)

    def _advance(self, seconds: float) -> float:
        self._seconds = seconds if self._seconds is None else max(seconds, self._seconds)
        return self._seconds
