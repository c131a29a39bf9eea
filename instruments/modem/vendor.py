"""What a family of modems does in its own way: one frozen table, with functions only where its answers differ.

A table does no I/O: it says which lines to send and how their answers are read. ``AtModem`` sends them. What a table
leaves out is done as 27.007 says, or refused in words where 27.007 has no command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from bench.station.interfaces import CellInfo

T = TypeVar("T")

Lines = Sequence[str]
Bands = Mapping[str, tuple[int, ...]]
Holds = Literal["now", "radio-off", "restart"]
"""From when on a setting holds: at once; only written with the radio off (AT+CFUN=4); after a restart."""


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """Lines to send and how to read what they answer, all information lines together."""

    lines: tuple[str, ...]
    read: Callable[[Lines], T]
    event: str = ""
    """Name of the event that brings the answer after OK, such as ``%NCELLMEAS``."""
    timeout: float = 10.0
    """Seconds for that event."""


@dataclass(frozen=True, slots=True)
class RatControl:
    """The RATs a modem may use."""

    known: tuple[str, ...]
    read: Ask[tuple[str, ...]]
    write: Callable[[Sequence[str]], tuple[str, ...]]
    """RATs, all of them known, to lines. Raises Refused for a combination the family has no value for."""
    holds: Holds = "now"


@dataclass(frozen=True, slots=True)
class BandControl:
    """The bands a modem may use, by RAT."""

    read: Ask[Bands]
    write: Callable[[Bands], tuple[str, ...]] | None
    """Bands of every RAT to lines; None where the family only tells them."""
    holds: Holds = "now"


@dataclass(frozen=True, slots=True)
class SlotControl:
    """The SIM slot a modem uses, counted from 1."""

    read: Ask[int]
    write: Callable[[int], tuple[str, ...]]
    slots: int = 2
    holds: Holds = "now"


@dataclass(frozen=True, slots=True)
class Vendor:
    """The layer of one family over the 27.007 core."""

    name: str
    models: str
    """Pattern, without regard to case, for ``manufacturer model`` (+CGMI, +CGMM)."""
    driver: str = ""
    """Name of its driver in bench.toml."""
    refresh_signs: tuple[str, ...] = (r"\+CPIN: ?READY",)
    """Events that say the (U)SIM was initialised again: patterns for whole lines."""
    setup: tuple[str, ...] = ()
    """Sent when the modem has started; an error is none: what switches the refresh signs and causes on."""
    card_off: str = "AT+CFUN=0"
    card_on: str = "AT+CFUN=1"
    radio_off: str = "AT+CFUN=4"
    """Radio off, card still readable."""
    reset: str = "AT+CFUN=1,1"
    """Restarts the modem; empty where only the host or RESET_N can."""
    power_down: str = ""
    """Switches the modem off; empty where there is no command."""
    power_down_sign: str = ""
    """Pattern of the event at its end; without one the modem goes silent."""
    answers_when_off: bool = False
    """What counts as off still answers AT (nRF91 in CFUN=0)."""
    serving_rat: str = ""
    """Command whose answer tells LTE-M from LTE, and the pattern for its first field."""
    rats: tuple[tuple[str, str], ...] = ()
    """Words of that answer, in order, to the name of the RAT."""
    wideband: str = "LTE"
    """What <AcT> 7 means: LTE-M for modems that have no other LTE."""
    registration: tuple[str, ...] = ("+CEREG",)
    """Read commands of registration: the first that says registered counts."""
    settle: float = 0.0
    """Seconds the modem needs between the card's return and its first APDU."""
    serving: Ask[CellInfo | None] | None = None
    neighbours: Ask[tuple[CellInfo, ...]] | None = None
    rat_control: RatControl | None = None
    band_control: BandControl | None = None
    slot_control: SlotControl | None = None
    cause: Ask[tuple[int | None, int | None]] | None = None
    """EMM and ESM cause in the vendor's form, where +CEER does not name them."""
