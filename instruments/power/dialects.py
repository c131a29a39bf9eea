"""How the supplies of one family spell what a bench needs: a table a family, no code.

``{n}`` is the channel, ``{v}`` the value. ``model`` is matched against ``manufacturer,model`` of *IDN?. What a family
cannot do is empty. The tables themselves are in ``tables.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from bench.station.power import PowerAbilities, TripCause
from instruments.scpi.session import Manners


@dataclass(frozen=True, slots=True)
class Level:
    """One protection: its level, whether it is on, and its delay."""

    set: str = ""
    get: str = ""
    on: str = ""
    off: str = ""
    state: str = ""
    set_delay: str = ""
    get_delay: str = ""
    answer: str = ""
    """What the answer to ``get`` begins with; with ``off_word`` behind it the protection is off."""
    off_word: str = ""


@dataclass(frozen=True, slots=True)
class TripQuery:
    """A question that tells a trip: a yes, or a register with a bit for each cause."""

    query: str
    cause: TripCause | None = None
    bits: tuple[tuple[int, TripCause], ...] = ()
    clears: bool = False
    """Reading the register empties it: the driver must remember what it read."""


@dataclass(frozen=True, slots=True)
class Watchdog:
    """A watchdog that any command feeds."""

    set_delay: str
    get_delay: str
    on: str
    off: str
    state: str


@dataclass(frozen=True, slots=True)
class SupplyDialect:
    """The language of one family of supplies."""

    title: str
    model: str
    set_voltage: str
    get_voltage: str
    set_current: str
    get_current: str
    output_on: tuple[str, ...]
    output_off: tuple[str, ...]
    get_output: tuple[str, ...]
    """The output is on when every answer is a yes."""
    measure_voltage: str
    measure_current: str
    channels: int = 99
    channel_counts: tuple[tuple[str, int], ...] = ()
    """By model, where models of a family differ."""
    select: str = ""
    """Sent before every command, on a line of its own in the same message."""
    output_bit: Mapping[int, int] = field(default_factory=dict)
    """``get_output`` answers a hexadecimal status word: the bit of each channel."""
    answer_voltage: str = ""
    answer_current: str = ""
    """What the answers to ``get_voltage`` and ``get_current`` begin with."""
    manners: Manners = field(default_factory=Manners)
    abilities: PowerAbilities = field(default_factory=PowerAbilities)
    by_model: tuple[tuple[str, PowerAbilities], ...] = ()
    """Abilities of models that differ, the first pattern that fits."""
    over_voltage: Level | None = None
    over_current: Level | None = None
    trips: tuple[TripQuery, ...] = ()
    clear_trip: tuple[str, ...] = ()
    trip_keeps_output: bool = False
    """OUTP? says what is programmed, and so still on when a protection has switched off."""
    watchdog: Watchdog | None = None
    power_on_off: str = ""
    get_power_on: str = ""
    power_on_is_off: str = ""

    def speaks_for(self, manufacturer: str, model: str) -> bool:
        """Whether this table is for an instrument with that identity."""
        return re.search(self.model, f"{manufacturer},{model}", re.IGNORECASE) is not None

    def channels_of(self, model: str) -> int:
        """Return how many channels a model has."""
        for pattern, count in self.channel_counts:
            if re.search(pattern, model, re.IGNORECASE):
                return count
        return self.channels

    def abilities_of(self, model: str) -> PowerAbilities:
        """Return what a model can do."""
        for pattern, abilities in self.by_model:
            if re.search(pattern, model, re.IGNORECASE):
                return abilities
        return self.abilities

    def line(self, template: str, channel: int, value: float = 0.0) -> str:
        """Return a program message for a channel, its selection included."""
        text = template.format(n=channel, v=value)
        return f"{self.select.format(n=channel)}\n{text}" if self.select else text


TEMPLATES = frozenset(item.name for item in fields(SupplyDialect) if str(item.type) in ("str", "tuple[str, ...]")) - {
    "title",
    "power_on_is_off",
}
"""Fields that hold commands: what a supply described in bench.toml may give."""
