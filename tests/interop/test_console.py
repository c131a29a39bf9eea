"""A foreign terminal (socat) on the console of the simulated device: it boots, answers and takes a reboot."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from .foreign import need

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, dict[str, str]]]:
    import json

    argv = [sys.executable, "-m", "fixtures.sim", "up", "--home", str(tmp_path), "--station", "sim-device"]
    process = subprocess.Popen(
        [*argv, "--ipa", "device", "--clock", "scaled:20"], stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["stations"]["sim-device"]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=10)


class Terminal:
    """socat between a serial port and its own standard streams."""

    def __init__(self, port: str) -> None:
        self.seen = b""
        self.process = subprocess.Popen(
            ["socat", "-", f"FILE:{port},raw,echo=0,b115200"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def until(self, pattern: bytes, within: float = 20.0) -> bytes:
        """Read until the pattern has come; return what came up to it."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + within
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not re.search(pattern, self.seen):
                assert selector.select(deadline - time.monotonic()), (pattern, self.seen[-2000:])
                self.seen += os.read(self.process.stdout.fileno(), 4096)
        found = re.search(pattern, self.seen)
        assert found is not None
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def type(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=5)


def test_a_terminal_sees_the_device_boot_and_talks_to_it(world: dict[str, dict[str, str]]) -> None:
    need("socat")
    assert "modem" not in world  # no AT port
    terminal = Terminal(world["console"]["port"])
    try:
        host, port = world["power"]["resource"].split("::")[1:3]
        with socket.create_connection((host, int(port)), timeout=5) as supply:
            supply.sendall(b"VOLT 3.8,(@1)\nCURR 2,(@1)\nOUTP ON,(@1)\n*OPC?\n")
            assert supply.recv(10).strip() == b"1"
        terminal.until(rb"Booting MCUboot")
        log = terminal.until(rb"net: registered 00101, LTE, home\r\n")
        assert re.search(rb"sim: ready, ICCID 8900101000000000019\r\n", log)
        # One character at a time, with a typing error taken back, as a person types.
        for byte in b"versiom\x08n\r":
            terminal.type(bytes((byte,)))
        terminal.until(rb"firmware 1\.4\.2 sha256 [0-9a-f]{64}\r\n")
        terminal.type(b"ipa eid\r\n")
        terminal.until(rb"ipa: EID \d{32}\r\n")
        terminal.type(b"\x00\xff\xfe\x1b[A nonsense\r")
        terminal.until(rb"command not found\r\n")
        terminal.type(b"reboot\r")
        terminal.until(rb"Booting MCUboot")
        # RESET_N by the relay board: nothing while it is pulled, a boot when it is let go of.
        with serial.Serial(world["lines"]["port"], timeout=5) as board:
            board.write(b"relay on 0\r")
            assert board.read_until(b">").endswith(b">")
            board.write(b"relay off 0\r")
            assert board.read_until(b">").endswith(b">")
        terminal.until(rb"Booting MCUboot")
    finally:
        terminal.close()
