"""Stand-in for the tokenizer class of MiniCPM-V 4.5."""

from transformers.models.qwen2 import Qwen2TokenizerFast


class MiniCPMVTokenizerFast(Qwen2TokenizerFast):
    @property
    def bos_id(self):
        return self.bos_token_id
