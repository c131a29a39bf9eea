"""Field against station: what failed there and what stands here, and which conditions this station can create."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.reproduce.conditions import Condition
from bench.reproduce.scenario import DEVICE, Scenario

Likeness = Literal["same", "different", "unknown"]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing compared."""

    what: str
    field: str
    station: str

    @property
    def likeness(self) -> Likeness:
        """``unknown`` where either side does not tell."""
        if not self.field or not self.station:
            return "unknown"
        return "same" if _plain(self.field) == _plain(self.station) else "different"


@dataclass(frozen=True, slots=True)
class Playable:
    """Whether a condition can be created on a station. ``stands_in``: what could be done instead."""

    condition: Condition
    can: bool
    by: str
    stands_in: str = ""


def compare(scenario: Scenario, station: Mapping[str, str]) -> list[Row]:
    """Return a row for each of DEVICE that either side tells."""
    names = [name for name in DEVICE if scenario.device.get(name) or station.get(name)]
    return [Row(name, scenario.device.get(name, ""), station.get(name, "")) for name in names]


def verdict(rows: Collection[Row]) -> str:
    """Return what the table says of every result, in a sentence."""
    told = []
    for likeness in ("different", "unknown"):
        names = [row.what.replace("_", " ") for row in rows if row.likeness == likeness]
        told += [f"{', '.join(names)} {'differ' if likeness == 'different' else 'unknown'}"] if names else []
    missing = not rows
    if missing:
        return "nothing is known of the device in the field: what comes back here need not be its failure"
    return "; ".join(told) if told else "everything that is known is the same"


def playable(scenario: Scenario, *, simulated: bool, has: Collection[str]) -> list[Playable]:
    """Return for each condition whether the station creates it. ``has``: its roles (power, network, eim, dut, ...)."""
    made = []
    for item in scenario.conditions:
        if item.do == "parameter":
            made.append(Playable(item, True, "the recipe"))
        elif simulated:
            made.append(Playable(item, True, "the simulated world"))
        else:
            made.append(Playable(item, False, "nobody", item.kind.stands_in))
    return made


def station_facts(world: Mapping[str, Any], identities: Mapping[str, str]) -> dict[str, str]:
    """Return what a station tells of itself, by DEVICE, from its world's options and the identities of a run."""
    facts = {
        "modem": identities.get("modem_model", identities.get("modem", "")) or str(world.get("modem", "")),
        "modem_firmware": identities.get("modem_firmware", identities.get("firmware", "")),
        "device_firmware": str(world.get("firmware", "")),
        "rat": str(world.get("rat", "")),
        "ipa": str(world.get("ipa", "")),
        "operator": identities.get("plmn", ""),
    }
    return {name: value for name, value in facts.items() if value}


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
