"""``bench runs``, ``bench show`` and ``bench stop``: what was run, how it went, end it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import glyph, print_json, table


def _folder(obj: Mapping[str, Any]) -> Path:
    """Return the folder of the run folders."""
    from bench.station import config

    return config.load(Path(obj["config"]) if obj.get("config") else None).runs


@click.command(epilog="Example: bench runs --station sim -n 5")
@click.option("--station", default="", help="Only runs of this station.")
@click.option("--recipe", default="", help="Only runs of this recipe.")
@click.option("--state", default="", help="Only runs in this state: running, broken, pass, fail, bench-error ...")
@click.option("--soak", default="", help="Only runs of this soak ('last', an id or a part of one).")
@click.option("--since", default="", help="Only runs started since then: 2026-01-31, or a part of ISO 8601 (UTC).")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def runs(
    obj: Mapping[str, Any], station: str, recipe: str, state: str, soak: str, since: str, limit: int, as_json: bool
) -> None:
    """List the runs, newest first."""
    from bench import client

    if state or soak or since:
        found = _indexed(_folder(obj), station=station, recipe=recipe, state=state, soak=soak, since=since, limit=limit)
    else:
        found = client.runs(_folder(obj), limit=limit, station=station, recipe=recipe)
    if as_json:
        print_json([dataclasses.asdict(info) for info in found])
        return
    table(
        ("run", "station", "recipe", "started", "", "verdict", "label"),
        [
            (
                info.run_id,
                info.station + (" (SIM)" if info.simulated else ""),
                info.recipe.rpartition("/")[2],
                info.started,
                glyph(info.state),
                info.state,
                info.label,
            )
            for info in found
        ],
    )


def _indexed(folder: Path, *, soak: str, limit: int, **filters: str) -> list[Any]:
    """Return runs by the index, which is brought up to date first."""
    from bench.run.index import info
    from bench.soak import book
    from bench.soak.index import Index

    with Index(folder) as index:
        index.update()
        named = book.find(folder, soak).name if soak else ""
        ids = index.find_runs(soak=named, limit=limit, **filters)
    return [found for run in ids if (found := info(folder / run)) is not None]


@click.command(epilog="Example: bench show last")
@click.argument("run", default="last")
@click.option("--follow/--no-follow", default=True, help="Follow a live run to its end (default).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--events", is_flag=True, help="Print the journal events as JSON lines.")
@click.pass_obj
def show(obj: Mapping[str, Any], run: str, follow: bool, as_json: bool, events: bool) -> None:
    """Show RUN ('last', an id or a part of one, or a folder): steps with times, measurements, verdicts."""
    from bench import client
    from bench.cli.run import Printer

    folder = client.find(_folder(obj), run)
    printer = Printer(quiet=as_json or events)
    printer.head(folder)
    source = client.follow(folder) if follow else client.journal(folder)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        for event in source:
            printer.event(event)
            if events:
                print_json(event)
    if as_json:
        print_json(printer.summary(folder, printer.view.exit_code))


@click.command(epilog="Example: bench stop last")
@click.argument("run", default="last")
@click.option("--now", is_flag=True, help="Safe at once, without teardown.")
@click.option("--reason", default="", help="Kept in the journal.")
@click.pass_obj
def stop(obj: Mapping[str, Any], run: str, now: bool, reason: str) -> None:
    """Stop a live RUN: its teardown runs, then the station is made safe."""
    from bench import client

    folder = client.find(_folder(obj), run)
    if client.stop(folder, reason=reason, at_once=now):
        click.echo(f"{folder.name} was told to stop; bench show {folder.name} follows it")
    else:
        click.echo(f"{folder.name} has ended already")
