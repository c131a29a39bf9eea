"""What a modem refuses, by name (3GPP TS 27.007 section 9.2, 27.005 section 3.2.5), and what it does not answer."""

from __future__ import annotations

import re

from bench.errors import DeviceFailure, InstrumentError
from bench.trace import causes

# What 27.007 does not number like this, as modems send it all the same.
CME = causes.CME | {141: "semantic errors in the TFT operation", 151: "last PDN disconnection not allowed"}
CMS = causes.CMS
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
