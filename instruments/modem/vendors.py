"""What a vendor's modems do in their own way, as overrides of the generic core: a table, no code."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Vendor:
    """The quirks of a family of modems."""

    name: str
    models: str
    """Pattern for ``manufacturer model``."""
    refresh_signs: tuple[str, ...] = (r"\+CPIN: ?READY",)
    """Events that say the (U)SIM was initialised again: patterns for whole lines."""
    card_off: str = "AT+CFUN=0"
    card_on: str = "AT+CFUN=1"
    reset: str = "AT+CFUN=1,1"
    serving_rat: str = ""
    """Command whose answer tells LTE-M from LTE, and the pattern for its first field."""
    rats: tuple[tuple[str, str], ...] = ()
    """Words of that answer, in order, to the name of the RAT."""
    settle: float = 0.0
    """Seconds the modem needs between the card's return and its first APDU."""


GENERIC = Vendor(
    "generic",
    r"",
    refresh_signs=(r"\+CPIN: ?READY", r"\+UUSIMSTAT: ?9", r"%XSIM: ?1", r"#QSS: ?[23]", r"#STN: ?1,.*", r"\+STIN: ?1"),
)
QUECTEL = Vendor(
    "quectel",
    r"quectel",
    refresh_signs=(r"\+QUSIM: ?1", r"\+CPIN: ?READY"),
    serving_rat="AT+QNWINFO",
    rats=(("eMTC", "LTE-M"), ("CAT-M", "LTE-M"), ("NBIoT", "NB-IoT"), ("CAT-NB", "NB-IoT"), ("LTE", "LTE")),
)
U_BLOX = replace(GENERIC, name="u-blox", models=r"u-?blox", reset="AT+CFUN=16")
TELIT = replace(GENERIC, name="telit", models=r"telit", reset="AT#REBOOT", card_off="AT+CFUN=4")

VENDORS = (QUECTEL, U_BLOX, TELIT)


def vendor_of(manufacturer: str, model: str) -> Vendor:
    """Return the table of a modem by what it says of itself, the generic one for unknown modems."""
    text = f"{manufacturer} {model}"
    return next((vendor for vendor in VENDORS if re.search(vendor.models, text, re.IGNORECASE)), GENERIC)


def by_name(name: str) -> Vendor | None:
    """Return a table by name."""
    return next((vendor for vendor in (*VENDORS, GENERIC) if vendor.name == name), None)
