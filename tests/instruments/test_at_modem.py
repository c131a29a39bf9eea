"""The AT modem on a pty: readiness, registration, data, and its card after a profile switch."""

from __future__ import annotations

import asyncio

import pytest
from at_bench import with_modem
from instrument_doubles import PtyModem

from bench.errors import ConfigurationError, DeviceFailure
from bench.station.drivers import WrongInstrument
from instruments.modem.errors import ModemError, NotRegistered
from instruments.modem.modem import QuectelModem


@pytest.fixture
def double(tmp_path):
    with PtyModem(tmp_path) as found:
        yield found


# --- readiness --------------------------------------------------------------------------------------------------------


def test_ready_initialises_and_identifies(double):
    double.echo = True

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        return modem.identity, modem.imei

    identity, imei = with_modem(double, body)
    assert (identity.manufacturer, identity.model, identity.firmware) == ("Double", "D1", "D1R01")
    assert imei == identity.serial == "490154203237518"
    assert {"ATE0", "ATV1", "AT+CMEE=1", "AT+CEREG=5"} <= set(double.commands)


def test_a_modem_left_in_numeric_mode_and_without_radio_is_put_right(double):
    numeric = True

    def at():
        return b"0\r" if numeric else ["OK"]

    def verbose():
        nonlocal numeric
        numeric = False
        return ["OK"]

    double.script["AT"] = at
    double.script["ATV1"] = verbose
    double.script["AT+CFUN?"] = ["+CFUN: 4", "OK"]
    with_modem(double, lambda modem: modem.wait_ready(timeout=4.0))
    assert "AT+CFUN=1" in double.commands


def test_busy_at_the_start_is_waited_for(double):
    answers = [["+CME ERROR: 14"], ["+CME ERROR: 14"], ["OK"]]
    double.script["AT+CMEE=1"] = lambda: answers.pop(0)
    with_modem(double, lambda modem: modem.wait_ready(timeout=4.0))
    assert answers == []


def test_a_modem_that_refuses_its_first_commands_is_asked_again(double):
    answers = [["ERROR"], ["OK"]]
    double.script["ATE0"] = lambda: answers.pop(0)
    with_modem(double, lambda modem: modem.wait_ready(timeout=4.0))
    assert answers == []


def test_registration_events_are_switched_on_as_far_as_the_modem_knows_them(double):
    double.script["AT+CEREG=5"] = ["ERROR"]
    double.script["AT+CEREG=3"] = ["+CME ERROR: 50"]
    double.script["AT+CEREG=2"] = ["OK"]
    with_modem(double, lambda modem: modem.wait_ready(timeout=2.0))
    assert "AT+CEREG=2" in double.commands
    assert "AT+CEREG=1" not in double.commands


def test_another_imei_than_the_pinned_one_is_refused(double):
    with pytest.raises(WrongInstrument, match="490154203237518, not 356938035643809"):
        with_modem(double, lambda modem: modem.wait_ready(timeout=2.0), imei="356938035643809")


def test_the_card_is_waited_for_and_a_pin_is_said(double):
    answers = [["+CME ERROR: 10"], ["+CME ERROR: 14"], ["+CPIN: NOT READY", "OK"], ["+CPIN: READY", "OK"]]
    double.script["AT+CPIN?"] = lambda: answers.pop(0)
    with_modem(double, lambda modem: modem.wait_sim_ready(timeout=4.0))
    assert answers == []
    double.script["AT+CPIN?"] = ["+CPIN: SIM PIN", "OK"]
    with pytest.raises(ModemError, match="wants a PIN"):
        with_modem(double, lambda modem: modem.wait_sim_ready(timeout=4.0))
    double.script["AT+CPIN?"] = ["+CME ERROR: 10"]
    with pytest.raises(DeviceFailure, match=r"not ready after 0\.3 s.*SIM not inserted"):
        with_modem(double, lambda modem: modem.wait_sim_ready(timeout=0.3))


# --- network ----------------------------------------------------------------------------------------------------------


def test_registration_is_read_with_operator_and_rat(double):
    double.script["AT+CEREG?"] = b'\r\n+CEREG: 2\r\n\r\n+CEREG: 5,1,"002F","0012BEEF",7\r\n\r\nOK\r\n'
    double.script["AT+COPS?"] = ['+COPS: 0,2,"26201",7', "OK"]

    async def body(modem):
        return await modem.registration()

    found = with_modem(double, body)
    assert (found.registered, found.plmn, found.rat, found.tac, found.cell_id) == (
        True,
        "26201",
        "LTE",
        0x2F,
        0x12BEEF,
    )


def test_a_name_instead_of_numbers_is_asked_again(double):
    double.script["AT+CEREG?"] = ["+CEREG: 5,5", "OK"]
    answers = [['+COPS: 0,0,"Telekom",7', "OK"], ['+COPS: 0,2,"26201",7', "OK"]]
    double.script["AT+COPS?"] = lambda: answers.pop(0)
    found = with_modem(double, lambda modem: modem.registration())
    assert (found.plmn, found.roaming) == ("26201", True)


