"""``bench web`` in a real browser and by hand: refused without the token, the main page, the SAFE button."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench import client

pytest.importorskip("textual_serve", reason="textual-serve is not installed")
TOKEN = "a-token-for-this-test"


class Served:
    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, "BENCH_HOME": str(folder / "home"), "BENCH_LOCKS": str(folder / "locks")}
        environment |= {"BENCH_WEB_TOKEN": TOKEN, "LANG": "C.UTF-8"}
        environment.pop("BENCH_CONFIG", None)
        command = [sys.executable, "-m", "bench.cli.main", "web", "--port", str(self.port)]
        self.process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{self.url}/?token={TOKEN}\n"
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "it listens"
                time.sleep(0.02)

    def get(self, path: str, *, cookie: str = "", data: bytes | None = None, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=headers)
        if cookie:
            request.add_header("Cookie", f"bench_token={cookie}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir(mode=0o1777)
    made = Served(tmp_path)
    yield made
    made.process.terminate()
    made.process.wait(10)
    for info in client.runs(tmp_path / "home" / "runs"):
        if info.state == "running":
            client.stop(info.folder, at_once=True)


def test_nothing_without_the_token_or_from_another_site(served: Served) -> None:
    for path in ("/", "/?terminal=1", "/ws", "/static/js/textual.js", "/download/x", "/?token=wrong"):
        status, text = served.get(path)
        assert status == 401 and "<" not in text, path
    assert served.get("/safe", data=b'{"all": true}')[0] == 401
    assert served.get("/", cookie=TOKEN[:-1])[0] == 401
    assert served.get("/", cookie=TOKEN)[0] == 200
    assert served.get("/safe", cookie=TOKEN, data=b'{"all": true}', Origin="http://evil.example")[0] == 403
    assert served.get("/ws", cookie=TOKEN)[0] == 403, "a websocket says where it comes from"
    assert served.get("/safe", cookie=TOKEN, data=b"[]")[0] == 400


def test_the_safe_button_makes_a_run_safe(served: Served, tmp_path: Path) -> None:
    status, text = served.get("/safe", cookie=TOKEN, data=b'{"all": false}', Origin=served.url)
    assert status == 200 and "you hold nothing" in json.loads(text)["told"]
    handle = client.start("record", "sim", {}, client.StartOptions(clock="real"))
    handle.detach()
    status, text = served.get("/safe", cookie=TOKEN, data=b'{"all": false}', Origin=served.url)
    assert status == 200 and json.loads(text)["told"].startswith("SAFE (what you hold): sim")
    assert handle.wait(30) == 130


class Browser:
    """Headless Chromium over its DevTools protocol."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket_
        self._number = 0
        self._drawn = ""
        """What the application has drawn: its page is a canvas, so this is what a person reads there."""

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json(timeout=60)
            if answer.get("id") == self._number:
                return dict(answer.get("result", {}))
            if answer.get("method") == "Network.webSocketFrameReceived":
                frame = answer["params"]["response"]
                data = frame["payloadData"]
                text = base64.b64decode(data).decode(errors="replace") if frame["opcode"] == 2 else data
                self._drawn += re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)

    async def click(self, x: int, y: int) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def key(self, key: str, code: int, text: str = "", **more: int) -> None:
        name = f"Key{key.upper()}" if len(key) == 1 else key
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            told = {"text": text} if text and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=name, windowsVirtualKeyCode=code, **told, **more
            )

    async def text(self, expression: str) -> str:
        found = await self.call("Runtime.evaluate", expression=expression)
        return str(found.get("result", {}).get("value", ""))

    async def reads(self, text: str) -> None:
        """Wait until the terminal shows something it has not shown before."""
        deadline = time.monotonic() + 60
        while text not in self._drawn:
            assert time.monotonic() < deadline, f"{text!r} in {self._drawn[-3000:]}"
            await self.text("1")
            await asyncio.sleep(0.05)
        self._drawn = self._drawn.partition(text)[2]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_main_job_and_the_safe_button_in_a_browser(served: Served, tmp_path: Path) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,800", "about:blank"]
    browser = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=tmp_path)
    runs = tmp_path / "home" / "runs"

    async def soon(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, what
            await asyncio.sleep(0.05)

    async def scene() -> None:
        port = tmp_path / "profile" / "DevToolsActivePort"
        await soon(lambda: port.exists() and len(port.read_text().split()) == 2, "the browser")
        async with aiohttp.ClientSession() as session:
            number = port.read_text().split()[0]
            async with session.get(f"http://127.0.0.1:{number}/json") as answer:
                page = next(item for item in await answer.json() if item["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket_:
                await drive(Browser(socket_))

    async def drive(page: Browser) -> None:
        await page.call("Network.enable")
        await page.call("Page.navigate", url=f"{served.url}/?token={TOKEN}")
        # Browsers keep F12 for themselves: the check of the key at the start finds that out, Ctrl+G closes it.
        await page.reads("Does F12 arrive here?")
        assert "token" not in await page.text("location.href")
        await page.click(640, 600)
        await page.key("g", 71, modifiers=2)
        await page.reads("SAFE: you hold nothing;")
        await page.key("r", 82, "r")
        await page.reads("bench run bootstrap-to-operational")
        await soon(lambda: bool(client.runs(runs)), "the main job runs")
        (run,) = client.runs(runs)
        assert run.recipe == "bootstrap-to-operational"
        await page.reads(run.run_id)
        picture = await page.call("Page.captureScreenshot", format="png")
        (tmp_path / "web.png").write_bytes(base64.b64decode(picture["data"]))
        where = await page.text("JSON.stringify(document.getElementById('safe').getBoundingClientRect())")
        box = json.loads(where)
        await page.click(int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2))
        await soon(lambda: client.runs(runs)[0].state == "aborted", "SAFE ended it")
        deadline = time.monotonic() + 60
        while "SAFE (what you hold): sim" not in (
            told := await page.text("document.getElementById('told').textContent")
        ):
            assert time.monotonic() < deadline, told
            await asyncio.sleep(0.1)

    try:
        asyncio.run(scene())
    finally:
        browser.terminate()
        browser.wait(20)
