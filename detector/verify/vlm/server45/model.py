"""Load the model with its own code, and score images in one forward pass: log-probabilities of the next token."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer

from detector.errors import VerifierError
from detector.verify.vlm.local.torch_device import PRECISIONS, pick_device, pick_precision
from detector.verify.vlm.server45.processor import build_processor, first_line
from detector.verify.vlm.server45.serve_config import ServeConfig

MARK = "(<image>./</image>)"  # placeholder of an image in the text, for the model's own processor
ANSWERS = ("Yes", "No")


@dataclass(frozen=True, slots=True)
class Clip:
    """One question: its text with a MARK for each image, in order, and the RGB images."""

    text: str
    images: tuple[Image.Image, ...]
    system: str = ""


class Model:
    """MiniCPM-V 4.5, loaded and ready to answer.

    Raises:
        VerifierError: the snapshot, its code or the device cannot be used; the message says what to try.
    """

    def __init__(self, config: ServeConfig) -> None:
        started = time.monotonic()
        if config.threads:
            torch.set_num_threads(config.threads)
        self._config = config
        self._folder = Path(config.folder)
        self.device = pick_device(config.device, "minicpm45.device")
        self.precision = pick_precision(config.precision, self.device)
        self.processor: Any
        self.processor, self.processor_origin = build_processor(self._folder)
        self._net = self._load()
        self.tokenizer: Any = self.processor.tokenizer if self.processor else self._load_tokenizer()
        self.answer_ids = tuple(self._answer_id(word) for word in ANSWERS)
        self._check_interface()
        self.seconds_to_load = time.monotonic() - started

    @property
    def device_name(self) -> str:
        """The GPU's name, or CPU."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"

    def describe(self) -> str:
        """Return device, precision, attention and the source of the processor, in one line."""
        return (
            f"{self.device_name}, {self.precision}, attention {self._config.attention}, "
            f"{torch.get_num_threads()} threads, processor: {self.processor_origin}, "
            f"loaded in {self.seconds_to_load:.1f} s"
        )

    def score(self, clips: Sequence[Clip]) -> list[Tensor]:
        """Return log-probabilities of the next token, (vocabulary,) float32 on the CPU, for each of `clips`.

        If memory runs out, the batch is halved.

        Raises:
            torch.OutOfMemoryError: one clip alone does not fit.
        """
        try:
            return self._score(clips)
        except torch.OutOfMemoryError:
            if len(clips) == 1:
                raise
        # Outside the handler, which would still hold the failed pass's tensors.
        torch.cuda.empty_cache()
        half = len(clips) // 2
        return self.score(clips[:half]) + self.score(clips[half:])

    def token(self, number: int) -> str:
        """Return the text of a token."""
        return str(self.tokenizer.decode([number]))

    @torch.inference_mode()
    def _score(self, clips: Sequence[Clip]) -> list[Tensor]:
        if self.processor is None:
            logits = [self._by_chat(clip) for clip in clips]
        else:
            # The released code assigns the packed images of a batch by counting images, not packs, which mixes clips.
            # So packed clips are embedded one by one, and only the language model gets them together.
            packed = self._config.pack_frames > 1
            parts = [self._embed([clip]) for clip in clips] if packed else [self._embed(clips)]
            embeds, mask = _left_padded(parts)
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            answer = self._net.llm(
                inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1
            )
            logits = list(answer.logits[:, -1])
        return list(torch.stack(logits).float().log_softmax(-1).cpu())

    def _embed(self, clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
        """Return (clips, tokens, width) embeddings of text and images, padded on the left, and the mask of tokens."""
        packs = (
            [_packs(clip.images, self._config.pack_frames) for clip in clips] if self._config.pack_frames > 1 else None
        )
        inputs = self.processor(
            text=[self._prompt(clip) for clip in clips],
            images=[list(clip.images) for clip in clips],
            max_slice_nums=1,  # slices are for small print: a 720p frame would cost three times the tokens
            use_image_id=False,
            return_tensors="pt",
            **({"temporal_ids": packs} if packs else {}),
        ).to(self.device)
        embeds, _ = self._net.get_vllm_embedding(inputs)
        # The processor's own mask drops every token 0 ("!"); padding is only before the first other token.
        mask = (inputs["input_ids"] != 0).long().cumsum(1).clamp(max=1)
        return embeds, mask

    def _prompt(self, clip: Clip) -> str:
        turns = [{"role": "system", "content": clip.system}] if clip.system else []
        turns.append({"role": "user", "content": clip.text})
        return str(
            self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        )

    def _by_chat(self, clip: Clip) -> Tensor:
        """Return the logits of the first token of the model's own `chat`, for snapshots without a processor."""
        seen: list[Tensor] = []

        def keep_first(_module: Any, _inputs: Any, output: Any) -> None:
            if not seen:
                seen.append(output.logits[0, -1])

        pieces = clip.text.split(MARK)
        content: list[Any] = [piece.strip() for piece in pieces[:1] if piece.strip()]
        for image, piece in zip(clip.images, pieces[1:], strict=True):
            content += [image, piece.strip()]
        message = {"role": "user", "content": [part for part in content if part != ""]}
        hook = self._net.llm.register_forward_hook(keep_first)
        try:
            self._net.chat(
                image=None, msgs=[message], tokenizer=self.tokenizer, sampling=True, max_new_tokens=1, max_slice_nums=1
            )
        finally:
            hook.remove()
        if not seen:
            raise VerifierError(
                f"{type(self._net).__name__}.chat did not use its language model; this snapshot cannot be scored"
            )
        return seen[0]

    def _load(self) -> Any:
        options: dict[str, Any] = {
            "trust_remote_code": True,
            "local_files_only": True,
            "attn_implementation": self._config.attention,
            "use_safetensors": True,  # a pickle would be executable code
            _dtype_keyword(): PRECISIONS[self.precision],
        }
        try:
            config = AutoConfig.from_pretrained(str(self._folder), trust_remote_code=True, local_files_only=True)
            return AutoModel.from_pretrained(str(self._folder), config=config, **options).to(self.device).eval()
        except Exception as error:  # the snapshot's own code runs here and may raise anything
            raise VerifierError(_explained(error, self._folder)) from error

    def _load_tokenizer(self) -> Any:
        try:
            return AutoTokenizer.from_pretrained(str(self._folder), trust_remote_code=True, local_files_only=True)
        except Exception as error:  # as above
            line = first_line(error, self._folder)
            raise VerifierError(f"the tokenizer cannot be loaded: {line}; fetch the snapshot again") from error

    def _answer_id(self, word: str) -> int:
        ids = self.tokenizer.encode(word, add_special_tokens=False)
        if len(ids) != 1:
            raise VerifierError(
                f"'{word}' is {len(ids)} tokens for this tokenizer, not one: its answer cannot be read off"
            )
        return int(ids[0])

    def _check_interface(self) -> None:
        needed = ["llm", "get_vllm_embedding" if self.processor else "chat"]
        lacking = [name for name in needed if not hasattr(self._net, name)]
        if lacking:
            raise VerifierError(
                f"{type(self._net).__name__} has no {', '.join(lacking)}: this is not the code of MiniCPM-V 4.5"
            )


def _packs(images: Sequence[Image.Image], most: int) -> list[list[int]]:
    """Return temporal_ids: neighbours of equal size in packs of at most `most`, one tick apart in the order shown."""
    packs: list[list[int]] = []
    for number, image in enumerate(images):
        if packs and len(packs[-1]) < most and images[packs[-1][0]].size == image.size:
            packs[-1].append(number)
        else:
            packs.append([number])
    return packs


def _left_padded(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return (embeddings, mask) of all parts as one batch."""
    if len(parts) == 1:
        return parts[0]
    longest = max(mask.shape[1] for _, mask in parts)
    pads = [longest - mask.shape[1] for _, mask in parts]
    embeds = [torch.nn.functional.pad(part, (0, 0, pad, 0)) for (part, _), pad in zip(parts, pads, strict=True)]
    masks = [torch.nn.functional.pad(mask, (pad, 0)) for (_, mask), pad in zip(parts, pads, strict=True)]
    return torch.cat(embeds), torch.cat(masks)


def _dtype_keyword() -> str:
    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _explained(error: Exception, folder: Path) -> str:
    """Return the failure to load in one line, with what to try where the cause is known."""
    line = first_line(error, folder)
    advice = "fetch the snapshot again, or use the pinned revision"
    if "Qwen3" in line and isinstance(error, ImportError):
        advice = "transformers is too old for it: lightning-detector setup-45 --again"
    elif isinstance(error, torch.OutOfMemoryError | MemoryError):
        advice = "the weights of MiniCPM-V 4.5 take about 18 GB; use a bigger GPU, or a quantised model behind a server"
    elif "safetensors" in line and isinstance(error, OSError):
        advice = "only weights in safetensors files are loaded; fetch the snapshot again"
    return f"the model cannot be loaded: {line}; {advice}"
