"""Keys and PINs never reach a trace: what a line or an APDU hides before it is written.

Works on bytes, keeps the length, and is made for the hot path: one search a line. What is masked reads ``****``.
"""

from __future__ import annotations

import re
from typing import Final

_MASK: Final = b"*"

# AT commands whose arguments hold a PIN, a password or a key, and how many leading arguments may be shown.
_AT_SECRET: Final = re.compile(
    rb"[+%^$#*](CPIN2?|CPWD|CLCK|CPINR|CGAUTH|QICSGP|UAUTHREQ|UPSD|PDPAUTH|CMNG|USECMNG|XSUDO|QSSLCFG|CSCA_KEY)=([^\r\n;]*)",
    re.IGNORECASE,
)
_AT_SHOWN: Final = {
    b"CPWD": 1,
    b"CLCK": 2,
    b"CGAUTH": 2,
    b"QICSGP": 3,
    b"PDPAUTH": 1,
    b"UAUTHREQ": 2,
    b"UPSD": 2,
    b"CMNG": 3,
}
# The APDU inside +CSIM and +CGLA, as hexadecimal text.
_AT_APDU: Final = re.compile(rb"\+(?:CSIM|CGLA)[=:][^\"\r\n]*?\"?([0-9A-Fa-f]{10,})\"?")

# A mnemonic of a SCPI header that names a key; *OPC? and *OPC are not meant.
_SCPI_SECRET: Final = re.compile(
    rb"(?:^|[:;\s])(?:\w+:)*(?:SKEY\w*|SEC?RET\w*|KI|OPC?|TOPC?|MIL(?:ENAGE)?|TUAK\w*|K(?:EY)?|PIN\d?|PASS(?:WORD)?|PSWD)"
    rb"(?::\w+)*(\?|[ \t]+([^;\r\n]*))",
    re.IGNORECASE,
)
# A whole 128- or 256-bit key on any SCPI line.
_SCPI_KEY: Final = re.compile(rb"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{32})(?![0-9A-Fa-f])")

_SWITCH: Final = (b"ON", b"OFF", b"0", b"1")
_PIN_INSTRUCTIONS: Final = frozenset((0x20, 0x24, 0x26, 0x28, 0x2C))
"""VERIFY, CHANGE, DISABLE, ENABLE and UNBLOCK PIN (ETSI TS 102 221 section 11.1.9 to 11.1.13)."""
_PIN_HEX: Final = frozenset(b"%02X" % instruction for instruction in _PIN_INSTRUCTIONS)
_AUTHENTICATE_SUCCESS: Final = 0xDB


def _hide(line: bytes, start: int, end: int) -> bytes:
    return line[:start] + _MASK * (end - start) + line[end:]


def _mask_arguments(arguments: bytes, shown: int) -> bytes:
    parts = arguments.split(b",")
    return b",".join(part if at < shown else _MASK * len(part) for at, part in enumerate(parts))


def _mask_hex_apdu(found: re.Match[bytes]) -> bytes:
    text = found.group(1)
    if len(text) % 2:
        return found.group(0)
    raw = bytes.fromhex(text.decode("ascii"))
    hidden = command(raw) if b"=" in found.group(0) else response(raw)
    if hidden is raw:
        return found.group(0)
    shown = bytes(
        octet if raw[at // 2] == hidden[at // 2] else 0x2A  # '*'
        for at, octet in enumerate(text)
    )
    whole = found.group(0)
    at = found.start(1) - found.start(0)
    return whole[:at] + shown + whole[at + len(text) :]


def at_line(line: bytes) -> bytes:
    """Return an AT line without PINs, passwords and keys. The same object when there is nothing to hide."""
    if _AT_SECRET.search(line):
        line = _AT_SECRET.sub(
            lambda found: (
                found.group(0)[: found.start(2) - found.start(0)]
                + _mask_arguments(found.group(2), _AT_SHOWN.get(found.group(1).upper(), 0))
            ),
            line,
        )
    if (b"CSIM" in line or b"CGLA" in line) and not _harmless(line):
        line = _AT_APDU.sub(_mask_hex_apdu, line)
    return line


def _harmless(line: bytes) -> bool:
    """Whether the one APDU of a line is seen at a glance to have nothing to hide: most have not."""
    if line.count(b"+C") != 1:
        return False
    apdu = line[line.rfind(b",") + 1 :].lstrip(b' "')[:4].upper()
    return len(apdu) == 4 and apdu.isalnum() and apdu[2:] not in _PIN_HEX and apdu[:2] != b"DB"


def scpi_line(line: bytes) -> tuple[bytes, bool]:
    """Return a SCPI line without keys, and whether its answer is a key and must be hidden too."""
    answer_is_secret = False
    for found in _SCPI_SECRET.finditer(line):
        if found.group(2) is not None:
            if found.group(2).strip().upper() in _SWITCH:  # CELL:SECurity:MILenage ON
                continue
            line = _hide(line, found.start(2), found.end(2))
        else:
            answer_is_secret = True
    for found in _SCPI_KEY.finditer(line):
        line = _hide(line, found.start(), found.end())
    return line, answer_is_secret


def command(apdu: bytes) -> bytes:
    """Return a command APDU with the PIN of a PIN command replaced by FF. The same object when there is none."""
    if len(apdu) > 5 and apdu[1] in _PIN_INSTRUCTIONS:
        return apdu[:5] + b"\xff" * (len(apdu) - 5)
    return apdu


def response(apdu: bytes) -> bytes:
    """Return a response APDU with CK, IK and Kc of AUTHENTICATE replaced by zeros (3GPP TS 31.102 section 7.1.2)."""
    if len(apdu) < 30 or apdu[0] != _AUTHENTICATE_SUCCESS:
        return apdu
    keys = 2 + apdu[1]  # after tag DB and the length-prefixed RES
    if keys + 17 > len(apdu) or apdu[keys] != 0x10:
        return apdu
    return apdu[:keys] + b"\0" * (len(apdu) - keys - 2) + apdu[-2:]
