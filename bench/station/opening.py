"""Opening a station: every instrument connected, known to be the right one, locked; nothing switched.

Instruments are opened in parallel. Whatever fails, all that was opened is closed again and one message names the
instrument and what to do.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from bench.apdu.channel import CardAccess
from bench.errors import BenchError, ConfigurationError, InstrumentError
from bench.station import safe, sharing
from bench.station.clock import Clock, RealClock
from bench.station.config import (
    AttenuatorConfig,
    CardConfig,
    ModemConfig,
    NetworkConfig,
    PowerConfig,
    StationConfig,
    SwitchConfig,
)
from bench.station.data import open_path
from bench.station.drivers import DriverOptions, PowerLimits, WrongInstrument, load_driver
from bench.station.dut import ConsoleConfig, OutputsConfig
from bench.station.dut_parts import Console, OutputLines
from bench.station.interfaces import (
    Attenuator,
    DataPath,
    Identity,
    Instrument,
    Modem,
    Network,
    PowerSupply,
    Reader,
    SafeAction,
    SimSwitch,
)
from bench.station.locks import Lock, Owner, acquire
from bench.trace.lane import Lane

PROBE = 2.0
"""Seconds a modem is given at opening to show who it is; a device without power shows nothing, which is no error."""
_CLOSE = 5.0

OnLock = Callable[[Lock], Awaitable[None] | None]


@dataclass(slots=True)
class OpenStation:
    """The instruments of a station, ready; what the station does not have is None."""

    config: StationConfig
    clock: Clock
    power: PowerSupply | None = None
    modem: Modem | None = None
    network: Network | None = None
    attenuator: Attenuator | None = None
    reader: Reader | None = None
    switch: SimSwitch | None = None
    consoles: dict[str, Console] = field(default_factory=dict)
    """By their names in ``dut.console``."""
    lines: dict[str, OutputLines] = field(default_factory=dict)
    """Relay boards and GPIO outputs, by their names."""
    card: CardAccess | None = None
    data: DataPath | None = None
    identities: dict[str, Identity] = field(default_factory=dict)
    """Kind (``power``, ``network``, ``reader``, ``switch``, ``modem``) to what was read back; a modem without power is
    not in it."""
    locks: list[Lock] = field(default_factory=list)
    ways: list[sharing.Way] = field(default_factory=list)
    """To the brokers of instruments that other stations use too."""

    @property
    def safe_plan(self) -> tuple[SafeAction, ...]:
        """The safe sequence, in declared order, for exactly the instruments that answered (by serial number)."""
        kinds = {"power.off": "power", "network.off": "network"}
        actions = []
        for action in safe.plan(self.config):
            if action.name not in kinds:
                actions.append(action)
                continue
            known = self.identities.get(kinds.get(action.name, ""))
            serial = action.options.get("serial") or (known.serial if known else "")
            actions.append(replace(action, options={**action.options, "serial": serial}))
        return tuple(actions)

    async def close(self) -> list[str]:
        """Close every connection and release this process's share of the locks; switches nothing.

        Returns what could not be closed properly, never raises.
        """
        complaints = []
        opened: list[tuple[str, Instrument | None]] = []
        for kind in ("modem", "reader", "switch", "attenuator", "network", "power"):
            opened.append((kind, getattr(self, kind)))
            setattr(self, kind, None)
        for parts in (self.consoles, self.lines):
            opened += parts.items()
            parts.clear()
        for kind, instrument in opened:
            if instrument is None:
                continue
            try:
                async with asyncio.timeout(_CLOSE):
                    await instrument.close()
            except Exception as error:
                complaints.append(f"{kind}: {error or type(error).__name__}")
        for way in self.ways:
            way.close()
        self.ways.clear()
        for lock in self.locks:
            lock.release()
        self.locks.clear()
        self.card = self.data = None
        return complaints

    async def __aenter__(self) -> OpenStation:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def station_key(config: StationConfig, home: Path) -> str:
    """Return the name of the station's lock. A simulated station belongs to its bench home, a real one to the host."""
    return f"station {config.name} of {home.absolute()}" if config.world is not None else f"station {config.name}"


