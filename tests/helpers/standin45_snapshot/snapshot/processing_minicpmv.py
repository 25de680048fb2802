"""Stand-in for the processor: prompts with picture marks and pictures in, padded tensors out."""

import re

import torch
from transformers.processing_utils import ProcessorMixin

from .image_processing_minicpmv import MiniCPMVBatchFeature


class MiniCPMVProcessor(ProcessorMixin):
    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012 - as transformers has it
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor=None, tokenizer=None):
        super().__init__(image_processor, tokenizer)
        self.version = image_processor.version

    def __call__(
        self,
        text,
        images=None,
        max_slice_nums=None,
        use_image_id=None,
        temporal_ids=None,
        return_tensors=None,
        **kwargs,
    ):
        seen = self.image_processor(images, max_slice_nums=max_slice_nums, temporal_ids=temporal_ids)
        rows = [self._row(one, skip) for one, skip in zip(text, seen["skip_image_idx"], strict=True)]
        longest = max(len(row) for row in rows)
        ids = torch.stack([torch.nn.functional.pad(row, (longest - len(row), 0)) for row in rows])
        start, end = (self.tokenizer.convert_tokens_to_ids(name) for name in ("<image>", "</image>"))
        bounds = [torch.stack([torch.where(row == start)[0] + 1, torch.where(row == end)[0]], dim=1) for row in ids]
        return MiniCPMVBatchFeature(
            data={
                "input_ids": ids,
                "attention_mask": ids.ne(0),  # token 0 is "!" as well: a trap that the real one has too
                "pixel_values": seen["pixel_values"],
                "temporal_ids": seen["temporal_ids"],
                "image_bound": bounds,
            }
        )

    def _row(self, text, skip):
        pieces = re.split(re.escape("(<image>./</image>)"), text)
        whole = pieces[0]
        for index, piece in enumerate(pieces[1:]):
            whole += ("" if index in skip else self.image_processor.placeholder()) + piece
        return torch.tensor(self.tokenizer.encode(whole))
