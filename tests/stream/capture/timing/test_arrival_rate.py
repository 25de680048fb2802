"""Frames without a time of their own (JPEGs over HTTP, local devices): their pace, and bounds true over stalls."""

import av
import pytest

from stream import CaptureOptions, Frame
from stream.capture.live.connection import Connected, DecodedFrame
from stream.capture.timing.decoder import LiveDecoder
from stream.capture.timing.host_clock import HostClock, HostClockError
from stream.capture.timing.timeline import FrameAssembler

SHOWN = av.VideoFrame(64, 64, "gray")
BEGAN = 1.8e9
EXACT_HOST = HostClockError(0.0, read=lambda: HostClock(synchronised=True, error_ms=0.0))


def framed(taken: list[float], stalls: list[tuple[float, float]], options: CaptureOptions) -> list[Frame]:
    """The frames taken then, each as soon as no stall (its begin and end) holds it up."""
    decoder = LiveDecoder(Connected(0.04, stamps=False), options, host=EXACT_HOST)
    assembler = FrameAssembler("page", options)
    frames: list[Frame] = []
    for sent in taken:
        arrival = max([sent, *(end for begin, end in stalls if begin <= sent < end)])
        frames += [assembler.frame(stamped, decoder) for stamped in decoder.decode(DecodedFrame(SHOWN, arrival, BEGAN))]
    return frames


def at_rate(rate: float, seconds: float, begin: float = 0.0) -> list[float]:
    return [begin + number / rate for number in range(round(seconds * rate))]


def off(frame: Frame, taken: float) -> float:
    """Milliseconds between what is said of a frame and when it was taken."""
    assert frame.utc is not None
    return abs(frame.utc - BEGAN - taken) * 1000


def bound(frame: Frame) -> float:
    assert frame.utc_error_ms is not None
    return frame.utc_error_ms


@pytest.mark.parametrize(
    ("rate", "stalls"),
    [(10, [(40.0, 41.5)]), (25, [(40.0, 44.0)]), (1, [(40.0, 42.9)]), (10, [(40.0, 42.0), (43.0, 45.4)])],
)
def test_frames_that_a_stall_held_up_get_a_bound_that_covers_it_until_they_have_all_come(
    rate: float, stalls: list[tuple[float, float]], capture_options: CaptureOptions
) -> None:
    taken = at_rate(rate, 60)
    frames = framed(taken, stalls, capture_options)
    assert all(off(frame, when) <= bound(frame) for frame, when in zip(frames, taken, strict=True))
    calm = [frame for frame, when in zip(frames, taken, strict=True) if 30 < when < 40 or when > 55]
    assert max(bound(frame) for frame in calm) < 1000 / rate + 300
    assert [frame.duration for frame in frames[26:]] == pytest.approx([1 / rate] * (len(frames) - 26), rel=0.2)


def test_a_pause_of_the_camera_itself_is_forgotten_within_seconds(capture_options: CaptureOptions) -> None:
    taken = at_rate(10, 20) + at_rate(10, 20, begin=23.0)
    frames = framed(taken, [], capture_options)
    assert bound(frames[200]) > 3000
    assert bound(frames[-1]) == pytest.approx(350, abs=10)


@pytest.mark.parametrize(("before", "after"), [(25.0, 5.0), (5.0, 25.0)])
def test_a_camera_that_changes_its_pace_is_followed(
    before: float, after: float, capture_options: CaptureOptions
) -> None:
    frames = framed(at_rate(before, 20) + at_rate(after, 30, begin=20.0), [], capture_options)
    assert frames[-1].duration == pytest.approx(1 / after, rel=0.01)
    assert bound(frames[-1]) == pytest.approx(1000 / after + 250, abs=10)


def test_frames_that_come_in_bunches_keep_the_pace_and_a_small_bound(capture_options: CaptureOptions) -> None:
    taken = at_rate(25, 40)
    bunches = [(number * 0.12 + 0.01, number * 0.12 + 0.12) for number in range(400)]
    frames = framed(taken, bunches, capture_options)
    assert frames[-1].duration == pytest.approx(0.04, rel=0.1)
    assert max(bound(frame) for frame in frames[200:]) < 450


@pytest.mark.parametrize("rate", [1, 10])
def test_a_frame_that_nothing_holds_back_has_the_time_at_which_it_came(
    rate: float, capture_options: CaptureOptions
) -> None:
    taken = at_rate(rate, 30)
    assert off(framed(taken, [], capture_options)[-1], taken[-1]) < 1
