"""The instruments that a station's table names, and how each is opened: one list for whoever opens, checks or lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bench.station.clock import Clock, RealClock
from bench.station.drivers import DriverOptions, PowerLimits, Tell, untold
from bench.station.dut import ConsoleConfig, OutputsConfig
from bench.station.model import (
    AttenuatorConfig,
    CardConfig,
    ModemConfig,
    NetworkConfig,
    PowerConfig,
    RadioConfig,
    StationConfig,
    SwitchConfig,
)
from bench.trace.lane import Lane, NullLane

PartKind = Literal["power", "network", "attenuator", "modem", "switch", "reader", "console", "lines", "radio"]
PartConfig = (
    PowerConfig
    | NetworkConfig
    | AttenuatorConfig
    | ModemConfig
    | SwitchConfig
    | CardConfig
    | ConsoleConfig
    | OutputsConfig
    | RadioConfig
)
_LANES: Final[dict[PartKind, str]] = {
    "power": "scpi",
    "network": "scpi",
    "attenuator": "scpi",
    "modem": "at",
    "switch": "switch",
    "console": "console",
    "lines": "switch",
}
_SNIFFERS: Final = ("simtrace2",)
"""Recorders of the card's contacts; the others record the radio."""
_SAME: Final = ("driver", "resource", "port", "serial", "imei", "baudrate", "channel", "cells", "origin")
"""What bench.toml and a driver's options call the same."""


@dataclass(frozen=True, slots=True)
class Part:
    """One instrument of a station."""

    kind: PartKind
    config: PartConfig
    station: StationConfig

    @property
    def name(self) -> str:
        """Its name in run.json and for people: the kind, with ``:NAME`` where a station may have several."""
        several = isinstance(self.config, ConsoleConfig | OutputsConfig | RadioConfig)
        return f"{self.kind}:{self.instrument}" if several else self.kind

    @property
    def instrument(self) -> str:
        """Its name in messages and lanes: of the instrument that several stations may share, else its own."""
        own: str = getattr(self.config, "name", "") or self.kind
        return getattr(self.config, "instrument", "") or own

    @property
    def channel(self) -> int | None:
        """The channel that a station owns, None for an instrument that it owns whole."""
        return self.config.channel if isinstance(self.config, PowerConfig | AttenuatorConfig) else None

    def options(
        self,
        *,
        lanes: Callable[[str], Lane] | None = None,
        clock: Clock | None = None,
        tell: Tell = untold,
        folder: Path | None = None,
    ) -> DriverOptions:
        """Return what its driver is opened with; without ``lanes`` nothing is recorded. ``folder``: of the run."""
        lanes = lanes or (lambda name: NullLane())
        values: dict[str, Any] = {key: getattr(self.config, key) for key in _SAME if hasattr(self.config, key)}
        values |= {"name": self.instrument, "clock": clock or RealClock(), "tell": tell, "extra": self.config.options}
        if self.kind in _LANES:
            values["lane"] = lanes(f"{_LANES[self.kind]}:{self.instrument}")
        match self.config:
            case PowerConfig() as power:
                values["limits"] = PowerLimits(
                    power.voltage, power.current_limit, power.voltage_max, power.dead_voltage
                )
            case ModemConfig():
                card = self.station.card
                values["card_via"] = card.via if card is not None else "auto"
                values["apdu_lane"] = lanes("apdu:card" if self.instrument == "modem" else f"apdu:{self.instrument}")
                if card is not None and card.at == "modem" and card.slot != 1:  # it is selected at every start
                    values["extra"] = {**self.config.options, "slot": card.slot}
            case CardConfig() as card:
                values["resource"] = card.reader
                values["apdu_lane"] = lanes("apdu:card")
                if card.pcsclite_csock:
                    values["extra"] = {**card.options, "pcsclite_csock": card.pcsclite_csock}
            case RadioConfig() as radio:
                sniffs = radio.driver in _SNIFFERS
                values["lane"] = lanes(f"{'sniff' if sniffs else 'diag'}:{radio.name}")
                values["apdu_lane"] = lanes(f"radio:{radio.name}")
                values["folder"] = folder
            case ConsoleConfig() as console:
                values["extra"] = {
                    **console.options, "patterns": console.patterns, "commands": console.commands,
                }  # fmt: skip
        return DriverOptions(**values)


def parts(station: StationConfig) -> Iterator[Part]:
    """Yield the instruments of a station, in the order in which they are opened and told of."""
    single: tuple[tuple[PartKind, PartConfig | None], ...] = (
        ("power", station.power),
        ("network", station.network),
        ("attenuator", station.attenuator),
        ("modem", station.modem),
        ("switch", station.switch),
        ("reader", station.card if station.card is not None and station.card.at != "modem" else None),
    )
    for kind, config in single:
        if config is not None:
            yield Part(kind, config, station)
    for recorder in station.radio.values():
        yield Part("radio", recorder, station)
    if station.dut is not None:
        for console in station.dut.console.values():
            yield Part("console", console, station)
        for outputs in station.dut.lines.values():
            yield Part("lines", outputs, station)
