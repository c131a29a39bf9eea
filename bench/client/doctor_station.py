"""What ``bench doctor`` asks one station's instruments, step by step: permission, who holds it, does it answer, is it
the right one, volts and limits. Connections are made and closed; nothing is switched or programmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from bench.client.doctor import Check
from bench.errors import BenchError
from bench.station import sharing
from bench.station.clock import RealClock
from bench.station.config import StationConfig
from bench.station.discovery import at, pcsc
from bench.station.discovery.ports import SerialPort, resolve, serial_ports, usb_devices
from bench.station.drivers import DriverOptions, PowerLimits, load_driver
from bench.station.host import Host
from bench.station.model import CardConfig, NetworkConfig, PowerConfig, SwitchConfig

WITHIN: Final = 10.0
"""Real seconds for one instrument: a driver of somebody else must not keep the doctor."""
_BACK_FED: Final = "does USB, a battery or a console line feed the device back? recipes wait for a dead rail in vain"


async def station(config: StationConfig, host: Host, *, cards: bool = False) -> AsyncIterator[Check]:
    """Ask every instrument of a station that nobody holds. ``cards``: a card in a reader is powered for its EID.

    A station whose simulated world the run starts has nothing to be asked yet.
    """
    if config.unresolved():
        return
    on: bool | None = None
    if config.power is not None:
        on, found = await _bounded(_power(config.power, f"{config.name} power", host))
        for item in found:
            yield item
    if config.network is not None:
        _, found = await _bounded(_identity(config.network, f"{config.name} network", host))
        for item in found:
            yield item
    if config.modem is not None:
        port, needs = config.modem.port, bool(config.modem.port_needs_power)
        answer, checks = await asyncio.to_thread(
            _port, port, f"{config.name} modem", host, on=on, needs_power=needs, baudrate=config.modem.baudrate
        )
        for item in checks:
            yield item
        if answer is not None:
            yield _modem(answer, config, on=on)
    if config.switch is not None:
        for item in await _switch(config.switch, f"{config.name} switch", host):
            yield item
    if config.card is not None and config.card.at != "modem":
        for item in await _reader(config.card, f"{config.name} reader", host, cards=cards):
            yield item


async def _bounded(work: Any) -> tuple[bool | None, list[Check]]:
    found: tuple[bool | None, list[Check]] = await work
    return found


# --- SCPI instruments -------------------------------------------------------------------------------------------------


async def _open(options: DriverOptions, name: str, host: Host) -> tuple[Any, list[Check]]:
    """Open an instrument with its driver; None and the finding when that fails."""
    refused = _usb_access(options.resource, host)
    if refused is not None:
        return None, [Check(name, "fail", *refused)]
    try:
        async with asyncio.timeout(WITHIN):
            return await load_driver(options.driver, where=options.origin).open(options), []
    except BenchError as error:
        hint = error.hint or f"is it on, and is '{options.resource}' its address? bench discover --host HOST asks there"
        return None, [Check(name, "fail", error.what, hint)]
    except TimeoutError:
        return None, [
            Check(name, "fail", f"{options.resource} did not answer within {WITHIN:g} s", "switch it off and on")
        ]
    except Exception as error:  # a driver of somebody else must not end the doctor
        return None, [Check(name, "fail", f"driver {options.driver}: {type(error).__name__}: {error}")]


def _usb_access(resource: str, host: Host) -> tuple[str, str] | None:
    """Return text and remedy where a USB instrument (``USB0::0x2A8D::...``) is not there or not allowed."""
    parts = resource.split("::")
    if not parts[0].upper().startswith("USB") or len(parts) < 3:
        return None
    vid, pid = (part.lower().removeprefix("0x") for part in parts[1:3])
    serial = parts[3] if len(parts) > 3 else ""
    for device in usb_devices(host):
        if (device.vid.lower(), device.pid.lower()) == (vid, pid) and serial in ("", device.serial, "INSTR"):
            access = host.access(device.node, udev=device.udev)
            return None if access.allowed else (access.text, access.remedy)
    return (
        f"no USB device {vid}:{pid} {serial} is plugged in",
        "plug it in, or correct 'resource': bench discover lists them",
    )


def _serial(wanted: str, found: str, what: str) -> Check | None:
    if wanted and wanted.strip() != found.strip():
        return Check(
            what,
            "fail",
            f"serial number '{found}' answers, '{wanted}' is pinned",
            "two instruments exchanged? correct 'resource' or 'serial'",
        )
    return None


async def _identity(part: NetworkConfig, name: str, host: Host) -> tuple[bool | None, list[Check]]:
    options = DriverOptions(
        name=name, driver=part.driver, resource=part.resource, cells=part.cells, extra=part.options, origin=part.origin
    )
    opened, found = await _open(options, name, host)
    if opened is None:
        return None, found
    try:
        wrong = _serial(part.serial, opened.identity.serial, name)
        return None, [wrong or Check(name, "ok", f"{opened.identity.key()} answers at {part.resource}")]
    finally:
        await _close(opened)


async def _close(opened: Any) -> None:
    try:
        async with asyncio.timeout(WITHIN):
            await opened.close()
    except (BenchError, TimeoutError, OSError):
        pass


async def _power(power: PowerConfig, name: str, host: Host) -> tuple[bool | None, list[Check]]:
    limits = PowerLimits(power.voltage, power.current_limit, power.voltage_max, power.dead_voltage)
    options = DriverOptions(
        name=power.instrument or "power",
        driver=power.driver,
        resource=sharing.through(power.resource),  # a run on another channel may hold the only connection
        channel=power.channel,
        limits=limits,
        clock=RealClock(),
        extra=power.options,
        origin=power.origin,
    )
    opened, found = await _open(options, name, host)
    if opened is None:
        return None, found
    on: bool | None = None
    try:
        async with asyncio.timeout(WITHIN):
            wrong = _serial(power.serial, opened.identity.serial, name)
            if wrong is not None:
                return None, [wrong]
            found.append(Check(name, "ok", f"{opened.identity.key()} answers at {power.resource}"))
            on = await opened.output()
            reading = await opened.measure()
            found += _rail(power, f"{name} rail", on=on, volts=reading.voltage, amperes=reading.current)
            found += _abilities(opened, f"{name} watchdog")
    except BenchError as error:
        found.append(Check(f"{name} rail", "fail", error.what, error.hint or f"is channel {power.channel} there?"))
    except TimeoutError:
        found.append(Check(f"{name} rail", "fail", f"no answer within {WITHIN:g} s", "switch it off and on"))
    finally:
        await _close(opened)
    return on, found


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


# --- ports ------------------------------------------------------------------------------------------------------------


def _port(
    port: str, name: str, host: Host, *, on: bool | None = None, needs_power: bool = False, baudrate: int = 115_200
) -> tuple[at.PortAnswer | None, list[Check]]:
    """Look whether a port is there, allowed and free, and ask it; None where it could not be asked. Blocking."""
    found = resolve(port, host)
    if found is None:
        if needs_power and on is not True:
            text = f"{port} is not there: it comes with the device's power, which is off"
            return None, [Check(f"{name} port", "unknown", text)]
        return None, [Check(f"{name} port", "fail", f"there is no port {port}", _others(host))]
    access = host.access(found.device)
    if not access.allowed:
        return None, [Check(f"{name} port", "fail", access.text, access.remedy)]
    holders = host.holders(found.device)
    if holders:
        told = at.held(found.device, holders)
        return None, [Check(f"{name} port", "fail", told.text, told.hint)]
    checks = [Check(f"{name} port", "ok", f"{port} is {found.device}, {found.title}")]
    if host.running("ModemManager") is not None:
        checks.append(_modem_manager(found, name))
    answer = at.ask(found.device, host, baudrate=baudrate)
    if answer.state in ("held", "refused", "gone"):
        return None, [*checks[:0], Check(f"{name} port", "fail", answer.text, answer.hint)]
    return answer, checks


def _others(host: Host) -> str:
    there = ", ".join(f"{port.address} ({port.title})" for port in serial_ports(host)[:8])
    return f"plug it in or correct 'port'; there are: {there or 'none'}"


def _modem_manager(port: SerialPort, name: str) -> Check:
    usb = port.usb
    line = f'ATTRS{{idVendor}}=="{usb.vid}", ATTRS{{idProduct}}=="{usb.pid}"' if usb else f'KERNEL=="{port.device[5:]}"'
    rule = f"""echo '{line}, ENV{{ID_MM_DEVICE_IGNORE}}="1"' | sudo tee /etc/udev/rules.d/70-bench-mm.rules"""
    hint = f"sudo systemctl mask --now ModemManager, or: {rule}"
    text = "ModemManager runs: it opens a modem's port whenever it comes back, also after the bench has power-cycled it"
    return Check(f"{name} ModemManager", "warn", text, hint)


def _modem(answer: at.PortAnswer, config: StationConfig, *, on: bool | None) -> Check:
    name = f"{config.name} modem"
    wanted = config.modem.imei if config.modem is not None else ""
    if answer.state == "modem":
        if wanted and answer.serial != wanted:
            return Check(
                name,
                "fail",
                f"the modem's IMEI is {answer.serial or 'not readable'}, {wanted} is pinned",
                "two modems exchanged? correct 'port' or 'imei'",
            )
        told = f"{answer.manufacturer} {answer.model} {answer.firmware}, IMEI {answer.serial or '?'}"
        return Check(name, "ok", f"answers AT: {told}")
    if on is False:
        return Check(name, "unknown", "the device has no power: nobody to ask")
    text = "the port is there, but nothing answers AT" if answer.state == "silent" else answer.text
    hint = "another interface of the modem (bench discover shows which answers), 'baudrate', or power-cycle the device"
    return Check(name, "fail", text, hint)


async def _switch(switch: SwitchConfig, name: str, host: Host) -> list[Check]:
    found = resolve(switch.port, host)
    if found is None:
        return [Check(f"{name} port", "fail", f"there is no port {switch.port}", _others(host))]
    access = host.access(found.device)
    if not access.allowed:
        return [Check(f"{name} port", "fail", access.text, access.remedy)]
    holders = host.holders(found.device)
    if holders:
        told = at.held(found.device, holders)
        return [Check(f"{name} port", "fail", told.text, told.hint)]
    options = DriverOptions(
        name="switch",
        driver=switch.driver,
        port=switch.port,
        baudrate=switch.baudrate,
        extra=switch.options,
        origin=switch.origin,
    )
    opened, problems = await _open(options, name, host)
    if opened is None:
        return problems
    try:
        wrong = _serial(switch.serial, opened.identity.serial, name)
        if wrong is not None:
            return [wrong]
        async with asyncio.timeout(WITHIN):
            return [Check(name, "ok", f"the card is wired to the {await opened.selected()}")]
    except (BenchError, TimeoutError) as error:
        what = error.what if isinstance(error, BenchError) else f"no answer within {WITHIN:g} s"
        return [Check(name, "warn", what, "a run selects one side before it uses the card")]
    finally:
        await _close(opened)


# --- readers ----------------------------------------------------------------------------------------------------------


async def _reader(card: CardConfig, name: str, host: Host, *, cards: bool) -> list[Check]:
    problem, hint = pcsc.daemon(card.pcsclite_csock, host)
    if problem:
        return [Check(f"{name} pcscd", "fail", problem, hint)]
    found = await pcsc.look(card.pcsclite_csock, cards=cards, host=host)
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
    return [*checks, Check(name, "ok" if not (cards and reader.text) else "warn", text, reader.text)]
