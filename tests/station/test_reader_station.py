"""Stations with the card at a reader or at a SIM switch: what is opened, locked, compared and told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from instrument_doubles import MemoryLane

from bench.errors import InstrumentError, Refused, StationHeld
from bench.station import config
from bench.station.drivers import DriverOptions, WrongInstrument
from bench.station.interfaces import Identity
from bench.station.opened import OpenStation
from bench.station.opening import open_station

EID = "89049032123451234512345678901235"
OTHER = "89049032000000000000000000000260"
GET_EID_ANSWER = bytes.fromhex("BF3E125A10" + EID + "9000")


class Channel:
    """ISD-R of one card."""

    select_response = b""

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        return GET_EID_ANSWER

    async def close(self) -> None:
        pass


class Reader:
    """A reader with a card, or without."""

    opened: list[DriverOptions]
    closed: int
    atr = b"\x3b\x00"
    name = "ACS ACR39U 00 00"
    fails: Exception | None = None

    def __init__(self) -> None:
        self.identity = Identity("ACS", self.name, "A1B2")

    @classmethod
    async def open(cls, options: DriverOptions) -> Reader:
        cls.opened.append(options)
        if cls.fails is not None:
            raise cls.fails
        return cls()

    async def close(self) -> None:
        type(self).closed += 1

    def card(self) -> Reader:
        return self

    async def open_channel(self, aid: bytes) -> Channel:
        return Channel()


class Switch(Reader):
    """A switch."""

    name = "relay board"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    for kind in (Reader, Switch):
        kind.opened, kind.closed, kind.fails = [], 0, None
    Reader.atr = b"\x3b\x00"


Station = Callable[..., config.StationConfig]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    def make(card: str, more: str = "") -> config.StationConfig:
        path = tmp_path / "bench.toml"
        here = "test_reader_station"
        path.write_text(
            f'[stations.desk]\ncard = {{ {card}, driver = "{here}:Reader" }}\n'
            + more.replace("SWITCH", f"{here}:Switch")
            + 'data = { path = "host" }\n'
        )
        return config.load(path, environment={"BENCH_HOME": str(tmp_path / "home")}).station("desk")

    return make


def opened(found: config.StationConfig, home: Path, body: Callable[[OpenStation], Any] | None = None) -> Any:
    async def run() -> Any:
        async with await open_station(found, lanes=MemoryLane, home=home) as made:
            return body(made) if body is not None else None

    return asyncio.run(run())


def test_a_station_that_is_a_reader_alone(station: Station, tmp_path: Path) -> None:
    found = station('at = "reader", reader = "ACR39U", pcsclite_csock = "/run/lab/pcscd", options = { toolkit = true }')

    def body(made: OpenStation) -> None:
        assert made.reader is not None and made.card is not None and made.modem is None and made.switch is None
        assert made.identities["reader"].serial == "A1B2"
        assert [lock.what for lock in made.locks] == ["reader ACS/ACS ACR39U 00 00/A1B2 ACS ACR39U 00 00"]

    opened(found, tmp_path, body)
    (options,) = Reader.opened
    assert options.resource == "ACR39U"
    assert options.extra == {"toolkit": True, "pcsclite_csock": "/run/lab/pcscd"}
    assert options.apdu_lane.name == "apdu:card"
    assert options.origin.endswith("bench.toml:2")
    assert Reader.closed == 1


def test_the_pinned_card_is_compared_in_the_reader(station: Station, tmp_path: Path) -> None:
    opened(station(f'at = "reader", eid = "{EID}"'), tmp_path)
    with pytest.raises(WrongInstrument, match=f"EID is {EID}, not {OTHER}"):
        opened(station(f'at = "reader", eid = "{OTHER}"'), tmp_path)
    assert Reader.closed == 2
    Reader.atr = b""  # no card now: compared when it is used
    opened(station(f'at = "reader", eid = "{OTHER}"'), tmp_path)


def test_two_users_of_one_reader_meet(station: Station, tmp_path: Path) -> None:
    first, second = station('at = "reader", reader = "ACR"'), station('at = "reader", reader = "39U"')

    async def run() -> None:
        async with await open_station(first, lanes=MemoryLane, home=tmp_path):
            with pytest.raises(StationHeld, match="reader ACS/ACS ACR39U 00 00/A1B2"):
                await open_station(second, lanes=MemoryLane, home=tmp_path)

    asyncio.run(run())
    assert Reader.closed == 2


def test_switch_and_reader_are_opened_and_one_failure_closes_the_other(station: Station, tmp_path: Path) -> None:
    more = (
        'modem = { driver = "at-modem", port = "usb:1-1.4:if02" }\n'
        'switch = { driver = "SWITCH", port = "/dev/null", serial = "A1B2", options = { reader = 0, modem = 1 } }\n'
    )
    found = station('at = "switch"', more)

    def body(made: OpenStation) -> None:
        assert made.switch is not None and made.reader is not None
        assert made.identities["switch"].serial == "A1B2"
        assert "port /dev/null" in [lock.what for lock in made.locks]
        assert made.card is made.reader.card()

    opened(found, tmp_path, body)
    assert Switch.opened[0].extra == {"reader": 0, "modem": 1}
    assert (Reader.closed, Switch.closed) == (1, 1)
    Switch.fails = InstrumentError("the relay board's port is not there", where="switch")
    with pytest.raises(InstrumentError, match=r"bench\.toml:4.*port is not there"):
        opened(found, tmp_path)
    assert Reader.closed == 2


def test_another_relay_board_is_refused(station: Station, tmp_path: Path) -> None:
    more = (
        'modem = { driver = "at-modem", port = "usb:1-1.4:if02" }\n'
        'switch = { driver = "SWITCH", port = "/dev/null", serial = "ZZ" }\n'
    )
    with pytest.raises(Refused, match="serial number 'A1B2', not 'ZZ'"):
        opened(station('at = "switch"', more), tmp_path)


def test_the_built_in_stations_have_what_they_say() -> None:
    found = config.load(environment={"HOME": "/nowhere"}).station("sim-pcsc")
    assert found.card is not None and found.card.at == "switch" and found.switch is not None
    assert found.unresolved()
    told = {
        "stations": {
            "sim-pcsc": {
                "power": {"resource": "TCPIP::127.0.0.1::1::SOCKET"},
                "network": {"resource": "TCPIP::127.0.0.1::2::SOCKET"},
                "modem": {"port": "/home/modem", "second_port": "/home/modem-2"},
                "reader": {"name": "esim-bench sim-pcsc A 00 00", "pcsclite_csock": "/tmp/x/pcscd"},
                "switch": {"port": "/home/switch"},
            }
        },
        "clock": "/tmp/x/clock",
    }
    resolved = found.resolve(told)
    assert not resolved.unresolved()
    assert resolved.card is not None and resolved.switch is not None
    assert (resolved.card.reader, resolved.card.pcsclite_csock) == ("esim-bench sim-pcsc A 00 00", "/tmp/x/pcscd")
    assert resolved.switch.port == "/home/switch"
