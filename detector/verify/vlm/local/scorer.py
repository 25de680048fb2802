"""The model itself: images and questions in, log-odds of Yes over No out, in one forward pass for a batch."""

from collections.abc import Iterator, Sequence
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from detector.errors import VerifierError
from detector.verify.vlm.images import VlmImage
from detector.verify.vlm.local.pixels import Grid, PixelMaker
from detector.verify.vlm.local.protocol import Load
from detector.verify.vlm.local.torch_device import PRECISIONS
from detector.verify.vlm.local.vision import VisionPart
from detector.verify.vlm.local.windows import batch_vision_attention
from detector.verify.vlm.question import Score, VlmInput

K = TypeVar("K")
V = TypeVar("V")

_PATCHES_PER_TOKEN = {"16x": 16, "4x": 4}
_ANSWERS = ("Yes", "No")
_KEPT_PROMPTS = 256  # of a few cameras, with the remarks about their images
_HEAD_ROWS = 65_536  # of the vocabulary, made fp32 at a time: 268 MB at a width of 1024


class Fp32Norm(nn.Module):
    """Stands in for the last norm and gives its result in fp32, whatever comes in."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the norm's own answer without its rounding."""
        normed: Tensor = self.norm(hidden_states.float())
        return normed


class StartedBatch:
    """A batch that was handed to the device."""

    def __init__(self, found: Tensor) -> None:
        """Take (log-odds or answer mass, clips) as the device will have them."""
        self._found = found.to("cpu", non_blocking=True)
        self._event: Any = None
        if found.device.type == "cuda":
            with torch.cuda.device(found.device):
                self._event = cast("Any", torch.cuda.Event)()
                self._event.record()

    def is_done(self) -> bool:
        """Return whether `scores` will not wait."""
        return self._event is None or bool(self._event.query())

    def scores(self) -> list[Score]:
        """Return a score for each clip, in order."""
        if self._event is not None:
            self._event.synchronize()
        odds, masses = self._found.tolist()
        return [Score(log_odds, mass) for log_odds, mass in zip(odds, masses, strict=True)]


