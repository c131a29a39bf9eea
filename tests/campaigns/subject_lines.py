"""DTR and RTS of a serial adapter in a campaign: a pseudo-terminal with modem lines, which comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, Final

import faulty_port  # type: ignore[import-not-found] # no installed package
import modem_lines  # type: ignore[import-not-found]
from exchanges import Exchange, Raised  # type: ignore[import-not-found]
from subject import PATIENCE, Subject  # type: ignore[import-not-found]

from bench.errors import InstrumentError, InstrumentTimeout
from bench.station.drivers import DriverOptions, load_driver

BITS: Final = {"dtr": termios.TIOCM_DTR, "rts": termios.TIOCM_RTS}
_BOTH: Final = BITS["dtr"] | BITS["rts"]
_LEAVES: Final = ("vanished", "vanished-mid-answer", "rebooted", "taken")


class Adapter(faulty_port.FaultyPort):  # type: ignore[misc]
    """A serial adapter with its register of lines, which it loses with its power."""

    def __init__(self, link: Path, chance: random.Random, lines: modem_lines.ModemLines) -> None:
        self.register = 0
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        super().__init__(link, chance, garbage=(), late=PATIENCE, take=lambda data: None)

    def _appear(self, name: str) -> None:
        self.register = 0
        self._number = Path(name).stat().st_rdev
        self._lines.terminals[self._number] = self._answer
        super()._appear(name)

    def _disappear(self) -> None:
        self._lines.terminals[self._number] = lambda request, bits: (errno.EIO, 0)
        super()._disappear()

    def _answer(self, request: int, bits: int) -> tuple[int, int] | None:
        """Carry out a system call, or let it fail. In the thread that the kernel asks."""
        fault = self.due()
        if fault in ("error", "no-lines"):
            return errno.EPROTO if fault == "error" else errno.ENOTTY, 0
        if fault in _LEAVES:
            if fault != "vanished":
                self._carry_out(request, bits)
            self._loop.call_soon_threadsafe(self._leave, fault)
            return errno.EIO, 0
        if fault == "hang":
            self._loop.call_soon_threadsafe(self._hangs)
            return None
        if fault == "wrong":
            request = {termios.TIOCMBIS: termios.TIOCMBIC, termios.TIOCMBIC: termios.TIOCMBIS}.get(request, request)
        if fault != "ignored":
            self._carry_out(request, bits | (_BOTH if fault == "both" else 0))
        if fault == "reset":
            self.register = 0
        return 0, self.register | os.urandom(1)[0] & ~_BOTH  # CTS, DSR, RI and CD are the device's

    def _carry_out(self, request: int, bits: int) -> None:
        if request == termios.TIOCMBIS:
            self.register |= bits & _BOTH
        elif request == termios.TIOCMBIC:
            self.register &= ~bits

    def _hangs(self) -> None:
        """Be away until the call that hangs has ended: one that was opening the port holds it until then."""
        self.here.clear()
        self._loop.call_later(modem_lines.LATE + 0.1, self._back)

    def _back(self) -> None:
        if self._master >= 0:
            self.here.set()

    def _leave(self, fault: str) -> None:
        self.unplug()
        task = asyncio.ensure_future(self._fail(fault, b"\r\n"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class LinesSubject(Subject):  # type: ignore[misc]
    """Both lines are others at every exchange, moved by another program or by the driver."""

    faults = ("error", "no-lines", "hang", "wrong", "ignored", "both", "reset", *_LEAVES)
    errors: ClassVar[dict[str, Raised]] = {
        **dict.fromkeys(("error", "no-lines", "wrong", "ignored", "reset", *_LEAVES), (InstrumentError,)),
        "hang": (InstrumentTimeout,),
        "both": (),
    }

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        self.wire = Adapter(folder / "adapter", self.chance, modem_lines.installed())
        self.driver = await load_driver(self.name).open(DriverOptions(name="boot", port=str(folder / "adapter")))
        try:
            yield
        finally:
            await self.driver.close()
            await self.wire.close()

    def change(self) -> None:
        self.wire.register = self.chance.choice((0, BITS["dtr"], BITS["rts"], _BOTH))

    def exchanges(self) -> list[Exchange]:
        return [self._set, self._read]

    def _on(self, line: str) -> bool:
        return bool(self.wire.register & BITS[line])

    async def _set(self) -> str:
        line, on = self.chance.choice(("dtr", "rts")), self.chance.random() < 0.5
        await self.driver.set_line(line, on)
        return "" if self._on(line) is on else f"{line} set {on} without an error, and it is not"

    async def _read(self) -> str:
        line = self.chance.choice(("dtr", "rts"))
        had = {self._on(line)}
        found = await self.driver.line_on(line)
        return "" if found in had | {self._on(line)} else f"{line} is {found}, not {had}"
