"""The card after a profile switch: refresh signs, and the ladder when there are none (SGP.32 annex; 102 223 6.4.7)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from bench.errors import DeviceFailure, InstrumentError
from instruments.modem.errors import ModemError, ModemHung, PortGone

if TYPE_CHECKING:
    from instruments.modem.modem import AtModem
    from instruments.modem.vendor import Vendor

_SIGNS = 10.0
"""Seconds a modem is given to show that it carried the REFRESH out, at most a third of the whole time."""
_TAKES_OVER = 3.0
"""Seconds between the return of the card and the modem's use of what it now holds."""
_AGAIN = 0.25


class Refresher:
    """What is known of the initialisations of the card in one modem."""

    def __init__(self, modem: AtModem, vendor: Vendor) -> None:
        self._modem = modem
        self._signs = 0
        self._marked = 0
        self._news = asyncio.Event()
        self._pattern = re.compile("")
        self.use(vendor)

    def use(self, vendor: Vendor) -> None:
        """Take the signs of another family."""
        self._pattern = re.compile("|".join(vendor.refresh_signs))

    def event(self, line: str) -> None:
        """Take notice of an event line."""
        if self._pattern.fullmatch(line):
            self._signs += 1
            self._news.set()

    def lost(self) -> None:
        """Take notice that the port went away."""
        self._news.set()

    def mark(self) -> None:
        """Forget the signs seen so far: what comes from now on is news."""
        self._marked = self._signs
        self._news.clear()

    async def refresh(self, *, timeout: float) -> str:
        """See interfaces.Modem.refresh_card."""
        modem = self._modem
        until = modem.clock.now() + timeout
        takes_over = min(_TAKES_OVER, timeout / 10)
        if await self._seen(min(_SIGNS, timeout / 3)):
            await self._back(until)
            if await self._card_becomes_current(min(until, modem.clock.now() + takes_over)):
                self.mark()
                return "refresh"
        for climb in (modem.reset_card, modem.reset):
            if modem.clock.now() >= until:
                break
            with contextlib.suppress(ModemError, ModemHung, PortGone):
                await climb(timeout=until - modem.clock.now())
                if await self._card_becomes_current(min(until, modem.clock.now() + takes_over)):
                    self.mark()
                    return "reset"
        raise DeviceFailure(
            "the modem does not take over the new profile: +CIMI differs from EF.IMSI, or the card does not answer",
            where=modem.port.name,
            hint="power-cycle the device",
        )

    async def _seen(self, seconds: float) -> bool:
        clock = self._modem.clock
        until = clock.now() + seconds
        while self._signs <= self._marked and self._modem.port.is_open:
            self._news.clear()
            try:
                async with clock.timeout(max(0.0, until - clock.now())):
                    await self._news.wait()
            except TimeoutError:
                return False
        return True

    async def _back(self, until: float) -> None:
        """Have the modem answer and the card ready again."""
        modem = self._modem
        with contextlib.suppress(ModemError, DeviceFailure):
            if not modem.port.is_open:  # some re-enumerate at a REFRESH
                await modem.wait_ready(timeout=max(1.0, until - modem.clock.now()))
            await modem.wait_sim_ready(timeout=max(1.0, until - modem.clock.now()))

    async def _card_becomes_current(self, until: float) -> bool:
        """Whether the modem uses the subscription that the card holds, by ``until`` at the latest."""
        modem = self._modem
        while True:
            with contextlib.suppress(DeviceFailure, InstrumentError):
                if await modem.imsi() == await modem.card_imsi():
                    return True
            if modem.clock.now() >= until:
                return False
            await modem.clock.sleep(_AGAIN)
