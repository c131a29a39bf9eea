"""Commands that are one run of a recipe on a station: their options, the run, what it recorded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


def station_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where and how a run takes place."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--world", multiple=True, metavar="NAME=VALUE", help="Option of the simulated world."),
        click.option("--clock", help="Simulated stations: instant (default here), real or scaled:FACTOR."),
        click.option("--eid", default="", help="EID of the card: pins it, and allows what cannot be undone on it."),
        click.option("--station", default="sim", show_default=True, help="Station of bench.toml."),
    ):
        function = option(function)
    return function


def with_servers(obj: Mapping[str, Any], station: str, wanted: bool | None) -> bool:
    """Return whether the bundled servers are to run: as told, else on simulated stations."""
    from bench.station import config

    if wanted is not None:
        return wanted
    path = Path(obj["config"]) if obj.get("config") else None
    return config.load(path).station(station).world is not None


def parameters_of(given: tuple[str, ...], **more: object) -> dict[str, object]:
    """Return the parameters of a recipe: those of ``--set``, and those that are not empty."""
    from bench.cli.run import pairs

    return {**pairs(given), **{name: value for name, value in more.items() if value not in ("", (), None)}}


class Done:
    """A run that has ended, and what it recorded."""

    def __init__(self, folder: Path, code: int, view: Any, results: Mapping[str, Any]) -> None:
        self.folder = folder
        self.code = code
        self.view = view
        self._results = results

    def result(self, name: str) -> Any:
        """Return a result of the run, None when it did not come to it."""
        return self._results.get(name)

    @property
    def errors(self) -> list[str]:
        """What went wrong, each thing once: a step tells its error again, without the hint."""
        kept: list[str] = []
        for error in sorted(set(self.view.errors), key=len, reverse=True):
            if not any((error.partition(": ")[2] or error) in other for other in kept):
                kept.append(error)
        return [error for error in dict.fromkeys(self.view.errors) if error in kept]

    def finish(self, as_json: bool, found: Any, show: Callable[[Any], None]) -> None:
        """Print and end the command with the run's exit code."""
        if as_json:
            print_json(
                {
                    "run": self.folder.name,
                    "folder": str(self.folder),
                    "verdict": self.view.state,
                    "exit_code": self.code,
                    "errors": self.errors,
                    "result": found,
                }
            )
        else:
            if found is not None:
                show(found)
            for error in self.errors:
                click.echo(f"bench: {error}", err=True)
            if self.code:
                click.echo(f"       {self.view.state}; the run is kept: bench show {self.folder.name}", err=True)
        sys.exit(self.code)


def carry_out(
    obj: Mapping[str, Any],
    recipe: str,
    parameters: Mapping[str, object] | Sequence[str],
    where: Mapping[str, Any],
    *,
    told: Callable[[str], None] | None = None,
) -> Done:
    """Start a recipe on a station, wait for its end, and return what its run folder says.

    ``told`` is called with what the recipe notes, as it goes on.
    """
    from bench.cli.run import relayed, world_options
    from bench.client import StartOptions, follow, start
    from bench.client.view import RunView
    from bench.station import config

    path = Path(obj["config"]) if obj.get("config") else None
    simulated = config.load(path).station(where["station"]).world is not None
    options = StartOptions(
        config=path,
        clock=where["clock"] or ("instant" if simulated else None),
        eid=where["eid"],
        world=world_options(where["world"]),
        label="bench euicc",
    )
    handle = start(recipe, where["station"], parameters, options)
    view, results = RunView(), dict[str, Any]()
    with relayed(handle):
        with contextlib.suppress(BrokenPipeError):
            for event in follow(handle.folder):
                view.apply(event)
                if told is not None and event.get("type") == "note":
                    told(str((event.get("data") or {}).get("text", "")))
                if event.get("type") == "result":
                    data = event.get("data") or {}
                    results[str(data.get("name"))] = data.get("value")
        code = handle.wait()
    return Done(handle.folder, 3 if code is None else code, view, results)
