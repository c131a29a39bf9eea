"""What is around the device's antenna: a network emulator, a step attenuator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bench.station.interfaces.instrument import Instrument, SafeAction
from bench.station.network import (
    AttachedDevice,
    LinkLimits,
    NetworkAbilities,
    NetworkSubscriber,
    PdnSettings,
    Procedure,
)


class Network(Instrument, Protocol):
    """A network emulator. What its ``abilities`` do not hold is refused with words before anything is sent.

    Every method raises Refused for an ability it lacks and for a cell that is not the station's, ConfigurationError for
    a value that is none, InstrumentError and InstrumentTimeout for the emulator's part.
    """

    abilities: NetworkAbilities

    async def cells(self) -> Sequence[int]:
        """Return the numbers of the cells that the station may use."""

    async def set_cell(self, on: bool, *, cell: int = 1) -> None:
        """Switch a cell on (and wait until it transmits) or off."""

    async def cell_on(self, *, cell: int = 1) -> bool:
        """Return whether the cell transmits."""

    async def set_plmn(self, plmn: str, *, cell: int = 1) -> None:
        """Program MCC and MNC (5 or 6 digits)."""

    async def set_tac(self, tac: int, *, cell: int = 1) -> None:
        """Program the tracking area code (0 to 65535)."""

    async def set_rat(self, rat: str, *, cell: int = 1) -> None:
        """Program the RAT: ``LTE``, ``LTE-M`` or ``NB-IoT``, of those in ``abilities.rats``."""

    async def set_band(self, band: int, *, cell: int = 1) -> None:
        """Program the operating band (36.101 table 5.5-1)."""

    async def set_power(self, rsrp: float, *, cell: int = 1) -> None:
        """Program the reference signal power in dBm at the emulator's port."""

    async def set_subscriber(self, subscriber: NetworkSubscriber, *, cell: int = 1) -> None:
        """Give the emulator a subscriber; with one at a time it takes the place of the former."""

    async def set_pdn(self, settings: PdnSettings, *, cell: int = 1) -> None:
        """Program APN, IP address, DNS, MTU: each an ability of its own, all checked before the first is sent."""

    async def reject(self, procedure: Procedure, cause: int | None, *, cell: int = 1) -> None:
        """Reject every attach or TAU with an EMM cause (24.301 section 9.9.3.9) until ``cause`` is None."""

    async def send_sms(self, text: str, *, cell: int = 1) -> None:
        """Send a text message (at most 160 characters of the GSM alphabet) to the attached device."""

    async def page(self, *, cell: int = 1) -> None:
        """Page the attached device, so that it gets connected."""

    async def detach(self, *, cell: int = 1) -> None:
        """Have the network detach the device."""

    async def attached(self, *, cell: int = 1) -> AttachedDevice | None:
        """Return the device attached to the cell as the emulator saw it, None when there is none."""

    async def attached_imsi(self, *, cell: int = 1) -> str:
        """Return the IMSI of the device attached to the cell as the emulator saw it, empty when none."""

    async def limit(self, limits: LinkLimits | None) -> None:
        """Limit rate, delay and loss of the IP side; None takes every limit back."""

    async def options(self) -> Sequence[str]:
        """Return the installed options, as the emulator names them."""

    def safe_action(self) -> SafeAction:
        """Return what makes the emulator safe (RF off)."""


class Attenuator(Instrument, Protocol):
    """A step attenuator between emulator and device. Values in dB."""

    channels: tuple[int, ...]
    """The channels that the station may use."""
    step: float
    """The smallest step in dB: what is between is refused."""
    highest: float
    """The highest attenuation in dB."""

    async def set_attenuation(self, attenuation: float, *, channel: int | None = None) -> None:
        """Program a channel (None: all of the station's) and read it back. Raises Refused, InstrumentError."""

    async def attenuation(self, *, channel: int | None = None) -> float:
        """Return the attenuation of a channel in dB; None: the station's first."""
