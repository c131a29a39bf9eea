"""Servers that do everything wrong to a device with its own IPA: what eIM, SM-DP+, console and eUICC tell of it.

The rows are those of negative-eim and negative-smdp. Nothing is asked of modem or card: the card is judged by the
eUICC's signed profile lists before and after, the order by the eIM, the IPA's own words by the device's console.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder, Misbehaves, ProfileOrder
from recipes import negative_eim, negative_smdp
from recipes.device_job import DeviceJob, Listed
from recipes.misbehaviours import Row
from recipes.negative import chosen, misbehaves
from recipes.parameters import Boot, Hold, PollWithin
from recipes.servers import cancel_open_orders, forwarded, latest_orders
from recipes.start import bootstrap_of

_LOOK = 2.0
"""Seconds of station time between two questions to a server."""
_LINES = 400
"""Lines of a console in which a row's words are looked for."""
_GIVES_UP = 150.0
"""Seconds of station time in which an IPA gives up a poll that does not go well."""
_NOT_SEEN = "APDUs, bytes of ESipa and what waits on the card"
"""What no row is judged by here: nobody tells it."""
RegisterWithin = Annotated[float, Unit("s"), Range(1, 3600)]


@dataclass(slots=True)
class DeviceNegative:
    """The rows of one run on a device, judged one after the other."""

    job: DeviceJob
    server: Misbehaves
    package: str
    target: ProfileOrder
    failed: dict[str, str] = field(default_factory=dict)
    unseen: dict[str, list[str]] = field(default_factory=dict)
    """Words of a row that nobody on this station can tell."""
    _listed: list[Listed] = field(default_factory=list)
    """As the eUICC signed them last, nothing having been done since; empty: ask again."""

    async def run(self, rows: Sequence[Row]) -> None:
        """Run every row; the run is inconclusive where words of one are not to be had from this station.

        Raises DeviceFailure that names each whose reaction was not the expected one.
        """
        for row in rows:
            await self._row(row)
        self.job.station.result("not_observed", self.unseen)
        if self.unseen:
            async with self.job.station.step("observed") as step:
                step.inconclusive(f"nobody on this station tells the words of {', '.join(self.unseen)}")
        if self.failed:
            first, problems = next(iter(self.failed.items()))
            raise DeviceFailure(
                f"{len(self.failed)} of {len(rows)} misbehaviours had not the expected reaction; {first}: {problems}",
                where=", ".join(self.failed),
                hint=f"run one alone: --set rows={first}",
            )

    async def as_ever(self, name: str) -> None:
        """Require that a package and a download are carried out, and leave the profile off the card."""
        async with self.job.station.step(name):
            await self._prepare("download")
            order = await self._order("download")
            await self.job.carry_out("download", order, "the download", within=self.job.poll_within)
            await self._prepare("download")

    async def _row(self, row: Row) -> None:
        station = self.job.station
        try:
            async with station.step(row.name, decisive=False) as step:
                problems, unseen = await self._meet(row)
                if problems:
                    hint = f"run it alone: --set rows={row.name}"
                    raise DeviceFailure("; ".join(problems), where=row.name, hint=hint)
                step.note(f"not judged: {_NOT_SEEN}")
                if unseen:
                    self.unseen[row.name] = unseen
                    step.inconclusive(f"nobody on station {station.name} tells {' or '.join(unseen)}")
        except DeviceFailure as failure:
            self.failed[row.name] = failure.what
        finally:
            await self.server.misbehave()
            await cancel_open_orders(station, self.job.eid)

    async def _prepare(self, work: str) -> list[Listed]:
        """Have the profile on the card, disabled, or not there; return what the eUICC lists."""
        job, eim = self.job, self.job.station.eim
        profiles, self._listed = self._listed or await job.profiles("profiles-before"), []
        there = any(item.iccid == self.target.iccid for item in profiles)
        if (work == "download") != there:
            return profiles
        if there:
            await job.carry_out("without-profile", await eim.order_delete(job.eid, self.target.iccid), "the delete")
        else:
            await job.carry_out(
                "with-profile", await self._order("download"), "the download", within=self.job.poll_within
            )
        return await job.profiles("profiles-prepared")

    async def _order(self, work: Literal["enable", "list", "download"]) -> EimOrder:
        job, station = self.job, self.job.station
        if work == "list":
            return await station.eim.order_list(job.eid)
        if work == "enable":
            return await station.eim.order_enable(job.eid, self.target.iccid, rollback=False)
        self.target = await station.smdpp.order(self.package, eid=job.eid)
        return await station.eim.order_download(job.eid, self.target.activation_code)

    async def _meet(self, row: Row) -> tuple[list[str], list[str]]:
        """Let the device meet a row; return what was not as it must be, and which words nobody could tell."""
        job, station = self.job, self.job.station
        before = await self._prepare(row.work)
        heard = frozenset(self._console())
        order = await self._order(row.work)
        await self.server.misbehave(*row.told)
        begun = station.clock.now()
        await job.trigger()
        shown = await self._met(row, order, begun, heard)
        seconds = station.clock.now() - begun
        if row.work == "download":
            await forwarded(station, job.eid)
        told = await self.server.misbehaviour()
        await self.server.misbehave()
        final = await self._final(order)
        if row.work == "download":
            await forwarded(station, job.eid)
        after = self._listed = await job.profiles("profiles-after")
        said = "\n".join(self._since(heard))  # with the poll for the list, the one before it has told how it ended
        problems, unseen = self._judged(row, before, after, shown, final, said, has_console=bool(station.consoles))
        misbehaviours, requests = told.get("misbehaviours"), told.get("requests")
        if not isinstance(misbehaviours, list) or not any(int(item["done"]) for item in misbehaviours):
            problems.append("the misbehaviour did not come about: nothing was tested")
        polls = 1 + seconds // 30.0  # a device that could not poll tries again by itself
        counted = requests if isinstance(requests, dict) else {}
        problems += [
            f"{name} came {count} times in {seconds:g} s: an exchange without end"
            for name, count in sorted(counted.items())
            if count > row.requests * polls
        ]
        if row.server:
            state = (await station.smdpp.state(self.target.matching_id)).state
            if state != row.server:
                problems.append(f"the SM-DP+'s order is {state}, not {row.server}")
        return problems, unseen

    def _console(self) -> list[str]:
        consoles = self.job.station.consoles.values()
        return [line for console in consoles for line in console.tail(_LINES)]

    def _since(self, heard: frozenset[str]) -> list[str]:
        """Return the consoles' lines that are not among those of before; devices print when they say something."""
        return [line for line in self._console() if line not in heard]

    async def _met(self, row: Row, order: EimOrder, begun: float, heard: frozenset[str]) -> EimOrder:
        """Wait until the order has ended, or the misbehaviour has come about and the row says that it stays open.

        Then the device's poll may still go on, with its further attempts: until its console says how it ended, or for
        ``_GIVES_UP`` where it has none.
        """
        station = self.job.station
        until = begun + self.job.poll_within
        came = 0.0
        while True:
            shown = await station.eim.show(order.order_id)
            armed = (await self.server.misbehaviour()).get("misbehaviours")
            done = isinstance(armed, list) and any(int(item["done"]) for item in armed)
            if done and not came:
                came = station.clock.now()
            told = bool(row.poll) and re.search(row.poll, "\n".join(self._since(heard))) is not None
            over = told or (came and station.clock.now() >= came + _GIVES_UP)
            if shown.final or (done and not row.at_once and over) or station.clock.now() >= until:
                return shown
            await station.clock.sleep(_LOOK)

    async def _final(self, order: EimOrder) -> EimOrder:
        """Wait for the end of the order, with the server behaving."""
        station = self.job.station
        until = station.clock.now() + self.job.poll_within
        while not (shown := await station.eim.show(order.order_id)).final and station.clock.now() < until:
            await station.clock.sleep(_LOOK)
        return shown

    def _judged(
        self,
        row: Row,
        before: list[Listed],
        after: list[Listed],
        shown: EimOrder,
        final: EimOrder,
        said: str,
        *,
        has_console: bool,
    ) -> tuple[list[str], list[str]]:
        problems: list[str] = []
        installs = row.work == "download" and row.ends == "done"
        expected = [item for item in after if not (installs and item.iccid == self.target.iccid)]
        if _told(expected) != _told(before):
            problems.append(f"the card changed: {_told(after)}, before {_told(before)}")
        if installs and [item.enabled for item in after if item.iccid == self.target.iccid] != [False]:
            problems.append(f"{self.target.iccid} is not on the card once and disabled in the end: {_told(after)}")
        if row.at_once and not shown.final:
            problems.append(f"the order is {shown.state} after the misbehaviour, it is to be ended")
        if final.state != row.ends:
            problems.append(f"the order is {final.state} in the end, not {row.ends}")
        if row.ends == "done" and not final.verified:
            problems.append("the order is done and its result not verified")
        if row.ends == "failed" and not final.error.get("what"):
            problems.append("the order failed without a word")
        text = " | ".join(str(part) for item in (shown, final) for part in (item.error, item.result))
        missing = [word for word in (*row.words, row.poll) if word and not re.search(word, f"{text}\n{said}")]
        # A console tells how a poll or a download ended. Of a result that was tried again only its IPA knows.
        told = [word for word in missing if has_console and (row.ends == "failed" or word == row.poll)]
        problems += [f"nobody said {word!r}" for word in told]
        missing = [word for word in missing if word not in told]
        return problems, missing


