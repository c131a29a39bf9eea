"""``bench soak``: start a plan, follow it, end it, go on with it."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import glyph, print_json, seconds, table

_OWNER_ENDS_WITHIN = 300.0
"""Seconds in which the owner of a job that was requeued may end."""


@click.command(epilog="Example: bench soak overnight-provisioning --station sim --dry-run")
@click.argument("plan", required=False)
@click.option("--station", "stations", multiple=True, help="Station instead of the plan's; may be given again.")
@click.option("--seed", type=int, help="Seed of the schedule instead of the plan's; drawn and kept when neither is.")
@click.option("--resume", metavar="SOAK", help="Go on with a soak ('last', an id or a part of one).")
@click.option("--follow", "followed", metavar="SOAK", help="Follow a soak that runs.")
@click.option("--stop", "stopped", metavar="SOAK", help="Have a soak finish its cycles, then end.")
@click.option("--now", is_flag=True, help="With --stop: teardown and safe instead of finishing the cycle.")
@click.option("--report", "reported", metavar="SOAK", help="Make the morning report again; print its one line.")
@click.option("--parquet", type=click.Path(dir_okay=False), help="With --report: write the cycles to this file too.")
@click.option("--list", "listed", is_flag=True, help="List plans and soaks.")
@click.option("--dry-run", is_flag=True, help="Say what the plan will use and how long it takes; touch nothing.")
@click.option("--slurm", is_flag=True, help="Submit a job of Slurm for each station instead of running here.")
@click.option("--sbatch", "options", multiple=True, metavar="OPTION", help="With --slurm: one more option of sbatch.")
@click.option("--slurm-job", "in_job", is_flag=True, hidden=True, help="With --resume: as Slurm's job script does.")
@click.option("--detach", is_flag=True, help="Start, print the soak's folder and leave it running.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def soak(
    obj: Mapping[str, Any],
    plan: str | None,
    stations: tuple[str, ...],
    seed: int | None,
    resume: str | None,
    followed: str | None,
    stopped: str | None,
    now: bool,
    reported: str | None,
    parquet: str | None,
    listed: bool,
    dry_run: bool,
    slurm: bool,
    options: tuple[str, ...],
    in_job: bool,
    detach: bool,
    as_json: bool,
) -> None:
    """Run the soak PLAN (a file.toml, or one of --list) unattended.

    Ctrl-C finishes the cycle in progress, a second one tears down, a third is safe at once. Closing the terminal leaves
    the soak going (plan: on_hangup). Exit code: 0 passed, 1 failed, 3 bench error, 5 inconclusive, 130 aborted.
    """
    from bench.client import soak as client
    from bench.soak import book
    from bench.station import config as configuration

    config = Path(obj["config"]) if obj.get("config") else None
    if sum(bool(item) for item in (plan, resume, followed, stopped, reported, listed)) != 1:
        raise click.UsageError("give a plan, or one of --resume, --follow, --stop, --report, --list")
    runs = configuration.load(config).runs
    if listed:
        _list(runs, as_json)
        return
    if reported:
        _report(book.find(runs, reported), parquet, as_json)
        return
    if stopped:
        folder = book.find(runs, stopped)
        done = client.stop(folder, "teardown" if now else "finish")
        click.echo(f"{folder.name} {'was told to stop' if done else 'has ended already'}")
        return
    if followed:
        sys.exit(_follow(book.find(runs, followed), as_json, None))
    if plan and dry_run:
        _dry_run(plan, config, stations, seed, as_json)
        return
    if plan and slurm:
        _submit(plan, config, stations, seed, options, as_json)
        return
    if resume:
        handle = client.resume(book.find(runs, resume), within=_OWNER_ENDS_WITHIN if in_job else 0.0)
    else:
        assert plan is not None
        if not as_json:
            _dry_run(plan, config, stations, seed, False)
        handle = client.start(plan, config=config, stations=stations, seed=seed)
    if detach:
        handle.detach()
        print_json({"soak": handle.folder.name, "folder": str(handle.folder)}) if as_json else click.echo(handle.folder)
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: handle.interrupt())
    if in_job:
        signal.signal(signal.SIGTERM, lambda _number, _frame: handle.tear_down())
        signal.signal(signal.SIGUSR1, lambda _number, _frame: handle.interrupt())
    _follow(handle.folder, as_json, handle)
    sys.exit(handle.wait())


def _submit(
    plan: str,
    config: Path | None,
    stations: tuple[str, ...],
    seed: int | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    from bench.client import slurm

    jobs = slurm.submit(plan, config=config, stations=stations, seed=seed, options=options)
    if as_json:
        print_json([dataclasses.asdict(job) for job in jobs])
        return
    table(("job", "station", "soak"), [(job.job, job.station, job.soak) for job in jobs])


def _dry_run(plan: str, config: Path | None, stations: tuple[str, ...], seed: int | None, as_json: bool) -> None:
    from bench.client import soak as client
    from bench.soak.estimate import summary

    found, file, told, used_seed = client.prepare(plan, config=config, stations=stations, seed=seed)
    if as_json:
        print_json(
            {"plan": str(file), "seed": used_seed, "stations": [dataclasses.asdict(estimate) for estimate in told]}
        )
        return
    click.echo(f"plan {found.name}  ({file})")
    for line in summary(told):
        click.echo(f"  {line}")


def _report(folder: Path, parquet: str | None, as_json: bool) -> None:
    from bench.soak import morning

    found = morning.write(folder)
    if parquet:
        from bench.soak.index import Index
        from bench.soak.parquet import write

        with Index(Path(folder).parent.parent / "runs") as index:
            write(index.cycles(f"soak={folder.name}"), Path(parquet))
    if as_json:
        print_json(found)
        return
    click.echo(morning.line_of(found))
    click.echo(str(folder / morning.REPORT))


def _list(runs: Path, as_json: bool) -> None:
    from bench.client import soak as client
    from bench.soak.plan import installed

    found, known = client.soaks(runs), installed()
    if as_json:
        print_json({"plans": {k: str(v) for k, v in known.items()}, "soaks": [dataclasses.asdict(s) for s in found]})
        return
    for name, headline in client.headlines().items():
        click.echo(f"{name:28}{headline}")
    click.echo("")
    table(
        ("soak", "plan", "started", "", "state", "cycles", "failed"),
        [(s.soak, s.title, s.started[:19], glyph(s.state), s.state, s.cycles, s.failures) for s in found],
    )


def _follow(folder: Path, as_json: bool, handle: Any) -> int:
    """Print what a soak does until its end; return 0, or 3 when it broke off."""
    from bench.client import soak as client

    click.echo(f"soak {folder.name}  ({folder})", err=as_json)
    code = 0
    with contextlib.suppress(BrokenPipeError):
        for event in client.follow(folder):
            if as_json:
                print_json(event)
            else:
                _line(event["type"], event["data"])
            code = 3 if event["type"] == "broken" else code
    return code


def _line(kind: str, data: Mapping[str, Any]) -> None:
    if kind == "cycle":
        verdict = str(data.get("verdict"))
        aside = "" if data.get("baseline", True) else "  (not from the baseline: left out of the rates)"
        aside += f"  ({len(data['set_aside'])} failed right after an interruption)" if data.get("set_aside") else ""
        told = f"  {data['signature']}" if data.get("signature") else ""
        name = f"{data.get('station')} #{data.get('cycle')} {data.get('label')}"
        click.echo(f"{glyph(verdict)} {name}: {verdict} in {seconds(data.get('elapsed'))}{told}{aside}")
    elif kind in ("stop", "quarantine", "station-end", "bench-error", "interrupted", "broken"):
        told = data.get("why") or data.get("error") or data.get("what") or f"cycle {data.get('cycle', '')}"
        click.echo(f"! {kind} {data.get('station', '')}: {told}")
    elif kind == "soak-end":
        click.echo(f"{glyph(str(data.get('verdict')))} {data.get('verdict')}: {data.get('told')}; {data.get('why')}")
