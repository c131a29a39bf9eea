"""What an instrument and a service are to a recipe: one typing.Protocol a kind (DESIGN.md sections 2 and 6).

Values are SI units in floats: volts, amperes, seconds, dBm. Every method that waits takes its deadline from the
station's clock. Drivers and services implement these; recipes use nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from bench.apdu.channel import CardAccess
from bench.station.network import (
    AttachedDevice,
    LinkLimits,
    NetworkAbilities,
    NetworkSubscriber,
    PdnSettings,
    Procedure,
)
from bench.station.power import PowerAbilities, PowerRecord, Protection, TripCause, WavePoint

if TYPE_CHECKING:
    from bench.apdu.es10_info import AuthorisationRule, ConnectivityParameters, EuiccInfo1, EuiccInfo2, IsdRSelection
    from bench.apdu.es10_views import Certificates, EimConfiguration

CardPlace = Literal["reader", "modem"]
"""Where a SIM switch puts the card."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an instrument says it is, read back at opening."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""

    def key(self) -> str:
        """Return the text that names the instrument for locks: manufacturer, model and serial number."""
        return "/".join(part.strip() or "?" for part in (self.manufacturer, self.model, self.serial))


@dataclass(frozen=True, slots=True)
class SafeAction:
    """One step of the safe sequence: data only, executed by any process with a fresh connection.

    ``name`` as in the station's ``safe`` list (``power.off``, ``network.off``). ``driver`` and ``options`` open the
    instrument again in the safe process; ``channel`` is the supply's channel; ``dead_voltage`` in volts is the level
    below which the rail counts as dead (verified by reading back), None where there is no rail.
    """

    name: str
    driver: str
    options: Mapping[str, object]
    channel: int | None = None
    dead_voltage: float | None = None


class Instrument(Protocol):
    """What every driver has."""

    identity: Identity

    async def close(self) -> None:
        """Release the connection; never switches anything."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Volts and amperes of a supply channel, measured at one moment."""

    voltage: float
    current: float


@dataclass(frozen=True, slots=True)
class PowerCycle:
    """What a power cycle measured, in seconds and amperes; None where the supply or the station cannot tell.

    ``inrush_peak``: highest current after switching on, from the supply's fast log. ``boot_time``: from the command on
    until what the caller gave as ``booted`` was there (with a modem: until it answers AT).
    """

    time_to_dead: float
    off_time: float
    inrush_peak: float | None = None
    boot_time: float | None = None
    graceful: bool = False
    """The device was asked to switch itself off before power was taken, and the caller's ``shutdown`` succeeded."""


