"""What the driver of an emulator supplies: one function an ability, and nothing for what its instrument lacks.

``EmulatorDriver`` checks every value before it calls one of them, and refuses in words what is not there: so what a
driver declares and what it carries out cannot differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from typing import get_args

from bench.station.network import AttachedDevice, LinkLimits, NetworkAbility, NetworkSubscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """A function is named as its ability (NetworkAbility, ``-`` written ``_``); None is what the instrument lacks.

    The last argument is the number of a cell, which is one of the station's. A function raises InstrumentError and
    InstrumentTimeout for the instrument's part, Refused for a value that only this instrument cannot take.
    """

    cell: Callable[[bool, int], Awaitable[None]] | None = None
    """Switch a cell on or off; return when it transmits, or does not."""
    cell_on: Callable[[int], Awaitable[bool]] | None = None
    """Whether a cell transmits now; goes with ``cell``."""
    plmn: Callable[[str, int], Awaitable[None]] | None = None
    """Program MCC and MNC, 5 or 6 digits."""
    tac: Callable[[int, int], Awaitable[None]] | None = None
    rat: Callable[[str, int], Awaitable[None]] | None = None
    """Program one of ``abilities.rats``."""
    band: Callable[[int, int], Awaitable[None]] | None = None
    power: Callable[[float, int], Awaitable[None]] | None = None
    """Program the reference signal power in dBm."""
    subscriber: Callable[[NetworkSubscriber, int], Awaitable[None]] | None = None
    apn: Callable[[str, int], Awaitable[None]] | None = None
    address: Callable[[str, int], Awaitable[None]] | None = None
    dns: Callable[[Sequence[str], int], Awaitable[None]] | None = None
    mtu: Callable[[int, int], Awaitable[None]] | None = None
    """Program the MTU in bytes."""
    sms: Callable[[str, int], Awaitable[None]] | None = None
    paging: Callable[[int], Awaitable[None]] | None = None
    detach: Callable[[int], Awaitable[None]] | None = None
    reject_attach: Callable[[int | None, int], Awaitable[None]] | None = None
    """Reject with an EMM cause of ``abilities.attach_causes`` until told None."""
    reject_tau: Callable[[int | None, int], Awaitable[None]] | None = None
    attached: Callable[[int], Awaitable[AttachedDevice | None]] | None = None
    attached_imsi: Callable[[int], Awaitable[str]] | None = None
    """A shorter way to the IMSI than ``attached``, where there is one."""
    options: Callable[[], Awaitable[Sequence[str]]] | None = None
    throughput: Callable[[LinkLimits | None], Awaitable[None]] | None = None
    """Limit the IP side; None takes every limit back. Goes with ``delay``."""
    delay: Callable[[LinkLimits | None], Awaitable[None]] | None = None

    def abilities(self) -> frozenset[NetworkAbility]:
        """Return the abilities that these functions are."""
        there = {item.name.replace("_", "-") for item in fields(self) if getattr(self, item.name) is not None}
        return frozenset(ability for ability in _ABILITIES if ability in there)


_ABILITIES: tuple[NetworkAbility, ...] = get_args(NetworkAbility)
