"""What a line from an AT port is: answer, event (URC), end of the command, echo (V.250, 27.007). No I/O.

The same text can be an answer or an event (``+CEREG: 2``): only the command that is running decides.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a line is to the command that is running."""

    ECHO = enum.auto()
    INFORMATION = enum.auto()
    EVENT = enum.auto()
    OK = enum.auto()
    ERROR = enum.auto()


def _words(text: str, separator: str | None = None) -> frozenset[str]:
    return frozenset(text.split(separator))


DUAL = _words(
    "+CREG +CGREG +CEREG +C5GREG +CPIN +CSQ +CESQ +COPS +QUSIM +CFUN +CSCON +QSIMSTAT +CGATT +CCLK +QINISTAT "
    "+CTZR #QSS %XSIM +USIMSTAT +CNEC +QCSQ"
)
"""Answers to their own read command, and events at any other time."""
EVENTS = _words(
    "+CGEV +QIND +QIURC +CMTI +CMT +CDS +CDSI +CBM +CRING +CLIP +CCWA +CTZV +CTZE +CTZDST +CUSD +CIEV +CEDRXP +CSSI "
    "+CSSU +PACSP1 +STIN +STKPRO +QSTKURI +QSTKURC +UUSIMSTAT +UUSOCL +UUPSDD +PDP +SIM +SIMCARD #STN #STM %XTIME "
    "+CNEC_EMM +CNEC_ESM %NCELLMEAS %CESQ %MDMEV %XMODEMSLEEP +KSUP +KCNX_IND +WIND !SIMREADY "
    "+CEERI +QPSMTIMER +CPSMSTATUS +QNETDEVSTATUS +UUPING +APP"
)
"""Events only, by name: ``+CGEV`` stands for ``+CGEV: ...``."""
EVENT_TEXTS = _words(
    "RDY|APP RDY|READY|POWERED DOWN|NORMAL POWER DOWN|UNDER-VOLTAGE POWER DOWN|OVER-VOLTAGE POWER DOWN|SMS READY|"
    "SMS DONE|PB DONE|CALL READY|RING|UNDER-VOLTAGE WARNNING|OVER-VOLTAGE WARNNING|UNDER-VOLTAGE WARNING|^SYSSTART",
    "|",
)
_DIALLING_ENDS = frozenset(("NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE"))
_ENDS = frozenset(("ERROR", "ABORTED", "COMMAND NOT SUPPORT", "COMMAND NOT SUPPORTED"))

