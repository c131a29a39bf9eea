"""One channel of a SCPI supply: limits checked before anything is sent, everything switched is read back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from bench.errors import BenchError, ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import TICK, DriverOptions, SafeResult
from bench.station.interfaces import PowerCycle, Reading, SafeAction
from bench.station.power import PowerRecord, WavePoint, check_waveform
from instruments.power import safe
from instruments.power.cycle import power_cycle
from instruments.power.dialects import SupplyDialect
from instruments.power.protect import Protections
from instruments.power.tables import could_make
from instruments.power.wire import differ
from instruments.scpi import link
from instruments.scpi.parse import ScpiError
from instruments.scpi.session import ScpiSession

if TYPE_CHECKING:
    from bench.station.interfaces import PowerSupply

    def _fits(supply: ScpiSupply) -> PowerSupply:
        return supply


_POLL = 0.02
_SETTLE = 2.0
"""Seconds a supply is given until OUTP? says what was commanded."""
_INRUSH = 0.2
"""Seconds after switching on in which the inrush peak is looked for."""
_INRUSH_INTERVAL = 1.024e-4

Self = TypeVar("Self", bound="ScpiSupply")


class ScpiSupply(Protections):
    """One channel of a programmable supply, volts and amperes (interfaces.PowerSupply).

    Waveforms and fast logs are refused: ``shapes.py`` has the supplies that make them.
    """

    _waving = False
    """A waveform runs."""

    @classmethod
    def dialect_for(cls, extra: object, *, where: str = "") -> SupplyDialect:
        """Return the language of a supply with these options; a family has one. Raises ConfigurationError."""
        return cls.dialect

    @classmethod
    async def open(cls: type[Self], options: DriverOptions) -> Self:
        """Connect and read the identity; nothing is switched.

        Raises InstrumentError when nothing answers or another model does, ConfigurationError for wrong options.
        """
        dialect = cls.dialect_for(options.extra, where=options.origin)
        timeout = cls._check_options(options, dialect)
        assert options.limits is not None
        session = await ScpiSession.open(
            options.resource,
            name=options.name,
            lane=options.lane,
            clock=options.clock,
            timeout=timeout,
            manners=dialect.manners,
        )
        try:
            cls._check_identity(options, dialect, session)
        except BaseException:
            await session.close()
            raise
        return cls(options, session, options.limits, dialect)

    @classmethod
    def _check_options(cls, options: DriverOptions, dialect: SupplyDialect) -> float:
        extra = options.known_extra(*cls.known_options())
        if options.limits is None:
            raise ConfigurationError(
                "a supply needs voltage, voltage_max and current_limit",
                where=options.origin,
                hint="power = { ..., voltage = 3.8, voltage_max = 4.3, current_limit = 1.5 }",
            )
        if not 1 <= options.channel <= dialect.channels:
            raise ConfigurationError(
                f"{dialect.title} has channels 1 to {dialect.channels}, not {options.channel}",
                where=options.origin,
                hint="'channel' of the station's power says which output feeds the device",
            )
        timeout = extra.get("timeout", 3.0)
        if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0.05 <= timeout <= 60:
            raise ConfigurationError(
                "'timeout' must be 0.05 to 60 s", where=options.origin, hint="seconds for one answer; 3 without it"
            )
        return float(timeout)

    @classmethod
    def known_options(cls) -> tuple[str, ...]:
        """Return the names of this driver's options in bench.toml."""
        return ("timeout",)

    @staticmethod
    def _check_identity(options: DriverOptions, dialect: SupplyDialect, session: ScpiSession) -> None:
        found = session.identity
        if not dialect.speaks_for(found.manufacturer, found.model):
            raise InstrumentError(
                f"{options.name} is a {found.manufacturer} {found.model}, which is no {dialect.title}",
                where=options.resource,
                hint="choose the driver for it ('scpi-supply' fits many)",
            )
        channels = dialect.channels_of(found.model)
        if options.channel > channels:
            raise ConfigurationError(
                f"a {found.model} has {channels} channel{'s' if channels > 1 else ''}, not {options.channel}",
                where=options.origin,
                hint="'channel' of the station's power says which output feeds the device",
            )

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        link.warm()

    # --- output ---------------------------------------------------------------------------------------------------

    async def output(self) -> bool:
        """Return whether the output is on, as the supply says now: one that a protection switched off is not."""
        if not await self._is_on():
            return False
        return not (self.dialect.trip_keeps_output and await self.trip() is not None)

    async def set_output(self, on: bool) -> None:
        """Switch the output and verify by reading back.

        Before switching on, voltage and current limit of the station are programmed and read back. Switching off
        overtakes whatever else the session is doing. Raises InstrumentError when the output does not follow.
        """
        if on:
            await self._program()
            await self._before_on()
        try:
            # An exchange that the safe command overtook closed the connection: the command itself is never lost.
            for line in self.dialect.output_on if on else self.dialect.output_off:
                await self._command(line, urgent=not on)
        except ScpiError as error:
            error.hint = await self._why_not() if on else error.hint
            raise
        until = self._clock.now() + _SETTLE
        while await self._is_on(urgent=not on) != on:
            if self._clock.now() >= until:
                raise InstrumentError(
                    f"the output of {self.where} stays {'off' if on else 'on'}",
                    where=self._options.resource,
                    hint=await self._why_not() if on else "switch it off by hand",
                )
            await self._clock.sleep(_POLL)
        if on and self.dialect.trip_keeps_output and (cause := await self.trip()) is not None:
            await self.set_output(False)
            raise InstrumentError(
                f"the output of {self.where} is on and without voltage: the {cause} protection has tripped",
                where=self._options.resource,
                hint="clear_trip() once the cause is found",
            )

    async def _before_on(self) -> None:
        """Look for what would make switching on dangerous; a family's own matter."""

    async def _why_not(self) -> str:
        try:
            cause = await self.trip()
        except BenchError:
            cause = None
        if cause is not None:
            return f"a protection has tripped: {cause}"
        return "look at the supply's protections and interlock"

    async def _program(self) -> None:
        """Have the station's values in the supply: a reset or a hand at its front may have changed them."""
        if differ(await self._number(self.dialect.get_current, self.dialect.answer_current), self._current):
            await self.set_current_limit(self._current)
        if differ(await self._number(self.dialect.get_voltage, self.dialect.answer_voltage), self._voltage):
            await self.set_voltage(self._voltage)

    async def foreign_change(self) -> str:
        """Return in words what somebody else has changed on this channel, which is on, since it was programmed here.

        Empty when nothing, when a protection has switched it off, or while a waveform runs (some models then tell its
        voltage as theirs).
        """
        if self._waving:
            return ""
        volts = await self._number(self.dialect.get_voltage, self.dialect.answer_voltage)
        if differ(volts, self._voltage):
            return f"the voltage of {self.where} is {volts:g} V, {self._voltage:g} V were programmed"
        amperes = await self._number(self.dialect.get_current, self.dialect.answer_current)
        if differ(amperes, self._current):
            return f"the current limit of {self.where} is {amperes:g} A, {self._current:g} A were programmed"
        if not await self.output() and await self.trip() is None:
            return f"the output of {self.where} is off, and no protection has tripped"
        return ""

    async def set_voltage(self, voltage: float) -> None:
        """Program the voltage in volts and read it back.

        Above the station's ``voltage_max`` or below 0 it raises Refused before anything is sent.
        """
        if not 0 <= voltage <= self.limits.voltage_max:
            raise Refused(
                f"{voltage:g} V is outside of 0 to {self.limits.voltage_max:g} V",
                where=self.where,
                hint="voltage_max of the station in bench.toml is the limit; nothing was sent",
            )
        await self._command(self.dialect.set_voltage, voltage)
        found = await self._number(self.dialect.get_voltage, self.dialect.answer_voltage)
        self._same("voltage", voltage, found, "V")
        self._voltage = voltage

    async def set_current_limit(self, current: float) -> None:
        """Program the current limit in amperes and read it back; above the station's limit raises Refused."""
        if not 0 < current <= self.limits.current_limit:
            raise Refused(
                f"{current:g} A is outside of 0 to {self.limits.current_limit:g} A",
                where=self.where,
                hint="current_limit of the station in bench.toml is the limit; nothing was sent",
            )
        await self._command(self.dialect.set_current, current)
        found = await self._number(self.dialect.get_current, self.dialect.answer_current)
        self._same("current limit", current, found, "A")
        self._current = current

    # --- measuring ------------------------------------------------------------------------------------------------

    async def query(self, line: str) -> str:
        """Ask the supply one SCPI question and return its answer; what is no question is refused.

        Limits and ownership are the driver's: a line that switches or programs would pass them by. Raises Refused.
        """
        if not line.rstrip().split(" ")[0].endswith("?") or ";" in line or "\n" in line:
            raise Refused(
                f"'{line}' is no question", where=self.identity.model, hint="switching and programming have limits"
            )
        return await self._session.query(line)

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
                    where=self.where,
                    hint="does USB, a battery or a console line feed the device back?",
                )
            await self._clock.sleep(min(_POLL, timeout - elapsed))

    async def cycle(
        self,
        *,
        hold: float = 2.0,
        timeout: float = 30.0,
        shutdown: Callable[[], Awaitable[object]] | None = None,
        booted: Callable[[], Awaitable[object]] | None = None,
    ) -> PowerCycle:
        """Output off, wait until the rail is dead (at most ``timeout`` s), hold ``hold`` s, output on.

        ``off_time`` is from the command off to the command on. ``shutdown`` is awaited before (a graceful cycle; its
        BenchError makes it a hard one), ``booted`` after it, for ``boot_time``. When the rail does not die the output
        stays off.
        """
        return await power_cycle(
            self,
            self._clock,
            switch_on=self._switch_on_and_log,
            hold=hold,
            timeout=timeout,
            shutdown=shutdown,
            booted=booted,
        )

    async def _switch_on_and_log(self) -> float | None:
        """Switch on, and return the inrush peak in amperes where the supply records; a log that fails is none."""
        if self.abilities.fast_log is None:
            await self.set_output(True)
            return None
        on = False
        failed: BaseException | None = None

        async def switch() -> None:
            nonlocal on, failed
            try:
                await self.set_output(True)
                on = True
            except BaseException as error:
                failed = error
                raise

        try:
            record = await self.fast_log(_INRUSH, _INRUSH_INTERVAL, during=switch)
        except BenchError:
            if failed is not None:
                raise
            if not on:
                await self.set_output(True)
            return None
        return record.peak() if record.current else None

    # --- what takes a family of its own -----------------------------------------------------------------------------

    async def waveform(self, points: Sequence[WavePoint], *, repeat: int = 1) -> None:
        """Raise Refused: this family has no list; the hint names those that do."""
        finest = min((point.seconds for point in points), default=None)
        check_waveform(
            tuple(points),
            repeat,
            None,
            voltage_max=self.limits.voltage_max,
            where=self.where,
            could=could_make(finest),
        )

    async def fast_log(
        self, duration: float, interval: float, *, during: Callable[[], Awaitable[object]] | None = None
    ) -> PowerRecord:
        """Raise Refused: this family records nothing; the hint names those that do."""
        raise self._no_log()

    def _no_log(self) -> Refused:
        return Refused(
            f"{self.dialect.title} ({self.identity.model}) has no fast log",
            where=self.where,
            hint="measure() tells one value at a time; N6705C, NGM and NGU record",
        )

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
        names = cls.known_options()
        extra = {name: value for name, value in action.options.items() if name in names}
        return safe.make_safe(cls.dialect_for(extra), action, deadline=deadline)
