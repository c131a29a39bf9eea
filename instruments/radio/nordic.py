"""Nordic's modem trace through nrfutil: its pcapng file is read as it grows, its packets go on the time line.

``[stations.NAME.radio.trace]`` ``driver = "nordic-trace"``, ``port`` the trace port (1 000 000 Bd). Options: ``tool``
(``nrfutil``), ``firmware`` (``--mfw-revision-id``: the trace database must fit the modem's firmware), ``raw`` (false:
the file is not kept beside the run).
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final, Self

from bench.errors import BenchError, ConfigurationError, InstrumentError, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.blocks import LINKTYPE_EXPORTED_PDU
from bench.trace.clocks import ClockFit, LaneClock, default
from bench.trace.lane import Direction
from bench.trace.reader import TraceReader
from instruments.modem import usb
from instruments.radio.program import Program, find
from instruments.radio.recorder import Recorder, describe
from instruments.radio.texts import nas_eps

_READY: Final = re.compile(r"(?i)saving|tracing|started|press ctrl")
_BAUD: Final = 1_000_000
_LOOK: Final = 0.2


class NordicTrace(Recorder):
    """The trace port of an nRF91 modem."""

    def __init__(self, options: DriverOptions, tool: str, file: Path, *, keep: bool) -> None:
        super().__init__(options)
        self.tool = tool
        self.file = file
        self.frames = 0
        self._keep = keep
        self._reader = TraceReader(file)
        self._fit = ClockFit("nrfutil, time of its packets", least_delay=0.05)
        self._reading: asyncio.Task[None] | None = None
        describe(self.notes, f"modem trace by nrfutil; {default('diag').describe()}")

    @classmethod
    async def open(cls, options: DriverOptions) -> Self:
        """Start nrfutil. Raises Refused when it is not installed, ConfigurationError for a port that is none."""
        extra = options.known_extra("tool", "firmware", "raw")
        wanted = str(extra.get("tool") or "nrfutil")
        if not options.port or not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:1-1.4:if02"
            )
        tool = find(wanted)
        if tool is None:
            raise Refused(
                f"{wanted} is not installed", where=options.origin, hint="Nordic's nrfutil, with: nrfutil install trace"
            )
        keep = options.folder is not None and extra.get("raw", True) is not False
        folder = options.folder if keep and options.folder is not None else Path(tempfile.mkdtemp(prefix="esim-nrf-"))
        recorder = cls(options, tool, folder / f"radio-{options.name}.pcapng", keep=keep)
        try:
            await recorder._start(str(extra.get("firmware") or ""))
        except BaseException:
            await recorder.close()
            raise
        return recorder

    async def _start(self, firmware: str) -> None:
        device = usb.device_file(self.options.port)
        if device is None:
            raise InstrumentError("the trace port is not there", where=self.options.port, hint="has the device power?")
        argv = [self.tool, "trace", "lte", "--input-serialport", device, "--output-pcapng", str(self.file)]
        if firmware:
            argv += ["--mfw-revision-id", firmware]
        self.identity = Identity(manufacturer="Nordic", model="modem trace", serial=self.options.port)
        self.program = Program(argv, ready=_READY, on_line=lambda line: None, on_end=self.ended)
        await self.program.start()
        self._reading = asyncio.create_task(self._follow(), name="nrfutil's file")
        self.begin()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            self._read()

    def _read(self) -> None:
        """Put what has come on the time line, at its own time; ours is in words beside it."""
        try:
            packets = self._reader.poll()
        except BenchError as error:
            self.note(f"its file cannot be read: {error}", warning=True)
            return
        now = time.time_ns()
        for packet in packets:
            self.frames += 1
            self._fit.add(packet.time_ns, now)
            told = packet.comment or self._told(packet.dissector, packet.data)
            late = (now - packet.time_ns) / 1e6
            comment = f"{told} [read {late:.0f} ms later]"
            self.notes.record(
                Direction.RECEIVED,
                packet.data,
                time_ns=packet.time_ns,
                comment=comment,
                dissector=packet.dissector or "data",
            )

    def _told(self, dissector: str, data: bytes) -> str:
        if dissector.startswith("nas-eps"):
            return f"LTE NAS {nas_eps(data)}"
        return f"{dissector or f'link type other than {LINKTYPE_EXPORTED_PDU}'}, {len(data)} bytes"

    def clock(self) -> LaneClock | None:
        """Return what is known of nrfutil's clock; the lane of its packets is the one of notes."""
        return self._fit.clock() if self._fit.pairs else None

    def state_clock(self) -> None:
        """State the clock of the lane that its packets are on."""
        self.lane = self.notes
        super().state_clock()

    async def close(self) -> None:
        """Stop nrfutil, read its file to the end. Never raises."""
        await super().close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self._read()
        if not self._keep:
            shutil.rmtree(self.file.parent, ignore_errors=True)
