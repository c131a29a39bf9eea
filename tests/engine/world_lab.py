"""A station whose supply is in a simulated world of its own, which outlives the run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sim.process import WorldProcess  # type: ignore[import-not-found]

from bench import client

from .conftest import Bench
from .double import SupplyServer

TABLE = """
[stations.lab]
safe = ["power.off"]
expendable = true
[stations.lab.power]
driver = "{driver}"
resource = "{resource}"
voltage = 3.8
voltage_max = 4.3
current_limit = 1.0
watchdog = {watchdog}
sample = {sample}
"""


class Lab:
    """A station whose supply is in a world that outlives the run."""

    def __init__(self, folder: Path, world: WorldProcess, driver: str, watchdog: float, sample: float = 1.0) -> None:
        self.world = world
        self.bench = Bench.__new__(Bench)
        self.bench.folder, self.bench.server, self.bench.handles = folder, SupplyServer(), []
        self.bench.config = folder / "bench.toml"
        resource = world.parts["power"]["resource"]
        self.bench.config.write_text(TABLE.format(driver=driver, resource=resource, watchdog=watchdog, sample=sample))

    def kill_both(self) -> client.RunHandle:
        """Run, and kill supervisor and runner when the output is on."""
        handle = self.bench.start("long")
        self.bench.until(handle.folder, "note", "on")
        runner = self.bench.runner(handle.folder)
        assert self.world.state()["power"]["on"]
        os.kill(runner, signal.SIGSTOP)
        os.kill(handle.pid, signal.SIGKILL)
        os.kill(runner, signal.SIGKILL)
        assert handle.wait(5) == 3
        return handle
