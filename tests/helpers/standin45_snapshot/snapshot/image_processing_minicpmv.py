"""Stand-in for the picture side of the processor: RGB pictures become rows of patches."""

import numpy as np
import torch
from transformers import AutoImageProcessor
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature


class MiniCPMVBatchFeature(BatchFeature):
    def to(self, *args, **kwargs):
        def moved(value):
            if isinstance(value, list):
                return [moved(one) for one in value]
            return value.to(*args, **kwargs) if isinstance(value, torch.Tensor) else value

        self.data = {key: moved(value) for key, value in self.data.items()}
        return self


class MiniCPMVImageProcessor(BaseImageProcessor):
    model_input_names = ["pixel_values"]  # noqa: RUF012 - as transformers has it

    def __init__(
        self, scale_resolution=56, patch_size=14, image_feature_size=4, max_slice_nums=9, version=2.6, **kwargs
    ):
        super().__init__(**kwargs)
        self.scale_resolution = scale_resolution
        self.patch_size = patch_size
        self.image_feature_size = image_feature_size
        self.max_slice_nums = max_slice_nums
        self.version = version

    def placeholder(self):
        return "<image>" + "<unk>" * self.image_feature_size + "</image>"

    def preprocess(self, images, max_slice_nums=None, temporal_ids=None, return_tensors=None, **kwargs):
        if (max_slice_nums or self.max_slice_nums) != 1:
            raise ValueError("the stand-in does not slice: max_slice_nums must be 1")
        pixels, ticks, skipped = [], [], []
        for index, pictures in enumerate(images):
            packs = temporal_ids[index] if temporal_ids is not None else [[-1]] * len(pictures)
            if sum(len(pack) for pack in packs) != len(pictures):
                raise ValueError(f"{len(pictures)} pictures, but temporal_ids for {sum(len(pack) for pack in packs)}")
            pixels.append([self._patches(picture) for picture in pictures])
            ticks.append([[torch.tensor(tick) for tick in pack] for pack in packs])
            starts = np.cumsum([0, *(len(pack) for pack in packs)])[:-1]
            skipped.append(sorted(set(range(len(pictures))) - set(starts.tolist())))
        data = {"pixel_values": pixels, "temporal_ids": ticks, "skip_image_idx": skipped}
        return MiniCPMVBatchFeature(data=data)

    def _patches(self, picture):
        """(3, patch, patches x patch) as the real one lays them out."""
        ratio = (picture.width / picture.height) ** 0.5
        size = [max(round(self.scale_resolution * way / self.patch_size), 1) for way in (ratio, 1 / ratio)]
        small = picture.convert("RGB").resize((size[0] * self.patch_size, size[1] * self.patch_size))
        values = torch.from_numpy(np.asarray(small, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)
        patches = torch.nn.functional.unfold(values, self.patch_size, stride=self.patch_size)
        return (
            patches.reshape(3, self.patch_size, self.patch_size, -1).permute(0, 1, 3, 2).reshape(3, self.patch_size, -1)
        )


AutoImageProcessor.register("MiniCPMVImageProcessor", MiniCPMVImageProcessor)
