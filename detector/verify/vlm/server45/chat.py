"""This server's part of the OpenAI chat protocol: a request to a clip, log-probabilities to an answer."""

import binascii
import io
import math
import re
import time
from typing import Annotated, Any, Literal

import msgspec
import torch
from PIL import Image
from torch import Tensor

from detector.verify.vlm.server45.model import MARK, Clip, Model
from detector.verify.vlm.server45.request_batcher import Unanswered
from detector.verify.vlm.server45.serve_config import ServeConfig

_DATA_URI = re.compile(r"data:image/(?:jpeg|png|webp);base64,")
_CONTROL = re.compile(r"<\|[^|<>]*\|>|</?(?:image|slice|image_id|think|unk)>")
_SIDE_PIXELS = (8, 8192)
_PIXELS = 40_000_000


class ImageUrl(msgspec.Struct, frozen=True):
    """An image as a data URI; `detail` has no meaning here."""

    url: str
    detail: str | None = None


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """A piece of the question."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image_url"):
    """An image of the question."""

    image_url: ImageUrl


class Turn(msgspec.Struct, frozen=True):
    """One message. There is no conversation: at most a system message, then one message of the user."""

    role: Literal["system", "user"]
    content: str | list[TextPart | ImagePart]


class ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The supported request. A field that asks for more than one token's log-probabilities is refused.

    Sampling options (temperature, top_p, penalties, seed) do not change log-probabilities and are ignored.
    """

    model: str
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1, max_length=2)]
    max_tokens: Literal[1] | None = None
    max_completion_tokens: Literal[1] | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    n: Literal[1] | None = None
    stream: Literal[False] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    mm_processor_kwargs: dict[str, Any] = {}
    chat_template_kwargs: dict[str, Any] = {}


def parse(body: bytes, config: ServeConfig) -> tuple[ChatRequest, Clip]:
    """Return the request and the clip in it.

    Raises:
        Unanswered: this server does not answer such a request.
    """
    try:
        request = msgspec.json.decode(body, type=ChatRequest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unanswered(f"the request is not understood: {error}") from error
    if request.model not in {config.model, f"{config.model}@{config.revision}"}:
        raise Unanswered(f"this server holds {config.model} at {config.revision}, not {request.model[:100]!r}", 404)
    # Settings that other servers need, and that always apply here; all other values would be ignored silently.
    _refuse_other("mm_processor_kwargs", request.mm_processor_kwargs, {"max_slice_nums": 1, "use_image_id": False})
    _refuse_other("chat_template_kwargs", request.chat_template_kwargs, {"enable_thinking": False})
    *before, last = request.messages
    if last.role != "user" or any(turn.role != "system" or not isinstance(turn.content, str) for turn in before):
        raise Unanswered("messages must be one of the user, with a system message of text before it at most")
    return request, _clip(last, str(before[0].content) if before else "", config)


def answer(request: ChatRequest, config: ServeConfig, model: Model, logprobs: Tensor) -> dict[str, Any]:
    """Return the chat completion of the most likely token; Yes and No are always listed, too."""
    count = request.top_logprobs or 0
    ranked = torch.topk(logprobs, min(max(count, 1), logprobs.shape[0])).indices.tolist()
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": model.token(ranked[0])},
        "finish_reason": "length",
        "logprobs": None,
    }
    if request.logprobs:
        listed = list(dict.fromkeys([*ranked[:count], *model.answer_ids])) if count else []
        top = [_token(model, number, logprobs) for number in listed]
        choice["logprobs"] = {"content": [_token(model, ranked[0], logprobs) | {"top_logprobs": top}]}
    now = time.time()
    return {
        "id": f"chatcmpl-{int(now * 1e6):x}",
        "object": "chat.completion",
        "created": int(now),
        "model": config.model,
        "system_fingerprint": config.revision,
        "choices": [choice],
    }


def _token(model: Model, number: int, logprobs: Tensor) -> dict[str, Any]:
    text = model.token(number)
    # JSON has no infinity; a probability below the smallest float32 is practically 0.
    value = float(logprobs[number])
    return {"token": text, "logprob": value if math.isfinite(value) else -1e9, "bytes": list(text.encode())}


def _refuse_other(name: str, given: dict[str, Any], held: dict[str, Any]) -> None:
    other = {key: value for key, value in given.items() if held.get(key, ...) != value}
    if other:
        raise Unanswered(f"{name} {other!r}: this server always works with {held!r}")


def _clip(turn: Turn, system: str, config: ServeConfig) -> Clip:
    parts = [TextPart(turn.content)] if isinstance(turn.content, str) else turn.content
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    for text in (system, *texts):
        found = _CONTROL.search(text)
        if found or MARK in text:
            raise Unanswered(
                f"the text holds {found[0] if found else MARK!r}, which has a meaning of its own for the model"
            )
    images = [part for part in parts if isinstance(part, ImagePart)]
    if len(images) > config.pictures_limit:
        raise Unanswered(f"{len(images)} images; at most {config.pictures_limit} go into a request here", 413)
    if not images or not any(text.strip() for text in texts):
        raise Unanswered("a question needs at least one image and some text")
    text = "\n".join(part.text if isinstance(part, TextPart) else MARK for part in parts)
    return Clip(text, tuple(_image(part, number) for number, part in enumerate(images, start=1)), system)


def _image(part: ImagePart, number: int) -> Image.Image:
    url = part.image_url.url
    header = _DATA_URI.match(url)
    if header is None:
        shown = url[:40] if not url.startswith("data:") else url[:30]
        raise Unanswered(
            f"image {number}: {shown!r}... is not a data URI of JPEG, PNG or WebP in base64, and nothing is fetched"
        )
    try:
        content = binascii.a2b_base64(url[header.end() :], strict_mode=True)
        image = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP"))
        _check_size(image.size, number)
        return image.convert("RGB")
    except Unanswered:
        raise
    except Exception as error:  # Pillow raises many types for a broken file
        raise Unanswered(f"image {number} cannot be read: {type(error).__name__}: {error}") from error


def _check_size(size: tuple[int, int], number: int) -> None:
    least, most = _SIDE_PIXELS
    if min(size) < least or max(size) > most or size[0] * size[1] > _PIXELS:
        raise Unanswered(
            f"image {number} is {size[0]} x {size[1]}; sides must be {least} to {most} pixels, "
            f"{_PIXELS / 1e6:.0f} million in all",
            413,
        )
