"""Recordings made with a real virtual eUICC: what a reader says, and the trace that a run would leave."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.apdu.iso7816 import Command
from bench.trace import Direction, TraceWriter
from fixtures.pki import Pki
from fixtures.profiles import Parameters, build
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc

EID = "89049032123451234512345678901235"
ISD_R = "a0000005591010ffffffff8900000100"
READING = (
    "bf2000", "bf2200", "bf3e035c015a", "bf2d00", "bf5500", "bf2800", "bf2b00", "bf5600", "bf3c00", "bf4300", "bf2e00",
)  # fmt: skip
"""ES10 functions that change nothing."""


def card(folder: Path, eid: str = EID, *, pki: Path | None = None) -> VirtualEuicc:
    """A card with one profile; the same folder is the same card."""
    folder.mkdir(exist_ok=True)
    package = folder / "bootstrap.der"
    keys = bytes(range(16)), bytes(range(16, 32))
    if not package.exists():
        package.write_bytes(build(Parameters("8900101000000000019", "001010000000001", *keys, "BOOT", "apn")))
    opened = VirtualEuicc.open(
        folder / "card", pki=Pki.open((pki or folder) / "home"), eid=eid, bootstrap=package, options=EuiccOptions()
    )
    opened.power_on()
    return opened


class Reader:
    """A reader of T=0: blocks of ``segment`` bytes, GET RESPONSE, 6Cxx; records what goes over its line."""

    def __init__(self, transmit: object, record: object = lambda direction, data: None, *, segment: int = 255) -> None:
        self._transmit, self._record, self._segment = transmit, record, segment

    def raw(self, apdu: bytes) -> bytes:
        self._record(Direction.SENT, apdu)  # type: ignore[operator]
        answer: bytes = self._transmit(apdu)  # type: ignore[operator]
        self._record(Direction.RECEIVED, answer)  # type: ignore[operator]
        return answer

    def say(self, apdu: bytes) -> tuple[bytes, int]:
        answer = self.raw(apdu)
        if answer[-2] == 0x6C:
            answer = self.raw(apdu[:4] + answer[-1:])
        data = answer[:-2]
        while answer[-2] == 0x61:
            answer = self.raw(bytes((apdu[0] & 0x43, 0xC0, 0, 0, answer[-1])))
            data += answer[:-2]
        return data, int.from_bytes(answer[-2:], "big")

    def open(self, aid: str = ISD_R) -> int:
        (number,) = self.raw(bytes.fromhex("0070000001"))[:-2]
        raw = bytes.fromhex(aid)
        _, word = self.say(bytes((number, 0xA4, 4, 0, len(raw))) + raw)
        assert word == 0x9000, hex(word)
        return int(number)

    def store(self, channel: int, request: bytes) -> tuple[bytes, int]:
        parts = [request[at : at + self._segment] for at in range(0, len(request), self._segment)]
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            head = bytes((0x80 | channel, 0xE2, 0x91 if last else 0x11, number, len(part)))
            data, word = self.say(head + part)
        return data, word


def record(path: Path, card: VirtualEuicc, requests: Iterable[str] = READING, *, segment: int = 255) -> Path:
    """Write the trace of a reader that asks ``requests`` (hexadecimal ES10) of ISD-R."""
    with TraceWriter.open(path, run_id="r") as writer:
        lane = writer.lane("apdu:card")
        reader = Reader(card.transmit, lane.record, segment=segment)
        channel = reader.open()
        for request in requests:
            reader.store(channel, bytes.fromhex(request))
        reader.raw(bytes((0, 0x70, 0x80, channel)))
        # Files, on the basic channel.
        for apdu in ("00a40004022fe2", "00b000000a", "80f2000000", "00a4040410a0000000871002ffffffff8907090000"):
            reader.say(bytes.fromhex(apdu))
        for apdu in ("00a40004026f07", "00b0000009"):
            reader.say(bytes.fromhex(apdu))
    return path


__all__ = ["EID", "ISD_R", "READING", "Command", "Reader", "card", "record"]
