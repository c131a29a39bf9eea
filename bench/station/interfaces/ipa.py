"""The IPA in the bench, and what administers an eUICC beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bench.apdu.es10_info import AuthorisationRule, ConnectivityParameters, EuiccInfo1, EuiccInfo2, IsdRSelection
    from bench.apdu.es10_views import Certificates, EimConfiguration


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one poll loop of the IPA did (SGP.32 section 3.1.1.1)."""

    packages: int
    """eIM packages executed."""
    downloads: tuple[Mapping[str, object], ...] = ()
    """One mapping a download: ``installed`` (bool), ``iccid``, ``error``, ``subject_code``, ``reason_code``; ``direct``
    (True) when the IPA spoke to the SM-DP+ itself."""
    results: tuple[Mapping[str, object], ...] = ()
    """One mapping an eUICC package result: ``form`` (signed, error-signed, error-unsigned), ``results``, ``code``."""
    notifications: int = 0
    """Notifications delivered and removed from the card."""
    profile_changed: bool = False
    """The enabled profile changed: the card must be refreshed and the device must register again."""
    rolled_back: bool = False
    immediate_enabled: bool = False
    """A profile was enabled by ES10b.ImmediateEnable after its installation (SGP.32 section 3.4.4)."""
    fallback: str = ""
    """``executed`` or ``returned`` when the IPA used the fallback mechanism by itself (SGP.32 section 3.4.6)."""
    apdus: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    smdpp_sent: int = 0
    """Bytes of bodies on ES9+, of downloads that the IPA ran with the SM-DP+ itself."""
    smdpp_received: int = 0
    emulated: bool = False
    """The card is a consumer eUICC: the IPA executed the packages, and no eUICC has signed the results."""
    round_trips: int = 0
    """How often the IPA waited for a round trip to the eIM: handshakes, requests and their blocks."""


@dataclass(frozen=True, slots=True)
class CardProfile:
    """One profile as the card lists it (ES10c.GetProfilesInfo, SGP.22 section 5.7.15)."""

    iccid: str
    enabled: bool
    name: str = ""
    provider: str = ""
    profile_class: str = "operational"
    aid: bytes = b""
    fallback: bool = False
    """It has the Fallback Attribute (SGP.32 section 4.4)."""
    fallback_allowed: bool = False
    ecall: bool = False


@dataclass(frozen=True, slots=True)
class CardNotification:
    """A notification or an eUICC Package Result stored on the card (SGP.32 section 5.9.11)."""

    seq: int
    event: str
    """install, enable, disable, delete, or ``package-result``."""
    address: str = ""
    """FQDN of the notification receiver, empty for a package result."""
    iccid: str = ""


@dataclass(frozen=True, slots=True)
class CardMemory:
    """Extended card resource of EUICCInfo2 (ETSI TS 102 226 section 8.2.1.7.2), in bytes."""

    applications: int
    free_non_volatile: int
    free_volatile: int


class IpaService(Protocol):
    """The IPA in the bench."""

    @property
    def apdus(self) -> int:
        """APDUs sent to the card so far, those of a poll that is going on as well."""

    async def eid(self) -> str:
        """Return the EID digits read from the card."""

    async def profiles(self) -> Sequence[CardProfile]:
        """Return the profiles on the card."""

    async def eims(self) -> Sequence[str]:
        """Return the eimId of every associated eIM (ES10b.GetEimConfigurationData)."""

    async def add_initial_eim(self, configuration: bytes) -> None:
        """Associate the first eIM (ES10b.AddInitialEim). Raises DeviceFailure with the card's result name."""

    async def poll(self, *, packages: int | None = None, timeout: float = 300.0) -> PollResult:
        """Poll the eIM until it has no package (or ``packages`` were executed), then deliver what is pending.

        Ends at once with ``profile_changed`` when an executed package changed the enabled profile: the result of that
        package stays on the card and is delivered by the next poll, on the new profile. ``timeout`` in seconds of
        station time, for all of it. Raises EimUnreachable for the way to the eIM, CardGone and InstrumentTimeout for
        the card, DeviceFailure and InstrumentError.
        """

    async def use(self, **options: object) -> None:
        """Go on with other options, by the names of bench.toml's ``[ipa]``; the rest stays. Closes the connection.

        Raises ConfigurationError.
        """

    async def rollback(self) -> bool:
        """ES10b.ProfileRollback; returns whether the card rolled back."""

    async def notifications(self) -> Sequence[CardNotification]:
        """Return what waits on the card for delivery, oldest first."""

    async def memory(self) -> CardMemory:
        """Return the card's free memory (ES10b.GetEUICCInfo2)."""

    async def configure_immediate_enable(self, *, flag: bool, smdp_oid: str = "", smdp_address: str = "") -> str:
        """ES10b.ConfigureImmediateProfileEnabling; returns the card's result name (``ok``, ...)."""

    async def execute_fallback(self) -> str:
        """ES10b.ExecuteFallbackMechanism (SGP.32 section 3.4.6); returns the card's result name."""

    async def return_from_fallback(self) -> str:
        """ES10b.ReturnFromFallback (SGP.32 section 3.4.7); returns the card's result name."""

    async def memory_reset(self, *options: str) -> Mapping[str, str]:
        """ES10b.eUICCMemoryReset with options by their ASN.1 names; returns result names by result field.

        Raises ConfigurationError for an option that is none.
        """


