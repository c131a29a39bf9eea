"""One contract for every driver of a network emulator, each against its simulated emulator on a real socket."""

from __future__ import annotations

import re

import pytest
from instrument_doubles import MemoryLane
from network_bench import IMEI, IMSI, TARGETS, emulated, run

from bench.errors import ConfigurationError, Refused
from bench.station.drivers import SafeDriver, WarmDriver, load_driver
from bench.station.interfaces import SafeAction
from bench.station.network import ABILITY_WORDS, LinkLimits, NetworkSubscriber, PdnSettings

KEY, OPC = bytes(range(16)), bytes(range(100, 116))
KINDS = tuple(TARGETS)


def calls(network):
    """Every method that needs an ability, with arguments that are right."""
    return {
        "cell": lambda: network.set_cell(True),
        "plmn": lambda: network.set_plmn("26202"),
        "tac": lambda: network.set_tac(77),
        "band": lambda: network.set_band(20),
        "power": lambda: network.set_power(-100.0),
        "subscriber": lambda: network.set_subscriber(NetworkSubscriber("262020000000001", KEY, OPC)),
        "apn": lambda: network.set_pdn(PdnSettings(apn="internet")),
        "address": lambda: network.set_pdn(PdnSettings(address="10.1.2.3")),
        "dns": lambda: network.set_pdn(PdnSettings(dns=("10.9.9.9",))),
        "mtu": lambda: network.set_pdn(PdnSettings(mtu=1400)),
        "sms": lambda: network.send_sms("hello"),
        "paging": network.page,
        "detach": network.detach,
        "reject-attach": lambda: network.reject("attach", 11),
        "reject-tau": lambda: network.reject("tau", 9),
        "attached": network.attached,
        "options": network.options,
        "throughput": lambda: network.limit(LinkLimits(rate=100.0)),
    }


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def opened(kind, folder, body, **changes):
    async def inner():
        async with emulated(kind, folder) as emulator:
            lane = MemoryLane("scpi:emu")
            network = await emulator.open(lane, **changes)
            try:
                return await body(emulator, network, lane)
            finally:
                await network.close()

    return run(inner)


def test_opening_switches_nothing_and_reads_who_it_is(kind, tmp_path):
    async def body(emulator, network, lane):
        assert network.identity.manufacturer and network.identity.model
        assert not any(cell.on for cell in emulator.network.cells)
        assert tuple(await network.cells()) == emulator.cells
        assert set(network.abilities.can) <= set(ABILITY_WORDS)
        assert not any(re.search(rb"(STAT|LVL|ACTive|cell_gain).* (ON|1)", data) for data in lane.sent())

    opened(kind, tmp_path, body)


def test_a_cell_on_and_off_is_read_back(kind, tmp_path):
    async def body(emulator, network, lane):
        cell = emulator.network.cells[0]
        for _ in range(2):
            await network.set_cell(True)
            assert cell.on and cell.transmitting and await network.cell_on()
            await network.set_cell(False)
            assert not cell.on and not await network.cell_on()

    opened(kind, tmp_path, body)


def test_what_is_declared_works_and_reaches_the_cell(kind, tmp_path):
    async def body(emulator, network, lane):
        cell = emulator.network.cells[0]
        can = network.abilities.can
        call = calls(network)
        if "plmn" in can:
            await call["plmn"]()
            assert cell.plmn == "26202"
            await network.set_plmn("310410")
            assert cell.plmn == "310410"
        if "tac" in can:
            await call["tac"]()
            assert cell.tac == 77
        if "band" in can:
            await call["band"]()
            assert cell.band == 20
        if "rat" in can:
            await network.set_rat("LTE-M")
            assert cell.rat == "LTE-M"
        if "subscriber" in can:
            await call["subscriber"]()
            found = cell.hss["262020000000001"]
            assert (found.k, found.opc) == (KEY, OPC)
        if "apn" in can:
            await call["apn"]()
            assert {apn for item in cell.hss.values() for apn in item.apns} == {"internet"}
        if "dns" in can:
            await call["dns"]()
            assert cell.dns == "10.9.9.9"
        if "mtu" in can:
            await call["mtu"]()
            assert cell.mtu == 1400
        if "address" in can:
            await call["address"]()
            assert emulator.network.new_address(cell) == "10.1.2.3"
        if "reject-attach" in can:
            for cause in sorted(network.abilities.attach_causes):
                await network.reject("attach", cause)
                assert cell.reject_attach is not None and cell.reject_attach.cause == cause
            await network.reject("attach", None)
            assert cell.reject_attach is None
        if "reject-tau" in can:
            await call["reject-tau"]()
            assert cell.reject_tau is not None and cell.reject_tau.cause == 9
            await network.reject("tau", None)
            assert cell.reject_tau is None
        if "options" in can:
            assert await network.options()
        await network.set_cell(True)
        if "power" in can:
            await call["power"]()
            assert cell.level == cell.rsrp == -100.0

    opened(kind, tmp_path, body)


