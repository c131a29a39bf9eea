"""Command and response APDUs as bytes, the class byte and its logical channel (ISO/IEC 7816-4, ETSI TS 102 221 10.1).

Nothing here does I/O. The short form only carries up to 255 bytes of data and 256 bytes of answer; the extended form
is read and written too, because readers and traces show it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.apdu.status import describe

MAX_SHORT_DATA = 255
MAX_SHORT_ANSWER = 256
MAX_CHANNEL = 19

_CHAINING = 0x10


class ApduError(ValueError):
    """Bytes that are no command or no response, or a command that cannot be written in the form asked for."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command APDU.

    ``le`` is the number of bytes expected in the answer: None for none (cases 1 and 3), 256 (65536 in the extended
    form) for "as many as there are".
    """

    cla: int
    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = b""
    le: int | None = None
    extended: bool = False

    def __post_init__(self) -> None:
        for name in ("cla", "ins", "p1", "p2"):
            value = getattr(self, name)
            if not 0 <= value <= 0xFF:
                raise ApduError(f"{name} is {value}, not a byte")
        most_data, most_answer = (0xFFFF, 0x10000) if self.extended else (MAX_SHORT_DATA, MAX_SHORT_ANSWER)
        if len(self.data) > most_data:
            raise ApduError(f"{len(self.data)} bytes of data, at most {most_data} fit")
        if self.le is not None and not 1 <= self.le <= most_answer:
            raise ApduError(f"Le is {self.le}, allowed are 1 to {most_answer}")

    def __bytes__(self) -> bytes:
        """Return the APDU as it goes to the card."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        if self.extended:
            return header + self._extended_body()
        body = bytes((len(self.data),)) + self.data if self.data else b""
        if self.le is not None:
            body += bytes((self.le & 0xFF,))
        return header + body

    def _extended_body(self) -> bytes:
        if not self.data and self.le is None:
            return b""
        body = b"\x00"
        if self.data:
            body += len(self.data).to_bytes(2, "big") + self.data
        if self.le is not None:
            body += (self.le & 0xFFFF).to_bytes(2, "big")
        return body

    @classmethod
    def parse(cls, raw: bytes) -> Command:
        """Read a command APDU of any of the four cases, short or extended. Raises ApduError."""
        raw = bytes(raw)
        if len(raw) < 4:
            raise ApduError(f"a command APDU has at least 4 bytes, these are {len(raw)}: {raw.hex()}")
        body = raw[4:]
        bare = cls(raw[0], raw[1], raw[2], raw[3])
        if not body:
            return bare
        if len(body) == 1:
            return replace(bare, le=body[0] or 0x100)
        if body[0]:
            count = body[0]
            data, rest = body[1 : 1 + count], body[1 + count :]
            if len(data) != count or len(rest) > 1:
                raise ApduError(f"Lc is {count} but {len(body) - 1} bytes follow: {raw[:16].hex()}")
            return replace(bare, data=data, le=(rest[0] or 0x100) if rest else None)
        if len(body) == 3:
            return replace(bare, le=int.from_bytes(body[1:3], "big") or 0x10000, extended=True)
        count = int.from_bytes(body[1:3], "big")
        data, rest = body[3 : 3 + count], body[3 + count :]
        if not count or len(data) != count or len(rest) not in (0, 2):
            raise ApduError(f"the extended Lc is {count} but {max(len(body) - 3, 0)} bytes follow: {raw[:16].hex()}")
        le = (int.from_bytes(rest, "big") or 0x10000) if rest else None
        return replace(bare, data=data, le=le, extended=True)

    def with_le(self, le: int) -> Command:
        """Return the command with another Le (0 stands for 256), as 6Cxx asks."""
        return replace(self, le=le or MAX_SHORT_ANSWER)

    def on_channel(self, channel: int) -> Command:
        """Return the command with the bits of a logical channel (0 to 19) in its class byte."""
        return replace(self, cla=class_on_channel(self.cla, channel))

    def __str__(self) -> str:
        text = f"{self.cla:02X} {self.ins:02X} {self.p1:02X} {self.p2:02X}"
        if self.data:
            text += f" Lc={len(self.data)}"
        return text if self.le is None else f"{text} Le={self.le}"


