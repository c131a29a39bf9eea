"""Which Wireshark dissector is named for a packet of a lane.

Chosen so that Debian's tshark 4.0 reads every packet without "Malformed", whatever a device sent. That version breaks
on card commands whose length byte is wrong, on some well-formed ones (TERMINAL RESPONSE and ENVELOPE contents), and on
universal BER types of wrong length; such packets are shown as plain bytes, and the one-liner says what they are.
"""

from __future__ import annotations

from typing import Final

PLAIN: Final = "data"
_TEXT: Final = "data-text-lines"
_CARD_COMMAND: Final = "gsm_sim.command"
_CARD_RESPONSE: Final = "gsm_sim.response"

COLUMNS: Final = {
    "at": "AT",
    "scpi": "SCPI",
    "console": "Console",
    "esipa": "ESipa",
    "es9plus": "ES9+",
    "es2plus": "ES2+",
    "apdu": "APDU",
    "sniff": "APDU",
    "radio": "Radio",
    "power": "Power",
    "steps": "Steps",
}
"""Protocol column for packets whose dissector sets none."""

DESCRIPTIONS: Final = {
    "apdu": "card commands and responses (ISO 7816-4) as the bench exchanged them",
    "sniff": "card commands and responses as seen on the contacts of the card",
    "at": "AT commands, answers and unsolicited results",
    "scpi": "SCPI",
    "console": "console of the device",
    "switch": "switches and relays",
    "esipa": "ESipa (SGP.32): bodies of IPA and eIM",
    "es9plus": "ES9+ (SGP.22): bodies of LPA, IPA or eIM and SM-DP+",
    "es2plus": "ES2+ (SGP.22): bodies of operator and SM-DP+",
    "ip": "IP of the device's data link; payload as carried, headers made by who carried it",
    "steps": "steps, measurements and events of the run, JSON",
    "power": "volts and amperes of the supply, JSON",
    "radio": "radio measurements (JSON) and radio messages",
}
"""What stands in the interface of a lane whose maker does not say."""

_SIMPLE_COMMANDS: Final = frozenset(range(256)) - {0xA4, 0xA2, 0x14, 0xC2, 0x88}
"""Instructions whose data field tshark 4.0 reads without trouble, as long as it is all there."""


def _short_terminal_response(data: bytes) -> bool:
    """Command details, device identities and a one-byte result (ETSI TS 102 223 section 6.8), nothing else."""
    return len(data) == 12 and (data[0] & 0x7F, data[1], data[5] & 0x7F, data[6], data[9] & 0x7F, data[10]) == (
        1,
        3,
        2,
        2,
        3,
        1,
    )


def _card_command(command: bytes) -> str:
    if len(command) < 5 or len(command) < 5 + command[4]:
        return PLAIN
    instruction, p1, length = command[1], command[2], command[4]
    if instruction in _SIMPLE_COMMANDS:
        return _CARD_COMMAND
    known = (
        (instruction == 0xA4 and (5 <= length <= 16 if p1 == 4 else length == 2 if p1 < 4 else False))
        or (instruction == 0x14 and _short_terminal_response(command[5 : 5 + length]))
        or (instruction == 0x88 and length == 0x22 and command[5] == 0x10 and command[0x16] == 0x10)
    )
    return _CARD_COMMAND if known else PLAIN


def _well_formed(data: bytes, depth: int) -> bool:
    at, end = 0, len(data)
    while at < end:
        first = data[at]
        at += 1
        number = first & 0x1F
        if number == 0x1F:
            number = 0
            for _ in range(3):
                if at >= end:
                    return False
                octet = data[at]
                at += 1
                number = number << 7 | octet & 0x7F
                if octet < 0x80:
                    break
            else:
                return False
        if at >= end:
            return False
        length = data[at]
        at += 1
        if length >= 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 3 or at + octets > end:
                return False
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if at + length > end:
            return False
        value = data[at : at + length]
        at += length
        if first & 0x20:
            if depth == 0 or not _well_formed(value, depth - 1):
                return False
        elif first < 0x20 and not _universal(number, value):
            return False
    return True


def _universal(number: int, value: bytes) -> bool:
    """Whether tshark 4.0 reads this primitive of the universal class."""
    if number == 1:
        return len(value) == 1
    if number == 2:
        return 1 <= len(value) <= 8
    if number == 3:
        return len(value) >= 1 and value[0] <= 7 and (len(value) > 1 or value[0] == 0)
    if number == 5:
        return not value
    if number == 6:
        return 1 <= len(value) <= 64 and value[-1] < 0x80
    if number in (4, 12, 19, 22):
        return True
    return (
        number in (23, 24)
        and value.isascii()
        and value[-1:] == b"Z"
        and len(value) in (13, 15)
        and value[:-1].isdigit()
    )


def _tlv(data: bytes) -> str:
    return "ber" if data and _well_formed(data, 16) else PLAIN


def _body(data: bytes) -> str:
    """Return the dissector of a body that is JSON or TLV."""
    if data[:1] in (b"{", b"["):
        return "json"
    return _tlv(data)


def _printable(data: bytes) -> str:
    return _TEXT if data else PLAIN


def choose(kind: str, direction: int, data: bytes) -> str:
    """Return the dissector for one packet of a lane of this ``kind`` (the lane's name before the colon)."""
    if kind in ("apdu", "sniff"):
        if direction == 0:
            return _card_command(data)
        return _CARD_RESPONSE if len(data) >= 2 else PLAIN
    if kind in ("at", "scpi", "console"):
        return _printable(data)
    if kind in ("steps", "radio", "power", "es9plus", "es2plus"):
        return "json" if data[:1] in (b"{", b"[") else _printable(data)
    if kind == "esipa":
        return _body(data)
    return PLAIN
