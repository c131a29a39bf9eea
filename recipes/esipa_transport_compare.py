"""What a poll costs over HTTPS and over CoAPS: bytes, round trips, time and energy, by how the connection begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Profiles
from recipes.probes import Meter


@dataclass(frozen=True, slots=True)
class Transport:
    """One way to reach the eIM. ``primed``: a poll before the measured ones leaves the session or the connection."""

    name: str
    options: Mapping[str, object]
    primed: bool = False


_KEPT = {"keep_connection": 86400.0, "dtls_idle": 86400.0}
_CLOSED = {"keep_connection": 0.0}
TRANSPORTS = (
    Transport("https-fresh", {"transport": "https", **_CLOSED}),
    Transport("https-live", {"transport": "https", **_KEPT}, primed=True),
    Transport("coaps-fresh", {"transport": "coaps", "dtls_resume": False, **_CLOSED}),
    Transport("coaps-resumed", {"transport": "coaps", "dtls_resume": True, **_CLOSED}, primed=True),
    Transport("coaps-live", {"transport": "coaps", "dtls_resume": True, **_KEPT}, primed=True),
)


@recipe(
    title="ESipa transports compared",
    needs=("power", "modem", "card", "data", "radio", "eim", "smdpp", "ipa", "eim:listProfileInfo", "eim:coaps"),
    effects=("switches-profile", "deletes-profile"),
)
async def esipa_transport_compare(
    station: Station,
    sample: Annotated[float, Unit("s"), Range(0.001, 10)] = 0.1,
    rest: Annotated[float, Unit("s"), Range(0, 3600)] = 20.0,
    live_limit: Annotated[int, Unit("B"), Range(1, 1_000_000)] = 1_000_000,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Measure an empty poll and a poll with one package over HTTPS and CoAPS, fresh, resumed and live.

    On the bootstrap profile, with the radio idle before each measurement (``rest`` seconds). ``fresh`` is a whole
    handshake, ``resumed`` takes the last DTLS session up, ``live`` goes on with what is open; handshake and farewell
    count as part of the poll. Bytes are those of the data path (IP bytes where the link or the interface counts them).
    ``live_limit``: bytes that an empty poll over a live CoAPS association may cost. The RAT is the one the device
    registers on: run it once for each and compare the runs. SGP.32 sections 6.1 and 6.2; the result is ``transports``.
    """
    job = Job(station, profiles, deadlines)
    await start.reach(job)
    registration = await job.register(job.bootstrap)
    await job.open_data(job.bootstrap)
    await job.poll("deliver-left-over")
    comparison = _Comparison(job, sample, rest, registration.rat)
    for transport in TRANSPORTS:
        await comparison.measure(transport)
    station.result("transports", comparison.rows)
    live = comparison.row("coaps-live", "empty-poll")
    async with station.step("summary") as step:
        step.measure("live_bytes", _bytes(live), unit="B", upper=live_limit)
        for name in ("coaps-fresh", "coaps-resumed", "coaps-live"):
            of_https = _bytes(comparison.row(name, "empty-poll")) / _bytes(comparison.row("https-fresh", "empty-poll"))
            step.measure(f"{name}_of_https", round(of_https, 3))


def _bytes(row: Mapping[str, float | str]) -> int:
    return int(row["sent"]) + int(row["received"])


class _Comparison:
    """The table: one row a transport and kind of poll."""

    def __init__(self, job: Job, sample: float, rest: float, rat: str) -> None:
        self.rows: list[dict[str, float | str]] = []
        self._job = job
        self._rest = rest
        self._rat = rat
        self._meter = Meter(job.station, sample)

    def row(self, transport: str, kind: str) -> Mapping[str, float | str]:
        """Return one row."""
        return next(row for row in self.rows if (row["transport"], row["poll"]) == (transport, kind))

    async def measure(self, transport: Transport) -> None:
        """Measure both kinds of poll."""
        job = self._job
        ipa = await job.ipa()
        await ipa.use(**transport.options)
        try:
            if transport.primed:
                await job.poll(f"{transport.name}-begin")
            await self._poll(transport, "empty-poll")
            order = await job.station.eim.order_list(job.eid)
            await self._poll(transport, "package")
            await job.require_done(order, "the list of eIM configurations")
        finally:
            await ipa.use(transport="https", **_CLOSED)

    async def _poll(self, transport: Transport, kind: str) -> None:
        job, station = self._job, self._job.station
        await station.clock.sleep(self._rest)
        async with station.step(f"{transport.name}-{kind}") as step:
            sent, received = await station.data.counters()
            before = station.clock.now()
            async with self._meter.measuring() as drawn:
                poll = await (await job.ipa()).poll(timeout=job.download_within)
                took = station.clock.now() - before
            up, down = await station.data.counters()
            if up == sent or down == received:
                raise DeviceFailure(
                    "the device's link counted no byte of a poll that succeeded",
                    where=f"{transport.name}, {kind}",
                    hint="does the IPA's traffic take another way than data.path says?",
                )
            step.measure("sent", up - sent, unit="B")
            step.measure("received", down - received, unit="B")
            step.measure("round_trips", poll.round_trips)
            step.measure("duration", took, unit="s")
            step.measure("energy", drawn.energy / 3.6, unit="mWh")
            self.rows.append(
                {
                    "rat": self._rat,
                    "transport": transport.name,
                    "poll": kind,
                    "sent": up - sent,
                    "received": down - received,
                    "round_trips": poll.round_trips,
                    "seconds": round(took, 3),
                    "mWh": round(drawn.energy / 3.6, 6),
                }
            )
