"""What a model is shown, on one sheet for people."""

import cv2
import numpy as np

from detector.settings import load_settings
from detector.verify.base import ImageVerifier
from detector.verify.fused import Fused
from detector.verify.photometric.verifier import PhotometricVerifier
from detector.verify.vlm.question import Question
from detector.verify.vlm.sheet import sheet_of
from helpers.candidates import candidate

SETTINGS = load_settings([("test", {"question": {"pictures": ["before", "peak", "after", "difference"]}})])


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_the_sheet_holds_each_image_that_the_model_gets_in_its_order() -> None:
    question = Question(SETTINGS.question, 640)
    shown = question.images(candidate(peak=200)).images
    sheet = decoded(sheet_of(question, candidate(peak=200), 640))
    rows = -(-len(shown) // 3)
    assert sheet.shape == (rows * (28 + 270 + 6), min(3, len(shown)) * 486 - 6, 3)
    place = list(shown).index("peak")
    row, column = divmod(place, 3)
    lit = sheet[row * 304 + 28 + 45, column * 486 + 240]
    assert lit.min() > 180, "the peak's lit patch is where the peak belongs"
    assert sheet[row * 304 + 28 + 200, column * 486 + 240].max() < 60


def test_what_asks_a_model_can_say_what_it_shows_and_light_alone_cannot() -> None:
    light = PhotometricVerifier(SETTINGS.photometric)
    assert not isinstance(light, ImageVerifier)
    assert issubclass(Fused, ImageVerifier)
