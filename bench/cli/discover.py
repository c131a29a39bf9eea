"""``bench discover``: what is connected to this host, and a bench.toml for it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.output import print_json, table

if TYPE_CHECKING:
    from bench.station.discovery.finding import Found, FoundPort


@click.command(epilog="Example: bench discover --host 192.0.2.10 --write bench.toml")
@click.option("--host", "hosts", multiple=True, metavar="HOST[:PORT]", help="Ask *IDN? there (5025, 5555, 9221).")
@click.option("--scan", "networks", multiple=True, metavar="NETWORK", help="Ask every host of it, e.g. 192.0.2.0/24.")
@click.option("--port", "ports", multiple=True, metavar="DEVICE", help="A further serial port, such as a pty.")
@click.option("--sim", "files", multiple=True, type=click.Path(), help="What 'bench sim up --json' printed, as a file.")
@click.option("--no-at", is_flag=True, help="Send nothing to serial ports.")
@click.option("--no-cards", is_flag=True, help="Leave the cards in the readers alone: ATR only, no EID.")
@click.option("--voltage", type=float, default=3.8, show_default=True, help="Volts to propose for real devices.")
@click.option("--voltage-max", type=float, default=4.2, show_default=True, help="Volts that they survive.")
@click.option("--current-limit", type=float, default=1.5, show_default=True, help="Amperes to propose.")
@click.option("--write", "target", type=click.Path(dir_okay=False), help="Write the bench.toml here; never overwrites.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def discover(
    obj: Mapping[str, Any],
    hosts: tuple[str, ...],
    networks: tuple[str, ...],
    ports: tuple[str, ...],
    files: tuple[str, ...],
    no_at: bool,
    no_cards: bool,
    voltage: float,
    voltage_max: float,
    current_limit: float,
    target: str | None,
    as_json: bool,
) -> None:
    """Find serial ports, modems, readers, instruments and relay boards, and propose a bench.toml.

    Switches nothing. Sends AT to serial ports that no other program holds, powers cards to read their EID, asks only
    the hosts that are named; no network is scanned without --scan. A bench that 'bench sim up' simulates is found too.
    """
    from bench.errors import ConfigurationError
    from bench.station import config
    from bench.station.discovery import finding, proposal, scpi, worlds
    from bench.station.host import Host

    if target is not None and os.path.lexists(target):
        raise ConfigurationError("there is such a file already", where=target, hint="choose another name: nothing done")
    if not 0 < voltage <= voltage_max:
        raise ConfigurationError(
            f"{voltage:g} V is not within 0 to {voltage_max:g} V",
            where="--voltage",
            hint="lower --voltage, or raise --voltage-max to what the device survives",
        )
    home, built_in = _home(obj)
    announcements = {_key(told): told for told in worlds.running(home)}
    announcements |= {_key(told): told for told in map(worlds.read, map(Path, files))}
    found = asyncio.run(
        finding.look(
            Host(),
            hosts=scpi.hosts_of(hosts, networks),
            ports=ports,
            announcements=list(announcements.values()),
            ask_ports=not no_at,
            cards=not no_cards,
        )
    )
    rail = proposal.Rail(voltage, voltage_max, current_limit)
    default = config.default_home().absolute()
    text = proposal.bench_toml(found, rail=rail, built_in=built_in, default_home=str(default))
    if target is not None:
        _write(Path(target), text)
    if as_json:
        print_json({**found.data(), "bench_toml": text, "written": target or ""})
        return
    _show(found)
    if target is not None:
        click.echo(f"\n{target} is written: read every line marked CHECK, then: bench --config {target} doctor")
    else:
        click.echo(f"\n{text}")


def _home(obj: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """Return home and stations of the bench; a bench.toml that is wrong does not keep anybody from discovering."""
    from bench.errors import ConfigurationError
    from bench.station import config

    try:
        bench = config.load(Path(obj["config"]) if obj.get("config") else None)
    except ConfigurationError as error:
        click.echo(f"bench: {error}; going on without it", err=True)
        return config.default_home(), {}
    return bench.home, bench.stations


def _key(told: Mapping[str, Any]) -> str:
    return str(told.get("control") or told.get("pid") or id(told))


def _write(path: Path, text: str) -> None:
    """Write a new file, whole or not at all; one that is there stays. Raises ConfigurationError."""
    from bench.errors import ConfigurationError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise ConfigurationError("there is such a file already", where=str(path), hint="choose another name") from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot be written: {error.strerror}", where=str(path), hint="choose a folder that this user may write to"
        ) from error


def _show(found: Found) -> None:
    ports = [*found.ports, *(port for world in found.worlds for port in world.ports)]
    readers = [*found.readers, *(reader for world in found.worlds for reader in world.readers)]
    instruments = [*found.instruments, *(item for world in found.worlds for item in world.instruments)]
    table(("port", "now", "device", "serial", "answers"), [_row(item) for item in ports])
    click.echo()
    rows = [(item.name, item.serial or "-", item.atr or "-", item.eid or item.text or "-") for item in readers]
    table(("reader", "serial", "ATR", "EID"), rows)
    click.echo()
    table(
        ("resource", "instrument", "serial", "driver"),
        [
            (
                item.instrument.resource,
                f"{item.instrument.identity.manufacturer} {item.instrument.identity.model}".strip()
                or item.instrument.text,
                item.instrument.identity.serial or "-",
                item.driver or "-",
            )
            for item in instruments
        ],
    )
    for text, hint in found.problems:
        click.echo(f"! {text}{': ' + hint if hint else ''}", err=not sys.stdout.isatty())


def _row(item: FoundPort) -> tuple[str, ...]:
    port, answer = item.port, item.answer
    if answer is None:
        told = "not asked"
    elif answer.state == "modem":
        told = f"AT: {answer.manufacturer} {answer.model}, IMEI {answer.serial or '?'}"
    else:
        told = answer.text
    return (port.address, port.device, port.title, (port.usb.serial if port.usb else "") or "-", told)
