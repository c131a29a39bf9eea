"""The reader in a campaign: cards of another kind at every question, behind a real pcscd and vpcd that fail as well."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import pcsc_bench  # type: ignore[import-not-found] # no installed package
from exchanges import Armed, Exchange, Raised  # type: ignore[import-not-found]
from subject import Subject  # type: ignore[import-not-found]

from bench.apdu.errors import CardGone, NoSuchApplication
from bench.errors import InstrumentError, InstrumentTimeout, Refused
from fixtures.sim.pcsc import Readers
from fixtures.sim.pcsc_vpcd import VirtualSlot, frame
from instruments.reader.pcsc import PcscReader
from instruments.reader.pcsc_link import DaemonGone, PcscLink

READERS: Final = 8
"""Of one daemon, one in each copy of vpcd, whose two slots wait for each other; a process speaks to no other daemon."""
PATIENCE: Final = 1.0
"""Seconds for one APDU, which goes through pcscd, a process of its own."""
NOTICED: Final = 1.0
"""Seconds after which pcscd has seen another card in any case."""
DEADLINE: Final = 12.0
"""Seconds for one exchange: a card looked for, taken, asked three times and given back."""
_LEFT: Final = ("silent", "half-and-silent", "closed", "closed-mid-answer", "removed", "exchanged")


class NumberedCard(pcsc_bench.ScriptedCard):  # type: ignore[misc]
    """A card with an ATR of its own that answers each question with its number and the question's."""

    def __init__(self, serial: int) -> None:
        history = pcsc_bench.ATR[1:-3] + serial.to_bytes(2, "big")
        super().__init__(atr=pcsc_bench.ATR[:1] + history + bytes((functools.reduce(operator.xor, history),)))
        self.serial = serial

    def _answer(self, command: bytes) -> bytes:
        if command[1] != 0xCA:
            return bytes(super()._answer(command))
        return self.serial.to_bytes(2, "big") + command[5:] + b"\x90\x00"


class Pool:
    """The daemon that every reader of this process hangs on, for as long as one of them is used."""

    def __init__(self) -> None:
        self.killed = -DEADLINE
        """When the daemon was killed last (monotonic)."""
        self.users = 0
        self.made: Readers
        self._stack = contextlib.AsyncExitStack()
        self._turn = asyncio.Lock()
        self._free: list[VirtualSlot] = []

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[VirtualSlot]:
        """Give one reader."""
        async with self._turn:
            if not self.users:
                self.made = await self._stack.enter_async_context(pcsc_bench.readers(*[None] * 2 * READERS))
                self._free = list(self.made.slots[::2])
            self.users += 1
        slot = self._free.pop()
        try:
            yield slot
        finally:
            self._free.append(slot)
            async with self._turn:
                self.users -= 1
                if not self.users:
                    await self._stack.aclose()

    def died(self, pid: int) -> bool:
        """Whether the daemon that had this number is no more: vpcd's faults can end it, too."""
        daemon = self.made.daemon
        if daemon.pid == pid and daemon._process is not None and daemon._process.poll() is None:
            return False
        self.killed = time.monotonic()
        return True

    def kill(self) -> None:
        """Kill pcscd; it is started again on the same socket."""
        if self.made.daemon.pid:
            self.killed = time.monotonic()
            for slot in self.made.slots:
                slot.connected.clear()
            os.kill(self.made.daemon.pid, signal.SIGKILL)


_pools: dict[asyncio.AbstractEventLoop, Pool] = {}