class PowerSupply(Instrument, Protocol):
    """One channel of a programmable supply."""

    abilities: PowerAbilities
    """What this model can do; what is not declared is refused before anything is sent."""

    async def set_output(self, on: bool) -> None:
        """Switch the output and verify by reading back."""

    async def output(self) -> bool:
        """Return whether the output is on, as the supply says now."""

    async def set_voltage(self, voltage: float) -> None:
        """Program the voltage; beyond the station's limit raises Refused before anything is sent."""

    async def set_current_limit(self, current: float) -> None:
        """Program the current limit in amperes."""

    async def measure(self) -> Reading:
        """Measure the channel now."""

    async def wait_dead(self, *, timeout: float) -> float:
        """Wait until the rail is below the station's ``dead_voltage``; return the seconds it took."""

    async def cycle(
        self,
        *,
        hold: float = 2.0,
        timeout: float = 30.0,
        shutdown: Callable[[], Awaitable[object]] | None = None,
        booted: Callable[[], Awaitable[object]] | None = None,
    ) -> PowerCycle:
        """Output off, wait until the rail is dead, hold, output on.

        Hard without ``shutdown``; with it (``AT+QPOWD``, say) it is awaited first, and a BenchError of it makes the
        cycle a hard one. ``booted`` is awaited after switching on and gives ``boot_time``.
        """

    async def protection(self) -> Protection:
        """Return the protections as programmed. Raises Refused where the supply has none."""

    async def set_protection(self, protection: Protection) -> None:
        """Program the protections and read them back; None switches one off. Raises Refused, InstrumentError."""

    async def trip(self) -> TripCause | None:
        """Return why a protection has switched the output off, None while none has."""

    async def clear_trip(self) -> TripCause | None:
        """Clear a trip and return its cause; the output stays off. At most once a run: then Refused.

        A device that trips a protection twice has a fault that no bench may hide.
        """

    async def fast_log(
        self, duration: float, interval: float, *, during: Callable[[], Awaitable[object]] | None = None
    ) -> PowerRecord:
        """Record volts and amperes for ``duration`` s, a sample every ``interval`` s or shorter, in the supply.

        ``during`` is awaited when the record runs (to switch on, say). Raises Refused.
        """

    async def waveform(self, points: Sequence[WavePoint], *, repeat: int = 1) -> None:
        """Run the points one after the other, ``repeat`` times; returns at the end, the station's voltage restored.

        Every point is checked against ``voltage_max`` and the supply's resolution before anything is sent. Raises
        Refused (and names supplies that could).
        """

    async def arm_watchdog(self, seconds: float) -> float:
        """Have the supply switch off by itself ``seconds`` after the last sign of life; return the seconds it took on.

        Whole seconds, rounded up. Raises Refused where there is none.
        """

    async def feed_watchdog(self) -> None:
        """Give a sign of life. Raises InstrumentError when the watchdog is not armed (any more)."""

    async def disarm_watchdog(self) -> None:
        """Take the watchdog back."""

    async def set_power_on_off(self) -> None:
        """Have the output off after a mains failure (``power_on_state``). Raises Refused where it cannot be set."""

    def safe_action(self) -> SafeAction:
        """Return what makes this channel safe."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A network registration and where it was seen."""

    registered: bool
    roaming: bool = False
    plmn: str = ""
    """MCC and MNC as 5 or 6 digits."""
    rat: str = ""
    """``LTE``, ``LTE-M``, ``NB-IoT``, ``GSM`` ..., empty when unknown."""
    tac: int | None = None
    cell_id: int | None = None
    status: int | None = None
    """<stat> of 3GPP TS 27.007 section 10.1.22."""
    reject_cause: int | None = None
    """EMM cause of 3GPP TS 24.301 section 9.9.3.9, when the modem gave one."""
    source: str = "at"
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class PdpContext:
    """An active PDP context (27.007 sections 10.1.1, 10.1.14, 10.1.23)."""

    cid: int
    apn: str
    address: str
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CellInfo:
    """One cell as the modem measures it. None, or empty, is what this modem does not tell."""

    rat: str = ""
    plmn: str = ""
    tac: int | None = None
    cell_id: int | None = None
    pci: int | None = None
    """Physical cell id (36.211 section 6.11)."""
    earfcn: int | None = None
    band: int | None = None
    """Operating band (36.101 table 5.5-1)."""
    rsrp: float | None = None
    """dBm."""
    rsrq: float | None = None
    """dB."""
    rssi: float | None = None
    """dBm."""
    sinr: float | None = None
    """dB."""
    connected: bool | None = None
    """Whether there is an RRC connection."""


@dataclass(frozen=True, slots=True)
class PowerSaving:
    """PSM as requested (+CPSMS). Seconds; None: deactivated, or left to the modem."""

    enabled: bool
    periodic_tau: float | None = None
    """T3412 extended (24.008 section 10.5.7.4a)."""
    active_time: float | None = None
    """T3324 (24.008 section 10.5.7.4)."""


@dataclass(frozen=True, slots=True)
class ExtendedDrx:
    """eDRX of one RAT (+CEDRXS, +CEDRXRDP; 24.008 section 10.5.5.32). Seconds."""

    rat: str
    requested: float | None = None
    granted: float | None = None
    """None where the network grants none, or the modem does not tell."""
    paging_window: float | None = None


@dataclass(frozen=True, slots=True)
class FailureCause:
    """Why the last attach, or the last request for a PDN connection, failed."""

    text: str = ""
    """As the modem says it (+CEER)."""
    emm: int | None = None
    """3GPP TS 24.301 section 9.9.3.9."""
    esm: int | None = None
    """3GPP TS 24.301 section 9.9.4.4."""


RecoveryLayer = Literal["at", "second-port", "cfun", "usb", "reset-line", "supply"]
"""The ladder by which a modem that does not answer is brought back, in order."""


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """One layer of a recovery: what was done, and what came of it."""

    layer: RecoveryLayer
    outcome: Literal["recovered", "failed", "not-available"]
    elapsed: float = 0.0
    """Seconds of station time."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The layers tried, in order; the last one recovered the modem."""

    steps: tuple[RecoveryStep, ...]

    @property
    def layer(self) -> RecoveryLayer:
        """The layer that brought the modem back."""
        return self.steps[-1].layer

    @property
    def elapsed(self) -> float:
        """Seconds of station time over all layers."""
        return sum(step.elapsed for step in self.steps)


