"""Messages between the program and the model's process: small JSON texts; images lie in shared memory."""

import msgspec

from detector.verify.vlm.question import Score

SLOTS = 2
"""Batches that the process holds at once: one that is computed and one that is made ready meanwhile."""


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """The first message to the process: load the model in this folder, in this way."""

    folder: str
    device: str
    precision: str
    attention: str
    downsample_mode: str
    picture_side_pixels: int
    threads: int


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded"):
    """The model is ready.

    Attributes:
        memory_mib: of the process on the CPU, of the card on a GPU.
    """

    device: str
    device_name: str
    precision: str
    attention: str
    threads: int
    seconds: float
    memory_mib: float
    torch: str
    transformers: str


class ImageRef(msgspec.Struct, frozen=True, array_like=True):
    """Where an RGB image of (height, width, 3) bytes lies in the shared memory.

    Attributes:
        offset: of its first byte.
        height: in pixels.
        width: in pixels.
        before_offset: where the image before lies, if what is shown is the difference from it; -1 if it is not.
    """

    offset: int
    height: int
    width: int
    before_offset: int = -1


class Clip(msgspec.Struct, frozen=True, array_like=True):
    """One candidate's images and the question about them.

    Attributes:
        images: where they lie.
        question: its place in `ScoreRequest.questions`.
    """

    images: list[ImageRef]
    question: int


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """Score these clips in one batch.

    Attributes:
        number: of the request; its reply carries the same.
        slot: which of the shared memories its images lie in; nothing else is written there before the reply.
        clips: in the order of the scores wanted.
        questions: each once: most of a batch are alike.
    """

    number: int
    slot: int
    clips: list[Clip]
    questions: list[str]


class ScoreReply(msgspec.Struct, frozen=True, kw_only=True, tag="scored"):
    """A score for each clip of request `number`, in order.

    Attributes:
        seconds: for all of them.
    """

    number: int
    scores: list[Score]
    seconds: float
    memory_mib: float


class WorkerError(msgspec.Struct, frozen=True, kw_only=True, tag="trouble"):
    """A request failed. After a failed load (number 0) the process ends; after a failed score it goes on."""

    reason: str
    number: int = 0
    out_of_memory: bool = False


Reply = Loaded | ScoreReply | WorkerError
Request = Load | ScoreRequest

encode = msgspec.json.encode


def decode_reply(message: bytes) -> Reply:
    """Return what the process says."""
    reply: Reply = msgspec.json.decode(message, type=Reply)
    return reply


def decode_request(message: bytes) -> Request:
    """Return what the program asks."""
    request: Request = msgspec.json.decode(message, type=Request)
    return request
