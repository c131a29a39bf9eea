"""Supplies of no particular brand."""

from __future__ import annotations

from instruments.power.dialects import GENERIC
from instruments.power.supply import ScpiSupply


class GenericScpiSupply(ScpiSupply):
    """Any supply that selects a channel by INSTrument:NSELect and speaks VOLT, CURR, OUTP and MEAS."""

    dialect = GENERIC
