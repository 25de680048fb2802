"""Replacements for layers of the vision part: one call for all images of one size, and cached values for each size.

transformers makes a call for each image, and in its window merger one for each 2x2 patches: thousands for a batch.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.vision_utils import get_vision_nearest_position_ids, get_vision_window_index

_KEPT_GRIDS = 64  # cached sizes of batches and images: a few cameras and crops


class BatchedAttention(nn.Module):
    """A replacement for one vision attention layer that shares its weights.

    The input is one row of patches, divided into parts of equal length: one image each or, in the window merger, 2x2
    patches each, which makes thousands of tiny calls for a batch. Here all parts go through one call.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_states: Tensor, cu_seqlens: Tensor, **_rest: Any) -> tuple[Tensor, None]:
        """Return the layer's own result: (1, patches, width)."""
        layer = self.layer
        stretches = hidden_states.view(cu_seqlens.numel() - 1, -1, layer.dim)
        length = stretches.shape[1]
        query, key, value = (
            project(stretches).view(-1, length, layer.num_heads, layer.head_dim).transpose(1, 2)
            for project in (layer.q_proj, layer.k_proj, layer.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=layer.scaling)
        return layer.out_proj(mixed.transpose(1, 2).reshape(hidden_states.shape)), None


class KeptPositions(nn.Module):
    """A replacement for the patch embedding that computes the positions of a grid once."""

    def __init__(self, embeddings: Any) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, pixel_values: Tensor, target_sizes: Tensor, **_rest: Any) -> Tensor:
        """Return the embedding's own result: (1, patches, width)."""
        device = self.embeddings.position_embedding.weight.device
        rows, columns = target_sizes[0].tolist()
        kept = _positions(rows, columns, self.embeddings.num_patches_per_side, device).repeat(len(target_sizes))
        embedded: Tensor = self.embeddings(pixel_values, target_sizes=target_sizes, position_ids=kept)
        return embedded


class KeptWindows(nn.Module):
    """A replacement for the window merger that computes the windows of a grid once."""

    def __init__(self, merger: Any) -> None:
        super().__init__()
        self.merger = merger

    def forward(self, hidden_states: Tensor, target_sizes: Tensor, **_rest: Any) -> Tensor:
        """Return the merger's own result."""
        rows, columns = target_sizes[0].tolist()
        window = self.merger.window_kernel_size[0]
        index, ends = _windows(rows, columns, len(target_sizes), window, hidden_states.device)
        merged: Tensor = self.merger(hidden_states, target_sizes, window_index=index, cu_window_seqlens=ends)
        return merged


def batch_vision_attention(model: nn.Module) -> int:
    """Replace layers of `model` by the classes above.

    Only for the attention backend "sdpa", and for calls with images of one size, as VisionPart makes them.

    Returns:
        how many attention layers were replaced.
    """
    found = 0
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            kind = type(layer).__name__
            if kind.endswith("VisionAttention") and not isinstance(parent, BatchedAttention):
                setattr(parent, name, BatchedAttention(layer))
                found += 1
            elif kind.endswith("VisionEmbeddings") and not isinstance(parent, KeptPositions):
                setattr(parent, name, KeptPositions(layer))
            elif kind.endswith("WindowAttentionMerger") and not isinstance(parent, KeptWindows):
                setattr(parent, name, KeptWindows(layer))
    return found


@lru_cache(maxsize=_KEPT_GRIDS)
def _positions(rows: int, columns: int, per_side: int, device: torch.device) -> Tensor:
    found: Tensor = get_vision_nearest_position_ids(torch.tensor([[rows, columns]]), per_side)
    return found.to(device)


@lru_cache(maxsize=_KEPT_GRIDS)
def _windows(rows: int, columns: int, count: int, window: int, device: torch.device) -> tuple[Tensor, Tensor]:
    grid = torch.tensor([[1, rows, columns]])
    one, _ = get_vision_window_index(grid, spatial_merge_size=1, window_size=window, patch_size=1)
    patches = rows * columns
    index = (one + torch.arange(0, count * patches, patches)[:, None]).flatten()
    ends = torch.arange(0, count * patches + 1, window * window, dtype=torch.int32)
    return index.to(device), ends.to(device)
