"""Names of status words (ISO/IEC 7816-4 table 5, ETSI TS 102 221 section 10.2, GlobalPlatform 2.3)."""

from __future__ import annotations

_EXACT = {
    0x9000: "normal ending",
    0x9300: "card application toolkit busy",
    0x6200: "warning, memory unchanged",
    0x6281: "part of the data may be corrupted",
    0x6282: "end of file reached before Le bytes",
    0x6283: "selected file invalidated",
    0x6284: "selected file in termination state",
    0x6285: "selected file terminated",
    0x62F1: "more data available",
    0x62F2: "more data available, proactive command pending",
    0x62F3: "response data available",
    0x6300: "warning, memory changed",
    0x63F1: "more data expected",
    0x63F2: "more data expected, proactive command pending",
    0x6400: "no information, memory unchanged",
    0x6500: "no information, memory changed",
    0x6581: "memory problem",
    0x6700: "wrong length",
    0x6800: "function in CLA not supported",
    0x6881: "logical channel not supported",
    0x6882: "secure messaging not supported",
    0x6883: "last command of a chain expected",
    0x6884: "command chaining not supported",
    0x6900: "command not allowed",
    0x6981: "command incompatible with file structure",
    0x6982: "security status not satisfied",
    0x6983: "authentication or PIN method blocked",
    0x6984: "referenced data invalidated",
    0x6985: "conditions of use not satisfied",
    0x6986: "command not allowed, no EF selected",
    0x6987: "secure messaging objects missing",
    0x6988: "secure messaging objects incorrect",
    0x6989: "command not allowed, secure channel, security not satisfied",
    0x6999: "applet selection failed",
    0x6A00: "wrong parameters",
    0x6A80: "incorrect data",
    0x6A81: "function not supported",
    0x6A82: "file or application not found",
    0x6A83: "record not found",
    0x6A84: "not enough memory",
    0x6A85: "Lc inconsistent with TLV structure",
    0x6A86: "incorrect P1 P2",
    0x6A87: "Lc inconsistent with P1 P2",
    0x6A88: "referenced data not found",
    0x6A89: "file already exists",
    0x6A8A: "DF name already exists",
    0x6B00: "wrong P1 P2",
    0x6D00: "instruction not supported",
    0x6E00: "class not supported",
    0x6F00: "technical problem, no diagnosis",
    0x9862: "authentication error, application specific",
    0x9863: "security session or association expired",
    0x9864: "minimum UICC suspension time too long",
}

_BY_SW1 = {
    0x61: "{sw2} more bytes with GET RESPONSE",
    0x62: "warning, memory unchanged",
    0x63: "warning, memory changed",
    0x64: "execution error, memory unchanged",
    0x65: "execution error, memory changed",
    0x66: "security-related issue",
    0x67: "wrong length",
    0x68: "function in CLA not supported",
    0x69: "command not allowed",
    0x6A: "wrong parameters",
    0x6B: "wrong P1 P2",
    0x6C: "wrong Le, {sw2} bytes are there",
    0x6D: "instruction not supported",
    0x6E: "class not supported",
    0x6F: "technical problem",
    0x91: "normal ending, proactive command of {sw2} bytes pending",
    0x92: "normal ending, ongoing data transfer session",
    0x94: "no file selected or not found (2G)",
    0x98: "security error (2G)",
    0x9F: "{sw2} bytes of response with GET RESPONSE (2G)",
}


def name(status_word: int) -> str:
    """Return the plain name of a status word, ``unknown status word`` when no standard names it."""
    exact = _EXACT.get(status_word)
    if exact is not None:
        return exact
    sw1, sw2 = status_word >> 8, status_word & 0xFF
    if sw1 == 0x63 and sw2 & 0xF0 == 0xC0:
        return f"verification failed, {sw2 & 0x0F} tries left"
    pattern = _BY_SW1.get(sw1)
    return pattern.format(sw2=sw2 or 256) if pattern else "unknown status word"


def describe(status_word: int) -> str:
    """Return a status word as people read it: ``6985 conditions of use not satisfied``."""
    return f"{status_word:04X} {name(status_word)}"