async def open_station(
    config: StationConfig,
    *,
    lanes: Callable[[str], Lane],
    clock: Clock | None = None,
    home: Path,
    on_lock: OnLock | None = None,
    owner: Owner | None = None,
) -> OpenStation:
    """Open a resolved station; nothing is switched.

    ``lanes`` gives the lane of a name (``scpi:psu1``, ``at:modem``, ``apdu:card``). Each instrument is locked by its
    own identity as soon as it is known, and ``on_lock`` is given the lock (to pass it to the supervisor). ``owner`` is
    written into the locks, this process by default.

    Raises ConfigurationError (drivers, placeholders), InstrumentError (nothing there, no answer), WrongInstrument (a
    pin differs) and StationHeld, after closing everything that was opened.
    """
    if config.unresolved():
        raise ConfigurationError(
            f"the simulated world of station {config.name} was not started", where=config.origin, hint="bench sim up"
        )
    opening = _Opening(config, lanes, clock or RealClock(), on_lock, owner or Owner.me(), home)
    try:
        await opening.run()
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(opening.station.close()))
        raise
    return opening.station


async def connect_clock(config: StationConfig, *, party: str = "runner") -> Clock:
    """Return the station's clock: the host's, or that of its simulated world. Raises InstrumentError."""
    if config.clock == "real":
        return RealClock()
    from bench.station.clock import SocketClock

    return await SocketClock.connect(config.clock.removeprefix("unix:"), party=party)


