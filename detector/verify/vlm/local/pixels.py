"""Images as input of the vision part: sent to the device as bytes, and subtracted, resized and normalised there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from detector.verify.vlm.images import DIFFERENCE_PERCENTILE, MAX_GAIN, Difference, RgbImage, VlmImage

Grid = tuple[int, int]
"""Rows and columns of patches."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelGroup:
    """Images of one grid.

    Attributes:
        places: index of each among the given images.
        pixels: (images, 3, patch, rows * columns * patch) values around 0, patch after patch.
        grid: rows and columns of patches.
    """

    places: list[int]
    pixels: Tensor
    grid: Grid


class PixelMaker:
    """Convert RGB images to PixelGroups; the CPU only copies an image to the device."""

    def __init__(
        self, processor: Any, *, mode: str, side_pixels: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Read the parameters of the snapshot's own image processor.

        Args:
            processor: transformers' image processor.
            mode: "16x" or "4x", which decides by what a grid must be divisible.
            side_pixels: images are scaled to the area of a square of this side.
            device: device of the pixels.
            dtype: precision of the pixels.
        """
        self._processor = processor
        self._mode = mode
        self._side = side_pixels
        self._device = device
        self._dtype = dtype
        self._mean, self._deviation = (
            torch.tensor(values, device=device).view(1, -1, 1, 1)
            for values in (processor.image_mean, processor.image_std)
        )

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) in pixels to which an image is scaled."""
        best: tuple[int, int] = self._processor.find_best_resize(
            (height, width), self._side, self._processor.patch_size, downsample_mode=self._mode, allow_upscale=True
        )
        return best

    def grid_of(self, image: VlmImage) -> Grid:
        """Return the rows and columns of patches that `image` will have, without computation on the device."""
        height, width = self.size_for(*shape_of(image))
        return height // self._processor.patch_size, width // self._processor.patch_size

    def groups(self, images: Sequence[VlmImage]) -> list[PixelGroup]:
        """Return the pixels of `images`, in one group for each size."""
        by_shape: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(images):
            by_shape.setdefault(shape_of(image), []).append(place)
        by_grid: dict[Grid, tuple[list[int], list[Tensor]]] = {}
        for places in by_shape.values():
            chosen = [images[place] for place in places]
            known_places, parts = by_grid.setdefault(self.grid_of(chosen[0]), ([], []))
            known_places += places
            parts.append(self._patches(self._levels(chosen)))
        return [PixelGroup(places, torch.cat(parts), grid) for grid, (places, parts) in by_grid.items()]

    def _levels(self, images: Sequence[VlmImage]) -> Tensor:
        """Return (images, 3, height, width) float levels of images of one shape; each array is sent once."""
        stacked, row = stacked_bytes(images)
        if self._device.type == "cuda":
            stacked = stacked.pin_memory()
        sent = stacked.to(self._device, non_blocking=True).permute(0, 3, 1, 2).float()
        plain = [(place, row[id(image)]) for place, image in enumerate(images) if not isinstance(image, Difference)]
        differences = [
            (place, row[id(image.before)], row[id(image.peak)])
            for place, image in enumerate(images)
            if isinstance(image, Difference)
        ]
        parts = [sent[[at for _, at in plain]]]
        if differences:
            _, before, peak = (list(column) for column in zip(*differences, strict=True))
            parts.append(amplified(sent[before], sent[peak]))
        order = [place for place, *_ in (*plain, *differences)]
        levels = torch.cat(parts)
        return levels if order == sorted(order) else levels[np.argsort(order).tolist()]

    def _patches(self, levels: Tensor) -> Tensor:
        """Return the levels resized, normalised and cut into patches: (images, 3, patch, rows * columns * patch)."""
        side: int = self._processor.patch_size
        height, width = self.size_for(levels.shape[2], levels.shape[3])
        # PIL, used in the model's training, rounds to whole levels 0..255 after each of its two passes.
        wide = _resized(levels, (levels.shape[2], width))
        numbers = (_resized(wide, (height, width)) * self._processor.rescale_factor - self._mean) / self._deviation
        cut = numbers.to(self._dtype).view(-1, 3, height // side, side, width // side, side)
        patches: Tensor = cut.permute(0, 1, 3, 2, 4, 5).reshape(len(levels), 3, side, -1)
        return patches


def stacked_bytes(images: Sequence[VlmImage]) -> tuple[Tensor, dict[int, int]]:
    """Return the arrays of images of one shape as one tensor on the CPU, each once, and the row of each by its id."""
    arrays: dict[int, RgbImage] = {}
    for image in images:
        for array in (image.before, image.peak) if isinstance(image, Difference) else (image,):
            arrays.setdefault(id(array), array)
    return torch.from_numpy(np.stack(list(arrays.values()))), {key: row for row, key in enumerate(arrays)}


def amplified(before: Tensor, peak: Tensor) -> Tensor:
    """Return the same as verify.vlm.images.amplified_difference, for (images, 3, height, width) float levels."""
    rise = (peak - before).clamp(min=0)
    strongest = rise.amax(dim=1).flatten(1)
    # The percentile lies between two of the largest values, so a full sort is not needed.
    rank = (strongest.shape[1] - 1) * (1 - DIFFERENCE_PERCENTILE / 100)
    largest = strongest.topk(int(rank) + 2 if strongest.shape[1] > 1 else 1, dim=1).values
    low, high = largest[:, -1], largest[:, max(largest.shape[1] - 2, 0)]
    top = high + (low - high) * (rank - int(rank))
    gain = (255.0 / top.clamp(min=1.0)).clamp(max=MAX_GAIN)
    shown: Tensor = (rise * gain.view(-1, 1, 1, 1)).round().clamp(max=255)
    return shown


def _resized(levels: Tensor, size: tuple[int, int]) -> Tensor:
    if levels.shape[2:] == size:
        return levels
    resized: Tensor = functional.interpolate(levels, size=size, mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255)


def shape_of(image: VlmImage) -> tuple[int, int]:
    """Return an image's (height, width)."""
    array = image.peak if isinstance(image, Difference) else image
    return array.shape[0], array.shape[1]
