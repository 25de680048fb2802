"""Writes the stand-in snapshot: python build.py FOLDER, with the second environment's Python."""

import json
import shutil
import sys
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoModel
from transformers.models.qwen2 import Qwen2TokenizerFast

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "</image>", "<unk>", "<think>", "</think>"]
TEMPLATE = """{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}
{%- if not (enable_thinking | default(true)) %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"""


def write_tokenizer(folder: Path) -> int:
    """Byte-level BPE in which Yes and No are one token each; the number of tokens."""
    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("Y", "e"), ("Ye", "s"), ("N", "o")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))
    tokenizer = Qwen2TokenizerFast(
        vocab_file=str(folder / "vocab.json"),
        merges_file=str(folder / "merges.txt"),
        additional_special_tokens=SPECIAL[1:],
        chat_template=TEMPLATE,
    )
    tokenizer.save_pretrained(folder)
    edit(folder / "tokenizer_config.json", tokenizer_class="MiniCPMVTokenizerFast", auto_map=AUTO["tokenizer"])
    return len(tokenizer)


AUTO = {
    "config": {
        "AutoConfig": "configuration_minicpm.MiniCPMVConfig",
        "AutoModel": "modeling_minicpmv.MiniCPMV",
        "AutoModelForCausalLM": "modeling_minicpmv.MiniCPMV",
    },
    "preprocessor": {
        "AutoProcessor": "processing_minicpmv.MiniCPMVProcessor",
        "AutoImageProcessor": "image_processing_minicpmv.MiniCPMVImageProcessor",
    },
    "tokenizer": {"AutoTokenizer": [None, "tokenization_minicpmv_fast.MiniCPMVTokenizerFast"]},
}


def edit(path: Path, **changes: object) -> None:
    """Change the JSON object in `path`."""
    table = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(table | changes, indent=1))


def build(folder: Path) -> None:
    """Everything that the real snapshot ships, small."""
    folder.mkdir(parents=True)
    for script in (Path(__file__).parent / "snapshot").glob("*.py"):
        shutil.copy(script, folder)
    tokens = write_tokenizer(folder)
    edit(
        folder / "config.json",
        model_type="minicpmv", architectures=["MiniCPMV"], auto_map=AUTO["config"], vocab_size=tokens, hidden_size=32,
        intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        max_position_embeddings=4096, initializer_range=0.3, tie_word_embeddings=False,
    )  # fmt: skip
    edit(
        folder / "preprocessor_config.json",
        image_processor_type="MiniCPMVImageProcessor", processor_class="MiniCPMVProcessor",
        auto_map=AUTO["preprocessor"], scale_resolution=56, patch_size=14, image_feature_size=4,
        max_slice_nums=9, version=2.6,
    )  # fmt: skip
    torch.manual_seed(45)
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=True)
    model = AutoModel.from_config(config, trust_remote_code=True)
    for weight in model.llm.parameters():  # the model leaves them as they are: it never calls post_init()
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder / "saved", safe_serialization=True)
    shutil.move(folder / "saved" / "model.safetensors", folder / "model.safetensors")
    shutil.rmtree(folder / "saved")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
