"""A world as the process it is, its control socket, and plain clients of its transports."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import tty
from pathlib import Path
from typing import Any

import pytest
import serial

ROOT = Path(__file__).resolve().parents[2]


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skip a test where a foreign program is not installed, with the package of Debian that has it."""
    return pytest.mark.skipif(
        shutil.which(program) is None,
        reason=f"{program} is not installed (apt-get install {package}): nothing foreign to judge by",
    )


class WorldProcess:
    """``with WorldProcess(home, "--clock", "scaled:20") as world``."""

    def __init__(self, home: Path, *arguments: str, station: str = "sim") -> None:
        self.home = home
        self.station = station
        self._arguments = arguments

    def __enter__(self) -> WorldProcess:
        argv = [sys.executable, "-m", "fixtures.sim", "up", "--home", str(self.home), "--station", self.station]
        self.process = subprocess.Popen(
            [*argv, *self._arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.process.kill()
            raise AssertionError(self.process.communicate()[1].decode())
        self.announcement: dict[str, Any] = json.loads(line)
        self.parts = self.announcement["stations"][self.station]
        self._control = socket.socket(socket.AF_UNIX)
        self._control.settimeout(10)
        self._control.connect(self.announcement["control"])
        self._lines = self._control.makefile("rb")
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._control.close()
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            _, errors = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        except ValueError:
            errors = b""
        self.errors = errors.decode()
        return self.process.returncode

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        self._control.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
        return json.loads(self._lines.readline())  # type: ignore[no-any-return]

    def state(self) -> dict[str, Any]:
        return self.ask("state")

    def wait(self, what: str, condition: Any, seconds: float = 20.0) -> dict[str, Any]:
        """Poll the state (real time) until ``condition(state)``."""
        end = time.monotonic() + seconds
        while True:
            state = self.state()
            if condition(state):
                return state
            assert time.monotonic() < end, f"{what}: {state}"
            time.sleep(0.01)

    @property
    def log(self) -> list[dict[str, Any]]:
        text = Path(self.announcement["log"]).read_text()
        return [json.loads(line) for line in text.splitlines()]

    def scpi(self, name: str = "power") -> Scpi:
        return Scpi(int(self.parts[name]["resource"].split("::")[2]))

    def serial(self) -> serial.Serial:
        return serial.Serial(self.parts["modem"]["port"], 115200, timeout=5)

    def power_on(self) -> None:
        with self.scpi() as supply:
            supply.write("VOLT 3.8,(@1);CURR 2,(@1);OUTP ON,(@1)")
            assert supply.ask("SYST:ERR?") == '+0,"No error"'

    def registered(self) -> dict[str, Any]:
        self.power_on()
        return self.wait("registered", lambda state: state["registered"])


class Scpi:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Scpi:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def write(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def ask(self, line: str) -> str:
        self.write(line)
        return self._lines.readline().decode().strip()


def at(port: serial.Serial, command: str, seconds: float = 10.0) -> list[str]:
    """Send a command, return the lines up to and with the final result code."""
    port.write(command.encode() + b"\r")
    lines: list[str] = []
    end = time.monotonic() + seconds
    while True:
        line = port.readline().decode().strip()
        if line and line != command:
            lines.append(line)
        if line in ("OK", "ERROR") or line.startswith("+CME ERROR"):
            return lines
        assert time.monotonic() < end, (command, lines)


class AtClient:
    """A client of the modem's port in station time: reads always, counts bytes."""

    def __init__(self, clock: Any, path: str) -> None:
        self.clock = clock
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.counter = clock.port(path)
        self.received = b""
        self._waiting: asyncio.Future[None] | None = None
        asyncio.get_running_loop().add_reader(self.fd, self._readable)

    def _readable(self) -> None:
        data = os.read(self.fd, 65536)
        self.counter.received(len(data))
        self.received += data
        lines = self.received.split(b"\r\n")[:-1]
        final = any(line in (b"OK", b"ERROR") or line.startswith(b"+CME ERROR") for line in lines)
        if final and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def ask(self, command: str, seconds: float = 30.0) -> str:
        """Send a command; return everything from then up to the final result code."""
        self.received = b""
        self._waiting = asyncio.get_running_loop().create_future()
        data = command.encode() + b"\r"
        os.write(self.fd, data)
        self.counter.sent(len(data))
        async with self.clock.timeout(seconds):
            await self._waiting
        return self.received.decode()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)
