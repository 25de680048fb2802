"""The OpenAI chat protocol as far as this server speaks it: a request to a clip, log-probabilities to an answer."""

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

from detector.verify.vlm.server45.job import Job
from detector.verify.vlm.server45.model import MARK, Clip, Model

_DATA_URI = re.compile(r"data:image/(?:jpeg|png|webp);base64,")
_CONTROL = re.compile(r"<\|[^|<>]*\|>|</?(?:image|slice|image_id|think|unk)>")
_SIDE_PIXELS = (8, 8192)
_PIXELS = 40_000_000


class BadRequest(Exception):
    """The request cannot be answered as it is; the message says why, `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ImageUrl(msgspec.Struct, frozen=True):
    """A picture as a data URI; `detail` has no meaning here."""

    url: str
    detail: str | None = None


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """A piece of the question."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image_url"):
    """A picture of the question."""

    image_url: ImageUrl


class Turn(msgspec.Struct, frozen=True):
    """One message. There is no conversation here: a system message at most, then one of the user."""

    role: Literal["system", "user"]
    content: str | list[TextPart | ImagePart]


class ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is understood. A field that would ask for something else than one token's log-probabilities is refused.

    Sampling (temperature, top_p, penalties, seed) has no say in log-probabilities and is read over.
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


def parse(body: bytes, job: Job) -> tuple[ChatRequest, Clip]:
    """The request and what is asked in it.

    Raises:
        BadRequest: it is not one that this server answers.
    """
    try:
        request = msgspec.json.decode(body, type=ChatRequest)
    except msgspec.DecodeError as error:
        raise BadRequest(f"the request is not understood: {error}") from error
    if request.model not in {job.model, f"{job.model}@{job.revision}"}:
        raise BadRequest(f"this server holds {job.model} at {job.revision}, not {request.model[:100]!r}", 404)
    # Settings that other servers need to be told, and that always hold here; anything else would be ignored silently.
    _refuse_other("mm_processor_kwargs", request.mm_processor_kwargs, {"max_slice_nums": 1, "use_image_id": False})
    _refuse_other("chat_template_kwargs", request.chat_template_kwargs, {"enable_thinking": False})
    *before, last = request.messages
    if last.role != "user" or any(turn.role != "system" or not isinstance(turn.content, str) for turn in before):
        raise BadRequest("messages must be one of the user, with a system message of text before it at most")
    return request, _clip(last, str(before[0].content) if before else "", job)


def answer(request: ChatRequest, job: Job, model: Model, logprobs: Tensor) -> dict[str, Any]:
    """The chat completion whose one token is the likeliest; beside the likeliest, Yes and No are always listed."""
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
        "model": job.model,
        "system_fingerprint": job.revision,
        "choices": [choice],
    }


def _token(model: Model, number: int, logprobs: Tensor) -> dict[str, Any]:
    text = model.token(number)
    # JSON has no infinity; a probability below the smallest float32 is as good as none.
    value = float(logprobs[number])
    return {"token": text, "logprob": value if math.isfinite(value) else -1e9, "bytes": list(text.encode())}


def _refuse_other(name: str, given: dict[str, Any], held: dict[str, Any]) -> None:
    other = {key: value for key, value in given.items() if held.get(key, ...) != value}
    if other:
        raise BadRequest(f"{name} {other!r}: this server always works with {held!r}")


def _clip(turn: Turn, system: str, job: Job) -> Clip:
    parts = [TextPart(turn.content)] if isinstance(turn.content, str) else turn.content
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    for text in (system, *texts):
        found = _CONTROL.search(text)
        if found or MARK in text:
            raise BadRequest(
                f"the text holds {found[0] if found else MARK!r}, which has a meaning of its own for the model"
            )
    pictures = [part for part in parts if isinstance(part, ImagePart)]
    if len(pictures) > job.pictures_limit:
        raise BadRequest(f"{len(pictures)} pictures; at most {job.pictures_limit} go into a request here", 413)
    if not pictures or not any(text.strip() for text in texts):
        raise BadRequest("a question needs at least one picture and some text")
    text = "\n".join(part.text if isinstance(part, TextPart) else MARK for part in parts)
    return Clip(text, tuple(_picture(part, number) for number, part in enumerate(pictures, start=1)), system)


def _picture(part: ImagePart, number: int) -> Image.Image:
    url = part.image_url.url
    header = _DATA_URI.match(url)
    if header is None:
        shown = url[:40] if not url.startswith("data:") else url[:30]
        raise BadRequest(
            f"picture {number}: {shown!r}... is not a data URI of JPEG, PNG or WebP in base64, and nothing is fetched"
        )
    try:
        content = binascii.a2b_base64(url[header.end() :], strict_mode=True)
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP"))
        _check_size(picture.size, number)
        return picture.convert("RGB")
    except BadRequest:
        raise
    except Exception as error:  # Pillow raises many kinds for a broken file
        raise BadRequest(f"picture {number} cannot be read: {type(error).__name__}: {error}") from error


def _check_size(size: tuple[int, int], number: int) -> None:
    least, most = _SIDE_PIXELS
    if min(size) < least or max(size) > most or size[0] * size[1] > _PIXELS:
        raise BadRequest(
            f"picture {number} is {size[0]} x {size[1]}; sides must be {least} to {most} pixels, "
            f"{_PIXELS / 1e6:.0f} million in all",
            413,
        )
