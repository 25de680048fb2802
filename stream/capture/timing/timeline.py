"""The timeline of a source: seconds that never go backwards, epochs, and the frames of a live camera on it."""

from functools import partial
from typing import TYPE_CHECKING

from stream.capture.decoding import DecoderDrift
from stream.capture.frame import Frame
from stream.capture.luma import rotation_of, upright_rgb
from stream.capture.options import CaptureOptions
from stream.capture.timing.clock_problems import ClockProblem

if TYPE_CHECKING:
    from stream.capture.timing.decoder import LiveDecoder, StampedFrame

_JITTER_SECONDS = 0.25  # stamps step back by less if they jitter, by more if they restart
# A frame moves the smoothed time by this share of its deviation: jitter of 50 ms is averaged over four seconds.
_JITTER_GAIN = 0.01


class MonotonicTimeline:
    """A source's own clock, on which each frame is placed.

    Seconds follow the stream's time stamps; if those jump back, wrap or are missing, they continue from the last frame.
    After the first small step back the stamps jitter, and seconds follow their average. A new epoch begins at every
    larger step back, at a step forward beyond `jump_seconds` that is also unusual for this stream (a time-lapse with a
    frame every five seconds does not jump), and after `restart`.

    Attributes:
        epoch: rises where frames before and after must not be compared.
        stepped_back: whether time stamps ever jumped back or wrapped, so that the time between them is unknown.
    """

    def __init__(self, jump_seconds: float, origin: float | None = None) -> None:
        """Start before the first frame.

        Args:
            jump_seconds: longest step forward within an epoch.
            origin: the time stamp of 0 seconds; that of the first frame if omitted.
        """
        self.epoch = 0
        self.stepped_back = False
        self._jump_seconds = jump_seconds
        self._origin = origin
        self._seconds: float | None = None
        self._stamp: float | None = None
        self._usual_step = 0.0
        self._now: float | None = None
        self._restarted = False
        self._smoother: _JitterSmoother | None = None

    @property
    def origin(self) -> float:
        """The offset to subtract from a time stamp to get seconds, as of the last frame."""
        return self._origin or 0.0

    def restart(self) -> None:
        """Expect a frame of a new connection, whose time stamps are unrelated to earlier ones."""
        self._restarted = self._seconds is not None

    def new_epoch(self) -> None:
        """Begin an epoch with the next frame, which differs for another reason than light, e.g. its size."""
        self.epoch += 1

    def place(self, stamp: float | None, duration: float, now: float | None = None) -> float:
        """Return the seconds of the frame with time stamp `stamp`.

        Args:
            stamp: in seconds; None if the stream has none.
            duration: usual time from frame to frame in seconds.
            now: for live sources, the host's monotonic clock, which measures the time across a jump.
        """
        if self._seconds is None:
            return self._begin(stamp, now)
        before, self._now = self._now, now
        passed = duration if now is None or before is None else max(duration, now - before)
        if stamp is None or self._is_repeated(stamp):
            return self._advance(self._seconds + duration if self._smoother is None else self._smoother.skip())
        if self._restarted or self._stamp is None:
            self.epoch += self._restarted
            self._restarted = False
            return self._rebase(stamp, self._seconds + passed)
        if self._is_jitter(stamp, duration):
            return self._smooth(self._seconds, stamp, duration)
        return self._step_to(stamp, self._seconds + passed, live=now is not None)

    def _step_to(self, stamp: float, rebased: float, *, live: bool) -> float:
        """Follow the stamp, or continue at `rebased` seconds if it is unrelated to the previous one."""
        step = stamp - (stamp if self._stamp is None else self._stamp)
        limit = max(self._jump_seconds, 5 * self._usual_step)
        self._usual_step = max(step, 0.0)
        if step <= 0:
            self.epoch += 1
            self.stepped_back = True
            return self._rebase(stamp, rebased)
        if step > limit:
            self.epoch += 1
            if live:
                return self._rebase(stamp, rebased)
        self._stamp, self._smoother = stamp, None
        return self._advance(stamp - self.origin)

    def _smooth(self, before: float, stamp: float, duration: float) -> float:
        """Follow the average of stamps that jitter; the last frame was at `before` seconds."""
        stamped = stamp - self.origin
        if self._smoother is None:
            # Of the two frames around the first step back, one stamp was as much too high as the other too low.
            self._smoother = _JitterSmoother((before + stamped - duration) / 2, duration)
        self._stamp = stamp
        return self._advance(self._smoother.place(stamped))

    def _is_jitter(self, stamp: float, duration: float) -> bool:
        """Return whether the stamps are known to jitter, or show it by this small step back."""
        if self._stamp is None or self._seconds is None:
            return False
        if abs(stamp - self.origin - self._seconds) >= self._jump_seconds:
            return False
        step = stamp - self._stamp
        least = -max(_JITTER_SECONDS, duration)
        return least < step < (0.0 if self._smoother is None else self._jump_seconds)

    def _is_repeated(self, stamp: float) -> bool:
        """Return whether the last frame had this time stamp, so that nothing is missing and later stamps are valid.

        Return False if stamps stood still for long: later frames would have to wait for their time.
        """
        if self._stamp is None or self._seconds is None or self._restarted or self._smoother is not None:
            return False
        ahead = self._seconds - (stamp - self.origin)
        return stamp == self._stamp and ahead < self._jump_seconds

    def _begin(self, stamp: float | None, now: float | None) -> float:
        self._now, self._stamp = now, stamp
        if stamp is not None and (self._origin is None or stamp < self._origin):
            self._origin = stamp
        self._seconds = 0.0 if stamp is None else stamp - self.origin
        return self._seconds

    def _rebase(self, stamp: float, seconds: float) -> float:
        self._stamp, self._smoother = stamp, None
        self._origin = stamp - seconds
        return self._advance(seconds)

    def _advance(self, seconds: float) -> float:
        self._seconds = seconds if self._seconds is None else max(seconds, self._seconds)
        return self._seconds


