"""What ``bench doctor`` asks one station's instruments, step by step: permission, who holds it, does it answer, is it
the right one, volts and limits. Connections are made and closed; nothing is switched or programmed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from bench.client.doctor_check import Check
from bench.client.doctor_instrument import WITHIN, Look, close, open_instrument, wrong_serial
from bench.client.doctor_ports import ask_console, ask_lines, ask_modem, ask_switch
from bench.errors import BenchError
from bench.station import sharing
from bench.station.config import CardConfig, PowerConfig, StationConfig
from bench.station.discovery import pcsc
from bench.station.dut import FlashConfig
from bench.station.host import Host
from bench.station.interfaces import Attenuator
from bench.station.parts import Part, PartKind, parts

_BACK_FED: Final = "does USB, a battery or a console line feed the device back? recipes wait for a dead rail in vain"


async def station(config: StationConfig, host: Host, *, cards: bool = False) -> AsyncIterator[Check]:
    """Ask every instrument of a station that nobody holds. ``cards``: a card in a reader is powered for its EID.

    A station whose simulated world the run starts has nothing to be asked yet.
    """
    if config.unresolved():
        return
    look = Look(host, cards=cards)
    for part in parts(config):
        for item in await _ASK[part.kind](part, f"{config.name} {part.name}", look):
            yield item
    if config.dut is not None and config.dut.flash is not None:
        yield _flash(config.dut.flash, f"{config.name} flash")


# --- SCPI instruments -------------------------------------------------------------------------------------------------


async def _power(part: Part, name: str, look: Look) -> list[Check]:
    power = part.config
    assert isinstance(power, PowerConfig)
    # A run on another channel may hold the only connection.
    options = replace(part.options(), resource=sharing.through(power.resource))
    opened, found = await open_instrument(options, name, look.host)
    if opened is None:
        return found
    try:
        async with asyncio.timeout(WITHIN):
            wrong = wrong_serial(power.serial, opened.identity.serial, name, "resource")
            if wrong is not None:
                return [wrong]
            found.append(Check(name, "ok", f"{opened.identity.key()} answers at {power.resource}"))
            look.on = await opened.output()
            reading = await opened.measure()
            found += _rail(power, f"{name} rail", on=look.on, volts=reading.voltage, amperes=reading.current)
            found += _abilities(opened, f"{name} watchdog")
    except BenchError as error:
        found.append(Check(f"{name} rail", "fail", error.what, error.hint or f"is channel {power.channel} there?"))
    except TimeoutError:
        found.append(Check(f"{name} rail", "fail", f"no answer within {WITHIN:g} s", "switch it off and on"))
    finally:
        await close(opened)
    return found


def _rail(power: PowerConfig, name: str, *, on: bool, volts: float, amperes: float) -> list[Check]:
    state = f"channel {power.channel} is {'on' if on else 'off'}, {volts:.3f} V, {amperes * 1000:.0f} mA"
    if volts > power.voltage_max:
        hint = "switch it off, then check 'channel' and 'voltage_max'"
        return [Check(name, "fail", f"{state}: above voltage_max {power.voltage_max:g} V", hint)]
    if not on and volts >= power.dead_voltage:
        return [Check(name, "fail", f"{state}: not below dead_voltage {power.dead_voltage:g} V", _BACK_FED)]
    if on and abs(volts - power.voltage) > max(0.1, 0.05 * power.voltage):
        hint = "somebody else's set-point, a current limit or a long lead? a run programs its own values first"
        return [Check(name, "warn", f"{state}: {power.voltage:g} V are configured", hint)]
    if on and amperes >= 0.98 * power.current_limit:
        hint = "raise current_limit if the device needs it: in a limit the rail sags and the modem resets"
        return [Check(name, "warn", f"{state}: at the current limit {power.current_limit:g} A", hint)]
    return [Check(name, "ok", state)]


def _abilities(opened: Any, name: str) -> list[Check]:
    abilities = getattr(opened, "abilities", None)
    if abilities is None or getattr(abilities, "watchdog", None):
        return []
    hint = "off then by hand, or by the next bench command on this host; a supply with a watchdog does it by itself"
    return [Check(name, "warn", "it has no watchdog: the host's death leaves the output on", hint)]


async def _network(part: Part, name: str, look: Look) -> list[Check]:
    return await _answers(part, name, look, _nothing_more)


async def _attenuator(part: Part, name: str, look: Look) -> list[Check]:
    async def values(opened: Attenuator) -> str:
        told = [f"channel {channel} at {await opened.attenuation(channel=channel):g} dB" for channel in opened.channels]
        return f": {', '.join(told)} of {opened.highest:g} dB"

    return await _answers(part, name, look, values)


async def _nothing_more(opened: Any) -> str:
    return ""


async def _answers(part: Part, name: str, look: Look, more: Callable[[Any], Awaitable[str]]) -> list[Check]:
    """Open an instrument, compare its serial number, and tell who it is and what ``more`` reads."""
    options = part.options()
    opened, found = await open_instrument(options, name, look.host)
    if opened is None:
        return found
    try:
        wrong = wrong_serial(options.serial, opened.identity.serial, name, "resource")
        if wrong is not None:
            return [wrong]
        async with asyncio.timeout(WITHIN):
            told = await more(opened)
        return [Check(name, "ok", f"{opened.identity.key()} answers at {options.resource}{told}")]
    except BenchError as error:
        return [Check(name, "fail", error.what, error.hint or "switch it off and on")]
    except TimeoutError:
        return [Check(name, "fail", f"no answer within {WITHIN:g} s", "switch it off and on")]
    finally:
        await close(opened)


# --- readers ----------------------------------------------------------------------------------------------------------


async def _reader(part: Part, name: str, look: Look) -> list[Check]:
    card, host = part.config, look.host
    assert isinstance(card, CardConfig)
    problem, hint = pcsc.daemon(card.pcsclite_csock, host)
    if problem:
        return [Check(f"{name} pcscd", "fail", problem, hint)]
    found = await pcsc.look(card.pcsclite_csock, cards=look.cards, host=host)
    if found.problem:
        return [Check(f"{name} pcscd", "fail", found.problem, found.hint)]
    checks = [Check(f"{name} pcscd", "ok", f"{'private' if card.pcsclite_csock else 'the host’s'} daemon answers")]
    wanted = card.reader
    fitting = [item for item in found.readers if item.name == wanted] or [
        item for item in found.readers if wanted in item.name or item.serial == wanted
    ]
    listed = ", ".join(item.name for item in found.readers) or "none"
    if len(fitting) != 1:
        what = f"there is no reader '{wanted}'" if not fitting else f"'{wanted}' names {len(fitting)} readers"
        hint = f"plug it in, or correct 'reader' (name, part of it, or serial number); there are: {listed}"
        return [*checks, Check(name, "fail", what, hint)]
    reader = fitting[0]
    if card.eid and reader.eid and reader.eid != card.eid:
        text = f"the card's EID is {reader.eid}, {card.eid} is pinned"
        return [*checks, Check(name, "fail", text, "two readers or cards exchanged? put the right card in")]
    if not reader.atr:
        state = "unknown" if card.at == "switch" else "fail"
        hint = "put the card in, contacts down" if state == "fail" else ""
        return [*checks, Check(name, state, f"no card in {reader.name}", hint)]  # type: ignore[arg-type]
    text = f"{reader.name}, ATR {reader.atr}" + (f", EID {reader.eid}" if reader.eid else "")
    return [*checks, Check(name, "ok" if not (look.cards and reader.text) else "warn", text, reader.text)]


# --- the device -------------------------------------------------------------------------------------------------------


def _flash(flash: FlashConfig, name: str) -> Check:
    program = flash.command[0]
    found = shutil.which(program)
    if found is None:
        hint = f"install it, or correct dut.flash.command in bench.toml ({flash.origin})"
        return Check(name, "fail", f"the program that flashes the device is not there: {program}", hint)
    return Check(name, "ok", f"by {found}")


_ASK: Final[Mapping[PartKind, Callable[[Part, str, Look], Awaitable[list[Check]]]]] = {
    "power": _power,
    "network": _network,
    "attenuator": _attenuator,
    "modem": ask_modem,
    "switch": ask_switch,
    "reader": _reader,
    "console": ask_console,
    "lines": ask_lines,
}
