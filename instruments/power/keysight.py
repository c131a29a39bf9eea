"""Keysight supplies."""

from __future__ import annotations

from instruments.power.dialects import KEYSIGHT_E36300
from instruments.power.supply import ScpiSupply


class KeysightE36300(ScpiSupply):
    """E36311A, E36312A and E36313A: three channels by channel list."""

    dialect = KEYSIGHT_E36300
