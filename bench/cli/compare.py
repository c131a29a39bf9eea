"""``bench compare``: two firmware, card or modem versions, and what could have been seen at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json, table
from bench.errors import ConfigurationError


@click.command(epilog="Example: bench compare last:label=old last:label=new")
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def compare(obj: Mapping[str, Any], a: str, b: str, as_json: bool) -> None:
    """Compare the cycles B with the cycles A.

    Each is SOAK:KEY=VALUE,KEY=VALUE: SOAK is 'last', an id or a part of one, or empty for all; KEY is station, label,
    recipe, sample (EID or IMEI), firmware, run, or a parameter of the recipe. Either part may be left out.
    """
    from bench.soak.compare import compare as compared
    from bench.soak.index import Index
    from bench.station import config as configuration

    runs = configuration.load(Path(obj["config"]) if obj.get("config") else None).runs
    with Index(runs) as index:
        index.update()
        left, right = index.cycles(*_filters(runs, a)), index.cycles(*_filters(runs, b))
        if len(index.simulated([*left, *right])) > 1:
            raise ConfigurationError(
                "simulated and real cycles cannot be compared", where=f"{a}, {b}", hint="add station=NAME to both"
            )
        found = compared(a, left, b, right)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    click.echo(found.said)
    click.echo("")
    table(
        ("", "cycles", "failed", "events", "95 % interval"),
        [
            (side.name, side.cycles, side.failures, side.events, _interval(side.interval.lower, side.interval.upper))
            for side in (found.a, found.b)
        ],
    )
    seen = "not enough runs" if found.detectable is None else f"{found.detectable:.2%}"
    click.echo(f"difference B - A: {_interval(found.difference.lower, found.difference.upper)}; detectable: {seen}")
    differing = [item for item in found.timings if item.differs]
    if differing:
        click.echo("")
        table(
            ("phase", "A p50 s", "B p50 s", "difference of means s"),
            [
                (t.name, f"{t.a:.3f}", f"{t.b:.3f}", f"{t.difference.lower:+.3f} to {t.difference.upper:+.3f}")
                for t in differing
            ],
        )


def _filters(runs: Path, text: str) -> list[str]:
    """Return the filters of SOAK:KEY=VALUE,... Raises ConfigurationError."""
    from bench.soak.book import find

    soak, separator, rest = text.partition(":")
    if not separator and "=" in text:
        soak, rest = "", text
    found = [item for item in rest.split(",") if item]
    return [f"soak={find(runs, soak).name}", *found] if soak else found


def _interval(lower: float, upper: float) -> str:
    return f"{lower:.2%} to {upper:.2%}"
