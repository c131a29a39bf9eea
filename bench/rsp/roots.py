"""Certificate issuers that are known by their key identifier: what a card's CI lists mean to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ROOTS: Final[Mapping[str, str]] = {
    "81370f5125d0b1d408d4c3b232e6d25e795bebfb": "GSMA RSP2 Root CI1",
    "4c27967ad20c14b391e9601e41e604ad57c0222f": "OISTE GSMA CI G1",
    "f54172bdf98a95d65cbeb88a38a1c11d800a85c3": "SGP.26 test CI (NIST P-256)",
    "c0bc70ba36929d43b467ff57570530e57ab8fcd8": "SGP.26 test CI (brainpoolP256r1)",
    "34eecf13156518d48d30bdf06853404d115f955d": "SGP.26 version 3 test CI (NIST P-256)",
    "2209f61cd9ec5c9c854e787341ff83ecf9776a5b": "SGP.26 version 3 test CI (brainpoolP256r1)",
}
"""Subject key identifier in hex: name. The first two are in commercial eUICCs, the others in test eUICCs."""


def root_name(key_id: bytes | str) -> str:
    """Return the name of a CI by its subject key identifier (bytes or hex), empty when it is not known."""
    text = key_id if isinstance(key_id, str) else key_id.hex()
    return ROOTS.get(text.lower(), "")
