"""A channel of a programmable supply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.station.interfaces.instrument import Instrument, SafeAction
from bench.station.power import PowerAbilities, PowerRecord, Protection, TripCause, WavePoint


@dataclass(frozen=True, slots=True)
class Reading:
    """Volts and amperes of a supply channel, measured at one moment."""

    voltage: float
    current: float


@dataclass(frozen=True, slots=True)
class PowerCycle:
    """What a power cycle measured, in seconds and amperes; None where the supply or the station cannot tell.

    ``inrush_peak``: highest current after switching on, from the supply's fast log. ``boot_time``: from the command on
    until what the caller gave as ``booted`` was there (with a modem: until it answers AT).
    """

    time_to_dead: float
    off_time: float
    inrush_peak: float | None = None
    boot_time: float | None = None
    graceful: bool = False
    """The device was asked to switch itself off before power was taken, and the caller's ``shutdown`` succeeded."""


class PowerSupply(Instrument, Protocol):
    """One channel of a programmable supply. Volts, amperes, seconds of station time.

    Any method may raise InstrumentError and InstrumentTimeout for the supply's part.
    """

    abilities: PowerAbilities
    """What this model can do; what is not declared is refused before anything is sent."""

    async def set_output(self, on: bool) -> None:
        """Switch the output and verify by reading back. Raises InstrumentError, also while a protection is tripped."""

    async def output(self) -> bool:
        """Return whether the output is on, as the supply says now."""

    async def set_voltage(self, voltage: float) -> None:
        """Program the voltage; beyond the station's limit raises Refused before anything is sent."""

    async def set_current_limit(self, current: float) -> None:
        """Program the current limit in amperes."""

    async def measure(self) -> Reading:
        """Measure the channel now."""

    async def wait_dead(self, *, timeout: float) -> float:
        """Wait until the rail is below the station's ``dead_voltage``; return the seconds it took.

        Raises InstrumentTimeout after ``timeout`` seconds, with the voltage it is still at.
        """

    async def cycle(
        self,
        *,
        hold: float = 2.0,
        timeout: float = 30.0,
        shutdown: Callable[[], Awaitable[object]] | None = None,
        booted: Callable[[], Awaitable[object]] | None = None,
    ) -> PowerCycle:
        """Output off, wait until the rail is dead (at most ``timeout`` s), dead for ``hold`` s, output on.

        Hard without ``shutdown``; with it (``AT+QPOWD``, say) it is awaited first, and a BenchError of it makes the
        cycle a hard one. ``booted`` is awaited after switching on and gives ``boot_time``.
        """

    async def protection(self) -> Protection:
        """Return the protections as programmed. Raises Refused where the supply has none."""

    async def set_protection(self, protection: Protection) -> None:
        """Program the protections and read them back; None switches one off. Raises Refused, InstrumentError."""

    async def trip(self) -> TripCause | None:
        """Return why a protection has switched the output off, None while none has."""

    async def clear_trip(self) -> TripCause | None:
        """Clear a trip and return its cause; the output stays off. At most once a run: then Refused.

        A device that trips a protection twice has a fault that no bench may hide. What is cleared, also at arming a
        watchdog, is told to ``DriverOptions.tell`` (journal event ``trip-cleared``).
        """

    async def fast_log(
        self, duration: float, interval: float, *, during: Callable[[], Awaitable[object]] | None = None
    ) -> PowerRecord:
        """Record volts and amperes for ``duration`` s, a sample every ``interval`` s or shorter, in the supply.

        ``during`` is awaited when the record runs (to switch on, say). Raises Refused.
        """

    async def waveform(self, points: Sequence[WavePoint], *, repeat: int = 1) -> None:
        """Run the points one after the other, ``repeat`` times; returns at the end, the station's voltage restored.

        Every point is checked against ``voltage_max`` and the supply's resolution before anything is sent. Raises
        Refused (and names supplies that could).
        """

    async def arm_watchdog(self, seconds: float) -> float:
        """Have the supply switch off by itself ``seconds`` after the last sign of life; return the seconds it took on.

        Whole seconds, rounded up. Raises Refused where there is none.
        """

    async def feed_watchdog(self) -> None:
        """Give a sign of life. Raises InstrumentError when the watchdog is not armed (any more)."""

    async def disarm_watchdog(self) -> None:
        """Take the watchdog back."""

    async def set_power_on_off(self) -> None:
        """Have the output off after a mains failure (``power_on_state``). Raises Refused where it cannot be set."""

    def safe_action(self) -> SafeAction:
        """Return what makes this channel safe."""
