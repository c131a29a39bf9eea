"""``Station.card_to``: who is told what, in which order, and on which stations nothing happens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from bench.apdu.errors import CardGone
from bench.engine.record import Record
from bench.engine.retrace import Past, Retrace
from bench.engine.station import Station, parts_known
from bench.errors import InstrumentError
from bench.run.journal import Journal
from bench.run.reader import read
from bench.station import config
from bench.station.interfaces import CardPlace

TOML = """
[stations.lab]
power = {{ driver = "keysight-e36300", resource = "TCPIP::192.0.2.1::5025::SOCKET", {limits} }}
modem = {{ driver = "at-modem", port = "/dev/ttyUSB2" }}
card = {{ at = "{at}" }}
switch = {{ driver = "numato-relay", port = "/dev/ttyACM0", options = {{ reader = 0, modem = 1 }} }}
data = {{ path = "host" }}
"""
LIMITS = "voltage = 3.8, voltage_max = 4.3, current_limit = 2.0"


class Lab:
    """Every part of a station in one, writing down what it is asked."""

    def __init__(self, place: str | None, *, on: bool = True, imei: str = "490154203237518") -> None:
        self.place = place
        self.on = on
        self.imei = imei
        self.asked: list[str] = []
        self.refuses: set[str] = set()

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.refuses:
            raise InstrumentError(f"{what} failed", where="lab")

    async def selected(self) -> str:
        if self.place is None:
            raise InstrumentError("connects the card to nothing", where="lab")
        return self.place

    async def select(self, place: str) -> None:
        self._ask(f"select {place}")
        self.place = place

    async def output(self) -> bool:
        return self.on

    async def set_output(self, on: bool) -> None:
        self._ask(f"output {on}")
        self.on = on

    async def command(self, line: str, *, timeout: float | None = None) -> list[str]:
        self._ask(line)
        return []

    async def wait_ready(self, *, timeout: float) -> float:
        self._ask("modem answers")
        return 0.0

    async def wait_sim_ready(self, *, timeout: float) -> None:
        self._ask("+CPIN: READY")

    async def wait_card(self, *, present: bool = True, timeout: float) -> float:
        self._ask("reader has the card")
        if self.place != "reader":
            raise CardGone("no card is in the reader")
        return 0.4

    def card(self) -> Lab:
        return self

    async def reset(self) -> None:
        self._ask("card reset by the modem")


def station_of(tmp_path: Path, lab: Lab, *, at: str = "switch") -> Station:
    path = tmp_path / "bench.toml"
    path.write_text(TOML.format(limits=LIMITS, at=at))
    found = config.load(path, environment={"BENCH_HOME": str(tmp_path)}).station("lab")
    record = Record(Journal.open(tmp_path / "journal.jsonl", background=False))
    station = Station(found, record, home=tmp_path, seed=1, asker=None)
    for part in ("power", "modem", "reader", "switch"):
        station.provide(part, lab)
    return station


def moved(tmp_path: Path) -> list[dict[str, Any]]:
    events = read(tmp_path / "journal.jsonl")
    return [cast(dict[str, Any], event["data"]) for event in events if event["type"] == "card"]


def test_to_the_modem_the_card_is_reset_and_ready(tmp_path: Path) -> None:
    lab = Lab("reader")
    asyncio.run(station_of(tmp_path, lab).card_to("modem"))
    assert lab.asked == ["select modem", "modem answers", "card reset by the modem", "+CPIN: READY"]
    assert moved(tmp_path) == [{"at": "modem", "before": "reader"}]


def test_to_the_reader_the_modem_lets_go_first(tmp_path: Path) -> None:
    lab = Lab("modem")
    asyncio.run(station_of(tmp_path, lab).card_to("reader"))
    assert lab.asked == ["AT+CFUN=0", "select reader", "reader has the card"]
    assert moved(tmp_path) == [{"at": "reader", "before": "modem"}]


def test_where_it_is_already_nothing_is_switched(tmp_path: Path) -> None:
    lab = Lab("reader")
    asyncio.run(station_of(tmp_path, lab).card_to("reader"))
    assert lab.asked == ["reader has the card"]
    lab = Lab("modem")
    asyncio.run(station_of(tmp_path, lab).card_to("modem"))
    assert lab.asked == []
    assert moved(tmp_path) == []


def test_without_power_there_is_no_modem_to_wait_for(tmp_path: Path) -> None:
    lab = Lab("reader", on=False)
    asyncio.run(station_of(tmp_path, lab).card_to("modem"))
    assert lab.asked == ["select modem"]
    asyncio.run(station_of(tmp_path, lab).card_to("reader"))
    assert lab.asked == ["select modem", "select reader", "reader has the card"]


def test_a_modem_that_does_not_let_go_loses_the_card_all_the_same(tmp_path: Path) -> None:
    lab = Lab("modem")
    lab.refuses = {"AT+CFUN=0"}
    asyncio.run(station_of(tmp_path, lab).card_to("reader"))
    assert lab.asked == ["AT+CFUN=0", "select reader", "reader has the card"]


def test_a_switch_between_its_places_is_set_right(tmp_path: Path) -> None:
    lab = Lab(None)
    asyncio.run(station_of(tmp_path, lab).card_to("reader"))
    assert lab.asked == ["select reader", "reader has the card"]
    assert moved(tmp_path) == [{"at": "reader", "before": ""}]


def test_a_switch_that_fails_is_the_benchs_error_and_nothing_is_recorded_as_moved(tmp_path: Path) -> None:
    lab = Lab("reader")
    lab.refuses = {"select modem"}
    with pytest.raises(InstrumentError, match="select modem failed"):
        asyncio.run(station_of(tmp_path, lab).card_to("modem"))
    assert moved(tmp_path) == []


def test_a_card_that_is_never_moved(tmp_path: Path) -> None:
    lab = Lab("reader")
    for at in ("modem", "reader"):
        asyncio.run(station_of(tmp_path, lab, at=at).card_to("modem"))
    assert lab.asked == []


@pytest.mark.parametrize(
    ("at", "reader", "switch"), [("modem", False, False), ("reader", True, False), ("switch", True, True)]
)
def test_what_recipes_may_need(tmp_path: Path, at: str, reader: bool, switch: bool) -> None:
    known = parts_known(station_of(tmp_path, Lab("reader"), at=at).config)
    assert (known["reader"], known["switch"]) == (reader, switch)
    assert known["ipa"] and known["card"] and not known["radio"]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("reader", ["select reader", "reader has the card"]),
        ("modem", ["select modem", "modem answers", "card reset by the modem", "+CPIN: READY"]),
    ],
)
def test_led_back_the_card_is_put_where_it_was_last(tmp_path: Path, last: CardPlace, told: list[str]) -> None:
    path = tmp_path / "journal.jsonl"

    def run(lab: Lab, past: Past) -> None:
        station = station_of(tmp_path, lab)
        record = station.record
        record.set_clock(record.clock)
        record.retrace = Retrace(station, past)

        async def recipe() -> None:
            async with station.step("to and fro"):
                await station.power.set_output(True)
                await station.modem.wait_ready(timeout=5.0)
                await station.card_to("modem")
                await station.modem.wait_sim_ready(timeout=5.0)
                await station.card_to("reader")
                await station.card_to(last)
            async with station.step("in progress"):
                await station.modem.command("AT")

        asyncio.run(recipe())
        record.journal.close()

    run(Lab("reader"), Past())
    events = list(read(path))
    begun = next(at for at, event in enumerate(events) if event["type"] == "step-start" and "prog" in event["step"])
    path.unlink()
    lab = Lab("modem" if last == "reader" else "reader", on=False)
    run(lab, Past([events[: begun + 1]]))
    let_go = ["AT+CFUN=0"] if last == "reader" else []
    assert lab.asked == ["output True", "modem answers", *let_go, *told, "AT"]
