"""``bench stations``: what there is, where it came from, who holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json, table


@click.command(epilog="Example: bench stations --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def stations(obj: Mapping[str, Any], as_json: bool) -> None:
    """List the stations of bench.toml and the simulated ones, and who holds them. Touches no instrument."""
    from bench.station import config, locks
    from bench.station.opening import station_key

    bench = config.load(Path(obj["config"]) if obj.get("config") else None)
    rows: list[dict[str, Any]] = []
    for name, station in bench.stations.items():
        owner = locks.holder(station_key(station, bench.home))
        kinds = ("power", "modem", "network", "card", "switch", "data")
        parts = [kind for kind in kinds if getattr(station, kind) is not None]
        if station.card is not None and station.card.at != "modem":
            parts.insert(parts.index("card"), "reader")
        rows.append(
            {
                "station": name,
                "simulated": station.simulated,
                "has": parts,
                "expendable": station.expendable,
                "held_by": str(owner) if owner else "",
                "origin": station.origin,
            }
        )
    if as_json:
        print_json({"config": str(bench.source or ""), "home": str(bench.home), "stations": rows})
        return
    click.echo(f"{bench.source or 'no bench.toml: built-in simulated stations'}; runs in {bench.runs}")
    table(
        ("station", "kind", "has", "held by"),
        [
            (row["station"], "SIM" if row["simulated"] else "REAL", ", ".join(row["has"]), row["held_by"] or "-")
            for row in rows
        ],
    )
