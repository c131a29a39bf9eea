"""Aim-TTi supplies, which do not speak SCPI."""

from __future__ import annotations

from instruments.power.supply import ScpiSupply
from instruments.power.tables import TTI


class TtiSupply(ScpiSupply):
    """PL, QL and MX series: ``V1 3.8``, answers with their names and units, lines that end with CR LF.

    A trip is told once (LSR is emptied by reading): the driver remembers it.
    """

    dialect = TTI
