"""Stand-in for the 3D resampler: the patches of a pack of pictures become `query_num` tokens."""

import torch
from torch import nn


class Resampler(nn.Module):
    def __init__(self, query_num, width, vision_width):
        super().__init__()
        self.query = nn.Parameter(torch.randn(query_num, width))
        self.kv_proj = nn.Linear(vision_width, width, bias=False)
        self.attn = nn.MultiheadAttention(width, 2)
        self.ln_post = nn.LayerNorm(width)
        waves = torch.arange(1, width + 1) * 0.37
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, patches, temporal_ids=None):
        """patches: one (patches, vision width) tensor a picture. temporal_ids: packs of ticks, or None."""
        packs = temporal_ids if temporal_ids is not None else [[-1] for _ in patches]
        tokens, start = [], 0
        for pack in packs:
            keys = []
            for tick, picture in zip(pack, patches[start : start + len(pack)], strict=True):
                key = self.kv_proj(picture)
                keys.append(key + torch.sin(self.waves * (int(tick) + 1)).to(key.dtype) if int(tick) >= 0 else key)
            keys = torch.cat(keys).unsqueeze(1)
            tokens.append(self.attn(self.query.unsqueeze(1), keys, keys)[0].squeeze(1))
            start += len(pack)
        return self.ln_post(torch.stack(tokens))
