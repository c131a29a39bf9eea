"""``bench safe``: RF off, outputs off, verified by reading back."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import glyph, print_json


@click.command(epilog="Example: bench safe meter   (or: bench safe --all)")
@click.argument("stations", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every station that is held or was left unsafe by a crash.")
@click.option("--stale", is_flag=True, help="Only what a dead supervisor left unsafe (for the boot unit).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def safe(obj: Mapping[str, Any], stations: tuple[str, ...], everything: bool, stale: bool, as_json: bool) -> None:
    """Make STATIONS safe now: the owner is asked, after 0.5 s killed, and everything is read back.

    Exit code 0 when all of it is verified, 3 when something is NOT DEAD.
    """
    from bench import client
    from bench.station import config

    if not stations and not everything and not stale:
        raise click.UsageError("name stations, or --all")
    path = Path(obj["config"]) if obj.get("config") else None
    if stale:
        runs = config.load(path).runs
        left = set(client.stale(runs))
        stations = tuple(sorted({info.station for info in client.runs(runs) if info.folder in left}))
        if not stations:
            _tell([], as_json)
            return
    reports = client.safe(None if everything else list(stations), config=path)
    _tell(reports, as_json)
    if not all(report.safe for report in reports):
        sys.exit(3)


def _tell(reports: list[Any], as_json: bool) -> None:
    if as_json:
        print_json([dataclasses.asdict(report) for report in reports])
        return
    if not reports:
        click.echo("nothing is held and nothing was left unsafe")
    for report in reports:
        state = "safe" if report.safe else "NOT DEAD"
        click.echo(f"{glyph('pass' if report.safe else 'fail')} {report.station}: {state} (by {report.by})")
        for result in report.results:
            verified = "verified" if result.get("verified") else "NOT VERIFIED"
            reading = f", {result['reading']:.3g} V" if isinstance(result.get("reading"), float) else ""
            click.echo(f"    {result.get('name')}: {verified}{reading} {result.get('message') or ''}".rstrip())
        if report.message:
            click.echo(f"    {report.message}")
