"""What emulators with a SCPI interface have in common: settings by a table, cells waited for, answers understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, TypeVar

from bench.errors import InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import SafeAction
from bench.station.network import AttachedDevice, NetworkAbilities, NetworkSubscriber
from instruments.network import answers, safe
from instruments.network.answers import CellReading
from instruments.network.base import EmulatorDriver, wrong_instrument
from instruments.network.dialects import EmulatorDialect, Lines, plmn_values
from instruments.network.functions import Functions
from instruments.scpi import link
from instruments.scpi.session import ScpiSession

SWITCH: Final = 30.0
"""Seconds of station time a cell is given to come on or go off; real ones take 5 to 20 s."""
POLL: Final = 0.25
"""Seconds of station time between two looks at a cell."""
_NO_VALUES: Final[Mapping[str, object]] = {}

Self = TypeVar("Self", bound="ScpiEmulator")
T = TypeVar("T")


class ScpiEmulator(EmulatorDriver):
    """An emulator that a table describes (interfaces.Network). Powers in dBm, times in seconds of station time."""

    dialect: ClassVar[EmulatorDialect]
    extent: ClassVar[NetworkAbilities]
    known_options: ClassVar[tuple[str, ...]] = ("netem", "tc")

    def __init__(self, options: DriverOptions, session: ScpiSession) -> None:
        self._session = session
        super().__init__(options, session.identity, self.extent)

    @classmethod
    async def open(cls: type[Self], options: DriverOptions) -> Self:
        """Connect and read the identity; nothing is switched. Raises InstrumentError, ConfigurationError."""
        options.known_extra(*cls.known_options)
        cls.check_cells(options)
        session = await ScpiSession.open(
            options.resource,
            name=options.name,
            lane=options.lane,
            clock=options.clock,
            timeout=cls.dialect.timeout,
            identify=cls.dialect.identify,
            manners=cls.dialect.manners,
        )
        try:
            if not re.search(cls.dialect.model, session.identity.model, re.IGNORECASE):
                raise wrong_instrument(options, session.identity, cls.dialect.title)
            made = cls(options, session)
            await made._begin()
            await made._open_shaper()
        except BaseException:
            await session.close()
            raise
        return made

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        link.warm()

    async def _begin(self) -> None:
        """Say what comes before everything else; a family's own matter."""

    async def _close(self) -> None:
        await self._session.close()

    def functions(self) -> Functions:
        """Return what the table has commands for."""
        table = self.dialect
        return Functions(
            cell=self._set_cell,
            cell_on=self._cell_on,
            plmn=self._set_plmn if table.plmn else None,
            tac=self._set_tac if table.tac else None,
            band=self._set_band if table.band else None,
            power=self._set_power if table.power else None,
            subscriber=self._set_subscriber if table.subscriber else None,
            detach=self._detach if table.detach else None,
            attached=self._attached if table.imsi else None,
            attached_imsi=self._attached_imsi if table.imsi else None,
            options=self._installed,
        )

    # --- exchanges ------------------------------------------------------------------------------------------------

    async def _write(self, command: str, *, shown: str | None = None, urgent: bool = False) -> None:
        """Send one command and see that it was taken. Raises InstrumentError."""
        await self._session.write(command, shown=shown, urgent=urgent)

    async def _send(
        self, lines: Lines, cell: int, values: Mapping[str, object] = _NO_VALUES, *, urgent: bool = False
    ) -> None:
        for line in lines:
            await self._write(line.format(n=cell, **values), urgent=urgent)

    async def _ask(self, query: str, read: Callable[[str], T], cell: int = 1) -> T:
        """Return what ``read`` makes of an answer. Raises AnswerError for what is none, which belongs to nobody."""
        return await self._session.value(query.format(n=cell), read)

    # --- cells ----------------------------------------------------------------------------------------------------

    async def _state(self, cell: int) -> CellReading:
        """Return what says that the cell is not on, or the last word that it is."""
        for query in self.dialect.state:
            reading = await self._ask(query, self.dialect.read_state, cell)
            if not reading.on:
                break
        return reading

    async def _cell_on(self, cell: int) -> bool:
        return (await self._state(cell)).on

    async def _set_cell(self, on: bool, cell: int) -> None:
        if on:
            await self._before_on(cell)
        await self._send(self.dialect.switch_on if on else self.dialect.switch_off, cell, urgent=not on)
        until = self._clock.now() + SWITCH
        while True:
            state = await self._state(cell)
            if state.on if on else state.off:
                return
            if self._clock.now() >= until:
                raise InstrumentTimeout(
                    f"cell {cell} is {state.text} {SWITCH:g} s after it was switched {'on' if on else 'off'}",
                    where=f"{self._options.name}: {self.dialect.state[0].format(n=cell)}",
                    hint="is the signalling application running, and is nobody at its front panel?",
                )
            await self._clock.sleep(POLL)

    async def _before_on(self, cell: int) -> None:
        """Make ready for switching on; a family's own matter."""

    async def _set_plmn(self, plmn: str, cell: int) -> None:
        await self._send(self.dialect.plmn, cell, plmn_values(plmn))

    async def _set_tac(self, tac: int, cell: int) -> None:
        await self._send(self.dialect.tac, cell, {"tac": tac})

    async def _set_band(self, band: int, cell: int) -> None:
        await self._send(self.dialect.band, cell, {"band": band})

    async def _set_power(self, rsrp: float, cell: int) -> None:
        await self._send(self.dialect.power, cell, {"rsrp": f"{rsrp:.1f}"})

    # --- the device -----------------------------------------------------------------------------------------------

    async def _set_subscriber(self, subscriber: NetworkSubscriber, cell: int) -> None:
        table = self.dialect
        algorithm = table.algorithms.get(subscriber.algorithm)
        if algorithm is None:
            raise Refused(
                f"{self._options.name} has no {subscriber.algorithm.upper()}, which {subscriber.imsi} needs",
                where=self._options.name,
                hint="use a profile with Milenage or the test algorithm",
            )
        await self._send(table.subscriber, cell, {"imsi": subscriber.imsi, "algorithm": algorithm})
        await self._send_secret(table.key, subscriber.key, cell)
        if subscriber.algorithm == "milenage":
            await self._send_secret(table.opc, subscriber.opc, cell)

    async def _send_secret(self, line: str, secret: bytes, cell: int) -> None:
        told = line.format(n=cell, secret=self.dialect.spell_secret(secret))
        await self._write(told, shown=line.format(n=cell, secret="****"))

    async def _detach(self, cell: int) -> None:
        await self._send(self.dialect.detach, cell)

    async def _registered(self, cell: int) -> tuple[bool, bool]:
        """Return whether a device is attached, and whether it has an RRC connection."""
        return await self._ask(self.dialect.device_state, self.dialect.registered, cell)

    async def _attached_imsi(self, cell: int) -> str:
        attached, _ = await self._registered(cell)
        return await self._ask(self.dialect.imsi, answers.imsi, cell) if attached else ""

    async def _attached(self, cell: int) -> AttachedDevice | None:
        attached, connected = await self._registered(cell)
        imsi = await self._ask(self.dialect.imsi, answers.imsi, cell) if attached else ""
        if not imsi:
            return None
        imei = await self._ask(self.dialect.imei, answers.imei, cell)
        told = await self._ask(self.dialect.addresses, answers.addresses, cell) if self.dialect.addresses else ()
        return AttachedDevice(imsi, imei, told, connected)

    async def _installed(self) -> list[str]:
        return await self._ask("*OPT?", answers.installed)

    # --- safe -----------------------------------------------------------------------------------------------------

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Switch the cells off over a fresh blocking connection and read their states back (drivers.SafeDriver)."""
        return safe.make_safe(cls.dialect, action, deadline=deadline)