class _Opening:
    def __init__(
        self,
        config: StationConfig,
        lanes: Callable[[str], Lane],
        clock: Clock,
        on_lock: OnLock | None,
        owner: Owner,
        home: Path,
    ) -> None:
        self.config = config
        self.lanes = lanes
        self.on_lock = on_lock
        self.owner = owner
        self.home = home
        self.station = OpenStation(config, clock)

    async def run(self) -> None:
        """Check what needs no connection, open in parallel, then look at modem and card if they have power."""
        config = self.config
        if config.modem is not None:
            self._check_port(config.modem)
        data_path = config.data
        if data_path is not None:
            self.station.data = open_path(data_path.path, self.station.clock, where=data_path.origin)
        jobs: list[Coroutine[Any, Any, None]] = []
        if config.power is not None:
            jobs.append(self._power(config.power))
        if config.network is not None:
            jobs.append(self._network(config.network))
        if config.attenuator is not None:
            jobs.append(self._attenuator(config.attenuator))
        if config.modem is not None:
            jobs.append(self._modem(config.modem))
        if config.switch is not None:
            jobs.append(self._switch(config.switch))
        if config.card is not None and config.card.at != "modem":
            jobs.append(self._reader(config.card))
        if config.dut is not None:
            jobs += [self._console(console) for console in config.dut.console.values()]
            jobs += [self._outputs(outputs) for outputs in config.dut.lines.values()]
        await _all(jobs)
        if self.station.reader is not None:
            self.station.card = self.station.reader.card()
            await self._look_at_reader(self.station.reader)
        if self.station.modem is not None:
            if config.card is not None and config.card.at == "modem":
                self.station.card = self.station.modem.card()
            await self._look_at_modem(self.station.modem)

    # --- one instrument -------------------------------------------------------------------------------------------

    async def _power(self, power: PowerConfig) -> None:
        name = power.instrument or "power"
        limits = PowerLimits(power.voltage, power.current_limit, power.voltage_max, power.dead_voltage)
        options = DriverOptions(
            name=name,
            driver=power.driver,
            resource=await self._way(power),
            serial=power.serial,
            channel=power.channel,
            limits=limits,
            lane=self.lanes(f"scpi:{name}"),
            clock=self.station.clock,
            extra=power.options,
            origin=power.origin,
        )
        supply = self.station.power = cast(PowerSupply, await self._open(options))
        self._check_serial(options, supply.identity)
        own = replace(options, resource=power.resource)  # by its own address, whichever way leads there
        await self._lock(f"{_identity(supply.identity, own)} channel {power.channel}")
        self.station.identities["power"] = supply.identity

    async def _way(self, power: PowerConfig) -> str:
        """Return the resource of a supply: its own, or that of the process that shares it between stations."""
        if not power.shared:
            return power.resource
        way = await sharing.share(power.resource)
        self.station.ways.append(way)
        return way.resource

    async def _network(self, network: NetworkConfig) -> None:
        name = network.instrument or "network"
        options = DriverOptions(
            name=name,
            driver=network.driver,
            resource=network.resource,
            serial=network.serial,
            cells=network.cells,
            lane=self.lanes(f"scpi:{name}"),
            clock=self.station.clock,
            extra=network.options,
            origin=network.origin,
        )
        emulator = self.station.network = cast(Network, await self._open(options))
        self._check_serial(options, emulator.identity)
        await self._lock(_identity(emulator.identity, options))
        self.station.identities["network"] = emulator.identity

    async def _attenuator(self, attenuator: AttenuatorConfig) -> None:
        name = attenuator.instrument or "attenuator"
        options = DriverOptions(
            name=name,
            driver=attenuator.driver,
            resource=attenuator.resource,
            serial=attenuator.serial,
            channel=attenuator.channel,
            lane=self.lanes(f"scpi:{name}"),
            clock=self.station.clock,
            extra=attenuator.options,
            origin=attenuator.origin,
        )
        opened = self.station.attenuator = cast(Attenuator, await self._open(options))
        self._check_serial(options, opened.identity)
        await self._lock(f"{_identity(opened.identity, options)} channel {attenuator.channel}")
        self.station.identities["attenuator"] = opened.identity

    async def _modem(self, modem: ModemConfig) -> None:
        name = modem.instrument or "modem"
        # The port is what two users of one modem would share; its IMEI is known only once it has power.
        await self._lock(f"port {_real(modem.port)}")
        options = DriverOptions(
            name=name,
            driver=modem.driver,
            port=modem.port,
            baudrate=modem.baudrate,
            imei=modem.imei,
            card_via=self.config.card.via if self.config.card else "auto",
            lane=self.lanes(f"at:{name}"),
            apdu_lane=self.lanes("apdu:card" if name == "modem" else f"apdu:{name}"),
            clock=self.station.clock,
            extra=_with_slot(modem, self.config.card),
            origin=modem.origin,
        )
        self.station.modem = cast(Modem, await self._open(options))

    async def _switch(self, switch: SwitchConfig) -> None:
        name = switch.instrument or "switch"
        if switch.port:
            await self._lock(f"port {_real(switch.port)}")
        options = DriverOptions(
            name=name,
            driver=switch.driver,
            port=switch.port,
            serial=switch.serial,
            baudrate=switch.baudrate,
            lane=self.lanes(f"switch:{name}"),
            clock=self.station.clock,
            extra=switch.options,
            origin=switch.origin,
        )
        opened = self.station.switch = cast(SimSwitch, await self._open(options))
        self._check_serial(options, opened.identity)
        self.station.identities["switch"] = opened.identity

    async def _reader(self, card: CardConfig) -> None:
        extra = dict(card.options)
        if card.pcsclite_csock:
            extra["pcsclite_csock"] = card.pcsclite_csock
        options = DriverOptions(
            name="reader",
            driver=card.driver,
            resource=card.reader,
            apdu_lane=self.lanes("apdu:card"),
            clock=self.station.clock,
            extra=extra,
            origin=card.origin,
        )
        reader = self.station.reader = cast(Reader, await self._open(options))
        # Two users of one reader meet here whatever part of its name each of them gave.
        await self._lock(f"reader {_identity(reader.identity, options)} {reader.name}")
        self.station.identities["reader"] = reader.identity

    async def _console(self, console: ConsoleConfig) -> None:
        await self._lock(f"port {_real(console.port)}")
        options = DriverOptions(
            name=console.name,
            driver=console.driver,
            port=console.port,
            baudrate=console.baudrate,
            lane=self.lanes(f"console:{console.name}"),
            clock=self.station.clock,
            extra={**console.options, "patterns": console.patterns, "commands": console.commands},
            origin=console.origin,
        )
        self.station.consoles[console.name] = cast(Console, await self._open(options))

    async def _outputs(self, outputs: OutputsConfig) -> None:
        await self._lock(f"port {_real(outputs.port)}")
        options = DriverOptions(
            name=outputs.name,
            driver=outputs.driver,
            port=outputs.port,
            serial=outputs.serial,
            lane=self.lanes(f"switch:{outputs.name}"),
            clock=self.station.clock,
            extra=outputs.options,
            origin=outputs.origin,
        )
        opened = self.station.lines[outputs.name] = cast(OutputLines, await self._open(options))
        self._check_serial(options, opened.identity)

    async def _open(self, options: DriverOptions) -> Instrument:
        driver = load_driver(options.driver, where=options.origin)
        try:
            return await driver.open(options)
        except BenchError as error:
            if options.origin and options.origin not in error.where:
                error.where = f"{error.where}, {options.origin}" if error.where else options.origin
            raise

    # --- is it the right one --------------------------------------------------------------------------------------

    def _check_port(self, modem: ModemConfig) -> None:
        if modem.port_needs_power or not modem.port.startswith("/") or Path(modem.port).exists():
            return
        raise InstrumentError(
            f"the modem's port {modem.port} does not exist",
            where=modem.origin,
            hint="correct 'port', or set port_needs_power = true when it comes with the device's power",
        )

    def _check_serial(self, options: DriverOptions, identity: Identity) -> None:
        if not options.serial or identity.serial.strip() == options.serial.strip():
            return
        raise WrongInstrument(
            f"{options.name} at {options.resource} is {identity.manufacturer} {identity.model} with serial number "
            f"'{identity.serial}', not '{options.serial}'",
            where=options.origin,
            hint="nothing was switched: correct 'resource' or 'serial'",
        )

    async def _look_at_reader(self, reader: Reader) -> None:
        """Compare the EID where a card is in the reader now; otherwise the recipe's first use of the card does."""
        if self.config.eid and self.station.card is not None and reader.atr:
            await check_eid(self.station.card, self.config, may_be_unreadable=True)

    async def _look_at_modem(self, modem: Modem) -> None:
        """Read IMEI and EID where the device has power; without power the recipe checks them after switching on."""
        power = self.station.power
        if power is not None and not await power.output():
            return
        try:
            await modem.wait_ready(timeout=PROBE)
        except WrongInstrument as error:
            error.hint = f"nothing was switched: {error.hint}"
            raise
        except (BenchError, TimeoutError):
            pass  # a device that does not boot is the recipe's matter
        pinned = self.config.modem.imei if self.config.modem else ""
        if not modem.imei:
            return
        self.station.identities["modem"] = modem.identity
        if pinned and modem.imei != pinned:
            raise WrongInstrument(
                f"the modem's IMEI is {modem.imei}, not {pinned}",
                where=self.config.modem.origin if self.config.modem else "",
                hint="nothing was switched: correct 'port' or 'imei'",
            )
        if self.config.eid and self.station.card is not None and self.station.reader is None:
            await check_eid(self.station.card, self.config, may_be_unreadable=True)

    # --- locks ----------------------------------------------------------------------------------------------------

    async def _lock(self, what: str) -> None:
        world = self.config.world
        if world is not None:  # the instruments of different worlds have the same serial numbers, in one home as well
            what = f"{what} of world {world.options.get('station', self.config.name)} of {self.home.absolute()}"
        lock = acquire(what, self.owner)
        self.station.locks.append(lock)
        if self.on_lock is not None:
            waiting = self.on_lock(lock)
            if inspect.isawaitable(waiting):
                await waiting


