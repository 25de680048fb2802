"""Scorer: real classes on tiny random weights; the plumbing is proved, not what a trained model sees."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from helpers.models import MODEL_46, MODEL_47, REVISION_46, REVISION_47, model_settings

torch = pytest.importorskip("torch", reason="the extra minicpm is not installed")
pytest.importorskip("transformers", reason="the extra minicpm is not installed")

from transformers import AutoImageProcessor  # noqa: E402 - after the skips

from detector.errors import VerifierError  # noqa: E402
from detector.verify.vlm.images import Difference, RgbImage, amplified_difference  # noqa: E402
from detector.verify.vlm.local.environment_report import cpu_multiplies_bf16  # noqa: E402
from detector.verify.vlm.local.protocol import Load, Score  # noqa: E402
from detector.verify.vlm.local.scorer import Scorer  # noqa: E402
from detector.verify.vlm.local.snapshot import find_snapshot  # noqa: E402
from detector.verify.vlm.local.torch_device import pick_device, pick_precision  # noqa: E402
from detector.verify.vlm.local.verifier import loads_of  # noqa: E402
from detector.verify.vlm.local.windows import (  # noqa: E402
    BatchedAttention,
    KeptPositions,
    KeptWindows,
    batch_vision_attention,
)
from detector.verify.vlm.question import VlmInput  # noqa: E402

pytestmark = pytest.mark.model
CPU = torch.device("cpu")
MODELS = {"4.6": (MODEL_46, REVISION_46), "4.7": (MODEL_47, REVISION_47)}


def load_for(hub_cache: Path, version: str, **changes: object) -> Load:
    model, revision = MODELS[version]
    settings = model_settings(minicpm={"model": model, "revision": revision, **changes}).minicpm
    return loads_of(settings, find_snapshot(settings, hub_cache))[0]


@pytest.fixture(scope="module", params=["4.6", "4.7"])
def scorer(request: pytest.FixtureRequest, hub_cache: Path) -> Scorer:
    torch.set_num_threads(1)
    return Scorer.load(load_for(hub_cache, request.param), CPU)


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


def test_the_model_sees_what_the_librarys_processor_makes_of_the_pictures(scorer: Scorer, hub_cache: Path) -> None:
    processors: Any = AutoImageProcessor
    processor = processors.from_pretrained(load_for(hub_cache, "4.6").folder, backend="pil", local_files_only=True)
    for image in (image for clip in MIXED for image in clip.images):
        made = processor(image, max_slice_nums=1, downsample_mode="16x", scale_resolution=224, return_tensors="pt")
        (group,) = scorer._pixels.groups([image])
        assert list(group.grid) == made["target_sizes"][0].tolist()
        apart = (group.pixels - made["pixel_values"]).abs()
        # PIL rounds after each of its two passes: a level more or less here and there (a level is 0.0078).
        assert apart.max() < 0.02
        assert apart.mean() < 0.001


def test_the_device_makes_the_difference_image_that_the_cpu_makes(scorer: Scorer) -> None:
    before, peak = noise(6, 360, 640) // 4, noise(7, 360, 640)
    (whole,) = scorer._pixels.groups([before, Difference(before, peak), peak])
    (made,) = scorer._pixels.groups([amplified_difference(before, peak)])
    assert whole.places == [0, 1, 2]
    assert (whole.pixels[1] - made.pixels[0]).abs().max() < 0.02
    (plain,) = scorer._pixels.groups([peak])
    torch.testing.assert_close(whole.pixels[2], plain.pixels[0])


def test_images_of_two_sizes_come_back_in_the_order_given(scorer: Scorer) -> None:
    images = [noise(1, 90, 160), noise(2, 200, 100), noise(3, 90, 160)]
    with torch.inference_mode():
        together = scorer._features(images)
        alone = torch.cat([scorer._features([image]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("version", ["4.6", "4.7"])
@pytest.mark.parametrize("mode", ["16x", "4x"])
def test_the_prompt_is_what_the_librarys_processor_makes_of_it_with_image_numbers(
    hub_cache: Path, version: str, mode: str
) -> None:
    scorer = Scorer.load(load_for(hub_cache, version, downsample_mode=mode), CPU)
    clip = MIXED[2]
    ids = scorer.tokens([clip])["input_ids"][0].tolist()
    text = scorer._tokenizer.decode(ids)
    assert "<image_id>0</image_id><image><|image_pad|>" in text
    assert "<image_id>1</image_id><image><|image_pad|>" in text
    processors: Any = AutoImageProcessor
    processor = processors.from_pretrained(load_for(hub_cache, version).folder, backend="pil", local_files_only=True)
    sizes = [
        processor(image, max_slice_nums=1, downsample_mode=mode, scale_resolution=224, return_tensors="pt")[
            "target_sizes"
        ]
        for image in clip.images
    ]
    per_token = {"16x": 16, "4x": 4}[mode]
    assert ids.count(scorer._tokenizer.image_token_id) == sum(int(size.prod()) // per_token for size in sizes)


def test_log_odds_keep_their_steps_in_bf16(hub_cache: Path) -> None:
    """Logits as large as a trained model's: in bf16 their steps are 0.125, and answers fall onto each other."""
    scorer = Scorer.load(load_for(hub_cache, "4.6", precision="bf16"), CPU)
    norm = scorer._model.model.language_model.norm.norm
    norm.weight.data = ((norm.weight.data.float() + 1) * 20 - 1).to(norm.weight.dtype)
    clips = [VlmInput([noise(seed, 90, 160)], "Lightning? Yes or No.") for seed in range(12)]
    found = odds([scorer.score([clip])[0] for clip in clips])
    assert len({round(value, 6) for value in found}) == 12


