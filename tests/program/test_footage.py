"""What must hold on the real clips, measured with the same code as `lightning-detector score`."""

import os
from pathlib import Path

import pytest

from detector.evaluate.score import ClipLabels, ClipScore, Found, read_labels, score_clip, total
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import open_video

FOOTAGE = Path(os.environ.get("LIGHTNING_FOOTAGE", "unset"))
pytestmark = [
    pytest.mark.footage,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (FOOTAGE / "labels.json").is_file(), reason=f"the real clips are not at {FOOTAGE}; set LIGHTNING_FOOTAGE"
    ),
]
TIME_LAPSES = ("pos_vikkadin_daylapse.mp4", "pos_denys_dusklapse.mp4")
QUIET = (
    "neg_tmo_nightdrive.mp4",
    "neg_tmo_rainwindscreen.mp4",
    "neg_tyoh_ircctv.mp4",
    "neg_ksh_hail.mp4",
    "neg_nowal_pond.mp4",
    "neg_kart_dashcam.mp4",
    "neg_swapnil_stars.mp4",
    "neg_adith_cctv.mp4",
    "sample_no.mp4",
)
Scores = dict[str, tuple[ClipScore, ClipScore]]


@pytest.fixture(scope="module")
def scores() -> Scores:
    """For each clip: every candidate scored, and the confirmed ones."""
    labels = read_labels(FOOTAGE / "labels.json")
    return {clip: _score(clip, of_clip) for clip, of_clip in labels.items() if not of_clip.begins_inside}


def _score(clip: str, labels: ClipLabels) -> tuple[ClipScore, ClipScore]:
    settings = load_settings()
    prefilter, verifier = Prefilter(clip, settings.prefilter), PhotometricVerifier(settings.photometric)
    candidates: list[Found] = []
    confirmed: list[Found] = []
    last = 0.0
    with open_video(FOOTAGE / clip, options=settings.capture) as video:
        frames = iter(video)
        while True:
            frame = next(frames, None)
            found = prefilter.flush() if frame is None else prefilter.push(frame)
            for one in found:
                if not one.open:
                    pulses = [(one.start_seconds + p.offset_seconds, p.duration_seconds) for p in one.pulses]
                    spans = tuple((start, start + length) for start, length in pulses)
                    candidates.append(Found((one.start_seconds, one.end_seconds), spans))
                    if verifier.verify([one])[0].lightning:
                        confirmed.append(candidates[-1])
            if frame is None:
                break
            last = frame.seconds + frame.duration
    return score_clip(labels, candidates, seconds=last), score_clip(labels, confirmed, seconds=last)


def test_every_flash_is_a_candidate_and_nearly_every_pulse(scores: Scores) -> None:
    real_time = total(score for clip, (score, _) in scores.items() if clip not in TIME_LAPSES)
    assert real_time.recall == 1.0
    assert real_time.pulse_recall is not None
    assert real_time.pulse_recall >= 0.95
    lapses = total(scores[clip][0] for clip in TIME_LAPSES)
    assert lapses.recall is not None
    assert lapses.recall >= 0.8


def test_flashes_are_confirmed(scores: Scores) -> None:
    real_time = total(score for clip, (_, score) in scores.items() if clip not in TIME_LAPSES)
    assert real_time.recall is not None
    assert real_time.recall >= 0.97


def test_the_city_clip_has_exactly_its_five_flashes_each_within_a_frame(scores: Scores) -> None:
    score = scores["pos_warlok_city.mp4"][1]
    assert (score.found, score.false_alarms, score.split) == (5, 0, 0)
    assert max(abs(error) for error in score.onset_errors) <= 1 / 30 + 0.001


def test_onsets_are_within_a_frame_of_the_label(scores: Scores) -> None:
    # At 30 frames a second; two frames where every source frame comes twice, hence the 95th percentile.
    errors = [abs(error) for score, _ in scores.values() for error in score.onset_errors]
    assert sum(error <= 1 / 24 + 0.001 for error in errors) >= 0.95 * len(errors)


@pytest.mark.parametrize("clip", QUIET)
def test_quiet_clips_have_no_false_alarm_and_hardly_a_candidate(scores: Scores, clip: str) -> None:
    candidates, confirmed = scores[clip]
    assert confirmed.false_alarms == 0
    assert candidates.covered_share is not None
    assert candidates.covered_share <= 0.02
