"""Qualcomm DIAG through scat, or QCSuper: NAS and RRC of the modem on the time line, with the modem's time and ours.

``[stations.NAME.radio.diag]`` ``driver = "qualcomm-diag"``, ``port`` the DIAG port by USB interface
(``usb:1-1.4:if00``): which ttyUSB it is differs from module to module. Options: ``tool`` (``scat``, ``qcsuper``, or a
path), ``layers`` (of scat, ``nas,rrc``), ``raw`` (false: the raw log is not kept beside the run).
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Self

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.clocks import LaneClock, default
from bench.trace.lane import Direction
from instruments.modem import usb
from instruments.radio import gsmtap, texts
from instruments.radio.datagrams import Datagrams
from instruments.radio.pcap import PcapTail
from instruments.radio.program import Program, find
from instruments.radio.recorder import Recorder, describe
from instruments.radio.relay import DiagRelay

_READY: Final = {"scat": re.compile(r"Starting diag"), "qcsuper": re.compile(r"(?i)starting|listening|enabled|model")}
_TAIL_EVERY: Final = 0.25
"""Real seconds between two looks at QCSuper's file."""
_QUIET: Final = re.compile(r"^(?:Radio \d+: )?Log Config:")


def places() -> tuple[Path, ...]:
    """Return where ``.ci/setup`` and users put tools with an environment of their own."""
    return (Path(sys.prefix) / "tools" / "scat" / "bin", Path.home() / ".local" / "bin")


