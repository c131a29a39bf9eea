"""The Textual application: a client of runs. Leaving it, or losing the terminal, changes nothing for a run."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from bench.tui.control import Control, client_control
from bench.tui.screens.bench import BenchScreen
from bench.tui.themes import BENCH_CVD


class BenchApp(App[int]):
    """The bench."""

    TITLE = "esim-bench"
    CSS_PATH = "bench.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit", show=False),
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
    ]

    def __init__(self, control: Control) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]
        self.control = control

    def on_mount(self) -> None:
        """Set the theme, take the signals Textual leaves to the system, show the first screen."""
        self.register_theme(BENCH_CVD)
        self.theme = BENCH_CVD.name
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Without this the terminal is left in the alternate screen and nothing is cleaned up.
            loop.add_signal_handler(number, self.exit, 128 + number)
        self.push_screen(BenchScreen(self.control))


def run_app(config: str | None) -> int:
    """Run the screen until it is left; return the exit code."""
    ascii_only = (
        "utf" not in (os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "").lower()
    )
    return BenchApp(client_control(config, ascii_only=ascii_only)).run() or 0
