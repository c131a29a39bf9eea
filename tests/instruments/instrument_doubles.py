"""Instruments that are no instruments: scripted servers on real transports, in threads of their own."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.trace.lane import Direction


class MemoryLane:
    """A lane that keeps what it is given."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.packets: list[tuple[Direction, bytes, str | None]] = []

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        self.packets.append((direction, bytes(data), comment))

    def sent(self) -> list[bytes]:
        return [data for direction, data, _ in self.packets if direction is Direction.SENT]

    def received(self) -> list[bytes]:
        return [data for direction, data, _ in self.packets if direction is Direction.RECEIVED]


class ScpiDouble:
    """A TCP server that behaves like an E36312A, or as badly as ``answer`` says.

    ``answer(line)`` may return the text to send, None for silence, or raise ``Drop`` to close the connection; what it
    returns as bytes is sent as it is.
    """

    class Drop(Exception):
        pass

    def __init__(self, *, serial: str = "MY12345678", model: str = "E36312A", decay: float = 0.0) -> None:
        self.serial = serial
        self.model = model
        self.decay = decay
        self.voltage = 0.0
        self.current = 1.0
        self.on = False
        self.off_since = 0.0
        self.stuck = False
        self.feedback = 0.0
        self.errors: list[str] = []
        self.lines: list[str] = []
        self.connections = 0
        self.answer: Callable[[str], str | bytes | None] = self.supply
        self.fragment = 0.0
        self._clients: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.resource = f"TCPIP::127.0.0.1::{self.port}::SOCKET"
        self._stop = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._stop = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # close alone does not wake the thread that accepts
        self._server.close()
        self.drop_all()

    def drop_all(self) -> None:
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._clients.clear()

    def __enter__(self) -> ScpiDouble:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stop:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        buffer = b""
        with client:
            while True:
                try:
                    chunk = client.recv(65536)
                except OSError:
                    return
                if not chunk:
                    return
                buffer += chunk
                while b"\n" in buffer:
                    raw, _, buffer = buffer.partition(b"\n")
                    line = raw.decode().strip()
                    self.lines.append(line)
                    try:
                        text = self.answer(line)
                        if text is not None:
                            self._send(client, text)
                    except (ScpiDouble.Drop, OSError):
                        with contextlib.suppress(OSError):
                            client.shutdown(socket.SHUT_RDWR)
                        return

    def _send(self, client: socket.socket, text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode() + b"\n"
        if not self.fragment:
            client.sendall(data)
            return
        for byte in data:
            client.sendall(bytes((byte,)))
            time.sleep(self.fragment)

    def rail(self) -> float:
        if self.on:
            return self.voltage
        level = self.voltage if time.monotonic() - self.off_since < self.decay else 0.0
        return max(level, self.feedback)

    def supply(self, line: str) -> str | None:
        """Answer as a healthy supply would."""
        if line == "*IDN?":
            return f"Keysight Technologies,{self.model},{self.serial},2.1.0"
        if line == "*OPC?":
            return "1"
        if line == "SYST:ERR?":
            return self.errors.pop(0) if self.errors else '+0,"No error"'
        if found := re.fullmatch(r"(VOLT|CURR) ([\d.]+),\(@1\)", line):
            if found[1] == "VOLT":
                self.voltage = float(found[2])
            else:
                self.current = float(found[2])
            return None
        if found := re.fullmatch(r"OUTP (ON|OFF),\(@1\)", line):
            if not self.stuck:
                if self.on and found[1] == "OFF":
                    self.off_since = time.monotonic()
                self.on = found[1] == "ON"
            return None
        answers = {
            "VOLT? (@1)": f"{self.voltage:+.8E}",
            "CURR? (@1)": f"{self.current:+.8E}",
            "OUTP? (@1)": str(int(self.on)),
            "MEAS:VOLT? (@1)": f"{self.rail():+.8E}",
            "MEAS:CURR? (@1)": "+1.23000000E-01" if self.on else "+0.00000000E+00",
            "VOLT:PROT:TRIP? (@1)": "0",
            "CURR:PROT:TRIP? (@1)": "0",
        }
        if line in answers:
            return answers[line]
        self.errors.append('-113,"Undefined header"')
        return None


class PtyModem:
    """A modem on a pty: answers by a table or a function, in a thread of its own.

    ``script[command]`` is a list of lines (the last one final), a text of bytes to send as they are, or a callable
    that returns one of these (or None for silence). Unknown commands get ERROR.
    """

    def __init__(self, folder: Path, *, echo: bool = False) -> None:
        self.link = folder / "modem"
        self.echo = echo
        self.commands: list[str] = []
        self.written = 0
        self.read = 0
        self.hung = False
        self.delay = 0.0
        self.script: dict[str, object] = {
            "AT": ["OK"],
            "ATE0": self._echo_off,
            "ATV1": ["OK"],
            "AT+CMEE=1": ["OK"],
            "AT+CMEE?": ["+CMEE: 1", "OK"],
            "AT+CEREG=5": ["OK"],
            "AT+COPS=3,2": ["OK"],
            "AT+CFUN?": ["+CFUN: 1", "OK"],
            "AT+CFUN=0": ["OK"],
            "AT+CFUN=1": ["OK"],
            "AT+CGMI": ["Double", "OK"],
            "AT+CGMM": ["D1", "OK"],
            "AT+CGMR": ["D1R01", "OK"],
            "AT+CGSN": ["490154203237518", "OK"],
            "AT+CPIN?": ["+CPIN: READY", "OK"],
        }
        self._master = -1
        self._slave = -1
        self._wake_r, self._wake_w = os.pipe()
        self._queue: list[bytes] = []
        self._lock = threading.Lock()
        self._stop = False
        self.plug()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def plug(self) -> None:
        """(Re-)enumerate: a new pty under the same link."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        target = os.ttyname(slave)
        temporary = self.link.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(self.link)
        self._master, self._slave = master, slave
        self._wake()

    def unplug(self) -> None:
        """Take the port away, as a USB modem without power does."""
        self.link.unlink(missing_ok=True)
        master, slave, self._master, self._slave = self._master, self._slave, -1, -1
        self._wake()
        time.sleep(0.02)
        os.close(slave)
        os.close(master)

    def say(self, *lines: str) -> None:
        """Send events."""
        self.raw("".join(f"\r\n{line}\r\n" for line in lines).encode())

    def raw(self, data: bytes) -> None:
        with self._lock:
            self._queue.append(data)
        self._wake()

    def close(self) -> None:
        self._stop = True
        self._wake()
        self._thread.join(2.0)
        if self._master >= 0:
            os.close(self._slave)
            os.close(self._master)
        os.close(self._wake_r)
        os.close(self._wake_w)

    def __enter__(self) -> PtyModem:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        os.write(self._wake_w, b"x")

    def _echo_off(self) -> list[str]:
        self.echo = False
        return ["OK"]

    def _serve(self) -> None:
        buffer = b""
        while not self._stop:
            master = self._master
            readable, _, _ = select.select([self._wake_r] + ([master] if master >= 0 else []), [], [], 1.0)
            if self._wake_r in readable:
                os.read(self._wake_r, 4096)
                with self._lock:
                    queue, self._queue = self._queue, []
                for data in queue:
                    self._write(data)
            if master >= 0 and master in readable and master == self._master:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    continue
                self.read += len(data)
                if self.echo:
                    self._write(data)
                buffer += data
                while match := re.search(rb"[\r\x1a\x1b]", buffer):
                    line, buffer = buffer[: match.start()], buffer[match.end() :]
                    self._command(line.strip(b"\n").decode("latin-1"), match.group(0))

    def _command(self, line: str, end: bytes) -> None:
        if end != b"\r":
            line += {b"\x1a": "<SUB>", b"\x1b": "<ESC>"}[end]
        if not line:
            return
        self.commands.append(line)
        if self.hung:
            return
        answer = self.script.get(line, self.script.get(line.split("=")[0] + "=*", ["ERROR"]))
        if callable(answer):
            answer = answer(line) if answer.__code__.co_argcount - (hasattr(answer, "__self__")) else answer()
        if self.delay:
            time.sleep(self.delay)
        if isinstance(answer, bytes):
            self._write(answer)
        elif isinstance(answer, list):
            self._write("".join(f"\r\n{text}\r\n" for text in answer).encode())

    def _write(self, data: bytes) -> None:
        self.written += len(data)  # before it is: who reads it may look at once
        while data and self._master >= 0:
            try:
                count = os.write(self._master, data)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            except OSError:
                break
            data = data[count:]
        self.written -= len(data)


@contextlib.contextmanager
def listener_that_is_closed() -> Iterator[int]:
    """Yield a port of this host on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port
