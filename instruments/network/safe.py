"""Switching cells off over a fresh blocking connection: for the safe process, which has no event loop."""

from __future__ import annotations

import time

from bench.errors import InstrumentError
from bench.station.drivers import SafeResult
from bench.station.interfaces import SafeAction
from instruments.network.base import cells_of
from instruments.network.dialects import EmulatorDialect
from instruments.scpi.direct import DirectScpi

_POLL = 0.05
_AGAIN = 0.1


def make_safe(dialect: EmulatorDialect, action: SafeAction, *, deadline: float) -> SafeResult:
    """Switch the cells off, verified by their states, within ``deadline`` real seconds. Never raises."""
    until = time.monotonic() + deadline
    reading = ""
    while True:
        try:
            with DirectScpi(str(action.options.get("resource", "")), until=until) as scpi:
                scpi.check_serial(str(action.options.get("serial", "")))
                cells = cells_of(action)
                for cell in cells:
                    for line in dialect.switch_off:
                        scpi.write(line.format(n=cell))
                while True:
                    states = {cell: dialect.read_state(scpi.query(dialect.state[0].format(n=cell))) for cell in cells}
                    reading = " ".join(f"{cell}:{state.text}" for cell, state in states.items())
                    if all(state.off for state in states.values()):
                        return SafeResult(action.name, True, reading, "RF off")
                    scpi.left()
                    time.sleep(_POLL)
        except InstrumentError as error:
            if time.monotonic() + _AGAIN >= until:
                return SafeResult(action.name, False, reading, f"RF NOT OFF: {error}")
            time.sleep(_AGAIN)
