"""SM-DP+ and eIM as a recipe sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ServerTrust:
    """Whom a server is known to and whom it believes: attribute ``trust`` of a service that tells it (optional).

    CIs are subject key identifiers in hex (EUICCInfo1 has the same). ``authenticates_under``: the CIs whose eUICCs can
    verify this server (SM-DP+: of CERT.DPauth); empty where no CI is asked for (eIM). ``believes``: the CIs whose eUICC
    certificates it accepts.
    """

    authenticates_under: tuple[str, ...] = ()
    believes: tuple[str, ...] = ()

    @classmethod
    def read(cls, told: object) -> ServerTrust | None:
        """Return what an announcement says (``{"authenticates_under": [...], "believes": [...]}``), else None."""
        if not isinstance(told, Mapping):
            return None
        return cls(tuple(map(str, told.get("authenticates_under", ()))), tuple(map(str, told.get("believes", ()))))


EIM_COMMANDS: Final = (
    "enable", "disable", "delete", "listProfileInfo", "getRAT", "configureImmediateEnable", "setFallbackAttribute",
    "unsetFallbackAttribute", "setDefaultDpAddress", "addEim", "updateEim", "deleteEim", "listEim",
)  # fmt: skip
"""PSMOs and eCOs that can be ordered one by one (SGP.32 section 2.11.1.1)."""
EIM_ABILITIES: Final = (
    "download", "direct-download", *EIM_COMMANDS, "package", "replay", "cancel", "configuration", "notifications",
    "state-changes", "results", "misbehaviour", "emulation", "coaps",
)  # fmt: skip
"""What an eIM may offer beyond placing an order and showing it. ``package``: several commands at once; ``results``:
each command's own result; ``emulation``: consumer eUICCs."""
SMDPP_ABILITIES: Final = ("state", "notifications", "packages", "misbehaviour")
"""What an SM-DP+ may offer beyond making a profile ready. ``packages``: the bench's own profile packages by name."""


def is_external(server: object) -> bool:
    """Whether a service is the lab's own: what it says of an order is compared with the card, never believed alone."""
    return bool(getattr(server, "external", False))


def offers(server: object, ability: str) -> bool:
    """Whether a service has an ability; one that does not list its ``abilities`` (the bundled ones) has all."""
    told = getattr(server, "abilities", None)
    return told is None or ability in told


@dataclass(frozen=True, slots=True)
class ProfileOrder:
    """A profile made ready at the SM-DP+ (SGP.22 section 5.3, ES2+)."""

    iccid: str
    """Digits in reading order, without filler."""
    matching_id: str
    smdp_address: str
    activation_code: str
    """``LPA:1$address$matchingId``."""


@dataclass(frozen=True, slots=True)
class ProfileState:
    """What the SM-DP+ knows of an order."""

    matching_id: str
    state: str
    """available, allocated, linked, confirmed, released, downloaded, installed, error, unavailable (SGP.22 3.1.6);
    unknown: the server does not tell."""
    iccid: str
    eid: str = ""
    notifications: tuple[Mapping[str, object], ...] = ()
    """Verified notifications in order of arrival: ``event`` (install, enable, disable, delete), ``seq``, ``iccid``."""
    notifications_told: bool = True
    """The server tells of notifications: without that none in ``notifications`` says nothing."""


@runtime_checkable
class Misbehaves(Protocol):
    """A server that can be told what to do wrong: the bundled eIM and SM-DP+, and whoever else offers it."""

    async def misbehave(self, *misbehaviours: Mapping[str, object]) -> None:
        """Tell what is to go wrong from now on, in place of all that was told before; nothing: behave again.

        Such as ``{"name": "drop", "function": "getEimPackage", "count": 1}``; what there is, the server documents.
        Raises ConfigurationError.
        """

    async def misbehaviour(self) -> Mapping[str, object]:
        """Return ``misbehaviours`` (each with ``done``, how often it came about) and ``requests`` (by function)."""


class SmdppService(Protocol):
    """The SM-DP+ as a recipe sees it."""

    address: str
    """FQDN as in activation codes."""

    async def order(self, profile: str, *, eid: str = "") -> ProfileOrder:
        """Make a profile ready for download. ``profile`` names a package of the SM-DP+ (``operational``)."""

    async def state(self, matching_id: str) -> ProfileState:
        """Return what became of an order."""


