"""What the colour of added light says, on images made by hand."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.verify.photometric.clues import colour
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.registry import CLUES
from helpers.candidates import candidate
from stream import Frame

Colours = NDArray[np.float32]
SIZE = (45, 80)
COLOURED, GREEN = (next(clue for clue in CLUES if clue.key == name) for name in ("hue_spread", "greenness"))


def halves(left: tuple[float, ...], right: tuple[float, ...]) -> Colours:
    """An image of two colours side by side."""
    colours = np.empty((*SIZE, 3), np.float32)
    colours[:, :40], colours[:, 40:] = left, right
    return colours


@cache
def moment() -> Candidate:
    return candidate()


def features(before: Colours, peak: Colours, waning: Colours | None = None) -> CandidateFeatures:
    """A moment of which a camera shows these levels before, at the peak and, if told, when its light wanes."""

    def seen(frame: Frame, levels: Colours) -> Frame:
        shown = np.clip(np.round(levels), 0, 255).astype(np.uint8)
        return replace(frame, color=lambda _side: shown)

    one = moment()
    assert one.before is not None
    assert one.after is not None
    return CandidateFeatures(
        replace(
            one,
            before=seen(one.before, before),
            peak=seen(one.peak, peak),
            waning=None if waning is None else seen(one.after, waning),
        )
    )


def spread(before: Colours, peak: Colours, waning: Colours | None = None) -> float:
    """How much the added light differs in colour there."""
    found = colour.colour_spread(features(before, peak, waning))
    assert found is not None
    return found


def green(before: Colours, peak: Colours, waning: Colours | None = None) -> float:
    """How green the added light is there."""
    found = colour.greenness(features(before, peak, waning))
    assert found is not None
    return found


def lit_by(before: Colours, light: Colours) -> Colours:
    """Levels of a display that shows `light` (1 = white) on top of `before`."""
    return 255 * ((before / 255) ** 2.2 + light) ** (1 / 2.2)


def hue(warmth: float, power: float = 0.3) -> tuple[float, float, float]:
    """Light whose red less blue is `warmth` of its sum."""
    return power * (1 + 1.5 * warmth), power, power * (1 - 1.5 * warmth)


def test_light_of_two_warm_colours_is_many_coloured_and_of_one_is_not() -> None:
    dark = halves((20, 20, 20), (20, 20, 20))
    assert COLOURED.log_odds(spread(dark, lit_by(dark, halves(hue(0), hue(0.64))))) < -2.9
    assert COLOURED.log_odds(spread(dark, lit_by(dark, halves(hue(0.3), hue(0.3))))) == 0


def test_the_same_light_is_of_one_colour_on_dark_ground_and_on_bright_ground_of_any_colour() -> None:
    ground = halves((10, 10, 10), (60, 90, 170))
    light = halves(hue(0.25), hue(0.25))
    assert spread(ground, lit_by(ground, light)) < 0.03


def test_from_white_to_blue_is_all_one_and_from_warm_to_blue_is_not() -> None:
    dark = halves((20, 20, 20), (20, 20, 20))
    assert spread(dark, lit_by(dark, halves(hue(0), hue(-0.6)))) == pytest.approx(0.05, abs=0.01)
    stage = spread(dark, lit_by(dark, halves(hue(0.45), hue(-0.6))))
    assert COLOURED.log_odds(stage) < -2


def test_a_light_of_twelve_levels_shows_its_colours() -> None:
    dark = halves((40, 40, 40), (40, 40, 40))
    peak = dark + halves((12, 12, 12), (33, 3, 0))
    assert COLOURED.log_odds(spread(dark, peak)) < -2


def test_what_adds_little_light_says_little_of_its_colour() -> None:
    dark = halves((20, 20, 20), (20, 20, 20))
    light = halves(hue(0), hue(0.64, power=0.015))
    assert np.all(lit_by(dark, light).mean(axis=2) > 28)  # enough to be asked
    assert spread(dark, lit_by(dark, light)) < 0.2


def test_what_is_white_or_hardly_brighter_is_not_asked_of_its_colour() -> None:
    dark = halves((20, 20, 20), (20, 20, 20))
    for other in (halves(hue(0), (1.2, 0.3, 0.0)), halves(hue(0), (0.008, 0.004, 0.0))):
        assert spread(dark, lit_by(dark, other)) < 0.03


def test_colours_that_a_glare_hides_are_seen_when_it_wanes() -> None:
    dark = halves((20, 20, 20), (20, 20, 20))
    stars = lit_by(dark, halves(hue(0), hue(0.64)))
    assert COLOURED.log_odds(spread(dark, lit_by(dark, halves(hue(0), hue(0))), stars)) < -2.9
    barium = lit_by(dark, halves(hue(0), (0.1, 0.3, 0.1)))
    assert GREEN.log_odds(green(dark, lit_by(dark, halves(hue(0), hue(0))), barium)) < -3.9


def test_white_violet_and_warm_light_is_not_green_and_that_of_copper_and_barium_is() -> None:
    dark = halves((20, 20, 20), (20, 20, 20))
    for light in (hue(0), hue(0.6), hue(-0.6), (0.3, 0.2, 0.4)):
        assert GREEN.log_odds(green(dark, lit_by(dark, halves(light, light)))) == 0
    for light in ((0.1, 0.3, 0.1), (0.1, 0.3, 0.25)):
        assert GREEN.log_odds(green(dark, lit_by(dark, halves(light, light)))) < -3.9


def test_a_tenth_of_the_light_may_be_green_and_a_fourth_may_not() -> None:
    dark, white = halves((20, 20, 20), (20, 20, 20)), halves(hue(0), hue(0))
    faint, small, large = white.copy(), white.copy(), white.copy()
    faint[:, 40:], small[:, 72:], large[:, 60:] = (0.02, 0.05, 0.02), (0.2, 0.5, 0.2), (0.2, 0.5, 0.2)
    said = [GREEN.log_odds(green(dark, lit_by(dark, light))) for light in (faint, small, large)]
    assert said == [0, 0, pytest.approx(-4)]


def test_leaves_are_green_in_white_light_where_they_were_green_before() -> None:
    meadow = halves((70, 100, 55), (70, 100, 55))
    sunlit = 255 * (3 * (meadow / 255) ** 2.2) ** (1 / 2.2)
    assert GREEN.log_odds(green(meadow, sunlit)) == 0


def test_a_camera_that_shows_all_in_green_says_nothing_of_the_light() -> None:
    night_vision = halves((0, 3, 0), (4, 90, 6))
    lit_up = halves((12, 150, 20), (20, 210, 30))
    assert colour.greenness(features(night_vision, lit_up)) is None
    black = halves((0, 3, 0), (0, 3, 0))  # coding may colour it
    assert GREEN.log_odds(green(black, lit_up)) < -3.9


def test_violet_that_is_overexposed_to_white_is_not_green_nor_is_what_is_left_beside_a_white_sky_asked() -> None:
    violet = halves((110, 60, 150), (110, 60, 150))
    overexposed = halves((220, 130, 240), (220, 130, 240))
    overexposed[:, :30] = 254
    assert GREEN.log_odds(green(violet, overexposed)) == 0
    blended = halves((238, 236, 240), (238, 236, 240))
    assert GREEN.log_odds(green(violet, blended)) == 0
    dark = halves((20, 20, 20), (20, 20, 20))
    garden = halves((254, 254, 254), (254, 254, 254))
    garden[:, 50:] = lit_by(dark, halves((0.1, 0.3, 0.1), (0.1, 0.3, 0.1)))[:, 50:]
    assert colour.greenness(features(dark, garden)) is None


def test_a_few_pixels_show_noise_rather_than_a_colour() -> None:
    dark = halves((20, 20, 20), (20, 20, 20))
    spot = dark.copy()
    spot[20:24, 20:24] = (40, 160, 40)
    assert colour.greenness(features(dark, spot)) is None
    assert colour.colour_spread(features(dark, spot)) is None


def test_a_image_is_grey_where_coding_alone_colours_it_or_its_colour_is_not_known_whatever_shines_in_it() -> None:
    def grey(before: tuple[float, ...]) -> bool:
        one = moment()
        assert one.before is not None
        shown = (np.full((*SIZE, 3), colour, np.uint8) for colour in (before, (250, 150, 50)))
        dark, lit = (lambda _side, seen=seen: seen for seen in shown)
        return colour.colourless(
            CandidateFeatures(replace(one, before=replace(one.before, color=dark), peak=replace(one.peak, color=lit)))
        )

    assert grey((140, 141, 143))
    assert not grey((140, 142, 146))
    assert colour.colourless(CandidateFeatures(replace(moment(), before=None)))


def test_what_is_white_all_over_has_not_lost_its_colour_and_what_turns_grey_has() -> None:
    scene = halves((60, 110, 70), (130, 120, 100))
    white, grey = halves((255, 255, 255), (255, 255, 255)), halves((80, 80, 80), (117, 117, 117))
    assert colour.colour_lost(features(scene, white)) is None
    assert colour.colour_lost(features(scene, halves((255, 255, 255), (185, 175, 155)))) == 0
    assert colour.colour_lost(features(scene, halves((255, 255, 255), (117, 117, 117)))) == 1
    assert colour.colour_lost(features(scene, grey)) == 1
