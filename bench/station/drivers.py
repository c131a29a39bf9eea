"""Finding and loading drivers: entry points of the group ``bench.drivers``, imported only when one is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from bench.errors import ConfigurationError, Refused
from bench.station.clock import Clock, RealClock
from bench.station.entrypoints import entry_points_of
from bench.station.interfaces import Instrument, SafeAction
from bench.station.tables import did_you_mean
from bench.trace.lane import Lane, NullLane

GROUP = "bench.drivers"
TICK = 1e-6
"""Seconds of station time that count as none: a clock of whole nanoseconds never reaches a float's last digit, and a
loop that waits for 1e-16 s would wait for ever."""


Tell = Callable[[str, Mapping[str, object]], None]
"""Takes a journal event's type and data (``bench.run.events``)."""


def untold(kind: str, data: Mapping[str, object]) -> None:
    """Where there is no record: an instrument that is only looked at."""


@dataclass(frozen=True, slots=True)
class PowerLimits:
    """What a station demands of its supply channel, in volts and amperes.

    ``voltage`` and ``current_limit`` are programmed before the output is switched on, ``voltage_max`` is never
    exceeded, below ``dead_voltage`` the rail counts as dead.
    """

    voltage: float
    current_limit: float
    voltage_max: float
    dead_voltage: float


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """What a driver is opened with."""

    name: str
    """Of the instrument, for messages and lanes: ``psu1``, ``modem``."""
    driver: str = ""
    """Under which name the driver was asked for."""
    resource: str = ""
    """VISA resource, such as ``TCPIP::192.0.2.10::5025::SOCKET``."""
    port: str = ""
    """Serial port: a path, or ``usb:1-1.4:if02``."""
    baudrate: int = 115_200
    serial: str = ""
    """Pinned serial number; empty when none is pinned."""
    imei: str = ""
    card_via: str = "auto"
    """How a modem carries APDUs: ``auto``, ``ccho`` or ``csim``."""
    channel: int = 1
    cells: tuple[int, ...] = (1,)
    limits: PowerLimits | None = None
    lane: Lane = field(default_factory=NullLane)
    """``scpi:NAME`` or ``at:NAME``."""
    apdu_lane: Lane = field(default_factory=NullLane)
    """``apdu:NAME``, for drivers that carry APDUs."""
    clock: Clock = field(default_factory=RealClock)
    tell: Tell = untold
    """Told what belongs in the record whoever has asked for it and whenever, such as ``trip-cleared``."""
    folder: Path | None = None
    """Of the run, for what a recorder keeps beside the trace; None where there is none."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Options of this driver only (``options`` in bench.toml)."""
    origin: str = ""
    """``file:line`` that named the instrument, for messages."""

    def known_extra(self, *names: str) -> Mapping[str, object]:
        """Return ``extra`` after checking that it holds none but these keys. Raises ConfigurationError."""
        for key in self.extra:
            if key not in names:
                raise ConfigurationError(
                    f"driver {self.driver or self.name} has no option '{key}'",
                    where=self.origin,
                    hint=did_you_mean(key, names) or "it has no options",
                )
        return self.extra


@dataclass(frozen=True, slots=True)
class SafeResult:
    """What a safe action came to. ``verified`` only when the reading proves it; ``reading`` in volts or as text."""

    name: str
    verified: bool
    reading: float | str | None = None
    message: str = ""


class WrongInstrument(Refused):
    """The instrument, modem or card that answers is not the one pinned in bench.toml."""


class Driver(Protocol):
    """What an entry point of ``bench.drivers`` names: usually the instrument's class with these as class methods."""

    async def open(self, options: DriverOptions) -> Instrument:
        """Connect, read the identity back and switch nothing. Raises InstrumentError."""


@runtime_checkable
class WarmDriver(Protocol):
    """A driver that can import beforehand what opening will need."""

    def warm(self) -> None:
        """Import it now; sends nothing. Errors are for ``open`` to tell."""


@runtime_checkable
class QuietDriver(Protocol):
    """A driver of outputs that says whether opening it leaves every output as it is."""

    quiet: bool


@runtime_checkable
class SafeDriver(Protocol):
    """A driver that can make safe on its own, without an event loop and without heavy imports."""

    def make_safe(self, action: SafeAction, *, deadline: float) -> SafeResult:
        """Carry out ``action`` over a fresh connection within ``deadline`` seconds and read back whether it worked.

        Never raises for what the instrument does: the result says it.
        """


_entry_points = entry_points_of


def known_drivers() -> Mapping[str, str]:
    """Return the drivers by name, with where each is, without importing any."""
    return entry_points_of(GROUP)


def known_services() -> Mapping[str, str]:
    """Return the services by name, with where each is, without importing any."""
    return entry_points_of("bench.services")


def _import(target: str, kind: str, name: str, where: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        value: Any = importlib.import_module(module)
        for part in attribute.split(".") if attribute else []:
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{kind} '{name}' cannot be loaded: {error}", where=where, hint=f"it should be at {target}"
        ) from error
    return value


def load_driver(name: str, *, where: str = "") -> Driver:
    """Import a driver by its entry-point name, or by ``module:Class``. ``where`` names file and line in the message.

    Raises ConfigurationError with a did-you-mean, or with the reason why its import failed.
    """
    known = known_drivers()
    target = name if ":" in name else known.get(name)
    if target is None:
        raise ConfigurationError(
            f"there is no driver '{name}'",
            where=where,
            hint=did_you_mean(name, known) or "no driver package is installed",
        )
    driver: Driver = _import(target, "driver", name, where)
    return driver


def warm_driver(name: str) -> None:
    """Load a driver and import what it needs, while something else is waited for. Never raises: ``open`` will."""
    try:
        driver = load_driver(name)
        if isinstance(driver, WarmDriver):
            driver.warm()
    except Exception:  # whatever is wrong, opening tells it with the instrument's name
        return


def load_service(name: str, *, where: str = "") -> Any:
    """Import the object behind a name of the group ``bench.services``. Raises ConfigurationError."""
    known = known_services()
    target = name if ":" in name else known.get(name)
    if target is None:
        raise ConfigurationError(
            f"there is no service '{name}'",
            where=where,
            hint=did_you_mean(name, known) or "no service package is installed",
        )
    return _import(target, "service", name, where)
