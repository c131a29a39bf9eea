"""Lines that act on the device: relays of a simulated board, DTR and RTS, the battery relay of the safe sequence."""

from __future__ import annotations

import asyncio
import os
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from instrument_doubles import MemoryLane

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station import config, safe
from bench.station.drivers import DriverOptions
from fixtures.sim.relays import RelayBoard
from instruments.switch.ask import AskSwitch
from instruments.switch.lines import NumatoLines, SerialLines


class BoardOnPty:
    """A relay board in a thread of its own."""

    def __init__(self, link: Path) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        link.symlink_to(os.ttyname(self.slave))
        self.link = link
        self.heard = b""
        self.board = RelayBoard(
            lambda data: os.write(self.master, data) and None,
            lambda on: None,
            lambda *_, **__: None,
            identity="LINES001",
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data = os.read(self.master, 4096)
            if data == b"\x04":
                return
            self.heard += data
            self.board.feed(data)

    def close(self) -> None:
        os.write(self.slave, b"\x04")
        self._thread.join(0.2)
        if self._thread.is_alive():  # the slave's bytes come to the master only from a client of it
            with open(self.link, "wb", buffering=0) as port:  # noqa: PTH123
                port.write(b"\x04")
            self._thread.join(2)
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[BoardOnPty]:
    made = BoardOnPty(tmp_path / "relays")
    yield made
    made.close()


def test_relays_are_switched_and_read_back_by_the_literal_commands(port: BoardOnPty) -> None:
    async def run() -> None:
        lines = await NumatoLines.open(DriverOptions(name="relay1", port=str(port.link), lane=MemoryLane()))
        assert lines.identity.serial == "LINES001"
        await lines.set_line("3", True)
        assert await lines.line_on("3") and not await lines.line_on("0")
        await lines.set_line("3", False)
        with pytest.raises(ConfigurationError, match="'x' is no relay"):
            await lines.set_line("x", True)
        await lines.close()

    asyncio.run(run())
    assert port.heard == (
        b"ver\rid get\rrelay on 3\rrelay read 3\rrelay read 3\rrelay read 0\rrelay off 3\rrelay read 3\r"
    )


def test_a_relay_that_does_not_move_is_told(port: BoardOnPty) -> None:
    port.board.stuck = frozenset({2})

    async def run() -> None:
        lines = await NumatoLines.open(DriverOptions(name="relay1", port=str(port.link)))
        try:
            with pytest.raises(InstrumentError, match="relay 2 did not switch on"):
                await lines.set_line("2", True)
        finally:
            await lines.close()

    asyncio.run(run())


def test_a_pty_has_no_dtr_and_says_so(tmp_path: Path) -> None:
    """As real ports without modem lines: ENOTTY is an error with the line's name, not a stack."""
    master, slave = os.openpty()
    try:

        async def run() -> None:
            lines = await SerialLines.open(DriverOptions(name="boot", port=os.ttyname(slave), lane=MemoryLane()))
            try:
                with pytest.raises(ConfigurationError, match="dtr or rts"):
                    await lines.set_line("cts", True)
                with pytest.raises(InstrumentError, match="DTR cannot be set"):
                    await lines.set_line("dtr", True)
                with pytest.raises(InstrumentError, match="DTR cannot be read"):
                    await lines.line_on("dtr")
            finally:
                await lines.close()

        asyncio.run(run())
    finally:
        os.close(slave)
        os.close(master)


TOML = """
[instruments.relay1]
driver = "numato-lines"
port = "{port}"

[stations.meter]
power = {{ driver = "keysight-e36300", resource = "TCPIP::192.0.2.1::5025::SOCKET", voltage = 3.8, voltage_max = 4.3,
           current_limit = 1.0 }}
dut = {{ battery = "{battery}" }}
{rest}
"""


def plan(tmp_path: Path, port: str, battery: str, rest: str = "") -> tuple[safe.SafeAction, ...]:  # type: ignore[name-defined]
    path = tmp_path / "bench.toml"
    path.write_text(TOML.format(port=port, battery=battery, rest=rest).replace("\n           ", " "))
    return safe.plan(config.load(path, environment={}).station("meter"))


@pytest.mark.parametrize(("battery", "left"), [("relay1:2", frozenset[int]()), ("!relay1:2", frozenset({2}))])
def test_the_battery_is_disconnected_before_the_supply(
    port: BoardOnPty, tmp_path: Path, battery: str, left: frozenset[int]
) -> None:
    actions = plan(tmp_path, str(port.link), battery)
    assert [action.name for action in actions] == ["battery.off", "power.off"]
    port.board.on = frozenset({2}) if not left else frozenset()
    again, _ = safe.parse(safe.dump(actions[:1]))  # as the supervisor hands it to the safe process
    (result,) = safe.execute(again, deadline=2.0)
    assert result.verified, result
    assert port.board.on == left


def test_a_battery_relay_that_sticks_is_not_verified(port: BoardOnPty, tmp_path: Path) -> None:
    port.board.on = port.board.stuck = frozenset({2})
    (result,) = safe.execute(plan(tmp_path, str(port.link), "relay1:2")[:1], deadline=2.0)
    assert not result.verified and "did not switch off" in result.message


def test_battery_off_without_a_relay_is_a_complaint(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs the line of a battery relay"):
        plan(tmp_path, "/dev/ttyACM0", "", 'safe = ["battery.off", "power.off"]')


# --- a person as SIM switch -------------------------------------------------------------------------------------------


def test_a_person_is_asked_once_for_each_move() -> None:
    asked: list[str] = []
    answers = ["reader", "done", "cannot"]

    async def ask(text: str, choices: object, *, timeout: float | None = None) -> str:
        asked.append(text)
        return answers.pop(0)

    async def run() -> None:
        switch = await AskSwitch.open(DriverOptions(name="switch"))
        with pytest.raises(Refused, match="nobody can be asked"):
            await switch.select("modem")
        switch.asker = ask
        assert await switch.selected() == "reader"
        await switch.select("reader")
        await switch.select("modem")
        assert await switch.selected() == "modem"
        with pytest.raises(InstrumentError, match="could not be put into the reader"):
            await switch.select("reader")

    asyncio.run(run())
    assert asked == ["Where is the card now?", "Put the card into the modem.", "Put the card into the reader."]


def test_nobody_answers() -> None:
    async def ask(text: str, choices: object, *, timeout: float | None = None) -> str:
        raise TimeoutError

    async def run() -> None:
        switch = await AskSwitch.open(DriverOptions(name="switch", extra={"timeout": 5}))
        switch.asker = ask
        with pytest.raises(InstrumentError, match="nobody answered"):
            await switch.selected()

    asyncio.run(run())
