"""The vision part for images of one size, merged together, while transformers merges them one by one."""

from typing import Any

import torch
from torch import Tensor


class VisionPart:
    """Computes features of images of one grid for the language model.

    The results equal the library's own except for rounding (a test compares them). Sizes stay on the CPU: reading a
    number from the device would wait for all its work.
    """

    def __init__(self, model: Any, mode: str) -> None:
        """Use the vision tower and the merger of `model`.

        Args:
            model: the inner model, without its head.
            mode: "16x" or "4x".
        """
        self._tower = model.vision_tower
        self._merger = model.merger
        self._window_merge = mode != "4x"

    def features(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return (images, tokens, width) features.

        Args:
            pixels: (images, 3, patch, rows * columns * patch).
            grid: rows and columns of patches of each image.
        """
        count = len(pixels)
        row = pixels.permute(1, 2, 0, 3).reshape(1, 3, pixels.shape[2], -1)
        sizes = torch.tensor([grid] * count, dtype=torch.int32)
        hidden = self._tower(row, target_sizes=sizes, use_vit_merger=self._window_merge).last_hidden_state
        rows, columns = (side // 2 for side in grid) if self._window_merge else grid
        for layer in self._merger.mlp:
            high, wide = self._merger.merge_kernel_size
            rows, columns = rows // high, columns // wide
            cells = hidden.reshape(count, rows, high, columns, wide, -1).permute(0, 1, 3, 2, 4, 5)
            hidden = layer(cells.reshape(count * rows * columns, -1))
        features: Tensor = hidden.view(count, rows * columns, -1)
        return features
