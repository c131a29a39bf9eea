"""Opening a station: every instrument connected, known to be the right one, locked; nothing switched.

Instruments are opened in parallel. Whatever fails, all that was opened is closed again and one message names the
instrument and what to do.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from bench.errors import BenchError, ConfigurationError, InstrumentError
from bench.station import pins, sharing
from bench.station.clock import Clock, RealClock
from bench.station.config import ModemConfig, PowerConfig, StationConfig
from bench.station.data import open_path
from bench.station.drivers import DriverOptions, Tell, load_driver, untold
from bench.station.dut_parts import Console, OutputLines
from bench.station.interfaces import Identity, Instrument, Reader
from bench.station.locks import Lock, Owner, acquire
from bench.station.opened import OpenStation
from bench.station.parts import Part, parts
from bench.trace.lane import Lane

OnLock = Callable[[Lock], Awaitable[None] | None]


async def open_station(
    config: StationConfig,
    *,
    lanes: Callable[[str], Lane],
    clock: Clock | None = None,
    home: Path,
    on_lock: OnLock | None = None,
    owner: Owner | None = None,
    tell: Tell = untold,
    folder: Path | None = None,
) -> OpenStation:
    """Open a resolved station; nothing is switched.

    ``lanes`` gives the lane of a name (``scpi:psu1``, ``at:modem``, ``apdu:card``). Each instrument is locked by its
    own identity as soon as it is known, and ``on_lock`` is given the lock (to pass it to the supervisor). ``owner`` is
    written into the locks, this process by default. ``tell`` takes the journal events that drivers have. ``folder``:
    of the run, where recorders keep what is beside the trace.

    Raises ConfigurationError (drivers, placeholders), InstrumentError (nothing there, no answer), WrongInstrument (a
    pin differs) and StationHeld, after closing everything that was opened.
    """
    if config.unresolved():
        raise ConfigurationError(
            f"the simulated world of station {config.name} was not started", where=config.origin, hint="bench sim up"
        )
    opening = _Opening(config, lanes, clock or RealClock(), on_lock, owner or Owner.me(), home, tell, folder)
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
        tell: Tell,
        folder: Path | None,
    ) -> None:
        self.folder = folder
        self.config = config
        self.lanes = lanes
        self.on_lock = on_lock
        self.owner = owner
        self.home = home
        self.tell = tell
        self.station = OpenStation(config, clock)

    async def run(self) -> None:
        """Check what needs no connection, open in parallel, then look at modem and card if they have power."""
        config, station = self.config, self.station
        if config.modem is not None:
            _check_port(config.modem)
        if config.data is not None:
            station.data = open_path(
                config.data.path,
                station.clock,
                where=config.data.origin,
                port=config.modem.port if config.modem is not None else "",
            )
        await _all([self._part(part) for part in parts(config)])
        if station.reader is not None:
            station.card = station.reader.card()
            await pins.look_at_reader(station)
        if station.modem is not None:
            if config.card is not None and config.card.at == "modem":
                station.card = station.modem.card()
            await pins.look_at_modem(station)

    async def _part(self, part: Part) -> None:
        """Open one instrument: a port is locked before it is opened, what has an address as soon as it is known."""
        options = part.options(lanes=self.lanes, clock=self.station.clock, tell=self.tell, folder=self.folder)
        if options.port:  # what two users of one modem would share: its IMEI is known only once it has power
            await self._lock(f"port {_real(options.port)}")
        opened = await _opened(replace(options, resource=await self._way(part, options.resource)))
        self._keep(part, opened)
        pins.check_serial(options, opened.identity)
        if options.resource or part.kind == "reader":
            await self._lock(_owned(part, options, opened))
        if part.kind in ("power", "network", "attenuator", "switch", "reader", "radio"):
            self.station.identities[part.name] = opened.identity

    async def _way(self, part: Part, resource: str) -> str:
        """Return the resource of an instrument: its own, or that of the process that shares it between stations."""
        if not (isinstance(part.config, PowerConfig) and part.config.shared):
            return resource
        way = await sharing.share(resource)
        self.station.ways.append(way)
        return way.resource

    def _keep(self, part: Part, opened: Instrument) -> None:
        """Have it in the station, which closes it whatever comes next."""
        if part.kind == "console":
            self.station.consoles[part.instrument] = cast(Console, opened)
        elif part.kind == "radio":
            self.station.recorders[part.instrument] = opened
        elif part.kind == "lines":
            self.station.lines[part.instrument] = cast(OutputLines, opened)
        else:
            setattr(self.station, part.kind, opened)

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


async def _opened(options: DriverOptions) -> Instrument:
    """Open an instrument by its driver; what goes wrong names file and line. Raises what the driver raises."""
    driver = load_driver(options.driver, where=options.origin)
    try:
        return await driver.open(options)
    except BenchError as error:
        if options.origin and options.origin not in error.where:
            error.where = f"{error.where}, {options.origin}" if error.where else options.origin
        raise


def _check_port(modem: ModemConfig) -> None:
    if modem.port_needs_power or not modem.port.startswith("/") or Path(modem.port).exists():
        return
    raise InstrumentError(
        f"the modem's port {modem.port} does not exist",
        where=modem.origin,
        hint="correct 'port', or set port_needs_power = true when it comes with the device's power",
    )


def _real(port: str) -> str:
    return os.path.realpath(port) if port.startswith("/") else port


def _owned(part: Part, options: DriverOptions, opened: Instrument) -> str:
    """Return what names, for its lock, that which one run may have: an instrument, its channel or a reader."""
    name = _identity(opened.identity, options)
    if part.kind == "reader":  # two users of one reader meet here whatever part of its name each of them gave
        return f"reader {name} {cast(Reader, opened).name}"
    return name if part.channel is None else f"{name} channel {part.channel}"


def _identity(identity: Identity, options: DriverOptions) -> str:
    """Return what names the instrument for its lock; one that gives no serial number is named by its address."""
    return identity.key() if identity.serial.strip(" 0") else f"{identity.key()} at {options.resource}"


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
