"""Which fault of an instrument's wire meets which driver where: the eight that every driver is to survive.

``FAULTS`` names them. A cell is what the campaign of ``instrument_faults.py`` calls the fault on that wire, a test
(``file::function``), or why it has no meaning there (in brackets).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

FAULTS: Final = (
    "closed mid-answer", "late answer", "refused", "garbage", "1 000 lines/s", "gone, other name", "reboot",
    "second client",
)  # fmt: skip

_SILENT: Final = "[it speaks only when asked]"
_ADDRESS: Final = "[it has an address, no name; away for a while: reboot]"
_SCPI: Final = {
    "closed mid-answer": "closed-mid-answer, closed",
    "late answer": "late, half-and-late",
    "refused": "reboot",
    "garbage": "garbage, garbage-before-answer, surplus",
    "1 000 lines/s": _SILENT,
    "gone, other name": _ADDRESS,
    "reboot": "reboot",
    "second client": "second-client",
}
_SERIAL: Final = {
    "closed mid-answer": "vanished-mid-answer",
    "late answer": "late, half-and-late",
    "refused": "taken",
    "garbage": "garbage, garbage-before-answer, surplus",
    "1 000 lines/s": "flood",
    "gone, other name": "vanished",
    "reboot": "rebooted",
    "second client": "taken",
}
_PROGRAM: Final = {
    "closed mid-answer": "half, half-and-killed",
    "late answer": "hang, hang-behind",
    "refused": "missing, not-executable, failed",
    "garbage": "garbage, empty, noise",
    "1 000 lines/s": "flood",
    "gone, other name": "gone",
    "reboot": "ignored, wrong, done-but-failed",
    "second client": "busy, moved",
}
_TEN_SECONDS: Final = "test_at_faults.py::test_a_port_that_is_gone_for_ten_seconds_is_waited_for_and_no_lock_up"
_MODEM: Final = {**_SERIAL, "gone, other name": f"vanished, {_TEN_SECONDS}"}
_CALLBOX: Final = {**_SCPI, "1 000 lines/s": "garbage, garbage-before-answer"}
"""Events of the callbox, hundreds at a time, are among its garbage."""
_READER: Final = {
    "closed mid-answer": "closed-mid-answer, removed, truncated",
    "late answer": "late, half-and-late, silent",
    "refused": "killed",
    "garbage": "garbage, wrong-status",
    "1 000 lines/s": _SILENT,
    "gone, other name": "closed, exchanged, [a reader is its name: another one is another reader]",
    "reboot": "reset, killed",
    "second client": "held, reset",
}
_LINES: Final = {
    "closed mid-answer": "vanished-mid-answer",
    "late answer": "hang",
    "refused": "taken, no-lines",
    "garbage": "error, wrong, both, ignored",
    "1 000 lines/s": "[nothing is read from the port]",
    "gone, other name": "vanished",
    "reboot": "rebooted, reset",
    "second client": "taken",
}
_CONSOLE: Final = {**_SERIAL, "late answer": "[what a device says late is what it says then]"}
_PERSON: Final = {
    **dict.fromkeys(FAULTS, "[no wire: a person]"),
    "late answer": "test_lines.py::test_nobody_answers",
}
_ENDS: Final = "test_radio_recorders.py::test_a_program_that_ends_or_never_gets_ready_is_told_in_words"
_RELAYED: Final = (
    "test_radio_recorders.py::test_the_relay_keeps_the_raw_stream_and_asks_again_when_the_port_is_back"
)  # fmt: skip
_RECORDER: Final = {
    "closed mid-answer": _ENDS,
    "late answer": _ENDS,
    "refused": "test_radio_recorders.py::test_what_is_not_installed_is_refused_with_what_to_do",
    "garbage": "test_radio_recorders.py::test_any_datagram_is_read_or_refused",
    "1 000 lines/s": "[what comes is recorded, nothing is awaited]",
    "gone, other name": "[its program's: when that ends it is told]",
    "reboot": "[its program's: when that ends it is told]",
    "second client": "[its program's: when that ends it is told]",
}
_DIAG: Final = {
    **_RECORDER,
    "garbage": "test_radio_recorders.py::test_any_stream_is_cut",
    **dict.fromkeys(("gone, other name", "reboot", "second client"), _RELAYED),
}
KINDS: Final[dict[str, dict[str, str]]] = {
    **dict.fromkeys(("amarisoft",), _CALLBOX),
    **dict.fromkeys(("numato-lines", "numato-relay"), _SERIAL),
    **dict.fromkeys(("usb-uhubctl", "usb-ykush", "tc-netem"), _PROGRAM),
    "pcsc": _READER,
    "serial-lines": _LINES,
    "console": _CONSOLE,
    "ask": _PERSON,
    "qualcomm-diag": _DIAG,
    "nordic-trace": {**_RECORDER, "garbage": "test_radio_recorders.py::test_any_file_is_read"},
    "simtrace2": _RECORDER,
}
"""Drivers that are neither modems nor spoken to by SCPI or a line over TCP."""


def row(driver: str, modems: Sequence[str]) -> dict[str, str]:
    """Return the cells of a driver."""
    return KINDS.get(driver) or (_MODEM if driver in modems else _SCPI)


def table(drivers: Sequence[str], modems: Sequence[str]) -> str:
    """Return all of them as a table in Markdown."""
    lines = [f"| driver | {' | '.join(FAULTS)} |", "|---" * (len(FAULTS) + 1) + "|"]
    for driver in drivers:
        cells = row(driver, modems)
        lines.append(f"| {driver} | {' | '.join(cells[fault] for fault in FAULTS)} |")
    return "\n".join(lines)