_NAME = re.compile(r"[+#%^$*&!@][A-Za-z0-9_]+")
_COMMAND = re.compile(r"AT([+#%^$*&!@][A-Z0-9_]+)?(=\?|\?|=)?", re.IGNORECASE)
_BARE = re.compile(r"AT(?:I\d*|\+(?:GMI|GMM|GMR|GSN|CGMI|CGMM|CGMR|CGSN|CIMI|CCID|ICCID|QCCID|CICCID|CNUM|CEER|QGMR))")
_STATE = re.compile(r"\s*\d{1,2}\s*")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known beforehand of the answer to a command line."""

    name: str
    """``+CEREG``; empty for basic commands."""
    reads: bool
    """``AT+X?`` or ``AT+X=?``: an answer of that name belongs to it."""
    action: bool
    """``AT+X``: likewise."""
    tests: bool
    bare: bool
    """The answer is text without a name, such as that of AT+CIMI."""
    dials: bool


@functools.lru_cache(maxsize=512)
def _expectation(head: str) -> Expectation:
    found = _COMMAND.match(head)
    name = (found.group(1) or "") if found else ""
    suffix = (found.group(2) or "") if found else ""
    return Expectation(
        name=name.upper(),
        reads=suffix in ("?", "=?"),
        action=suffix == "",
        tests=suffix == "=?",
        bare=_BARE.match(head) is not None,
        dials=head[2:3] in ("D", "A", "O") and not head.startswith("AT+"),
    )


def expect(command: str) -> Expectation:
    """Return what the answer to ``command`` looks like. Of ``AT+A;+B`` the first counts."""
    head = command.upper()
    equals = head.find("=")
    if equals >= 0 and head[equals : equals + 2] != "=?":
        head = head[: equals + 1]
    return _expectation(head.split(";")[0])


def classify(line: str, command: str | None, expected: Expectation | None) -> Kind:
    """Say what a line (stripped, not empty) is while ``command`` is running, or None while nothing runs.

    Lines that fit nothing known count as information of the running command, so that no vendor's answer is lost.
    """
    if command is None or expected is None:
        return Kind.EVENT
    if line == "OK":
        return Kind.OK
    if line[0] not in "+#%^$*&!@":
        return _classify_text(line, command, expected)
    found = _NAME.match(line)
    name = found.group(0).upper() if found else ""
    if name == expected.name:
        return _own_name(line, name, expected)
    if name in ("+CME", "+CMS") and "ERROR" in line[:10].upper():
        return Kind.ERROR
    if name in DUAL or name in EVENTS:
        return Kind.EVENT
    return Kind.INFORMATION


def _classify_text(line: str, command: str, expected: Expectation) -> Kind:
    upper = line.upper()
    if upper in _ENDS or upper.startswith("MODEM ERROR:"):
        return Kind.ERROR
    if upper == "CONNECT" or upper.startswith("CONNECT "):
        return Kind.OK
    if upper in _DIALLING_ENDS:
        return Kind.ERROR if expected.dials else Kind.EVENT
    if upper in EVENT_TEXTS:
        return Kind.EVENT
    if upper.startswith("AT") and upper == command.upper():
        return Kind.ECHO
    return Kind.INFORMATION


def _own_name(line: str, name: str, expected: Expectation) -> Kind:
    """Judge a line that carries the name of the running command."""
    if name not in DUAL:
        return Kind.INFORMATION
    if not (expected.reads or expected.action):
        return Kind.EVENT  # while it is being set, it is the event it switches on
    if expected.tests or name not in ("+CREG", "+CGREG", "+CEREG", "+C5GREG"):
        return Kind.INFORMATION
    # The answer to the read command has <n> before <stat>: its second field is a short plain number.
    fields = line.partition(":")[2].split(",")
    return Kind.INFORMATION if len(fields) >= 2 and _STATE.fullmatch(fields[1]) else Kind.EVENT


def name_of(line: str) -> str:
    """Return ``+CEREG`` of ``+CEREG: 1``, or the line itself for a plain text."""
    found = _NAME.match(line)
    return found.group(0).upper() if found else line


def value_of(line: str) -> str:
    """Return what follows the name and the colon, stripped; the whole line when there is none."""
    if _NAME.match(line) and ":" in line:
        return line.partition(":")[2].strip()
    return line.strip()


def fields_of(line: str) -> list[str]:
    """Split the value of a line at commas outside of quotes and parentheses; quotes and blanks are removed."""
    fields = []
    current = ""
    quoted = False
    depth = 0
    for character in value_of(line):
        if character == '"':
            quoted = not quoted
        elif not quoted and character == "," and depth == 0:
            fields.append(current.strip())
            current = ""
            continue
        elif not quoted and character in "()":
            depth = max(0, depth + (1 if character == "(" else -1))
        if character != '"':
            current += character
    fields.append(current.strip())
    return fields


_DEADLINES = {
    "+CFUN": 15.0,
    "+CPIN": 5.0,
    "+COPS": 180.0,
    "+CGATT": 140.0,
    "+CGACT": 150.0,
    "+QIACT": 150.0,
    "+CGLA": 10.0,
    "+CSIM": 10.0,
    "+CCHO": 10.0,
    "+CCHC": 30.0,
    "+CRSM": 10.0,
    "+QPOWD": 5.0,
    "+CGCONTRDP": 10.0,
    "+CMGS": 120.0,
    "+CPWROFF": 40.0,
    "#SHDN": 15.0,
    "#REBOOT": 15.0,
    "+QUIMSLOT": 15.0,
}


def deadline(command: str) -> float:
    """Return the seconds a command is given when its caller names none."""
    expected = expect(command)
    if expected.name in ("+COPS", "+CFUN", "+CGATT", "+CGACT", "+CPIN") and expected.reads and not expected.tests:
        return 5.0
    if expected.name in _DEADLINES:
        return _DEADLINES[expected.name]
    if expected.dials:
        return 60.0
    return 1.0 if command.upper() == "AT" else 5.0
