"""The driver of an IP side without an emulator: limits by tc, everything else refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import SafeAction
from bench.station.network import NetworkAbilities, NetworkAbility
from instruments.network import netem
from instruments.network.base import EmulatorDriver
from instruments.network.functions import Functions

_RADIO: tuple[NetworkAbility, ...] = (
    "cell", "plmn", "tac", "rat", "band", "power", "subscriber", "apn", "address", "dns", "mtu", "sms", "paging",
    "detach", "reject-attach", "reject-tau", "attached",
)  # fmt: skip


class TcNetem(EmulatorDriver):
    """``tc-netem``: limits of one Linux interface (interfaces.Network). ``resource`` is the interface's name."""

    refusals: ClassVar[Mapping[NetworkAbility, str]] = dict.fromkeys(
        _RADIO, "tc shapes packets only: the radio is another instrument's"
    ) | {"options": "tc has no options to list; its version is in the identity"}

    def __init__(self, options: DriverOptions, shaper: netem.Netem) -> None:
        super().__init__(
            options,
            netem.identity_of(shaper),
            NetworkAbilities(frozenset(), cells=None, subscribers=None, rats=()),
        )
        self._shape(shaper)

    @classmethod
    async def open(cls, options: DriverOptions) -> TcNetem:
        """Look at the interface; nothing is changed. Raises Refused, InstrumentError, ConfigurationError."""
        options.known_extra("tc")
        return cls(options, await netem.Netem.prepare(options.resource, options))

    def functions(self) -> Functions:
        """Return nothing of a radio: the limits come with the interface."""
        return Functions()

    async def _close(self) -> None:
        """Nothing is held besides the limits."""

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Take the limits away and read back that they are gone (drivers.SafeDriver)."""
        return netem.undo_now(str(action.options.get("resource", "")), action, deadline)
