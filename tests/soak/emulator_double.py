"""A network emulator that is only there: one cell that is on, shared by stations."""

from __future__ import annotations

from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity


class Emulator:
    """The driver; its class is what bench.toml names."""

    def __init__(self, options: DriverOptions) -> None:
        self.options = options
        self.identity = Identity("Double", "Emulator", options.resource.replace(":", "-"), "1.0")

    @classmethod
    async def open(cls, options: DriverOptions) -> Emulator:
        return cls(options)

    async def cells(self) -> list[int]:
        return [1]

    async def cell_on(self, *, cell: int = 1) -> bool:
        return cell == 1

    async def set_cell(self, on: bool, *, cell: int = 1) -> None:
        assert on and cell == 1

    async def close(self) -> None:
        pass
