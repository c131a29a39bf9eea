"""``bench capture-kit``: a script and a page for the customer, whose output import reads completely."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.output import print_json


@click.command("capture-kit", epilog="Example: bench capture-kit for-the-customer/")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def capture_kit(folder: str, as_json: bool) -> None:
    """Write into FOLDER what a customer needs to record a failure: capture.py (Python 3.8, no packages), one page."""
    from bench.reproduce.kit import write

    files = write(Path(folder))
    if as_json:
        print_json({"files": [str(file) for file in files]})
    else:
        for file in files:
            click.echo(str(file))
