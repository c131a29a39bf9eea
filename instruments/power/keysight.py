"""Keysight supplies: E36300 series, and the N6705C power analyser with the N6700 modular family."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from bench.station.power import WavePoint
from instruments.power.shapes import RecordingSupply, WaveformSupply, floats
from instruments.power.tables import KEYSIGHT_E36300, KEYSIGHT_N6700

_RECORDS = 10_000
"""Records of one FETC:ELOG?."""


class _KeysightList(WaveformSupply):
    """The list of voltages that both families have (N6705C Operating and Service Guide, p. 297)."""

    _trigger_source = "TRIG:TRAN:SOUR BUS,(@{n})"
    _initiate = "INIT:TRAN (@{n})"
    _abort = "ABOR:TRAN (@{n})"

    async def _start_waveform(self, points: Sequence[WavePoint], repeat: int) -> None:
        volts = ",".join(f"{point.voltage:.6g}" for point in points)
        dwells = ",".join(f"{point.seconds:.6g}" for point in points)
        for line in (
            f"LIST:VOLT {volts},(@{{n}})",
            f"LIST:DWEL {dwells},(@{{n}})",
            f"LIST:COUN {repeat},(@{{n}})",
            "LIST:STEP AUTO,(@{n})",
            "LIST:TERM:LAST OFF,(@{n})",
            "VOLT:MODE LIST,(@{n})",
            self._trigger_source,
        ):
            await self._command(line)
        # From here on *OPC? would answer only when the list has run.
        await self._command(self._initiate, sync=False)
        await self._command("*TRG", sync=False)

    async def _stop_waveform(self) -> None:
        await self._command(self._abort)
        await self._command("VOLT:MODE FIX,(@{n})")
        await self.set_voltage(self._voltage)


class KeysightE36300(_KeysightList):
    """E36311A, E36312A and E36313A: three channels by channel list. The E36311A has no list."""

    dialect = KEYSIGHT_E36300
    _trigger_source = "TRIG:SOUR BUS,(@{n})"
    _initiate = "INIT (@{n})"
    _abort = "ABOR (@{n})"


class KeysightN6700(_KeysightList, RecordingSupply):
    """N6705C and N6700 family: up to four modules, watchdog, lists to 1 us, external data log (N6705C).

    The watchdog is the mainframe's: it switches off every output, and commands on any channel feed it. How fast a
    voltage follows the list is the module's matter: see its programming response time.
    """

    dialect = KEYSIGHT_N6700

    async def _start_log(self, interval: float) -> None:
        for line in (
            "ABOR:ELOG (@{n})",
            "FORM REAL",
            "FORM:BORD NORM",
            "SENS:ELOG:FUNC:VOLT ON,(@{n})",
            "SENS:ELOG:FUNC:CURR ON,(@{n})",
            f"SENS:ELOG:PER {interval:.6g},(@{{n}})",
            "TRIG:TRAN:SOUR BUS,(@{n})",
        ):
            await self._command(line)
        await self._command("INIT:ELOG (@{n})", sync=False)
        await self._command("TRIG:ELOG (@{n})", sync=False)

    async def _fetch_log(self, wanted: int) -> array[float]:
        values = array("f")
        while len(values) < 2 * wanted:
            block = await self._session.query_block(self._line(f"FETC:ELOG? {_RECORDS},(@{{n}})"))
            part = floats(block, "big")
            values.extend(part)
            if len(part) < 2 * _RECORDS:
                break
        return values

    async def _stop_log(self) -> None:
        await self._command("ABOR:ELOG (@{n})")
