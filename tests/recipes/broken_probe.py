"""A recipe of the tests: switch-during-data with a probe that breaks by a fault of its own, on its third message."""

from __future__ import annotations

from typing import Any

from bench.engine.recipe import Station, recipe
from bench.station.datagrams import DatagramStream
from recipes import switch_during_data as part
from recipes.probes import UdpProbe

BASE = part.switch_during_data


class Broken(UdpProbe):
    """Its third message raises what no probe should."""

    def _send(self, stream: DatagramStream) -> None:
        if len(self.traffic.sent) == 2:
            raise ZeroDivisionError("interval of nothing")
        super()._send(stream)


@recipe(title="A probe breaks", needs=BASE.needs, effects=BASE.effects)
async def a_probe_breaks(station: Station) -> None:
    """As the ready recipe, which would wait ten minutes before the switch."""
    vars(part)["UdpProbe"] = Broken
    values: dict[str, Any] = {"before": 600.0, "register_within": 60.0}
    await BASE(station, **values)