@dataclass(frozen=True, slots=True)
class LocalDownload:
    """What became of a download by activation code, without an eIM (SGP.22 section 3.1.3)."""

    installed: bool
    iccid: str = ""
    name: str = ""
    """Of the profile, as the SM-DP+ offered it."""
    provider: str = ""
    error: str = ""
    subject_code: str = ""
    """Of an SM-DP+ that refused, with ``reason_code`` (SGP.22 section 5.2.6)."""
    reason_code: str = ""
    cancel_reason: str = ""
    """Why the session was cancelled at card and SM-DP+, empty when it was not."""
    delivered: int = 0
    """Notifications that their SM-DP+ servers took; they are removed from the card."""
    kept: tuple[CardNotification, ...] = ()
    """Notifications that stay on the card."""
    undelivered: str = ""
    """Why the first of them could not be delivered."""
    apdus: int = 0
    bytes_sent: int = 0
    """Of bodies on ES9+."""
    bytes_received: int = 0


class ProfileAssistant(Protocol):
    """Profile download by a person at the bench: an LPA, for consumer and IoT cards; the bundled IPA has it."""

    async def download(
        self,
        activation_code: str,
        *,
        confirmation_code: str = "",
        deliver: bool = True,
        timeout: float = 900.0,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> LocalDownload:
        """Download a profile by activation code; an empty one asks the card's default SM-DP+.

        ``deliver``: give the pending notifications to their SM-DP+ servers afterwards, else they stay on the card.
        ``progress`` is called with the stage (``authenticate``, ``prepare``, ``load``) and how much of how much is
        done. ``timeout`` in seconds of station time. Raises ConfigurationError for what is no activation code, CardGone
        and InstrumentTimeout for the card, DeviceFailure for the device's link.
        """

    async def associate_emulated(self, configuration: bytes) -> None:
        """Associate a consumer eUICC (SGP.22) with an eIM: the IPA keeps the configuration and emulates SGP.32.

        ``configuration``: EimConfigurationData (30). Raises DeviceFailure for an IoT eUICC.
        """

    async def forget_emulated(self) -> bool:
        """Forget what the IPA emulates for the card that is there; returns whether there was something."""


@dataclass(frozen=True, slots=True)
class EuiccDescription:
    """What a card says of itself: ISD-R's FCI, EUICCInfo1 and 2, EID and addresses."""

    eid: str
    selection: IsdRSelection
    info1: EuiccInfo1
    info2: EuiccInfo2
    default_smdp: str = ""
    root_smds: str = ""


class EuiccAdministration(Protocol):
    """The card's functions for the person at the bench, beside ``IpaService``; the bundled IPA has both.

    Methods that change something return the card's result name (``ok``, ``catBusy`` ...). A profile is named by its
    ICCID digits. Where the carrier does not carry out REFRESH the card is reset after a switch.
    """

    def registered(self, plmn: str) -> None:
        """Tell the IPA the registered PLMN (5 or 6 digits); the eIM learns it once, with the next GetEimPackage."""

    async def describe(self) -> EuiccDescription:
        """Return what the card says of itself."""

    async def eim_configurations(self) -> Sequence[EimConfiguration]:
        """Return the configuration of every associated eIM (ES10b.GetEimConfigurationData)."""

    async def certificates(self, ci_key_id: bytes | None = None) -> Certificates:
        """Return EUM and eUICC certificate under a CI key (ES10b.GetCerts), under the card's first when None."""

    async def rules(self) -> Sequence[AuthorisationRule]:
        """Return the Rules Authorisation Table (ES10b.GetRAT)."""

    async def connectivity(self) -> ConnectivityParameters | None:
        """Return the enabled profile's connectivity parameters, None when it has none."""

    async def set_default_smdp(self, address: str) -> str:
        """Set the default SM-DP+ address, remove it when empty."""

    async def enable_profile(self, iccid: str) -> str:
        """ES10c.EnableProfile (consumer eUICC)."""

    async def disable_profile(self, iccid: str) -> str:
        """ES10c.DisableProfile (consumer eUICC)."""

    async def delete_profile(self, iccid: str) -> str:
        """ES10c.DeleteProfile (consumer eUICC)."""

    async def set_nickname(self, iccid: str, nickname: str) -> str:
        """ES10c.SetNickname; raises ConfigurationError for more than 64 bytes of UTF-8."""

    async def enable_emergency_profile(self) -> str:
        """ES10b.EnableEmergencyProfile (SGP.32 section 5.9.22)."""

    async def disable_emergency_profile(self) -> str:
        """ES10b.DisableEmergencyProfile (SGP.32 section 5.9.23)."""