def _told(profiles: Sequence[Listed]) -> str:
    listed = sorted(f"{item.iccid} {'enabled' if item.enabled else 'disabled'}" for item in profiles)
    return ", ".join(listed) or "none"


async def _run(
    station: Station,
    table: Sequence[Row],
    side: Literal["eIM", "SM-DP+"],
    rows: str,
    package: str,
    bootstrap_iccid: str,
    hold: float,
    job: DeviceJob,
) -> None:
    wanted = chosen(table, rows)
    server = misbehaves(station.eim if side == "eIM" else station.smdpp, side)
    async with station.step("start-state"):
        await job.power_cycle(hold)
        await job.boot()
        await job.identify()
        target = await station.smdpp.order(package, eid=job.eid)
        await job.associate()
        await cancel_open_orders(station, job.eid)
        orders = await latest_orders(station, job.eid)
        await job.registered("register", "")
        await job.poll("first-poll")
        profiles = await job.profiles("profiles")
        bootstrap = bootstrap_of(profiles, target.iccid, bootstrap_iccid, orders)
        if not bootstrap.enabled:
            back = await station.eim.order_enable(job.eid, bootstrap.iccid, rollback=False)
            await job.carry_out("switch-back", back, "the switch back", within=job.poll_within)
    negative = DeviceNegative(job, server, package, target)
    await negative.as_ever("before")  # an earlier session, whose answers come again
    await negative.run(wanted)
    await negative.as_ever("as-ever")


