"""``bench doctor``: what would go wrong, said before anything is touched, each with what to do about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.output import print_json

if TYPE_CHECKING:
    from bench.client.doctor_check import Check
    from bench.station.config import StationConfig
    from bench.station.host import Host

MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "unknown": "?"}


@click.command(epilog="Example: bench doctor --station lab1 --card")
@click.option("--station", "chosen", default="", help="Only this station (default: all).")
@click.option("--card", is_flag=True, help="Power the card and ask it: do eUICC, SM-DP+ and eIM trust each other?")
@click.option("--eid", default="", help="With --card: the EID that the card must have.")
@click.option("--clock", help="With --card, simulated stations: instant (default here), real or scaled:FACTOR.")
@click.option("--world", multiple=True, metavar="NAME=VALUE", help="With --card: option of the simulated world.")
@click.option("--overnight", is_flag=True, help="Also what ends long runs: disk, sleep, autosuspend, clock, expiry.")
@click.option("--hours", type=float, default=12.0, show_default=True, help="With --overnight: how long the run is.")
@click.option("--no-instruments", is_flag=True, help="Connect to no instrument and ask no port.")
@click.option("--no-services", is_flag=True, help="Do not start eIM and SM-DP+ for a look.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(
    obj: Mapping[str, Any],
    /,
    chosen: str,
    card: bool,
    eid: str,
    clock: str | None,
    world: tuple[str, ...],
    overnight: bool,
    hours: float,
    no_instruments: bool,
    no_services: bool,
    as_json: bool,
) -> None:
    """Check step by step: configuration, drivers, locks, ports, instruments, card, services, the way to the eIM.

    Switches and programs nothing; every finding says what to do. A station that a run holds is not asked. With --card
    the card is powered: do eUICC, SM-DP+ and eIM trust each other? Exit code 0 when nothing fails, 2 for the
    configuration, else 3.
    """
    from bench.client import doctor as checks
    from bench.client.doctor_check import Check
    from bench.errors import ConfigurationError
    from bench.station import config
    from bench.station.host import Host

    if card and not chosen:
        raise click.UsageError("--card needs --station")
    found: list[Check] = []

    def take(items: Iterable[Check]) -> None:
        for item in items:
            found.append(item)
            if not as_json:
                show(item)

    try:
        bench = config.load(Path(obj["config"]) if obj.get("config") else None)
        stations = [bench.station(chosen)] if chosen else list(bench.stations.values())
    except ConfigurationError as error:
        take([Check("configuration", "fail", str(error), error.hint)])
        _end(found, as_json, 2)
        return
    source = str(bench.source or "no bench.toml: built-in simulated stations")
    take([Check("configuration", "ok", source)])
    take(checks.folders(bench))
    host = Host()
    for station in stations:
        take(checks.drivers(station))
        holding = list(checks.held(bench, station))
        take(holding)
        if not no_instruments and not any(
            item.name == f"{station.name} lock" and item.state == "warn" for item in holding
        ):
            asyncio.run(_ask(station, host, cards=card, take=take))
    take(checks.packages(bench.home))
    if not no_services:
        take(checks.services(bench, with_eim=lambda eim: _ways(stations, eim, host)))
    if overnight:
        from bench.client.doctor_overnight import overnight as night

        take(night(bench, stations, host, hours=hours))
    if card and not any(item.state == "fail" for item in found):
        take(_card(obj, chosen, {"eid": eid, "clock": clock, "world": world}))
    _end(found, as_json, 3)


async def _ask(station: StationConfig, host: Host, *, cards: bool, take: Callable[[Iterable[Check]], None]) -> None:
    from bench.client.doctor_station import station as ask

    async for item in ask(station, host, cards=cards):
        take([item])


async def _ways(stations: Iterable[StationConfig], eim: Mapping[str, Any], host: Host) -> list[Check]:
    from bench.client.doctor_path import path

    return [item for station in stations async for item in path(station, eim, host)]


def _card(obj: Mapping[str, Any], station: str, where: Mapping[str, Any]) -> list[Check]:
    from bench.cli.one_run import carry_out
    from bench.client.doctor_check import Check

    done = carry_out(obj, "euicc-trust", {}, {"station": station, **where})
    result = done.result("trust")
    if result is None:
        told = "; ".join(done.errors) or done.view.state
        return [Check("card", "fail", told, f"bench show {done.folder.name}")]
    found = [Check("card", "ok", f"EID {result['eid']}")]
    return found + [Check(item["name"], item["state"], item["text"], item["hint"]) for item in result["findings"]]


def show(item: Check, write: Callable[[str], object] = click.echo) -> None:
    """Print one finding."""
    write(f"{MARKS[item.state]:<5} {item.name:<24} {item.text}")
    if item.hint and item.state in ("fail", "warn") and item.hint not in item.text:
        write(f"{'':30} {item.hint}")


def _end(found: list[Check], as_json: bool, code: int) -> None:
    failed = [item for item in found if item.state == "fail"]
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(item) for item in found]})
    else:
        warned = sum(item.state == "warn" for item in found)
        click.echo(f"{len(failed)} fail, {warned} warn, {len(found)} looked at")
    sys.exit(code if failed else 0)
