"""``bench reproduce``: play a scenario, and say how often the failure comes back."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


def scenario_places(obj: Mapping[str, Any]) -> list[Path]:
    """Return the folders in which scenarios are found by name: here, and those that are shipped with the recipes."""
    from importlib.util import find_spec

    places = [Path("scenarios")]
    spec = find_spec("recipes")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        places.append(Path(place) / "scenarios")
    return places


@click.command(epilog="Example: bench reproduce profile-enabled-old-identity -n 20")
@click.argument("scenario", required=False)
@click.option(
    "-n", "--runs", "count", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How often."
)
@click.option("--station", default="", help="Another station than the scenario's.")
@click.option("--without", multiple=True, metavar="NAME", help="Leave this condition out; repeatable.")
@click.option("--only", multiple=True, metavar="NAME", help="Only these conditions; repeatable.")
@click.option("--without-decisive", is_flag=True, help="Leave out what is decisive: it should pass then.")
@click.option("--seed", type=click.IntRange(0, (1 << 32) - 1), help="Seed of the first run.")
@click.option(
    "--expect",
    type=click.Choice(["failure", "gone"]),
    default="failure",
    show_default=True,
    help="failure: exit 0 when it came back; gone: exit 0 when no run showed it and every run passed.",
)
@click.option("--field", "field_log", type=click.Path(exists=True), help="The field's log or trace, to compare with.")
@click.option("--list", "listed", is_flag=True, help="List the scenarios that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def reproduce(
    obj: Mapping[str, Any],
    scenario: str | None,
    count: int,
    station: str,
    without: tuple[str, ...],
    only: tuple[str, ...],
    without_decisive: bool,
    seed: int | None,
    expect: str,
    field_log: str | None,
    listed: bool,
    as_json: bool,
) -> None:
    """Play SCENARIO (a file, or the name of one that is shipped) and compare each run with its signature.

    Exit code: 0 the failure came back in at least one run (with --expect gone: no run showed it and every run passed),
    1 it did not, 2 the scenario is wrong, 3 the bench failed.
    """
    if listed or scenario is None:
        _list(obj, as_json)
        return
    from bench.client.playing import RunPlayer
    from bench.reproduce import play, station_table
    from bench.reproduce.scenario import find_scenario, read_scenario

    chosen = read_scenario(find_scenario(scenario, scenario_places(obj)))
    names = [item.name for item in chosen.conditions]
    for name in (*without, *only):
        if name not in names:
            raise click.UsageError(f"there is no condition {name!r}; there are {', '.join(names) or 'none'}")
    left_out = {*without, *(chosen.decisive if without_decisive else ())}
    if without_decisive and not chosen.decisive:
        raise click.UsageError("the scenario names no decisive condition: bench minimise finds them")
    chosen = chosen.only(only) if only else chosen
    chosen = chosen.without(left_out)
    if seed is not None:
        chosen = replace(chosen, seed=seed)
    warn_overdue(chosen)
    player = RunPlayer(config_of(obj), station=station)
    simulated = _simulated(obj, player.station_of(chosen))
    before = rows = station_table.compare(chosen, station_table.station_facts(chosen.world, {}))
    able = station_table.playable(chosen, simulated=simulated, has=())
    if not as_json:
        _head(chosen, rows, able)
    field_calls = _field_calls(field_log)

    def told(number: int, played: play.Played | None, course: Any) -> None:
        if as_json:
            return
        if played is None:
            click.echo(f"  run {number + 1}: says nothing, the bench failed: {course.message}")
        else:
            state = "shows the failure" if played.hit else f"does not: {'; '.join(played.match.missing)}"
            click.echo(f"  run {number} (seed {played.seed}): {state}  {Path(course.folder).name}")

    found = play.reproduce(chosen, player, count, field_calls=field_calls, told=told)
    if found.played:  # now the station has told who it is
        rows = station_table.compare(
            chosen, station_table.station_facts(chosen.world, found.played[0].course.identities)
        )
    good = bool(found.hits) if expect == "failure" else _gone(found)
    if as_json:
        print_json(
            {
                "scenario": chosen.title,
                "file": chosen.source,
                "conditions": [item.name for item in chosen.conditions],
                "simulated": simulated,
                **found.data(),
                "expected": expect,
                "as_expected": good,
                "table": [
                    {"what": row.what, "field": row.field, "station": row.station, "likeness": row.likeness}
                    for row in rows
                ],
                "table_verdict": station_table.verdict(rows),
                "not_created": [item.condition.name for item in able if not item.can],
            }
        )
    else:
        for line in found.lines():
            click.echo(line)
        if rows != before:
            _table(rows)
        click.echo(f"field against station: {station_table.verdict(rows)}; {'simulated' if simulated else 'real'}")
    sys.exit(0 if good else 1)


def _gone(found: Any) -> bool:
    return not found.hits and all(item.course.verdict == "pass" for item in found.played)


def config_of(obj: Mapping[str, Any]) -> Path | None:
    """Return the bench.toml that was named."""
    return Path(obj["config"]) if obj.get("config") else None


def warn_overdue(chosen: Any) -> None:
    """Say that a case should be gone."""
    if chosen.case.overdue(datetime.datetime.now(datetime.UTC).date()):
        click.echo(f"{chosen.source}: the case was to be deleted after {chosen.case.delete_after}, logs too", err=True)


def _simulated(obj: Mapping[str, Any], station: str) -> bool:
    from bench.station import config

    return bool(config.load(config_of(obj)).station(station).simulated)


def _field_calls(path: str | None) -> Any:
    if path is None:
        return ()
    from bench.reproduce.importing import read_files

    return read_files([Path(path)]).calls


def _head(chosen: Any, rows: Any, able: Any) -> None:
    from bench.reproduce import station_table

    click.echo(chosen.title)
    if chosen.summary:
        click.echo(f"  {chosen.summary}")
    if chosen.case.text:
        click.echo(f"  case: {chosen.case.text}")
    _table(rows)
    click.echo(f"  {station_table.verdict(rows)}")
    click.echo("conditions" if able else "conditions: none")
    for item in able:
        instead = f"; stands in: {item.stands_in}" if item.stands_in else ""
        how = f"by {item.by}" if item.can else f"CANNOT be created here{instead}"
        click.echo(f"  {item.condition.name}: {item.condition.text}  ({how})")


def _table(rows: Any) -> None:
    if rows:
        click.echo("field against station")
    for row in rows:
        name = row.what.replace("_", " ")
        click.echo(f"  {name:<16}{row.field or '?':<26}{row.station or '?':<26}{row.likeness}")


def _list(obj: Mapping[str, Any], as_json: bool) -> None:
    from bench.errors import BenchError
    from bench.reproduce.scenario import read_scenario

    found = []
    for place in scenario_places(obj):
        for file in sorted(place.glob("*.toml")) if place.is_dir() else ():
            try:
                found.append((file, read_scenario(file).title))
            except BenchError as error:
                found.append((file, f"cannot be read: {error}"))
    if as_json:
        print_json({"scenarios": [{"name": file.stem, "file": str(file), "title": title} for file, title in found]})
        return
    for file, title in found:
        click.echo(f"{file.stem:<34}{title}")
    if not found:
        click.echo("no scenarios here: a file with bench import, or the shipped ones with the recipes")
