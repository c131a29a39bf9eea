"""Where names lead that no public DNS knows: the bundled servers, told to the eIM and to a simulated world's link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bench.errors import InstrumentError
from bench.station.external import ExternalService
from bench.station.services import Service

_DEADLINE = 5.0
"""Real seconds for the world's control socket to answer."""


Server = Service | ExternalService


def target(url: str, port: int = 443) -> str:
    """Return ``host:port`` of an address; ``port``: where it has none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"[{host}]:{parts.port or port}" if ":" in host else f"{host}:{parts.port or port}"


COAPS_PORT = 5684
"""Of the eIM's CoAP binding by its name (RFC 7252 section 12.7)."""


def coaps(eim: Mapping[str, Any] | None) -> dict[str, str]:
    """Return name and port of the bundled eIM's CoAP binding (``NAME:5684``) and the ``host:port`` it listens on."""
    if eim is None or "coaps" not in eim:
        return {}
    return {f"{eim['fqdn']}:{COAPS_PORT}": target(str(eim["coaps"]), COAPS_PORT)}


def names(eim: Mapping[str, Any] | None, smdpp: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the names of the bundled servers and the ``host:port`` they listen on, from their announcements."""
    found = {}
    if eim is not None and "https" in eim:
        found[str(eim["fqdn"])] = target(str(eim["https"]))
    if smdpp is not None and "https" in smdpp:
        found[str(smdpp["address"])] = target(str(smdpp["https"]))
    return found


async def connect_routes(world: Mapping[str, Any] | None, eim: Server | None, smdpp: Server | None) -> None:
    """Tell the eIM where the SM-DP+ is, and the world (by its announcement) where both are.

    Raises InstrumentError when the world or the eIM does not take it.
    """
    servers = names(eim.announcement if eim else None, smdpp.announcement if smdpp else None)
    jobs = []
    if eim is not None and smdpp is not None and hasattr(eim.client, "set_route"):
        address = str(smdpp.announcement["address"])
        if address in servers:  # of the lab's own SM-DP+ DNS may know it
            jobs.append(eim.client.set_route(address, servers[address]))
    if world is not None and world.get("control"):
        requests: list[dict[str, Any]] = [
            {"op": "route", "name": name, "port": 443, "target": to} for name, to in servers.items()
        ]
        requests += [*_operators("eim", eim, "operator"), *_operators("smdpp", smdpp, "admin")]
        for address, to in coaps(eim.announcement if eim else None).items():
            name, _, port = address.rpartition(":")
            requests.append({"op": "route", "name": name, "port": int(port), "target": to})
        jobs.append(ask_world(str(world["control"]), requests))
    await asyncio.gather(*jobs)


def _operators(name: str, service: Server | None, member: str) -> list[dict[str, Any]]:
    """Return what tells the world where a bundled server's operators are: its time line may have it misbehave."""
    told = service.announcement if service is not None else {}
    url, token = str(told.get(member, "")), told.get("token_file")
    if not token or not url.startswith("http://"):
        return []
    return [{"op": "operator", "name": name, "url": url, "token_file": str(token)}]


async def ask_world(control: str, requests: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Send requests to a world's control socket and return its answers. Raises InstrumentError for a refusal."""
    answers: list[Mapping[str, Any]] = []
    try:
        async with asyncio.timeout(_DEADLINE):
            reader, writer = await asyncio.open_unix_connection(control)
            try:
                for request in requests:
                    writer.write(json.dumps(request).encode() + b"\n")
                    answer = json.loads(await reader.readline() or b"{}")
                    if not answer.get("ok"):
                        error = answer.get("error") or {}
                        raise InstrumentError(
                            f"the simulated world refused '{request.get('op')}': {error.get('what', 'it closed')}",
                            where=control,
                            hint=str(error.get("hint", "")),
                        )
                    answers.append(answer)
            finally:
                writer.close()
    except (OSError, ValueError) as error:
        raise InstrumentError(
            f"the simulated world does not answer: {error}", where=control, hint="has it ended? bench sim up starts one"
        ) from error
    return answers
