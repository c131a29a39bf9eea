"""``bench record``: all lanes of a station and no recipe, until it is stopped; a run like every other."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Final

from bench.engine.parameters import Range, Unit
from bench.engine.recipe import Station, recipe
from bench.engine.station import parts_known
from bench.errors import DeviceFailure, InstrumentError

if TYPE_CHECKING:
    from bench.station.config import StationConfig

OPENED: Final = ("power", "modem", "network", "console")
"""What is opened where the station has it. A card says nothing by itself, and is left to its device."""
LISTENING: Final = ("power", "console")
"""The same of ``--passive``: what can be listened to without a word to the device. A supply is asked, never told."""
_READY_WITHIN: Final = 60.0


def _opened(station: StationConfig) -> list[str]:
    return [need for need in OPENED if parts_known(station)[need]]


def _listening(station: StationConfig) -> list[str]:
    return [need for need in LISTENING if parts_known(station)[need]]


async def _record(station: Station, duration: float) -> None:
    async with station.step("record"):
        if not duration:
            await station.stopping.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with station.clock.timeout(duration):
                await station.stopping.wait()


@recipe(title="Record", needs=_opened, until_stopped=True)
async def record(
    station: Station,
    duration: Annotated[float, Unit("s"), Range(0, 30 * 86_400)] = 0.0,
    power: bool = True,
) -> None:
    """Record every lane of the station until it is stopped, or for ``duration`` seconds of station time (0: no end).

    The device gets its power unless ``power`` is no; at the end it is switched off, as every run ends.
    """
    if power and station.has("power") and not await station.power.output():
        async with station.step("power"):
            await station.power.set_output(True)
    if power and station.has("modem"):
        try:
            await station.modem.wait_ready(timeout=_READY_WITHIN)
        except (DeviceFailure, InstrumentError) as error:  # what it says all the same is recorded
            station.note(f"the modem does not answer: {error}")
    await _record(station, duration)


@recipe(title="Record, passive", needs=_listening, until_stopped=True)
async def listen(station: Station, duration: Annotated[float, Unit("s"), Range(0, 30 * 86_400)] = 0.0) -> None:
    """Record what can be listened to, for ``duration`` seconds of station time or until it is stopped (0).

    Nothing is switched, neither now nor at the end; modem, card and network are not opened.
    """
    await _record(station, duration)
