"""Registration: read it, wait for it, and say why it does not come (27.007 sections 7.3, 10.1.22; 24.301 annex A)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.errors import DeviceFailure
from bench.station.drivers import TICK
from bench.station.interfaces import FailureCause, Registration
from instruments.modem import parse
from instruments.modem.causes import EMM as CAUSES
from instruments.modem.errors import ModemError, ModemHung, NotRegistered, PortGone
from instruments.modem.lines import fields_of, name_of

if TYPE_CHECKING:
    from instruments.modem.core import ModemCore

_POLL = 5.0
"""Seconds between two reads while no event comes: events can be lost, and some modems send none."""

_WIDEBAND = 7
"""<AcT> E-UTRAN, in WB-S1 mode: LTE or LTE-M."""

STATES = {
    0: "not registered, not searching",
    1: "registered, home",
    2: "searching",
    3: "registration denied",
    4: "unknown, out of coverage",
    5: "registered, roaming",
    8: "emergency only",
    90: "not registered, UICC failure",
}


class Registrar:
    """What is known of the registration of one modem."""

    def __init__(self, modem: ModemCore) -> None:
        self._modem = modem
        self._news = asyncio.Event()
        self.last_cause: int | None = None
        """The last EMM cause the modem reported since the last registration."""
        self.last_esm_cause: int | None = None

    def event(self, line: str) -> None:
        """Take notice of an event line."""
        name = name_of(line)
        if name in ("+CNEC_EMM", "+CNEC_ESM"):  # 27.007 section 9.1B: <cause>[,<cid>]
            cause = parse.cause(fields_of(line)[0])
            if cause is not None and name == "+CNEC_EMM":
                self.last_cause = cause
            elif cause is not None:
                self.last_esm_cause = cause
            return
        if name not in self._modem.vendor.registration:
            return
        try:
            self._remember(parse.registration(line, read=False))
        except DeviceFailure:
            return
        self._news.set()

    def lost(self) -> None:
        """Take notice that the port went away."""
        self._news.set()

    def _remember(self, state: parse.RegistrationState) -> None:
        if state.registered:
            self.last_cause = self.last_esm_cause = None
        elif state.reject_cause:
            self.last_cause = state.reject_cause

    async def read(self) -> Registration:
        """Read +CEREG and +COPS now."""
        for name in self._modem.vendor.registration:
            state = parse.registration(_named(await self._modem.command(f"AT{name}?"), name), read=True)
            if state.registered:
                break
        self._remember(state)
        plmn, act = await self._operator() if state.registered else ("", None)
        act = state.act if act is None else act
        return Registration(
            registered=state.registered,
            roaming=state.status == parse.ROAMING,
            plmn=plmn,
            rat=await self._rat(act) if state.registered else "",
            tac=state.tac,
            cell_id=state.cell_id,
            status=state.status,
            reject_cause=state.reject_cause or (None if state.registered else self.last_cause),
            source="at",
        )

    async def _operator(self) -> tuple[str, int | None]:
        for again in (True, False):
            try:
                plmn, act = parse.operator(_named(await self._modem.command("AT+COPS?"), "+COPS"))
                if plmn or not again:
                    return plmn, act
                await self._modem.command("AT+COPS=3,2")  # the modem forgot that names are wanted as numbers
            except ModemError:
                return "", None
        return "", None

    async def _rat(self, act: int | None) -> str:
        vendor = self._modem.vendor
        if vendor.serving_rat:
            try:
                lines = await self._modem.command(vendor.serving_rat)
                word = fields_of(lines[0])[0].upper() if lines else ""
                for sign, rat in vendor.rats:
                    if sign.upper() in word:
                        return rat
            except ModemError:
                pass
        if act == _WIDEBAND:
            return vendor.wideband
        return parse.RATS.get(act, "") if act is not None else ""

    async def failure_cause(self) -> FailureCause:
        """Read why the last attempt failed: +CEREG's cause, then +CEER and the vendor's own form."""
        modem = self._modem
        await self.read()
        text = ""
        with contextlib.suppress(ModemError):
            text = parse.plain(await modem.command("AT+CEER"))
        emm, esm = parse.causes(text)
        if modem.vendor.cause is not None:
            with contextlib.suppress(ModemError):
                own = await modem.ask(modem.vendor.cause)
                emm, esm = own[0] or emm, own[1] or esm
        return FailureCause(text, self.last_cause or emm, self.last_esm_cause or esm)

    async def wait(self, *, plmn: str | None, rat: str | None, timeout: float) -> Registration:
        """Wait for registration on ``plmn`` with ``rat``, by events and by reading every 5 s.

        A modem that resets meanwhile is waited for. Raises NotRegistered with state, cause and where it is instead;
        ModemHung where it has not answered when it was asked last, for what it said before that is its state no more.
        """
        clock = self._modem.clock
        start = clock.now()
        found: Registration | None = None
        while True:
            self._news.clear()
            left = start + timeout - clock.now()
            hung: ModemHung | None = None
            try:
                found = await self.read()
                if _fits(found, plmn, rat):
                    return replace(found, elapsed=clock.now() - start)
            except PortGone:
                if left < TICK:
                    raise
                await self._modem.wait_ready(timeout=left)
                continue
            except ModemHung as error:
                hung = error
            left = start + timeout - clock.now()
            if left < TICK:
                raise hung or self._failure(found, plmn, rat, timeout)
            try:
                async with clock.timeout(min(_POLL, left)):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _failure(self, found: Registration | None, plmn: str | None, rat: str | None, timeout: float) -> NotRegistered:
        wanted = " ".join(part for part in (rat, plmn) if part)
        state = "no state could be read" if found is None else STATES.get(found.status or 0, f"stat {found.status}")
        text = f"not registered{f' on {wanted}' if wanted else ''} within {timeout:g} s: {state}"
        if found is not None and found.registered:
            text += f" on {found.rat} {found.plmn}".rstrip()
        cause = self.last_cause
        if cause is not None:
            text += f"; last EMM cause {cause} ({CAUSES.get(cause, 'see TS 24.301 annex A')})"
        return NotRegistered(text, where=self._modem.port.name, hint=_hint(cause))


def _fits(found: Registration, plmn: str | None, rat: str | None) -> bool:
    return found.registered and (not plmn or found.plmn == plmn) and (not rat or found.rat == rat)


def _hint(cause: int | None) -> str:
    if cause in (3, 6, 7, 8):
        return "the USIM counts as invalid until power-off: waiting does not help"
    if cause in (11, 13, 14, 15):
        return "EF.FPLMN or the forbidden areas may hold this network now"
    if cause == 19:
        return "the network refused the default bearer: is the APN right?"
    return ""


def _named(lines: Sequence[str], name: str) -> str:
    for line in lines:
        if name_of(line) == name:
            return line
    raise parse.AnswerUnreadable(f"no {name} in the answer", where="; ".join(lines)[:80])
