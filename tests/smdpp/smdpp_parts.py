"""What several tests of the SM-DP+ need beside a device: profiles in series, and what they hold it against."""

from __future__ import annotations

from pathlib import Path

from fixtures.smdpp.pool import series

FLEET = """
[profile]
iccid = "8900101000000500000"
imsi = "001010000000500"
k = "00112233445566778899aabbccddeeff"
opc = "ffeeddccbbaa99887766554433221100"
type = "fleet"
"""


def fleet(home: Path, count: int) -> list[Path]:
    """Put packages of the profile type ``fleet`` into the inventory of a home."""
    description = home / "fleet.toml"
    description.write_text(FLEET)
    return series(description, count, home / "smdpp" / "profiles")
