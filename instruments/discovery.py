"""Which driver fits an instrument that has told who it is (entry-point group ``bench.discovery``).

Supplies are asked by their dialects, which know their models; of the others the model's name is enough.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from bench.errors import BenchError
from bench.station.drivers import known_drivers, load_driver
from bench.station.interfaces import Identity

_OTHERS: Final = (
    ("network", r"CMW", "cmw"),
    ("network", r"MT88\d\d", "mt88"),
    ("network", r"UXM|E7515", "uxm"),
    ("attenuator", r"RC4?DAT", "rcdat"),
)
"""Kind, pattern of ``manufacturer,model``, and what the name of the driver contains."""
_SUPPLY: Final = re.compile(
    r"(keysight|agilent|rohde|hameg|rigol|siglent|thurlby|aim|tti|hewlett|itech|tdk|kikusui|gw.?instek|bk ?precision)",
    re.IGNORECASE,
)
_ANY_SUPPLY: Final = "scpi-supply"


def suggest(identity: Identity) -> Mapping[str, Any] | None:
    """Return ``kind`` (power, network, attenuator), ``driver``, ``channels`` and ``sure`` for an identity, else None.

    ``sure`` is false where only the maker speaks for it. Only drivers that are installed are named.
    """
    known = known_drivers()
    text = f"{identity.manufacturer},{identity.model}"
    for kind, pattern, part in _OTHERS:
        if re.search(pattern, text, re.IGNORECASE):
            driver = next((name for name in sorted(known) if part in name), "")
            return {"kind": kind, "driver": driver, "channels": 1, "sure": bool(driver)}
    # Several names may lead to one driver: the one that the model is called by comes first.
    model = identity.model.lower()
    for name, target in sorted(known.items(), key=lambda item: (item[0].rpartition("-")[2] not in model, item[0])):
        if not target.startswith("instruments.power."):
            continue
        try:
            dialect: Any = getattr(load_driver(name), "dialect", None)
        except BenchError:
            continue  # a driver that cannot be loaded speaks for nothing; doctor names it
        if dialect is not None and dialect.model and dialect.speaks_for(identity.manufacturer, identity.model):
            channels = min(int(dialect.channels_of(identity.model)), 4)
            return {"kind": "power", "driver": name, "channels": channels, "sure": True}
    if _SUPPLY.search(identity.manufacturer) and _ANY_SUPPLY in known:
        return {"kind": "power", "driver": _ANY_SUPPLY, "channels": 1, "sure": False}
    return None