class Modem(Instrument, Protocol):
    """A modem behind an AT port (3GPP TS 27.007).

    What a family of modems has no command for raises Refused, which names family and function; ModemError is what the
    modem answered, ModemHung that it did not, PortGone that its port is not there.
    """

    imei: str

    async def wait_ready(self, *, timeout: float) -> float:
        """Wait until the port is there and AT answers, initialise; return the seconds it took."""

    async def wait_sim_ready(self, *, timeout: float) -> None:
        """Wait for +CPIN: READY."""

    async def command(self, line: str, *, timeout: float | None = None) -> Sequence[str]:
        """Send one AT command, return its information lines. Raises ModemError with the CME code."""

    async def registration(self) -> Registration:
        """Read +CEREG and +COPS now."""

    async def wait_registered(self, *, plmn: str | None = None, rat: str | None = None, timeout: float) -> Registration:
        """Wait for registration (on ``plmn`` with ``rat``, when given). Raises NotRegistered with the last cause."""

    async def signal(self) -> Mapping[str, float | None]:
        """Return ``rsrp`` in dBm and ``rsrq`` in dB from +CESQ, None when not known."""

    async def imsi(self) -> str:
        """Return the IMSI the modem uses now (+CIMI)."""

    async def read_binary(self, file_id: int, length: int, *, path: str = "") -> bytes:
        """Read a transparent EF by +CRSM 176."""

    async def iccid(self) -> str:
        """Return the ICCID digits read from EF.ICCID by +CRSM."""

    async def card_imsi(self) -> str:
        """Return the IMSI digits read from EF.IMSI by +CRSM."""

    async def activate_pdp(self, apn: str, *, cid: int = 1, timeout: float = 150.0) -> PdpContext:
        """Define and activate a PDP context; return address and DNS servers."""

    async def define_pdp(self, apn: str, *, cid: int = 1) -> None:
        """Define the APN of the attach context without activating it (+CGDCONT)."""

    async def refresh_card(self, *, timeout: float) -> str:
        """After a profile switch: wait for the refresh signs, else reset the card in the modem.

        Returns what happened: ``refresh`` (signs seen) or ``reset`` (the modem had to be made to reset the card).
        """

    def card(self) -> CardAccess:
        """Return the way to the card through this modem."""

    async def eid(self) -> str:
        """Return the EID of the card in the selected slot (ES10c.GetEID, SGP.22 section 5.7.20)."""

    async def slot(self) -> int:
        """Return the number of the selected SIM slot, from 1; 1 for a modem that has no command for it."""

    async def select_slot(self, slot: int, *, timeout: float = 30.0) -> None:
        """Select a SIM slot, verify by reading back, and wait until its card is ready."""

    async def serving_cell(self) -> CellInfo | None:
        """Return the serving cell, None without one."""

    async def neighbour_cells(self) -> Sequence[CellInfo]:
        """Return the neighbour cells the modem measures now."""

    async def rats(self) -> tuple[str, ...]:
        """Return the RATs the modem may use (``LTE``, ``LTE-M``, ``NB-IoT``, ``GSM``, ``UMTS``, ``NR``)."""

    async def set_rats(self, rats: Sequence[str]) -> None:
        """Let the modem use these RATs only, in this order where it keeps one; restarts it where it needs that."""

    async def bands(self) -> Mapping[str, tuple[int, ...]]:
        """Return the operating bands the modem may use, by RAT."""

    async def set_bands(self, bands: Mapping[str, Sequence[int]]) -> None:
        """Let the modem use these bands only; other RATs keep theirs. Verified by reading back."""

    async def power_saving(self) -> PowerSaving:
        """Return PSM as it is requested (+CPSMS)."""

    async def set_power_saving(self, setting: PowerSaving) -> PowerSaving:
        """Request PSM with the next longer times there are codes for; return what is requested then."""

    async def extended_drx(self) -> Sequence[ExtendedDrx]:
        """Return eDRX by RAT: requested (+CEDRXS) and, where the modem tells it, granted (+CEDRXRDP)."""

    async def set_extended_drx(self, rat: str, cycle: float | None) -> None:
        """Request an eDRX cycle in seconds for ``LTE-M`` or ``NB-IoT`` (the next longer one), None for none."""

    async def forbidden_plmns(self) -> tuple[str, ...]:
        """Return EF.FPLMN of the enabled profile (31.102 section 4.2.16), read by +CRSM."""

    async def clear_forbidden_plmns(self, *, timeout: float = 60.0) -> tuple[str, ...]:
        """Empty EF.FPLMN and have the modem read the card again, for it keeps a copy; return what was in it."""

    async def pdp_contexts(self) -> Sequence[PdpContext]:
        """Return the active PDP contexts (+CGACT, +CGPADDR, +CGCONTRDP)."""

    async def deactivate_pdp(self, *, cid: int = 1) -> None:
        """Deactivate a PDP context; the last one of LTE goes with the attachment."""

    async def failure_cause(self) -> FailureCause:
        """Return why the last attach or PDN connection failed: +CEREG, +CEER and the vendor's own form."""

    async def reset_card(self, *, timeout: float) -> None:
        """Have the modem switch its card off and on and wait until it is ready."""

    async def reset(self, *, timeout: float) -> None:
        """Restart the modem by command and wait until it and its card are ready."""

    async def power_down(self, *, timeout: float = 70.0) -> float:
        """Detach and switch the modem off by command; return the seconds until it said so, or went silent."""

    async def recover(
        self,
        *,
        power: PowerSupply | None = None,
        usb_power: PowerSupply | None = None,
        reset_line: Callable[[], Awaitable[None]] | None = None,
        report: Callable[[RecoveryStep], None] | None = None,
        last: RecoveryLayer = "supply",
    ) -> Recovery:
        """Bring a modem back that does not answer, by the mildest layer that does it; none is tried after ``last``.

        ``power`` and ``usb_power`` are switched only by their own layers; ``reset_line`` gives a pulse to RESET_N.
        ``report`` is told each layer at its end. Raises ModemHung with every layer's outcome when none helps.
        """


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


