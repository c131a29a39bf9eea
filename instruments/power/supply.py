"""One channel of a SCPI supply: limits checked before anything is sent, everything switched is read back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, TypeVar

from bench.errors import BenchError, ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import TICK, DriverOptions, PowerLimits, SafeResult
from bench.station.interfaces import PowerCycle, Reading, SafeAction
from instruments.power.dialects import GENERIC, SupplyDialect
from instruments.scpi import link, parse
from instruments.scpi.direct import DirectScpi
from instruments.scpi.session import ScpiSession

if TYPE_CHECKING:
    from bench.station.interfaces import PowerSupply

    def _fits(supply: ScpiSupply) -> PowerSupply:
        return supply


_POLL = 0.02
_SETTLE = 2.0
"""Seconds a supply is given until OUTP? says what was commanded."""

Self = TypeVar("Self", bound="ScpiSupply")


def _differ(found: float, wanted: float) -> bool:
    """Whether a value read back is another one, beyond the resolution of a supply."""
    return abs(found - wanted) > max(0.01, 0.01 * abs(wanted))


class ScpiSupply:
    """One channel of a programmable supply, volts and amperes (interfaces.PowerSupply)."""

    dialect: ClassVar[SupplyDialect] = GENERIC

    def __init__(self, options: DriverOptions, session: ScpiSession, limits: PowerLimits) -> None:
        self.identity = session.identity
        self.channel = options.channel
        self.limits = limits
        self._options = options
        self._session = session
        self._clock = options.clock
        self._voltage = limits.voltage
        self._current = limits.current_limit

    @classmethod
    async def open(cls: type[Self], options: DriverOptions) -> Self:
        """Connect and read the identity; nothing is switched.

        Raises InstrumentError when nothing answers or another model does, ConfigurationError for wrong options.
        """
        extra = options.known_extra("timeout")
        if options.limits is None:
            raise ConfigurationError("a supply needs voltage, voltage_max and current_limit", where=options.origin)
        if not 1 <= options.channel <= cls.dialect.channels:
            raise ConfigurationError(
                f"{cls.dialect.title} has channels 1 to {cls.dialect.channels}, not {options.channel}",
                where=options.origin,
            )
        timeout = extra.get("timeout", 3.0)
        if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0.05 <= timeout <= 60:
            raise ConfigurationError("'timeout' must be 0.05 to 60 s", where=options.origin)
        session = await ScpiSession.open(
            options.resource, name=options.name, lane=options.lane, clock=options.clock, timeout=float(timeout)
        )
        found = session.identity
        if not cls.dialect.speaks_for(found.manufacturer, found.model):
            await session.close()
            raise InstrumentError(
                f"{options.name} is a {found.manufacturer} {found.model}, which is no {cls.dialect.title}",
                where=options.resource,
                hint="choose the driver for it ('scpi-supply' fits many)",
            )
        return cls(options, session, options.limits)

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        link.warm()

    async def close(self) -> None:
        """Release the connection; the output stays as it is."""
        await self._session.close()

    # --- wire -----------------------------------------------------------------------------------------------------

    def _line(self, template: str, value: float = 0.0) -> str:
        return template.format(n=self.channel, v=value)

    async def _ask(self, template: str, *, urgent: bool = False) -> str:
        return await self._session.query(self._line(template), urgent=urgent)

    async def _number(self, template: str) -> float:
        line = self._line(template)
        try:
            return parse.number(await self._session.query(line))
        except parse.AnswerError as error:
            error.where = f"{self._options.name}: {line}"
            raise

    # --- output ---------------------------------------------------------------------------------------------------

    async def output(self) -> bool:
        """Return whether the output is on, as the supply says now."""
        return parse.boolean(await self._ask(self.dialect.get_output))

    async def set_output(self, on: bool) -> None:
        """Switch the output and verify by reading back.

        Before switching on, voltage and current limit of the station are programmed and read back. Switching off
        overtakes whatever else the session is doing. Raises InstrumentError when the output does not follow.
        """
        if on:
            await self._program()
        # An exchange that the safe command overtook closed the connection: the command itself is never lost.
        await self._session.write(self._line(self.dialect.output_on if on else self.dialect.output_off), urgent=not on)
        until = self._clock.now() + _SETTLE
        while parse.boolean(await self._ask(self.dialect.get_output, urgent=not on)) != on:
            if self._clock.now() >= until:
                raise InstrumentError(
                    f"the output of {self._options.name} channel {self.channel} stays {'off' if on else 'on'}",
                    where=self._options.resource,
                    hint=await self._tripped() if on else "switch it off by hand",
                )
            await self._clock.sleep(_POLL)

    async def _tripped(self) -> str:
        for query in self.dialect.tripped:
            try:
                if parse.boolean(await self._ask(query)):
                    return f"a protection has tripped ({self._line(query)})"
            except BenchError:
                continue
        return "look at the supply's protections and interlock"

    async def _program(self) -> None:
        """Have the station's values in the supply: a reset or a hand at its front may have changed them."""
        if _differ(await self._number(self.dialect.get_current), self._current):
            await self.set_current_limit(self._current)
        if _differ(await self._number(self.dialect.get_voltage), self._voltage):
            await self.set_voltage(self._voltage)

    async def set_voltage(self, voltage: float) -> None:
        """Program the voltage in volts and read it back.

        Above the station's ``voltage_max`` or below 0 it raises Refused before anything is sent.
        """
        if not 0 <= voltage <= self.limits.voltage_max:
            raise Refused(
                f"{voltage:g} V is outside of 0 to {self.limits.voltage_max:g} V",
                where=f"{self._options.name} channel {self.channel}",
                hint="voltage_max of the station in bench.toml is the limit; nothing was sent",
            )
        await self._session.write(self._line(self.dialect.set_voltage, voltage))
        self._same("voltage", voltage, await self._number(self.dialect.get_voltage), "V")
        self._voltage = voltage

    async def set_current_limit(self, current: float) -> None:
        """Program the current limit in amperes and read it back; above the station's limit raises Refused."""
        if not 0 < current <= self.limits.current_limit:
            raise Refused(
                f"{current:g} A is outside of 0 to {self.limits.current_limit:g} A",
                where=f"{self._options.name} channel {self.channel}",
                hint="current_limit of the station in bench.toml is the limit; nothing was sent",
            )
        await self._session.write(self._line(self.dialect.set_current, current))
        self._same("current limit", current, await self._number(self.dialect.get_current), "A")
        self._current = current

    def _same(self, what: str, wanted: float, found: float, unit: str) -> None:
        if _differ(found, wanted):
            raise InstrumentError(
                f"{what} was set to {wanted:g} {unit}, but {found:g} {unit} is read back",
                where=f"{self._options.name} channel {self.channel}",
                hint="is the value within the range of this channel?",
            )

    # --- measuring ------------------------------------------------------------------------------------------------

    async def measure(self) -> Reading:
        """Measure volts and amperes of the channel now. Raises InstrumentError when there is no valid reading."""
        voltage = await self._number(self.dialect.measure_voltage)
        return Reading(voltage, await self._number(self.dialect.measure_current))

    async def wait_dead(self, *, timeout: float) -> float:
        """Wait until the rail is below ``dead_voltage``; return the seconds of station time it took.

        Raises InstrumentTimeout with the last voltage when it is not within ``timeout`` seconds.
        """
        start = self._clock.now()
        while True:
            voltage = await self._number(self.dialect.measure_voltage)
            elapsed = self._clock.now() - start
            if voltage < self.limits.dead_voltage:
                return elapsed
            if timeout - elapsed < TICK:
                raise InstrumentTimeout(
                    f"the rail is still at {voltage:.3f} V after {elapsed:.1f} s, not below "
                    f"{self.limits.dead_voltage:g} V",
                    where=f"{self._options.name} channel {self.channel}",
                    hint="does USB, a battery or a console line feed the device back?",
                )
            await self._clock.sleep(min(_POLL, timeout - elapsed))

    async def cycle(self, *, hold: float = 2.0, timeout: float = 30.0) -> PowerCycle:
        """Output off, wait until the rail is dead (at most ``timeout`` s), hold ``hold`` s, output on.

        ``off_time`` is from the command off to the command on. When the rail does not die the output stays off.
        """
        start = self._clock.now()
        await self.set_output(False)
        await self.wait_dead(timeout=timeout)
        dead = self._clock.now()
        await self._clock.sleep(hold)
        off_time = self._clock.now() - start
        await self.set_output(True)
        return PowerCycle(time_to_dead=dead - start, off_time=off_time)

    # --- safe -----------------------------------------------------------------------------------------------------

    def safe_action(self) -> SafeAction:
        """Return what makes this channel safe: output off, verified below ``dead_voltage``."""
        options = {
            **self._options.extra,
            "name": self._options.name,
            "resource": self._options.resource,
            "serial": self._options.serial or self.identity.serial,
        }
        return SafeAction("power.off", self._options.driver, options, self.channel, self.limits.dead_voltage)

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Switch the output off over a fresh blocking connection and watch the rail die (drivers.SafeDriver)."""
        until = time.monotonic() + deadline
        reading: float | None = None
        message = ""
        while True:
            try:
                reading, message = cls._off(action, until, reading)
                if not message:
                    return SafeResult(action.name, True, reading, f"output off, rail at {reading:.3f} V")
            except InstrumentError as error:
                message = str(error)
            if time.monotonic() + 0.1 >= until:
                return SafeResult(action.name, False, reading, message)
            time.sleep(0.1)

    @classmethod
    def _off(cls, action: SafeAction, until: float, reading: float | None) -> tuple[float | None, str]:
        """Try once; return the last voltage, and what is wrong ('' when the channel is safe)."""
        options = action.options
        channel = action.channel or 1
        dead = action.dead_voltage if action.dead_voltage is not None else 0.3
        with DirectScpi(str(options.get("resource", "")), until=until) as scpi:
            scpi.check_serial(str(options.get("serial", "")))
            scpi.write(cls.dialect.output_off.format(n=channel, v=0))
            while True:
                on = parse.boolean(scpi.query(cls.dialect.get_output.format(n=channel, v=0)))
                reading = parse.number(scpi.query(cls.dialect.measure_voltage.format(n=channel, v=0)))
                if not on and reading < dead:
                    return reading, ""
                if on:
                    scpi.write(cls.dialect.output_off.format(n=channel, v=0))
                if time.monotonic() + 2 * _POLL >= until:
                    state = "on" if on else "off"
                    return reading, f"NOT DEAD: output {state}, rail at {reading:.3f} V, not below {dead:g} V"
                time.sleep(_POLL)
