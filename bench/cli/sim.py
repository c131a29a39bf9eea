"""``bench sim up``: the simulated bench on its own, for other programs and for benches of one's own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


@click.group()
def sim() -> None:
    """The simulated bench on its own, for other programs."""


@sim.command(epilog="Example: bench sim up --json   then: lxi scpi --raw -a 127.0.0.1 -p PORT '*IDN?'")
@click.option("--station", default="sim", show_default=True, help="Simulated station.")
@click.option("--clock", default="real", show_default=True, help="real, scaled:FACTOR or instant.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of everything random in the world.")
@click.option("--world", multiple=True, metavar="NAME=VALUE", help="Further option of the world.")
@click.option("--readers", type=click.IntRange(1, 16), help="PC/SC readers, each with a card of its own (sim-pcsc).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when everything listens.")
@click.pass_obj
def up(
    obj: Mapping[str, Any],
    station: str,
    clock: str,
    seed: int,
    world: tuple[str, ...],
    readers: int | None,
    as_json: bool,
) -> None:
    """Start world, eIM and SM-DP+, say where they listen, stay in the foreground until a signal."""
    from bench.cli.run import world_options
    from bench.client.launch import check_world
    from bench.station import config

    bench = config.load(Path(obj["config"]) if obj.get("config") else None)
    options = {"clock": clock, "seed": seed, **world_options(world)}
    if readers is not None:
        options["readers"] = readers
    table = bench.station(station)
    check_world(table, options)
    chosen = table.with_world(**options)
    asyncio.run(_up(bench, chosen, as_json))


async def _up(bench: Any, station: Any, as_json: bool) -> None:
    from bench.station import routes, services
    from bench.station.discovery import worlds

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    logs = bench.home / "sim" / station.name
    async with AsyncExitStack() as stack:
        lifeline, held = os.pipe()  # the services end with this process, however it ends
        stack.callback(os.close, held)
        stack.callback(os.close, lifeline)

        async def started(name: str, options: Mapping[str, object]) -> services.Service:
            log = logs / f"{name}.log"
            service = await services.start(name, home=bench.home, options=options, log=log, lifeline=lifeline)
            stack.push_async_callback(service.stop)
            if service.client is not None:
                stack.push_async_callback(service.client.close)
            return service

        starting = [
            asyncio.ensure_future(started(station.world.service, {"station": station.name, **station.world.options})),
            asyncio.ensure_future(started("smdpp", {})),
            asyncio.ensure_future(started("eim", {})),
        ]
        try:
            world, smdpp, eim = await asyncio.gather(*starting)
        except BaseException:
            await asyncio.gather(*starting, return_exceptions=True)
            raise
        await routes.connect_routes(world.announcement, eim, smdpp)
        announcement = {**world.announcement, "eim": dict(eim.announcement), "smdpp": dict(smdpp.announcement)}
        stack.enter_context(worlds.announced(bench.home, station.name, announcement))  # bench discover finds it there
        _announce(announcement, as_json)
        ended = [asyncio.ensure_future(_ended(service)) for service in (world, smdpp, eim)]
        stopping = asyncio.ensure_future(stop.wait())
        done, rest = await asyncio.wait([stopping, *ended], return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        for task in done - {stopping}:
            task.result()


async def _ended(service: Any) -> None:
    """Raise when a service ends by itself."""
    code = await asyncio.shield(service.exited)
    raise service.failure(f"ended by itself with exit code {code}")


def _announce(announcement: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(announcement)
    else:
        click.echo(json.dumps(announcement, indent=2, ensure_ascii=False))
        click.echo("Ctrl-C ends it.")