@dataclass(frozen=True, slots=True)
class Response:
    """One response APDU: data and status word."""

    data: bytes
    status_word: int

    @classmethod
    def parse(cls, raw: bytes) -> Response:
        """Split a response into data and status word. Raises ApduError when there is no status word in it.

        More than 256 bytes of data are accepted: some modems collect the answer themselves.
        """
        raw = bytes(raw)
        if len(raw) < 2:
            raise ApduError(f"a response APDU has at least the two bytes of SW1 SW2, these are {len(raw)}")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    def __bytes__(self) -> bytes:
        """Return the response as it came from the card."""
        return self.data + self.status_word.to_bytes(2, "big")

    @property
    def sw1(self) -> int:
        """First byte of the status word."""
        return self.status_word >> 8

    @property
    def sw2(self) -> int:
        """Second byte of the status word."""
        return self.status_word & 0xFF

    @property
    def ok(self) -> bool:
        """Whether the command was carried out: 9000, 91xx, or 92xx (TS 102 221 table 10.7)."""
        return self.status_word == 0x9000 or self.sw1 in (0x91, 0x92)

    @property
    def proactive(self) -> int | None:
        """Length in bytes of the proactive command that waits for FETCH (91xx), None when none waits."""
        if self.sw1 != 0x91:
            return None
        return self.sw2 or 0x100

    def __str__(self) -> str:
        return f"{len(self.data)} bytes, {describe(self.status_word)}"


def channel_of(cla: int) -> int:
    """Return the logical channel (0 to 19) that a class byte names (TS 102 221 tables 10.3, 10.4 and 10.4a)."""
    if cla & 0x40 and cla != 0xFF:
        return 4 + (cla & 0x0F)
    return cla & 0x03


def class_on_channel(cla: int, channel: int) -> int:
    """Return the class byte with the bits of ``channel``: 0 basic, 1 to 3 in 0X/8X, 4 to 19 in 4X/CX.

    Secure messaging and the chaining bit are kept: 0X, 8X and AX have two bits for secure messaging, 4X and CX have
    one (6X, EX). Raises ApduError for a channel that the class cannot carry (2G's A0 beyond 3, PPS's FF).
    """
    if not 0 <= channel <= MAX_CHANNEL:
        raise ApduError(f"there is no logical channel {channel}: 0 to {MAX_CHANNEL}")
    if not 0 <= cla < 0xFF:
        raise ApduError(f"{cla:#x} is no class byte")
    proprietary, chaining = cla & 0x80, cla & _CHAINING
    if cla & 0x40:
        secure = bool(cla & 0x20)
        first_secure = 0x0C if secure else 0
        legacy = 0
    else:
        secure = bool(cla & 0x0C)
        first_secure = cla & 0x0C
        legacy = cla & 0x20
    if channel <= 3:
        return proprietary | legacy | chaining | first_secure | channel
    if legacy:
        raise ApduError(f"class {cla:02X} cannot name channel {channel}: only 0 to 3")
    return proprietary | 0x40 | (0x20 if secure else 0) | chaining | (channel - 4)


def manage_channel_open() -> Command:
    """MANAGE CHANNEL: open the next free channel; the card answers its number in one byte (TS 102 221 11.1.17)."""
    return Command(0x00, 0x70, 0x00, 0x00, le=1)


def manage_channel_close(channel: int) -> Command:
    """MANAGE CHANNEL: close a channel (1 to 19), sent on the basic channel."""
    if not 1 <= channel <= MAX_CHANNEL:
        raise ApduError(f"channel {channel} cannot be closed: 1 to {MAX_CHANNEL}")
    return Command(0x00, 0x70, 0x80, channel)


def select_aid(aid: bytes, *, le: int | None = MAX_SHORT_ANSWER) -> Command:
    """SELECT by AID, first occurrence, FCI asked for (ISO 7816-4 11.2.2). ``le`` None leaves Le out (T=0)."""
    if not 5 <= len(aid) <= 16:
        raise ApduError(f"an AID has 5 to 16 bytes, this one {len(aid)}")
    return Command(0x00, 0xA4, 0x04, 0x00, bytes(aid), le)


def get_response(length: int) -> Command:
    """GET RESPONSE for ``length`` bytes, 0 stands for 256 (ISO 7816-4 11.7.1)."""
    return Command(0x00, 0xC0, 0x00, 0x00, le=length or MAX_SHORT_ANSWER)
