"""What ``bench doctor`` asks serial ports: modem, SIM switch, consoles and relay boards of a station."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.client.doctor_check import Check
from bench.client.doctor_instrument import WITHIN, Look, close, open_instrument, wrong_serial
from bench.errors import BenchError
from bench.station.checks import comes_with_power
from bench.station.config import ModemConfig, StationConfig
from bench.station.discovery import at
from bench.station.discovery.ports import SerialPort, resolve, serial_ports
from bench.station.drivers import QuietDriver, load_driver
from bench.station.dut import LINES, ConsoleConfig, OutputsConfig
from bench.station.dut_parts import AsksPerson
from bench.station.host import Host
from bench.station.parts import Part


def _port(port: str, name: str, look: Look, *, needs_power: bool = False) -> tuple[SerialPort | None, list[Check]]:
    """Look whether a port is there, allowed and free; None where it is not."""
    found = resolve(port, look.host)
    if found is None:
        if needs_power and look.on is not True:
            text = f"{port} is not there: it comes with the device's power, which is off"
            return None, [Check(f"{name} port", "unknown", text)]
        return None, [Check(f"{name} port", "fail", f"there is no port {port}", _others(look.host))]
    access = look.host.access(found.device)
    if not access.allowed:
        return None, [Check(f"{name} port", "fail", access.text, access.remedy)]
    holders = look.host.holders(found.device)
    if holders:
        told = at.held(found.device, holders)
        return None, [Check(f"{name} port", "fail", told.text, told.hint)]
    return found, [Check(f"{name} port", "ok", f"{port} is {found.device}, {found.title}")]


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


async def ask_modem(part: Part, name: str, look: Look) -> list[Check]:
    """Ask a modem who it is, where its port is there, allowed and free."""
    modem = part.config
    assert isinstance(modem, ModemConfig)
    port, checks = _port(modem.port, name, look, needs_power=bool(modem.port_needs_power))
    if port is None:
        return checks
    if look.host.running("ModemManager") is not None:
        checks.append(_modem_manager(port, name))
    answer = await asyncio.to_thread(at.ask, port.device, look.host, baudrate=modem.baudrate)
    if answer.state in ("held", "refused", "gone"):
        return [Check(f"{name} port", "fail", answer.text, answer.hint)]
    return [*checks, _modem(answer, part.station, on=look.on)]


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


async def ask_switch(part: Part, name: str, look: Look) -> list[Check]:
    """Ask a SIM switch where the card is wired to; a person is not asked."""
    options = part.options()
    if options.port:
        port, checks = _port(options.port, name, look)
        if port is None:
            return checks
    opened, problems = await open_instrument(options, name, look.host)
    if opened is None:
        return problems
    try:
        if isinstance(opened, AsksPerson):
            return [Check(name, "ok", "the card is moved by a person: runs need --attended")]
        wrong = wrong_serial(options.serial, opened.identity.serial, name, "port")
        if wrong is not None:
            return [wrong]
        async with asyncio.timeout(WITHIN):
            return [Check(name, "ok", f"the card is wired to the {await opened.selected()}")]
    except (BenchError, TimeoutError) as error:
        return [Check(name, "warn", _said(error), "a run selects one side before it uses the card")]
    finally:
        await close(opened)


async def ask_console(part: Part, name: str, look: Look) -> list[Check]:
    """Look at a console's port. It is not opened: DTR and RTS, which come with that, reset many boards."""
    console = part.config
    assert isinstance(console, ConsoleConfig)
    _, checks = _port(console.port, name, look, needs_power=comes_with_power(console.port))
    return checks


async def ask_lines(part: Part, name: str, look: Look) -> list[Check]:
    """Ask a relay board who it is and how the device's lines are; one whose opening could move a line is not opened."""
    outputs = part.config
    assert isinstance(outputs, OutputsConfig)
    checks: list[Check] = []
    if outputs.port:
        port, checks = _port(outputs.port, name, look)
        if port is None:
            return checks
    try:
        driver = load_driver(outputs.driver, where=outputs.origin)
    except BenchError as error:
        return [*checks, Check(name, "fail", str(error), error.hint)]
    if not (isinstance(driver, QuietDriver) and driver.quiet):
        return checks
    opened, problems = await open_instrument(part.options(), name, look.host)
    if opened is None:
        return [*checks, *problems]
    try:
        wrong = wrong_serial(outputs.serial, opened.identity.serial, name, "port")
        if wrong is not None:
            return [*checks, wrong]
        async with asyncio.timeout(WITHIN):
            told = await _lines(opened, part)
        return [*checks, Check(name, "ok", f"{opened.identity.key()} answers{told}")]
    except (BenchError, TimeoutError) as error:
        hint = getattr(error, "hint", "") or "has the board power, and this line? correct dut in bench.toml"
        return [*checks, Check(name, "fail", _said(error), hint)]
    finally:
        await close(opened)


async def _lines(opened: Any, part: Part) -> str:
    dut = part.station.dut
    assert dut is not None
    told = []
    for name in LINES:
        line = dut.line(name)
        if line is not None and line.instrument == part.instrument:
            told.append(f"{name} (line {line.line}) is {'on' if await opened.line_on(line.line) else 'off'}")
    return f": {', '.join(told)}" if told else ""


def _said(error: BenchError | TimeoutError) -> str:
    return error.what if isinstance(error, BenchError) else f"no answer within {WITHIN:g} s"
