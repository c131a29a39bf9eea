"""STORE DATA to ISD-R: cutting an ES10 request into command APDUs and back (SGP.22 section 5.7.2)."""

from __future__ import annotations

from collections.abc import Iterator

from bench.apdu.iso7816 import ApduError, Command

CLA = 0x80
INS = 0xE2
P1_MORE = 0x11
P1_LAST = 0x91
MAX_BLOCKS = 256
"""P2 is one byte: blocks 00 to FF."""
DEFAULT_SEGMENT = 255
WEAK_MODEM_SEGMENT = 120
"""For modems whose AT+CGLA or AT+CSIM line buffer is short."""


def chain(data: bytes, *, segment: int = DEFAULT_SEGMENT) -> list[Command]:
    """Cut one ES10 request (or one unit of a bound profile package) into STORE DATA commands.

    ``segment``: bytes of data in one command, 1 to 255. P1 is 11 for a block that is followed by others and 91 for
    the last one, P2 counts from 00; no Le. Raises ApduError when it does not fit into 256 blocks, or is empty.
    """
    if not 1 <= segment <= 255:
        raise ApduError(f"a STORE DATA block carries 1 to 255 bytes, not {segment}")
    if not data:
        raise ApduError("nothing to store: an ES10 request has at least a tag and a length")
    count = -(-len(data) // segment)
    if count > MAX_BLOCKS:
        raise ApduError(f"{len(data)} bytes make {count} blocks of {segment}, P2 counts only {MAX_BLOCKS}")
    return [
        Command(
            CLA, INS, P1_LAST if block == count - 1 else P1_MORE, block, data[block * segment : (block + 1) * segment]
        )
        for block in range(count)
    ]


class Assembler:
    """The other direction, for cards in software and for decoding traces: commands in, whole requests out."""

    def __init__(self, *, limit: int = MAX_BLOCKS * 255) -> None:
        self._limit = limit
        self._data = bytearray()
        self._next = 0

    @property
    def busy(self) -> bool:
        """Whether a chain was begun and not ended."""
        return self._next > 0

    def reset(self) -> None:
        """Forget a chain that was begun."""
        self._data.clear()
        self._next = 0

    def add(self, command: Command) -> bytes | None:
        """Take one block; return the whole request after its last one, None before.

        A block with P2 = 00 begins a new chain whatever was there. Raises ApduError (and forgets the chain) for a
        block out of order, another P1 or INS, and a request beyond the limit.
        """
        try:
            if command.ins != INS or command.p1 not in (P1_MORE, P1_LAST):
                raise ApduError(f"no STORE DATA of ES10: {command}")
            if command.p2 == 0:
                self.reset()
            if command.p2 != self._next:
                raise ApduError(f"block {command.p2} came where block {self._next} was due")
            if len(self._data) + len(command.data) > self._limit:
                raise ApduError(f"a request of more than {self._limit} bytes")
        except ApduError:
            self.reset()
            raise
        self._data += command.data
        if command.p1 == P1_MORE:
            self._next += 1
            return None
        whole = bytes(self._data)
        self.reset()
        return whole


def reassemble(commands: Iterator[Command]) -> Iterator[bytes]:
    """Yield every whole request that a series of STORE DATA commands carries."""
    assembler = Assembler()
    for command in commands:
        whole = assembler.add(command)
        if whole is not None:
            yield whole
