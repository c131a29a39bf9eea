"""What an instrument and a service are to a recipe: one typing.Protocol a kind (DESIGN.md sections 2 and 6).

Values are SI units in floats: volts, amperes, seconds, dBm. Every method that waits takes its deadline from the
station's clock. Drivers and services implement these; recipes use nothing else.
"""

from __future__ import annotations

from bench.station.interfaces.card import CardPlace, Reader, SimSwitch
from bench.station.interfaces.data import BoundPath, ByteStream, DataPath, HttpAnswer, TappedPath
from bench.station.interfaces.instrument import Identity, Instrument, SafeAction
from bench.station.interfaces.ipa import (
    CardMemory,
    CardNotification,
    CardProfile,
    EuiccAdministration,
    EuiccDescription,
    IpaService,
    LocalDownload,
    PollResult,
    ProfileAssistant,
)
from bench.station.interfaces.measurement import (
    Level,
    Measurement,
    MeasurementListener,
    Neighbour,
    RadioProbe,
    RadioRecorder,
    signal_at,
)
from bench.station.interfaces.modem import (
    CellInfo,
    ExtendedDrx,
    FailureCause,
    Modem,
    PdpContext,
    PowerSaving,
    Recovery,
    RecoveryLayer,
    RecoveryStep,
    Registration,
)
from bench.station.interfaces.radio import Attenuator, Network
from bench.station.interfaces.servers import (
    EIM_ABILITIES,
    EIM_COMMANDS,
    SMDPP_ABILITIES,
    EimOrder,
    EimService,
    Misbehaves,
    ProfileOrder,
    ProfileState,
    ServerTrust,
    SmdppService,
    is_external,
    offers,
)
from bench.station.interfaces.supply import PowerCycle, PowerSupply, Reading

__all__ = [
    "EIM_ABILITIES",
    "EIM_COMMANDS",
    "SMDPP_ABILITIES",
    "Attenuator",
    "BoundPath",
    "ByteStream",
    "CardMemory",
    "CardNotification",
    "CardPlace",
    "CardProfile",
    "CellInfo",
    "DataPath",
    "EimOrder",
    "EimService",
    "EuiccAdministration",
    "EuiccDescription",
    "ExtendedDrx",
    "FailureCause",
    "HttpAnswer",
    "Identity",
    "Instrument",
    "IpaService",
    "Level",
    "LocalDownload",
    "Measurement",
    "MeasurementListener",
    "Misbehaves",
    "Modem",
    "Neighbour",
    "Network",
    "PdpContext",
    "PollResult",
    "PowerCycle",
    "PowerSaving",
    "PowerSupply",
    "ProfileAssistant",
    "ProfileOrder",
    "ProfileState",
    "RadioProbe",
    "RadioRecorder",
    "Reader",
    "Reading",
    "Recovery",
    "RecoveryLayer",
    "RecoveryStep",
    "Registration",
    "SafeAction",
    "ServerTrust",
    "SimSwitch",
    "SmdppService",
    "TappedPath",
    "is_external",
    "offers",
    "signal_at",
]
