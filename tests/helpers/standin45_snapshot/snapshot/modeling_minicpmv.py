"""Stand-in for MiniCPM-V 4.5's model: its interface, its habits and its traps, with a few thousand random weights."""

import torch
from torch import nn
from transformers import AutoProcessor, Qwen3ForCausalLM, Qwen3PreTrainedModel
from transformers.utils import is_flash_attn_2_available

from .configuration_minicpm import MiniCPMVConfig
from .resampler import Resampler

if is_flash_attn_2_available():
    from flash_attn import flash_attn_func  # noqa: F401 - guarded, as the pinned revision has it


class MiniCPMVPreTrainedModel(Qwen3PreTrainedModel):
    config_class = MiniCPMVConfig


class MiniCPMV(MiniCPMVPreTrainedModel):
    def __init__(self, config):
        # No post_init(), like the real one: transformers 5 stumbles over that.
        super().__init__(config)
        self.llm = Qwen3ForCausalLM(config)
        self.vpm = nn.Linear(3 * config.patch_size**2, config.vision_width)
        self.resampler = Resampler(config.query_num, config.hidden_size, config.vision_width)
        self.processor = None

    def get_vllm_embedding(self, data):
        embeddings = self.llm.model.embed_tokens(data["input_ids"])
        weight = self.vpm.weight
        pictures, ticks = [], []
        for of_one in data["pixel_values"]:
            for picture in of_one:
                side = self.config.patch_size
                patches = picture.reshape(3, side, -1, side).permute(2, 0, 1, 3).flatten(1)
                pictures.append(self.vpm(patches.to(weight.device, weight.dtype)))
        for of_one in data["temporal_ids"]:
            ticks.extend(of_one)
        seen = self.resampler(pictures, ticks)
        start = 0
        for index, of_one in enumerate(data["pixel_values"]):
            # Counts pictures where packs would be right, as the real one does: several packed questions would mix.
            mine = seen[start : start + len(of_one)]
            start += len(of_one)
            bounds = data["image_bound"][index]
            if len(bounds):
                places = torch.cat([torch.arange(int(begin), int(end)) for begin, end in bounds]).to(weight.device)
                flat = mine.reshape(-1, mine.shape[-1])[: len(places)].to(embeddings.dtype)
                embeddings[index].scatter_(0, places.unsqueeze(-1).expand(-1, flat.shape[-1]), flat)
        return embeddings, seen

    def chat(self, image=None, msgs=None, tokenizer=None, processor=None, **kwargs):
        if processor is None:
            # Without a revision, like the real one.
            processor = AutoProcessor.from_pretrained(self.config._name_or_path, trust_remote_code=True)
        raise NotImplementedError("the server does not generate")
