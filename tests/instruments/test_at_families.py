"""Every layer of modems against its simulated personality: one contract, table by table."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sim_modem

from bench.errors import ConfigurationError, Refused
from bench.station.drivers import WrongInstrument, load_driver
from bench.station.interfaces import PowerSaving
from fixtures.sim.at_models import MODELS
from instruments.modem import drivers
from instruments.modem.errors import ModemHung
from instruments.modem.families.common import mode_for, mode_told
from instruments.modem.vendors import VENDORS

FAMILIES = {
    "eg25": "quectel-eg",
    "bg95": "quectel-bg9x",
    "rg500q": "quectel-rg",
    "sara-r510": "u-blox-sara-r5",
    "sara-r412": "u-blox-sara-r4",
    "le910": "telit-le910",
    "me910": "telit-me910",
    "sim7600": "simcom-sim7600",
    "sim7080": "simcom-sim7000",
    "nrf9160": "nordic-nrf91",
    "em7455": "sierra-em",
    "hl7812": "sierra-hl78",
    "fm350": "fibocom",
}
NEIGHBOURS = ("eg25", "bg95", "rg500q", "nrf9160", "fm350")
TWO_SLOTS = ("eg25", "rg500q", "le910", "em7455", "fm350")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One PKI for all worlds."""
    return tmp_path_factory.mktemp("home")


def test_every_layer_has_a_personality_and_a_driver():
    assert set(FAMILIES.values()) == {vendor.name for vendor in VENDORS}
    assert set(FAMILIES) | {"redcap"} == set(MODELS)
    for vendor in VENDORS:
        assert load_driver(vendor.driver) is not None


@pytest.mark.parametrize("model", FAMILIES)
def test_contract(model, home):
    rats = MODELS[model].rats
    rat = rats[0]

    async def body():
        async with sim_modem.bench(home, model) as bench:
            modem, world = bench.modem, bench.world
            assert await modem.wait_ready(timeout=60) > 4.0
            assert modem.vendor.name == FAMILIES[model]
            assert modem.identity.model == MODELS[model].product
            assert modem.identity.firmware == MODELS[model].revision
            assert modem.imei == world.device.imei
            await modem.wait_sim_ready(timeout=60)
            assert await modem.eid() == world.options.eid
            assert await modem.iccid() == world.state()["modem"]["iccid"]
            # registration and cells, each as the world has them
            found = await modem.wait_registered(timeout=300)
            assert (found.plmn, found.rat) == ("00101", rat)
            cell, own = await modem.serving_cell(), world.network.cell(1)
            assert (cell.plmn, cell.rat, cell.tac, cell.cell_id) == ("00101", rat, own.tac, own.identity)
            assert abs(cell.rsrp - own.rsrp) <= 1.0 and cell.rsrq == -10.0
            for name in ("pci", "earfcn", "band"):
                assert getattr(cell, name) in (None, getattr(own, name)), name
            if model in NEIGHBOURS:
                (other,) = await modem.neighbour_cells()
                assert other.pci == world.network.cell(2).pci
            else:
                with pytest.raises(Refused, match="neighbour cells of"):
                    await modem.neighbour_cells()
            # data
            (context,) = await modem.pdp_contexts()
            assert (context.cid, context.apn) == (1, "bootstrap.iot")
            # bands: written, held, and the only ones the device uses
            assert set(await modem.bands()) >= set(rats)
            if model == "em7455":
                with pytest.raises(Refused, match="password"):
                    await modem.set_bands({rat: (3, 20)})
            else:
                await modem.set_bands(dict.fromkeys(rats, (3, 20)))
                assert world.device.bands == (3, 20)
                with pytest.raises(ConfigurationError, match="no bands of"):
                    await modem.set_bands({"GSM": (3,)})
            # RATs
            assert set(await modem.rats()) <= set(rats)
            if len(rats) > 1:
                await modem.set_rats(["NB-IoT"])
                assert world.device.rats == ("NB-IoT",)
                await modem.set_rats([rat])
            else:
                await modem.set_rats([rat])
            assert world.device.rats == (rat,)
            with pytest.raises(ConfigurationError, match="not 6G"):
                await modem.set_rats(["6G"])
            # sleep
            wanted = PowerSaving(True, 36_000.0, 10.0)
            assert await modem.set_power_saving(wanted) == wanted == await modem.power_saving()
            assert not (await modem.set_power_saving(replace(wanted, enabled=False))).enabled
            await modem.set_extended_drx(rat, 80.0)
            assert [item.requested for item in await modem.extended_drx()] == [81.92]
            # slots
            assert await modem.slot() == 1
            if model not in TWO_SLOTS:
                with pytest.raises(Refused, match="SIM slot 2"):
                    await modem.select_slot(2)
            # restart and power-down
            if modem.vendor.reset:
                boots = world.device.boots
                await modem.reset(timeout=90)
                assert world.device.boots == boots + 1
            else:
                with pytest.raises(Refused, match="no command for a restart"):
                    await modem.reset(timeout=90)
            if model == "em7455":
                with pytest.raises(Refused, match="switch sierra-em modems off"):
                    await modem.power_down()
            else:
                await modem.power_down(timeout=30)
                state = (await bench.do(lambda world: world.state()))["device"]
                assert state["power"] == "OFF_LEAK" or (model, state["cfun"]) == ("nrf9160", 0)

    sim_modem.run(body)


