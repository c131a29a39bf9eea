"""What a modem refuses, by name (3GPP TS 27.007 section 9.2, 27.005 section 3.2.5), and what it does not answer."""

from __future__ import annotations

import re

from bench.errors import DeviceFailure, InstrumentError

CME = {
    0: "phone failure",
    1: "no connection to phone",
    3: "operation not allowed",
    4: "operation not supported",
    5: "PH-SIM PIN required",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    16: "incorrect password",
    17: "SIM PIN2 required",
    18: "SIM PUK2 required",
    20: "memory full",
    21: "invalid index",
    22: "not found",
    23: "memory failure",
    24: "text string too long",
    25: "invalid characters in text string",
    26: "dial string too long",
    27: "invalid characters in dial string",
    30: "no network service",
    31: "network timeout",
    32: "network not allowed - emergency calls only",
    40: "network personalization PIN required",
    47: "network subset personalization PUK required",
    48: "EAP method not supported",
    49: "incorrect parameters",
    50: "incorrect parameters",
    51: "command implemented but currently disabled",
    52: "command aborted by user",
    53: "not attached to network due to MT functionality restrictions",
    54: "modem not allowed - MT restricted to emergency calls only",
    55: "operation not allowed because of MT functionality restrictions",
    100: "unknown",
    103: "illegal MS",
    106: "illegal ME",
    107: "GPRS services not allowed",
    108: "GPRS services and non-GPRS services not allowed",
    111: "PLMN not allowed",
    112: "location area not allowed",
    113: "roaming not allowed in this location area",
    114: "GPRS services not allowed in this PLMN",
    115: "no suitable cells in location area",
    122: "congestion",
    126: "insufficient resources",
    127: "missing or unknown APN",
    128: "unknown PDP address or PDP type",
    129: "user authentication failed",
    130: "activation rejected by GGSN, Serving GW or PDN GW",
    131: "activation rejected, unspecified",
    132: "service option not supported",
    133: "requested service option not subscribed",
    134: "service option temporarily out of order",
    140: "feature not supported",
    141: "semantic errors in the TFT operation",
    148: "unspecified GPRS error",
    149: "PDP authentication failure",
    150: "invalid mobile class",
    151: "last PDN disconnection not allowed",
    171: "last PDN disconnection not allowed",
}
CMS = {
    300: "ME failure",
    301: "SMS service of ME reserved",
    302: "operation not allowed",
    303: "operation not supported",
    304: "invalid PDU mode parameter",
    305: "invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    313: "SIM failure",
    314: "SIM busy",
    315: "SIM wrong",
    320: "memory failure",
    321: "invalid memory index",
    322: "memory full",
    330: "SMSC address unknown",
    331: "no network service",
    332: "network timeout",
    500: "unknown error",
}
NOT_INSERTED, SIM_FAILURE, SIM_BUSY, NOT_FOUND, UNKNOWN = 10, 13, 14, 22, 100

_SQUEEZE = re.compile(r"[^a-z]")
_BY_TEXT = {_SQUEEZE.sub("", text.lower()): code for code, text in reversed(CME.items())}


class ModemError(DeviceFailure):
    """The modem answered a command with an error.

    ``code`` is the number of +CME ERROR (or +CMS ERROR), None for a bare ERROR; ``name`` what it means.
    """

    def __init__(self, answer: str, *, command: str, code: int | None, name: str, hint: str = "") -> None:
        meaning = f": {name}" if name and name.lower() not in answer.lower() else ""
        super().__init__(f"the modem answered {answer}{meaning}", where=command, hint=hint)
        self.answer = answer
        self.command = command
        self.code = code
        self.name = name


class ModemHung(DeviceFailure):
    """The modem's port is there, but the modem does not answer; ``information`` is what it did say in time."""

    information: tuple[str, ...] = ()


class NotRegistered(DeviceFailure):
    """The modem did not register as demanded; the message says its last state and the network's cause."""


class PortGone(InstrumentError):
    """The AT port is not there, or went away: no power, re-enumeration, or a cable."""


class PortWanted(InstrumentError):
    """A command in the background was not sent: somebody else uses the AT port, or waits for it."""


def error_of(answer: str, command: str) -> ModemError:
    """Return the error that a final line such as ``+CME ERROR: 14`` or ``+CME ERROR: SIM busy`` means."""
    for prefix, names in (("+CME ERROR:", CME), ("+CMS ERROR:", CMS)):
        if answer.upper().startswith(prefix):
            text = answer[len(prefix) :].strip()
            if re.fullmatch(r"\d{1,9}", text):
                code: int | None = int(text)
                name = names.get(int(text), "")
            else:
                code = _BY_TEXT.get(_SQUEEZE.sub("", text.lower())) if names is CME else None
                name = text
            return ModemError(answer, command=command, code=code, name=name)
    return ModemError(answer, command=command, code=None, name="")
