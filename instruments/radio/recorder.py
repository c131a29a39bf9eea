"""What every recorder has: its program, its lanes, and what it says of itself on them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Final

from bench.errors import BenchError
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.clocks import LaneClock
from bench.trace.lane import Direction, Lane
from instruments.radio.program import READY_WITHIN, Program

NOTE_SCHEMA: Final = "radio.note/1"
_STATE_EVERY: Final = 10.0
"""Real seconds between two statements of a lane's clock, while it changes."""


def describe(lane: Lane, text: str) -> None:
    """Say what a lane is, before its first packet; lanes that keep no description are left as they are."""
    if hasattr(lane, "description"):
        lane.description = text


class Recorder:
    """A recorder of bench.toml (``radio.NAME``): an instrument (interfaces.Instrument, interfaces.RadioRecorder)."""

    def __init__(self, options: DriverOptions) -> None:
        self.identity = Identity()
        self.options = options
        self.lane = options.lane
        """Frames."""
        self.notes = options.apdu_lane
        """What has no place among them: JSON, and frames that need a dissector of their own."""
        self.program: Program | None = None
        self._stating: asyncio.Task[None] | None = None
        self._stated: LaneClock | None = None

    async def wait_ready(self) -> None:
        """Wait until it records. Raises InstrumentTimeout, InstrumentError when it has ended."""
        assert self.program is not None
        await self.program.wait_ready(within=READY_WITHIN)

    async def _watch(self) -> None:
        """Say when it is ready, or why it is not, and go on without it; then state the clock now and then."""
        try:
            await self.wait_ready()
            self.note("records now")
        except BenchError as error:
            self.note(f"does not record: {error}", warning=True)
            if self.program is not None:
                await self.program.stop()
            return
        while True:
            await asyncio.sleep(_STATE_EVERY)
            self.state_clock()

    def begin(self) -> None:
        """Watch the program that was started."""
        self._stating = asyncio.create_task(self._watch(), name=f"radio {self.options.name}")

    def ended(self, code: int) -> None:
        """Take notice that the program ended by itself."""
        said = " | ".join(self.program.tail) if self.program is not None else ""
        self.note(f"has ended with exit code {code}: {said[-400:]}", warning=True)

    def note(self, text: str, *, warning: bool = False) -> None:
        """Write a line for people on the lane of notes; a warning goes into the journal too."""
        program = self.program.name if self.program is not None else self.options.driver
        told = f"{program} {text}"
        data = {"schema": NOTE_SCHEMA, "t_ns": time.time_ns(), "recorder": self.options.name, "text": told}
        self.notes.record(Direction.RECEIVED, json.dumps(data, ensure_ascii=False).encode(), comment=told)
        if warning:
            text = f"radio {self.options.name}: {told}"
            self.options.tell("log", {"text": text, "level": "warning", "source": "bench"})

    def clock(self) -> LaneClock | None:
        """Return what is known of the clock of the lane of frames by now, None when nothing changes."""
        return None

    def state_clock(self) -> None:
        """State the lane's clock, if more is known of it than was stated last."""
        known = self.clock()
        if known is None or known == self._stated:
            return
        self._stated = known
        data = json.dumps(known.update(self.lane.name), ensure_ascii=False).encode()
        self.notes.record(Direction.RECEIVED, data, comment=f"{self.lane.name}: {known.describe()}")

    async def close(self) -> None:
        """Stop the program and say what is known of the clock. Never raises."""
        if self._stating is not None:
            self._stating.cancel()
            await asyncio.gather(self._stating, return_exceptions=True)
        if self.program is not None:
            await self.program.stop()
        with contextlib.suppress(Exception):
            self.state_clock()
