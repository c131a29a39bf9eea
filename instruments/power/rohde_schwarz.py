"""Rohde & Schwarz supplies: NGM200, NGL200 and NGU, HMP2000 and HMP4000 (also as Hameg), HMC804x."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from bench.errors import Refused
from bench.station.power import WavePoint
from instruments.power.shapes import RecordingSupply, WaveformSupply, floats
from instruments.power.supply import ScpiSupply
from instruments.power.tables import RS_HMC, RS_HMP, RS_NGX
from instruments.scpi import parse

_RATES = {2e-6: "S500K", 4e-6: "S250K", 2e-5: "S050K", 1e-4: "S010k", 1e-3: "S001k", 1e-2: "S100"}
_DATA_READY = 4096
"""Bit 12 of STAT:OPER:INST:ISUM<n>: a block of the fast log can be fetched."""


class RsNgx(WaveformSupply, RecordingSupply):
    """NGM201/202, NGL201/202, NGU201/401: QuickArb with ramps and 1 ms, FastLog up to 500 kS/s (not NGL)."""

    dialect = RS_NGX

    async def _start_waveform(self, points: Sequence[WavePoint], repeat: int) -> None:
        # An NGU401 works in four quadrants: its points carry the highest and the lowest current.
        low = f",{-self._current:.6g}" if self.identity.model.upper().startswith("NGU4") else ""
        data = ",".join(
            f"{point.voltage:.6g},{self._current:.6g}{low},{point.seconds:.6g},{int(point.ramp)}" for point in points
        )
        for line in ("ARB:CLE", f"ARB:DATA {data}", f"ARB:REP {repeat}", "ARB:BEH:END HOLD", "ARB:TRAN {n}"):
            await self._command(line)
        await self._command("ARB 1", sync=False)

    async def _stop_waveform(self) -> None:
        await self._command("ARB 0")
        await self.set_voltage(self._voltage)

    async def _start_log(self, interval: float) -> None:
        for line in ("FLOG 0", f"FLOG:SRAT {_RATES[interval]}", "FLOG:TARG SCPI"):
            await self._command(line)
        await self._number("STAT:OPER:INST:ISUM{n}?")  # what an earlier log left
        await self._command("FLOG 1", sync=False)

    async def _fetch_log(self, wanted: int) -> array[float]:
        values = array("f")
        while len(values) < 2 * wanted:
            if not round(await self._number("STAT:OPER:INST:ISUM{n}?")) & _DATA_READY:
                break
            values.extend(floats(await self._session.query_block(self._line("FLOG:DATA?")), "little"))
        return values

    async def _stop_log(self) -> None:
        await self._command("FLOG 0")


class _Master(ScpiSupply):
    """Supplies whose outputs have a switch each and one master switch behind them.

    Switching the master on would also switch on whatever a hand has selected on other channels: that is refused.
    Switching off leaves the master on, for other stations use the other channels.
    """

    _selected = ""
    _master = ""

    async def _before_on(self) -> None:
        if await self._yes(self._master):
            return
        for channel in range(1, self.dialect.channels_of(self.identity.model) + 1):
            if channel == self.channel:
                continue
            if await self._session.value(self.dialect.line(self._selected, channel), parse.boolean):
                raise Refused(
                    f"channel {channel} of {self._options.name} is selected and would come on with the master output",
                    where=self.where,
                    hint="deselect it at the supply, or switch the master on by hand; nothing was switched",
                )


class RsHmp(_Master, WaveformSupply):
    """HMP2020 to HMP4040: channel switch OUTP:SEL and master OUTP:GEN; EasyArb by triplets, 10 ms."""

    dialect = RS_HMP
    _selected = "OUTP:SEL?"
    _master = "OUTP:GEN?"

    async def _start_waveform(self, points: Sequence[WavePoint], repeat: int) -> None:
        data = ",".join(f"{point.voltage:.6g},{self._current:.6g},{point.seconds:.6g}" for point in points)
        for line in ("ARB:CLEAR {n}", f"ARB:DATA {data}", f"ARB:REP {repeat}", "ARB:TRAN {n}"):
            await self._command(line)
        await self._command("ARB:START {n}", sync=False)

    async def _stop_waveform(self) -> None:
        await self._command("ARB:STOP {n}")
        await self.set_voltage(self._voltage)


class RsHmc(_Master):
    """HMC8041, HMC8042 and HMC8043."""

    dialect = RS_HMC
    _selected = "OUTP?"
    _master = "OUTP:MAST?"
