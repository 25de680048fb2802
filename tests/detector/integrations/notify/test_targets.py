"""Webhooks and mail, against real servers."""

import hashlib
import hmac
import logging
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from detector.errors import SettingsError
from detector.integrations.notify.alerts import Alert
from detector.integrations.notify.targets import Delivery, DeliveryError, make_target
from detector.integrations.notify.words import Words
from helpers.broker import free_port
from helpers.hook_server import HookServer, hook_server
from helpers.storms import made_still

# Apprise asks for a module that Python 3.13 no longer has.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
]

SECRET = "s3cret/&=?+"
ALERT = Alert(id="a", kind="storm_began", subject="storm 1", site="north", at=1.0, facts={"flashes": 2})


def delivery(*files: Path) -> Delivery:
    return Delivery("d1", Words("A title", "A text."), [ALERT], files)


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as running:
        yield running


def test_a_webhook_is_signed_with_a_secret_that_is_not_sent(hook: HookServer) -> None:
    target = make_target(1, f"webhook://127.0.0.1:{hook.port}/in?a=b&secret={{HOOK}}", {"HOOK": SECRET})
    target.send(delivery())
    (post,) = hook.posts
    signature = hmac.new(SECRET.encode(), post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-lightning-signature"] == f"sha256={signature}"
    assert post.path == "/in?a=b"
    assert SECRET.encode() not in post.body
    assert (post.json["title"], post.json["alerts"][0]["facts"]["flashes"]) == ("A title", 2)
    assert post.headers["x-lightning-delivery"] == post.json["id"] == "d1"


def test_a_webhook_without_a_secret_is_not_signed(hook: HookServer) -> None:
    make_target(1, f"webhook://127.0.0.1:{hook.port}/in").send(delivery())
    assert "x-lightning-signature" not in hook.posts[0].headers


def test_a_webhook_gets_the_still(hook: HookServer, tmp_path: Path) -> None:
    made_still(tmp_path / "a.jpg", 1)
    make_target(1, f"webhook://127.0.0.1:{hook.port}/in").send(delivery(tmp_path / "a.jpg"))
    (attached,) = hook.posts[0].json["attachments"]
    assert (attached["name"], attached["type"]) == ("a.jpg", "image/jpeg")
    assert len(attached["base64"]) > 1000


@pytest.mark.parametrize("code", [301, 401, 500])
def test_a_webhook_that_refuses_is_said_without_its_address(hook: HookServer, code: int) -> None:
    hook.code = code
    target = make_target(1, f"webhook://user:{{PW}}@127.0.0.1:{hook.port}/{{TOKEN}}", {"PW": "pw", "TOKEN": SECRET})
    with pytest.raises(DeliveryError, match=str(code)) as refused:
        target.send(delivery())
    assert SECRET not in str(refused.value)
    assert "pw" not in str(refused.value)


def test_a_webhook_that_is_not_there_is_said() -> None:
    with pytest.raises(DeliveryError, match="ConnectError"):
        make_target(1, f"webhook://127.0.0.1:{free_port()}/{SECRET}").send(delivery())


class Mailbox:
    """Takes mail from who knows the password."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.users: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's word
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.users.append((data.login, data.password))
        return AuthResult(success=data.password == SECRET.encode())


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    controller = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=box.authenticate, auth_required=True, auth_require_tls=False
    )
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def mail_url(port: int) -> str:
    return f"mailto://me:{{PASSWORD}}@127.0.0.1:{port}?from=watch@example.org&to=you@example.org&mode=insecure"


def test_a_mail_arrives_with_its_still(mailbox: tuple[Mailbox, int], tmp_path: Path) -> None:
    box, port = mailbox
    made_still(tmp_path / "a.jpg", 1)
    make_target(1, mail_url(port), {"PASSWORD": SECRET}).send(delivery(tmp_path / "a.jpg"))
    (mail,) = box.mails
    assert mail["Subject"] == "A title"
    assert "you@example.org" in str(mail["To"])
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert "A text." in str(parts.get("text/plain", parts.get("text/html")))
    assert "image/jpeg" in parts
    assert box.users[0][1] == SECRET.encode()


def test_a_mail_server_that_refuses_is_said_without_the_password(
    mailbox: tuple[Mailbox, int], caplog: pytest.LogCaptureFixture
) -> None:
    _, port = mailbox
    wrong = "another-password"
    with caplog.at_level(logging.DEBUG), pytest.raises(DeliveryError) as refused:
        make_target(1, mail_url(port), {"PASSWORD": wrong}).send(delivery())
    assert wrong not in str(refused.value)
    assert wrong not in caplog.text


@pytest.mark.parametrize(
    "url", ["no sense", "nonsense://x", "webhook://", "webhook://h:port/", "webhook://h/?secret={NOT_SET}"]
)
def test_an_address_that_is_none_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"--to, target 3") as refused:
        make_target(3, url, {})
    assert url not in str(refused.value)
