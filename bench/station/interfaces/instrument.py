"""What every instrument has: identity, closing, its step of the safe sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an instrument says it is, read back at opening."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""

    def key(self) -> str:
        """Return the text that names the instrument for locks: manufacturer, model and serial number."""
        return "/".join(part.strip() or "?" for part in (self.manufacturer, self.model, self.serial))


@dataclass(frozen=True, slots=True)
class SafeAction:
    """One step of the safe sequence: data only, executed by any process with a fresh connection.

    ``name`` as in the station's ``safe`` list (``power.off``, ``network.off``). ``driver`` and ``options`` open the
    instrument again in the safe process; ``channel`` is the supply's channel; ``dead_voltage`` in volts is the level
    below which the rail counts as dead (verified by reading back), None where there is no rail.
    """

    name: str
    driver: str
    options: Mapping[str, object]
    channel: int | None = None
    dead_voltage: float | None = None


class Instrument(Protocol):
    """What every driver has."""

    identity: Identity

    async def close(self) -> None:
        """Release the connection; never switches anything."""
