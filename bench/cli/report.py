"""``bench report``: make what is derived from a run folder again, or print it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


@click.command(epilog="Example: bench report last --html /tmp/run.html")
@click.argument("run", default="last")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the HTML report to this file instead of into the run folder.",
)
@click.option("--junit", is_flag=True, help="Print JUnit XML.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of result.json, which --json prints too.")
@click.pass_obj
def report(obj: Mapping[str, Any], run: str, html: Path | None, junit: bool, as_json: bool, schema: bool) -> None:
    """Make the report of RUN ('last', an id or a part of one, or a folder) from its record, and print where it is.

    Writes report.html into the run folder, and result.json and junit.xml of a run that has ended. Everything comes
    from the journal, the trace and the samples: it can be made again at any time, also of a run that broke off, and of
    a folder copied from another machine. With --junit or --json it prints and writes nothing, unless --html is given.
    """
    if schema:
        from bench.report.schema import RESULT

        print_json(RESULT)
        return
    from bench import client
    from bench.report.html import write
    from bench.run import junit as junit_xml
    from bench.run import summary
    from bench.run.liveness import alive
    from bench.station import config

    if junit and as_json:
        raise click.UsageError("--junit and --json print different things: choose one")
    # The configuration only says where run folders are: a folder that is named needs none.
    folder = Path(run) if (Path(run) / "journal.jsonl").is_file() else None
    if folder is None:
        runs = config.load(Path(obj["config"]) if obj.get("config") else None).runs
        folder = client.find(runs, run)
    if junit or as_json:
        result = summary.result(folder)
        if html is not None:
            write(folder, html)
        if junit:
            click.echo(junit_xml.junit(result), nl=False)
        else:
            print_json(result)
        return
    path = write(folder, html)
    if html is None and not alive(folder):  # of a live run the runner writes them at its end
        _derive(folder)
    click.echo(str(path))


def _derive(folder: Path) -> None:
    from bench.errors import BenchError
    from bench.run import summary

    try:
        summary.derive(folder)
    except OSError as error:
        raise BenchError(
            f"the result cannot be written: {error.strerror}",
            where=str(folder),
            hint="free space, or own the run folder",
        ) from error
