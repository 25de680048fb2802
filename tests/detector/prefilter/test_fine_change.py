"""What two pictures say of the light between them, on differences made by hand."""

import cv2
import numpy as np
import pytest

from detector.prefilter.fine_change import FINE_COLUMNS, FINE_ROWS, FineChange, change, change_between
from stream import Frame

SHAPE = (FINE_ROWS, FINE_COLUMNS)
Levels = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def flat(levels: float = 0) -> Levels:
    return np.full(SHAPE, levels, np.float32)


def grain(deviation: float) -> Levels:
    return (deviation * np.random.default_rng(7).standard_normal(SHAPE)).astype(np.float32)


def blobs(levels: float, radius: float) -> Levels:
    """Nine soft lights, `radius` (standard deviation) in pixels."""
    y, x = np.mgrid[0:FINE_ROWS, 0:FINE_COLUMNS].astype(np.float32)
    light = flat()
    for row in (40, 90, 140):
        for column in (60, 160, 260):
            light += levels * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * radius**2)).astype(np.float32)
    return light


def blocks(rows: slice, columns: slice) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    where = np.zeros((36, 64), np.bool_)
    where[rows, columns] = True
    return where


ALL = blocks(slice(None), slice(None))


@pytest.mark.parametrize("levels", [6, 30, 90, 220])
def test_a_spot_without_a_glow_reaches_as_far_as_a_tenth_of_it_does_however_strong_it_is(levels: float) -> None:
    y, x = np.mgrid[0:FINE_ROWS, 0:FINE_COLUMNS].astype(np.float32)
    spot = np.exp(-((y - 90) ** 2 + (x - 160) ** 2) / (2 * 20**2)).astype(np.float32)
    assert float(np.mean(spot > 0.1)) == pytest.approx(0.1, abs=0.002)
    assert FineChange(flat(20), spot * np.float32(levels), 0.1).glow_extent() == pytest.approx(0.1, abs=0.01)


def test_a_light_reaches_as_far_as_three_hundredths_of_it_are_seen_and_no_level_is_too_faint() -> None:
    def reach(levels: float, around: float) -> float | None:
        light = flat(around)
        light[60:90, 100:150] = levels
        return FineChange(flat(20), light, 0.1).glow_extent()

    sharp = reach(200, 4)
    assert sharp is not None
    assert sharp < 2000 / 57600
    assert reach(200, 8) == pytest.approx(0.66, abs=0.01)
    assert reach(20, 1.1) == pytest.approx(0.77, abs=0.01)
    assert reach(20, 0.9) == pytest.approx(0.03, abs=0.01)


def test_how_far_a_light_reaches_is_known_once_a_fifth_of_it_is_a_level() -> None:
    assert FineChange(flat(20), flat(5.5), 0.1).glow_extent() == 1
    assert FineChange(flat(20), flat(4.5), 0.1).glow_extent() is None


@pytest.mark.parametrize(
    ("light", "noise", "count"),
    [
        pytest.param(blobs(200, 1.5), 1, 9, id="sparks"),
        pytest.param(flat(30) + blobs(140, 1.5), 1, 9, id="sparks in smoke, three times as bright in levels"),
        pytest.param(blobs(200, 10), 1, 0, id="lumps of cloud"),
        pytest.param(blobs(28, 1.5), 1, 0, id="drops that only reflect"),
        pytest.param(flat(120) + blobs(70, 1.5), 1, 0, id="points that a glow nearly outshines"),
        pytest.param(flat(30) + blobs(40, 1.5), 1, 0, id="glints that are not much brighter than what is around them"),
        pytest.param(grain(10), 10, 0, id="noise"),
    ],
)
def test_points_that_burn_are_counted_and_nothing_else(light: Levels, noise: float, count: int) -> None:
    assert FineChange(flat(20), light, noise).point_sources() == count


def test_pieces_of_a_channel_that_lie_end_to_end_are_one() -> None:
    channel = flat()
    for row in range(20, 140, 8):
        channel[row : row + 6, 100:102] = 250
    assert FineChange(flat(20), channel, 1).point_sources() == 1


