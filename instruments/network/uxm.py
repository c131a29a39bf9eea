"""Keysight UXM E7515A/B, LTE test application: ``BSE:`` headers, settings taken over by APPLY, answers after 20 s.

``BSE:CONFig:LTE:CELLn:ACTive``, ``:BAND``, ``:DL:POWer:EPRE``, ``:APPLY`` and ``BSE:STATus:LTE:CELLn?`` (OFF, IDLE,
CONN, ACT, AGG) are as in users' scripts; ``:PLMN:``, ``:TAC``, ``BSE:FUNCtion:...:NAS:DETach`` and ``BSE:INFO:`` are
from memory, and an application without them says so in its error queue. Keys: it takes the name of a built-in card
(``KEYS``, ``TEST3GPP``) and no key by remote command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from bench.station.network import NetworkAbilities, NetworkAbility
from instruments.network.answers import CellReading
from instruments.network.dialects import EmulatorDialect
from instruments.network.scpi_emulator import ScpiEmulator
from instruments.scpi.parse import AnswerError

STATES: Final = frozenset({"OFF", "IDLE", "CONN", "ACT", "AGG"})
_CONNECTED: Final = frozenset({"CONN", "ACT", "AGG"})
_CELL: Final = "BSE:CONFig:LTE:CELL{n}"
_STATUS: Final = "BSE:STATus:LTE:CELL{n}?"
_UE: Final = "BSE:INFO:LTE:CELL{n}:UE"


def _status(answer: str) -> str:
    word = answer.strip().strip('"').upper()
    if word not in STATES:
        raise AnswerError(f"'{answer[:40]}' is no cell status")
    return word


def cell_status(answer: str) -> CellReading:
    """Read ``BSE:STATus:LTE:CELLn?``. Raises AnswerError."""
    word = _status(answer)
    return CellReading(word, word != "OFF", word == "OFF")


def registered(answer: str) -> tuple[bool, bool]:
    """Read the same for a device: whether one may be attached, and whether one is connected. Raises AnswerError."""
    word = _status(answer)
    return word != "OFF", word in _CONNECTED


def _applied(*tails: str) -> tuple[str, ...]:
    """Return settings of a cell, and what has the application take them over."""
    return tuple(f"{_CELL}:{tail}" for tail in (*tails, "APPLY"))


UXM: Final = EmulatorDialect(
    title="UXM E7515",
    model=r"E7515|UXM",
    timeout=20.0,  # the application is busy for as long after a change
    identify=5.0,
    switch_on=(f"{_CELL}:ACTive 1",),
    switch_off=(f"{_CELL}:ACTive 0",),
    state=(_STATUS,),
    read_state=cell_status,
    plmn=_applied("PLMN:MCC {mcc}", "PLMN:MNC {mnc}"),
    tac=_applied("TAC {tac}"),
    band=_applied("BAND {band}"),
    power=_applied("DL:POWer:EPRE {rsrp}"),
    detach=("BSE:FUNCtion:LTE:CELL{n}:NAS:DETach",),
    device_state=_STATUS,
    registered=registered,
    imsi=f"{_UE}:IMSI?",
    imei=f"{_UE}:IMEI?",
    addresses=f"{_UE}:IP?",
)


class KeysightUxm(ScpiEmulator):
    """A UXM with the LTE test application (interfaces.Network). Powers in dBm per resource element (EPRE).

    Option ``card``: the name of the built-in card whose keys it authenticates with.
    """

    dialect = UXM
    extent = NetworkAbilities(frozenset(), cells=4, subscribers=1, power=(-140.0, -20.0))
    refusals: ClassVar[Mapping[NetworkAbility, str]] = {
        "subscriber": "the test application takes no keys by remote command, only a built-in card's name: "
        'options = { card = "KEYS" } or "TEST3GPP"',
        "reject-attach": "rejects are part of its protocol scripts, not of its remote commands",
        "reject-tau": "rejects are part of its protocol scripts, not of its remote commands",
    }
    highest_cell = 4
    known_options = ("card", *ScpiEmulator.known_options)

    async def _begin(self) -> None:
        card = str(self._options.extra.get("card", ""))
        if not card:
            return
        if not re.fullmatch(r"[A-Z0-9]{1,16}", card):
            raise self._wrong(f"'{card}' is no name of a built-in card", "KEYS or TEST3GPP")
        await self._write(f"BSE:CONFig:LTE:SECurity:AUTHenticate:KEY {card}")
