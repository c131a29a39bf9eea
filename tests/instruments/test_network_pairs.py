"""Literal commands and answers of each family (reference instruments_modems 1.3 and 1.4), sent and understood.

The other side is a script, not our simulator: what the driver sends must be these lines and no others.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from instrument_doubles import MemoryLane, ScpiDouble
from network_bench import run

from bench.errors import InstrumentError
from bench.station.drivers import DriverOptions
from bench.station.network import AttachedDevice, NetworkSubscriber, PdnSettings
from instruments.attenuator.rcdat import MiniCircuitsRcdat
from instruments.network.amarisoft import AmarisoftCallbox
from instruments.network.cmw500 import CAUSES, RsCmw500, cause_word
from instruments.network.mt8821c import AnritsuMt8821c
from instruments.network.uxm import KeysightUxm

KEY, OPC = bytes(range(16)), bytes(range(16, 32))
WHO = {
    RsCmw500: "Rohde&Schwarz,CMW,1201.0002k50/100001,3.7.170",
    AnritsuMt8821c: "ANRITSU,MT8821C,6261234567,30.00#003",
    KeysightUxm: "Keysight Technologies,E7515B,MY58120123,C.10.05.01",
}

PAIRS = [
    (RsCmw500, lambda n: n.set_plmn("00101"), None, [
        "CONFigure:LTE:SIGN1:CELL:MCC 1", "CONFigure:LTE:SIGN1:CELL:MNC:DIGits TWO", "CONFigure:LTE:SIGN1:CELL:MNC 1",
    ]),
    (RsCmw500, lambda n: n.set_tac(1), None, ["CONFigure:LTE:SIGN1:CELL:TAC 1"]),
    (RsCmw500, lambda n: n.set_band(3), None, ["CONFigure:LTE:SIGN1:PCC:BAND OB3"]),
    (RsCmw500, lambda n: n.set_power(-85), None, ["CONFigure:LTE:SIGN1:DL:PCC:RSEPre:LEVel -85.0"]),
    (RsCmw500, lambda n: n.set_rat("LTE-M"), None, ["CONFigure:LTE:SIGN1:PCC:EMTC:ENABle ON"]),
    (RsCmw500, lambda n: n.set_cell(True), None, [
        "SOURce:LTE:SIGN1:CELL:STATe ON",
        ("SOURce:LTE:SIGN1:CELL:STATe:ALL?", "ON,PEND"), ("SOURce:LTE:SIGN1:CELL:STATe:ALL?", "ON,ADJ"),
    ]),
    (RsCmw500, lambda n: n.set_cell(False), None, [
        "SOURce:LTE:SIGN1:CELL:STATe OFF", ("SOURce:LTE:SIGN1:CELL:STATe:ALL?", "OFF,ADJ"),
    ]),
    (RsCmw500, lambda n: n.set_subscriber(NetworkSubscriber("001010123456063", KEY, OPC)), None, [
        'CONFigure:LTE:SIGN1:CELL:UEIDentity:IMSI "001010123456063"',
        "CONFigure:LTE:SIGN1:CELL:SECurity:MILenage ON",
        "CONFigure:LTE:SIGN1:CELL:SECurity:SKEY #H000102030405060708090A0B0C0D0E0F",
        "CONFigure:LTE:SIGN1:CELL:SECurity:OPC #H101112131415161718191A1B1C1D1E1F",
    ]),
    (RsCmw500, lambda n: n.reject("attach", 11), None, ["CONFigure:LTE:SIGN1:CELL:RCAuse:ATTach PLMN11"]),
    (RsCmw500, lambda n: n.reject("tau", 10), None, ["CONFigure:LTE:SIGN1:CELL:RCAuse:TAU C10"]),
    (RsCmw500, lambda n: n.reject("attach", None), None, ["CONFigure:LTE:SIGN1:CELL:RCAuse:ATTach OFF"]),
    (RsCmw500, lambda n: n.detach(), None, ["CALL:LTE:SIGN1:PSWitched:ACTion DETach"]),
    (RsCmw500, lambda n: n.page(), None, ["CALL:LTE:SIGN1:PSWitched:ACTion CONNect"]),
    (RsCmw500, lambda n: n.send_sms("hi"), None, [
        'CONFigure:LTE:SIGN1:SMS:OUTGoing:INTernal "hi"', "CALL:LTE:SIGN1:PSWitched:ACTion SMS",
    ]),
    (RsCmw500, lambda n: n.set_pdn(PdnSettings(apn="iot", dns=("192.0.2.53",), mtu=1400)), None, [
        'CONFigure:LTE:SIGN1:CONNection:APN "iot"', "CONFigure:DATA:CONTrol:DNS:PRIMary:STYPe FOReign",
        'CONFigure:DATA:CONTrol:DNS:FOReign:IPVFour:PRIMary:ADDRess "192.0.2.53"', "CONFigure:DATA:CONTrol:MTU 1400",
    ]),
    (RsCmw500, lambda n: n.attached(), AttachedDevice("001010123456063", "490154203237518", ("10.0.0.2",), False), [
        ("FETCh:LTE:SIGN1:PSWitched:STATe?", "ATT"), ("SENSe:LTE:SIGN1:UESinfo:IMSI?", '"001010123456063"'),
        ("SENSe:LTE:SIGN1:UESinfo:IMEI?", '"490154203237518"'),
        ("SENSe:LTE:SIGN1:UESinfo:UEADdress:IPV4?", '"10.0.0.2"'),
    ]),
    (RsCmw500, lambda n: n.attached_imsi(), "", [("FETCh:LTE:SIGN1:PSWitched:STATe?", "ON")]),
    (RsCmw500, lambda n: n.options(), ["KS500", "KA100"], [("*OPT?", "KS500,KA100")]),
    (AnritsuMt8821c, lambda n: n.set_plmn("00101"), None, ["MCC 001", "MNC 01"]),
    (AnritsuMt8821c, lambda n: n.set_band(1), None, ["BAND 1"]),
    (AnritsuMt8821c, lambda n: n.set_power(-85), None, ["OLVL -85.0"]),
    (AnritsuMt8821c, lambda n: n.set_cell(True), None, [
        ("STDSEL?", "WCDMA"), "STDSEL LTE", "CALLPROC ON", "LVL ON", ("LVL?", "ON"), ("CALLPROC?", "ON"),
    ]),
    (AnritsuMt8821c, lambda n: n.set_cell(False), None, ["CALLSO", "LVL OFF", "CALLPROC OFF", ("LVL?", "OFF")]),
    (AnritsuMt8821c, lambda n: n.attached_imsi(), "", [("CALLSTAT?", "1")]),
    (AnritsuMt8821c, lambda n: n.attached(), AttachedDevice("001010123456063", "", (), False), [
        ("CALLSTAT?", "2"), ("CALLIMSI?", "001010123456063"), ("CALLIMEI?", ""),
    ]),
    (KeysightUxm, lambda n: n.set_band(3), None, ["BSE:CONFig:LTE:CELL1:BAND 3", "BSE:CONFig:LTE:CELL1:APPLY"]),
    (KeysightUxm, lambda n: n.set_cell(True), None, [
        "BSE:CONFig:LTE:CELL1:ACTive 1", ("BSE:STATus:LTE:CELL1?", "OFF"), ("BSE:STATus:LTE:CELL1?", "IDLE"),
    ]),
    (KeysightUxm, lambda n: n.set_cell(False), None, [
        "BSE:CONFig:LTE:CELL1:ACTive 0", ("BSE:STATus:LTE:CELL1?", "OFF"),
    ]),
    (KeysightUxm, lambda n: n.cell_on(), True, [("BSE:STATus:LTE:CELL1?", "AGG")]),
]  # fmt: skip


class Script:
    """Answers what the script says in its order; housekeeping beside it."""

    def __init__(self, driver, script):
        self.left = [item if isinstance(item, tuple) else (item, None) for item in script]
        self.who = WHO[driver]
        self.anritsu = driver is AnritsuMt8821c
        self.wrong = []

    def __call__(self, line):
        if line == "*IDN?":
            return self.who
        if line == "*OPC?":
            return "1"
        if line == "*ESR?" and self.anritsu:
            return "0"
        if line == "SYST:ERR?" and not self.anritsu:
            return '0,"No error"'
        if not self.left or self.left[0][0] != line:
            self.wrong.append(line)
            return None
        return self.left.pop(0)[1]


@pytest.mark.parametrize(("driver", "call", "result", "script"), PAIRS)
def test_scpi_families(driver, call, result, script):
    with ScpiDouble() as double:
        double.answer = answers = Script(driver, script)

        async def body():
            network = await driver.open(DriverOptions(name="emu", resource=double.resource))
            try:
                return await call(network)
            finally:
                await network.close()

        assert run(body) == result
        assert (answers.wrong, answers.left) == ([], [])


def test_every_cause_of_the_cmw_by_its_word():
    words = {
        "IUE3", "EPS7", "PLMN11", "TANA12", "C13", "C17", "CONG22", "C2", "C5", "C6", "C8", "C9", "C10", "C14", "C15",
        "C16", "C18", "C19", "C20", "C21", "C23", "C24", "C25", "C26", "C35", "C39", "C40", "C42", "C95", "C96", "C97",
        "C98", "C99", "C100", "C101", "C111",
    }  # fmt: skip
    assert {cause_word(cause) for cause in CAUSES} == words


def test_the_mt8821c_tells_a_refused_command_by_esr():
    with ScpiDouble() as double:
        script = Script(AnritsuMt8821c, ["BAND 88"])
        answers = iter(["0", "32"])
        double.answer = lambda line: next(answers) if line == "*ESR?" else script(line)

        async def body():
            network = await AnritsuMt8821c.open(DriverOptions(name="emu", resource=double.resource))
            with pytest.raises(InstrumentError, match=r"emu: BAND 88: refused with command error \(\*ESR\? 32\)"):
                await network.set_band(88)
            await network.close()

        run(body)


# --- Amarisoft --------------------------------------------------------------------------------------------------------

READY = {"message": "ready", "type": "ENB", "name": "ENB", "version": "2024-12-13"}
CONFIG = {"cells": {"1": {"gain": -20, "tac": 1, "plmn_list": ["00101"]}}}
UES = {"ue_list": [{
    "rat_type": "LTE", "imsi": "001010123456789", "imeisv": "4901542032375101", "tac": 1, "tac_plmn": "00101",
    "registered": True, "enb_ue_id": 3, "bearers": [{"erab_id": 5, "ip": "192.168.2.2", "apn": "internet"}],
}]}  # fmt: skip


@contextlib.asynccontextmanager
async def callbox(script):
    """A process that answers requests by a list of (message as literal JSON without its id, answer)."""
    from aiohttp import web

    left = list(script)
    seen = []

    async def serve(request):
        assert "Origin" in request.headers
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps(READY))
        async for message in socket:
            found = json.loads(message.data)
            identity = found.pop("message_id")
            seen.append(found)
            answer = left.pop(0)[1] if left and left[0][0] == found else {"error": f"unexpected {found}"}
            # An answer without the id, as an event would be, belongs to nobody.
            await socket.send_str(json.dumps({"message": "event"}))
            await socket.send_str(json.dumps({"message": found["message"], "message_id": identity, **answer}))
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", left
    finally:
        await runner.cleanup()


GET = ({"message": "config_get"}, CONFIG)
AMARISOFT = [
    (lambda n: n.set_power(-90.0), None, [
        GET, ({"message": "cell_gain", "cell_id": 1, "gain": -20}, {}), GET]),
    (lambda n: n.set_cell(True), None, [GET]),
    (lambda n: n.attached(), AttachedDevice("001010123456789", "4901542032375101", ("192.168.2.2",), True), [
        GET, ({"message": "ue_get"}, UES)]),
    (lambda n: n.detach(), None, [
        GET, ({"message": "ue_get"}, UES),
        ({"message": "ue_detach", "imsi": "001010123456789", "type": 1, "cause": -1}, {})]),
    (lambda n: n.set_subscriber(NetworkSubscriber("001010123456789", KEY, OPC)), None, [
        ({"message": "ue_add", "ue_db": [{
            "sim_algo": "milenage", "imsi": "001010123456789", "K": KEY.hex(), "amf": 0x8000, "sqn": "000000000000",
            "opc": OPC.hex()}]}, {})]),
    (lambda n: n.set_pdn(PdnSettings(dns=("8.8.8.8",))), None, [
        ({"message": "config_set", "pdn_list": [{"apn": "internet", "dns_addr": ["8.8.8.8"]}]}, {})]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "result", "script"), AMARISOFT)
def test_amarisoft(call, result, script):
    async def body():
        async with callbox([GET, *script]) as (url, left):
            extra = {"mme": url, "full_power": -70.0, "apn": "internet"}
            network = await AmarisoftCallbox.open(DriverOptions(name="emu", resource=url, extra=extra))
            try:
                assert await call(network) == result
            finally:
                await network.close()
            assert left == []

    run(body)


def test_amarisoft_says_what_the_process_says():
    async def body():
        async with callbox([GET]) as (url, _):
            network = await AmarisoftCallbox.open(DriverOptions(name="emu", resource=url))
            with pytest.raises(InstrumentError, match="emu: config_get: unexpected"):
                await network.cell_on()
            await network.close()

    run(body)


# --- RCDAT ------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def attenuator_script(way, pairs):
    left, wrong = list(pairs), []

    def answer(command):
        if not left or left[0][0] != command:
            wrong.append(command)
            return "-99 Unrecognized Command. MN:RCDAT-6000-90 SN:11501150004"
        return left.pop(0)[1]

    async def telnet(reader, writer):
        while line := await reader.readline():
            writer.write(answer(line.decode().removesuffix("\r\n")).encode() + b"\r\n")
        writer.close()

    async def http(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = answer(head.split(" ")[1].removeprefix("/")).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(telnet if way == "telnet" else http, "127.0.0.1", 0)
    try:
        yield f"{way}://127.0.0.1:{server.sockets[0].getsockname()[1]}", left, wrong
    finally:
        server.close()


SINGLE = [("MN?", "MN=RCDAT-6000-90"), ("SN?", "SN=11501150004")]


@pytest.mark.parametrize("way", ["http", "telnet"])
@pytest.mark.parametrize(
    ("pairs", "channel"),
    [
        ([*SINGLE, ("SETATT=10.75", "1"), ("ATT?", "10.75")], 1),
        (
            [
                ("MN?", "MN=RC4DAT-6000-60"),
                ("SN?", "SN=11402120001"),
                (":CHAN:3:SETATT:10.75", "1"),
                ("ATT?", "0.0 1.25 10.75 60.0"),
            ],
            3,
        ),
    ],
)
def test_rcdat(way, pairs, channel):
    async def body():
        async with attenuator_script(way, pairs) as (url, left, wrong):
            lane = MemoryLane()
            made = await MiniCircuitsRcdat.open(DriverOptions(name="att", resource=url, channel=channel, lane=lane))
            assert made.identity.serial == pairs[1][1].partition("=")[2]
            assert made.highest == float(made.identity.model.rpartition("-")[2])
            await made.set_attenuation(10.75)
            await made.close()
            assert (left, wrong) == ([], [])
            assert lane.sent()[-1] == b"ATT?\r\n"

    run(body)


@pytest.mark.parametrize(
    ("answer", "words"),
    [("0", "it failed"), ("2", "out of range"), ("-99 Unrecognized Command. MN:RCDAT", "-99 Unrecognized Command")],
)
def test_rcdat_says_why_it_did_not_set(answer, words):
    async def body():
        async with attenuator_script("http", [*SINGLE, ("SETATT=10.00", answer)]) as (url, _, _):
            made = await MiniCircuitsRcdat.open(DriverOptions(name="att", resource=url))
            with pytest.raises(InstrumentError, match=words):
                await made.set_attenuation(10.0)

    run(body)


def test_rcdat_reads_back_what_it_set():
    async def body():
        async with attenuator_script("telnet", [*SINGLE, ("SETATT=10.00", "1"), ("ATT?", "0.00")]) as (url, _, _):
            made = await MiniCircuitsRcdat.open(DriverOptions(name="att", resource=url))
            with pytest.raises(InstrumentError, match="channel 1 reads 0 dB after 10 dB was set"):
                await made.set_attenuation(10.0)

    run(body)
