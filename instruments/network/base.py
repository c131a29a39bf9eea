"""What every network emulator's driver has: abilities declared, values checked, refusals in words.

A driver supplies functions (``functions.py``), which are its abilities; what it does not supply is refused here, before
anything is sent.
"""

from __future__ import annotations

import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

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
from instruments.network.functions import Functions

if TYPE_CHECKING:
    from bench.station.interfaces import Network

    def _fits(network: EmulatorDriver) -> Network:
        return network


SMS_LENGTH = 160
"""Characters of one SMS in the default alphabet (TS 23.038)."""

F = TypeVar("F", bound=Callable[..., Any])


class EmulatorDriver(ABC):
    """Checks and refusals (interfaces.Network). A driver supplies ``functions``: what is not there is refused.

    Option ``netem``: the Linux interface that carries the emulator's IP side; the limits of it are then set by tc.
    """

    refusals: ClassVar[Mapping[NetworkAbility, str]] = {}
    """Why an ability is lacking, where there is more to say than that it is."""
    highest_cell = 8

    def __init__(self, options: DriverOptions, identity: Identity, extent: NetworkAbilities) -> None:
        """``extent``: how many cells and subscribers, which RATs, powers and causes; ``functions`` tell the rest.

        A driver has its own attributes before this is called: ``functions`` may ask them.
        """
        self.identity = identity
        self.abilities = extent
        self._options = options
        self._clock = options.clock
        self._shaper: netem.Netem | None = None
        self._use(self.functions())

    @abstractmethod
    def functions(self) -> Functions:
        """Return what this instrument, with these options, can be asked for."""

    @abstractmethod
    async def _close(self) -> None:
        """Release the connection; cells stay as they are."""

    def _use(self, functions: Functions) -> None:
        self._functions = functions
        self.abilities = replace(self.abilities, can=functions.abilities())

    def _shape(self, shaper: netem.Netem) -> None:
        """Have the IP side limited by tc from now on."""
        self._shaper = shaper
        self._use(replace(self._functions, throughput=shaper.apply, delay=shaper.apply))

    async def _open_shaper(self) -> None:
        """Prepare the limits of the IP side where ``netem`` names its interface. Raises InstrumentError, Refused."""
        interface = self._options.extra.get("netem")
        if interface is not None:
            self._shape(await netem.Netem.prepare(str(interface), self._options))

    @classmethod
    def check_cells(cls, options: DriverOptions) -> None:
        """Raise ConfigurationError for cells that the emulator cannot have."""
        if not options.cells or any(not 1 <= cell <= cls.highest_cell for cell in options.cells):
            raise ConfigurationError(
                f"'cells' must list cells 1 to {cls.highest_cell} of {options.name}",
                where=options.origin,
                hint="as in cells = [1]",
            )

    async def close(self) -> None:
        """Take back the limits of the IP side and release the connection; cells stay as they are."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            if self._shaper is not None:
                stack.push_async_callback(self._shaper.undo)

    # --- checks ---------------------------------------------------------------------------------------------------

    def _require(self, ability: NetworkAbility, function: F | None) -> F:
        """Return the function of an ability. Raises Refused, with the way out where there is one."""
        if function is not None:
            return function
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

    def _check(self, ability: NetworkAbility, function: F | None, cell: int) -> F:
        """Return the function of an ability for one of the station's cells. Raises Refused."""
        self._known(cell)
        return self._require(ability, function)

    def _wrong(self, what: str, hint: str) -> ConfigurationError:
        return ConfigurationError(what, where=self._options.name, hint=f"{hint}; nothing was sent")

    # --- cells ----------------------------------------------------------------------------------------------------

    async def cells(self) -> Sequence[int]:
        """Return the cells this station may use."""
        return self._options.cells

    async def set_cell(self, on: bool, *, cell: int = 1) -> None:
        """Switch a cell and wait until it transmits, or does not. Raises InstrumentTimeout, Refused."""
        await self._check("cell", self._functions.cell, cell)(on, cell)

    async def cell_on(self, *, cell: int = 1) -> bool:
        """Return whether the cell transmits now. Raises Refused, InstrumentError."""
        return await self._check("cell", self._functions.cell_on, cell)(cell)

    async def set_plmn(self, plmn: str, *, cell: int = 1) -> None:
        """Program MCC and MNC (5 or 6 digits). Raises ConfigurationError for other texts, Refused."""
        program = self._check("plmn", self._functions.plmn, cell)
        if not re.fullmatch(r"[0-9]{5,6}", plmn):
            raise self._wrong(f"'{plmn}' is no PLMN: 5 or 6 digits", "MCC and MNC without a blank, as in 00101")
        await program(plmn, cell)

    async def set_tac(self, tac: int, *, cell: int = 1) -> None:
        """Program the tracking area code (0 to 65535). Raises ConfigurationError, Refused."""
        program = self._check("tac", self._functions.tac, cell)
        if not 0 <= tac <= 0xFFFF:
            raise self._wrong(f"{tac} is no tracking area code", "0 to 65535")
        await program(tac, cell)

    async def set_rat(self, rat: str, *, cell: int = 1) -> None:
        """Program the RAT. Raises Refused for one that this emulator does not have."""
        self._known(cell)
        if rat not in self.abilities.rats:
            raise Refused(
                f"{self._options.name} has no {rat}",
                where=self._options.origin or self._options.name,
                hint=f"it has {', '.join(self.abilities.rats) or 'no radio'}",
            )
        if self._functions.rat is None and len(self.abilities.rats) == 1:
            return
        await self._require("rat", self._functions.rat)(rat, cell)

    async def set_band(self, band: int, *, cell: int = 1) -> None:
        """Program the operating band (TS 36.101 table 5.5-1). Raises ConfigurationError, Refused."""
        program = self._check("band", self._functions.band, cell)
        if not 1 <= band <= 88:
            raise self._wrong(f"{band} is no E-UTRA band", "1 to 88")
        await program(band, cell)

    async def set_power(self, rsrp: float, *, cell: int = 1) -> None:
        """Program the reference signal power in dBm. Raises Refused outside of the emulator's range."""
        program = self._check("power", self._functions.power, cell)
        low, high = self.abilities.power or (0.0, 0.0)
        if not low <= rsrp <= high:
            raise Refused(
                f"{rsrp:g} dBm is outside of {low:g} to {high:g} dBm",
                where=self._options.name,
                hint="that is the range of this emulator's port; nothing was sent",
            )
        await program(rsrp, cell)

    # --- subscriber and PDN ---------------------------------------------------------------------------------------

    async def set_subscriber(self, subscriber: NetworkSubscriber, *, cell: int = 1) -> None:
        """Give the emulator a subscriber; the keys reach neither lane nor messages. Raises ConfigurationError."""
        program = self._check("subscriber", self._functions.subscriber, cell)
        try:
            subscriber.check()
        except ConfigurationError as error:
            error.where = self._options.name
            raise
        await program(subscriber, cell)

    async def set_pdn(self, settings: PdnSettings, *, cell: int = 1) -> None:
        """Program APN (TS 23.003 section 9.1), address, DNS and MTU in bytes; all is checked before the first is sent.

        Raises Refused for a setting that the emulator does not have, ConfigurationError for a value that is none.
        """
        self._known(cell)
        does, steps = self._functions, list[Callable[[], Awaitable[None]]]()
        if settings.apn is not None:
            steps.append(partial(self._require("apn", does.apn), settings.apn, cell))
        if settings.address is not None:
            steps.append(partial(self._require("address", does.address), settings.address, cell))
        if settings.dns is not None:
            steps.append(partial(self._require("dns", does.dns), settings.dns, cell))
        if settings.mtu is not None:
            steps.append(partial(self._require("mtu", does.mtu), settings.mtu, cell))
        self._check_pdn(settings)
        for step in steps:
            await step()

    def _check_pdn(self, settings: PdnSettings) -> None:
        if settings.apn is not None and not re.fullmatch(r"[A-Za-z0-9.-]{1,63}", settings.apn):
            raise self._wrong(f"'{settings.apn}' is no APN", "letters, digits, '.' and '-' (TS 23.003 section 9.1)")
        for address in (*(() if settings.address is None else (settings.address,)), *(settings.dns or ())):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise self._wrong(f"'{address}' is no IP address", "as in 192.0.2.1") from None
        if settings.mtu is not None and not 576 <= settings.mtu <= 9000:
            raise self._wrong(f"{settings.mtu} is no MTU", "576 to 9000 bytes")

    # --- what is done to the device -------------------------------------------------------------------------------

    async def reject(self, procedure: Procedure, cause: int | None, *, cell: int = 1) -> None:
        """Reject every attach or TAU with an EMM cause (TS 24.301 section 9.9.3.9) until ``cause`` is None.

        Raises Refused for a cause that the emulator cannot reject with.
        """
        if procedure == "attach":
            program, causes = self._functions.reject_attach, self.abilities.attach_causes
        else:
            program, causes = self._functions.reject_tau, self.abilities.tau_causes
        program = self._check("reject-attach" if procedure == "attach" else "reject-tau", program, cell)
        if cause is not None and cause not in causes:
            name = EMM_CAUSES.get(cause, "no cause of TS 24.301")
            raise Refused(
                f"{self._options.name} cannot reject with cause {cause} ({name})",
                where=self._options.origin or self._options.name,
                hint=f"it has {', '.join(map(str, sorted(causes)))}",
            )
        await program(cause, cell)

    async def send_sms(self, text: str, *, cell: int = 1) -> None:
        """Send a text message of 1 to 160 characters to the attached device. Raises ConfigurationError, Refused."""
        send = self._check("sms", self._functions.sms, cell)
        # A quote ends the command's text and a control character its line: what is not sent can do neither.
        if not 1 <= len(text) <= SMS_LENGTH or not re.fullmatch(r"[ !#-~]+", text):
            raise self._wrong(
                "this is no text for an SMS", f"1 to {SMS_LENGTH} printable ASCII characters without '\"'"
            )
        await send(text, cell)

    async def page(self, *, cell: int = 1) -> None:
        """Page the attached device. Raises Refused, InstrumentError when none is attached."""
        await self._check("paging", self._functions.paging, cell)(cell)

    async def detach(self, *, cell: int = 1) -> None:
        """Have the network detach the device. Raises Refused, InstrumentError when none is attached."""
        await self._check("detach", self._functions.detach, cell)(cell)

    async def attached(self, *, cell: int = 1) -> AttachedDevice | None:
        """Return the device attached to the cell as the emulator saw it, None when there is none."""
        return await self._check("attached", self._functions.attached, cell)(cell)

    async def attached_imsi(self, *, cell: int = 1) -> str:
        """Return the IMSI of the attached device, empty when none."""
        attached = self._check("attached", self._functions.attached, cell)
        if self._functions.attached_imsi is not None:
            return await self._functions.attached_imsi(cell)
        found = await attached(cell)
        return "" if found is None else found.imsi

    async def limit(self, limits: LinkLimits | None) -> None:
        """Limit the IP side; None takes every limit back. Raises Refused without an interface to limit."""
        program = self._require("throughput", self._functions.throughput)
        if limits is not None:
            limits.check()
        await program(limits)

    async def options(self) -> Sequence[str]:
        """Return the installed options. Raises Refused."""
        return await self._require("options", self._functions.options)()

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


def wrong_instrument(options: DriverOptions, identity: Identity, wanted: str) -> InstrumentError:
    """Return the error for an instrument of another kind at the address."""
    return InstrumentError(
        f"{options.name} is a {identity.manufacturer} {identity.model}, which is no {wanted}",
        where=options.resource,
        hint="is the address right, and 'driver' the one for this instrument?",
    )


def cells_of(action: SafeAction) -> list[int]:
    """Return the cells that a safe action switches off."""
    given: Any = action.options.get("cells")
    return [int(cell) for cell in given] if isinstance(given, list | tuple) else [1]


def reason(error: BaseException) -> str:
    """Return what an error says, for a message that goes on."""
    return error.what if isinstance(error, BenchError) else str(error) or type(error).__name__
