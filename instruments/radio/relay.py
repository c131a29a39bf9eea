"""Between the modem's DIAG port and the tool that reads it: every byte passes, is kept raw, and has its time noted.

The tool is given a TCP port of the loopback (scat answers at once there; on a serial port each of its 40 requests waits
half a second) or a pseudo-terminal. The modem's port may come and go with its power: what the tool has asked for is
asked for again, which no tool does by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from bench.errors import InstrumentError, Refused
from bench.station.clock import Clock
from bench.trace.clocks import ClockFit
from instruments.modem import usb
from instruments.radio.diag import Requests, Splitter, Times, acknowledge, log_of, unescape

_LOOK: Final = 0.2
"""Real seconds between two looks whether the port has come."""
_BACKLOG: Final = 4 << 20
"""Bytes kept for a tool that does not read; more is dropped there, and kept in the raw log all the same."""


class DiagRelay:
    """One DIAG port and one tool."""

    def __init__(
        self,
        port: str,
        *,
        baudrate: int,
        clock: Clock,
        raw: Path | None,
        tell: Callable[[str], None],
        offer: Literal["tcp", "pty"] = "tcp",
    ) -> None:
        """``raw``: file of the stream as it came from the modem (QMDL: HDLC frames); None: it is not kept."""
        self.times = Times()
        self.fit = ClockFit("modem, DIAG time stamp")
        self.frames = 0
        """Log packets seen."""
        self.dropped = 0
        """Bytes that the tool did not take."""
        self.openings = 0
        self._port = port
        self._baudrate = baudrate
        self._counter = clock.port(port)
        self._raw_path = raw
        self._raw_fd = -1
        self._tell = tell
        self._offer = offer
        self._from_modem, self._from_tool = Splitter(), Splitter()
        self._requests = Requests()
        self._serial: Any = None
        self._fd = -1
        self._server: socket.socket | None = None
        self._tool = -1
        """Descriptor to the tool: the connection, or the master of the pseudo-terminal."""
        self._connection: socket.socket | None = None
        self._slave = -1
        self._to_tool = b""
        self._to_modem = b""
        self._watch: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    # --- opening --------------------------------------------------------------------------------------------------

    async def open(self) -> str:
        """Open what the tool is given and return it: ``127.0.0.1:PORT``, or the device file of a pseudo-terminal.

        Raises Refused when another program holds the modem's port, InstrumentError without permission.
        """
        if self._raw_path is not None:
            self._raw_fd = os.open(self._raw_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._try_open()
        loop = asyncio.get_running_loop()
        if self._offer == "tcp":
            self._server = socket.create_server(("127.0.0.1", 0))
            self._server.setblocking(False)
            loop.add_reader(self._server, self._accept)
            where = f"127.0.0.1:{self._server.getsockname()[1]}"
        else:
            self._tool, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._tool, False)
            loop.add_reader(self._tool, self._tool_readable)
            where = os.ttyname(self._slave)
        self._watch = asyncio.create_task(self._look(), name="DIAG port")
        return where

    async def close(self) -> None:
        """Close everything; never raises."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        self._let_go()
        loop = asyncio.get_running_loop()
        if self._server is not None:
            loop.remove_reader(self._server)
            self._server.close()
            self._server = None
        self._tool_gone()
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1
        if self._raw_fd >= 0:
            os.close(self._raw_fd)
            self._raw_fd = -1

    @property
    def is_open(self) -> bool:
        """Whether the modem's port is there."""
        return self._fd >= 0

    async def _look(self) -> None:
        while True:
            if self._fd >= 0:
                self._lost.clear()
                await self._lost.wait()
            await asyncio.sleep(_LOOK)
            with contextlib.suppress(InstrumentError):
                self._try_open()

    def _try_open(self) -> bool:
        path = usb.device_file(self._port)
        if path is None:
            return False
        import serial

        try:
            self._serial = serial.Serial(path, self._baudrate, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, OSError, termios.error, ValueError) as error:
            number = getattr(error, "errno", None)
            if number in (11, 16) or "lock" in str(error).lower():
                raise Refused(
                    "the DIAG port is in use",
                    where=path,
                    hint="end the other program; ModemManager must leave it alone",
                ) from error
            if number == 13:
                raise InstrumentError(f"no permission for {path}", hint="add this user to its group") from error
            return False
        self._fd = self._serial.fileno()
        self.openings += 1
        asyncio.get_running_loop().add_reader(self._fd, self._modem_readable)
        again = self._requests.repeat()
        if again:
            self._send(again)
        self._tell(f"the DIAG port {path} is open" + ("; what was asked for is asked again" if again else ""))
        return True

    def _let_go(self) -> None:
        if self._fd < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._fd = -1
        self._to_modem = b""
        port, self._serial = self._serial, None
        with contextlib.suppress(Exception):  # closing a vanished port raises whatever its driver likes
            port.close()
        self._tell("the DIAG port is gone")
        self._lost.set()

    # --- modem to tool --------------------------------------------------------------------------------------------

    def _modem_readable(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, termios.error):
            data = b""
        if not data:
            self._let_go()
            return
        now = time.time_ns()
        self._counter.received(len(data))
        if self._raw_fd >= 0:
            with contextlib.suppress(OSError):  # a full disk is told by what else is written there
                os.write(self._raw_fd, data)
        for escaped in self._from_modem.feed(data):
            found = log_of(unescape(escaped), now)
            if found is not None:
                self.frames += 1
                self.times.add(found)
                self.fit.add(found.device_ns, now)
        self._give(data)

    def _give(self, data: bytes) -> None:
        if self._tool < 0:
            return
        if len(self._to_tool) + len(data) > _BACKLOG:
            self.dropped += len(data)
            return
        self._to_tool += data
        self._flush_tool()

    def _flush_tool(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._to_tool = self._to_tool[os.write(self._tool, self._to_tool) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._tool_gone()
            return
        if self._to_tool:
            loop.add_writer(self._tool, self._flush_tool)
        else:
            loop.remove_writer(self._tool)

    # --- tool to modem --------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._server is not None
        try:
            connection, _ = self._server.accept()
        except OSError:
            return
        if self._connection is not None:  # one tool at a time
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection, self._tool = connection, connection.fileno()
        asyncio.get_running_loop().add_reader(self._tool, self._tool_readable)

    def _tool_readable(self) -> None:
        try:
            data = os.read(self._tool, 65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._tool_gone()
            return
        for frame in self._from_tool.feed(data):
            self._requests.take(frame)
            answer = acknowledge(frame) if self._fd < 0 else None
            if answer is not None:
                self._give(answer)
        if self._fd >= 0:
            self._send(data)

    def _tool_gone(self) -> None:
        if self._tool < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._tool)
        loop.remove_writer(self._tool)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        else:
            os.close(self._tool)
        self._tool = -1
        self._to_tool = b""

    def _send(self, data: bytes) -> None:
        self._to_modem += data
        self._flush_modem()

    def _flush_modem(self) -> None:
        if self._fd < 0:
            return
        loop = asyncio.get_running_loop()
        try:
            count = os.write(self._fd, self._to_modem)
        except (BlockingIOError, InterruptedError):
            count = 0
        except (OSError, termios.error):
            self._let_go()
            return
        self._counter.sent(count)
        self._to_modem = self._to_modem[count:]
        if self._to_modem:
            loop.add_writer(self._fd, self._flush_modem)
        else:
            loop.remove_writer(self._fd)