def test_registration_comes_by_event(double):
    double.script["AT+CEREG?"] = ["+CEREG: 5,2", "OK"]
    double.script["AT+COPS?"] = ['+COPS: 0,2,"99970",9', "OK"]

    async def body(modem):
        def register():
            double.script["AT+CEREG?"] = ['+CEREG: 5,1,"0001","00000002",9', "OK"]
            double.say('+CEREG: 1,"0001","00000002",9')

        asyncio.get_running_loop().call_later(0.2, register)
        return await modem.wait_registered(plmn="99970", rat="NB-IoT", timeout=10.0)

    found = with_modem(double, body)
    assert 0.1 < found.elapsed < 2.0
    assert found.rat == "NB-IoT"


def test_a_denied_registration_names_state_and_cause(double):
    double.script["AT+CEREG?"] = ["+CEREG: 5,2", "OK"]

    async def body(modem):
        asyncio.get_running_loop().call_later(0.1, double.say, '+CEREG: 3,"002F","0012BEEF",7,0,11')
        with pytest.raises(NotRegistered) as caught:
            await modem.wait_registered(plmn="99970", timeout=0.6)
        return str(caught.value)

    message = with_modem(double, body)
    assert "99970 within 0.6 s" in message
    assert "EMM cause 11 (PLMN not allowed)" in message


def test_registered_elsewhere_is_not_registered_here(double):
    double.script["AT+CEREG?"] = ["+CEREG: 5,1", "OK"]
    double.script["AT+COPS?"] = ['+COPS: 0,2,"00101",7', "OK"]

    async def body(modem):
        with pytest.raises(NotRegistered, match="registered, home on LTE 00101"):
            await modem.wait_registered(plmn="99970", timeout=0.3)

    with_modem(double, body)


def test_quectel_tells_lte_m_from_lte(double):
    double.script["AT+CEREG?"] = ["+CEREG: 5,1", "OK"]
    double.script["AT+COPS?"] = ['+COPS: 0,2,"26201",7', "OK"]
    double.script["AT+QNWINFO"] = ['+QNWINFO: "eMTC","26201","LTE BAND 20",6300', "OK"]
    found = with_modem(double, lambda modem: modem.registration(), driver=QuectelModem)
    assert found.rat == "LTE-M"


def test_signal(double):
    double.script["AT+CESQ"] = ["+CESQ: 99,99,255,255,20,50", "OK"]
    assert with_modem(double, lambda modem: modem.signal()) == {"rsrp": -91.0, "rsrq": -10.0}
    double.script["AT+CESQ"] = ["ERROR"]
    assert with_modem(double, lambda modem: modem.signal()) == {"rsrp": None, "rsrq": None}


class Pdp:
    """The PDP side of a modem: one context, on LTE it goes only with the attachment."""

    def __init__(self, double, *, last_may_go=True):
        self.defined = "bootstrap.iot"
        self.current = "bootstrap.iot"
        self.active = True
        self.attached = True
        self.last_may_go = last_may_go
        double.script |= {
            "AT+CGACT?": lambda: [f"+CGACT: 1,{int(self.active)}", "OK"],
            "AT+CGDCONT?": lambda: [f'+CGDCONT: 1,"IP","{self.defined}","0.0.0.0",0,0', "OK"],
            "AT+CGCONTRDP=*": lambda: (
                [
                    f'+CGCONTRDP: 1,5,"{self.current}.mnc070.mcc999.gprs","10.0.0.5","10.0.0.1","10.0.0.53","0.0.0.0"',
                    "OK",
                ]
                if self.active
                else ["+CME ERROR: 3"]
            ),
            "AT+CGDCONT=*": self.define,
            "AT+CGACT=*": self.act,
            "AT+CGATT=*": self.attach,
            "AT+CGATT?": lambda: [f"+CGATT: {int(self.attached)}", "OK"],
            "AT+CGPADDR=*": lambda: ['+CGPADDR: 1,"10.0.0.5"' if self.active else "+CGPADDR: 1", "OK"],
        }

    def define(self, line):
        self.defined = line.split('"')[3]
        return ["OK"]

    def act(self, line):
        if line.endswith("=0,1") and not self.last_may_go:
            return ["+CME ERROR: 171"]
        self.active = "=1," in line
        self.current = self.defined
        return ["OK"]

    def attach(self, line):
        self.attached = line.endswith("=1")
        self.active = self.attached
        self.current = self.defined
        return ["OK"]


@pytest.mark.parametrize("last_may_go", [True, False])
def test_a_context_on_another_apn_is_replaced(double, last_may_go):
    state = Pdp(double, last_may_go=last_may_go)
    found = with_modem(double, lambda modem: modem.activate_pdp("internet"))
    assert state.current == "internet"
    assert (found.address, found.dns) == ("10.0.0.5", ("10.0.0.53",))
    assert found.apn.startswith("internet")
    assert ("AT+CGATT=0" in double.commands) is not last_may_go


