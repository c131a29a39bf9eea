"""``bench web`` in a real browser and by hand: refused without the token, the main page, the SAFE button."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

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


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_shows_the_screens_and_the_button(served: Served, tmp_path: Path) -> None:
    picture = tmp_path / "web.png"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--window-size=1280,800", "--virtual-time-budget=15000", f"--screenshot={picture}"]
    done = subprocess.run(
        [*command, f"{served.url}/?token={TOKEN}"], capture_output=True, timeout=90, check=False, cwd=tmp_path
    )
    assert picture.exists(), done.stderr.decode()
    assert picture.stat().st_size > 10_000
