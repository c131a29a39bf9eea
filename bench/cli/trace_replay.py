"""``bench trace replay``: recorded commands to a card again; the recorded card for programs that want one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.one_run import station_options
from bench.cli.output import print_json, table


def trace_file(obj: Mapping[str, Any], text: str) -> Path:
    """Return the trace that ``text`` names: a file, a run folder, 'last', an id or a part of one."""
    path = Path(text)
    if path.is_file():
        return path
    from bench import client
    from bench.run.folder import TRACE
    from bench.station import config

    if not path.is_dir():
        path = client.find(config.load(Path(obj["config"]) if obj.get("config") else None).runs, text)
    return path / TRACE


@click.command(epilog="Example: bench trace replay last   then: bench trace replay last --send --station lab1")
@click.argument("trace", default="last")
@click.option("--lane", default="", help="Lane with the APDUs (default: the first apdu: lane, else +CSIM and +CGLA).")
@click.option("--send", is_flag=True, help="Send them to the card of --station; without it only the list is shown.")
@click.option("--allow-destructive", is_flag=True, help="Send also what changes the card or belongs to a session.")
@click.option("--as-card", is_flag=True, help="Play the recorded card in a simulated PC/SC reader until a signal.")
@click.option("--all", "show_all", is_flag=True, help="Show volatile differences too.")
@station_options
@click.pass_obj
def replay(
    obj: Mapping[str, Any],
    /,
    trace: str,
    lane: str,
    send: bool,
    allow_destructive: bool,
    as_card: bool,
    show_all: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """List what TRACE (a file, a run folder, 'last' or an id) has sent to the card; with --send, send it again.

    Reading commands are sent, and their answers compared by TLV path: status word, structure, value. What differs each
    time (challenges, signatures, counters, free memory) is counted as volatile. Commands that change the card are sent
    only with --allow-destructive; each application is one run with locks and a run folder. Exit code 1 when an answer
    differs. With --as-card other programs find the recorded card behind a private pcscd.
    """
    from bench.trace import read
    from bench.trace import replay as replaying
    from bench.trace.card_commands import card_commands

    path = trace_file(obj, trace)
    if as_card:
        if send:
            raise click.UsageError("--send and --as-card are two directions: choose one")
        _play(obj, path, where["station"], where["world"], as_json)
        return
    steps = replaying.plan(card_commands(read(path), lane), allow_destructive=allow_destructive)
    if not send:
        _show_plan(steps, as_json)
        return
    if not as_json:
        _show_plan(steps, False)
    from bench.cli.one_run import carry_out

    compared: list[Any] = []
    runs, code = [], 0
    for group in replaying.groups(steps):
        given = {"apdus": tuple(apdu.hex() for apdu in group.apdus), "aid": group.aid.hex(), "follow": True}
        done = carry_out(obj, "euicc-apdu", given, where)
        runs.append(done.folder.name)
        received = done.result("apdus")
        if received is None or done.code:
            for error in done.errors:
                click.echo(f"bench: {error}", err=True)
            code = done.code or 3
            break
        compared += replaying.answers(group, received["answers"])
    differing = [item for item in compared if not item.same]
    if as_json:
        print_json(_result(compared, runs, code))
    else:
        _show_result(compared, show_all)
    sys.exit(code or (1 if differing else 0))


def _show_plan(steps: Sequence[Any], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "commands": [
                    {
                        "packet": step.exchange.number,
                        "name": step.name,
                        "kind": step.kind,
                        "sent": step.sent,
                        "reason": step.reason,
                        "apdus": [block.hex() for block in step.exchange.blocks],
                    }
                    for step in steps
                ]
            }
        )
        return
    rows = [
        (step.exchange.number, "send" if step.sent else "-", step.kind, step.name[:60], step.reason) for step in steps
    ]
    table(("packet", "", "kind", "command", "why not"), rows)


def _result(compared: Sequence[Any], runs: Sequence[str], code: int) -> dict[str, Any]:
    import dataclasses

    return {
        "runs": list(runs),
        "replayed": len(compared),
        "identical": sum(not item.differences for item in compared),
        "same_but_volatile": sum(bool(item.differences) and item.same for item in compared),
        "different": sum(not item.same for item in compared),
        "exit_code": code,
        "differences": [
            {"packet": item.step.exchange.number, "name": item.step.name, **dataclasses.asdict(difference)}
            for item in compared
            for difference in item.differences
        ],
    }


def _show_result(compared: Sequence[Any], show_all: bool) -> None:
    for item in compared:
        for difference in item.differences:
            if difference.level == "volatile" and not show_all:
                continue
            name = f"packet {item.step.exchange.number} {item.step.name}"
            click.echo(f"{name}: {difference.level} {difference.path}: {difference.recorded} -> {difference.found}")
    same = sum(not item.differences for item in compared)
    volatile = sum(bool(item.differences) and item.same for item in compared)
    click.echo(
        f"{len(compared)} replayed: {same} identical, {volatile} differ in volatile fields or state only, "
        f"{len(compared) - same - volatile} differ"
    )


def _play(obj: Mapping[str, Any], path: Path, station: str, world: tuple[str, ...], as_json: bool) -> None:
    """Keep a simulated station up whose card is the recorded one."""
    from bench.cli.sim import up
    from bench.trace import read
    from bench.trace.tape import Tape

    count = Tape.read(read(path)).count  # a trace without a card is refused before anything is started
    click.echo(f"the card of {path}: {count} exchanges", err=True)
    click.get_current_context().invoke(
        up,
        station="sim-pcsc" if station == "sim" else station,
        clock="real",
        seed=1,
        world=(*world, f"card_tape={path.absolute()}", "card_at=reader"),
        readers=None,
        as_json=as_json,
    )
