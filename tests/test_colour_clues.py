"""How much the colour of added light differs from place to place, on pictures made by hand."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from candidate_maker import candidate
from detector import colour_clues
from detector.flash import Candidate
from detector.photometric import WEIGHTS
from detector.views import Views

Colours = NDArray[np.float32]
SIZE = (45, 80)
COLOURED = next(weight for weight in WEIGHTS if weight.name == "hue_spread")


def halves(left: tuple[float, ...], right: tuple[float, ...]) -> Colours:
    """A picture of two colours side by side."""
    colours = np.empty((*SIZE, 3), np.float32)
    colours[:, :40], colours[:, 40:] = left, right
    return colours


@cache
def moment() -> Candidate:
    return candidate()


def views(before: Colours, peak: Colours) -> Views:
    """A moment of which a camera shows these levels before and at the peak."""

    def seen(levels: Colours) -> NDArray[np.uint8]:
        return np.clip(np.round(levels), 0, 255).astype(np.uint8)

    one = moment()
    assert one.before is not None
    return Views(
        replace(
            one,
            before=replace(one.before, color=lambda _side: seen(before)),
            peak=replace(one.peak, color=lambda _side: seen(peak)),
        )
    )


def spread(before: Colours, peak: Colours) -> float:
    """How much the added light differs in colour there."""
    found = colour_clues.hue_spread(views(before, peak))
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


def test_a_picture_is_grey_where_coding_alone_colours_it_or_its_colour_is_not_known_whatever_shines_in_it() -> None:
    def grey(before: tuple[float, ...]) -> bool:
        one = moment()
        assert one.before is not None
        shown = (np.full((*SIZE, 3), colour, np.uint8) for colour in (before, (250, 150, 50)))
        dark, lit = (lambda _side, seen=seen: seen for seen in shown)
        return colour_clues.colourless(
            Views(replace(one, before=replace(one.before, color=dark), peak=replace(one.peak, color=lit)))
        )

    assert grey((140, 141, 143))
    assert not grey((140, 142, 146))
    assert colour_clues.colourless(Views(replace(moment(), before=None)))


def test_what_is_white_all_over_has_not_lost_its_colour_and_what_turns_grey_has() -> None:
    scene = halves((60, 110, 70), (130, 120, 100))
    white, grey = halves((255, 255, 255), (255, 255, 255)), halves((80, 80, 80), (117, 117, 117))
    assert colour_clues.colour_lost(views(scene, white)) is None
    assert colour_clues.colour_lost(views(scene, halves((255, 255, 255), (185, 175, 155)))) == 0
    assert colour_clues.colour_lost(views(scene, halves((255, 255, 255), (117, 117, 117)))) == 1
    assert colour_clues.colour_lost(views(scene, grey)) == 1
