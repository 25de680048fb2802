"""Headless Chromium driven over its debugging pipe: no driver, no socket, no package."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--mute-audio",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip

ANSWER_SECONDS = 60
LAY_PIPES = (
    "import os, sys; [os.dup2(int(sys.argv[1 + n]), 3 + n) for n in (0, 1)]; os.execv(sys.argv[3], sys.argv[3:])"
)


def missing() -> str | None:
    """Why there is no browser to test with; None where there is one."""
    return None if _program() else "no chromium on the PATH: apt-get install chromium"


def _program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class BrowserError(Exception):
    """The browser answered with an error, or did not answer in time."""


class Page:
    """One tab. `errors` are uncaught errors and console errors; `requests` the addresses that it asked for."""

    def __init__(self, send: Callable[[str, dict[str, Any], str | None], Any], session: str) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._send = send
        self._session = session

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol."""
        return self._send(method, parameters, self._session)

    def hear(self, method: str, content: dict[str, Any]) -> None:
        """Take an event of this tab."""
        if method == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = content["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning"):
            self.errors.append(str([one.get("value", one.get("description")) for one in content["args"]]))
        elif method == "Log.entryAdded" and content["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{content['entry']['text']} {content['entry'].get('url', '')}")

    def size(self, width: int, height: int, *, scale: float = 1, mobile: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def media(self, **features: str) -> None:
        """Emulate media features, as `prefers_color_scheme="light"`."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=wanted)

    def open(self, address: str) -> float:
        """Go there, wait for the load event and one more frame; how long it took in seconds."""
        began = time.monotonic()
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
        return time.monotonic() - began

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Wait until a JavaScript condition holds."""
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise BrowserError(f"did not come true within {seconds} s: {condition}")
            time.sleep(0.03)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key, as `Enter`, `ArrowRight`, ` `, `.`."""
        codes = {"Enter": 13, "Escape": 27, " ": 32, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39,
                 "ArrowDown": 40, "Home": 36, "End": 35}  # fmt: skip
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        event = {
            "key": key,
            "windowsVirtualKeyCode": codes.get(key, ord(key.upper()[0])),
            "modifiers": 8 if shift else 0,
        }
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one place of the window and let go at another one."""
        where = {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=begin[0], y=begin[1])
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=begin[0], y=begin[1], **where)
        for step in range(1, 5):
            x, y = (a + (b - a) * step / 4 for a, b in zip(begin, end, strict=True))
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **where)

    def shot(self, path: Path, *, whole: bool = False) -> None:
        """Write a screenshot as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


class Browser:
    """A browser with a fresh profile. Use as a context."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._pages: dict[str, Page] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._buffer = b""

    def __enter__(self) -> Self:
        program = _program()
        assert program is not None
        their_input, self._down = os.pipe()
        self._up, their_output = os.pipe()
        # Laid where the browser expects them in a process of their own: it reads from 3 and writes to 4.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (their_input, their_output)]
        command = [sys.executable, "-c", LAY_PIPES, *map(str, high), program, *FLAGS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=high,
        )  # fmt: skip
        for end in high:
            os.close(end)
        os.close(their_input)
        os.close(their_output)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._down)
        os.close(self._up)

    def page(self) -> Page:
        """Open a new tab."""
        target = self.send("Target.createTarget", {"url": "about:blank"}, None)["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True}, None)["sessionId"]
        page = self._pages[session] = Page(self.send, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        return page

    def send(self, method: str, parameters: dict[str, Any], session: str | None) -> Any:
        """Call a method of the DevTools protocol, and wait for its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._down, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + ANSWER_SECONDS
        while number not in self._answers:
            if not select.select([self._up], [], [], max(0.0, end - time.monotonic()))[0]:
                raise BrowserError(f"{method}: no answer within {ANSWER_SECONDS} s")
            got = os.read(self._up, 1 << 20)
            if not got:
                raise BrowserError(f"{method}: the browser has ended")
            *whole, self._buffer = (self._buffer + got).split(b"\0")
            for text in whole:
                self._take(json.loads(text))
        answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        return answer["result"]

    def _take(self, message: dict[str, Any]) -> None:
        page = self._pages.get(message.get("sessionId", ""))
        if "id" in message:
            self._answers[message["id"]] = message
        elif page is not None:
            page.hear(message["method"], message["params"])
