#!/usr/bin/env python3
"""Write a MiniCPM-V snapshot with random weights, tiny or full-size, without network.

    python tools/random_snapshot.py OUT_FOLDER [--version 4.6|4.7] [--size tiny|small|deep|full]

`small` is as tiny as vLLM's kernels take: heads of 128 numbers. Its output head is its own, not the embeddings.
`deep` is tiny but for the number of layers, so that a batch takes as many operators as with `full`.

Classes and files are those of the real snapshot. Its answers have no meaning, but loading, scoring, speed and memory
are realistic.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig, PreTrainedTokenizerFast

Version = Literal["4.6", "4.7"]
Size = Literal["tiny", "small", "deep", "full"]

# The real tokenizer has these under these names, and the code that inserts the images reads them there.
MARKS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{ '<|im_start|>' ~ message.role ~ '\n' }}"
    "{%- if message.content is string %}{{ message.content }}"
    "{%- else %}{%- for part in message.content %}"
    "{{ '<|image_pad|>' if part.type == 'image' else part.text }}"
    "{%- endfor %}{%- endif %}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{%- if not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
# Sizes of the published 4.6: SigLIP2-400M and a language model of 24 layers, 1.30 billion weights together.
VISION: dict[Size, dict[str, int]] = {
    "tiny": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 224,
        "patch_size": 14,
    },
    "small": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 224,
        "patch_size": 14,
    },
    "full": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 980,
        "patch_size": 14,
    },
}
LANGUAGE: dict[Size, dict[str, int]] = {
    "tiny": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
    },
    "small": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 128,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
    },
    "full": {
        "vocab_size": 248_320,
        "hidden_size": 1024,
        "intermediate_size": 3584,
        "num_hidden_layers": 24,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 16,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
    },
}
VISION["deep"] = VISION["tiny"] | {"num_hidden_layers": VISION["full"]["num_hidden_layers"]}
LANGUAGE["deep"] = LANGUAGE["tiny"] | {"num_hidden_layers": LANGUAGE["full"]["num_hidden_layers"]}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer of bytes, one token each for Yes and No, and the marks."""
    vocabulary = {sign: number for number, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("Y", "e"), ("Ye", "s"), ("N", "o")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    bare = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *MARKS.values()])
    bare.add_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=bare,
        eos_token="<|im_end|>",  # noqa: S106 - a token of the vocabulary, no secret
        pad_token="<|endoftext|>",  # noqa: S106 - the same
        padding_side="left",
        extra_special_tokens=MARKS,
        chat_template=CHAT_TEMPLATE,
    )


def make_config(tokenizer: PreTrainedTokenizerFast, version: Version, size: Size) -> Any:
    """Make the model's config; "full" has the published size."""
    ids: dict[str, Any] = {"image_token_id": tokenizer.image_token_id, "video_token_id": tokenizer.video_token_id}
    if version == "4.7":  # its positions depend on these marks; vLLM lays them out only where it is told to
        ids["uses_mrope_canvas"] = True
        for name in ("image_start", "image_end", "slice_start", "slice_end"):
            ids[f"{name}_id"] = tokenizer.convert_tokens_to_ids(MARKS[f"{name}_token"])
        ids["newline_id"] = tokenizer.encode("\n")[0]
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    # The sections share half of the rotated part of a head: a quarter of head_dim, halved.
    sections = {"small": [6, 5, 5], "full": [11, 11, 10]}.get(size, [2, 1, 1])
    rope = {
        "rope_type": "default",
        "rope_theta": 10_000_000.0 if size == "full" else 10_000.0,
        "partial_rotary_factor": 0.25,
        "mrope_interleaved": True,
        "mrope_section": sections,
    }
    tied = size in {"tiny", "deep"} or (
        size == "full" and version == "4.6"
    )  # untied gives the 1.55 billion weights of 4.7
    language = {"vocab_size": len(tokenizer)} | LANGUAGE[size]
    return AutoConfig.for_model(
        f"minicpmv{version.replace('.', '_')}",
        tie_word_embeddings=tied,
        insert_layer_id=6 if size in {"deep", "full"} else 0,
        vision_config=dict(VISION[size]),
        text_config=language
        | {"model_type": "qwen3_5_text", "rope_parameters": rope, "tie_word_embeddings": tied}
        | ends,
        **ids,
        **ends,
    )


def make_model(config: Any, *, seed: int = 0, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Any:
    """Make the model with random weights, the same for one seed."""
    torch.manual_seed(seed)
    with torch.device(device):
        return AutoModelForImageTextToText.from_config(config, dtype=dtype)


def image_settings(version: Version) -> dict[str, Any]:
    """Return the content of preprocessor_config.json."""
    return {
        "image_processor_type": "MiniCPMV4_6ImageProcessor",
        "processor_class": f"MiniCPMV{version.replace('.', '_')}Processor",
        "max_slice_nums": 9,
        "scale_resolution": 448,
        "patch_size": 14,
        "use_image_id": True,
        "slice_mode": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def write_snapshot(folder: Path, version: Version = "4.6", *, size: Size = "tiny", seed: int = 0) -> Path:
    """Write a snapshot like the hub's repository to `folder`, and return it."""
    tokenizer = make_tokenizer()
    model = make_model(make_config(tokenizer, version, size), seed=seed)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(image_settings(version), indent=1), encoding="utf-8")
    return folder


def write_hub_cache(cache: Path, model_id: str, revision: str, version: Version = "4.6", *, seed: int = 0) -> Path:
    """Write the same to `cache`, in the layout of the hub's client for `model_id` at `revision`."""
    repository = cache / f"models--{model_id.replace('/', '--')}"
    folder = write_snapshot(repository / "snapshots" / revision, version, seed=seed)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision, encoding="ascii")
    return folder


def main() -> None:
    """Write the snapshot that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="OUT_FOLDER")
    parser.add_argument("--version", choices=("4.6", "4.7"), default="4.6")
    parser.add_argument("--size", choices=("tiny", "small", "deep", "full"), default="tiny")
    arguments = parser.parse_args()
    print(write_snapshot(arguments.folder, arguments.version, size=arguments.size))


if __name__ == "__main__":
    main()