def clock(*shown: str) -> Levels:
    """White digits on black, as cameras write the time into a corner."""
    picture = np.zeros(SHAPE, np.uint8)
    for line, text in enumerate(shown):
        cv2.putText(picture, text, (10, 20 + 16 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 250)
    return picture.astype(np.float32)


def test_the_digits_of_a_clock_in_the_picture_are_no_sparks_whatever_it_shows() -> None:
    def specks(before: Levels, now: Levels) -> int:
        return FineChange(before, cv2.blur(now - before, (3, 3)).astype(np.float32), 1).point_sources()

    first, second = clock("0123456789 01234", "9876543210 98765"), clock("5555555 111 888", "0149237 894 123")
    assert specks(flat(), second) == 10
    assert specks(first, second) == 0


def test_a_rise_is_measured_unless_it_drowns_in_noise() -> None:
    stir = FineChange(flat(20), flat(10), 1.0).change_balance(ALL, rise=10)
    assert stir is not None
    assert stir.positivity() == 1
    assert FineChange(flat(20), flat(10), 2.0).change_balance(ALL, rise=10) is None


def test_falls_count_above_what_codecs_and_noise_do_and_rises_of_five_levels_do_too() -> None:
    def lost(fall: float, noise: float) -> float:
        both = flat(40)
        both[:, ::2] = -fall
        stir = FineChange(flat(60), both, noise).change_balance(ALL, rise=100)
        assert stir is not None
        return stir.lost

    assert lost(1.5, noise=0.1) == 0
    assert lost(5, noise=0.1) > 0
    assert lost(15, noise=5) == 0


def test_what_moves_far_from_a_light_says_nothing_of_it() -> None:
    both = flat()
    both[50:80, 50:80] = 40
    both[50:80, 130:150] = -40
    stir = FineChange(flat(60), both, 0.5).change_balance(blocks(slice(10, 16), slice(10, 16)), rise=40)
    assert stir is not None
    assert stir.positivity() == 1


def test_smoothness_is_asked_only_where_light_is_more_than_noise() -> None:
    def smoothness(levels: float) -> float | None:
        return FineChange(flat(20), flat(levels) + grain(2), 2).smoothness(ALL)

    assert smoothness(3) is None
    assert smoothness(8) == pytest.approx(1, abs=0.05)


def gained(white: int) -> float:
    """Likeness to a gain of a half, where a picture is near white up to the column `white`."""
    before = (20 + 100 * np.random.default_rng(3).random((36, 64))).astype(np.float32)
    before = np.kron(before, np.ones((5, 5), np.float32))
    before[:, :white] = np.maximum(before[:, :white] + 110, 200)
    return FineChange(before, np.minimum(before * np.float32(1.5), 255) - before, 0.5).gain_likeness()


def test_a_gain_is_known_by_what_is_not_white_if_that_is_more_than_a_few_blocks() -> None:
    assert gained(0) > 0.95
    assert gained(220) > 0.95
    assert gained(315) == 0


def faded(scene: Levels, share: float) -> FineChange:
    """`scene` a share of the way to white."""
    return FineChange(scene, np.float32(share) * (255 - scene), 0.5)


def test_a_fade_to_white_is_even_whatever_the_scene_shows_and_light_is_not() -> None:
    scene = cv2.blur(80 + grain(400), (9, 9))
    assert faded(scene, 0.3).unevenness() == pytest.approx(0, abs=0.01)
    assert faded(flat(3), 0.1).unevenness() == pytest.approx(0, abs=0.01)
    assert FineChange(scene, blobs(30, 40), 0.5).unevenness() > 0.3  # type: ignore[operator]
    assert FineChange(scene, flat(60), 0.5).unevenness() > 0.06  # type: ignore[operator]
    bolt = flat(3)
    bolt[:60, 100:200] = 120
    assert FineChange(flat(20), bolt, 0.5).unevenness() > 0.5, "a lens that glares is even too"  # type: ignore[operator]


def test_a_title_on_a_fade_to_white_changes_nothing_and_where_all_is_white_nothing_is_said() -> None:
    titled = faded(flat(40), 0.3)
    titled.difference[120:, 40:200] = -30
    assert titled.unevenness() == pytest.approx(0, abs=0.03)
    assert faded(flat(40), 0.95).unevenness() is None
    mostly = flat(240)
    mostly[:, :150] = 40
    assert faded(mostly, 0.3).unevenness() is None
    assert FineChange(flat(40), flat(), 0.5).unevenness() is None


def test_detail_is_kept_under_any_gain_and_lost_with_the_place_that_it_is_of() -> None:
    here, there = (cv2.blur(picture, (3, 3)) for picture in (80 + grain(40), np.flipud(80 + grain(40)).copy()))
    dimmed = cv2.blur(here, (3, 3)) * np.float32(0.5)
    assert FineChange(here, dimmed - cv2.blur(here, (3, 3)), 0.5).detail_kept() == pytest.approx(1, abs=0.01)
    assert FineChange(here, there - cv2.blur(here, (3, 3)), 0.5).detail_kept() == pytest.approx(0, abs=0.05)
    turned = np.roll(cv2.blur(here, (3, 3)), (3, 7), axis=(0, 1))
    shaken = FineChange(here, turned - cv2.blur(here, (3, 3)), 0.5)
    assert shaken.detail_kept(turned=True) > 0.8  # type: ignore[operator]
    assert shaken.detail_kept() == pytest.approx(0, abs=0.1)
    assert FineChange(here, there - cv2.blur(here, (3, 3)), 0.5).detail_kept(turned=True) < 0.15  # type: ignore[operator]
    left, right = flat(20), flat(20)
    left[60:120, 2:16] = right[60:120, -16:-2] = 220
    assert FineChange(left, right - cv2.blur(left, (3, 3)), 0.5).detail_kept(turned=True) < 0.15  # type: ignore[operator]
    middle = cv2.blur(here, (3, 3))
    middle[40:140, 60:260] = there[40:140, 60:260]
    still = FineChange(here, middle - cv2.blur(here, (3, 3)), 0.5)
    assert still.detail_kept(turned=True) >= still.detail_kept() > 0.4  # type: ignore[operator]
    faint = cv2.blur(here, (3, 3)) * np.float32(0.05)
    assert FineChange(here, faint - cv2.blur(here, (3, 3)), 0.5).detail_kept() is None


@pytest.mark.parametrize("black", [0, 6])
def test_what_stays_black_beside_a_picture_says_nothing_of_a_gain(black: int) -> None:
    scene = (30 + 30 * np.random.default_rng(3).random((36, 64))).astype(np.float32)
    scene = np.kron(scene, np.ones((5, 5), np.float32))
    scene[:, :110] = scene[:, -110:] = black
    light = flat(80)
    light[:, :110] = light[:, -110:] = 0
    assert FineChange(scene, light, 0.5).gain_likeness() < 0.05
    assert FineChange(scene, np.where(scene > black, scene, np.float32(0)), 0.5).gain_likeness() > 0.95


def test_a_black_sky_that_lights_up_is_no_gain_even_if_the_land_below_shines_in_proportion_to_itself() -> None:
    scene = (30 + 30 * np.random.default_rng(3).random(SHAPE)).astype(np.float32)
    scene[:60] = 4
    light = scene.copy()
    light[:60] = 60
    assert FineChange(scene, light, 0.5).gain_likeness() < 0.5


def test_a_light_that_leaves_half_of_a_bright_scene_as_it_was_is_no_gain() -> None:
    scene = (30 + 30 * np.random.default_rng(3).random(SHAPE)).astype(np.float32)
    light = scene.copy()
    light[:, 160:] = 0
    assert FineChange(scene, light, 0.5).gain_likeness() < 0.5


def test_a_gain_of_a_picture_that_is_nearly_black_is_one() -> None:
    scene = (1 + 4 * np.random.default_rng(3).random((36, 64))).astype(np.float32)
    scene = np.kron(scene, np.ones((5, 5), np.float32))
    assert FineChange(scene, scene / 2, 0.1).gain_likeness() > 0.9


def test_a_camera_that_halves_its_exposure_shows_the_same_scene_and_noise_is_no_other() -> None:
    scene = np.kron(np.random.default_rng(3).choice([40, 160], (9, 16)), np.ones((20, 20))).astype(np.float32)
    assert FineChange(scene, -scene / 2, 0.5).residual_after_gain(ALL) == pytest.approx(0, abs=0.1)
    assert FineChange(scene, grain(2), 2).residual_after_gain(ALL) < 0.02


def test_noise_is_that_of_all_the_picture_whatever_its_edge_shows() -> None:
    now = grain(3)
    now[:, :2] = 0
    assert change_between(flat(), now).noise == pytest.approx(1, rel=0.05)


def test_a_change_of_little_more_than_noise_is_no_shift() -> None:
    scene = np.kron(np.random.default_rng(3).choice([40, 160], (9, 16)), np.ones((20, 20))).astype(np.float32)
    assert FineChange(scene, grain(1.3), 1.0).stabilised(ALL)[1] == 0


def test_no_more_rows_are_compared_than_a_closer_look_needs() -> None:
    luma = np.full((1080, 1920), 60, np.uint8)
    other = luma.copy()
    other[1::3] = other[2::3] = 200
    found = change(Frame("roof", 0, 0.0, 0.04, luma), Frame("roof", 1, 0.04, 0.04, other))
    assert found is not None
    assert found.difference.max() == 0


def test_sparks_that_fall_among_many_new_ones_are_counted_for_they_are_no_shaken_picture() -> None:
    cells = np.random.default_rng(3).choice(14 * 24, 90, replace=False)
    places = [(8 + 12 * (cell // 24), 12 + 12 * (cell % 24)) for cell in cells]

    def sky(sparks: list[tuple[int, int]]) -> Levels:
        picture = flat(30)
        for row, column in sparks:
            picture[row : row + 2, column : column + 2] = 230
        return picture

    falling, new = places[:15], places[15:]
    before, now = sky(falling), sky([(row + 3, column + 2) for row, column in falling] + new)
    smoothed = cv2.blur(now - before, (3, 3)).astype(np.float32)
    assert FineChange(before, smoothed, 1.0).point_sources() == len(falling) + len(new)
