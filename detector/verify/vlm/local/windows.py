"""Vision attention over all equally long stretches in one call, where transformers makes one call for each."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


class BatchedAttention(nn.Module):
    """Stands in for one vision attention layer and shares its weights.

    The layers come as one row of patches cut into stretches: an image each, or in the window merger 2x2 patches
    each, which makes thousands of tiny calls for a batch. Stretches of one length go through one call here; others
    go the layer's own way.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(
        self, hidden_states: Tensor, cu_seqlens: Tensor, max_seqlen: int | None = None, **rest: Any
    ) -> tuple[Tensor, None]:
        """Return the layer's own answer: (1, patches, width)."""
        layer = self.layer
        length, left = divmod(hidden_states.shape[-2], cu_seqlens.numel() - 1)
        if left or not bool((cu_seqlens.diff() == length).all()):
            output: tuple[Tensor, None] = layer(
                hidden_states=hidden_states, cu_seqlens=cu_seqlens, max_seqlen=max_seqlen, **rest
            )
            return output
        stretches = hidden_states.view(-1, length, layer.dim)
        query, key, value = (
            project(stretches).view(-1, length, layer.num_heads, layer.head_dim).transpose(1, 2)
            for project in (layer.q_proj, layer.k_proj, layer.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=layer.scaling)
        return layer.out_proj(mixed.transpose(1, 2).reshape(hidden_states.shape)), None


def batch_vision_attention(model: nn.Module) -> int:
    """Put a BatchedAttention in the place of every vision attention layer of `model`; how many there were.

    Only for the attention backend "sdpa": what it computes is the same to rounding (a test compares them).
    """
    found = [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if type(layer).__name__.endswith("VisionAttention") and not isinstance(parent, BatchedAttention)
    ]
    for parent, name, layer in found:
        setattr(parent, name, BatchedAttention(layer))
    return len(found)
