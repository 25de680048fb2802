"""The configuration that the main program passes to the serving process, as one JSON file."""

from typing import Literal

import msgspec

Attention = Literal["sdpa", "flash_attention_2"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


class ServeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The model to serve, how and where.

    Attributes:
        folder: the staged snapshot, whose code was hashed.
        pack_frames: images that share 64 tokens, 1 to 6.
        port: TCP port; 0 takes a free one.
        key: required bearer token of requests; empty for none.
    """

    model: str
    revision: str
    folder: str
    attention: Attention
    precision: Precision
    device: str
    threads: int
    pack_frames: int
    host: str
    port: int
    batch_size: int
    batch_wait_ms: float
    waiting_limit: int
    request_limit_mb: float
    pictures_limit: int
    answer_limit_seconds: float
    key: str = ""