@dataclass(frozen=True, slots=True)
class EimOrder:
    """An order at the eIM and what became of it."""

    order_id: str
    eid: str
    kind: str
    """download, enable, disable, delete, list, or package for a list of PSMOs or eCOs."""
    state: str
    """held (waits for an approval), pending, sent, running, done, failed, cancelled, expired; unknown: the server does
    not tell."""
    result: Mapping[str, object] = field(default_factory=dict)
    """Verified result: ``code`` and ``name`` of the PSMO, ``profiles`` of listProfileInfo, ..."""
    error: Mapping[str, object] = field(default_factory=dict)
    """``what``; ``subject_code``, ``reason_code``, ``message`` of an SM-DP+; ``unsigned`` for errorUnsigned ..."""
    verified: bool | None = False
    """The eUICC's signature over the result was verified; None: the server does not tell."""
    ordered: Mapping[str, object] = field(default_factory=dict)
    """What was ordered (``iccid``, ``activation_code`` ...), of a server that is judged by the card."""

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the order."""
        return self.state in ("done", "failed", "cancelled", "expired")


class EimService(Protocol):
    """The eIM as a recipe sees it: the operator side."""

    eim_id: str
    fqdn: str

    async def register(self, eid: str) -> None:
        """Let the eIM serve this eUICC (idempotent)."""

    async def initial_configuration(self, eid: str = "", *, token: bool = False) -> bytes:
        """Return the EimConfigurationData (DER, tag 30) for AddInitialEim (SGP.32 section 5.9.4).

        With ``eid`` an association with this eUICC begins anew: first key, counterValue of the last package.
        ``token``: the eUICC is to make an associationToken.
        """

    async def order_download(self, eid: str, activation_code: str, *, direct: bool = False) -> EimOrder:
        """Order an indirect profile download (SGP.32 section 3.2.3.2), or a direct one (section 3.2.3.1).

        ``direct``: the IPA gets the activation code and speaks to the SM-DP+ itself; with an empty code to the default
        SM-DP+ of the card.
        """

    async def order_enable(self, eid: str, iccid: str, *, rollback: bool) -> EimOrder:
        """Order a signed PSMO enable."""

    async def order_disable(self, eid: str, iccid: str) -> EimOrder:
        """Order a signed PSMO disable."""

    async def order_delete(self, eid: str, iccid: str) -> EimOrder:
        """Order a signed PSMO delete."""

    async def order_list(self, eid: str) -> EimOrder:
        """Order a signed PSMO listProfileInfo."""

    async def order_package(
        self, eid: str, *, psmos: Sequence[Mapping[str, object]] = (), ecos: Sequence[Mapping[str, object]] = ()
    ) -> EimOrder:
        """Order one signed eUICC Package with a list of PSMOs or a list of eCOs (SGP.32 section 2.11.1.1).

        One mapping a command, its name as key: ``{"enable": {"iccid": "8900...", "rollback": True}}``,
        ``{"setFallbackAttribute": {"iccid": ...}}``, ``{"getRAT": {}}``, ``{"addEim": {"configuration": bytes}}``,
        ``{"addEim": {"eimId": ...}}`` (another eIM, its key made by this one), ``{"updateEim": {"newKey": True}}``
        (this eIM gets another key), ``{"deleteEim": {"eimId": ...}}``, ``{"listEim": {}}``.
        ``EimOrder.result["results"]`` holds one mapping a result: ``name`` (as EuiccResultData), ``code``, ``text``,
        and what the command gave (``profiles``, ``eims``, ``rat``, ``associationToken``).
        """

    async def order_replay(self, order_id: str) -> EimOrder:
        """Order that the package of an earlier order is handed out again, to the byte: the eUICC has to refuse it."""

    async def state_changes(self, eid: str) -> Sequence[Mapping[str, object]]:
        """Return what the IPA told of changes of state: ``at`` (seconds), ``cause``, ``rplmn``; oldest first."""

    async def show(self, order_id: str) -> EimOrder:
        """Return the order as it is now."""

    async def orders(self, eid: str) -> Sequence[EimOrder]:
        """Return all orders of an eUICC, oldest first."""

    async def cancel(self, order_id: str) -> EimOrder:
        """Cancel an order that is not final."""

    async def notifications(self, eid: str, *, wait: float = 0.0) -> Sequence[Mapping[str, object]]:
        """Return the notifications the eIM received from this eUICC: ``event``, ``seq``, ``iccid``, ``forwarded``.

        It acknowledges what it has stored and forwards it afterwards: ``wait`` is how many real seconds it is given
        until each of them is at its SM-DP+, or was refused there.
        """
