"""The model itself: images and questions in, log-odds of Yes over No out, in one forward pass for a batch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, cast

import torch
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from detector.errors import VerifierError
from detector.verify.vlm.images import RgbImage
from detector.verify.vlm.local.environment_report import cpu_multiplies_bf16
from detector.verify.vlm.local.protocol import Load
from detector.verify.vlm.local.windows import batch_vision_attention
from detector.verify.vlm.question import Score, VlmInput

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_PATCHES_PER_TOKEN = {"16x": 16, "4x": 4}
_ANSWERS = ("Yes", "No")


def pick_device(wanted: str) -> torch.device:
    """Return the device for the setting `minicpm.device`.

    Raises:
        VerifierError: a GPU was asked for and there is none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise VerifierError(
            f"minicpm.device = {wanted!r}: torch {torch.__version__} sees {torch.cuda.device_count()} GPUs; "
            "set minicpm.device to auto or cpu, or install a torch build for this machine's driver"
        )
    return device


def pick_precision(wanted: str, device: torch.device) -> str:
    """Return the precision for `minicpm.precision` on `device`: 16 bit only where the hardware multiplies it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if cpu_multiplies_bf16() else "fp32"


class Scorer:
    """Scores clips with a MiniCPM-V 4.6 or 4.7 model.

    Frames go in as single images without slices: to the digit the same as a video, without a video processor and so
    without torchvision. `generate` is not used: the answer is read from the last position's logits.
    """

    def __init__(self, model: Any, tokenizer: Any, images: Any, *, downsample_mode: str, picture_side: int) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._images = images
        self._mode = downsample_mode
        self._side = picture_side
        ids = [tokenizer.encode(word, add_special_tokens=False) for word in _ANSWERS]
        if [len(tokens) for tokens in ids] != [1, 1]:
            raise VerifierError(
                f"'Yes' and 'No' are not single tokens of this tokenizer: {ids}; another model is needed"
            )
        self._answers = [tokens[0] for tokens in ids]
        self._needs_types = model.config.model_type == "minicpmv4_7"

    @classmethod
    def load(cls, load: Load, device: torch.device) -> Self:
        """Read the snapshot in `load.folder`, nothing else: no network, no code from it.

        Raises:
            VerifierError: the tokenizer does not fit.
            OSError, ValueError, ImportError: transformers' words for a broken snapshot or a missing wheel.
        """
        local = {"local_files_only": True, "trust_remote_code": False}
        # The libraries' types are partly missing and partly wrong: seen as Any here, checked by the tests.
        tokenizers, processors, models = cast("Any", (AutoTokenizer, AutoImageProcessor, AutoModelForImageTextToText))
        tokenizer = tokenizers.from_pretrained(load.folder, **local)
        images = processors.from_pretrained(load.folder, backend="pil", **local)
        model = models.from_pretrained(
            load.folder, dtype=PRECISIONS[load.precision], attn_implementation=load.attention, **local
        ).to(device)
        if load.attention == "sdpa":
            batch_vision_attention(model)
        return cls(
            model, tokenizer, images, downsample_mode=load.downsample_mode, picture_side=load.picture_side_pixels
        )

    @torch.inference_mode()
    def score(self, clips: Sequence[VlmInput]) -> list[Score]:
        """Return a score for each clip, in order; clips may differ in the number and the size of their images."""
        batch = self._encode(clips)
        # The inner model and then the head on the last position: the whole model would make logits over 248,320
        # words for every token of the prompt.
        hidden = self._model.model(**batch, downsample_mode=self._mode, use_cache=False).last_hidden_state[:, -1]
        chances = self._model.lm_head(hidden).float().log_softmax(-1)[:, self._answers]
        odds: list[float] = (chances[:, 0] - chances[:, 1]).tolist()
        masses: list[float] = chances.exp().sum(-1).tolist()
        return [Score(log_odds, mass) for log_odds, mass in zip(odds, masses, strict=True)]

    def _encode(self, clips: Sequence[VlmInput]) -> dict[str, Tensor]:
        """Return the model's inputs for a batch, padded on the left so that every prompt ends at the last position."""
        pixels, sizes = self._pixels([image for clip in clips for image in clip.images])
        counts = iter((sizes.prod(-1) // _PATCHES_PER_TOKEN[self._mode]).tolist())
        texts = [self._prompt(clip, counts) for clip in clips]
        batch = dict(self._tokenizer(texts, padding=True, padding_side="left", return_tensors="pt"))
        if self._needs_types:
            batch["mm_token_type_ids"] = (batch["input_ids"] == self._tokenizer.image_token_id).long()
        batch |= {"pixel_values": pixels, "target_sizes": sizes}
        return {name: tensor.to(self._model.device) for name, tensor in batch.items()}

    def _pixels(self, images: Sequence[RgbImage]) -> tuple[Tensor, Tensor]:
        """Return the images as the vision part takes them, on the device, and each one's (rows, columns) of patches.

        A card waits longer for its images than it works on them. So they are resized side by side, sent as bytes,
        and become numbers around 0 on the device.
        """
        make = self._images

        def resize(image: RgbImage) -> Any:
            return make(
                image,
                max_slice_nums=1,
                downsample_mode=self._mode,
                scale_resolution=self._side,
                do_rescale=False,
                do_normalize=False,
                return_tensors="pt",
            )

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            resized = list(pool.map(resize, images))
        levels = torch.cat([one["pixel_values"] for one in resized], dim=-1).to(self._model.device).float()
        mean, deviation = (
            torch.tensor(values, device=levels.device).view(-1, 1, 1) for values in (make.image_mean, make.image_std)
        )
        pixels = (levels * make.rescale_factor - mean) / deviation
        return pixels.to(self._model.dtype), torch.cat([one["target_sizes"] for one in resized])

    def _prompt(self, clip: VlmInput, counts: Iterator[int]) -> str:
        """Return the clip's turn in the model's chat form, each image's place widened to its number of tokens."""
        tokenizer = self._tokenizer
        content = [*({"type": "image"} for _ in clip.images), {"type": "text", "text": clip.text}]
        turn = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        first, *rest = turn.split(tokenizer.image_token)
        if len(rest) != len(clip.images):
            raise VerifierError(
                f"the chat template made {len(rest)} places for {len(clip.images)} images; the snapshot's "
                "chat_template.jinja does not fit this program"
            )
        open_mark, mark, close_mark = tokenizer.image_start_token, tokenizer.image_token, tokenizer.image_end_token
        return str(first) + "".join(f"{open_mark}{mark * next(counts)}{close_mark}{text}" for text in rest)
