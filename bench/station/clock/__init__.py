"""Station time: one clock for everything that waits for the device.

For real stations it is the monotonic clock. A simulated world offers its own on a local socket: real, scaled, or
discrete-event ("instant"), where the world jumps to its next event, or to the earliest announced deadline, only when
every registered party waits and no bytes are in flight (DESIGN.md section 8). Code that waits for the device uses
``timeout`` and ``sleep`` here and never asyncio's; transport, TLS and CoAP timers stay real.
"""

from __future__ import annotations

from bench.station.clock.blocking import Select, hook_select
from bench.station.clock.protocols import Clock, Extensible, PortCounter
from bench.station.clock.real import NoCounter, RealClock
from bench.station.clock.world import SocketClock

__all__ = ["Clock", "Extensible", "NoCounter", "PortCounter", "RealClock", "Select", "SocketClock", "hook_select"]
