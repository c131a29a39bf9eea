"""``bench minimise``: the few conditions of a scenario that matter."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


@click.command(epilog="Example: bench minimise field.toml --out regression/")
@click.argument("scenario")
@click.option("--runs", default=200, show_default=True, type=click.IntRange(5, 100_000), help="Runs at most.")
@click.option("--station", default="", help="Another station than the scenario's.")
@click.option(
    "--sizes/--no-sizes",
    default=True,
    help="Make sizes and moments of what is left simpler, too.",
)
@click.option(
    "--out", type=click.Path(file_okay=False), help="Write scenario, regression recipe and pytest file there."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def minimise(
    obj: Mapping[str, Any], scenario: str, runs: int, station: str, sizes: bool, out: str | None, as_json: bool
) -> None:
    """Find the smallest set of conditions of SCENARIO that still shows its signature.

    A failure that comes only sometimes is asked for as often as it takes. What is not certain is said. Exit code: 0 a
    smallest set was found, 1 the failure did not come back, 5 found and unsure, 2 the scenario is wrong, 3 the bench.
    """
    from bench.cli.reproduce import config_of, scenario_places, warn_overdue
    from bench.client.playing import RunPlayer
    from bench.reproduce import minimise as minimising
    from bench.reproduce import regression
    from bench.reproduce.scenario import find_scenario, read_scenario

    chosen = read_scenario(find_scenario(scenario, scenario_places(obj)))
    warn_overdue(chosen)
    player = RunPlayer(config_of(obj), station=station, keep=False)

    def told(text: str) -> None:
        if not as_json:
            click.echo(f"  {text}")

    found = minimising.minimise(chosen, player, most=runs, sizes=sizes, told=told)
    files: list[Path] = []
    if out is not None and found.whole.hits:
        files = regression.write(found, Path(out))
    if as_json:
        print_json({"scenario": chosen.title, **found.data(), "files": [str(file) for file in files]})
    else:
        click.echo(found.sentence)
        for text in found.smaller:
            click.echo(f"  simpler: {text}")
        click.echo(f"  {found.runs} runs, {found.configurations} sets of conditions")
        for file in files:
            click.echo(f"  {file}")
    sys.exit(1 if not found.whole.hits else 5 if found.unsure else 0)
