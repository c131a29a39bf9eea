"""The battery relay at the end of a run: over the open connection, read back, before the supply's output."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "station"))
from port_double import numato, port

from .conftest import Bench
from .double import events_of

TOML = """
[stations.lab.dut]
battery = "{line}"
lines = {{ relay1 = {{ driver = "numato-lines", port = "{port}" }} }}
"""


class Board:
    """A relay board with its relays as they were last switched."""

    def __init__(self) -> None:
        self.device = ""
        self.heard: list[str] = []
        self.on: set[str] = set()
        self.stuck = False

    def answer(self, line: bytes) -> bytes:
        text = line.decode()
        self.heard.append(text)
        switch = re.fullmatch(r"relay (on|off) (\w)", text)
        if switch is not None and not self.stuck:
            (self.on.add if switch[1] == "on" else self.on.discard)(switch[2])
        reading = re.fullmatch(r"relay read (\w)", text)
        if reading is not None:
            return line + (b"\n\ron\n\r>" if reading[1] in self.on else b"\n\roff\n\r>")
        return numato(line)


@pytest.fixture
def board() -> Iterator[Board]:
    found = Board()
    with port(found.answer) as found.device:
        yield found


def with_battery(bench: Bench, board: Board, line: str) -> None:
    text = bench.config.read_text().replace('safe = ["power.off"]', 'safe = ["battery.off", "power.off"]')
    bench.config.write_text(text + TOML.format(line=line, port=board.device))


@pytest.mark.parametrize(("line", "left"), [("relay1:2", "off"), ("!relay1:2", "on")])
def test_the_runner_disconnects_it_and_reads_back(bench: Bench, board: Board, line: str, left: str) -> None:
    with_battery(bench, board, line)
    board.on = {"2"} if left == "off" else set()
    code, events, _ = bench.run("quick")
    assert code == 0, events
    done = [(item["name"], item["verified"], item["by"], item["reading"]) for item in events_of(events, "safe")]
    assert done == [("battery.off", True, "runner", f"line 2 {left}"), ("power.off", True, "runner", 0.01)]
    assert board.on == (set() if left == "off" else {"2"})
    assert board.heard.count("ver") == 1  # over the connection that the run had


def test_a_relay_that_sticks_is_not_called_safe(bench: Bench, board: Board) -> None:
    with_battery(bench, board, "relay1:2")
    board.on, board.stuck = {"2"}, True
    code, events, _ = bench.run("quick")
    assert code == 3
    done = [(item["name"], item["verified"], item["by"]) for item in events_of(events, "safe")]
    assert done[:2] == [("battery.off", False, "runner"), ("power.off", True, "runner")]
    assert ("battery.off", True, "supervisor") not in done
    assert bench.server.off_at() is not None
