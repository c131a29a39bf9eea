"""``bench run``: start a recipe, follow it, end with the run's exit code."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import click

from bench.cli.output import GLYPHS, glyph, mark, measure, print_json, seconds
from bench.errors import BenchError


@click.command(epilog="Example: bench run bootstrap-to-operational --station sim -s operational_apn=iot.example")
@click.argument("recipe")
@click.option("--station", default="sim", show_default=True, help="Station of bench.toml.")
@click.option("-s", "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter of the recipe.")
@click.option("--eid", default="", help="EID of the card: allows what cannot be undone on it, and pins it.")
@click.option("--seed", type=int, help="Seed of everything random; drawn and recorded when not given.")
@click.option("--clock", help="Simulated stations: instant, real or scaled:FACTOR.")
@click.option(
    "--world", multiple=True, metavar="NAME=VALUE", help="Option of the simulated world, e.g. faults='[...]'."
)
@click.option("--with-secrets", is_flag=True, help="Put TLS and DTLS session secrets into the trace: it decrypts.")
@click.option("--label", default="", help="Free text kept in run.json.")
@click.option("--attended/--unattended", default=None, help="Somebody can answer questions (default: a terminal).")
@click.option(
    "--on-hangup",
    type=click.Choice(["detach", "stop"]),
    default="detach",
    show_default=True,
    help="What becomes of the run when this command is killed.",
)
@click.option("--detach", is_flag=True, help="Start the run, print its folder and leave it running.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end instead of progress.")
@click.pass_obj
def run(
    obj: Mapping[str, Any],
    recipe: str,
    station: str,
    parameters: tuple[str, ...],
    eid: str,
    seed: int | None,
    clock: str | None,
    world: tuple[str, ...],
    with_secrets: bool,
    label: str,
    attended: bool | None,
    on_hangup: str,
    detach: bool,
    as_json: bool,
) -> None:
    """Run RECIPE (a name, file.py or file.py:function) on a station and follow it.

    Ctrl-C asks for teardown and safe, a second one for safe at once. Closing the terminal leaves the run going: see it
    again with 'bench show last'. Exit code: 0 pass, 1 fail, 2 configuration, 3 bench-error, 4 error in the recipe,
    5 inconclusive, 130 aborted.
    """
    from bench.cli.answers import Answers
    from bench.client import StartOptions, follow, start

    options = StartOptions(
        config=Path(obj["config"]) if obj.get("config") else None,
        seed=seed,
        clock=clock,
        eid=eid,
        attended=sys.stdin.isatty() and sys.stdout.isatty() if attended is None else attended,
        on_hangup="stop" if on_hangup == "stop" else "detach",
        label=label,
        world=world_options(world),
        with_secrets=with_secrets,
    )
    handle = start(recipe, station, list(parameters), options)
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
            answers = Answers(handle.folder, _complain, show=as_json) if options.attended else None
            for event in follow(handle.folder):
                printer.event(event)
                if answers is not None:
                    answers.event(event)
        code = handle.wait()
    _derived(handle.folder)
    if as_json:
        print_json(printer.summary(handle.folder, code))
    sys.exit(3 if code is None else code)


def _derived(folder: Path) -> None:
    """Make result.json and junit.xml of a long record here: its run did not wait for them, who collects them does."""
    from bench.run import folder as places

    if not (folder / places.JUNIT).exists():
        from bench.run.summary import derive

        with contextlib.suppress(BenchError, OSError, ValueError, ArithmeticError):
            derive(folder)


def _complain(text: str) -> None:
    click.echo(text, err=True)


def pairs(texts: tuple[str, ...]) -> dict[str, object]:
    """Return NAME=VALUE pairs; values that read as JSON are JSON, others text. Raises click.UsageError."""
    import json

    pairs: dict[str, object] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise click.UsageError(f"--world {text!r}: write NAME=VALUE")
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value
    return pairs


@contextlib.contextmanager
def relayed(handle: Any) -> Iterator[None]:
    """Relay Ctrl-C and SIGTERM to the supervisor while following."""

    def relay(number: int, frame: FrameType | None) -> None:
        handle.interrupt()

    previous = {number: signal.signal(number, relay) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Printer:
    """Step progress for a terminal, or for a log when standard output is none."""

    def __init__(self, *, quiet: bool = False, measurements: bool = True) -> None:
        from bench.client.view import RunView

        self.view = RunView()
        self.quiet = quiet
        self.measurements = measurements
        self.live = not quiet and sys.stdout.isatty()
        self._status = ""

    def head(self, folder: Path) -> None:
        """Say which run this is."""
        if not self.quiet:
            click.echo(f"run {folder.name}  ({folder})")

    def event(self, event: Mapping[str, Any]) -> None:
        """Take one journal event and print what people want to know of it."""
        shown = len(self.view.lines)
        self.view.apply(event)
        if self.quiet:
            return
        self._clear()
        kind = event.get("type")
        data = event.get("data") or {}
        step = str(event.get("step") or "")
        if kind == "step-end":
            self._step(step, data)
        elif kind == "measurement" and self.measurements:
            click.echo(f"    {'  ' * step.count('/')}{measure(data)}")
        elif kind == "run-end":
            self._end(data)
        elif kind == "ask":
            click.echo(f"? {data.get('text', '')}  [{' / '.join(map(str, data.get('choices', ())))}]")
        else:
            for line in self.view.lines[shown:]:
                click.echo(f"    {'  ' * step.count('/')}{line.strip()}")
            if kind == "broken":  # there will be no end: what was found until then is found all the same
                self._results()
        self._show_status()

    def _step(self, step: str, data: Mapping[str, Any]) -> None:
        verdict = str(data.get("verdict", "pass"))
        name = "  " * step.count("/") + step.rsplit("/", 1)[-1]
        line = f"{glyph(verdict)} {name:<30}{seconds(data.get('elapsed')):>10}"
        if verdict != "pass":
            line += f"  {verdict}" + (f": {data['message']}" if data.get("message") else "")
        click.echo(line)

    def _results(self) -> None:
        """Print what the run was asked to find out as tables."""
        if not self.view.results:
            return
        from bench.report import results

        width = max(60, shutil.get_terminal_size((120, 24)).columns)
        marks = {state: mark(state) for state in GLYPHS}
        for name, value in self.view.results.items():
            for made in results.tables(name, value):
                click.echo()
                for line in results.lines(made, width, marks):
                    click.echo(line)
        click.echo()

    def _end(self, data: Mapping[str, Any]) -> None:
        view = self.view
        self._results()
        simulated = "simulated" if view.simulated else "real"
        click.echo(
            f"{glyph(view.state)} {view.state}: device {view.device or '-'}, bench {view.bench or '-'}; "
            f"{seconds(view.elapsed)} of station time, {simulated}"
        )
        if data.get("summary") and view.state != "pass":
            click.echo(f"  {data['summary']}")

    def _show_status(self) -> None:
        if not self.live or self.view.ended:
            return
        running = [step for step in self.view.steps if step.state == "running"]
        if running:
            text = f"{glyph('running')} {running[-1].path}  {seconds(self.view.now - running[-1].started)}"
            self._status = text[: shutil.get_terminal_size().columns + 9]
            click.echo(self._status, nl=False)

    def _clear(self) -> None:
        if self._status:
            click.echo("\r\x1b[K", nl=False)
            self._status = ""

    def summary(self, folder: Path, code: int | None) -> dict[str, Any]:
        """Return the JSON object of ``--json``."""
        view = self.view
        return {
            "run": view.run_id or folder.name,
            "folder": str(folder),
            "recipe": view.recipe,
            "station": view.station,
            "simulated": view.simulated,
            "verdict": view.state,
            "device": view.device,
            "bench": view.bench,
            "exit_code": 3 if code is None else code,
            "station_time": round(view.elapsed, 6),
            "steps": [
                {
                    "step": step.path,
                    "verdict": step.state,
                    "elapsed": step.elapsed,
                    "message": step.message,
                    "measurements": {str(m.get("name")): m.get("value") for m in step.measurements},
                }
                for step in view.steps
            ],
            "results": view.results,
            "errors": list(view.errors),
            "printed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "host": os.uname().nodename,
        }


def world_options(texts: tuple[str, ...]) -> dict[str, object]:
    """Return options of the simulated world; a name given again gives a list, as ``ipa_option`` takes it.

    Lists, as of ``faults``, are joined. An option that takes one value takes the last. Raises click.UsageError.
    """
    found: dict[str, object] = {}
    for text in texts:
        for name, value in pairs((text,)).items():
            found[name] = [*_several(found[name]), *_several(value)] if name in found else value
    return found


def _several(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
