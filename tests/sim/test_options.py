"""Options of a world that cannot be: each is refused where it stands, with what would do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ConfigurationError
from fixtures.sim.control import ControlServer
from fixtures.sim.service import SERVICE
from fixtures.sim.world import World, WorldOptions

from .fake_card import FakeCard

WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({"rat": "gsm"}, "no RAT 'gsm'", "--rat", "lte, lte-m"),
    ({"modem": "nokia"}, "no modem 'nokia'", "--modem", "bg95"),
    ({"supply": "e3631a"}, "no supply 'e3631a'", "--supply", "e36312a, "),
    ({"power_channel": 0}, "e36312a has no channel 0", "--power-channel", "1 to 3"),
    ({"power_channel": 4}, "e36312a has no channel 4", "--power-channel", "1 to 3"),
    ({"network": "cmu200"}, "no emulator 'cmu200'", "--network", "cmw500, mt8821c"),
    ({"network_cells": 9}, "cmw500 cannot have 9 cells", "--network-cells", "1 to 8"),
    ({"network": "mt8821c", "network_cells": 2}, "mt8821c cannot have 2 cells", "--network-cells", "1 to 1"),
    (
        {"subscriber": [Path("/nowhere.der")]},
        "/nowhere.der cannot be read: No such file",
        "--subscriber",
        "DER",
    ),
    ({"subscriber": [Path("/dev/null")]}, "/dev/null has no subscriber", "--subscriber", "USIM"),
    ({"constants": Path("/dev/null"), "profile": "unit"}, "no RAT profile 'unit'", "/dev/null", ""),
    ({"constants": Path("/nowhere.toml")}, "the figures of the model cannot be read", "/nowhere.toml", "TOML"),
    ({"faults": [{"do": "cell-off", "cell": 9}]}, "there is no cell 9", "fault 1", "1, 2"),
    ({"clock": "fast"}, "unknown clock mode 'fast'", "--clock", "instant, real or scaled:N"),
]
CHECKED: list[tuple[dict[str, Any], str, str]] = [
    ({"refrsh": "full"}, "no option 'refrsh'", "refresh"),
    ({"refresh": "wird"}, "--refresh: invalid choice: 'wird'", "--help"),
    ({"capacitance": -1}, "--capacitance: '-1' is no number from 1e-09 to 1 F", "--help"),
    ({"lead_resistance": "nan"}, "--lead-resistance: 'nan' is no number from 0 to 100 ohm", "--help"),
    ({"poll_interval": 0}, "--poll-interval: '0' is no number from 1 to 604800 s", "--help"),
    ({"power_port": 65536}, "--power-port: '65536' is no number from 0 to 65535", "--help"),
    ({"faults": [{"do": "card-status", "sw": "zz"}]}, "sw = 'zz' is not hexadecimal", "6F00"),
    ({"faults": [{"do": "cell-off"}, {"do": "cell-off", "cell": 3}]}, "there is no cell 3", "1 to 2"),
    ({"faults": [{"do": "cell-off", "cell": 2}], "network_cells": 1}, "there is no cell 2", "1 to 1"),
    ({"faults": [{"do": "modem-hang", "until": "prayer"}]}, "until = 'prayer' is none of", "reset-line"),
    ({"faults": [{"do": "smdpp-misbehave", "name": "expired"}]}, "no misbehaviour 'expired'", "expired-certificate"),
    ({"faults": [{"do": "eim-misbehave", "name": "bpp"}]}, "no misbehaviour 'bpp' at this server", ""),
    (
        {"faults": [{"do": "smdpp-misbehave", "name": "bpp", "parameters": {"form": "mag"}}]},
        "form = 'mag' is none of",
        "",
    ),
]
"""What is known without a world, before anything is started."""
ROUTES = [("eim.example=8443", "'8443' is no target"), ("eim.example:x=127.0.0.1:1", "'eim.example:x' is no name")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize(("options", "what", "where", "hint"), WRONG, ids=[f"{wrong[0]}" for wrong in WRONG])
def test_a_wrong_option_says_what_would_do(
    home: Path, options: dict[str, Any], what: str, where: str, hint: str
) -> None:
    async def start() -> None:
        world = World(WorldOptions(home, **options), card=FakeCard())
        try:
            await world.start()
        finally:
            await world.close()

    with pytest.raises(ConfigurationError) as refused:
        asyncio.run(start())
    assert refused.value.what.startswith(what)
    assert refused.value.where == where
    assert hint in refused.value.hint


@pytest.mark.parametrize(("options", "what", "hint"), CHECKED, ids=[f"{wrong[0]}" for wrong in CHECKED])
def test_a_wrong_option_is_refused_before_a_world_is_started(options: dict[str, Any], what: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SERVICE.check(options)
    assert what in refused.value.what
    assert hint in refused.value.hint


def test_what_is_right_is_let_through() -> None:
    SERVICE.check({})
    faults = [
        {"do": "cell-off", "cell": 2},
        {"do": "modem-hang", "until": "supply"},
        {"do": "smdpp-misbehave", "name": "bpp", "count": 0, "parameters": {"form": "mac"}, "seconds": 5.0},
    ]
    SERVICE.check({"refresh": "ignored", "card_without": ["ecall"], "faults": faults})


@pytest.mark.parametrize(("route", "what"), ROUTES)
def test_a_wrong_route_ends_the_start(home: Path, route: str, what: str) -> None:
    async def start() -> None:
        world = World(WorldOptions(home, routes=[route]), card=FakeCard())
        try:
            with pytest.raises(ConfigurationError) as refused:
                await world.start()
        finally:
            await world.close()
        assert (refused.value.what, refused.value.where) == (what, f"--route {route}")
        assert refused.value.hint

    asyncio.run(start())


def test_the_station_is_free_again_after_a_refused_start(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="no RAT"):
        World(WorldOptions(home, rat="gsm"), card=FakeCard())
    first = World(WorldOptions(home), card=FakeCard())
    with pytest.raises(ConfigurationError, match="another simulated world"):
        World(WorldOptions(home), card=FakeCard())
    asyncio.run(first.close())


def test_what_the_control_socket_refuses(home: Path) -> None:
    world = World(WorldOptions(home), card=FakeCard())
    server = ControlServer(world, lambda: None)
    try:
        for request, hint in (
            ({"op": "dance"}, "state, route"),
            ({"op": "flash", "version": "2"}, "--ipa device"),
            ({"op": "cell", "rat": "GSM"}, "LTE"),
            ({"op": "route", "name": "eim.example", "target": "127.0.0.1"}, "host:port"),
        ):
            with pytest.raises(ConfigurationError) as refused:
                server.handle(request)
            assert hint in refused.value.hint
    finally:
        asyncio.run(world.close())