class QualcommDiag(Recorder):
    """The DIAG port of a Qualcomm modem (MDM9205 of BG95, MDM9x07 of EG25 and EC25, SDX of RM5xx)."""

    def __init__(self, options: DriverOptions, tool: str, layers: str, raw: Path | None) -> None:
        super().__init__(options)
        self.tool = tool
        self.layers = layers
        self.frames = 0
        """Frames of the tool put on the time line."""
        self.unmatched = 0
        """Frames whose log packet was not found: they have the time at which the tool gave them."""
        self.kind = "qcsuper" if "qcsuper" in Path(tool).name.lower() else "scat"
        self._relay = DiagRelay(
            options.port,
            baudrate=options.baudrate,
            clock=options.clock,
            raw=raw,
            tell=self.note,
        )
        self._datagrams = Datagrams(self._datagram)
        self._folder: Path | None = None
        self._tail: PcapTail | None = None
        self._tailing: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        where = "its packets have host time: when the frame was read from the port"
        describe(self.lane, f"GSMTAP by {self.kind} from {options.port}; {where}; {default('diag').describe()}")
        describe(self.notes, f"notes and 5G frames of {options.name}; {default('radio').describe()}")

    @classmethod
    async def open(cls, options: DriverOptions) -> Self:
        """Start the tool; the port may come later, with the device's power.

        Raises Refused without a tool or when the port is in use, ConfigurationError for options that cannot be.
        """
        extra = options.known_extra("tool", "layers", "raw")
        if not options.port or not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:1-1.4:if00"
            )
        wanted = str(extra.get("tool") or "")
        tool = next((found for name in ([wanted] if wanted else ["scat", "qcsuper"])
                     if (found := find(name, places=places()))), None)  # fmt: skip
        if tool is None:
            raise Refused(
                f"{wanted} is not installed" if wanted else "neither scat nor qcsuper is installed",
                where=options.origin,
                hint="pip install signalcat into a virtual environment of its own, and name it: tool = '.../bin/scat'",
            )
        keeps = options.folder is not None and extra.get("raw", True) is not False
        raw = options.folder / f"radio-{options.name}.qmdl" if keeps and options.folder is not None else None
        recorder = cls(options, tool, str(extra.get("layers") or "nas,rrc"), raw)
        try:
            await recorder._start()
        except BaseException:
            await recorder.close()
            raise
        return recorder

    async def _start(self) -> None:
        place = await self._relay.open()
        variables: dict[str, str] = {}
        if self.kind == "scat":
            port = self._datagrams.open("127.0.0.1", 0)
            argv = [self.tool, "-t", "qc", "-T", place, "-L", self.layers, "-H", "127.0.0.1", "-P", str(port)]
        else:
            self._folder = Path(tempfile.mkdtemp(prefix="esim-diag-"))
            dump = self._folder / "frames.pcap"
            argv = [self.tool, "--tcp", place, "--pcap-dump", str(dump), "--decrypt-nas"]
            variables = {"DONT_INSTALL_WIRESHARK_PLUGIN": "1"}
            self._tail = PcapTail(dump)
            self._tailing = asyncio.create_task(self._follow(), name="QCSuper's file")
        self.identity = Identity(manufacturer=self.kind, model="Qualcomm DIAG", serial=self.options.port)
        self.program = Program(
            argv, ready=_READY[self.kind], on_line=self._line, variables=variables, on_end=self.ended
        )
        if self.kind == "scat":  # its log masks are asked for again whenever the port comes
            await self.program.start()
            self.begin()
        else:
            self._starting = asyncio.create_task(self._start_when_there(self.program), name="QCSuper")

    async def _start_when_there(self, program: Program) -> None:
        """Start QCSuper when the port is there: it waits for the answer to each of its requests, and gives up."""
        while not self._relay.is_open:  # noqa: ASYNC110 - the relay looks as rarely
            await asyncio.sleep(_TAIL_EVERY)
        try:
            await program.start()
            self.begin()
        except InstrumentError as error:
            self.note(f"does not record: {error}", warning=True)

    def _line(self, text: str) -> None:
        """Keep what the tool tells of cells and levels; its start-up is of no use to anybody."""
        if text.startswith("Radio ") and not _QUIET.match(text):
            self.note(f"says: {text}")

    # --- frames ---------------------------------------------------------------------------------------------------

    def _datagram(self, data: bytes, source: int, now: int) -> None:
        self._frame(data, now, source)

    def _frame(self, data: bytes, now: int, source: int = 0) -> None:
        """Put one GSMTAP frame on the time line: at the host's time of its DIAG frame, with the modem's in words."""
        self.frames += 1
        try:
            frame = gsmtap.parse(data)
        except gsmtap.NoGsmtap as error:
            self.note(f"gave a datagram that cannot be read ({error}): {data[:32].hex()}")
            return
        origin = self._relay.times.find(frame.payload)
        if origin is None:
            self.unmatched += 1
            when, told = now, "time of the tool's datagram"
        else:
            when, told = origin.host_ns, f"modem {_clock_text(origin.device_ns)}"
        comment = f"{texts.frame(frame)} [{told}]"
        if frame.version == 2:
            self.lane.record(Direction.RECEIVED, gsmtap.in_ip(data, source=source), time_ns=when, comment=comment)
        else:  # Wireshark 4.0 shows version 3 as malformed
            self.notes.record(
                Direction.RECEIVED, frame.payload, time_ns=when, comment=comment, dissector=frame.dissector or "data"
            )

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_TAIL_EVERY)
            self._read_tail()

    def _read_tail(self) -> None:
        if self._tail is None:
            return
        for packet in self._tail.poll():
            data = gsmtap.out_of_ip(packet)
            if data is not None:
                self._frame(data, time.time_ns())

    def clock(self) -> LaneClock | None:
        """Return offset, drift and uncertainty of the modem's clock, by its log packets."""
        if not self._relay.fit.pairs:
            return None
        fitted = self._relay.fit.clock()
        # The packets carry host time already; what is left uncertain is how late a frame was read.
        uncertainty = min(max(fitted.uncertainty, 0.001), 10.0)
        ahead = f"the modem's clock is {-fitted.offset:+.3f} s against it, drift {fitted.drift:+.2f} ppm"
        return LaneClock(f"host, when the modem's frame was read, {ahead}", uncertainty=uncertainty)

    async def close(self) -> None:
        """Stop the tool, take what it still gives, and close the port. Never raises."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await super().close()
        if self._tailing is not None:
            self._tailing.cancel()
            await asyncio.gather(self._tailing, return_exceptions=True)
            self._read_tail()
        self._datagrams.close()
        await self._relay.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _clock_text(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))}.{rest // 1_000_000:03d}"
