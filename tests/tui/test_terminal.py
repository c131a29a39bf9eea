"""In a real terminal (tmux): keys arrive, resizing, SIGHUP and kill -9 leave the run alone, F12 ends it."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import client

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """One tmux server of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "tmux")
        wanted = {"BENCH_HOME": str(folder / "home"), "BENCH_LOCKS": str(folder / "locks"), "LANG": "C.UTF-8"}
        wanted |= {"COLUMNS": "40", "LINES": "12"}  # of another terminal: a shell or readline has left them
        self.environment = {**os.environ, **wanted}
        self.environment.pop("TMUX", None)
        self.environment.pop("BENCH_CONFIG", None)

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self.socket, "-f", "/dev/null", *words]
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, timeout=60, check=False
        )
        assert words[0] != "new-session" or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def begin(self) -> None:
        bench = f"exec {sys.executable} -m bench.cli.main"
        self.tmux("new-session", "-d", "-x", "120", "-y", "36", bench)
        self.wait(lambda text: "SAFE F12" in text and "sim-device" in text, "the first page")

    def end(self) -> None:
        """Take the terminal away (SIGHUP) and wait until tmux is gone: a dying server still takes connections."""
        found = self.tmux("display-message", "-p", "#{pid}").strip()
        self.tmux("kill-server")
        if found:
            self.gone(int(found), "tmux ends")

    def keys(self, *names: str) -> None:
        self.tmux("send-keys", *names)

    def wait(self, condition: Callable[[str], bool], what: str, within: float = 120.0) -> str:
        deadline = time.monotonic() + within
        while True:
            text = self.tmux("capture-pane", "-p")
            if condition(text):
                return text
            assert time.monotonic() < deadline, f"{what}\n{text}"
            time.sleep(0.05)

    @staticmethod
    def until(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.02)

    def gone(self, pid: int, what: str) -> None:
        self.until(lambda: not Path(f"/proc/{pid}").exists(), what)

    def pid(self) -> int:
        return int(self.tmux("display-message", "-p", "#{pane_pid}"))


def test_a_terminal_that_goes_without_a_signal_ends_the_screen(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "BENCH_HOME": str(tmp_path), "BENCH_LOCKS": str(tmp_path), "TERM": "xterm"}
    environment.pop("BENCH_CONFIG", None)
    # Not the session whose controlling terminal it is: the kernel tells this process nothing.
    with subprocess.Popen(
        [sys.executable, "-m", "bench.cli.main"], stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=tmp_path
    ) as screen:
        os.close(slave)
        try:
            seen, deadline = b"", time.monotonic() + 60
            while b"Does F12 arrive here?" not in seen:
                assert select.select([master], [], [], max(0.0, deadline - time.monotonic()))[0], seen
                seen += os.read(master, 1 << 16)
            os.close(master)
            screen.wait(20)
        finally:
            screen.kill()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    (tmp_path / "locks").mkdir(mode=0o1777)
    yield made
    made.tmux("kill-server")
    for info in client.runs(tmp_path / "home" / "runs"):
        if info.state == "running":
            client.stop(info.folder, at_once=True)


def test_a_run_outlives_its_terminal_and_its_screen(terminal: Terminal) -> None:
    terminal.begin()
    terminal.wait(lambda text: "Does F12 arrive here?" in text, "the check of the key")
    terminal.keys("F12")
    terminal.wait(lambda text: "Does F12" not in text, "it arrives through tmux")
    terminal.keys("2")
    terminal.wait(lambda text: "[2 Station]" in text and "Supply, last 60 s" in text, "another page")
    terminal.keys("1")
    terminal.wait(lambda text: "[1 Stations]" in text and "Latest runs" in text, "a page that was left comes back")
    terminal.keys("r")
    terminal.wait(lambda text: "▶ running" in text, "the main job")
    runs = terminal.folder / "home" / "runs"
    (run,) = client.runs(runs)
    terminal.tmux("resize-window", "-x", "80", "-y", "24")
    text = terminal.wait(lambda text: "bootstrap-to" in text and max(map(len, text.splitlines())) <= 80, "80x24")
    assert all(len(line) <= 80 for line in text.splitlines())
    pid = terminal.pid()
    terminal.end()
    terminal.gone(pid, "SIGHUP ends the screen")

    terminal.begin()
    terminal.keys("4")
    terminal.wait(lambda text: _goes_on(text, run.run_id), "it is shown again after SIGHUP")
    pid, server = terminal.pid(), int(terminal.tmux("display-message", "-p", "#{pid}"))
    os.kill(pid, signal.SIGKILL)
    terminal.gone(pid, "kill -9 ends the screen")
    terminal.gone(server, "tmux ends with its last window")

    terminal.begin()
    terminal.keys("4")
    terminal.wait(lambda text: _goes_on(text, run.run_id), "and after kill -9")
    terminal.wait(lambda text: _goes_on(text, run.run_id, "✔ pass"), "it ends as if nobody had gone")
    terminal.keys("1")
    terminal.wait(lambda text: re.search(r"\bsim +SIM .*\bfree\b", text) is not None, "the station is free again")
    terminal.keys("r")
    terminal.until(lambda: len(client.runs(runs)) == 2, "once more")
    terminal.keys("F12")
    terminal.wait(lambda text: "SAFE (what you hold): sim off, verified" in text, "F12")
    terminal.keys("4")
    again = client.runs(runs)[0].run_id
    terminal.wait(lambda text: _goes_on(text, again, "aborted"), "it has ended")
    pid = terminal.pid()
    terminal.keys("q")
    terminal.gone(pid, "q leaves")


def _goes_on(text: str, run_id: str, *states: str) -> bool:
    wanted = states or ("▶ running", "✔ pass")
    return any(run_id in line and any(state in line for state in wanted) for line in text.splitlines())
