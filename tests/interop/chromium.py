"""A headless Chromium driven over its debugging pipe: what a page asks for, what it complains of, how it looks."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


class Chromium:
    """One page. Everything is asked with a deadline in seconds."""

    def __init__(self, folder: Path, *, within: float = 60.0) -> None:
        self.requests: list[str] = []
        """Addresses asked for, the page's own included."""
        self.complaints: list[str] = []
        """Console messages, exceptions, violations of the content security policy."""
        self._within = within
        self._numbers = itertools.count(1)
        self._rest = b""
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
            "--disable-component-update", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        # The browser reads descriptor 3 and writes 4; those passed on have any numbers, perhaps these two.
        script = (
            "import fcntl, os, sys;"
            f"a, b = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in ({to_read}, {to_write}));"
            "os.dup2(a, 3); os.dup2(b, 4); os.execv(sys.argv[1], sys.argv[1:])"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, PROGRAM, *options],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._write)  # the browser ends with its pipe
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait(10)
        os.close(self._read)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + self._within
        while True:
            answer = self._next(until)
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer.get("result", {}))
            self._take(answer)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser is gone"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        method, data = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(data["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console: {data['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {data['exceptionDetails']['text']}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"{data['entry']['level']}: {data['entry']['text']}")
        else:
            self._events.append(event)

    def open(self, address: str, *, width: int = 1400, dark: bool = False, phone: bool = False) -> None:
        """Load a page at a width in pixels and wait until all of it is there."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.ask("Page.navigate", url=address)
        until = time.monotonic() + self._within
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._take(self._next(until))
        self.evaluate("document.fonts.ready.then(() => 1)")  # also lets what the load has caused arrive

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, path: Path | None = None) -> bytes:
        """Return the whole page as PNG, written to ``path`` too."""
        data = base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])
        if path is not None:
            path.write_bytes(data)
        return data

    def paper(self) -> bytes:
        """Return the page as PDF, as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True)["data"])
