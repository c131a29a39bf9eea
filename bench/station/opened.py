"""An open station: what was opened, until it is closed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final

from bench.apdu.channel import CardAccess
from bench.station import safe, sharing
from bench.station.clock import Clock
from bench.station.config import StationConfig
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
from bench.station.locks import Lock

_CLOSE: Final = 5.0
"""Real seconds in which one instrument lets its connection go."""


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
    recorders: dict[str, Instrument] = field(default_factory=dict)
    """Programs that record radio or card contacts, by their names in ``radio``."""
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
        for parts in (self.recorders, self.consoles, self.lines):
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
