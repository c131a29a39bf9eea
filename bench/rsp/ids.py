"""Identifiers of cards, profiles and networks: EID, ICCID, IMSI, PLMN, and their codings on the wire.

Digits are strings in reading order. An EID is plain BCD on the wire (SGP.02 section 2.2.2), an ICCID has its nibbles
swapped as in EF.ICCID (TS 102 221 section 13.2) and a PLMN is coded as in TS 24.008 section 10.5.1.3.
"""

from __future__ import annotations

from bench.rsp.errors import DecodeError, EncodeError

EID_DIGITS = 32
ICCID_BYTES = 10


def eid_bytes(digits: str | bytes) -> bytes:
    """Return the 16 bytes of an EID of 32 digits (bytes of that length are passed through). Raises EncodeError."""
    if isinstance(digits, bytes):
        if len(digits) != EID_DIGITS // 2:
            raise EncodeError(f"an EID has 16 bytes, not {len(digits)}")
        return digits
    if len(digits) != EID_DIGITS or not _decimal(digits):
        raise EncodeError(f"an EID has 32 decimal digits, not {digits!r}")
    return bytes.fromhex(digits)


def eid_digits(data: bytes) -> str:
    """Return the 32 digits of an EID of 16 bytes. Raises DecodeError."""
    digits = data.hex()
    if len(digits) != EID_DIGITS or not digits.isdecimal():
        raise DecodeError(f"{digits!r} is no EID: 16 bytes of BCD digits are expected")
    return digits


def check_eid(digits: str) -> bool:
    """Return whether 32 digits are an EID with valid check digits (ISO/IEC 7064 MOD 97-10, SGP.02 section 2.2.2)."""
    return len(digits) == EID_DIGITS and _decimal(digits) and int(digits) % 97 == 1


def eid_with_check_digits(first30: str) -> str:
    """Return the EID whose first 30 digits are given. Raises EncodeError."""
    if len(first30) != EID_DIGITS - 2 or not _decimal(first30):
        raise EncodeError(f"30 decimal digits are expected, not {first30!r}")
    return f"{first30}{98 - int(first30 + '00') % 97:02d}"


def luhn_digit(digits: str) -> str:
    """Return the Luhn check digit (ISO/IEC 7812-1) that belongs after ``digits``."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit)
        if position % 2 == 0:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return str(-total % 10)


def check_iccid(digits: str) -> bool:
    """Return whether digits are an ICCID of 19 or 20 digits with a valid Luhn digit (ITU-T E.118)."""
    return len(digits) in (19, 20) and _decimal(digits) and luhn_digit(digits[:-1]) == digits[-1]


def iccid_bytes(digits: str | bytes) -> bytes:
    """Return the 10 bytes of an ICCID of up to 20 digits, filled with F (10 bytes are passed through)."""
    if isinstance(digits, bytes):
        if len(digits) != ICCID_BYTES:
            raise EncodeError(f"an ICCID has 10 bytes, not {len(digits)}")
        return digits
    trimmed = digits.rstrip("Ff")
    if not 1 <= len(trimmed) <= 20 or not _decimal(trimmed):
        raise EncodeError(f"an ICCID has up to 20 decimal digits, not {digits!r}")
    return swap_nibbles(trimmed.ljust(20, "f"))


def iccid_digits(data: bytes) -> str:
    """Return the digits of an ICCID as in EF.ICCID, without filler. Raises DecodeError.

    Some issuers use hexadecimal digits; they are shown in upper case rather than refused.
    """
    if len(data) != ICCID_BYTES:
        raise DecodeError(f"an ICCID has 10 bytes, not {len(data)}")
    return unswap_nibbles(data).rstrip("f").upper()


def imsi_file(digits: str) -> bytes:
    """Return the 9 bytes of EF.IMSI (TS 31.102 section 4.2.2) for an IMSI of 6 to 15 digits. Raises EncodeError."""
    if not 6 <= len(digits) <= 15 or not _decimal(digits):
        raise EncodeError(f"an IMSI has 6 to 15 decimal digits, not {digits!r}")
    parity = "9" if len(digits) % 2 else "1"
    nibbles = parity + digits
    if len(nibbles) % 2:
        nibbles += "f"
    packed = swap_nibbles(nibbles)
    return bytes((len(packed),)) + packed.ljust(8, b"\xff")


def imsi_digits(data: bytes) -> str:
    """Return the IMSI of the content of EF.IMSI. Raises DecodeError (also for an empty file, FF...)."""
    if len(data) < 2 or not 1 <= data[0] <= 8 or data[0] >= len(data) + 1:
        raise DecodeError(f"{data.hex()!r} is no content of EF.IMSI")
    nibbles = unswap_nibbles(data[1 : 1 + data[0]])
    digits = nibbles[1:].rstrip("f")
    if not digits.isdecimal():
        raise DecodeError(f"EF.IMSI holds no decimal digits: {data.hex()}")
    return digits


def plmn_bytes(digits: str) -> bytes:
    """Return the 3 bytes of a PLMN of 5 or 6 digits, MCC first. Raises EncodeError."""
    if len(digits) not in (5, 6) or not _decimal(digits):
        raise EncodeError(f"a PLMN has 5 or 6 decimal digits, not {digits!r}")
    mcc, mnc = digits[:3], digits[3:].ljust(3, "f")
    return bytes.fromhex(mcc[1] + mcc[0] + mnc[2] + mcc[2] + mnc[1] + mnc[0])


def plmn_digits(data: bytes) -> str:
    """Return the 5 or 6 digits of a PLMN of 3 bytes. Raises DecodeError (also for an empty entry, FFFFFF)."""
    text = data.hex()
    if len(text) != 6:
        raise DecodeError(f"a PLMN has 3 bytes, not {len(data)}")
    digits = (text[1] + text[0] + text[3] + text[5] + text[4] + text[2]).rstrip("f")
    if len(digits) not in (5, 6) or not digits.isdecimal():
        raise DecodeError(f"{text!r} is no PLMN")
    return digits


def imei_bytes(digits: str) -> bytes:
    """Return the 8 bytes of an IMEI in DeviceInfo (SGP.22 section 4.2): 15 digits, swapped, last nibble F."""
    if len(digits) not in (14, 15, 16) or not _decimal(digits):
        raise EncodeError(f"an IMEI has 15 decimal digits, not {digits!r}")
    return swap_nibbles(digits.ljust(16, "f"))


def imei_digits(data: bytes) -> str:
    """Return the digits of an IMEI of 8 bytes. Raises DecodeError."""
    digits = unswap_nibbles(data).rstrip("f")
    if len(data) != 8 or not digits.isdecimal():
        raise DecodeError(f"{data.hex()!r} is no IMEI")
    return digits


def swap_nibbles(nibbles: str) -> bytes:
    """Return bytes in which each pair of ``nibbles`` (hexadecimal digits, an even number) is swapped."""
    return bytes.fromhex("".join(nibbles[i + 1] + nibbles[i] for i in range(0, len(nibbles), 2)))


def unswap_nibbles(data: bytes) -> str:
    """Return the hexadecimal digits of ``data``, low nibble of each byte first."""
    text = data.hex()
    return "".join(text[i + 1] + text[i] for i in range(0, len(text), 2))


def _decimal(digits: str) -> bool:
    return digits.isascii() and digits.isdecimal()
