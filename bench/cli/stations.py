"""``bench stations``: what there is, where it came from, who holds it, for whom it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.output import print_json, table

if TYPE_CHECKING:
    from bench.station.config import BenchConfig, StationConfig


@click.group(invoke_without_command=True, epilog="Example: bench stations reserve lab1 --until 18:00 --note 'PSM soak'")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def stations(context: click.Context, as_json: bool) -> None:
    """List the stations of bench.toml and the simulated ones, who holds them, for whom they are reserved.

    Touches no instrument. 'reserve' keeps a station for you: runs of others are refused with your name and note.
    """
    if context.invoked_subcommand is None:
        _list(context.obj, as_json)


def _list(obj: Mapping[str, Any], as_json: bool) -> None:
    from bench.station import locks, reservations
    from bench.station.opened import station_key

    bench = _bench(obj)
    rows: list[dict[str, Any]] = []
    for name, station in bench.stations.items():
        key = station_key(station, bench.home)
        owner, kept = locks.holder(key), reservations.get(key)
        rows.append(
            {
                "station": name,
                "simulated": station.simulated,
                "has": has(station),
                "expendable": station.expendable,
                "held_by": str(owner) if owner else "",
                "reserved": asdict(kept) if kept else None,
                "origin": station.origin,
            }
        )
    if as_json:
        print_json({"config": str(bench.source or ""), "home": str(bench.home), "stations": rows})
        return
    click.echo(f"{bench.source or 'no bench.toml: built-in simulated stations'}; runs in {bench.runs}")
    kept_for = {row["station"]: row["reserved"] for row in rows}
    table(
        ("station", "kind", "has", "held by", "reserved for"),
        [
            (
                row["station"],
                "SIM" if row["simulated"] else "REAL",
                ", ".join(row["has"]),
                row["held_by"] or "-",
                str(reservations.Reservation(**kept)) if (kept := kept_for[row["station"]]) else "-",
            )
            for row in rows
        ],
    )


def has(station: StationConfig) -> list[str]:
    """Return what a station's table names: instruments, card, data path, and what acts on the device."""
    from bench.station.dut import LINES
    from bench.station.parts import parts

    found = [part.name for part in parts(station)]
    found += [name for name in ("card", "data") if getattr(station, name) is not None]
    if station.dut is not None:
        found += [name for name in LINES if station.dut.line(name) is not None]
        found += ["flash"] if station.dut.flash is not None else []
    return found


@stations.command(epilog="Example: bench stations reserve lab1 --until 4h --note 'do not unplug: overnight soak'")
@click.argument("station")
@click.option("--until", "end", required=True, metavar="TIME", help="4h, 30min, 2d, 18:00 or 2026-12-01T18:00.")
@click.option("--note", default="", help="What for: shown to whoever wants the station.")
@click.option("--owner", default="", help="For whom (default: $BENCH_OWNER, else the user).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def reserve(obj: Mapping[str, Any], station: str, end: str, note: str, owner: str, as_json: bool) -> None:
    """Keep STATION for yourself until a time: runs of others are refused with your name and note. Ends by itself."""
    from bench.station import reservations

    key, found = _station(obj, station)
    made = reservations.reserve(key, found.name, until=reservations.until(end), note=note, by=owner or None)
    if as_json:
        print_json(asdict(made))
    else:
        click.echo(f"{found.name} is reserved for {made}")


@stations.command(epilog="Example: bench stations release lab1")
@click.argument("station")
@click.option("--owner", default="", help="Whose it is (default: $BENCH_OWNER, else the user).")
@click.option("--force", is_flag=True, help="Also the reservation of somebody else: ask first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def release(obj: Mapping[str, Any], station: str, owner: str, force: bool, as_json: bool) -> None:
    """End the reservation of STATION."""
    from bench.station import reservations

    key, found = _station(obj, station)
    ended = reservations.release(key, found.name, by=owner or None, force=force)
    if as_json:
        print_json({"station": found.name, "released": asdict(ended) if ended else None})
    else:
        click.echo(f"{found.name} was reserved for {ended}: released" if ended else f"{found.name} was not reserved")


def _bench(obj: Mapping[str, Any]) -> BenchConfig:
    from bench.station import config

    return config.load(Path(obj["config"]) if obj.get("config") else None)


def _station(obj: Mapping[str, Any], name: str) -> tuple[str, StationConfig]:
    from bench.station.opened import station_key

    bench = _bench(obj)
    found = bench.station(name)
    return station_key(found, bench.home), found
