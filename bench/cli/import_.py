"""``bench import``: logs of a failure in the field to a scenario."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json

_KEPT_DAYS = 180


@click.command("import", epilog="Example: bench import at.log modem.pcapng supply.csv --out case42.toml --owner mk")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--out", type=click.Path(dir_okay=False), help="Write the scenario there (else to standard output).")
@click.option("--title", default="", help="What the case is called.")
@click.option("--owner", default="", help="Whose case it is.")
@click.option("--notes", default="", help="Free text kept with the case.")
@click.option(
    "--keep-days",
    default=_KEPT_DAYS,
    show_default=True,
    type=click.IntRange(1, 3650),
    help="Days until the case must be deleted.",
)
@click.option("--ignored", is_flag=True, help="List every line that was not understood.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def import_(
    files: tuple[str, ...],
    out: str | None,
    title: str,
    owner: str,
    notes: str,
    keep_days: int,
    ignored: bool,
    as_json: bool,
) -> None:
    """Read FILES (AT, APDU and console logs, syslog, journald, pcap, pcapng, CSV, run folders, bundles, folders).

    Says of each what was understood, what was ignored, and by which clock it tells time. What is inferred from logs of
    others is a suspicion with the line it comes from. Exit code: 0, or 1 when nothing at all was understood.
    """
    from bench.reproduce.deriving import delete_after, derive
    from bench.reproduce.importing import read_files
    from bench.reproduce.scenario import Case

    imported = read_files([Path(file) for file in files])
    today = datetime.datetime.now(datetime.UTC).date()
    scenario = derive(imported, title=title, case=Case(owner, notes, delete_after(keep_days, today)))
    understood = any(source.understood for source in imported.sources)
    text = scenario.text() if understood else ""
    if out is not None and understood:
        Path(out).write_text(text, "utf-8")
    if as_json:
        data: dict[str, Any] = {
            "sources": [source.data() for source in imported.sources],
            "conditions": [item.table() for item in scenario.conditions],
            "signature": scenario.signature.table(),
            "device": dict(scenario.device),
            "calls": len(imported.calls),
            "delete_after": str(scenario.case.delete_after),
            "scenario": (out or text) if understood else None,
        }
        print_json(data)
    else:
        _say(imported, scenario, ignored)
        _end(scenario, out, understood)
    sys.exit(0 if understood else 1)


def _end(scenario: Any, out: str | None, understood: bool) -> None:
    if not understood:
        click.echo("nothing was understood: there is no scenario", err=True)
        return
    signature = scenario.signature
    if not (signature.step or signature.message or signature.calls):
        click.echo("no sign of a failure: say in [signature] what it looks like", err=True)
    if out is None:
        click.echo(scenario.text())
    else:
        click.echo(f"written: {out}   next: bench reproduce {out}")


def _say(imported: Any, scenario: Any, ignored: bool) -> None:
    for source, line in zip(imported.sources, imported.ending(), strict=True):
        click.echo(line, err=True)
        for note in source.notes:
            click.echo(f"    {note}", err=True)
        shown = source.ignored if ignored else source.ignored[:3]
        for number, text in shown:
            click.echo(f"    ignored, {number}: {text}", err=True)
        left = len(source.ignored) - len(shown) + source.ignored_more
        if left:
            click.echo(f"    and {left} more are ignored" + ("" if ignored else " (--ignored lists them)"), err=True)
    for item in scenario.conditions:
        certain = "" if item.sure else "  (suspicion)"
        click.echo(f"condition {item.name}: {item.text}{certain}  {item.source}", err=True)
