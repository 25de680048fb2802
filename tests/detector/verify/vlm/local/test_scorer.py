"""Scorer: real classes on tiny random weights; the plumbing is proved, not what a trained model sees."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from helpers.models import MODEL_46, MODEL_47, REVISION_46, REVISION_47, model_settings, tiny_hub_cache

torch = pytest.importorskip("torch", reason="the extra minicpm is not installed")
pytest.importorskip("transformers", reason="the extra minicpm is not installed")

from transformers import AutoImageProcessor  # noqa: E402 - after the skips

from detector.errors import VerifierError  # noqa: E402
from detector.verify.vlm.images import RgbImage  # noqa: E402
from detector.verify.vlm.local.environment_report import cpu_multiplies_bf16  # noqa: E402
from detector.verify.vlm.local.protocol import Load, Score  # noqa: E402
from detector.verify.vlm.local.scorer import Scorer, pick_device, pick_precision  # noqa: E402
from detector.verify.vlm.local.snapshot import find_snapshot  # noqa: E402
from detector.verify.vlm.local.verifier import load_of  # noqa: E402
from detector.verify.vlm.local.windows import BatchedAttention  # noqa: E402
from detector.verify.vlm.question import VlmInput  # noqa: E402

pytestmark = pytest.mark.model
CPU = torch.device("cpu")
MODELS = {"4.6": (MODEL_46, REVISION_46), "4.7": (MODEL_47, REVISION_47)}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hub_cache(tmp_path_factory.getbasetemp() / "hub")


def load_for(cache: Path, version: str, **changes: object) -> Load:
    model, revision = MODELS[version]
    settings = model_settings(minicpm={"model": model, "revision": revision, **changes}).minicpm
    return load_of(settings, find_snapshot(settings, cache))


@pytest.fixture(scope="module", params=["4.6", "4.7"])
def scorer(request: pytest.FixtureRequest, cache: Path) -> Scorer:
    torch.set_num_threads(1)
    return Scorer.load(load_for(cache, request.param), CPU)


def noise(seed: int, *size: int) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def flat(level: int) -> RgbImage:
    return np.full((90, 160, 3), level, np.uint8)


def odds(scores: list[Score]) -> list[float]:
    return [score.log_odds for score in scores]


MIXED = [
    VlmInput([noise(1, 448, 448)] * 8, "A long question about eight images. Yes or No?"),
    VlmInput([noise(2, 480, 640)] * 3, "Three?"),
    VlmInput([noise(3, 270, 480), noise(4, 90, 160)], "Two of different sizes. Answer Yes or No."),
    VlmInput([noise(5, 720, 1280)], "One?"),
]


def test_a_batch_of_different_lengths_and_sizes_scores_as_each_clip_alone(scorer: Scorer) -> None:
    alone = [scorer.score([clip])[0] for clip in MIXED]
    together = scorer.score(MIXED)
    assert odds(together) == pytest.approx(odds(alone), abs=1e-5)
    assert [s.answer_mass for s in together] == pytest.approx([s.answer_mass for s in alone], abs=1e-5)


def test_scores_move_with_the_pixels_and_with_nothing_else(scorer: Scorer) -> None:
    dark, bright, flash = (VlmInput(levels, "Lightning? Yes or No.") for levels in (
        [flat(0)] * 3, [flat(255)] * 3, [flat(0), flat(255), flat(0)]
    ))  # fmt: skip
    scores = odds(scorer.score([dark, bright, flash]))
    assert len({round(value, 6) for value in scores}) == 3, f"the same answer whatever is shown: {scores}"
    assert odds(scorer.score([dark, bright, flash])) == scores


def test_the_model_sees_what_the_librarys_processor_makes_of_the_pictures(scorer: Scorer, cache: Path) -> None:
    processors: Any = AutoImageProcessor
    processor = processors.from_pretrained(load_for(cache, "4.6").folder, backend="pil", local_files_only=True)
    images = [image for clip in MIXED for image in clip.images]
    made = processor(
        images, max_slice_nums=1, downsample_mode="16x", scale_resolution=scorer._side, return_tensors="pt"
    )
    pixels, sizes = scorer._pixels(images)
    assert torch.equal(sizes, made["target_sizes"])
    torch.testing.assert_close(pixels, made["pixel_values"], atol=1e-6, rtol=0)


def test_scores_move_with_the_question(scorer: Scorer) -> None:
    one, other = scorer.score([VlmInput([flat(9)], "Lightning?"), VlmInput([flat(9)], "Fireworks?")])
    assert one.log_odds != other.log_odds


def test_the_log_odds_are_those_of_the_whole_models_next_word(scorer: Scorer) -> None:
    clip = MIXED[2]
    batch = scorer._encode([clip])
    with torch.inference_mode():
        logits = scorer._model(**batch, downsample_mode="16x", use_cache=False).logits[0, -1].float()
    yes, no = scorer._answers
    assert scorer.score([clip])[0].log_odds == pytest.approx(float(logits[yes] - logits[no]), abs=1e-5)


@pytest.mark.parametrize("version", ["4.6", "4.7"])
@pytest.mark.parametrize("mode", ["16x", "4x"])
def test_batched_vision_attention_equals_the_librarys_own(cache: Path, version: str, mode: str) -> None:
    batched = Scorer.load(load_for(cache, version, downsample_mode=mode), CPU)
    layers = [layer for layer in batched._model.modules() if isinstance(layer, BatchedAttention)]
    assert len(layers) == 3, "two layers and the window merger"
    own = Scorer.load(load_for(cache, version, downsample_mode=mode), CPU)
    for parent in own._model.modules():
        for name, layer in list(parent.named_children()):
            if isinstance(layer, BatchedAttention):
                setattr(parent, name, layer.layer)
    uniform = [VlmInput([noise(n, 224, 224)] * 4, "Same sizes.") for n in range(2)]
    for clips in (uniform, MIXED):
        assert odds(batched.score(clips)) == pytest.approx(odds(own.score(clips)), abs=1e-5)


def test_eager_attention_agrees_with_the_shipped_one(cache: Path) -> None:
    shipped, eager = (Scorer.load(load_for(cache, "4.6", attention=name), CPU) for name in ("sdpa", "eager"))
    assert odds(shipped.score(MIXED)) == pytest.approx(odds(eager.score(MIXED)), abs=1e-5)


def test_sixteen_bits_stay_near_thirty_two(cache: Path) -> None:
    full, half = (Scorer.load(load_for(cache, "4.6", precision=name), CPU) for name in ("fp32", "bf16"))
    assert odds(full.score(MIXED)) == pytest.approx(odds(half.score(MIXED)), abs=0.02)


def test_smaller_images_cost_fewer_tokens(cache: Path) -> None:
    lengths = []
    for side in (448, 224):
        scorer = Scorer.load(load_for(cache, "4.6", picture_side_pixels=side), CPU)
        lengths.append(scorer._encode([MIXED[0]])["input_ids"].shape[1])
    assert lengths[0] - lengths[1] == 8 * (64 - 16)


def test_a_tokenizer_without_yes_and_no_as_words_is_refused(cache: Path, tmp_path: Path) -> None:
    load = load_for(cache, "4.6")
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in Path(load.folder).iterdir():
        content = path.read_bytes()
        if path.name == "tokenizer.json":
            content = content.replace(b'"Yes": ', b'"Yxs": ').replace(b'"Ye",\n        "s"', b'"Yx",\n        "s"')
            content = content.replace(b'"Y",\n        "e"', b'"Y",\n        "x"').replace(b'"Ye": ', b'"Yx": ')
        (broken / path.name).write_bytes(content)
    with pytest.raises(VerifierError, match="not single tokens"):
        Scorer.load(_in(load, broken), CPU)


def test_a_template_that_loses_the_images_is_refused(cache: Path, tmp_path: Path) -> None:
    load = load_for(cache, "4.6")
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in Path(load.folder).iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "chat_template.jinja").write_text("{{ messages[0].role }}")
    with pytest.raises(VerifierError, match="chat template"):
        Scorer.load(_in(load, broken), CPU).score(MIXED)


def _in(load: Load, folder: Path) -> Load:
    return msgspec.structs.replace(load, folder=str(folder))


def test_a_gpu_that_is_not_there_is_named_with_what_to_set() -> None:
    with pytest.raises(VerifierError, match=r"cuda:99.*minicpm.device"):
        pick_device("cuda:99")


def test_precision_follows_what_the_device_can_multiply(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags\t: fpu avx512f avx512_bf16 amx_tile\n")
    assert cpu_multiplies_bf16(info)
    info.write_text("flags\t: fpu avx2\n")
    assert not cpu_multiplies_bf16(info)
    assert pick_precision("fp16", CPU) == "fp16"
    assert pick_precision("auto", CPU) == ("bf16" if cpu_multiplies_bf16() else "fp32")
