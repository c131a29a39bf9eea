"""Parameters that recipes share: their types, and the groups of them that stand in many a recipe's signature.

Each field is an ordinary parameter of a recipe that takes the group: ``--set bootstrap_plmn=26201``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bench.engine.recipe import FROM_RAT, Choices, Range, Unit

Rat = Annotated[str, Choices("", "LTE", "LTE-M", "NB-IoT", "GSM")]
"""A radio access technology, empty for any."""
Hold = Annotated[float, Unit("s"), Range(0.5, 900)]
"""How long the power stays off in a power cycle, counted from the dead rail."""
Boot = Annotated[float, Unit("s"), Range(1, 300)]
"""Within which AT port and card are there after power has come."""
Register = Annotated[float, Unit("s"), Range(1, 3600)]
"""Within which the device registers; FROM_RAT: as the slowest RAT of the parameters needs."""
Download = Annotated[float, Unit("s"), Range(1, 7200)]
"""Within which one poll with a download ends."""
Switch = Annotated[float, Unit("s"), Range(1, 3600)]
"""Within which the modem has taken over a switched profile."""

PollWithin = Annotated[float, Unit("s"), Range(5, 86_400)]
"""Within which a device polls its eIM by itself: its own interval, with what its network needs."""


@dataclass(frozen=True, slots=True)
class BootstrapProfile:
    """Where the device begins, and what is ready for it.

    ``profile``: a package of the SM-DP+. ``bootstrap_iccid`` names the bootstrap profile where the card holds more
    than one other profile; an empty PLMN (else 5 or 6 digits) or RAT accepts any.
    """

    profile: str = "operational"
    bootstrap_iccid: str = ""
    bootstrap_plmn: str = "00101"
    bootstrap_rat: Rat = ""
    bootstrap_apn: str = "bootstrap.iot"


@dataclass(frozen=True, slots=True)
class Profiles(BootstrapProfile):
    """The bootstrap profile and the operational one, each with the network on which the device must be seen with it."""

    operational_plmn: str = "99970"
    operational_rat: Rat = ""
    operational_apn: str = "internet"


@dataclass(frozen=True, slots=True)
class DownloadDeadlines:
    """Within which seconds of station time a device must boot, register, and have polled for a download."""

    boot_within: Boot = 60.0
    register_within: Register = FROM_RAT
    download_within: Download = 900.0


@dataclass(frozen=True, slots=True)
class Deadlines(DownloadDeadlines):
    """The same, and within which it must have taken over a switched profile."""

    switch_within: Switch = 120.0


@dataclass(frozen=True, slots=True)
class DeviceDeadlines(Deadlines):
    """The same, for recipes that also know devices with an IPA of their own: within which such a one polls."""

    poll_within: PollWithin = 600.0
