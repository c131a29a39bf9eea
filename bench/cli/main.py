"""The ``bench`` command: a table of commands, each imported only when it is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bench.cli.lazy import LazyGroup, Table

COMMANDS: Table = {
    "run": ("bench.cli.run:run", "Run a recipe on a station and follow it."),
    "soak": ("bench.cli.soak:soak", "Run a soak plan unattended: follow, stop, resume."),
    "compare": ("bench.cli.compare:compare", "Compare two sets of soak cycles: versions of firmware, card, modem."),
    "record": ("bench.cli.record:record", "Record every lane of a station, with no recipe, until it is stopped."),
    "recipes": ("bench.cli.recipes:recipes", "List recipes, or explain one with its parameters."),
    "stations": ("bench.cli.stations:stations", "List, reserve and release the stations; who holds them."),
    "discover": ("bench.cli.discover:discover", "Find ports, readers, supplies and relays; propose a bench.toml."),
    "runs": ("bench.cli.runs:runs", "List the runs kept in the runs folder."),
    "show": ("bench.cli.runs:show", "Show a run: steps, times, measurements, verdict; follows a live one."),
    "report": ("bench.cli.report:report", "Make the report of a run again, or print JUnit XML or JSON."),
    "demo": ("bench.cli.demo:demo", "The screens with a guided tour, on the simulated bench."),
    "stop": ("bench.cli.runs:stop", "Stop a live run: teardown, then safe."),
    "safe": ("bench.cli.safe:safe", "Make stations safe now: RF off, outputs off, verified."),
    "import": ("bench.cli.import_:import_", "Turn logs of a failure in the field into a scenario."),
    "capture-kit": ("bench.cli.capture_kit:capture_kit", "Write what a customer needs to record what import reads."),
    "reproduce": ("bench.cli.reproduce:reproduce", "Play a scenario: how often does the failure come back?"),
    "minimise": ("bench.cli.minimise:minimise", "Find the few conditions of a scenario that matter."),
    "web": ("bench.cli.web:web", "The screens in a browser, for who has the token; with a SAFE button."),
    "trace": ("bench.cli.trace:trace", "Look into a trace, compare two, repair, replay and export it."),
    "bundle": ("bench.cli.bundle:bundle", "Pack runs for somebody else, redacted and checked."),
    "euicc": (
        "bench.cli.euicc:euicc",
        "Look into the card of a station; download to it; adopt it for the bundled eIM, give it back.",
    ),
    "ipa": ("bench.cli.ipa:ipa", "Poll the eIM of a card with the IPA in the bench."),
    "doctor": ("bench.cli.doctor:doctor", "Check configuration, drivers, locks, services, certificates and the card."),
    "sim": ("bench.cli.sim:sim", "The simulated bench on its own, for other programs."),
}


class BenchGroup(LazyGroup):
    """The commands of the table, and those that other packages add (entry-point group ``bench.commands``)."""

    def foreign(self) -> Mapping[str, str]:
        """Return the commands of other packages: name to module:attribute."""
        from bench.station.entrypoints import entry_points_of

        return entry_points_of("bench.commands")

    def help_of_foreign(self, target: str) -> str:
        """Return a command's line of help from its source, without importing it."""
        return _help_of(target)


def _help_of(target: str) -> str:
    """Return a command's line of help from its source: the first line of its docstring; nothing is imported.

    Where there is no source to read, the target itself.
    """
    import ast
    from importlib.util import find_spec
    from pathlib import Path

    module, _, attribute = target.partition(":")
    top, *below = module.split(".")
    try:
        spec = find_spec(top)  # of the outermost package: this does not import it
        if spec is None:
            return f"({target} is not installed)"
        places = [Path(place).joinpath(*below) for place in spec.submodule_search_locations or ()]
        places = places if below else [Path(spec.origin or "").with_suffix("")]
        files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
        source = next(file for file in files if file.is_file()).read_text("utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == attribute:
                return (ast.get_docstring(node) or f"({target})").splitlines()[0]
    except (OSError, ValueError, SyntaxError, ImportError, StopIteration):
        pass
    return f"({target})"


@click.group(
    cls=BenchGroup,
    table=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: bench run bootstrap-to-operational --station sim",
)
@click.option("--config", type=click.Path(dir_okay=False), help="bench.toml to use (else $BENCH_CONFIG, ./bench.toml).")
@click.option("--readonly", is_flag=True, help="The screen only looks; F12 works all the same.")
@click.version_option(package_name="esim-bench", prog_name="bench")
@click.pass_context
def bench(ctx: click.Context, config: str | None, readonly: bool) -> None:
    """Lab bench controller for eSIM IoT devices (GSMA SGP.32). Without a command: the screen."""
    ctx.obj = {"config": config}
    if ctx.invoked_subcommand is not None:
        return
    if not sys.stdout.isatty():
        click.echo(ctx.get_help())
        return
    # By name: the command line and the screen are neighbours, neither is built on the other.
    ctx.exit(importlib.import_module("bench.tui.app").run_app(config, readonly=readonly))


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run the command line. Errors of the bench become one message and their exit code, never a traceback."""
    from bench.errors import BenchError

    try:
        return bench.main(args=list(arguments) if arguments is not None else None, prog_name="bench")
    except BenchError as error:
        from bench.cli.output import report_error

        report_error(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
