"""Rigol supplies."""

from __future__ import annotations

from instruments.power.supply import ScpiSupply
from instruments.power.tables import RIGOL_DP800


class RigolDp800(ScpiSupply):
    """DP811 to DP832 with and without A: channels by name, protections that answer YES and NO."""

    dialect = RIGOL_DP800
