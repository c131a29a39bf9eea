"""Siglent supplies."""

from __future__ import annotations

from instruments.power.supply import ScpiSupply
from instruments.power.tables import SIGLENT_SPD


class SiglentSpd(ScpiSupply):
    """SPD3303X, SPD3303X-E (channels 1 and 2), SPD1168X and SPD1305X.

    The output is read from the status word, and every command is followed by a pause: the firmware loses what comes
    too early. *OPC? is not answered.
    """

    dialect = SIGLENT_SPD