class FaultyReader(Armed):  # type: ignore[misc]
    """One slot whose answers meet with every fault, and who else uses it."""

    def __init__(self, pool: Pool, slot: VirtualSlot, chance: random.Random) -> None:
        super().__init__(chance)
        self.slot = slot
        self.said: dict[bytes, set[bytes]] = {}
        """Every answer to each question since it was last emptied."""
        self.atrs: set[bytes] = set()
        """Of the cards that were in it since then, or a moment ago: the daemon looks every 0.4 s."""
        self.changed = 0.0
        """When another card was put in (monotonic)."""
        self.here = asyncio.Event()
        self.here.set()
        self.holds = 0
        """Programs that hold the card."""
        self.others = ""
        """What another program is about to do with the card."""
        self._pool = pool
        self._serial = chance.randrange(1 << 15)
        self._honest: Callable[[bytes], bytes | None] = slot.message
        self._tasks: set[asyncio.Task[None]] = set()
        slot.message = self._message  # type: ignore[method-assign]
        self.put_in(NumberedCard(self._serial))

    def put_in(self, card: NumberedCard) -> None:
        """Put a card in."""
        self.slot.insert(card)
        self.atrs.add(card.atr)
        self.changed = time.monotonic()

    @property
    def away(self) -> bool:
        """Whether the card cannot be reached for a while."""
        return bool(self.holds) or not self.here.is_set() or not self.slot.connected.is_set()

    def arm(self, fault: str, count: int) -> None:
        """Have ``fault`` happen at the ``count``-th answer; what others do they do at once."""
        super().arm(fault, count)
        if fault in ("held", "reset"):
            self.others, self._fault, self._fired = fault, "", True

    async def close(self) -> None:
        """End everything."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        del self.slot.message  # type: ignore[method-assign]
        self.slot.remove()

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the card's side ------------------------------------------------------------------------------------------

    def _message(self, payload: bytes) -> bytes | None:
        answer = self._honest(payload)
        if len(payload) == 1 or answer is None:
            return answer
        fault = self.due()
        if fault == "garbage":
            size = self._chance.choice((2, 3, 17, 255, 300))
            answer = self._chance.randbytes(size - 2) + self._chance.choice((b"\x00\x00", b"\x90\x01", b"\xff\xff"))
        elif fault == "wrong-status":
            answer = answer[:-2] + self._chance.choice((b"\x6f\x00", b"\x69\x85", b"\x6a\x88", b"\x68\x81"))
        elif fault == "truncated":
            line = next(iter(self.slot._lines))
            line._send(frame(answer[:1]))
            return None
        elif fault:
            return self._fail(fault, answer, payload)
        return self._tell(payload, answer)

    def _tell(self, question: bytes, answer: bytes) -> bytes:
        self.said.setdefault(question[1:], set()).add(answer)
        return answer

    def _fail(self, fault: str, answer: bytes, question: bytes) -> None:
        (line,) = self.slot._lines
        whole = frame(self._tell(question, answer))
        half = self.part(whole)
        while len(half) > 3 and half[-2] >> 4 in (6, 9):  # vpcd hands it on: a shorter answer, as far as one can tell
            half = half[:-1]
        if fault in ("half-and-silent", "half-and-late", "closed-mid-answer"):
            line._send(half)
        match fault:
            case "late" | "half-and-late":
                self._later(self._too_late(line, whole[len(half) :] if fault != "late" else whole))
            case "killed":
                self._pool.kill()
                self.here.clear()
                self._later(self._until_connected())
            case _:
                assert fault in _LEFT, fault
                if fault.startswith("closed"):
                    self.slot._hang_up()
                if fault == "exchanged":
                    self.slot.remove()
                    self._serial += 1
                    self.put_in(NumberedCard(self._serial & 0x7FFF))
                if fault == "removed":
                    self.slot.remove()
                self.slot.connected.clear()
                self.here.clear()
                self._later(self._return(fault))

    async def _too_late(self, line: Any, data: bytes) -> None:
        await asyncio.sleep(PATIENCE * self._chance.uniform(1.1, 1.7))
        if line in self.slot._lines:
            line._send(data)

    async def _return(self, fault: str) -> None:
        await asyncio.sleep(PATIENCE * self._chance.uniform(1.1, 1.7))
        if fault in ("silent", "half-and-silent"):
            card = self.slot.card
            self.slot.remove()  # all that helps
            assert isinstance(card, NumberedCard)
            self.put_in(card)
        if fault == "removed":
            self.put_in(NumberedCard(self._serial))
        await self._until_connected()

    async def _until_connected(self) -> None:
        """Wait until another client of the daemon sees the card, taken out and put in again where it helps."""
        link = PcscLink(self.slot.name)
        try:
            while True:
                await self.slot.connected.wait()
                card = self.slot.card
                assert isinstance(card, NumberedCard)
                for _ in range(15):
                    with contextlib.suppress(InstrumentError):
                        if (await asyncio.to_thread(link.present))[2] == card.atr:
                            self.here.set()
                            return
                    await asyncio.sleep(0.1)
                self.slot.remove()
                await asyncio.sleep(0.6)
                self.put_in(card)
        finally:
            await asyncio.to_thread(link.forget)

    # --- another program ------------------------------------------------------------------------------------------

    async def other_program(self) -> None:
        """Have it take the card for a while, or start it anew, before ours asks."""
        what, self.others = self.others, ""
        if not what:
            return
        link = PcscLink(self.slot.name)
        try:
            await asyncio.to_thread(link.connect)
        except InstrumentError:
            return
        if what == "reset":
            await asyncio.to_thread(link.disconnect, unpower=True)
            await asyncio.to_thread(link.forget)
        else:
            self._later(self._let_go(link))

    async def _let_go(self, link: PcscLink) -> None:
        self.holds += 1
        try:
            await asyncio.sleep(self._chance.choice((0.2, 1.6)))
        finally:
            await asyncio.to_thread(link.forget)
            self.holds -= 1


class ReaderSubject(Subject):  # type: ignore[misc]
    """A card is taken, asked and given back; it is looked at; it is started anew."""

    faults: tuple[str, ...] = (*_LEFT, "late", "half-and-late", "garbage", "wrong-status", "truncated", "held", "reset")
    errors: ClassVar[dict[str, Raised]] = {
        **dict.fromkeys((*_LEFT, "killed", "truncated"), (CardGone, InstrumentTimeout)),
        **dict.fromkeys(("late", "half-and-late"), (InstrumentTimeout, CardGone)),
        **dict.fromkeys(("garbage", "wrong-status"), (NoSuchApplication, CardGone)),
        "held": (Refused,),
        "reset": (),
    }
    deadline = DEADLINE
    reach = 11

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        pool = _pools.setdefault(asyncio.get_running_loop(), Pool())
        async with pool.slot() as slot:
            self.pool = pool
            self.wire = FaultyReader(pool, slot, self.chance)
            if pool.made.slots[0] is slot:  # all feel it: one in so many does it
                self.faults = (*self.faults, "killed")
            await slot.connected.wait()
            self.driver = await PcscReader.open(pcsc_bench.options(slot.name))
            await self.driver.wait_card(timeout=5.0)
            try:
                yield
            finally:
                with contextlib.suppress(InstrumentError):
                    await self.driver.close()
                await self.wire.close()

    def change(self) -> None:
        self.daemon = self.pool.made.daemon.pid
        self.wire.said.clear()
        if time.monotonic() - self.wire.changed > NOTICED:
            self.wire.atrs = {self.wire.slot.card.atr} if self.wire.slot.card else set()

    def allowed(self, happened: str, raised: BaseException) -> Raised:
        found: Raised = super().allowed(happened, raised)
        if isinstance(raised, DaemonGone):
            self.pool.died(self.daemon)
        return (*found, CardGone, InstrumentTimeout) if time.monotonic() - self.pool.killed < DEADLINE else found

    def exchanges(self) -> list[Exchange]:
        return [self._ask, self._ask, self._ask, self._look, self._restart]

    async def _ask(self) -> str:
        await self.wire.other_program()
        channel = await self.driver.card().open_channel(pcsc_bench.ISD_R)
        try:
            for step in range(3):
                command = bytes.fromhex("80CA000005") + bytes((step,)) + self.number.to_bytes(4, "big")
                answer = await channel.transmit(command, timeout=PATIENCE)
                if answer not in self.wire.said.get(command[1:], ()):
                    return f"{answer.hex()} is no answer to {command.hex()}, but {self.wire.said}"
        finally:
            with contextlib.suppress(InstrumentError):
                await channel.close()
        return ""

    async def _look(self) -> str:
        await self.wire.other_program()
        await self.driver.wait_card(timeout=3.0)
        found = self.driver.atr
        return "" if found in self.wire.atrs else f"the ATR is {found.hex()}, not one of {self.wire.atrs}"

    async def _restart(self) -> str:
        await self.wire.other_program()
        card = self.wire.slot.card
        before = len(card.powers) if card else 0
        await self.driver.card().reset()
        now = self.wire.slot.card
        started = now.powers[before if now is card else 0 :] if now else []
        return "" if "on" in started or now is not card else f"reset, it says, and the card saw {started}"
