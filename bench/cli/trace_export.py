"""``bench trace export`` and ``bench trace lua``: a trace for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


@click.command(epilog="Example: bench trace export last -o run.pcap   or: ... -o run.csv --lane at:modem")
@click.argument("trace", default="last")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("pcap", "pcapng", "csv", "parquet")),
    help="pcap and pcapng: GSMTAP (default: by the ending of the file).",
)
@click.option("--lane", "lanes", multiple=True, metavar="NAME", help="Only this lane, or kind of lanes (repeatable).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def export(
    obj: Mapping[str, Any],
    trace: str,
    output: Path,
    form: str | None,
    lanes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write TRACE (a file, a run folder, 'last' or an id) as GSMTAP, CSV or Parquet.

    GSMTAP is for tools that know no exported PDU (Wireshark before 2, pySim-trace): card, NAS, RRC and IP; the other
    lanes have no GSMTAP type and are left out. Nothing is redacted: 'bench bundle' does that.
    """
    from bench.cli.trace_replay import trace_file
    from bench.trace import export as exporting
    from bench.trace import read

    path = trace_file(obj, trace)
    read_packets = 0

    def chosen() -> Any:
        nonlocal read_packets
        for packet in read(path):
            if not lanes or packet.lane in lanes or packet.lane.partition(":")[0] in lanes:
                read_packets += 1
                yield packet

    count = exporting.export(chosen(), output, form or "")
    if as_json:
        print_json({"file": str(output), "packets": count, "of": read_packets})
    else:
        click.echo(str(output))
        click.echo(f"{count} written of {read_packets} packets", err=True)


@click.command(epilog="Example: bench trace lua -o ~/.local/lib/wireshark/plugins/esim_es10.lua")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file (default: print it).")
def lua(output: Path | None) -> None:
    """Write a dissector of ES10 and ESipa for Wireshark 3.6 to 4.4, which know none; 4.6 has its own.

    Made from the bench's own tables of functions and results. It works on this bench's traces and on GSMTAP of any
    SIM tracer; filter by esim_es10.function, esim_es10.result and esim_es10.iccid.
    """
    from bench.errors import BenchError
    from bench.trace.lua import dissector

    text = dissector()
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, "utf-8")
    except OSError as error:
        raise BenchError(
            f"cannot write: {error.strerror}",
            where=str(output),
            hint="name a file in a folder of your own; without one the dissector is printed",
        ) from error
    click.echo(str(output))