class Reader(Instrument, Protocol):
    """An eUICC reader (PC/SC part 5)."""

    name: str
    """The reader's name as PC/SC lists it."""
    atr: bytes
    """Answer to reset of the card in it, empty without a card."""

    async def wait_card(self, *, present: bool = True, timeout: float) -> float:
        """Wait until a card is in the reader (or gone from it); return the seconds it took. Raises CardGone."""

    def card(self) -> CardAccess:
        """Return the way to the card in this reader, held exclusively while a channel is open."""


class SimSwitch(Instrument, Protocol):
    """A SIM multiplexer: one card, wired to the reader or to the modem, never to both (break before make)."""

    async def select(self, place: CardPlace) -> None:
        """Wire the card to ``place`` and verify by reading back."""

    async def selected(self) -> CardPlace:
        """Return where the card is wired now, as the switch says."""


class ByteStream(Protocol):
    """A connected byte stream."""

    async def read(self, limit: int = 65536) -> bytes:
        """Return what has come, b'' at the end."""

    async def write(self, data: bytes) -> None:
        """Send."""

    async def close(self) -> None:
        """Close."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One HTTPS exchange over the device's data path."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    bytes_sent: int = 0
    bytes_received: int = 0


class DataPath(Protocol):
    """The device's data connection (bench.toml ``data.path``)."""

    bearer: str
    """``host`` (not the radio), ``interface:NAME``, ``proxy:URL`` or ``modem``."""
    proxy: str | None
    """URL of an HTTP CONNECT proxy that leads through the device's link, None when sockets connect directly."""

    async def resolve(self, name: str, *, server: str, timeout: float) -> tuple[str, ...]:
        """Resolve ``name`` at the DNS server of the PDP context over the data path."""

    async def connect(self, host: str, port: int, *, timeout: float) -> ByteStream:
        """Open a TCP connection over the data path."""

    async def counters(self) -> tuple[int, int]:
        """Return bytes sent and received by the device on this path so far."""


# --- services -------------------------------------------------------------------------------------------------------


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
    """available, allocated, linked, confirmed, released, downloaded, installed, error, unavailable (SGP.22 3.1.6)."""
    iccid: str
    eid: str = ""
    notifications: tuple[Mapping[str, object], ...] = ()
    """Verified notifications in order of arrival: ``event`` (install, enable, disable, delete), ``seq``, ``iccid``."""


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
    """pending, sent, running, done, failed, cancelled, expired."""
    result: Mapping[str, object] = field(default_factory=dict)
    """Verified result: ``code`` and ``name`` of the PSMO, ``profiles`` of listProfileInfo, ..."""
    error: Mapping[str, object] = field(default_factory=dict)
    """``what``; ``subject_code``, ``reason_code``, ``message`` of an SM-DP+; ``unsigned`` for errorUnsigned ..."""
    verified: bool = False
    """The eUICC's signature over the result was verified."""

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

    async def order_download(self, eid: str, activation_code: str) -> EimOrder:
        """Order an indirect profile download (SGP.32 section 3.2.3.2)."""

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

    async def notifications(self, eid: str) -> Sequence[Mapping[str, object]]:
        """Return the notifications the eIM received from this eUICC: ``event``, ``seq``, ``iccid``, ``forwarded``."""


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one poll loop of the IPA did (SGP.32 section 3.1.1.1)."""

    packages: int
    """eIM packages executed."""
    downloads: tuple[Mapping[str, object], ...] = ()
    """One mapping a download: ``installed`` (bool), ``iccid``, ``error``, ``subject_code``, ``reason_code``."""
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
        package stays on the card and is delivered by the next poll, on the new profile.
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