class _JitterSmoother:
    """A moving average of time stamps that jitter; it neither gains nor loses time against them."""

    def __init__(self, seconds: float, duration: float) -> None:
        """Start after the frame at `seconds`, with frames `duration` seconds apart, as the stream states."""
        self._seconds = seconds
        self._begin_seconds = seconds
        self._duration = duration
        self._frames = 0

    def place(self, stamped: float) -> float:
        """Return the seconds of the next frame, whose stamp says `stamped`."""
        self._frames += 1
        expected = self._seconds + self._step(stamped)
        # At first, the plain average of all frames so far.
        seconds = expected + max(_JITTER_GAIN, 1.0 / (self._frames + 1)) * (stamped - expected)
        # If the rate varies, the stamp itself is the better estimate.
        self._seconds = min(max(seconds, stamped - 0.5 * _JITTER_SECONDS), stamped + 0.5 * _JITTER_SECONDS)
        return self._seconds

    def skip(self) -> float:
        """Return the seconds of the next frame, which has no stamp."""
        self._frames += 1
        self._seconds += self._duration
        return self._seconds

    def _step(self, stamped: float) -> float:
        passed = stamped - self._begin_seconds
        stated_is_right = abs(passed - self._frames * self._duration) < _JITTER_SECONDS
        return self._duration if stated_is_right else passed / self._frames


class FrameAssembler:
    """Build the frames of one camera from those of all its connections: one count, one clock, rising epochs.

    Attributes:
        clock_problem: what is wrong with the camera's clock or its time stamps.
    """

    def __init__(self, name: str, options: CaptureOptions) -> None:
        self._name = name
        self._timeline = MonotonicTimeline(options.jump_seconds)
        self._drift = DecoderDrift(options)
        self._number = 0
        self._shape: tuple[int, int, str] | None = None
        self._last_arrival: float | None = None
        self._interval = 0.0
        self.clock_problem: ClockProblem | None = None

    @property
    def fps(self) -> float:
        """Recent frames per second."""
        return 1.0 / self._interval if self._interval else 0.0

    def reconnected(self) -> None:
        """Expect the next frame from a new connection."""
        self._timeline.restart()
        self._last_arrival = None

    def frame(self, stamped: "StampedFrame", decoder: "LiveDecoder") -> Frame:
        """Return the camera's next frame, built from `stamped` of `decoder`."""
        decoded = stamped.frame
        shape = decoded.width, decoded.height, decoded.format.name
        changed = shape != self._shape
        if changed and self._shape is not None:
            self._timeline.new_epoch()
        self._shape = shape
        if changed or decoder.size is None:
            decoder.size, decoder.rotation = shape[:2], rotation_of(decoded)
        position = stamped.stamp if stamped.position is None else stamped.position
        seconds = self._timeline.place(position, decoder.frame_seconds, stamped.arrival)
        decoder.clips.place(stamped.stamp, seconds)
        taken = stamped.taken if decoder.timed else None
        self.clock_problem = decoder.clock.problem if decoder.timed else None
        if self._last_arrival is not None:
            self._interval += 0.05 * (stamped.arrival - self._last_arrival - self._interval)
        else:
            self._interval = decoder.frame_seconds
        self._last_arrival = stamped.arrival
        luma, black, white = decoder.luma.read(decoded)
        number, self._number = self._number, self._number + 1
        return Frame(
            camera=self._name,
            number=number,
            seconds=seconds,
            duration=decoder.frame_seconds,
            luma=luma,
            black=black,
            white=white,
            arrival=stamped.arrival,
            utc=None if taken is None else taken.utc,
            clock="none" if taken is None else taken.clock,
            utc_error_ms=None if taken is None else taken.error_ms,
            epoch=self._timeline.epoch,
            quality=stamped.quality,
            rotation=decoder.rotation,
            unfiltered=self._drift.unfiltered,
            rebased=self._drift.ends_at(decoded),
            color=partial(upright_rgb, decoded, decoder.rotation),
        )