def test_a_context_that_is_right_is_left_alone(double):
    Pdp(double)
    with_modem(double, lambda modem: modem.activate_pdp("bootstrap.iot"))
    assert not any(command.startswith(("AT+CGACT=", "AT+CGDCONT=", "AT+CGATT=")) for command in double.commands)


@pytest.mark.parametrize("apn", ['a"b', "", "a b", "x" * 101])
def test_an_apn_that_is_none_is_not_sent(double, apn):
    with pytest.raises(ConfigurationError):
        with_modem(double, lambda modem: modem.activate_pdp(apn))
    assert double.commands == []


# --- card -------------------------------------------------------------------------------------------------------------


def test_iccid_and_imsi_are_read_from_the_card(double):
    double.script["AT+CRSM=176,12258,0,0,10"] = ['+CRSM: 144,0,"98100901000000001009"', "OK"]
    double.script["AT+CRSM=176,28423,0,0,9"] = ["+CRSM: 106,130", "OK"]
    double.script['AT+CRSM=176,28423,0,0,9,,"3F007FFF"'] = ["+CRSM: 144,0,080910100000000010", "OK"]
    double.script["AT+CIMI"] = ["001010000000001", "OK"]

    async def body(modem):
        return await modem.iccid(), await modem.card_imsi(), await modem.imsi()

    assert with_modem(double, body) == ("89019010000000000190", "001010000000001", "001010000000001")


def test_a_file_that_cannot_be_read_gives_its_status_word(double):
    double.script["AT+CRSM=*"] = ["+CRSM: 106,130", "OK"]
    with pytest.raises(DeviceFailure, match="6A82"):
        with_modem(double, lambda modem: modem.iccid())


def current(double, imsi="001010000000001", file="080910100000000010"):
    double.script["AT+CIMI"] = [imsi, "OK"]
    double.script["AT+CRSM=176,28423,0,0,9"] = [f'+CRSM: 144,0,"{file}"', "OK"]


def test_a_refresh_that_came_before_it_was_asked_for_counts(double):
    current(double)

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        await modem.wait_sim_ready(timeout=2.0)
        double.say("+CPIN: READY")
        await asyncio.sleep(0.1)
        return await modem.refresh_card(timeout=5.0)

    assert with_modem(double, body) == "refresh"
    assert "AT+CFUN=0" not in double.commands


def test_the_signs_of_the_boot_are_no_refresh(double):
    current(double)

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        double.say("+CPIN: READY", "+QUSIM: 1")
        await asyncio.sleep(0.05)
        await modem.wait_sim_ready(timeout=2.0)
        return await modem.refresh_card(timeout=0.5)

    assert with_modem(double, body) == "reset"
    assert double.commands.index("AT+CFUN=0") < double.commands.index("AT+CFUN=1")


def test_a_modem_that_keeps_the_old_imsi_after_the_signs_is_reset(double):
    current(double, imsi="999700000000002")

    def on():
        current(double)
        return ["OK"]

    double.script["AT+CFUN=1"] = on

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        double.say("+CPIN: READY")
        return await modem.refresh_card(timeout=5.0)

    assert with_modem(double, body) == "reset"


def test_a_card_that_is_busy_after_the_signs_is_waited_for(double):
    current(double)
    busy = [["+CME ERROR: 14"], ["+CME ERROR: 14"], ["001010000000001", "OK"]]
    double.script["AT+CIMI"] = lambda: busy.pop(0)

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        double.say("+CPIN: READY")
        return await modem.refresh_card(timeout=6.0)

    assert with_modem(double, body) == "refresh"
    assert busy == []


def test_the_last_rung_is_the_reset_of_the_modem(double):
    current(double, imsi="999700000000002")

    def reset():
        current(double)
        double.say("RDY")
        return ["OK"]

    double.script["AT+CFUN=1,1"] = reset

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        return await modem.refresh_card(timeout=4.0)

    assert with_modem(double, body) == "reset"
    assert "AT+CFUN=1,1" in double.commands


def test_a_modem_that_never_takes_the_profile_over_fails_and_says_so(double):
    current(double, imsi="999700000000002")
    double.script["AT+CFUN=1,1"] = lambda: double.say("RDY") or ["OK"]

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        double.say("+CPIN: READY")
        with pytest.raises(DeviceFailure, match="does not take over the new profile"):
            await modem.refresh_card(timeout=4.0)

    with_modem(double, body)


def test_a_refresh_that_re_enumerates(double):
    current(double)

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        await modem.wait_sim_ready(timeout=2.0)
        await asyncio.to_thread(double.unplug)
        asyncio.get_running_loop().call_later(0.3, double.plug)
        return await modem.refresh_card(timeout=5.0)

    assert with_modem(double, body) == "refresh"
