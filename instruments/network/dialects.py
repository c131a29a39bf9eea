"""How a family of emulators with a SCPI interface spells what a bench needs: a table a family, no code.

Place holders: ``{n}`` the cell, ``{mcc}`` and ``{mnc}`` the digits of the PLMN, ``{mcc_number}`` and ``{mnc_number}``
the same as numbers, ``{mnc_digits}`` TWO or THRee, ``{tac}``, ``{band}``, ``{rsrp}`` in dBm, ``{imsi}``,
``{algorithm}`` and ``{secret}``. What a family cannot do is empty, and is then refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from instruments.network.answers import CellReading
from instruments.scpi.session import ANSWER, IDENTIFY, Manners

Lines = tuple[str, ...]
"""Commands sent one after the other, each waited for and its error asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorDialect:
    """The language of one family."""

    title: str
    model: str
    """A pattern for the model of *IDN?."""
    switch_on: Lines
    switch_off: Lines
    """These make the emulator safe too."""
    state: Lines
    """Questions: a cell is on when every answer says so, and the first that does not tells what it is instead."""
    read_state: Callable[[str], CellReading]
    timeout: float = ANSWER
    """Real seconds for one answer."""
    identify: float = IDENTIFY
    """Real seconds for *IDN? on a new connection."""
    manners: Manners = field(default_factory=Manners)
    plmn: Lines = ()
    tac: Lines = ()
    band: Lines = ()
    power: Lines = ()
    detach: Lines = ()
    subscriber: Lines = ()
    """What is sent of a subscriber before its keys."""
    algorithms: Mapping[str, str] = field(default_factory=dict)
    """The word for each algorithm that it authenticates with."""
    key: str = ""
    opc: str = ""
    """Sent for Milenage only (TS 35.206)."""
    spell_secret: Callable[[bytes], str] = bytes.hex
    device_state: str = ""
    """The question that tells whether a device is attached, and whether it has an RRC connection."""
    registered: Callable[[str], tuple[bool, bool]] = lambda answer: (False, False)
    """Reads ``device_state``: attached, and connected."""
    imsi: str = ""
    imei: str = ""
    addresses: str = ""


def plmn_values(plmn: str) -> dict[str, object]:
    """Return the place holders of a PLMN of 5 or 6 digits."""
    mcc, mnc = plmn[:3], plmn[3:]
    return {
        "mcc": mcc,
        "mnc": mnc,
        "mcc_number": int(mcc),
        "mnc_number": int(mnc),
        "mnc_digits": "TWO" if len(mnc) == 2 else "THRee",
    }
