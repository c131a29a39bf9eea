"""PDP contexts: define, activate, and read back address and DNS servers (27.007 section 10.1)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from typing import Protocol

from bench.errors import ConfigurationError, DeviceFailure
from bench.station.clock import Clock
from bench.station.interfaces import PdpContext
from instruments.modem import parse
from instruments.modem.errors import ModemError

_APN = re.compile(r"[A-Za-z0-9.\-]{1,100}")
_ADDRESS_COMES = 10.0
_AGAIN = 0.5


class Command(Protocol):
    """How a command is sent."""

    def __call__(self, line: str, *, timeout: float | None = None) -> Awaitable[Sequence[str]]:
        """Send one AT command."""


async def define(command: Command, apn: str, *, cid: int, kind: str) -> None:
    """Define a context (+CGDCONT). Raises ConfigurationError for an APN that cannot be one (23.003 section 9.1)."""
    _check(apn, cid)
    await command(f'AT+CGDCONT={cid},"{kind}","{apn}"')


def _check(apn: str, cid: int) -> None:
    if not _APN.fullmatch(apn):
        raise ConfigurationError(f"'{apn[:60]}' is no APN", hint="letters, digits, dots and hyphens")
    if not 1 <= cid <= 16:
        raise ConfigurationError(f"{cid} is no context id", hint="1 to 16")


async def activate(command: Command, clock: Clock, apn: str, *, cid: int, kind: str, until: float) -> PdpContext:
    """Have context ``cid`` active with ``apn``, changing as little as possible; return its address and DNS servers.

    A context that is active with another APN is deactivated; where it is the last one (LTE), the modem detaches and
    attaches again. Raises ModemError, or DeviceFailure when the context has no address.
    """
    _check(apn, cid)
    active = parse.active(await command("AT+CGACT?"), cid)
    defined = parse.defined_apn(await command("AT+CGDCONT?"), cid)
    if active:
        given = await _parameters(command, cid)
        current = given.apn if given and given.apn else (defined or "")
        if not parse.same_apn(current, apn):
            await _deactivate(command, cid)
            active = False
    if defined is None or defined.lower() != apn.lower():
        await command(f'AT+CGDCONT={cid},"{kind}","{apn}"')
    if not active:
        await _activate(command, clock, cid, until)
    return await _read(command, clock, apn, cid, until)


async def contexts(command: Command) -> tuple[PdpContext, ...]:
    """Return the active contexts that have an address."""
    found = []
    for cid in parse.active_contexts(await command("AT+CGACT?")):
        address = parse.address(await command(f"AT+CGPADDR={cid}"), cid)
        given = await _parameters(command, cid)
        if address:
            found.append(PdpContext(cid, given.apn if given else "", address, given.dns if given else ()))
    return tuple(found)


async def deactivate(command: Command, cid: int) -> None:
    """Deactivate a context. Raises ModemError, or DeviceFailure when it is active still."""
    if not parse.active(await command("AT+CGACT?"), cid):
        return
    await _deactivate(command, cid)
    if parse.active(await command("AT+CGACT?"), cid):
        raise DeviceFailure(f"PDP context {cid} is active after it was deactivated", where="AT+CGACT?")


async def _deactivate(command: Command, cid: int) -> None:
    try:
        await command(f"AT+CGACT=0,{cid}")
    except ModemError:
        await command("AT+CGATT=0")  # the last PDN connection of LTE goes only with the attachment


async def _activate(command: Command, clock: Clock, cid: int, until: float) -> None:
    attached = parse.plain(await command("AT+CGATT?"))
    if attached.startswith("0"):
        await command("AT+CGATT=1", timeout=_left(clock, until))
        if parse.active(await command("AT+CGACT?"), cid):
            return
    try:
        await command(f"AT+CGACT=1,{cid}", timeout=_left(clock, until))
    except ModemError:
        # Some refuse to activate what the attachment has activated already.
        if not parse.active(await command("AT+CGACT?"), cid):
            raise


def _left(clock: Clock, until: float) -> float:
    return max(1.0, until - clock.now())


async def _parameters(command: Command, cid: int) -> parse.DynamicParameters | None:
    try:
        return parse.dynamic_parameters(await command(f"AT+CGCONTRDP={cid}"), cid)
    except ModemError:
        return None


async def _read(command: Command, clock: Clock, apn: str, cid: int, until: float) -> PdpContext:
    patience = min(until, clock.now() + _ADDRESS_COMES)
    while True:
        address = parse.address(await command(f"AT+CGPADDR={cid}"), cid)
        if address:
            given = await _parameters(command, cid)
            return PdpContext(cid, given.apn if given and given.apn else apn, address, given.dns if given else ())
        if clock.now() >= patience:
            raise DeviceFailure(f"PDP context {cid} on APN {apn} is active without an address", where="AT+CGPADDR")
        await clock.sleep(_AGAIN)
