"""What docs/evidence.md explains is what events hold."""

from typing import get_args

from detector.events import MODEL_EVIDENCE, QUALITY_WORDS
from detector.verify.photometric.registry import CLUES
from detector.verify.vlm.question import ModelIdentity, Question
from evidence_docs import PAGE, with_tables
from helpers.models import model_settings
from stream import Quality


def test_the_page_holds_the_tables_of_the_program() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run tools/evidence_docs.py"


def test_every_clue_and_word_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for word in (*(clue.key for clue in CLUES), *MODEL_EVIDENCE, *QUALITY_WORDS):
        assert f"| `{word}` |" in page


def test_the_words_and_keys_are_those_that_users_rely_on() -> None:
    assert tuple(QUALITY_WORDS) == ("packet_loss", "decode_error", "interrupted")
    assert tuple(MODEL_EVIDENCE) == ("log_odds", "answer_mass", "photometric_probability")


def test_every_word_of_quality_that_a_frame_may_carry_is_explained() -> None:
    assert set(QUALITY_WORDS) == set(get_args(Quality))


def test_what_a_model_says_is_explained() -> None:
    asked = ModelIdentity("minicpm", "a/model", None, "")
    verdict = Question(model_settings().question, 640).verdict(asked, log_odds=1.0, answer_mass=1.0, seconds=0.1)
    assert set(verdict.evidence) == set(MODEL_EVIDENCE) - {"photometric_probability"}
