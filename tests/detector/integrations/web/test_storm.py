"""Storm or quiet, and what counts once."""

from detector.integrations.web.storm import by_bins, storm_of, strikes


def test_two_flashes_within_ten_minutes_begin_a_storm_and_belong_to_it() -> None:
    assert storm_of([0.0, 599.0], 600.0).since == 0.0
    assert storm_of([0.0, 599.0], 600.0).on
    assert not storm_of([0.0, 601.0], 602.0).on


def test_a_storm_ends_half_an_hour_after_its_last_flash() -> None:
    times = [0.0, 10.0, 1500.0]
    assert storm_of(times, 3299.0).on
    quiet = storm_of(times, 3301.0)
    assert (quiet.on, quiet.since, quiet.last) == (False, 3300.0, 1500.0)
    assert not storm_of([*times, 4000.0], 4001.0).on
    assert storm_of([*times, 4000.0, 4100.0], 4101.0).since == 4000.0


def test_no_flash_is_no_storm() -> None:
    assert storm_of([], 0.0).last is None


def test_one_flash_on_two_cameras_counts_once_and_two_of_one_camera_twice() -> None:
    assert strikes([(1.0, "a"), (1.2, "b"), (5.0, "a"), (5.3, "a")]) == [1.0, 5.0, 5.3]


def test_flashes_are_counted_by_minute_up_to_now() -> None:
    assert by_bins([30.0, 100.0, 119.0, 500.0, -1000.0], 120.0, 2, 60.0) == [1, 2]
