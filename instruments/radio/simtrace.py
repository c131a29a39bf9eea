"""SIMtrace2 between card and modem, through simtrace2-sniff: what really is on the contacts, as lane ``sniff:NAME``.

The program sends whole TPDUs as GSMTAP to port 4729 of one address; ours is one of 127.0.0.0/8 that no other program
listens on. In GSMTAP's form Wireshark 4.0 shows GET RESPONSE as malformed and an ATR as a command, so command, response
and ATR become packets of their own. Resets, PPS and time-outs are told on its standard output only: they become notes.

``[stations.NAME.radio.card]`` ``driver = "simtrace2"``, ``serial`` the USB address where there are several
(simtrace2-list). Options: ``tool``, ``address`` (127.0.0.77).
"""

from __future__ import annotations

import re
import shutil
from typing import Final, Self

from bench.errors import Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace import redact
from bench.trace.clocks import default
from bench.trace.decode import one_liner
from bench.trace.dissectors import choose
from bench.trace.lane import Direction
from instruments.radio import gsmtap
from instruments.radio.datagrams import Datagrams
from instruments.radio.program import Program, find
from instruments.radio.recorder import Recorder, describe

_READY: Final = re.compile(r"Entering main loop")
_TOLD: Final = re.compile(r"^(Card state change|PPS|Fi/Di|ATR \(|TPDU \()")
_ATR, _APDU = 1, 0
_RESPONSE_DATA: Final = frozenset((0x12, 0x70, 0x84, 0xB0, 0xB2, 0xC0, 0xCA, 0xF2))
"""Instructions of a UICC that bring data at T=0 (ETSI TS 102 221 table 10.5); GET IDENTITY 0x78 takes and gives."""


def split(tpdu: bytes) -> tuple[bytes, bytes]:
    """Return command and response of a T=0 exchange: header, data one way or the other, status word.

    What is cut short is all command: a card that answered nothing.
    """
    if len(tpdu) < 7:
        return tpdu, b""
    length = tpdu[4]
    instruction = tpdu[1] & 0xFE
    brings = instruction in _RESPONSE_DATA and not (instruction == 0x70 and tpdu[2] == 0x80)
    if brings:
        return tpdu[:5], tpdu[5:]
    if len(tpdu) == 7:  # refused behind its header, or nothing to send
        return tpdu[:5], tpdu[5:]
    if len(tpdu) < 5 + length + 2:
        return tpdu, b""
    return tpdu[: 5 + length], tpdu[5 + length :]


class Simtrace2(Recorder):
    """A SIMtrace2 board with the sniffer's firmware."""

    def __init__(self, options: DriverOptions, tool: str, address: str) -> None:
        super().__init__(options)
        self.tool = tool
        self.address = address
        self.frames = 0
        self._datagrams = Datagrams(self._datagram)
        describe(self.lane, f"card contacts by simtrace2-sniff; {default('sniff').describe()}")
        describe(self.notes, f"notes of {options.name}; {default('radio').describe()}")

    @classmethod
    async def open(cls, options: DriverOptions) -> Self:
        """Start the program. Raises Refused when it is not installed, InstrumentError when its address is taken."""
        extra = options.known_extra("tool", "address")
        wanted = str(extra.get("tool") or "simtrace2-sniff")
        tool = find(wanted)
        if tool is None:
            raise Refused(f"{wanted} is not installed", where=options.origin, hint="apt-get install simtrace2-tools")
        recorder = cls(options, tool, str(extra.get("address") or "127.0.0.77"))
        try:
            await recorder._start()
        except BaseException:
            await recorder.close()
            raise
        return recorder

    async def _start(self) -> None:
        self._datagrams.open(self.address, gsmtap.PORT)
        argv = [self.tool, "-i", self.address]
        if self.options.serial:
            argv += ["-A", self.options.serial]
        by_line = shutil.which("stdbuf")  # its output is kept back by the block otherwise, the sign of readiness too
        if by_line:
            argv = [by_line, "-oL", *argv]
        self.identity = Identity(manufacturer="sysmocom", model="SIMtrace2", serial=self.options.serial)
        self.program = Program(argv, ready=_READY, on_line=self._line, on_end=self.ended)
        self.program.name = "simtrace2-sniff"
        await self.program.start()
        self.begin()

    def _line(self, text: str) -> None:
        if _TOLD.match(text):
            self.note(f"says: {text}")

    def _datagram(self, data: bytes, source: int, now: int) -> None:
        try:
            frame = gsmtap.parse(data)
        except gsmtap.NoGsmtap as error:
            self.note(f"gave a datagram that cannot be read ({error}): {data[:32].hex()}")
            return
        if frame.layer != "SIM":
            return
        self.frames += 1
        if frame.sub_type == _ATR:
            told = f"ATR {frame.payload.hex().upper()}"
            self.lane.record(Direction.RECEIVED, frame.payload, time_ns=now, comment=told, dissector="iso7816.atr")
            return
        if frame.sub_type != _APDU:
            told = f"SIM frame of kind {frame.sub_type}"
            self.lane.record(Direction.RECEIVED, frame.payload, time_ns=now, comment=told, dissector="data")
            return
        command, response = split(frame.payload)
        for direction, raw in ((Direction.SENT, command), (Direction.RECEIVED, response)):
            if not raw:
                continue
            shown = redact.command(raw) if direction is Direction.SENT else redact.response(raw)
            told = one_liner("apdu:sniff", direction, shown)
            dissector = choose("apdu", int(direction), shown)
            self.lane.record(direction, shown, time_ns=now, comment=told, dissector=dissector)

    async def close(self) -> None:
        """Stop the program and take what it still gave. Never raises."""
        await super().close()
        self._datagrams.close()
