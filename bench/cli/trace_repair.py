"""``bench trace repair``: make a trace whole again that a crash or a power cut has torn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


@click.command(epilog="Example: bench trace repair last")
@click.argument("run", default="last")
@click.option(
    "--secrets-first",
    is_flag=True,
    help="Put TLS secrets that came late in front of the packets: Wireshark decrypts only behind them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a file.")
@click.pass_obj
def repair(obj: Mapping[str, Any], run: str, secrets_first: bool, as_json: bool) -> None:
    """Repair the trace of RUN ('last', an id or a part of one, a run folder, or a pcapng file), every part of it.

    A torn record at the end is cut off; everything before it stays as it is. Without this, what is appended behind it
    is lost to Wireshark. Damage in the middle is cut off too, and what was behind it is kept beside the trace. A file
    that is no trace is left alone, and so is a run that is being recorded.
    """
    from dataclasses import asdict

    from bench.errors import BenchError
    from bench.run.folder import TRACE
    from bench.run.liveness import alive
    from bench.trace import repair as repair_file
    from bench.trace.parts import parts
    from bench.trace.rewrite import secrets_first as rewritten

    path = Path(run)
    if not path.is_file():
        path = _folder(obj, run) / TRACE
        if alive(path.parent):
            raise BenchError("the run is being recorded", where=str(path.parent), hint="bench stop ends it")
    for each in parts(path):
        report = repair_file(each)
        moved = rewritten(each) if secrets_first else 0
        if as_json:
            found = {**asdict(report), "path": str(report.path), "saved": report.saved and str(report.saved)}
            print_json({**found, "secrets_moved": moved})
        else:
            click.echo(str(report) + (f", {moved} blocks of secrets put to the front" if moved else ""))


def _folder(obj: Mapping[str, Any], run: str) -> Path:
    from bench import client
    from bench.station import config

    if (Path(run) / "journal.jsonl").is_file():
        return Path(run)
    return client.find(config.load(Path(obj["config"]) if obj.get("config") else None).runs, run)