def test_the_tokens_of_a_batch_are_those_that_the_tokenizer_pads_the_first_time_and_the_second(scorer: Scorer) -> None:
    counts = iter(scorer._token_count(image) for clip in MIXED for image in clip.images)
    texts = [scorer._prompt(clip, counts) for clip in MIXED]
    expected = scorer._tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
    for _ in range(2):
        found = scorer.tokens(MIXED)
        assert torch.equal(found["input_ids"], expected["input_ids"])
        assert torch.equal(found["attention_mask"], expected["attention_mask"])
    for number in range(300):
        clips = [VlmInput(MIXED[3].images, f"Question {number}?")]
        tokens = scorer.tokens(clips)
        if "mm_token_type_ids" in tokens:
            scorer._positions(clips, tokens)
    kept = (scorer._known_ids, scorer._known_turns, scorer._known_positions)
    assert max(map(len, kept)) == 256, "what is kept is bounded"


def test_scores_move_with_the_question(scorer: Scorer) -> None:
    one, other = scorer.score([VlmInput([flat(9)], "Lightning?"), VlmInput([flat(9)], "Fireworks?")])
    assert one.log_odds != other.log_odds


def test_the_log_odds_are_those_of_the_whole_models_next_word(scorer: Scorer) -> None:
    clip = MIXED[2]
    groups = [scorer._pixels.groups([image])[0] for image in clip.images]
    pixels = torch.cat([group.pixels for group in groups], dim=-1)
    sizes = torch.tensor([group.grid for group in groups])
    # The stand-ins are for images of one size; the library's own layers are asked here.
    for parent in scorer._model.modules():
        for name, layer in list(parent.named_children()):
            own = [getattr(layer, part) for part in ("layer", "embeddings", "merger") if _stands_in(layer)
                   and hasattr(layer, part)]  # fmt: skip
            if own:
                setattr(parent, name, own[0])
    with torch.inference_mode():
        logits = (
            scorer._model(
                **scorer.tokens([clip]), pixel_values=pixels, target_sizes=sizes, downsample_mode="16x", use_cache=False
            )
            .logits[0, -1]
            .float()
        )
    batch_vision_attention(scorer._model)
    yes, no = scorer._answers
    score = scorer.score([clip])[0]
    assert score.log_odds == pytest.approx(float(logits[yes] - logits[no]), abs=1e-5)
    assert score.answer_mass == pytest.approx(float(logits.softmax(-1)[[yes, no]].sum()), abs=1e-6)


def _stands_in(layer: object) -> bool:
    return isinstance(layer, BatchedAttention | KeptPositions | KeptWindows)


@pytest.mark.parametrize("version", ["4.6", "4.7"])
@pytest.mark.parametrize("mode", ["16x", "4x"])
def test_batched_vision_attention_equals_the_librarys_own(hub_cache: Path, version: str, mode: str) -> None:
    batched = Scorer.load(load_for(hub_cache, version, downsample_mode=mode), CPU)
    layers = [layer for layer in batched._model.modules() if isinstance(layer, BatchedAttention)]
    assert len(layers) == 3, "two layers and the window merger"
    own = Scorer.load(load_for(hub_cache, version, downsample_mode=mode), CPU)
    for parent in own._model.modules():
        for name, layer in list(parent.named_children()):
            if isinstance(layer, BatchedAttention):
                setattr(parent, name, _OwnAttention(layer.layer))
    uniform = [VlmInput([noise(n, 224, 224)] * 4, "Same sizes.") for n in range(2)]
    for clips in (uniform, MIXED):
        assert odds(batched.score(clips)) == pytest.approx(odds(own.score(clips)), abs=1e-5)


class _OwnAttention(torch.nn.Module):
    """The library's layer, with the arguments that it wants."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, **given: Any) -> Any:
        return self.layer(**{"max_seqlen": None} | given)


def test_eager_attention_agrees_with_the_shipped_one(hub_cache: Path) -> None:
    shipped, eager = (Scorer.load(load_for(hub_cache, "4.6", attention=name), CPU) for name in ("sdpa", "eager"))
    assert odds(shipped.score(MIXED)) == pytest.approx(odds(eager.score(MIXED)), abs=1e-5)


def test_sixteen_bits_stay_near_thirty_two(hub_cache: Path) -> None:
    full, half = (Scorer.load(load_for(hub_cache, "4.6", precision=name), CPU) for name in ("fp32", "bf16"))
    assert odds(full.score(MIXED)) == pytest.approx(odds(half.score(MIXED)), abs=0.02)


def test_smaller_images_cost_fewer_tokens(hub_cache: Path) -> None:
    lengths = []
    for side in (448, 224):
        scorer = Scorer.load(load_for(hub_cache, "4.6", picture_side_pixels=side), CPU)
        lengths.append(scorer.tokens([MIXED[0]])["input_ids"].shape[1])
    assert lengths[0] - lengths[1] == 8 * (64 - 16)


def test_a_tokenizer_without_yes_and_no_as_words_is_refused(hub_cache: Path, tmp_path: Path) -> None:
    load = load_for(hub_cache, "4.6")
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


def test_a_template_that_loses_the_images_is_refused(hub_cache: Path, tmp_path: Path) -> None:
    load = load_for(hub_cache, "4.6")
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
