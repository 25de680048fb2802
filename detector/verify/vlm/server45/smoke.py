"""The smoke check of a served MiniCPM-V 4.5: doctor's questions over the protocol of `served`."""

import select
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec

from detector.errors import VerifierError
from detector.settings import Settings
from detector.verify.vlm.local.models import contribution
from detector.verify.vlm.local.smoke import Finding, examine, smoke_clips
from detector.verify.vlm.question import Question
from detector.verify.vlm.served import ServedVerifier
from detector.verify.vlm.server45.launch import Checked, serving
from detector.verify.vlm.server45.serve_config import ServeConfig

_BATCH_WAIT_MS = 400.0  # long enough for three questions sent together to be one batch on a busy machine
_POLL_SECONDS = 0.2


def findings(checked: Checked, config: ServeConfig, settings: Settings) -> Iterator[Finding]:
    """Yield each finding as soon as it is known; the last one, if all are well, is the line for configs/models.toml.

    Raises:
        VerifierError: the model does not load within `minicpm.load_limit_seconds`, or does not answer.
    """
    config = msgspec.structs.replace(config, port=0, host="127.0.0.1", batch_size=max(config.batch_size, 3))
    config = msgspec.structs.replace(config, batch_wait_ms=_BATCH_WAIT_MS, waiting_limit=max(config.waiting_limit, 8))
    began = time.monotonic()
    with serving(checked, config, subprocess.PIPE) as process:
        url = _endpoint(process, settings.minicpm.load_limit_seconds)
        about: dict[str, Any] = httpx.get(url.replace("/v1", "/health"), timeout=10).json()
        where = f"{about['device_name']}, {about['precision']}, {about['attention']}"
        yield Finding("load", ok=True, text=f"{time.monotonic() - began:.1f} s on {where}")
        served = msgspec.structs.replace(
            settings.served,
            endpoint=url,
            model=config.model,
            concurrency=config.batch_size,
            key_variable=settings.minicpm45.key_variable,
        )
        verifier = ServedVerifier(msgspec.structs.replace(settings, served=served))
        try:
            yield from _asked(verifier, config, settings, about)
        finally:
            verifier.close()


def _asked(
    verifier: ServedVerifier, config: ServeConfig, settings: Settings, about: dict[str, Any]
) -> Iterator[Finding]:
    clips = smoke_clips(settings, Question(settings.question, settings.batcher.picture_side_pixels))
    passed = True
    for finding in examine(verifier.scores, clips, settings, about["precision"]):
        passed = passed and finding.ok
        yield finding
    began = time.monotonic()
    verifier.scores([clips[number % len(clips)] for number in range(config.batch_size)])
    seconds = (time.monotonic() - began) / config.batch_size
    yield Finding("speed", ok=True, text=f"{seconds:.3g} s a clip in a batch of {config.batch_size}")
    if passed:
        revision = None if config.revision == "local" else config.revision
        yield Finding("verified", ok=True, text=contribution(config.model, revision, about, seconds))


def _endpoint(process: "subprocess.Popen[bytes]", limit_seconds: float) -> str:
    """Return the endpoint, which the process prints as its first line."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    ends = time.monotonic() + limit_seconds
    while time.monotonic() < ends:
        ready, _, _ = select.select([process.stdout], [], [], _POLL_SECONDS)
        if ready:
            url = process.stdout.readline().decode().strip()
            if url:
                return url
            raise VerifierError("the model could not be served; the reason stands above")
    raise VerifierError(f"the model was not ready within {limit_seconds:.0f} s (minicpm.load_limit_seconds)")
