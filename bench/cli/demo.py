"""``bench demo``: the screens with a guided tour, on the simulated bench, in a home of its own."""

from __future__ import annotations

import importlib
import os
import sys

import click


@click.command(epilog="Example: bench demo")
@click.option("--clean", is_flag=True, help="Forget the runs of earlier demos first.")
def demo(clean: bool) -> None:
    """Show the bench on simulated hardware, with a line that says what to press next.

    Nothing real is touched, whatever bench.toml says: the demo has its own home (below the bench's) and only the
    built-in simulated stations.
    """
    from bench.errors import ConfigurationError
    from bench.station.home import default_home

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError("the demo needs a terminal", hint="over SSH: ssh -t HOST bench demo")
    home = default_home() / "demo"
    home.mkdir(parents=True, exist_ok=True)
    if clean:
        import shutil

        shutil.rmtree(home / "runs", ignore_errors=True)
    config = home / "bench.toml"
    config.write_text("# The demo has no hardware: the built-in simulated stations are all there is.\n")
    os.environ["BENCH_HOME"] = str(home)
    os.environ["BENCH_CONFIG"] = str(config)
    sys.exit(importlib.import_module("bench.tui.app").run_app(str(config), tour=True))
