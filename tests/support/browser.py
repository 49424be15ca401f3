"""A headless Chromium, driven over the DevTools protocol: no driver program, no package.

Chromium speaks the protocol through two pipes (`--remote-debugging-pipe`): JSON messages, each ended by a NUL byte. A
`Browser` is a process with one page; `Page` asks it things. Nothing sleeps: `until` asks again until an expression in
the page is true, with a deadline.
"""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

from tests.support.live import require, until

Json = Dict[str, Any]
PATIENCE = 30.0  # seconds for one answer: a browser on a loaded machine
# The browser reads from descriptor 3 and writes to 4.
_START = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio", "--hide-scrollbars",
    "--force-device-scale-factor=1", "--remote-debugging-pipe",
)


class Browser:
    """The process and its pipes. A context manager."""

    def __init__(self, directory: Path) -> None:
        program = require("chromium", "/usr/lib/chromium", "/opt/google/chrome")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Away from 3 and 4, which are overwritten one after the other.
        passed = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        os.close(theirs_in)
        os.close(theirs_out)
        command = [program, *_FLAGS, f"--user-data-dir={directory}", "about:blank"]
        with open(directory / "chromium.log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, *map(str, passed), *command],
                pass_fds=passed, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "HOME": str(directory)},
            )
        for fd in passed:
            os.close(fd)
        os.set_blocking(self._in, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._in, selectors.EVENT_READ)
        self._numbers = itertools.count(1)
        self._unread = b""
        self.events: List[Json] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, session: str = "", **params: Any) -> Json:
        """One command and its answer. Events that come meanwhile are kept in `events`."""
        number = next(self._numbers)
        message: Json = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(method)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: Json = answer["result"]
                return result
            self.events.append(answer)

    def _next(self, method: str) -> Json:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._unread:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"the browser does not answer {method}")
            data = os.read(self._in, 1 << 20)
            assert data, f"the browser ended during {method}"
            self._unread += data
        message, _, self._unread = self._unread.partition(b"\0")
        answer: Json = json.loads(message)
        return answer

    def page(self, width: int = 1280, height: int = 800) -> Page:
        """A new, empty page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, target, width, height)


class Page:
    """One page."""

    def __init__(self, browser: Browser, session: str, target: str, width: int, height: int) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self.resize(width, height)

    def _call(self, method: str, **params: Any) -> Json:
        return self._browser.call(method, self._session, **params)

    def resize(self, width: int, height: int) -> None:
        """The size of the window, in pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, **features: str) -> None:
        """Media features, by their names with underscores: prefer(prefers_color_scheme="dark")."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self._call("Emulation.setEmulatedMedia", features=named)

    def before_scripts(self, source: str) -> None:
        """Run this in every document before its own scripts."""
        self._call("Page.addScriptToEvaluateOnNewDocument", source=source)

    def go(self, url: str) -> None:
        """Load a page; back when it is there."""
        answer = self._call("Page.navigate", url=url)
        assert not answer.get("errorText"), f"{url}: {answer['errorText']}"
        self.until("document.readyState === 'complete'", "the page is loaded")

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def until(self, expression: str, what: str, seconds: float = 20.0) -> Any:
        """Ask until the answer is true; the answer."""
        return until(lambda: self.ask(expression), f"{what} ({expression})", seconds)

    def texts(self, selector: str) -> List[str]:
        """The visible text of each element."""
        found: List[str] = self.ask(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.innerText)")
        return found

    def text(self, selector: str) -> str:
        """The visible text of the first one."""
        found: str = self.ask(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def click(self, selector: str) -> None:
        """The left button on the middle of the first one, as a mouse does it."""
        script = f"""(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: "center"}});
            const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; }})()"""
        x, y = self.ask(script)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """A key: "Tab", "Enter", "Escape", "ArrowDown", or a letter."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40}
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = codes.get(key, ord(key.upper()[0]))
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, text=text)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> Path:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))
        return path

    def complaints(self) -> List[str]:
        """What the browser and the scripts complained about so far: errors, refused content, exceptions."""
        found = []
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"])
        return found

    def requested(self) -> List[str]:
        """The addresses that the page asked for."""
        return [
            event["params"]["request"]["url"] for event in self._browser.events
            if event.get("sessionId") == self._session and event["method"] == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        """Close the page."""
        self._browser.call("Target.closeTarget", targetId=self._target)
