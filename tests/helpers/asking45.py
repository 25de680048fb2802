"""Questions as `--verifier served` puts them, and what a model server answers."""

import base64
import io
from typing import Any

import httpx
from PIL import Image

from helpers.standin45 import MODEL

QUESTION = "Is this lightning! Answer Yes or No."
CLIPS = ([10, 200], [255, 0, 7], [90])


def image(grey: int, form: str = "PNG") -> str:
    """A data URI of a gradient that starts at `grey`."""
    image = Image.linear_gradient("L").resize((96, 64)).point(lambda value: (value + grey) % 256).convert("RGB")
    content = io.BytesIO()
    image.save(content, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


def request(*urls: str, **changes: Any) -> dict[str, Any]:
    """A question as `--verifier served` puts it."""
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [*images, {"type": "text", "text": QUESTION}]
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 20,
        "chat_template_kwargs": {"enable_thinking": False},
    } | changes


def ask(url: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=60)


def odds(url: str, greys: list[int]) -> float:
    reply = ask(url, request(*(image(grey) for grey in greys)))
    assert reply.status_code == 200, reply.text
    top = reply.json()["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    listed = {one["token"]: one["logprob"] for one in top}
    return float(listed["Yes"] - listed["No"])
