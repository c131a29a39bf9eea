"""Device, card and cells on a bare event queue, with the ``unit`` figures: times are exact (cellular_model 10.4)."""

from __future__ import annotations

from typing import Any

from fixtures.sim.at import Interpreter
from fixtures.sim.card import CardSlot
from fixtures.sim.constants import FILE, load
from fixtures.sim.device import MODELS, Device, DeviceOptions
from fixtures.sim.kernel import Kernel, Streams, ns
from fixtures.sim.milenage import Subscriber
from fixtures.sim.network import Cell, Network, Reject
from fixtures.sim.rail import Rail, RailConstants
from fixtures.sim.worldlog import WorldLog

from .fake_card import OPC, FakeCard, FakeProfile, K

H, V1, V2 = "00101", "26201", "26202"


class Radio:
    """``begin()`` is CFUN=1 with the SIM ready: all times are seconds from then."""

    def __init__(
        self,
        *plmns: str | Cell,
        profile: FakeProfile | None = None,
        model: str = "bg95",
        rat: str = "LTE-M",
        warm: bool = True,
        options: DeviceOptions | None = None,
        rail: RailConstants | None = None,
        limit: float = 5.0,
        start: bool = True,
    ) -> None:
        self.kernel = Kernel()
        self.log = WorldLog(self.kernel, None)
        streams = Streams(1, fixed=True)
        constants = load(FILE, "unit")
        self.network = Network(self.kernel, streams, self.log)
        self.card = FakeCard(profile)
        self.subscriber = Subscriber(self.card.profile.imsi, K, OPC)
        for number, plmn in enumerate(plmns, 1):
            cell = plmn if isinstance(plmn, Cell) else Cell(number, plmn, rat=rat)
            cell.transmitting = cell.on = True
            if not cell.hss:
                cell.hss[self.subscriber.imsi] = self.subscriber
            self.network.cells.append(cell)
        self.rail = Rail(self.kernel, rail or RailConstants())
        self.slot = CardSlot(self.kernel, self.card, command_time=0.0, rate=0.0)
        self.device = Device(
            self.kernel, streams, self.network, self.rail, self.slot, MODELS[model], constants,
            constants.devices["unit"], options or DeviceOptions(), self.log,
        )  # fmt: skip
        self.rail.changed = self.device.rail_changed
        self.output = b""
        self.at = Interpreter(self.kernel, self.device, self._write, self.log)
        self.stats: list[tuple[float, int]] = []
        self._registration = self.at.registration
        self.at.registration = self._note  # type: ignore[method-assign]
        self.t0 = 0.0
        self.m = self.device.mobility
        if start:
            self.rail.configure(voltage=3.8, limit=limit, on=True)
            while self.device.sim != "ready":
                assert self.kernel.run_next()
            self.device.set_functionality(4)
            if warm:
                self.m.stored_cells = {cell.number for cell in self.network.cells}
            self.stats.clear()

    def _write(self, data: bytes) -> None:
        self.output += data

    def _note(self) -> None:
        stat = self.m.stat
        if not self.stats or self.stats[-1][1] != stat:
            self.stats.append((round(self.kernel.now - self.t0, 6), stat))
        self._registration()

    # -- driving

    def begin(self) -> Radio:
        self.kernel.set_now(self.kernel.now_ns)
        self.t0 = self.kernel.now
        self.log.lines.clear()
        self.device.set_functionality(1)
        return self

    def until(self, seconds: float) -> Radio:
        """Run to ``seconds`` after ``begin``."""
        self.kernel.run_until(ns(self.t0 + seconds))
        return self

    def reject(self, number: int, cause: int, **more: Any) -> None:
        self.network.cell(number).reject_attach = Reject(cause, **more)

    def power_cycle(self) -> None:
        """VBAT cut and restart; runs until the SIM is ready."""
        self.rail.configure(on=False)
        self.kernel.run_until(self.kernel.now_ns + ns(10))
        assert self.device.power == "OFF"
        self.rail.configure(on=True)
        while self.device.sim != "ready":
            assert self.kernel.run_next()

    def command(self, line: str, seconds: float = 0.0) -> str:
        """Send an AT command, run for ``seconds``, return what came."""
        self.output = b""
        self.at.feed(line.encode() + b"\r")
        self.kernel.run_until(self.kernel.now_ns + ns(seconds))
        return self.output.decode()

    # -- looking

    def now(self) -> float:
        return round(self.kernel.now - self.t0, 6)

    def nas(self, *messages: str) -> list[tuple[float, dict[str, Any]]]:
        """NAS messages with their times, only ``messages`` when given."""
        return [
            (round(entry["t_ns"] / 1e9 - self.t0, 6), entry)  # type: ignore[operator]
            for entry in self.log.lines
            if entry["what"] == "nas" and (not messages or entry["message"] in messages)
        ]

    def attempts(self) -> list[tuple[float, str]]:
        """When an attach was tried, and where."""
        return [(time, entry["plmn"]) for time, entry in self.nas("attach_request")]

    def what(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        return [
            (round(entry["t_ns"] / 1e9 - self.t0, 6), entry)  # type: ignore[operator]
            for entry in self.log.lines
            if entry["what"] == kind
        ]