class Scorer:
    """Scores clips with a MiniCPM-V 4.6 or 4.7 model.

    Frames go in as single images without slices, each after its number, as the vendor recommends for several images.
    `generate` is not used: the answer is read from the last position's logits. These are computed in fp32 whatever the
    model's precision: in bf16 one step of a logit of 16 to 32 is 0.125, and different images get equal log-odds.
    """

    def __init__(self, model: Any, tokenizer: Any, images: Any, *, downsample_mode: str, picture_side: int) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._mode = downsample_mode
        text_part = model.model.language_model
        if not isinstance(text_part.norm, Fp32Norm):
            text_part.norm = Fp32Norm(text_part.norm)
        self._vision = VisionPart(model.model, downsample_mode)
        self._pixels = PixelMaker(
            images, mode=downsample_mode, side_pixels=picture_side, device=model.device, dtype=model.dtype
        )
        ids = [tokenizer.encode(word, add_special_tokens=False) for word in _ANSWERS]
        if [len(tokens) for tokens in ids] != [1, 1]:
            raise VerifierError(
                f"'Yes' and 'No' are not single tokens of this tokenizer: {ids}; another model is needed"
            )
        self._answers = [tokens[0] for tokens in ids]
        self._needs_types = model.config.model_type == "minicpmv4_7"
        self._known_turns: dict[tuple[int, str], str] = {}
        self._known_ids: dict[str, Tensor] = {}
        self._known_positions: dict[tuple[bytes, tuple[Grid, ...]], Tensor] = {}

    @classmethod
    def load(cls, load: Load, device: torch.device) -> Self:
        """Read the snapshot in `load.folder`, nothing else: no network, no code from it.

        Returns:
            the loaded model, ready to score.

        Raises:
            VerifierError: the tokenizer does not fit.
            OSError: from transformers, for a broken snapshot.
            ValueError: from transformers, for a broken snapshot.
            ImportError: a package that the model needs is missing.
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

    def score(self, clips: Sequence[VlmInput]) -> list[Score]:
        """Return a score for each clip, in order; clips may differ in the number and the size of their images."""
        return self.start(clips).scores()

    @torch.inference_mode()
    def start(self, clips: Sequence[VlmInput]) -> "StartedBatch":
        """Hand a batch to the device; a GPU works on it while this thread goes on with the next."""
        images = [image for clip in clips for image in clip.images]
        tokens = self.tokens(clips)
        # Before the features are there: the device works on them while this thread goes on.
        places = (tokens["input_ids"] == self._tokenizer.image_token_id).flatten().nonzero()[:, 0]
        features = self._features(images)
        device = self._model.device
        embedded = self._model.get_input_embeddings()(tokens["input_ids"].to(device))
        embedded.view(-1, embedded.shape[-1])[places.to(device)] = features.to(embedded.dtype)
        sent = {"attention_mask": tokens["attention_mask"].to(device)}
        if self._needs_types:
            sent["position_ids"] = self._positions(clips, tokens).to(device)
        # The inner model and then the head on the last position: the whole model would make logits over 248,320
        # words for every token of the prompt.
        hidden = self._model.model(**sent, inputs_embeds=embedded, use_cache=False).last_hidden_state[:, -1]
        answers = self._logits(hidden, self._model.lm_head.weight[self._answers])
        chances = (answers - self._log_total(hidden)).exp().sum(-1)
        return StartedBatch(torch.stack([answers[:, 0] - answers[:, 1], chances]))

    def tokens(self, clips: Sequence[VlmInput]) -> dict[str, Tensor]:
        """Return the token ids of a batch on the CPU, padded on the left so that every prompt ends at the last one."""
        counts = iter(self._token_count(image) for clip in clips for image in clip.images)
        rows = [self._ids(self._prompt(clip, counts)) for clip in clips]
        shape = len(rows), max(map(len, rows))
        ids = torch.full(shape, self._tokenizer.pad_token_id, dtype=torch.int64)
        mask = torch.zeros(shape, dtype=torch.int64)
        for place, row in enumerate(rows):
            ids[place, -len(row) :] = row
            mask[place, -len(row) :] = 1
        batch = {"input_ids": ids, "attention_mask": mask}
        if self._needs_types:
            batch["mm_token_type_ids"] = (ids == self._tokenizer.image_token_id).long()
        return batch

    def _ids(self, prompt: str) -> Tensor:
        """Return the token ids of a prompt; most candidates have the words and the image sizes of one before."""
        ids = self._known_ids.get(prompt)
        if ids is None:
            ids = torch.tensor(self._tokenizer(prompt)["input_ids"])
            _keep(self._known_ids, prompt, ids)
        return ids

    def _positions(self, clips: Sequence[VlmInput], tokens: dict[str, Tensor]) -> Tensor:
        """Return (3, clips, tokens) positions, laid out on the CPU by the sizes of the images.

        4.7's own way to them reads every token back from the device, which would wait for all its work.
        """
        positions = torch.zeros(3, *tokens["input_ids"].shape, dtype=torch.int64)
        for number, (clip, length) in enumerate(zip(clips, tokens["attention_mask"].sum(1).tolist(), strict=True)):
            ids, types = (tokens[name][number : number + 1, -length:] for name in ("input_ids", "mm_token_type_ids"))
            grids = tuple(map(self._pixels.grid_of, clip.images))
            key = ids.numpy().tobytes(), grids
            laid = self._known_positions.get(key)
            if laid is None:
                sizes = torch.tensor(grids)
                laid, _ = self._model.model.get_rope_index(ids, types, sizes, downsample_mode=self._mode)
                _keep(self._known_positions, key, laid)
            positions[:, number, -length:] = laid[:, 0]
        return positions

    def _token_count(self, image: VlmImage) -> int:
        rows, columns = self._pixels.grid_of(image)
        return rows * columns // _PATCHES_PER_TOKEN[self._mode]

    def _features(self, images: Sequence[VlmImage]) -> Tensor:
        """Return (tokens of all images, width) features in the images' order."""
        found: list[Tensor] = [torch.empty(0)] * len(images)
        for group in self._pixels.groups(images):
            features = self._vision.features(group.pixels, group.grid)
            for place, one in zip(group.places, features, strict=True):
                found[place] = one
        return torch.cat(found)

    def _log_total(self, hidden: Tensor) -> Tensor:
        """Return (clips, 1) logarithm of the sum over the vocabulary; in parts, since fp32 weights of all take 1 GB."""
        parts = self._model.lm_head.weight.split(_HEAD_ROWS)
        return torch.stack([self._logits(hidden, rows).logsumexp(-1) for rows in parts]).logsumexp(0)[:, None]

    @staticmethod
    def _logits(hidden: Tensor, rows: Tensor) -> Tensor:
        return hidden.float() @ rows.float().T

    def _prompt(self, clip: VlmInput, counts: Iterator[int]) -> str:
        """Return the clip's turn in the model's chat form, each image's place widened to its number of tokens."""
        first, *rest = self._turn(clip).split(self._tokenizer.image_token)
        if len(rest) != len(clip.images):
            raise VerifierError(
                f"the chat template made {len(rest)} places for {len(clip.images)} images; the snapshot's "
                "chat_template.jinja does not fit this program"
            )
        places = (self._place(number, next(counts)) for number in range(len(rest)))
        return str(first) + "".join(place + text for place, text in zip(places, rest, strict=True))

    def _turn(self, clip: VlmInput) -> str:
        """Return the clip's turn in the model's chat form, with one mark for each image."""
        key = len(clip.images), clip.text
        turn = self._known_turns.get(key)
        if turn is None:
            content = [*({"type": "image"} for _ in clip.images), {"type": "text", "text": clip.text}]
            turn = str(
                self._tokenizer.apply_chat_template(
                    [{"role": "user", "content": content}],
                    tokenize=False,
                    add_generation_prompt=True,
                    enable_thinking=False,
                )
            )
            _keep(self._known_turns, key, turn)
        return turn

    def _place(self, number: int, count: int) -> str:
        """Return the marks of one image: its number, and a token for each of its features."""
        marks = self._tokenizer
        number_mark = f"{marks.image_id_start_token}{number}{marks.image_id_end_token}"
        return f"{number_mark}{marks.image_start_token}{marks.image_token * count}{marks.image_end_token}"


def _keep(known: dict[K, V], key: K, value: V) -> None:
    """Add an entry to a table of bounded size; the oldest goes."""
    known[key] = value
    if len(known) > _KEPT_PROMPTS:
        del known[next(iter(known))]
