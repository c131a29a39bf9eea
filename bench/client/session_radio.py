"""Lines of a manual session for what is around the device: network emulator, step attenuator, SIM switch.

``status``, ``cell on|off``, ``rsrp DBM``, ``plmn MCCMNC``, ``rat LTE|LTE-M|NB-IoT``, ``reject attach|tau CAUSE|none``,
``attenuation DB``, ``card reader|modem``; all but the last two take the number of a cell at their end (1 without).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.errors import ConfigurationError, Refused

if TYPE_CHECKING:
    from bench.engine.recipe import Station

HELP = "status, cell on|off, rsrp DBM, plmn MCCMNC, rat RAT, reject attach|tau CAUSE|none, attenuation DB, card PLACE"


@dataclass(frozen=True, slots=True)
class Call:
    """What a line means: one method of one part of the station."""

    part: str
    """``network``, ``attenuator`` or ``switch``."""
    method: str
    arguments: Sequence[Any] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The same as a statement of a recipe."""
        given = [repr(value) for value in self.arguments] + [
            f"{name}={value!r}" for name, value in self.options.items()
        ]
        return f"await station.{self.part}.{self.method}({', '.join(given)})"

    @property
    def radiates(self) -> bool:
        """Whether it switches a transmitter on."""
        return self.method == "set_cell" and bool(self.arguments[0])


def parse(line: str) -> Call | None:
    """Return what a line means, None for ``status``. Raises ConfigurationError for one that means nothing."""
    word, *rest = line.split() or [""]
    try:
        if word == "status" and not rest:
            return None
        if word == "card":
            (place,) = rest
            return Call("switch", "select", (_one_of(place, "reader", "modem"),))
        if word == "attenuation":
            (value,) = rest
            return Call("attenuator", "set_attenuation", (float(value),))
        if word == "reject":
            procedure, cause, *rest = rest
            given = (_one_of(procedure, "attach", "tau"), None if cause == "none" else int(cause))
            return Call("network", "reject", given, _cell(rest))
        value, *rest = rest
        if word == "cell":
            return Call("network", "set_cell", (_one_of(value, "on", "off") == "on",), _cell(rest))
        if word == "rsrp":
            return Call("network", "set_power", (float(value),), _cell(rest))
        if word == "plmn":
            return Call("network", "set_plmn", (value,), _cell(rest))
        if word == "rat":
            return Call("network", "set_rat", (value,), _cell(rest))
    except ValueError:
        raise ConfigurationError("this line is not whole, or has a value that is none", where=line, hint=HELP) from None
    raise ConfigurationError("there is no such line", where=line, hint=HELP)


def _one_of(value: str, *known: str) -> str:
    if value not in known:
        raise ValueError(value)
    return value


def _cell(rest: Sequence[str]) -> dict[str, Any]:
    if not rest:
        return {}
    (cell,) = rest
    return {"cell": int(cell)}


async def carry_out(station: Station, line: str) -> list[str]:
    """Do what a line says; return what there is to tell. Raises what ``parse`` and the part's driver raise."""
    call = parse(line)
    if call is None:
        return await status(station)
    if not station.has(call.part):
        raise Refused(f"the station has no {call.part}", where=station.name, hint="bench stations tells its parts")
    await getattr(getattr(station, call.part), call.method)(*call.arguments, **call.options)
    return ["OK"]


async def status(station: Station) -> list[str]:
    """Return what network emulator, attenuator and SIM switch say of themselves."""
    told = []
    if station.has("network"):
        for cell in await station.network.cells():
            word = "on" if await station.network.cell_on(cell=cell) else "off"
            imsi = await station.network.attached_imsi(cell=cell)
            told.append(f"cell {cell} {word}, {f'{imsi} is attached' if imsi else 'nothing is attached'}")
    if station.has("attenuator"):
        told.append(f"attenuation {await station.attenuator.attenuation():g} dB")
    if station.has("switch"):
        told.append(f"card at the {await station.switch.selected()}")
    if not told:
        raise Refused("the station has no network emulator, attenuator or SIM switch", where=station.name, hint=HELP)
    return told
