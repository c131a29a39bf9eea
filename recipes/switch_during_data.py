"""Switch the profile while applications use the data connection: what do they notice, and for how long?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import ConfigurationError, DeviceFailure, EimUnreachable, InstrumentError
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Profiles
from recipes.probes import Probe, TcpProbe, TunnelProbe, UdpProbe, running


@recipe(
    title="Switch during data",
    needs=("power", "modem", "card", "data", "radio", "eim", "smdpp", "ipa"),
    effects=("switches-profile", "consumes-profile"),
)
async def switch_during_data(
    station: Station,
    echo: str = "echo.bench.example:7",
    interval: Annotated[float, Unit("s"), Range(0.1, 60)] = 1.0,
    before: Annotated[float, Unit("s"), Range(2, 600)] = 20.0,
    after: Annotated[float, Unit("s"), Range(2, 600)] = 20.0,
    recover_within: Annotated[float, Unit("s"), Range(1, 3600)] = 120.0,
    outage_limit: Annotated[float, Unit("s"), Range(1, 3600)] = 300.0,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Enable the operational profile while UDP, TCP and a WireGuard-like tunnel run over the device's data path.

    Measured for each: last answer before and first after the switch, outage, messages lost, sockets opened again; for
    the network: change of address, time until a name is resolved at the new DNS server. ``echo`` is an echo server
    (RFC 862, UDP and TCP) that both networks reach: HOST:PORT. ``recover_within`` counts from the new data connection.
    """
    host, port = _peer(echo)
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job, installed=True)
    udp = UdpProbe(station, "udp", host, port, interval)
    tcp = TcpProbe(station, "tcp", host, port, interval)
    tunnel = TunnelProbe(station, "tunnel", host, port, interval)
    probes: tuple[Probe, ...] = (udp, tcp, tunnel)
    old = (await (await job.modem()).activate_pdp(job.bootstrap.apn)).address
    async with running(*probes):
        async with station.step("before") as step:
            began = station.clock.now()
            await station.clock.sleep(before)
            _require_before(probes, echo)
            for probe in probes:
                lost, sent = probe.traffic.lost(began, station.clock.now() - interval)
                step.note(f"{probe.traffic.name}: {sent} sent, {lost} lost")
        switched = station.clock.now()
        order = await job.switch(begin.target.iccid, job.operational)
        try:
            await job.register(job.operational)
            await job.open_data(job.operational)
            connected = station.clock.now()
            new = (await (await job.modem()).activate_pdp(job.operational.apn)).address
            await _name_server(job, host)
            await _recovered(station, probes, connected, recover_within)
        except (DeviceFailure, EimUnreachable):
            await job.roll_back(begin.bootstrap.iccid, job.bootstrap)
            raise
        await station.clock.sleep(after)
        ended = station.clock.now() - interval
    async with station.step("noticed") as step:
        step.measure("address_changed", old != new)
        step.note(f"address {old} before, {new} after")
        for probe in probes:
            _noticed(station, probe, switched, ended, outage_limit)
        step.measure("tunnel_handshakes", tunnel.handshakes - 1)
        step.note(f"tunnel: {'the same keys' if tunnel.sessions == 1 else 'new keys'} after the switch")
    poll = await job.poll("deliver-result", measured=True)
    await job.require_done(order, "the switch", poll)
    await job.verify_identity(begin.target.iccid)


def _peer(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"'{text}' is no echo server", where="parameter echo", hint="HOST:PORT")
    return host.strip("[]"), int(port)


def _require_before(probes: Sequence[Probe], echo: str) -> None:
    """Nothing is measured against a peer that does not answer: that is the bench's fault, not the device's."""
    for probe in probes:
        if not probe.traffic.answered:
            why = probe.traffic.last_error or f"{len(probe.traffic.sent)} messages without an answer"
            raise InstrumentError(
                f"no {probe.traffic.name} answer before the switch: {why}",
                where=f"echo server {echo}",
                hint="run one (RFC 862, UDP and TCP) that the device's network reaches; name it: --set echo=HOST:PORT",
            )


async def _name_server(job: Job, host: str) -> None:
    """Resolve the peer at the DNS server of the new connection; a context without one is told, not failed."""
    async with job.station.step("name-server") as step:
        if not job.dns:
            step.note("the PDP context has no DNS server")
            return
        began = job.station.clock.now()
        try:
            found = await job.station.data.resolve(host, server=job.dns[0], timeout=60.0)
        except InstrumentError as error:
            raise DeviceFailure(
                f"no name is resolved on the new connection: {error.what}",
                where=error.where,
                hint="is the DNS server of the new network reachable from the device? 'bench doctor' asks it",
            ) from error
        step.measure("dns", job.station.clock.now() - began, unit="s")
        step.note(f"{host} is {', '.join(found)} at {job.dns[0]}")


async def _recovered(station: Station, probes: Sequence[Probe], since: float, within: float) -> None:
    """Wait until every application has an answer to something it sent on the new connection."""
    async with station.step("recover") as step:
        waiting = list(probes)
        while waiting:
            for probe in [probe for probe in waiting if probe.traffic.answered_since(since)]:
                waiting.remove(probe)
                step.measure(f"{probe.traffic.name}_recovery", station.clock.now() - since, unit="s", upper=within)
            if waiting and station.clock.now() - since > within:
                names = ", ".join(probe.traffic.name for probe in waiting)
                why = next((probe.traffic.last_error for probe in waiting if probe.traffic.last_error), "")
                raise DeviceFailure(
                    f"no answer over {names} within {within:g} s of the new data connection",
                    where=station.data.bearer,
                    hint=f"last error: {why}" if why else "registered, address there, but data do not flow: APN, NAT?",
                )
            await station.clock.sleep(0.5)


def _noticed(station: Station, probe: Probe, switched: float, ended: float, limit: float) -> None:
    traffic = probe.traffic
    gap = traffic.outage(switched)
    assert gap is not None  # there were answers before, and recovery was waited for
    last, first = gap
    lost, sent = traffic.lost(switched, ended)
    station.measure(f"{traffic.name}_last_before", last - switched, unit="s")
    station.measure(f"{traffic.name}_first_after", first - switched, unit="s")
    station.measure(f"{traffic.name}_outage", first - last, unit="s", upper=limit)
    station.measure(f"{traffic.name}_lost", lost)
    station.measure(f"{traffic.name}_sent", sent)
    station.measure(f"{traffic.name}_reopened", traffic.opened - 1)
