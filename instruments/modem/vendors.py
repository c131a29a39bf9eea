"""Which layer a modem gets: by what it says of itself, or by name."""

from __future__ import annotations

import re

from instruments.modem.families import fibocom, nordic, quectel, sierra, simcom, telit, u_blox
from instruments.modem.vendor import Vendor

GENERIC = Vendor(
    name="generic",
    models=r"",
    driver="at-modem",
    refresh_signs=(r"\+CPIN: ?READY", r"\+UUSIMSTAT: ?9", r"%XSIM: ?1", r"#QSS: ?[23]", r"#STN: ?1,.*", r"\+STIN: ?1"),
)
VENDORS: tuple[Vendor, ...] = (
    *quectel.VENDORS,
    *u_blox.VENDORS,
    *telit.VENDORS,
    *simcom.VENDORS,
    *nordic.VENDORS,
    *sierra.VENDORS,
    *fibocom.VENDORS,
)
"""The first whose pattern fits is a modem's layer."""


def vendor_of(manufacturer: str, model: str) -> Vendor:
    """Return the layer of a modem by what it says of itself, the generic one for unknown modems."""
    text = f"{manufacturer} {model}"
    return next((vendor for vendor in VENDORS if re.search(vendor.models, text, re.IGNORECASE)), GENERIC)


def by_name(name: str) -> tuple[Vendor, ...]:
    """Return the layers of a name: one (``telit-me910``), or all of a vendor (``telit``). Empty for no such name."""
    found = tuple(vendor for vendor in (*VENDORS, GENERIC) if vendor.name == name)
    return found or tuple(vendor for vendor in VENDORS if vendor.name.startswith(f"{name}-"))
