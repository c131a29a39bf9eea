"""Field against station: what failed there and what stands here, and which conditions this station can create."""

from __future__ import annotations

import re
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
        if self.what == "modem" and _same_model(self.field, self.station):
            return "same"
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
    """Return what the table says of every result, in a sentence: what differs, and which side does not tell what."""
    if not any(row.field for row in rows):
        here = ", ".join(f"{_name(row)} {row.station}" for row in rows)
        played = f" (here: {here})" if here else ""
        return f"nothing is known of the device in the field{played}: what comes back here need not be its failure"
    told = []
    for what, chosen in (
        ("differ", [row for row in rows if row.likeness == "different"]),
        ("unknown in the field", [row for row in rows if not row.field]),
        ("unknown here", [row for row in rows if not row.station]),
    ):
        told += [f"{', '.join(_name(row) for row in chosen)} {what}"] if chosen else []
    return "; ".join(told) if told else "everything that is known is the same"


def _name(row: Row) -> str:
    return row.what.replace("_", " ")


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


def modem_facts(identities: Mapping[str, Any]) -> dict[str, str]:
    """Return modem and firmware of a run's identities as rows of the table: manufacturer and model, never the IMEI."""
    maker, _, rest = str(identities.get("modem") or "").partition("/")
    name = " ".join(part for part in (maker, rest.partition("/")[0]) if part not in ("", "?"))
    facts = {"modem": name, "modem_firmware": str(identities.get("modem firmware") or "")}
    return {key: value for key, value in facts.items() if value}


def station_facts(world: Mapping[str, Any], identities: Mapping[str, str]) -> dict[str, str]:
    """Return what a station tells of itself, by DEVICE, from its world's options and the identities of a run."""
    facts = {
        "modem": str(world.get("modem", "")),
        "device_firmware": str(world.get("firmware", "")),
        "rat": str(world.get("rat", "")),
        "ipa": str(world.get("ipa", "")),
        **modem_facts(identities),
    }
    return {name: value for name, value in facts.items() if value}


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _same_model(one: str, other: str) -> bool:
    """Whether two name one model, the one with its manufacturer (ATI, *IDN?) and the other perhaps without (CGMM)."""
    words = [[_plain(word) for word in re.split(r"[\s/]+", text) if _plain(word)] for text in (one, other)]
    shorter, longer = sorted(words, key=len)
    return bool(shorter) and longer[-len(shorter) :] == shorter