@pytest.mark.parametrize("model", TWO_SLOTS)
def test_a_slot_without_a_card_is_said_and_the_first_is_found_again(model, home):
    async def body():
        async with sim_modem.bench(home, model) as bench:
            await bench.modem.wait_ready(timeout=60)
            await bench.modem.wait_sim_ready(timeout=60)
            with pytest.raises(Exception, match="not ready after 2 s"):
                await bench.modem.select_slot(2, timeout=2.0)
            assert (await bench.modem.slot(), bench.world.device.sim) == (2, "absent")
            await bench.modem.select_slot(1)
            assert bench.world.device.sim == "ready"
            with pytest.raises(ConfigurationError, match="slots 1 to 2"):
                await bench.modem.select_slot(3)

    sim_modem.run(body)


def test_the_slot_of_the_configuration_is_selected_whenever_the_modem_starts(home):
    async def body():
        async with sim_modem.bench(home, "eg25", extra={"slot": 1}) as bench:
            await bench.do(lambda world: world.device.select_slot(2))  # as someone has left it
            await bench.modem.wait_ready(timeout=60)
            assert await bench.modem.slot() == 1
            await bench.modem.wait_sim_ready(timeout=60)

    sim_modem.run(body)


@pytest.mark.parametrize(
    ("driver", "model", "words"),
    [
        (drivers.QuectelBg9x, "eg25", r"is for quectel-bg9x modems; the modem says it is a Quectel EG25"),
        (drivers.UbloxSaraR5, "bg95", r"is for u-blox-sara-r5 modems.*driver = 'quectel-bg9x', or 'at-modem'"),
        (drivers.TelitLe910, "sim7080", r"SIMCOM_Ltd SIMCOM_SIM7080.*driver = 'simcom-sim7000'"),
    ],
)
def test_the_driver_of_another_family_is_refused_in_words(driver, model, words, home):
    async def body():
        async with sim_modem.bench(home, model, driver=driver) as bench:
            with pytest.raises(WrongInstrument, match=words):
                await bench.modem.wait_ready(timeout=60)

    sim_modem.run(body)


def test_forbidden_plmns_are_cleared_and_the_modem_reads_the_card_again(home):
    async def body():
        async with sim_modem.bench(home, "bg95") as bench:
            modem, world = bench.modem, bench.world
            await modem.wait_ready(timeout=60)
            await modem.wait_sim_ready(timeout=60)
            await modem.command('AT+CRSM=214,28539,0,0,12,"62F210FFFFFF130014FFFFFF"')
            assert await modem.forbidden_plmns() == ("26201", "310410")
            assert await modem.clear_forbidden_plmns() == ("26201", "310410")
            assert await modem.forbidden_plmns() == ()
            assert world.device.functionality == 1
            assert [plmn for plmn in world.device.mobility.lists.fplmn if plmn] == []

    sim_modem.run(body)


def test_causes_of_a_rejected_attach(home):
    faults = [{"do": "cell-off", "cell": 2}, {"do": "reject", "cell": 1, "cause": 15}]

    async def body():
        async with sim_modem.bench(home, "nrf9160", faults=faults) as bench:
            await bench.modem.wait_ready(timeout=60)
            with pytest.raises(Exception, match="EMM cause 15"):
                await bench.modem.wait_registered(timeout=60)
            found = await bench.modem.failure_cause()
            assert (found.emm, found.esm) == (15, None)
            assert "EMM cause 15" in found.text

    sim_modem.run(body)


