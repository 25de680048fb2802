"""Where messages go: a webhook of one's own with a signature, or one of the services that Apprise knows."""

import base64
import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import httpx
import msgspec

from detector.errors import SettingsError
from detector.events import SOFTWARE
from detector.integrations.notify.alerts import Alert
from detector.integrations.notify.words import Words
from detector.placeholders import filled

_WEBHOOKS = {"webhook": "http", "webhooks": "https"}
_LIMIT_SECONDS = 20.0
SIGNATURE_HEADER = "X-Lightning-Signature"
_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".mp4": "video/mp4"}


class DeliveryError(Exception):
    """A target did not take a message; the text holds no secret."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one target.

    Attributes:
        id: the same message has the same id when it is tried again.
        words: what it says.
        alerts: what it is about.
        files: stills or clips that go with it.
    """

    id: str
    words: Words
    alerts: Sequence[Alert]
    files: Sequence[Path] = ()


class Target(Protocol):
    """Takes messages.

    Attributes:
        label: what it is called in logs: its number and kind, never its address.
    """

    label: str

    def send(self, delivery: Delivery) -> None:
        """Send a message.

        Raises:
            DeliveryError: the target did not take it.
        """
        ...


def make_target(number: int, url: str, environment: Mapping[str, str] | None = None) -> Target:
    """Return the target at `url`, in which {NAMES} stand for variables of the environment.

    Raises:
        SettingsError: the address is not understood, or a variable is not set.
    """
    scheme = url.partition("://")[0].lower()
    label = f"target {number} ({scheme if scheme.isalnum() else '?'})"
    if scheme in _WEBHOOKS:
        return WebhookTarget(label, url, environment)
    return AppriseTarget(label, filled(f"--to, {label}", url, environment, encode_query=True))


class WebhookTarget:
    """Posts JSON to `webhook://host/path` (http) or `webhooks://host/path` (https).

    With `?secret={NAME}` each post has `X-Lightning-Signature: sha256=...`, the HMAC-SHA256 of its body; the secret
    itself is not sent.
    """

    def __init__(self, label: str, url: str, environment: Mapping[str, str] | None = None) -> None:
        self.label = label
        try:
            written = urlsplit(url)
            port = written.port
        except ValueError:
            raise SettingsError(f"--to, {label}: its port is not a number") from None
        if not written.hostname:
            raise SettingsError(f"--to, {label}: write webhooks://host/path?secret={{NAME}}")
        query = dict(parse_qsl(written.query))
        secret = query.pop("secret", "")
        self._secret = filled(f"--to, {label}", secret, environment).encode()
        if secret and not self._secret:
            raise SettingsError(f"--to, {label}: its secret is empty")
        address = urlunsplit((
            _WEBHOOKS[written.scheme.lower()], written.netloc, written.path, urlencode(query, safe="{}"), ""
        ))  # fmt: skip
        self._address = filled(f"--to, {label}", address, environment, encode_query=True)
        self._host = f"{written.hostname}:{port}" if port else written.hostname

    def send(self, delivery: Delivery) -> None:
        """Post a message."""
        body = msgspec.json.encode(_as_json(delivery))
        headers = {"Content-Type": "application/json", "X-Lightning-Delivery": delivery.id, "User-Agent": SOFTWARE}
        if self._secret:
            headers[SIGNATURE_HEADER] = f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"
        try:
            answer = httpx.post(self._address, content=body, headers=headers, timeout=_LIMIT_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise DeliveryError(f"{self._host}: {type(error).__name__}") from None
        if not answer.is_success:
            raise DeliveryError(f"{self._host} answers {answer.status_code} {quote(answer.reason_phrase, safe=' ')}")


class AppriseTarget:
    """One of the services that Apprise knows: mailtos://, tgram://, ntfy://, discord://, ..."""

    def __init__(self, label: str, url: str) -> None:
        import apprise  # noqa: PLC0415 - takes a second to load, and a webhook needs none of it

        self.label = label
        # What a service says stays out of the log: it may hold the address, and that is the secret of many.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        asset = apprise.AppriseAsset(app_id="Lightning Detector", app_desc=SOFTWARE, async_mode=False)
        self._apprise: Any = apprise.Apprise(asset=asset)
        if not self._apprise.add(url):
            raise SettingsError(
                f"--to, {label}: not understood; see https://github.com/caronc/apprise/wiki for addresses of services"
            )

    def send(self, delivery: Delivery) -> None:
        """Hand a message to the service."""
        files = [str(path) for path in delivery.files]
        try:
            taken = self._apprise.notify(
                title=delivery.words.title, body=delivery.words.text, attach=files or None, body_format="text"
            )
        except Exception as error:  # noqa: BLE001 - plugins raise what they like, with the address in it
            raise DeliveryError(f"it fails with {type(error).__name__}") from None
        if not taken:
            raise DeliveryError("the service did not take it")


def _as_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "title": delivery.words.title,
        "text": delivery.words.text,
        "alerts": delivery.alerts,
        "attachments": [
            {
                "name": path.name,
                "type": _TYPES.get(path.suffix.lower(), "application/octet-stream"),
                "base64": base64.b64encode(path.read_bytes()).decode(),
            }
            for path in delivery.files
        ],
        "software": SOFTWARE,
    }
