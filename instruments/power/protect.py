"""Protections, trips, the watchdog and the power-on state of a supply channel."""

from __future__ import annotations

import math
from typing import Literal

from bench.errors import InstrumentError, Refused
from bench.run.events import TRIP_CLEARED
from bench.station.power import Protection, Span, TripCause
from instruments.power.dialects import Level, TripQuery
from instruments.power.wire import SupplyWire, differ, plain
from instruments.scpi import parse

Clearing = Literal["this run's", "an earlier run's"]
"""Whose trip it is that is cleared."""


class Protections(SupplyWire):
    """What a supply does on its own."""

    _remembered: TripCause | None = None
    """Of a register that reading has emptied."""
    _cleared: frozenset[Clearing] = frozenset()
    """Each is cleared at most once."""
    _armed: float | None = None

    # --- protections ----------------------------------------------------------------------------------------------

    async def protection(self) -> Protection:
        """Return the protections as programmed. Raises Refused where the supply has none."""
        self._need_protections()
        voltage = await self._level(self.dialect.over_voltage)
        current: float | None = None
        delay: float | None = None
        level = self.dialect.over_current
        if level is not None and self.abilities.over_current is not None:
            if self.abilities.over_current_at_limit:
                current = await self._number(self.dialect.get_current, self.dialect.answer_current)
                current = current if await self._yes(level.state) else None
            else:
                current = await self._level(level)
            if level.get_delay and current is not None:
                delay = await self._number(level.get_delay)
        return Protection(voltage, current, delay)

    async def _level(self, level: Level | None) -> float | None:
        """Read a protection with a level of its own; None when it is off."""
        if level is None:
            return None
        if level.state and not await self._yes(level.state):
            return None

        def read(answer: str) -> float | None:
            text = plain(answer, level.answer.format(n=self.channel))
            return None if level.off_word and text.upper() == level.off_word else parse.number(text)

        return await self._session.value(self._line(level.get), read)

    async def set_protection(self, protection: Protection) -> None:
        """Program the protections and read them back; None switches one off.

        ``over_voltage`` below the programmed voltage would trip at once and is refused, as is an ``over_current``
        other than the current limit where the supply trips at that. Raises Refused before anything is sent, and
        InstrumentError when another value is read back.
        """
        self._need_protections()
        self._check_levels(protection)
        if self.dialect.over_voltage is not None and self.abilities.over_voltage is not None:
            await self._set_level(self.dialect.over_voltage, protection.over_voltage)
        over_current = self.dialect.over_current
        if over_current is not None and self.abilities.over_current is not None:
            if protection.over_current_delay is not None:
                await self._command(over_current.set_delay, protection.over_current_delay)
            at_limit = self.abilities.over_current_at_limit
            await self._set_level(over_current, protection.over_current, with_value=not at_limit)
        found = await self.protection()
        for name in ("over_voltage", "over_current", "over_current_delay"):
            wanted, value = getattr(protection, name), getattr(found, name)
            if name == "over_current_delay" and wanted is None:
                continue
            if (wanted is None) != (value is None) or (wanted is not None and differ(value, wanted)):
                raise InstrumentError(
                    f"{name.replace('_', '-')} was set to {_shown(wanted)}, but {_shown(value)} is read back",
                    where=self.where,
                    hint="is the value within the range of this channel?",
                )

    async def _set_level(self, level: Level, value: float | None, *, with_value: bool = True) -> None:
        if value is None:
            await self._command(level.off)
            return
        if with_value:
            await self._command(level.set, value)
        if level.on:
            await self._command(level.on)

    def _need_protections(self) -> None:
        if self.abilities.over_voltage is None and self.abilities.over_current is None:
            raise Refused(
                f"{self.dialect.title} has no protections that can be programmed",
                where=self.where,
                hint="only its current limit protects the device",
            )

    def _check_levels(self, protection: Protection) -> None:
        able = self.abilities
        self._check("over-voltage", protection.over_voltage, able.over_voltage, self.dialect.over_voltage, "V")
        self._check("over-current", protection.over_current, able.over_current, self.dialect.over_current, "A")
        delay = protection.over_current_delay
        if delay is not None and (able.over_current_delay is None or delay not in able.over_current_delay):
            raise self._refuse(
                f"an over-current delay of {delay:g} s", f"it can be {able.over_current_delay or 'none'}"
            )
        if protection.over_voltage is not None and protection.over_voltage <= self._voltage:
            raise self._refuse(
                f"an over-voltage protection of {protection.over_voltage:g} V at {self._voltage:g} V",
                "it would trip at once",
            )
        current = protection.over_current
        if current is not None and able.over_current_at_limit and differ(current, self._current):
            raise self._refuse(
                f"an over-current protection at {current:g} A",
                f"this supply trips at its current limit, which is {self._current:g} A: set that",
            )

    def _check(self, name: str, value: float | None, able: Span | None, level: Level | None, unit: str) -> None:
        if value is None:
            if level is not None and able is not None and not level.off:
                raise self._refuse(f"switching {name} protection off", "it is always on in this supply")
        elif able is None or level is None:
            raise self._refuse(f"{name} protection", "this supply has none")
        elif not (math.isfinite(value) and value in able):
            raise self._refuse(f"{name} protection at {value:g} {unit}", f"it can be {able} {unit}")

    def _refuse(self, what: str, why: str) -> Refused:
        return Refused(f"{what} is refused", where=self.where, hint=f"{why}; nothing was sent")

    # --- trips ----------------------------------------------------------------------------------------------------

    async def trip(self) -> TripCause | None:
        """Return why a protection has switched the output off, None while none has."""
        for query in self.dialect.trips:
            cause = await self._tripped_by(query)
            if cause is not None:
                if query.clears:
                    self._remembered = cause
                return cause
        return self._remembered

    async def _tripped_by(self, query: TripQuery) -> TripCause | None:
        if query.cause is not None:
            return query.cause if await self._yes(query.query) else None
        register = round(await self._number(query.query))
        return next((cause for bit, cause in query.bits if register & bit), None)

    async def clear_trip(self) -> TripCause | None:
        """Clear a trip and return its cause, None when there is none; the output stays off.

        A supply restores with the trip what was programmed before it: the output is therefore switched off first. At
        most once a run, then Refused: a device that trips twice has a fault.
        """
        cause = await self.trip()
        if cause is None:
            return None
        await self._clear(cause, "this run's")
        return cause

    async def _clear(self, cause: TripCause, whose: Clearing, *first: str) -> None:
        """Clear a trip after ``first`` and the output off, and tell the record. Raises Refused the second time."""
        if whose in self._cleared:
            raise Refused(
                f"the {cause} protection has tripped again",
                where=self.where,
                hint="a trip is cleared once a run: look for the fault in the device, then clear it by hand",
            )
        self._cleared |= {whose}
        for line in (*first, *self.dialect.output_off, *self.dialect.clear_trip):
            await self._command(line)
        self._remembered = None
        left = await self.trip()
        if left is not None:
            raise InstrumentError(
                f"the {left} protection stays tripped",
                where=self.where,
                hint=f"what caused it ({cause}) is still there",
            )
        self._options.tell(TRIP_CLEARED, {"instrument": self.where, "cause": cause})

    # --- watchdog and power-on state ------------------------------------------------------------------------------

    async def arm_watchdog(self, seconds: float) -> float:
        """Have the supply switch off by itself ``seconds`` after the last command; return the seconds it took on.

        Whole seconds, rounded up. A trip that the watchdog of an earlier run left is cleared, the output staying off;
        once, for the next one is this run's own. Raises Refused then, where there is no watchdog, and where the time
        is out of its range.
        """
        watchdog, able = self.dialect.watchdog, self.abilities.watchdog
        if watchdog is None or able is None:
            raise Refused(f"{self.dialect.title} has no watchdog", where=self.where, hint=self.abilities.host_death())
        delay = float(math.ceil(seconds - 1e-9))
        if delay not in able:
            raise self._refuse(f"a watchdog of {delay:g} s", f"it can be {able} s")
        if await self.trip() == "watchdog":
            await self._clear("watchdog", "an earlier run's", watchdog.off)
        await self._command(watchdog.set_delay, delay)
        await self._command(watchdog.on)
        found = await self._number(watchdog.get_delay)
        if not await self._yes(watchdog.state) or abs(found - delay) > 0.5:
            raise InstrumentError(
                f"the watchdog was set to {delay:g} s, but {found:g} s is read back or it is off",
                where=self.where,
                hint="does another program, or a hand at its front, set it too?",
            )
        self._armed = delay
        return delay

    async def feed_watchdog(self) -> None:
        """Give a sign of life: any command does, so it asks whether the watchdog is still armed."""
        watchdog = self.dialect.watchdog
        if watchdog is None or self._armed is None:
            raise Refused("the watchdog is not armed", where=self.where, hint="arm_watchdog comes first")
        if not await self._yes(watchdog.state):
            raise InstrumentError(
                "the watchdog is no longer armed",
                where=self.where,
                hint="was the supply restarted, or changed at its front or by another program?",
            )

    async def disarm_watchdog(self) -> None:
        """Take the watchdog back; one that is not armed is no error."""
        if self.dialect.watchdog is not None and self._armed is not None:
            await self._command(self.dialect.watchdog.off)
            self._armed = None

    async def set_power_on_off(self) -> None:
        """Have the output off after a mains failure, and read it back. Raises Refused where it cannot be set."""
        if not self.dialect.power_on_off or not self.abilities.power_on_state:
            raise Refused(
                f"{self.dialect.title} has no power-on state that can be set",
                where=self.where,
                hint="after a mains failure look at the output yourself, or use a supply that can: N6705C",
            )
        found = await self._session.value(self._line(self.dialect.get_power_on), parse.word)
        if found != self.dialect.power_on_is_off:  # it is kept in flash memory: written only when it differs
            await self._command(self.dialect.power_on_off)
            found = await self._session.value(self._line(self.dialect.get_power_on), parse.word)
        if found != self.dialect.power_on_is_off:
            raise InstrumentError(
                f"the power-on state is '{found}', not {self.dialect.power_on_is_off}",
                where=self.where,
                hint="set it at the supply's front: some keep it behind a menu lock",
            )


def _shown(value: float | None) -> str:
    return "off" if value is None else f"{value:g}"
