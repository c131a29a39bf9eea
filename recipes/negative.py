"""How a table of misbehaviours is run: each row a step, all of them whatever the ones before came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.errors import BenchError, ConfigurationError, DeviceFailure, Refused
from bench.station.interfaces import EimOrder, Misbehaves, PollResult, ProfileOrder
from recipes import start
from recipes.job import Job
from recipes.misbehaviours import Card, Row, Seen, judge
from recipes.servers import forwarded
from recipes.words import listing


def chosen(table: Sequence[Row], names: str) -> list[Row]:
    """Return the rows of a comma-separated list, all when it is empty. Raises ConfigurationError."""
    if not names:
        return list(table)
    known = {row.name: row for row in table}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigurationError(f"there is no row {unknown[0]!r}", where="rows", hint=f"there are {', '.join(known)}")
    return [known[name] for name in wanted]


def misbehaves(server: object, name: str) -> Misbehaves:
    """Return the server as one that can be told what to do wrong. Raises Refused."""
    if not isinstance(server, Misbehaves):
        raise Refused(
            f"this {name} cannot be told to misbehave", where=name, hint="use the bundled one for this recipe"
        )
    return server


@dataclass(slots=True)
class Negative:
    """The rows of one run, judged one after the other."""

    job: Job
    server: Misbehaves
    bootstrap: str
    """ICCID of the profile that is enabled all the time."""
    target: ProfileOrder
    """What the SM-DP+ has ready."""
    failed: dict[str, str] = field(default_factory=dict)

    async def run(self, rows: Sequence[Row]) -> None:
        """Run every row. Raises DeviceFailure that names each whose reaction was not the expected one."""
        for row in rows:
            await self._row(row)
        if self.failed:
            first, problems = next(iter(self.failed.items()))
            raise DeviceFailure(
                f"{len(self.failed)} of {len(rows)} misbehaviours had not the expected reaction; {first}: {problems}",
                where=", ".join(self.failed),
                hint=f"run one alone: --set rows={first}",
            )

    async def _row(self, row: Row) -> None:
        try:
            async with self.job.station.step(row.name, decisive=False) as step:
                await self._prepare(row)
                seen = await self._meet(row)
                problems = judge(row, seen)
                step.measure("apdus", seen.apdus)
                step.measure("requests", sum(seen.requests.values()), source="server")
                step.measure("bytes", seen.octets, unit="B", source="ipa")
                step.measure("duration", seen.seconds, unit="s")
                step.note(f"order {seen.final.state}: {seen.final.error.get('what', 'no error')}")
                if seen.error is not None:
                    step.note(f"the poll ended with: {seen.error}")
                if problems:
                    raise DeviceFailure(
                        "; ".join(problems), where=row.name, hint=f"run it alone: --set rows={row.name}"
                    )
        except DeviceFailure as failure:
            self.failed[row.name] = failure.what
            await self._restore()
        finally:
            await self.server.misbehave()

    async def as_ever(self, *, step_name: str = "as-ever") -> None:
        """Require that a package and a download are carried out, and leave the profile off the card."""
        job, station = self.job, self.job.station
        async with station.step(step_name):
            await job.carry_out("signed-list", await station.eim.order_list(job.eid), "listProfileInfo")
            if any(item.iccid == self.target.iccid for item in await job.profiles()):
                await start.delete(job, self.target.iccid, step_name="without-profile")
            self.target = await station.smdpp.order(job.package, eid=job.eid)
            order = await station.eim.order_download(job.eid, self.target.activation_code)
            await job.download(order, self.target.iccid)
            await job.require_events(self.target.matching_id, "install")
            await start.delete(job, self.target.iccid)

    # --- one row --------------------------------------------------------------------------------------------------

    async def _prepare(self, row: Row) -> None:
        """Have the profile on the card, disabled, or not there, as the row's order needs it."""
        target = self.target.iccid
        there = any(item.iccid == target for item in await self.job.profiles())
        if row.work == "download" and there:
            await start.delete(self.job, target, step_name="without-profile")
        elif row.work != "download" and not there:
            self.target = await self.job.station.smdpp.order(self.job.package, eid=self.job.eid)
            code = self.target.activation_code
            order = await self.job.station.eim.order_download(self.job.eid, code)
            await self.job.download(order, target, step_name="with-profile")

    async def _card(self) -> Card:
        ipa = await self.job.ipa()
        waiting = tuple(f"{item.event} {item.iccid}".strip() for item in await ipa.notifications())
        memory = (await ipa.memory()).free_non_volatile
        return Card(tuple(await ipa.profiles()), tuple(await ipa.eims()), waiting, memory)

    async def _order(self, row: Row) -> EimOrder:
        job, eim = self.job, self.job.station.eim
        if row.work == "list":
            return await eim.order_list(job.eid)
        if row.work == "enable":
            return await eim.order_enable(job.eid, self.target.iccid, rollback=False)
        self.target = await job.station.smdpp.order(job.package, eid=job.eid)
        return await eim.order_download(job.eid, self.target.activation_code)

    async def _meet(self, row: Row) -> Seen:
        station = self.job.station
        before = await self._card()
        order = await self._order(row)
        await self.server.misbehave(*row.told)
        ipa = await self.job.ipa()
        apdus, begun = ipa.apdus, station.clock.now()
        first, error = await self._poll()
        seconds = station.clock.now() - begun
        if first is not None and first.profile_changed:
            await self.job.refresh(self.job.operational)
        apdus = ipa.apdus - apdus
        if row.work == "download":
            await forwarded(station, self.job.eid)
        told = await self.server.misbehaviour()
        shown = await station.eim.show(order.order_id)
        after = await self._card()
        await self.server.misbehave()
        second, _ = await self._poll()
        if row.work == "download":
            await forwarded(station, self.job.eid)
        final = await station.eim.show(order.order_id)
        state = await station.smdpp.state(self.target.matching_id) if row.server else None
        if not final.final:
            await station.eim.cancel(order.order_id)
        misbehaviours, requests = told.get("misbehaviours"), told.get("requests")
        return Seen(
            before=before,
            after=after,
            end=await self._card(),
            came_about=[int(item["done"]) for item in misbehaviours] if isinstance(misbehaviours, list) else [],
            order=shown,
            final=final,
            error=error,
            first=first,
            second=second,
            requests=dict(requests) if isinstance(requests, dict) else {},
            apdus=apdus,
            octets=first.bytes_sent + first.bytes_received if first is not None else 0,
            seconds=seconds,
            server=state.state if state is not None else "",
            target=self.target.iccid,
        )

    async def _poll(self) -> tuple[PollResult | None, BenchError | None]:
        """Return what a poll gave, or its error."""
        ipa = await self.job.ipa()
        try:
            return await ipa.poll(timeout=self.job.download_within), None
        except BenchError as error:
            return None, error

    async def _restore(self) -> None:
        """Begin the next row as if this one had not been: the server behaves, the bootstrap profile is enabled."""
        job = self.job
        await self.server.misbehave()
        async with job.station.step("restore", decisive=False) as step:
            for order in await job.station.eim.orders(job.eid):
                if not order.final:
                    await job.station.eim.cancel(order.order_id)
            enabled = next((item for item in await job.profiles() if item.enabled), None)
            if enabled is not None and enabled.iccid != self.bootstrap:
                await job.connect(job.operational, suffix="restore")
                await self._poll()
                await start.switch_back(job, self.bootstrap, suffix="restore")
            else:
                await self._poll()
            step.note(listing(await job.profiles()))
