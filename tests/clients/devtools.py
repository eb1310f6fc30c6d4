"""A page in a headless Chromium, asked through a pipe: no server, no library, no internet."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds without an answer


class BrowserSilent(Exception):
    """The browser gave no answer."""


class Tab:
    """A page that is open.

    Attributes:
        requests: the addresses that were asked for, in order.
        complaints: what stands in the console, and what was thrown.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self._seen: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def open(self, path: Path, width: int, height: int = 800, scheme: str = "light") -> None:
        """Load the file at ``path`` in a window of ``width`` x ``height`` CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self._seen.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._seen:
            self._take(self._message())

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression there."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise BrowserSilent(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserSilent(f"{method}: {answer['error']}")
                return answer["result"]
            self._take(answer)

    def _message(self) -> dict[str, Any]:
        last = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], max(0.0, last - time.monotonic()))[0]:
                raise BrowserSilent(f"no answer for {PATIENCE:.0f} s")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise BrowserSilent("the browser ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _take(self, event: dict[str, Any]) -> None:
        method, body = event.get("method", ""), event.get("params", {})
        self._seen.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(body["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(body["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(body["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(body["exceptionDetails"]))


@contextmanager
def open_tab(chromium: Path) -> Iterator[Tab]:
    """A tab of a Chromium that ends with the block."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    flags = ["--headless=new", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses to sandbox for root
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The protocol is spoken on the descriptors 3 and 4.
        script = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$0" "$@"'
        command = ["bash", "-c", script, str(chromium), *flags, f"--user-data-dir={profile}"]
        browser = subprocess.Popen(
            command,
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Tab(ours_out, ours_in)
        finally:
            browser.terminate()
            browser.wait()
            os.close(ours_out)
            os.close(ours_in)
