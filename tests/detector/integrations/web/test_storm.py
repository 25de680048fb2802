"""Storm or quiet, and what counts once: as the events about storms say it."""

from dataclasses import dataclass

import pytest

from detector.events import Flash
from detector.integrations.web.storm import StormState, StormWatch, by_bins
from detector.settings import StormSettings
from detector.storms.events import Storm
from detector.storms.fold import StormFold
from detector.storms.groups import utc_seconds
from helpers.storms import made_flash


@dataclass
class Seen:
    """A flash that a camera with a bounded clock saw, seconds since 1970."""

    at: float
    camera: str = "a"

    def flash(self) -> Flash:
        return made_flash(self.at, self.camera, utc=0.0, clock="arrival", utc_error_ms=40.0)


def watched(*seen: Seen) -> StormWatch:
    watch = StormWatch(StormSettings())
    for one in seen:
        watch.take(one.flash(), "site", one.at)
    return watch


def state_of(times: list[float], now: float) -> StormState:
    return watched(*map(Seen, times)).state(now)


def test_two_flashes_within_ten_minutes_begin_a_storm_and_belong_to_it() -> None:
    assert state_of([0.0, 599.0], 600.0).since == 0.0
    assert state_of([0.0, 599.0], 600.0).on
    assert not state_of([0.0, 601.0], 602.0).on


def test_a_storm_ends_half_an_hour_after_its_last_flash() -> None:
    times = [0.0, 10.0, 1500.0]
    assert state_of(times, 3299.0).on
    quiet = state_of(times, 3301.0)
    assert (quiet.on, quiet.since, quiet.last) == (False, 3300.0, 1500.0)
    assert not state_of([*times, 4000.0], 4001.0).on
    assert state_of([*times, 4000.0, 4100.0], 4101.0).since == 4000.0


def test_the_settings_say_how_long_it_must_be_quiet() -> None:
    watch = StormWatch(StormSettings(quiet_minutes=5))
    for at in (0.0, 100.0):
        watch.take(Seen(at).flash(), "site", at)
    assert watch.state(399.0).on
    assert not watch.state(401.0).on
    assert watch.state(399.0).quiet_seconds == 300


def test_no_flash_is_no_storm() -> None:
    assert state_of([], 0.0).last is None


def test_one_flash_on_two_cameras_counts_once_and_two_of_one_camera_twice() -> None:
    seen = watched(Seen(1.0, "a"), Seen(1.06, "b"), Seen(5.0, "a"), Seen(5.3, "a"))
    assert seen.strikes() == pytest.approx([1.0, 5.0, 5.3])


def test_a_verdict_that_turns_ends_what_it_had_begun() -> None:
    watch = watched(Seen(0.0))
    second = Seen(10.0).flash()
    watch.take(second, "site", 10.0)
    assert watch.state(11.0).on
    watch.take(made_flash(10.0, "a", utc=0.0, state="rejected", id=second.id), "site", 10.0)
    assert not watch.state(11.0).on


def test_a_flash_without_utc_counts_when_it_was_published() -> None:
    watch = StormWatch(StormSettings())
    for at in (100.0, 200.0):
        watch.take(made_flash(at, "a", utc=None), "site", at + 1_000_000)
    assert watch.state(1_000_201.0).since == 1_000_100.0


def test_the_page_says_what_the_events_about_the_storm_say() -> None:
    fold, watch = StormFold(StormSettings(), "site"), StormWatch(StormSettings())
    told: list[Storm] = []
    for n in range(40):
        flash = Seen(n * 61.0, "ab"[n % 2]).flash()
        told += [one for one in fold.take(flash) if isinstance(one, Storm)]
        watch.take(flash, "site", n * 61.0)
    last = told[-1]
    state = watch.state(39 * 61.0)
    assert last.first_utc is not None
    assert (state.on, state.since) == (last.state != "ended", utc_seconds(last.first_utc))
    assert len(watch.strikes()) == last.flash_count


def test_flashes_are_counted_by_minute_up_to_now() -> None:
    assert by_bins([30.0, 100.0, 119.0, 500.0, -1000.0], 120.0, 2, 60.0) == [1, 2]
