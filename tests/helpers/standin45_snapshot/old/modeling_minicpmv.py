"""Stand-in for models of before the processor: `chat` prepares the pictures and generates."""

import numpy as np
import torch
from torch import nn
from transformers import Qwen3ForCausalLM, Qwen3PreTrainedModel

from .configuration_minicpm import MiniCPMVConfig
from .resampler import Resampler


class MiniCPMV(Qwen3PreTrainedModel):
    config_class = MiniCPMVConfig

    def __init__(self, config):
        super().__init__(config)
        self.llm = Qwen3ForCausalLM(config)
        self.vpm = nn.Linear(3 * config.patch_size**2, config.vision_width)
        self.resampler = Resampler(config.query_num, config.hidden_size, config.vision_width)

    def chat(self, image, msgs, tokenizer, sampling=True, max_new_tokens=32, **kwargs):
        side = self.config.patch_size
        text, pictures = "", []
        for part in msgs[0]["content"]:
            if isinstance(part, str):
                text += part + "\n"
                continue
            text += "<image>" + "<unk>" * self.config.query_num + "</image>\n"
            values = torch.from_numpy(np.asarray(part.resize((4 * side, 4 * side)), dtype=np.float32) / 127.5 - 1)
            patches = torch.nn.functional.unfold(values.permute(2, 0, 1), side, stride=side).T
            pictures.append(self.vpm(patches.to(self.vpm.weight.dtype)))
        ids = torch.tensor([tokenizer.encode(text)])
        embeddings = self.llm.model.embed_tokens(ids)
        places = torch.where(ids[0] == tokenizer.convert_tokens_to_ids("<unk>"))[0]
        embeddings[0, places] = self.resampler(pictures).flatten(0, 1)
        made = self.llm.generate(
            inputs_embeds=embeddings, do_sample=sampling, max_new_tokens=max_new_tokens, pad_token_id=0
        )
        return tokenizer.decode(made[0])
