"""A modem behind an AT port (3GPP TS 27.007)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bench.apdu.channel import CardAccess
from bench.station.interfaces.instrument import Instrument
from bench.station.interfaces.measurement import Level
from bench.station.interfaces.supply import PowerSupply


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
    bw_dl_rb: int | None = field(default=None, compare=False)
    """Downlink bandwidth in resource blocks."""
    tx: float | None = field(default=None, compare=False)
    """Transmit power in dBm."""
    ce_level: int | None = field(default=None, compare=False)
    """Coverage enhancement level (36.331)."""
    levels: Mapping[str, Level] = field(default_factory=dict, compare=False)
    """What was reported as an index, by name (``rsrp``, ``rsrq``, ``sinr``): both edges of its interval."""
    raw: Mapping[str, object] = field(default_factory=dict, compare=False)
    """Numbers as the modem gave them where their scale is not known for sure, such as ``sinr`` of BG95."""


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

    Every ``timeout`` is in seconds of station time. What a family of modems has no command for raises Refused, which
    names family and function; ModemError (a DeviceFailure) is what the modem answered, ModemHung (a DeviceFailure) that
    it did not, PortGone (an InstrumentError) that its port is not there: any method may raise these three.
    """

    imei: str

    async def wait_ready(self, *, timeout: float) -> float:
        """Wait until the port is there and AT answers, initialise; return the seconds it took.

        Raises WrongInstrument for another IMEI than the pinned one.
        """

    async def wait_sim_ready(self, *, timeout: float) -> None:
        """Wait for +CPIN: READY (27.007 section 8.3). Raises DeviceFailure with the last answer."""

    async def command(self, line: str, *, timeout: float | None = None) -> Sequence[str]:
        """Send one AT command, return its information lines. Raises ModemError with the CME code.

        ``timeout`` None: as long as commands of its kind may take.
        """

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
        """Define and activate a PDP context (27.007 section 10.1); return address and DNS servers.

        Raises DeviceFailure when the network refuses it or ``timeout`` is over.
        """

    async def define_pdp(self, apn: str, *, cid: int = 1) -> None:
        """Define the APN of the attach context without activating it (+CGDCONT)."""

    async def refresh_card(self, *, timeout: float) -> str:
        """After a profile switch: wait for the refresh signs, else reset the card in the modem.

        Returns what happened: ``refresh`` (signs seen) or ``reset`` (the modem had to be made to reset the card).
        Raises DeviceFailure when even that does not help.
        """

    def card(self) -> CardAccess:
        """Return the way to the card through this modem."""

    async def eid(self) -> str:
        """Return the EID of the card in the selected slot (ES10c.GetEID, SGP.22 section 5.7.20)."""

    async def slot(self) -> int:
        """Return the number of the selected SIM slot, from 1; 1 for a modem that has no command for it."""

    async def select_slot(self, slot: int, *, timeout: float = 30.0) -> None:
        """Select a SIM slot, verify by reading back, and wait until its card is ready. Raises DeviceFailure."""

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
        """Have the modem switch its card off and on and wait until it is ready. Raises DeviceFailure."""

    async def reset(self, *, timeout: float) -> None:
        """Restart the modem by command and wait until it and its card are ready. Raises DeviceFailure."""

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
