"""``bench record``: all lanes of a station, no recipe, until Ctrl-C."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json
from bench.cli.run import Printer, relayed, world_options


@click.command(epilog="Example: bench record --station meter --for 600 --label 'field sample A7'")
@click.option("--station", default="sim", show_default=True, help="Station of bench.toml.")
@click.option("--for", "seconds", type=click.FloatRange(0.1), help="End after so many seconds (default: Ctrl-C ends).")
@click.option("--passive", is_flag=True, help="Touch nothing: only listen, switch nothing, not even off at the end.")
@click.option("--power/--no-power", default=True, show_default=True, help="Give the device its power.")
@click.option("--with-secrets", is_flag=True, help="Put TLS and DTLS session secrets into the trace: it decrypts.")
@click.option(
    "--part-size", type=click.IntRange(1), default=256, show_default=True, help="MB after which a new file begins."
)
@click.option("--clock", help="Simulated stations: real (default here), scaled:FACTOR or instant.")
@click.option("--world", multiple=True, metavar="NAME=VALUE", help="Option of the simulated world.")
@click.option("--label", default="", help="Free text kept in run.json.")
@click.option("--detach", is_flag=True, help="Start it, print its folder and leave it recording: bench stop ends it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.pass_obj
def record(
    obj: Mapping[str, Any],
    station: str,
    seconds: float | None,
    passive: bool,
    power: bool,
    with_secrets: bool,
    part_size: int,
    clock: str | None,
    world: tuple[str, ...],
    label: str,
    detach: bool,
    as_json: bool,
) -> None:
    """Record every lane of a station into a run folder, with no recipe.

    Supply, modem, emulator and consoles are opened and the device gets its power; Ctrl-C ends the recording, and the
    station is made safe as after every run. With --passive nothing is switched and nothing is said to the device: the
    supply is asked for volts and amperes, consoles are read; modem, card and emulator are not opened. What was recorded
    is shown by 'bench trace show', and opens in Wireshark. Exit codes as of 'bench run'.
    """
    from bench.client import StartOptions, follow, start
    from bench.station import config

    path = Path(obj["config"]) if obj.get("config") else None
    simulated = config.load(path).station(station).world is not None
    options = StartOptions(
        config=path,
        clock=clock or ("real" if simulated else None),
        label=label,
        world=world_options(world),
        with_secrets=with_secrets,
        passive=passive,
        trace_part=part_size << 20,
    )
    given: dict[str, object] = {"duration": seconds or 0.0}
    if not passive:
        given["power"] = power
    handle = start("listen" if passive else "record", station, given, options)
    if detach:
        handle.detach()
        if as_json:
            print_json({"run": handle.run_id, "folder": str(handle.folder), "supervisor": handle.pid})
        else:
            click.echo(str(handle.folder))
        return
    with relayed(handle):
        printer = Printer(quiet=as_json)
        with contextlib.suppress(BrokenPipeError):
            printer.head(handle.folder)
            for event in follow(handle.folder):
                printer.event(event)
        code = handle.wait()
    found = _recorded(handle.folder)
    if as_json:
        print_json({**printer.summary(handle.folder, code), "recorded": found})
    else:
        told = ", ".join(f"{lane} {count}" for lane, count in sorted(found["lanes"].items())) or "nothing"
        click.echo(f"  {found['packets']} packets in {found['trace']}: {told}")
    sys.exit(3 if code is None else code)


def _recorded(folder: Path) -> dict[str, Any]:
    """Return where the trace is and how many packets each lane has."""
    from collections import Counter

    from bench.run.folder import TRACE
    from bench.trace import read
    from bench.trace.parts import parts

    trace = folder / TRACE
    lanes = Counter(packet.lane for packet in read(trace)) if trace.exists() else Counter()
    return {
        "trace": str(trace),
        "files": [str(path) for path in parts(trace) if path.exists()],
        "packets": lanes.total(),
        "lanes": dict(lanes),
    }