def _with_slot(modem: ModemConfig, card: CardConfig | None) -> Mapping[str, object]:
    """Return the modem's options, with the SIM slot where it is not the first: it is selected at every start."""
    if card is None or card.at != "modem" or card.slot == 1:
        return modem.options
    return {**modem.options, "slot": card.slot}


def _real(port: str) -> str:
    return os.path.realpath(port) if port.startswith("/") else port


def _identity(identity: Identity, options: DriverOptions) -> str:
    """Return what names the instrument for its lock; one that gives no serial number is named by its address."""
    return identity.key() if identity.serial.strip(" 0") else f"{identity.key()} at {options.resource}"


async def check_eid(card: CardAccess, config: StationConfig, *, may_be_unreadable: bool = False) -> str:
    """Read the EID (ES10c.GetEID, SGP.22 section 5.7.20) and compare it with the pinned one; return it.

    Raises WrongInstrument when it differs; errors of reading only unless ``may_be_unreadable`` (then returns '').
    """
    from bench.apdu.es10 import Es10

    try:
        es10 = await Es10.open(card)
        try:
            eid = await es10.eid()
        finally:
            await es10.close()
    except BenchError:
        if may_be_unreadable:
            return ""
        raise
    if config.eid and eid != config.eid:
        raise WrongInstrument(
            f"the card's EID is {eid}, not {config.eid}",
            where=config.card.origin if config.card else config.origin,
            hint="nothing was switched: put the right card in, or correct 'eid'",
        )
    return eid


async def _all(jobs: list[Coroutine[Any, Any, None]]) -> None:
    """Run the jobs together to their ends; raise the first failure in order, with the others as notes."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.wait(tasks) if tasks else None
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    failures = [error for task in tasks if (error := task.exception()) is not None]
    if failures:
        for other in failures[1:]:
            failures[0].add_note(f"also: {other}")
        raise failures[0]
