"""The needed part of the OpenAI chat protocol: a question as a request, a reply as a score."""

import base64
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from detector.errors import VerifierError
from detector.verify.vlm.images import RgbImage
from detector.verify.vlm.question import Score, VlmInput
from stream import load_opencv

ANSWERS = ("Yes", "No")
_TOP_WORDS = 20  # the most alternatives of the first word that the protocol allows
_JPEG_QUALITY = 95
_ROUNDING = 0.01  # by which servers' probabilities, and their sum, may exceed 1


class _TopWord(msgspec.Struct):
    token: str
    logprob: float


class _Position(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_TopWord] = []


class _Logprobs(msgspec.Struct):
    content: list[_Position] | None = None


class _Choice(msgspec.Struct):
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class ServedModel(msgspec.Struct):
    """A model of a server's list."""

    id: str
    revision: str | None = None  # an extension of `serve-45`; the protocol itself has no such field


class _Models(msgspec.Struct):
    data: list[ServedModel]


class NoLogprobs(VerifierError):
    """The server answers without the probabilities of its first word, so its answer has no probability."""


class _Tokens(msgspec.Struct):
    tokens: list[int] = []


class _Version(msgspec.Struct):
    version: str


def request_body(model: str, vlm_input: VlmInput, answer_ids: Sequence[int] = ()) -> dict[str, Any]:
    """Return the request that asks `model` this question, for one word with the probabilities of alternatives.

    Args:
        model: its id on the server.
        vlm_input: images and question.
        answer_ids: token ids of Yes and No, to ask vLLM for exactly these, however unlikely they are.
    """
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(image)}} for image in vlm_input.arrays()
    ]
    content.append({"type": "text", "text": vlm_input.text})
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": _TOP_WORDS,
    }
    return body | ({"logprob_token_ids": list(answer_ids)} if answer_ids else {})


def has_version(reply: bytes) -> bool:
    """Return whether `reply` is vLLM's answer to /version; other servers have no such address."""
    try:
        msgspec.json.decode(reply, type=_Version)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def tokens_in(reply: bytes) -> list[int]:
    """Return the token ids in a server's answer to /tokenize; none if it has another form."""
    try:
        return msgspec.json.decode(reply, type=_Tokens).tokens
    except (msgspec.DecodeError, RecursionError):
        return []


def score_in(reply: bytes, endpoint: str) -> Score:
    """Return log-odds of Yes over No, and the probability of either, from the first word of a server's reply.

    A word that is not listed counts as likely as the least likely listed one, which is an upper bound.

    Raises:
        NoLogprobs: the server gives no log-probabilities.
        VerifierError: it is not a reply of this protocol, or its log-probabilities are invalid.
    """
    try:
        choices = msgspec.json.decode(reply, type=_Completion).choices
    except (msgspec.DecodeError, RecursionError) as error:
        raise VerifierError(f"{endpoint}: not an answer of the OpenAI chat protocol: {error}") from error
    positions = choices[0].logprobs.content if choices and choices[0].logprobs else None
    words = positions[0].top_logprobs if positions else []
    if len(words) < 2:
        raise NoLogprobs(
            f"{endpoint}: the server gives no log-probabilities (asked for: logprobs, top_logprobs {_TOP_WORDS}), so "
            "its answer has no probability; vLLM, SGLang, llama.cpp and Ollama 0.12.11 or later give them, "
            "`transformers serve` does not"
        )
    _check_probabilities(words, endpoint)
    chances = {answer: _chance(words, answer) for answer in ("yes", "no")}
    mass = sum(chances.values())
    floor = math.exp(min(word.logprob for word in words))
    yes, no = (max(chances[answer], floor, 1e-30) for answer in ("yes", "no"))
    return Score(math.log(yes) - math.log(no), mass)


def _check_probabilities(words: Sequence[_TopWord], endpoint: str) -> None:
    """Raise VerifierError unless these can be probabilities of different words."""
    highest = max(word.logprob for word in words)
    total = sum(math.exp(word.logprob) for word in words) if highest <= _ROUNDING else math.inf
    if total > 1.0 + _ROUNDING:
        said = f"one is {highest:g}, above 0" if highest > _ROUNDING else f"together they make {total:.3g}"
        raise VerifierError(f"{endpoint}: the server's log-probabilities are none: {said}")


def _chance(words: Sequence[_TopWord], answer: str) -> float:
    """Return the probability of `answer` in all its spellings ("Yes", " yes", ...)."""
    return sum(math.exp(word.logprob) for word in words if word.token.strip(" ▁Ġ\n").lower() == answer)


def first_model_in(reply: bytes, endpoint: str) -> ServedModel:
    """Return the first model of a server's list.

    Raises:
        VerifierError: it is not a list of models, or it is empty.
    """
    try:
        listed = msgspec.json.decode(reply, type=_Models).data
    except (msgspec.DecodeError, RecursionError) as error:
        raise VerifierError(f"{endpoint}/models: not a list of models: {error}") from error
    if not listed:
        raise VerifierError(f"{endpoint}: the server lists no model; name one with --model")
    return listed[0]


def _data_url(image: RgbImage) -> str:
    cv2 = load_opencv()
    done, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise VerifierError(f"an image of shape {image.shape} cannot be written as JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(code.tobytes()).decode('ascii')}"