@recipe(
    title="Negative eIM, device's own IPA",
    needs=("power", "eim", "smdpp", "device-ipa"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def device_negative_eim(
    station: Station,
    rows: str = "",
    profile: str = "operational",
    bootstrap_iccid: str = "",
    hold: Hold = 2.0,
    boot_within: Boot = 60.0,
    register_within: RegisterWithin = 300.0,
    poll_within: PollWithin = 600.0,
) -> None:
    """Let the bundled eIM misbehave in every way to a device that polls by itself, and require each reaction.

    Each row is a step: an order is placed, the eIM told what to do wrong, the device polls; then the eIM behaves again.
    Judged are the eUICC's signed profile lists before and after, the order (ended or retried by rule, verified, its
    words), the requests that came, and what the device's console says of it. A row whose words only the IPA knows is
    inconclusive on a station without a console. ``rows``: names, comma-separated; empty: all. SGP.32 sections 2.11,
    3.1.1.1, 3.2.3.2, 5.9.1 and 5.14.
    """
    job = DeviceJob(station, boot_within=boot_within, register_within=register_within, poll_within=poll_within)
    await _run(station, negative_eim.TABLE, "eIM", rows, profile, bootstrap_iccid, hold, job)


@recipe(
    title="Negative SM-DP+, device's own IPA",
    needs=("power", "eim", "smdpp", "device-ipa"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def device_negative_smdp(
    station: Station,
    rows: str = "",
    profile: str = "operational",
    bootstrap_iccid: str = "",
    hold: Hold = 2.0,
    boot_within: Boot = 60.0,
    register_within: RegisterWithin = 300.0,
    poll_within: PollWithin = 600.0,
) -> None:
    """Let the bundled SM-DP+ misbehave in every way to a device that polls by itself, and require each reaction.

    As device-negative-eim; the SM-DP+'s own order is judged as well. SGP.22 sections 3.1, 5.6 and 5.7.
    """
    job = DeviceJob(station, boot_within=boot_within, register_within=register_within, poll_within=poll_within)
    await _run(station, negative_smdp.TABLE, "SM-DP+", rows, profile, bootstrap_iccid, hold, job)
