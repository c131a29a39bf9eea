"""How the supplies of one family spell what a bench needs: a table a family, no code.

``{n}`` is the channel, ``{v}`` the value. ``model`` is matched against ``manufacturer,model`` of *IDN?.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SupplyDialect:
    """The SCPI of one family of supplies."""

    title: str
    model: str
    set_voltage: str
    get_voltage: str
    set_current: str
    get_current: str
    output_on: str
    output_off: str
    get_output: str
    measure_voltage: str
    measure_current: str
    channels: int = 99
    tripped: tuple[str, ...] = ()
    """Queries that answer 1 when a protection has switched the output off."""

    def speaks_for(self, manufacturer: str, model: str) -> bool:
        """Whether this table is for an instrument with that identity."""
        return re.search(self.model, f"{manufacturer},{model}", re.IGNORECASE) is not None


KEYSIGHT_E36300 = SupplyDialect(
    title="Keysight E36300 series",
    model=r"(keysight|agilent).*,E363\d\dA?",
    set_voltage="VOLT {v:.6g},(@{n})",
    get_voltage="VOLT? (@{n})",
    set_current="CURR {v:.6g},(@{n})",
    get_current="CURR? (@{n})",
    output_on="OUTP ON,(@{n})",
    output_off="OUTP OFF,(@{n})",
    get_output="OUTP? (@{n})",
    measure_voltage="MEAS:VOLT? (@{n})",
    measure_current="MEAS:CURR? (@{n})",
    channels=3,
    tripped=("VOLT:PROT:TRIP? (@{n})", "CURR:PROT:TRIP? (@{n})"),
)

GENERIC = SupplyDialect(
    title="SCPI supply with INSTrument:NSELect",
    model=r"",
    set_voltage="INST:NSEL {n};:VOLT {v:.6g}",
    get_voltage="INST:NSEL {n};:VOLT?",
    set_current="INST:NSEL {n};:CURR {v:.6g}",
    get_current="INST:NSEL {n};:CURR?",
    output_on="INST:NSEL {n};:OUTP ON",
    output_off="INST:NSEL {n};:OUTP OFF",
    get_output="INST:NSEL {n};:OUTP?",
    measure_voltage="INST:NSEL {n};:MEAS:VOLT?",
    measure_current="INST:NSEL {n};:MEAS:CURR?",
)
