"""Qualcomm DIAG as far as a relay between port and tool must know it: frames, log times, requests to repeat. No I/O.

The tools understand what is in the logs; the bench keeps the raw stream and notes when each frame came, so that a
message of the tool can be given both times: the modem's, and the host's at the moment the frame was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.trace.diag import device_time

_LOG, _LOG_CONFIG, _EVENT_REPORT, _EXT_MESSAGE_CONFIG = 0x10, 0x73, 0x60, 0x7D
_LONGEST: Final = 1 << 17
_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class LogFrame:
    """One log packet of the modem."""

    code: int
    device_ns: int
    """The modem's time in ns since 1970."""
    host_ns: int
    """Wall time at which its last byte was read."""
    body: bytes


def unescape(data: bytes) -> bytes:
    """Return a frame's bytes without HDLC escapes (RFC 1662 section 4.2)."""
    if b"\x7d" not in data:
        return data
    parts = data.split(b"\x7d")
    return parts[0] + b"".join(bytes((part[0] ^ 0x20,)) + part[1:] for part in parts[1:] if part)


def log_of(packet: bytes, host_ns: int) -> LogFrame | None:
    """Return the log packet in an unescaped frame with its check sequence, None for any other frame."""
    if len(packet) < 18 or packet[0] != _LOG:
        return None
    code = int.from_bytes(packet[6:8], "little")
    return LogFrame(code, device_time(int.from_bytes(packet[8:16], "little")), host_ns, packet[16:-2])


class Splitter:
    """Cuts a stream into frames; a frame that never ends is thrown away."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every frame that is complete now, escaped, without its end."""
        *whole, self._rest = (self._rest + data).split(b"\x7e")
        if len(self._rest) > _LONGEST:
            self._rest = b""
        for found in whole:
            if found:
                yield found


class Requests:
    """What the tool has asked for that a modem forgets when it restarts: log masks, events, messages."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}

    def take(self, frame: bytes) -> None:
        """Remember a request (escaped, without its end) if it is a setting; the last of its kind counts."""
        packet = unescape(frame)
        if not packet:
            return
        if packet[0] == _LOG_CONFIG and len(packet) >= 8:
            operation = packet[4]
            if operation == 0:  # everything off
                for key in [key for key in self._kept if key[0] == _LOG_CONFIG]:
                    del self._kept[key]
            elif operation == 3:
                self._kept[packet[:12]] = frame
        elif packet[0] == _EVENT_REPORT:
            self._kept[packet[:1]] = frame
        elif packet[0] == _EXT_MESSAGE_CONFIG and len(packet) >= 6 and packet[1] in (4, 5):
            self._kept[packet[:6]] = frame

    def repeat(self) -> bytes:
        """Return the requests that bring a restarted modem to where it was."""
        return b"".join(frame + b"\x7e" for frame in self._kept.values())


class Times:
    """The latest log packets, to find the one that a tool's message was made of."""

    def __init__(self) -> None:
        self._frames: deque[LogFrame] = deque(maxlen=_KEPT)
        self._used = 0
        """How many of them have been found already, from the left."""
        self.dropped = 0

    def add(self, frame: LogFrame) -> None:
        """Take a log packet in the order in which it came."""
        if len(self._frames) == self._frames.maxlen and self._used:
            self._used -= 1
        self._frames.append(frame)

    def find(self, payload: bytes) -> LogFrame | None:
        """Return the first log packet, from the last one found on, that ends with these bytes; None without one.

        Tools keep the order, and a NAS or RRC message is the end of its log packet. One log may become several
        messages, so the last one found is looked at again.
        """
        if not payload:
            return None
        for index in range(max(0, self._used - 1), len(self._frames)):
            if self._frames[index].body.endswith(payload):
                self._used = index + 1
                return self._frames[index]
        return next((frame for frame in reversed(self._frames) if payload in frame.body), None)


def _check(data: bytes) -> int:
    """Return the frame check sequence (RFC 1662 appendix C.2)."""
    value = 0xFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value ^ 0xFFFF


def acknowledge(frame: bytes) -> bytes | None:
    """Return the answer by which a setting (escaped, without its end) counts as made; None for other requests.

    For a modem that is away: QCSuper waits for each of these answers, and does not even end without them. What was
    asked for is asked of the modem when it is back.
    """
    packet = unescape(frame)[:-2]
    if not packet:
        return None
    if packet[0] == _LOG_CONFIG and len(packet) >= 8 and packet[4] in (0, 3):
        answer = packet[:8] + bytes(4) + packet[8:]
    elif packet[0] in (_EVENT_REPORT, _EXT_MESSAGE_CONFIG):
        answer = packet
    else:
        return None
    data = answer + _check(answer).to_bytes(2, "little")
    return data.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"
