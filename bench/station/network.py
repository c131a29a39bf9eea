"""What a network emulator says of itself and what can be asked of it: abilities, subscribers, rejects, limits.

dBm, seconds and kbit/s in floats. A recipe reads ``station.network.abilities`` before it asks; a driver refuses what it
did not declare, before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import ConfigurationError
from bench.trace.causes import EMM

NetworkAbility = Literal[
    "cell", "plmn", "tac", "rat", "band", "power", "subscriber", "apn", "address", "dns", "mtu", "sms", "paging",
    "detach", "reject-attach", "reject-tau", "attached", "options", "throughput", "delay",
]  # fmt: skip
"""What an emulator may be able to do. ``delay``: delay and loss on the IP side, besides a throughput limit."""

ABILITY_WORDS: dict[NetworkAbility, str] = {
    "cell": "switch a cell on or off",
    "plmn": "change the PLMN of a cell",
    "tac": "change the tracking area code",
    "rat": "change the radio access technology",
    "band": "change the band",
    "power": "change the transmitted power",
    "subscriber": "take a subscriber's IMSI and keys",
    "apn": "set the APN",
    "address": "set the device's IP address",
    "dns": "set the DNS servers",
    "mtu": "set the MTU",
    "sms": "send an SMS",
    "paging": "page the device",
    "detach": "detach the device",
    "reject-attach": "reject an attach with a chosen cause",
    "reject-tau": "reject a tracking area update with a chosen cause",
    "attached": "tell which device is attached",
    "options": "list its installed options",
    "throughput": "limit the throughput",
    "delay": "delay or lose packets",
}

Procedure = Literal["attach", "tau"]
"""Which EMM procedure is rejected (TS 24.301 sections 5.5.1 and 5.5.3)."""
Algorithm = Literal["milenage", "xor", "tuak"]

EMM_CAUSES: dict[int, str] = {number: name[:1].upper() + name[1:] for number, name in EMM.items()}
"""EMM causes and their names (TS 24.301 section 9.9.3.9)."""


@dataclass(frozen=True, slots=True)
class NetworkAbilities:
    """What an emulator can do, as its driver declares it.

    ``cells`` and ``subscribers``: how many at a time; None where there is no such limit. With one of either the
    emulator is re-programmed at a profile switch (``Station.reprogramming``). ``power``: lowest and highest reference
    signal power in dBm. ``attach_causes`` and ``tau_causes``: EMM causes it can reject with.
    """

    can: frozenset[NetworkAbility]
    cells: int | None = 1
    subscribers: int | None = 1
    rats: tuple[str, ...] = ("LTE",)
    power: tuple[float, float] | None = None
    attach_causes: frozenset[int] = frozenset()
    tau_causes: frozenset[int] = frozenset()

    def __contains__(self, ability: object) -> bool:
        return ability in self.can

    @property
    def one_profile(self) -> bool:
        """It serves one profile at a time and is to be re-programmed for another."""
        return self.cells == 1 or self.subscribers == 1


@dataclass(frozen=True, slots=True)
class NetworkSubscriber:
    """A subscriber as an HSS needs it (TS 33.102): IMSI digits, K and OPc of 16 bytes each.

    The keys are in no ``repr``, no lane and no message. ``opc`` is empty where the algorithm has none (XOR).
    """

    imsi: str
    key: bytes = field(repr=False)
    opc: bytes = field(repr=False, default=b"")
    algorithm: Algorithm = "milenage"
    apn: str = ""
    """The subscription's default APN, empty for any."""
    plmn: str = ""
    """The home PLMN, 5 or 6 digits; empty when the package does not tell the length of its MNC."""

    def check(self) -> None:
        """Raise ConfigurationError, without the keys, for what is no subscriber."""
        if not re.fullmatch(r"\d{6,15}", self.imsi):
            raise ConfigurationError(
                f"'{self.imsi}' is no IMSI: 6 to 15 digits", hint="correct the IMSI of the profile package"
            )
        lengths = (16, 32) if self.algorithm == "tuak" else (16,)
        wants_opc = self.algorithm != "xor"
        if len(self.key) not in lengths or (wants_opc and len(self.opc) not in (16, 32)):
            raise ConfigurationError(
                f"the keys of {self.imsi} are {len(self.key)} and {len(self.opc)} bytes long",
                hint=f"K and OPc of 16 bytes each for {self.algorithm}",
            )


@dataclass(frozen=True, slots=True)
class AttachedDevice:
    """Who is attached to a cell, as the emulator saw it. Empty is what it does not tell."""

    imsi: str
    imei: str = ""
    addresses: tuple[str, ...] = ()
    connected: bool | None = None
    """Whether there is an RRC connection now."""


@dataclass(frozen=True, slots=True)
class PdnSettings:
    """What the emulator's PDN gives the device; what is None stays as it is. ``mtu`` in bytes."""

    apn: str | None = None
    address: str | None = None
    dns: tuple[str, ...] | None = None
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Limits of the IP side in the direction to the device. None and 0: not limited.

    ``rate`` in kbit/s, ``delay`` and ``jitter`` in seconds, ``loss`` as a share of the packets (0 to 1).
    """

    rate: float | None = None
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0

    def check(self) -> None:
        """Raise ConfigurationError for what is no limit."""
        numbers: Sequence[tuple[str, float]] = (("delay", self.delay), ("jitter", self.jitter), ("loss", self.loss))
        for name, value in numbers:
            if not 0 <= value < (1.0000001 if name == "loss" else 3600):
                raise ConfigurationError(f"{name} {value:g} is out of range", hint="seconds below 3600, loss 0 to 1")
        if self.rate is not None and not 0.008 <= self.rate <= 1e8:
            raise ConfigurationError(f"{self.rate:g} kbit/s is no rate", hint="0.008 to 100000000 kbit/s")
        if self.jitter > self.delay:
            raise ConfigurationError(
                f"a jitter of {self.jitter:g} s is longer than the delay of {self.delay:g} s",
                hint="lower the jitter, or raise the delay",
            )