# --- the recovery ladder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "until", "layers"),
    [
        ("eg25", "second-port", ["at", "second-port"]),
        ("eg25", "cfun", ["at", "second-port", "cfun"]),
        ("sara-r510", "cfun", ["at", "second-port", "cfun"]),
        ("eg25", "reset-line", ["at", "second-port", "cfun", "usb", "reset-line"]),
        ("bg95", "supply", ["at", "second-port", "cfun", "usb", "reset-line", "supply"]),
    ],
)
def test_the_mildest_layer_that_helps_is_the_last(model, until, layers, home):
    async def body():
        async with sim_modem.bench(home, model) as bench:
            await bench.modem.wait_ready(timeout=60)
            await bench.do(lambda world: world.device.hang(until))

            async def pulse():
                await bench.do(lambda world: world.device.hardware_reset())

            told = []
            found = await bench.modem.recover(power=bench, reset_line=pulse, report=told.append)
            assert [step.layer for step in found.steps] == layers
            assert found.steps == tuple(told)
            assert found.layer == layers[-1]
            assert [step.outcome for step in found.steps if step.layer == "usb"] in ([], ["not-available"])
            assert all(step.detail for step in told)
            assert await bench.modem.command("AT") == []

    sim_modem.run(body)


def test_a_hang_names_what_ends_it(home):
    async def body():
        async with sim_modem.bench(home, "eg25") as bench:
            with pytest.raises(
                ConfigurationError, match="until = 'prayer' is none of second-port, cfun, reset-line, supply"
            ):
                await bench.do(lambda world: world.faults.arm({"do": "modem-hang", "until": "prayer"}))

    sim_modem.run(body)


def test_a_modem_that_answers_needs_nothing_done(home):
    async def body():
        async with sim_modem.bench(home, "eg25") as bench:
            await bench.modem.wait_ready(timeout=60)
            boots = bench.world.device.boots
            found = await bench.modem.recover(power=bench)
            assert [(step.layer, step.outcome) for step in found.steps] == [("at", "recovered")]
            assert bench.world.device.boots == boots

    sim_modem.run(body)


@pytest.mark.parametrize("timeout", [30.0, 32.5, 35.0, 37.5])
def test_a_modem_that_hangs_while_it_is_waited_for_is_not_one_that_is_not_registered(home, timeout):
    """Whether the deadline comes while it is asked or between two questions: what it said last is no state any more."""

    async def body():
        async with sim_modem.bench(home, "eg25") as bench:
            await bench.modem.wait_ready(timeout=60)
            await bench.do(lambda world: world.faults.arm({"do": "modem-hang", "until": "supply", "at": 12.0}))
            with pytest.raises(ModemHung, match="does not answer AT commands"):
                await bench.modem.wait_registered(plmn="26201", timeout=timeout)

    sim_modem.run(body)


def test_no_layer_after_the_last_allowed_is_tried(home):
    async def body():
        async with sim_modem.bench(home, "eg25") as bench:
            await bench.modem.wait_ready(timeout=60)
            await bench.do(lambda world: world.device.hang("supply"))
            boots = bench.world.device.boots
            with pytest.raises(ModemHung, match=r"at: AT unanswered 3 times; second-port: .*; cfun: ") as caught:
                await bench.modem.recover(power=bench, last="cfun")
            assert "supply:" not in str(caught.value)
            assert bench.world.device.boots == boots

    sim_modem.run(body)


def test_a_combination_of_rats_that_no_value_stands_for_is_refused_with_what_there_is():
    modes = {"0": ("LTE", "GSM"), "1": ("GSM",), "7": ("GSM",)}
    assert mode_for(["GSM", "LTE"], modes, "+X") == "0"
    assert mode_for(["GSM"], modes, "+X") == "1"
    with pytest.raises(Refused, match=r"\+X has no value for LTE and NR together") as caught:
        mode_for(["LTE", "NR"], modes, "+X")
    assert caught.value.hint == "it has LTE and GSM; GSM"
    assert mode_told(["+X: 0"], "+X", modes) == ("LTE", "GSM")
    assert mode_told(["+X: 9"], "+X", modes) == mode_told(["+Y: 0"], "+X", modes) == ()
