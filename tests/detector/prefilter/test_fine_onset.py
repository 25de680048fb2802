"""What a closer look at an onset asks: how much of the change is light, for its size and for what moves anyway."""

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.prefilter.fine_change import FineChange
from detector.prefilter.fine_change import change as closeup_change
from helpers.scenes import HEIGHT, WIDTH, Picture, closed, frames, lit, patch


def starts(found: list[Candidate]) -> list[float]:
    return [round(candidate.start_seconds, 2) for candidate in found]


def purity(found: FineChange) -> float:
    """Share of light in what changed anywhere."""
    stir = found.change_balance(np.ones((36, 64), np.bool_), 20)
    assert stir is not None
    return stir.positivity()


def pattern(moved: int, size: tuple[int, int]) -> Picture:
    """Thin stripes, in turn moved to the right and to the left within their blocks, which stay as bright."""
    stripes = np.zeros(size, np.float32)
    stripes[:, (1 + moved) % 5 :: 10] = stripes[:, 5 + (3 - moved) % 5 :: 10] = 1
    return stripes


@pytest.mark.parametrize(
    ("height", "width", "stripes", "pure", "found"),
    [
        pytest.param(30, 40, 74, 0.93, True, id="a fiftieth of the picture, hardly any of it motion"),
        pytest.param(40, 70, 89, 0.87, False, id="a twentieth of the picture, a little of it motion"),
        pytest.param(60, 70, 105, 0.83, False, id="three in forty"),
        pytest.param(60, 100, 105, 0.83, True, id="a tenth"),
        pytest.param(100, 280, 130, 0.775, False, id="half of it, a quarter of it motion"),
        pytest.param(100, 280, 105, 0.83, True, id="half of it, a sixth of it motion"),
    ],
)
def test_a_large_light_may_have_something_that_moves_in_it_and_a_small_one_hardly(
    height: int, width: int, stripes: float, pure: float, *, found: bool
) -> None:
    def change(when: float, quiet: Picture) -> Picture:
        picture, moved = quiet.copy(), 2 if when >= 2.0 - 1e-6 else 0
        picture[20 : 20 + height, 20 : 20 + width] += stripes * pattern(moved, (height, width))
        return lit((2.0, 2.08), light=patch(20, (20, 20 + height), (20, 20 + width)))(when, picture)

    scene = np.full((HEIGHT, WIDTH), 30, np.float32)
    before, now = (frame for frame in frames(change, scene=scene, seconds=2.04, noise=0) if frame.seconds > 1.94)
    closer = closeup_change(before, now)
    assert closer is not None
    assert purity(closer) == pytest.approx(pure, abs=0.015)
    assert starts(closed(frames(change, scene=scene, seconds=2.8, noise=0.3))) == ([2.0] if found else [])


def wheel(when: float, rows: tuple[int, int]) -> Picture:
    """Thin stripes that move on by a pixel with each frame of 25 a second."""
    stripes = np.zeros((HEIGHT, WIDTH), np.float32)
    stripes[slice(*rows), 40:140] = 110 * pattern(round(25 * when), (rows[1] - rows[0], 100))
    return stripes


def test_what_moves_all_the_time_beside_a_light_does_not_speak_against_it_and_what_begins_to_move_does() -> None:
    def change(begins: float) -> list[float]:
        def turning(when: float, quiet: Picture) -> Picture:
            picture = quiet + wheel(max(begins, when), (66, 90))
            return lit((3.0, 3.08), light=patch(45, (40, 65), (40, 140)))(when, picture)

        return starts(closed(frames(turning, seconds=3.8, noise=0.3)))

    assert change(0.0) == [3.0]
    assert change(2.96) == []


@pytest.mark.parametrize(("light", "found"), [(20, [2.0]), (0, [])])
def test_a_light_in_a_view_that_moves_as_a_whole_is_seen_once_the_picture_is_moved_back(
    light: float, found: list[float]
) -> None:
    fence = np.full((HEIGHT, WIDTH), 30, np.float32)
    fence[20:100, ::5] += 110  # as many of its posts in every block, wherever the camera looks

    def panned(when: float, quiet: Picture) -> Picture:
        view = np.roll(quiet, 2 if when >= 2.0 - 1e-6 else 0, axis=1)
        return lit((2.0, 2.08), light=patch(light, (40, 70), (40, 100)))(when, view)

    assert starts(closed(frames(panned, scene=fence, seconds=2.8, noise=0.3))) == found


@pytest.mark.parametrize(("jump", "found"), [(0, [3.0]), (2, [])])
def test_what_moves_slowly_excuses_what_it_does_in_a_quarter_of_a_second_and_no_more(
    jump: int, found: list[float]
) -> None:
    def crawling(when: float, quiet: Picture) -> Picture:
        stripes = np.zeros((HEIGHT, WIDTH), np.float32)
        moved = int((when + 0.1) / 0.28) + (jump if when >= 3.0 - 1e-6 else 0)  # a pixel from one thin copy to the next
        stripes[66:90, 40:140] = 110 * pattern(moved, (24, 100))
        return lit((3.0, 3.08), light=patch(35, (40, 65), (40, 140)))(when, quiet + stripes)

    assert starts(closed(frames(crawling, seconds=3.8, noise=0.3))) == found
