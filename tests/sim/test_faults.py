"""Every fault really happens at its moment and is in the world's log; the schema says what was meant."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError, ConfigurationError, InstrumentError
from bench.station.clock import SocketClock
from bench.station.data import ProxyPath
from bench.station.datagrams import open_datagrams
from fixtures.sim.fault_actions import ACTIONS
from fixtures.sim.fault_schema import ACTIONS as SCHEMA
from fixtures.sim.fault_schema import WHEN, check, document
from fixtures.sim.kernel import Kernel
from fixtures.sim.rail import Rail
from fixtures.sim.service import make_parser, world_options

from .process import WorldProcess, at
from .test_datagrams import ECHO, data_path
from .test_world import ISD_R


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def happened(world: WorldProcess, name: str) -> list[float]:
    return [entry["t_ns"] / 1e9 for entry in world.log if entry["what"] == "fault" and entry["do"] == name]


def first(world: WorldProcess, what: str, **fields: Any) -> float:
    """Station time of the first line of a kind."""
    for entry in world.log:
        if entry["what"] == what and all(entry.get(name) == value for name, value in fields.items()):
            return float(entry["t_ns"]) / 1e9
    raise AssertionError((what, fields))


# -- schema


def test_every_action_is_in_the_schema_and_in_its_document() -> None:
    assert set(ACTIONS) == set(SCHEMA)
    text = document()
    for name, fault in SCHEMA.items():
        assert f"do = {name}: {fault.text}" in text


@pytest.mark.parametrize(
    ("fault", "words", "hint"),
    [
        ({"do": "power-cutt"}, "no fault 'power-cutt'", "did you mean power-cut?"),
        ({}, "without 'do'", "there are "),
        ({"do": "power-cut", "secnds": 2}, "power-cut has no 'secnds'", "did you mean seconds?"),
        ({"do": "card-mute", "reader": 1}, "card-mute has no 'reader'", "it takes no further keys"),
        ({"do": "power-cut", "seconds": "two"}, "seconds = 'two' is no number", "for how long"),
        ({"do": "power-cut", "seconds": -1}, "is no number from 0 up", "for how long"),
        ({"do": "cell-off", "cell": 1.5}, "is no whole number", "number of the cell"),
        ({"do": "cell-off", "at": "apduu"}, "at = 'apduu' is no moment", "did you mean apdu?"),
        ({"do": "cell-off", "at": [5, 2]}, "is no moment", "[from, to]"),
        ({"do": "cell-off", "at": "apdu"}, "cell-off needs 'n'", "which APDU"),
        ({"do": "cell-off", "at": "apdu", "n": 0}, "n = 0 is no whole number from 1 up", "from 1"),
        ({"do": "cell-off", "at": "apdu", "n": 2, "of": "hosts"}, "is none of host, all, reader", ""),
        ({"do": "reject"}, "reject needs 'cause'", "EMM cause"),
        ({"do": "card-status", "sw": "6G00"}, "sw = '6G00' is not hexadecimal", "6F00 or 6985"),
        ({"do": "reject", "cause": 11, "integrity": 1}, "integrity = 1 is neither true nor false", ""),
        ({"do": "server-slow", "name": "eim", "delay": None}, "delay = None is no number", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(fault: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check(fault, "line 3")
    assert words in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where == "line 3"


@given(
    st.dictionaries(
        st.sampled_from(["do", "at", "n", "of", "seconds", "cell", "cause", "sw", "what", "match", "zzz"]),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
            st.sampled_from([*SCHEMA, *WHEN]), st.lists(st.integers(), max_size=3),
        ),
    )
)  # fmt: skip
def test_any_entry_is_taken_or_refused_with_words(fault: dict[str, Any]) -> None:
    try:
        check(fault)
    except BenchError as error:
        assert error.what and error.where


def test_time_lines_in_toml_and_json(tmp_path: Path) -> None:
    toml, js, bad = tmp_path / "line.toml", tmp_path / "line.json", tmp_path / "bad.toml"
    toml.write_text('[[fault]]\nat = [1.0, 2.0]\ndo = "cell-off"\n\n[[fault]]\ndo = "card-mute"\n')
    js.write_text(json.dumps([{"do": "card-mute"}]))
    bad.write_text('[[fault]]\ndo = "cell-off"\n[[fault]]\ndo = "cel-off"\n')
    base = ["up", "--home", str(tmp_path), "--faults"]
    options = world_options(make_parser().parse_args([*base, f"@{toml}"]))
    assert [fault["do"] for fault in options.faults] == ["cell-off", "card-mute"]
    assert world_options(make_parser().parse_args([*base, f"@{js}"])).faults == [{"do": "card-mute"}]
    with pytest.raises(ConfigurationError, match="no fault 'cel-off'") as caught:
        world_options(make_parser().parse_args([*base, f"@{bad}"]))
    assert caught.value.where == f"{bad}, fault 2"


# -- moments


def test_moments_are_drawn_from_the_seed(home: Path) -> None:
    faults = json.dumps([{"at": [10.0, 500.0], "do": "cell-off"}, {"at": [10, 500], "do": "cell-on"}])
    drawn = []
    for seed in ("1", "1", "2"):
        with WorldProcess(home, "--faults", faults, "--seed", seed) as world:
            drawn.append([entry["seconds"] for entry in world.log if entry["what"] == "armed"])
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(10 <= seconds <= 500 for line in drawn for seconds in line)
    assert drawn[0][1] == int(drawn[0][1])


def test_at_a_time_and_at_a_line_of_the_log(home: Path) -> None:
    match = {"message": "attach_accept"}
    faults = [
        {"at": "log", "what": "nas", "match": match, "n": 1, "delay": 20.0, "do": "cell-off", "cell": 1},
        {"at": 200.0, "do": "cell-on", "cell": 1},
        {"at": "log", "what": "nas", "match": match, "n": 2, "do": "network-detach", "reattach": False},
    ]

    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, _):
            await clock.sleep(400)

    with WorldProcess(home, "--profile", "unit", "--faults", json.dumps(faults)) as world:
        asyncio.run(main(world))
        attached = first(world, "nas", message="attach_accept")
        assert happened(world, "cell-off") == pytest.approx([attached + 20.0])
        assert first(world, "bearers-lost", why="cell lost") == pytest.approx(attached + 21.0)
        armed = first(world, "armed", do="cell-on")
        assert happened(world, "cell-on") == pytest.approx([armed + 200.0], abs=1e-3)
        assert len(happened(world, "network-detach")) == 1
        assert world.state()["faults"] == {"armed": 3, "done": 3}


# -- supply


def test_brown_out_and_back_feed(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, _):
            await clock.sleep(20)
            for volts, seconds in ((2.9, 0.001), (2.9, 0.004)):
                with clock.busy():
                    world.ask("fault", do="brown-out", volts=volts, seconds=seconds)
                await clock.sleep(0.5)
                with clock.busy():
                    boots.append(world.state()["device"]["boots"])
            await clock.sleep(60)
            with clock.busy():
                assert world.state()["registered"]
                world.ask("fault", do="back-feed", volts=3.3, ohms=200.0)
                with world.scpi() as supply:
                    supply.ask("OUTP OFF,(@1);*OPC?")
            await clock.sleep(30)
            with clock.busy():
                fed.append(world.state()["power"]["volts"])
                world.ask("fault", do="back-feed", volts=0.0)
            await clock.sleep(30)
            with clock.busy():
                fed.append(world.state()["power"]["volts"])

    boots: list[int] = []
    fed: list[float] = []
    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
        brown = happened(world, "brown-out")
        assert boots == [1, 2]
        assert first(world, "power", state="BROWNOUT") == pytest.approx(brown[1] + 0.002, abs=1e-4)
    assert fed[0] > 0.3  # not dead: a bench that waits for that must say so
    assert fed[1] < 0.01


def test_back_feed_in_closed_form() -> None:
    kernel = Kernel()
    rail = Rail(kernel)
    rail.back_feed(3.0, 100.0)
    kernel.run_until(10**12)
    assert rail.voltage() == pytest.approx(3.0 * 2200 / 2300)
    rail.draw(0.010)
    kernel.run_until(2 * 10**12)
    assert rail.voltage() == pytest.approx((3.0 / 100 - 0.010) * (100 * 2200 / 2300))
    rail.back_feed(0.0, 100.0)
    kernel.run_until(3 * 10**12)
    assert rail.voltage() == pytest.approx(0.0, abs=1e-3)


# -- card


@pytest.mark.parametrize(("sw", "ins"), [("6F00", None), ("6985", "E2")])
def test_an_error_of_the_card_until_it_is_reset(home: Path, sw: str, ins: str | None) -> None:
    with WorldProcess(home, "--clock", "scaled:100") as world:
        world.registered()
        with world.serial() as port:
            at(port, "ATE0")
            assert "+CCHO: 1" in at(port, f'AT+CCHO="{ISD_R}"')
            get_eid = 'AT+CGLA=1,22,"81e2910006bf3e035c015a"'
            assert '"61' in "".join(at(port, get_eid))
            assert world.ask("fault", do="card-status", sw=sw, **({"ins": ins} if ins else {}))["ok"]
            for _ in range(3):
                assert f'+CGLA: 4,"{sw}"' in at(port, get_eid)
            other = "".join(at(port, 'AT+CSIM=14,"00A40004023F00"'))
            assert (f'"{sw}"' in other) is (ins is None)
            at(port, "AT+CFUN=0")
            at(port, "AT+CFUN=1")
            world.wait("ready", lambda state: state["registered"])
            assert "+CCHO: 1" in at(port, f'AT+CCHO="{ISD_R}"')
            assert '"61' in "".join(at(port, get_eid))
        assert len(happened(world, "card-status")) == 1


# -- modem


def test_a_flood_of_unsolicited_lines(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        clock = await SocketClock.connect(world.announcement["clock"])
        with clock.busy():
            world.power_on()
        fd = os.open(world.parts["modem"]["port"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        counter = clock.port(world.parts["modem"]["port"])

        def readable() -> None:
            nonlocal received
            data = os.read(fd, 65536)
            counter.received(len(data))
            received += data

        asyncio.get_running_loop().add_reader(fd, readable)
        await clock.sleep(30)
        with clock.busy():
            world.ask("fault", do="urc-flood", rate=1000, seconds=2.0, line="+FLOOD: 1")
        await clock.sleep(5)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        await clock.close()

    received = b""
    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
        begin = happened(world, "urc-flood")[0]
        assert first(world, "flood-over", lines=2000) - begin == pytest.approx(1.99)
    assert received.count(b"+FLOOD: 1\r\n") == 2000


def test_ports_gone_and_back_under_another_name(home: Path) -> None:
    with WorldProcess(home, "--clock", "scaled:20", "--profile", "unit") as world:
        world.registered()
        link = Path(world.parts["modem"]["port"])
        before = link.readlink()
        world.ask("fault", do="port-gone", seconds=10.0)
        assert not link.is_symlink()
        end = time.monotonic() + 5
        while not link.is_symlink():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert link.readlink() != before
        with world.serial() as port:
            assert at(port, "AT")[-1] == "OK"
        gone = happened(world, "port-gone")[0]
        back = [entry["t_ns"] / 1e9 for entry in world.log if entry["what"] == "port" and entry["open"]][-1]
        assert back - gone == pytest.approx(10.0, abs=2.0)  # a tenth of a second on a busy machine
        assert world.state()["device"]["boots"] == 1


# -- radio and link


def test_the_power_of_a_cell_falls_below_what_the_device_receives(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, _):
            with clock.busy():
                world.ask("fault", do="cell-power", cell=1, rsrp=-130.0, seconds=60.0)
            await clock.sleep(10)
            with clock.busy():
                assert not world.state()["registered"]
            await clock.sleep(120)
            with clock.busy():
                state = world.state()
            assert state["registered"]
            assert state["cells"]["1"]["rsrp"] == -85.0

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
        assert first(world, "bearers-lost") == pytest.approx(happened(world, "cell-power")[0] + 1.0)


def test_datagrams_lost_duplicated_and_late(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            stream = await open_datagrams(path, ECHO, 7, timeout=10)

            async def exchange(count: int) -> tuple[int, float]:
                begin, got, last = clock.now(), 0, 0.0
                for number in range(count):
                    stream.send(bytes([number]))
                try:
                    async with clock.timeout(10):
                        while True:
                            await stream.receive()
                            got, last = got + 1, clock.now() - begin
                except TimeoutError:
                    return got, last

            def fault(**fields: Any) -> None:
                with clock.busy():
                    assert world.ask("fault", **fields)["ok"]

            assert (await exchange(5))[0] == 5
            fault(do="datagram-lose", count=3)
            assert (await exchange(5))[0] == 2
            fault(do="datagram-duplicate", count=2)  # two on the way up, so two answers more
            assert (await exchange(5))[0] == 7
            fault(do="server-slow", name=ECHO, delay=3.0, seconds=60.0)
            got, last = await exchange(1)
            assert got == 1
            assert last == pytest.approx(3.2, abs=0.05)
            fault(do="link-delay", delay=1.0)
            got, last = await exchange(1)
            assert last == pytest.approx(4.2, abs=0.05)
            fault(do="link-delay", delay=0.0)
            await clock.sleep(60)
            got, last = await exchange(1)
            assert last == pytest.approx(0.2, abs=0.05)
            fault(do="nat-forget")
            stream.send(b"x")
            await clock.sleep(2)
            stream.close()

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
        assert [entry["why"] for entry in world.log if entry["what"] == "datagram-lost"] == ["radio"] * 3
        assert [entry["what"] for entry in world.log if entry["what"].startswith("nat")].count("nat-expired") >= 1


def test_a_slow_server_and_a_cut_link_over_tcp(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            stream = await path.connect(ECHO, 7, timeout=10)
            with clock.busy():
                world.ask("fault", do="server-slow", name=ECHO, delay=7.0)
            begin = clock.now()
            async with clock.timeout(20):
                await stream.write(b"hello")
                assert await stream.read() == b"hello"
            assert clock.now() - begin == pytest.approx(7.2, abs=0.05)
            with clock.busy():
                world.ask("fault", do="link-cut")
            with pytest.raises(InstrumentError):
                async with clock.timeout(20):
                    if not await stream.read():
                        raise InstrumentError("closed")
            await stream.close()
            assert isinstance(path, ProxyPath)

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
        assert len(happened(world, "link-cut")) == 1


def test_an_unknown_cell_is_told(home: Path) -> None:
    with WorldProcess(home) as world:
        refused = world.ask("fault", do="cell-off", cell=9)
        assert not refused["ok"]
        assert "there is no cell 9" in refused["error"]["what"]
        refused = world.ask("fault", do="cel-off")
        assert "did you mean cell-off?" in refused["error"]["hint"]
