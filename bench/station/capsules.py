"""UDP through an HTTP proxy: the upgrade request and the capsules (RFC 9298, RFC 9297). Bytes to values, no I/O."""

from __future__ import annotations

from urllib.parse import quote, unquote

DATAGRAM = 0x00
"""Capsule type; its value is a Context ID (0: a UDP payload follows) and the payload (RFC 9297 section 3.5)."""
PATH = "/.well-known/masque/udp/"
LONGEST = 65535
"""Bytes of a UDP payload that are taken at most."""


def integer(value: int) -> bytes:
    """Return a variable-length integer (RFC 9000 section 16). Raises ValueError beyond 62 bits."""
    for size, prefix in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(f"{value} is too large")


def read_integer(data: bytes | bytearray, offset: int) -> tuple[int, int] | None:
    """Return a variable-length integer and the offset behind it, None while bytes are missing."""
    if offset >= len(data):
        return None
    size = 1 << (data[offset] >> 6)
    if offset + size > len(data):
        return None
    value = int.from_bytes(data[offset : offset + size], "big") & ((1 << (8 * size - 2)) - 1)
    return value, offset + size


def capsule(payload: bytes) -> bytes:
    """Return the DATAGRAM capsule of a UDP payload."""
    return integer(DATAGRAM) + integer(len(payload) + 1) + b"\0" + payload


class Reader:
    """Takes capsules out of a byte stream. Unknown types and contexts are skipped, as RFC 9297 section 3.2 has it."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the UDP payloads that are complete. Raises ValueError for a capsule that no UDP payload can be."""
        self._buffer += data
        found: list[bytes] = []
        while (kind := read_integer(self._buffer, 0)) is not None:
            length = read_integer(self._buffer, kind[1])
            if length is None:
                break
            if length[0] > LONGEST + 8:
                raise ValueError(f"a capsule of {length[0]} bytes")
            end = length[1] + length[0]
            if len(self._buffer) < end:
                break
            value = bytes(self._buffer[length[1] : end])
            del self._buffer[:end]
            context = read_integer(value, 0)
            if kind[0] == DATAGRAM and context is not None and context[0] == 0:
                found.append(value[context[1] :])
        return found


def request(authority: str, host: str, port: int) -> bytes:
    """Return the HTTP/1.1 upgrade request for UDP to ``host``:``port`` (RFC 9298 section 3.2)."""
    return (
        f"GET {PATH}{quote(host, safe='')}/{port}/ HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\n"
        "Upgrade: connect-udp\r\nCapsule-Protocol: ?1\r\n\r\n"
    ).encode("ascii")


def target(path: str) -> tuple[str, int] | None:
    """Return host and port of a request's path, None when it is no such path."""
    if not path.startswith(PATH):
        return None
    parts = path.removeprefix(PATH).rstrip("/").split("/")
    if len(parts) != 2 or not parts[1].isascii() or not parts[1].isdecimal() or not 0 < int(parts[1]) < 65536:
        return None
    host = unquote(parts[0])
    return (host, int(parts[1])) if host else None
