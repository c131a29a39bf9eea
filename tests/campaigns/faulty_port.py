"""The same for a serial port: a simulated board on a pty whose answers meet with every fault, and which may vanish."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from exchanges import Armed  # type: ignore[import-not-found] # no installed package

FAULTS: Final = (
    "late", "silent", "half-and-silent", "half-and-late", "garbage", "garbage-before-answer", "surplus", "fragmented",
    "flood", "vanished", "vanished-mid-answer", "rebooted", "taken",
)  # fmt: skip
"""With the last four the port goes, and comes back as another one: as it was, with its settings lost, or held by
another program for a while."""


class FaultyPort(Armed):
    """A pty under ``link``, which is another one each time it comes back. ``take`` is given what the client sends."""

    def __init__(
        self,
        link: Path,
        chance: random.Random,
        *,
        garbage: Sequence[bytes],
        late: float,
        take: Callable[[bytes], None],
        reboot: Callable[[], object] = lambda: None,
    ) -> None:
        """``late``: the client's patience in seconds; ``reboot`` is called when the board restarts."""
        super().__init__(chance)
        self.here = asyncio.Event()
        """Set while it is plugged in."""
        self.written = b""
        """What was sent since it was last emptied."""
        self.noise = b"\r\nfirmware: brown-out\r\n"
        """A line of a flood."""
        self._link = link
        self._garbage = garbage
        self._late = late
        self._take = take
        self._reboot = reboot
        self._master = self._slave = -1
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks = {asyncio.ensure_future(self._send())}
        self.plug()

    def plug(self) -> None:
        """Come (back): the same link, another pty."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._appear(os.ttyname(self._slave))
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        self.here.set()

    def unplug(self) -> None:
        """Vanish with all that is under way."""
        if self._master < 0:
            return
        self.here.clear()
        asyncio.get_running_loop().remove_reader(self._master)
        self._disappear()
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        while not self._answers.empty():
            self._answers.get_nowait()

    def _appear(self, name: str) -> None:
        self._link.symlink_to(name)

    def _disappear(self) -> None:
        self._link.unlink()

    async def close(self) -> None:
        """End everything."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.unplug()

    @property
    def away(self) -> bool:
        """Whether it is unplugged, or held by another program."""
        for task in self._tasks:
            if task.done():
                task.result()  # a fault of the wire itself
        return not self.here.is_set()

    def answer(self, data: bytes) -> None:
        """Send what the board answers: one answer after the other."""
        self._answers.put_nowait(data)

    def _readable(self) -> None:
        with contextlib.suppress(OSError):
            self._take(os.read(self._master, 65536))

    def _write(self, data: bytes) -> None:
        if self._master >= 0:
            self.written += data
            with contextlib.suppress(OSError):
                os.write(self._master, data)

    async def _send(self) -> None:
        while True:
            answer = await self._answers.get()
            if fault := self.due():
                await self._fail(fault, answer)
            else:
                self._write(answer)

    async def _fail(self, fault: str, answer: bytes) -> None:
        half = self.part(answer.rstrip())  # less than its line end, with which it would be whole
        match fault:
            case "late":
                await self._too_long()
                self._write(answer)
            case "half-and-silent":
                self._write(half)
            case "half-and-late":
                self._write(half)
                await self._too_long()
                self._write(answer[len(half) :])
            case "garbage":
                self._write(self._chance.choice(self._garbage))
            case "garbage-before-answer":
                self._write(self._chance.choice(self._garbage) + answer)
            case "surplus":
                self._write(answer + self._chance.choice(self._garbage))
            case "fragmented":
                async for piece in self.pieces(answer, self._late):
                    self._write(piece)
            case "flood":
                began = time.monotonic()
                while (told := time.monotonic() - began) < self._late / 3:  # 1 000 lines a second
                    await asyncio.sleep(0.005)
                    self._write(self.noise * round((time.monotonic() - began - told) * 1000))
                self._write(answer)
            case "silent":
                pass
            case "vanished" | "vanished-mid-answer" | "rebooted" | "taken":
                await self._go(half if fault == "vanished-mid-answer" else b"")
                if fault == "rebooted":
                    self._reboot()
                self.plug()
                if fault == "taken":
                    await self._held_by_another()
            case _:
                raise AssertionError(fault)

    async def _go(self, last: bytes) -> None:
        self.here.clear()
        if last:
            self._write(last)
            await asyncio.sleep(0.002)
        self.unplug()
        await asyncio.sleep(self._chance.uniform(0.02, 0.3))

    async def _held_by_another(self) -> None:
        self.here.clear()
        other = os.open(os.ttyname(self._slave), os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await asyncio.sleep(self._chance.uniform(0.05, 0.3))
        finally:
            os.close(other)
        self.here.set()

    async def _too_long(self) -> None:
        await asyncio.sleep(self._late * self._chance.uniform(1.1, 1.7))