def test_the_attached_device_and_what_is_done_to_it(kind, tmp_path):
    async def body(emulator, network, lane):
        await network.set_cell(True)
        assert await network.attached() is None
        assert await network.attached_imsi() == ""
        address = emulator.attach()
        found = await network.attached()
        assert found.imsi == IMSI == await network.attached_imsi()
        assert found.imei[:14] == IMEI[:14]
        assert not found.addresses or found.addresses == (address,)
        assert found.connected is False
        emulator.state = "CEST"
        assert (await network.attached()).connected is True
        can = network.abilities.can
        if "paging" in can:
            await network.page()
            assert emulator.done.paged == [1]
        if "sms" in can:
            await network.send_sms("hello; *RST 1,2")
            assert emulator.done.messages == [(1, "hello; *RST 1,2")]
        if "detach" in can:
            await network.detach()
            assert emulator.done.detached == [1]
            emulator.state = "ON"
            assert await network.attached_imsi() == ""

    opened(kind, tmp_path, body)


def test_what_is_not_declared_is_refused_with_words_before_anything_is_sent(kind, tmp_path):
    async def body(emulator, network, lane):
        for ability, call in calls(network).items():
            if ability in network.abilities:
                continue
            before = len(lane.packets)
            with pytest.raises(Refused, match=re.escape(ABILITY_WORDS[ability])) as caught:
                await call()
            assert len(lane.packets) == before, ability
            assert caught.value.where and caught.value.hint
        before = len(lane.packets)
        for call in (network.set_cell(True, cell=99), network.attached(cell=99), network.reject("attach", 8, cell=99)):
            with pytest.raises(Refused, match="not one of this station's"):
                await call
        with pytest.raises(Refused, match="has no 5G"):
            await network.set_rat("5G")
        assert len(lane.packets) == before

    opened(kind, tmp_path, body)


def test_values_that_are_none_are_told_before_anything_is_sent(kind, tmp_path):
    wrong = {
        "plmn": [lambda n, v=v: n.set_plmn(v) for v in ("", "0010", "00a01", "0010101", "٠٠١٠١")],
        "tac": [lambda n, v=v: n.set_tac(v) for v in (-1, 65536)],
        "band": [lambda n, v=v: n.set_band(v) for v in (0, 999)],
        "power": [lambda n, v=v: n.set_power(v) for v in (40.0, -400.0, float("nan"))],
        "subscriber": [
            lambda n, s=s: n.set_subscriber(s)
            for s in (NetworkSubscriber("00101", KEY, OPC), NetworkSubscriber(IMSI, KEY[1:], OPC))
        ],
        "apn": [lambda n, v=v: n.set_pdn(PdnSettings(apn=v)) for v in ("", 'a"b', "a" * 64)],
        "dns": [lambda n: n.set_pdn(PdnSettings(dns=("10.9.9.9", "host")))],
        "mtu": [lambda n, v=v: n.set_pdn(PdnSettings(mtu=v)) for v in (0, 100_000)],
        "sms": [lambda n, v=v: n.send_sms(v) for v in ("", "x" * 161, 'a"b', "a\nb", "ä")],
        "reject-attach": [lambda n, v=v: n.reject("attach", v) for v in (0, 1, 4, 255)],
    }

    async def body(emulator, network, lane):
        before = len(lane.packets)
        for ability, attempts in wrong.items():
            if ability not in network.abilities:
                continue
            for attempt in attempts:
                with pytest.raises((ConfigurationError, Refused)):
                    await attempt(network)
        assert len(lane.packets) == before

    opened(kind, tmp_path, body)


def test_keys_are_on_no_lane_and_in_no_text(kind, tmp_path):
    subscriber = NetworkSubscriber("262020000000001", KEY, OPC)
    secrets = {KEY.hex(), OPC.hex(), KEY.hex()[:16], OPC.hex()[8:24]}

    async def body(emulator, network, lane):
        if "subscriber" not in network.abilities:
            return
        await network.set_subscriber(subscriber)
        text = " ".join(f"{data.decode('latin-1')} {comment}" for _, data, comment in lane.packets)
        flat = (text + repr(subscriber) + str(subscriber)).lower().replace(",", "")
        assert not [secret for secret in secrets if secret in flat]
        assert "262020000000001" in text

    opened(kind, tmp_path, body)


def test_safe_switches_off_by_itself_and_reads_it_back(kind, tmp_path):
    driver = load_driver(TARGETS[kind])
    assert isinstance(driver, SafeDriver) and isinstance(driver, WarmDriver)

    async def inner():
        import asyncio

        async with emulated(kind, tmp_path) as emulator:
            network = await emulator.open()
            for number in emulator.cells:
                await network.set_cell(True, cell=number)
            action = network.safe_action()
            await network.close()
            assert all(cell.on for cell in emulator.network.cells)
            result = await asyncio.to_thread(driver.make_safe, action, deadline=3.0)
            assert result.verified, result
            assert not any(cell.on for cell in emulator.network.cells)
            other = SafeAction("network.off", action.driver, {**action.options, "serial": "ANOTHER"})
            emulator.network.switch(emulator.network.cells[0], True, at_once=True)
            result = await asyncio.to_thread(driver.make_safe, other, deadline=0.4)
            assert not result.verified and "not touched" in result.message
            assert emulator.network.cells[0].on

    run(inner)


# SCPI only: another WebSocket server does not greet as Amarisoft's does, which tests of its own hold.
@pytest.mark.parametrize(("kind", "other"), [("cmw500", "uxm"), ("uxm", "cmw500"), ("mt8821c", "cmw500")])
def test_another_instrument_at_the_address_is_named(kind, other, tmp_path):

    async def inner():
        async with emulated(other, tmp_path) as emulator:
            emulator.kind = kind
            with pytest.raises(Exception, match=r"which is no|does not answer"):
                await emulator.open(cells=(1,))

    run(inner)
