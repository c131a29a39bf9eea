"""What every network emulator's driver has: abilities declared, values checked, refusals in words.

A driver declares its abilities and carries out what starts with an underscore; what it does not declare is refused
here, before anything is sent.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import BenchError, ConfigurationError, InstrumentError, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity, SafeAction
from bench.station.network import (
    ABILITY_WORDS,
    EMM_CAUSES,
    AttachedDevice,
    LinkLimits,
    NetworkAbilities,
    NetworkAbility,
    NetworkSubscriber,
    PdnSettings,
    Procedure,
)
from instruments.network import netem

if TYPE_CHECKING:
    from bench.station.interfaces import Network

    def _fits(network: EmulatorDriver) -> Network:
        return network


SWITCH = 30.0
"""Seconds a cell is given to come on or go off; real ones take 5 to 20 s."""
POLL = 0.25
SMS_LENGTH = 160
_PDN: tuple[tuple[str, NetworkAbility], ...] = (("apn", "apn"), ("address", "address"), ("dns", "dns"), ("mtu", "mtu"))


class EmulatorDriver:
    """Checks and refusals (interfaces.Network). A driver fills in ``abilities`` and the methods with an underscore.

    Option ``netem``: the Linux interface that carries the emulator's IP side; the limits of it are then set by tc.
    """

    abilities: NetworkAbilities
    refusals: ClassVar[Mapping[NetworkAbility, str]] = {}
    """Why an ability is lacking, where there is more to say than that it is."""
    highest_cell = 8

    def __init__(self, options: DriverOptions, identity: Identity) -> None:
        self.identity = identity
        self._options = options
        self._clock = options.clock
        self._shaper: netem.Netem | None = None

    async def _open_shaper(self) -> None:
        """Prepare the limits of the IP side where ``netem`` names its interface. Raises InstrumentError, Refused."""
        interface = self._options.extra.get("netem")
        if interface is None:
            return
        self._shaper = await netem.Netem.prepare(str(interface), self._options)
        more: frozenset[NetworkAbility] = frozenset({"throughput", "delay"})
        self.abilities = replace(self.abilities, can=self.abilities.can | more)

    @classmethod
    def check_cells(cls, options: DriverOptions) -> None:
        """Raise ConfigurationError for cells that the emulator cannot have."""
        if not options.cells or any(not 1 <= cell <= cls.highest_cell for cell in options.cells):
            raise ConfigurationError(
                f"'cells' must list cells 1 to {cls.highest_cell} of {options.name}", where=options.origin
            )

    async def close(self) -> None:
        """Take back the limits of the IP side and release the connection; cells stay as they are."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            if self._shaper is not None:
                stack.push_async_callback(self._shaper.undo)

    # --- checks ---------------------------------------------------------------------------------------------------

    def _require(self, ability: NetworkAbility) -> None:
        if ability in self.abilities.can:
            return
        model = " ".join(part for part in (self.identity.manufacturer, self.identity.model) if part)
        raise Refused(
            f"{self._options.name} ({model or self._options.driver}) cannot {ABILITY_WORDS[ability]}",
            where=self._options.origin or self._options.name,
            hint=self.refusals.get(ability, "nothing was sent"),
        )

    def _known(self, cell: int) -> int:
        if cell not in self._options.cells:
            raise Refused(
                f"cell {cell} is not one of this station's ({', '.join(map(str, self._options.cells))})",
                where=self._options.name,
                hint="'cells' in bench.toml says which cells the station may use",
            )
        return cell

    def _check(self, ability: NetworkAbility, cell: int) -> None:
        self._known(cell)
        self._require(ability)

    def _wrong(self, what: str, hint: str = "") -> ConfigurationError:
        return ConfigurationError(what, where=self._options.name, hint=hint)

    # --- cells ----------------------------------------------------------------------------------------------------

    async def cells(self) -> Sequence[int]:
        """Return the cells this station may use."""
        return self._options.cells

    async def set_cell(self, on: bool, *, cell: int = 1) -> None:
        """Switch a cell and wait until it transmits, or does not. Raises InstrumentTimeout, Refused."""
        self._check("cell", cell)
        await self._set_cell(on, cell)

    async def cell_on(self, *, cell: int = 1) -> bool:
        """Return whether the cell transmits now."""
        self._check("cell", cell)
        return await self._cell_on(cell)

    async def set_plmn(self, plmn: str, *, cell: int = 1) -> None:
        """Program MCC and MNC (5 or 6 digits). Raises ConfigurationError for other texts."""
        self._check("plmn", cell)
        if not re.fullmatch(r"[0-9]{5,6}", plmn):
            raise self._wrong(f"'{plmn}' is no PLMN: 5 or 6 digits")
        await self._set_plmn(plmn, cell)

    async def set_tac(self, tac: int, *, cell: int = 1) -> None:
        """Program the tracking area code (0 to 65535)."""
        self._check("tac", cell)
        if not 0 <= tac <= 0xFFFF:
            raise self._wrong(f"{tac} is no tracking area code: 0 to 65535")
        await self._set_tac(tac, cell)

    async def set_rat(self, rat: str, *, cell: int = 1) -> None:
        """Program the RAT. Raises Refused for one that this emulator does not have."""
        self._known(cell)
        if rat not in self.abilities.rats:
            raise Refused(
                f"{self._options.name} has no {rat}",
                where=self._options.origin or self._options.name,
                hint=f"it has {', '.join(self.abilities.rats)}",
            )
        if "rat" not in self.abilities.can and len(self.abilities.rats) == 1:
            return
        self._require("rat")
        await self._set_rat(rat, cell)

    async def set_band(self, band: int, *, cell: int = 1) -> None:
        """Program the operating band (36.101 table 5.5-1)."""
        self._check("band", cell)
        if not 1 <= band <= 88:
            raise self._wrong(f"{band} is no E-UTRA band: 1 to 88")
        await self._set_band(band, cell)

    async def set_power(self, rsrp: float, *, cell: int = 1) -> None:
        """Program the reference signal power in dBm. Raises Refused outside of the emulator's range."""
        self._check("power", cell)
        low, high = self.abilities.power or (0.0, 0.0)
        if not low <= rsrp <= high:
            raise Refused(f"{rsrp:g} dBm is outside of {low:g} to {high:g} dBm", where=self._options.name)
        await self._set_power(rsrp, cell)

    # --- subscriber and PDN ---------------------------------------------------------------------------------------

    async def set_subscriber(self, subscriber: NetworkSubscriber, *, cell: int = 1) -> None:
        """Give the emulator a subscriber; the keys reach neither lane nor messages."""
        self._check("subscriber", cell)
        try:
            subscriber.check()
        except ConfigurationError as error:
            error.where = self._options.name
            raise
        await self._set_subscriber(subscriber, cell)

    async def set_pdn(self, settings: PdnSettings, *, cell: int = 1) -> None:
        """Program APN, address, DNS and MTU; everything is checked before the first is sent."""
        self._known(cell)
        for name, ability in _PDN:
            if getattr(settings, name) is not None:
                self._require(ability)
        if settings.apn is not None and not re.fullmatch(r"[A-Za-z0-9.-]{1,63}", settings.apn):
            raise self._wrong(f"'{settings.apn}' is no APN (TS 23.003 section 9.1)")
        for address in (*(() if settings.address is None else (settings.address,)), *(settings.dns or ())):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise self._wrong(f"'{address}' is no IP address") from None
        if settings.mtu is not None and not 576 <= settings.mtu <= 9000:
            raise self._wrong(f"{settings.mtu} is no MTU: 576 to 9000 bytes")
        await self._set_pdn(settings, cell)

    # --- what is done to the device -------------------------------------------------------------------------------

    async def reject(self, procedure: Procedure, cause: int | None, *, cell: int = 1) -> None:
        """Reject every attach or TAU with an EMM cause until ``cause`` is None. Raises Refused."""
        self._check("reject-attach" if procedure == "attach" else "reject-tau", cell)
        causes = self.abilities.attach_causes if procedure == "attach" else self.abilities.tau_causes
        if cause is not None and cause not in causes:
            name = EMM_CAUSES.get(cause, "no cause of TS 24.301")
            raise Refused(
                f"{self._options.name} cannot reject with cause {cause} ({name})",
                where=self._options.origin or self._options.name,
                hint=f"it has {', '.join(map(str, sorted(causes)))}",
            )
        await self._reject(procedure, cause, cell)

    async def send_sms(self, text: str, *, cell: int = 1) -> None:
        """Send a text message to the attached device."""
        self._check("sms", cell)
        # A quote ends the command's text and a control character its line: what is not sent can do neither.
        if not 1 <= len(text) <= SMS_LENGTH or not re.fullmatch(r"[ !#-~]+", text):
            raise self._wrong(f"an SMS has 1 to {SMS_LENGTH} printable ASCII characters without '\"'")
        await self._send_sms(text, cell)

    async def page(self, *, cell: int = 1) -> None:
        """Page the attached device."""
        self._check("paging", cell)
        await self._page(cell)

    async def detach(self, *, cell: int = 1) -> None:
        """Have the network detach the device."""
        self._check("detach", cell)
        await self._detach(cell)

    async def attached(self, *, cell: int = 1) -> AttachedDevice | None:
        """Return the device attached to the cell as the emulator saw it, None when there is none."""
        self._check("attached", cell)
        return await self._attached(cell)

    async def attached_imsi(self, *, cell: int = 1) -> str:
        """Return the IMSI of the attached device, empty when none."""
        self._check("attached", cell)
        return await self._attached_imsi(cell)

    async def limit(self, limits: LinkLimits | None) -> None:
        """Limit the IP side; None takes every limit back. Raises Refused without an interface to limit."""
        self._require("throughput")
        if limits is not None:
            limits.check()
        assert self._shaper is not None
        await self._shaper.apply(limits)

    async def options(self) -> Sequence[str]:
        """Return the installed options."""
        self._require("options")
        return await self._installed()

    def safe_action(self) -> SafeAction:
        """Return what makes the emulator safe: the station's cells off."""
        options: dict[str, object] = {
            **self._options.extra,
            "name": self._options.name,
            "resource": self._options.resource,
            "serial": self._options.serial or self.identity.serial,
            "cells": list(self._options.cells),
        }
        return SafeAction("network.off", self._options.driver, options)

    # --- of the driver --------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        raise NotImplementedError

    async def _set_cell(self, on: bool, cell: int) -> None:
        raise NotImplementedError

    async def _cell_on(self, cell: int) -> bool:
        raise NotImplementedError

    async def _set_plmn(self, plmn: str, cell: int) -> None:
        raise NotImplementedError

    async def _set_tac(self, tac: int, cell: int) -> None:
        raise NotImplementedError

    async def _set_rat(self, rat: str, cell: int) -> None:
        raise NotImplementedError

    async def _set_band(self, band: int, cell: int) -> None:
        raise NotImplementedError

    async def _set_power(self, rsrp: float, cell: int) -> None:
        raise NotImplementedError

    async def _set_subscriber(self, subscriber: NetworkSubscriber, cell: int) -> None:
        raise NotImplementedError

    async def _set_pdn(self, settings: PdnSettings, cell: int) -> None:
        raise NotImplementedError

    async def _reject(self, procedure: Procedure, cause: int | None, cell: int) -> None:
        raise NotImplementedError

    async def _send_sms(self, text: str, cell: int) -> None:
        raise NotImplementedError

    async def _page(self, cell: int) -> None:
        raise NotImplementedError

    async def _detach(self, cell: int) -> None:
        raise NotImplementedError

    async def _attached(self, cell: int) -> AttachedDevice | None:
        raise NotImplementedError

    async def _attached_imsi(self, cell: int) -> str:
        found = await self._attached(cell)
        return "" if found is None else found.imsi

    async def _installed(self) -> Sequence[str]:
        raise NotImplementedError


def wrong_instrument(options: DriverOptions, identity: Identity, wanted: str) -> InstrumentError:
    """Return the error for an instrument of another kind at the address."""
    return InstrumentError(
        f"{options.name} is a {identity.manufacturer} {identity.model}, which is no {wanted}", where=options.resource
    )


def cells_of(action: SafeAction) -> list[int]:
    """Return the cells that a safe action switches off."""
    given: Any = action.options.get("cells")
    return [int(cell) for cell in given] if isinstance(given, list | tuple) else [1]


def reason(error: BaseException) -> str:
    """Return what an error says, for a message that goes on."""
    return error.what if isinstance(error, BenchError) else str(error) or type(error).__name__
