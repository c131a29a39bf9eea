"""The driver of an IP side without an emulator: limits by tc, everything else refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import SafeAction
from bench.station.network import NetworkAbility
from instruments.network import netem
from instruments.network.base import EmulatorDriver

_RADIO: tuple[NetworkAbility, ...] = (
    "cell", "plmn", "tac", "band", "power", "subscriber", "sms", "paging", "detach", "attached",
)  # fmt: skip


class TcNetem(EmulatorDriver):
    """``tc-netem``: limits of one Linux interface (interfaces.Network). ``resource`` is the interface's name."""

    abilities = netem.ABILITIES
    refusals: ClassVar[Mapping[NetworkAbility, str]] = dict.fromkeys(
        _RADIO, "tc shapes packets only: the radio is another instrument's"
    )

    def __init__(self, options: DriverOptions, shaper: netem.Netem) -> None:
        super().__init__(options, netem.identity_of(shaper))
        self._shaper = shaper

    @classmethod
    async def open(cls, options: DriverOptions) -> TcNetem:
        """Look at the interface; nothing is changed. Raises Refused, InstrumentError, ConfigurationError."""
        options.known_extra("tc")
        return cls(options, await netem.Netem.prepare(options.resource, options))

    async def _close(self) -> None:
        """Nothing is held besides the limits."""

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Take the limits away and read back that they are gone (drivers.SafeDriver)."""
        return netem.undo_now(str(action.options.get("resource", "")), action, deadline)
