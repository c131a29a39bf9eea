"""The modem driver under faults: right error or recovery within its deadline, and never a wrong value."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
import sim_modem
from at_bench import opened
from instrument_doubles import PtyModem
from usb_tree import UsbTree

from bench.station.drivers import DriverOptions
from instruments.modem import recovery, usb
from instruments.modem.errors import ModemHung, PortGone
from instruments.modem.modem import AtModem


@pytest.fixture
def double(tmp_path):
    with PtyModem(tmp_path) as found:
        yield found


@pytest.fixture
def tree(tmp_path, monkeypatch):
    found = UsbTree(tmp_path / "usb")
    monkeypatch.setattr(usb, "SYS", found.classes)
    monkeypatch.setattr(usb, "DEV", found.dev)
    return found


def test_a_flood_of_events_delays_no_answer(double):
    """1 000 lines a second, in between of everything."""
    double.script["AT+CSQ"] = ["+CSQ: 15,99", "OK"]
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            double.say(*(f"+CEREG: {n % 6}" for n in range(20)))
            stop.wait(0.02)

    async def body():
        seen = []
        async with opened(double) as modem:
            modem.port.listeners.append(seen.append)
            thread = threading.Thread(target=flood)
            thread.start()
            try:
                begin = time.monotonic()
                for _ in range(200):
                    assert await modem.command("AT+CSQ") == ["+CSQ: 15,99"]
                while len(seen) < 500:
                    await modem.command("AT+CSQ")
                return time.monotonic() - begin
            finally:
                stop.set()
                thread.join()

    assert asyncio.run(asyncio.wait_for(body(), 10.0)) < 5.0


def test_a_port_cut_in_the_middle_of_an_answer(double):
    def half():
        double.raw(b'\r\n+CRSM: 144,0,"980001')
        threading.Timer(0.05, double.unplug).start()

    double.script["AT+CRSM=*"] = half

    async def body():
        async with opened(double) as modem:
            with pytest.raises(PortGone, match="went away"):
                await modem.iccid()
            with pytest.raises(PortGone, match="not there"):
                await modem.iccid()

    asyncio.run(asyncio.wait_for(body(), 5.0))


def test_an_answer_later_than_the_mark_is_thrown_away(double):
    """The late answer comes after the mark was sent, and 0.3 s after its own deadline."""
    double.script["AT+CSQ"] = lambda: time.sleep(0.5) or ["+CSQ: 1,99", "OK"]

    async def body():
        async with opened(double) as modem:
            with pytest.raises(ModemHung):
                await modem.command("AT+CSQ", timeout=0.2)
            double.script["AT+CSQ"] = ["+CSQ: 2,99", "OK"]
            return await modem.command("AT+CSQ", timeout=0.2)

    assert asyncio.run(asyncio.wait_for(body(), 5.0)) == ["+CSQ: 2,99"]
    assert "AT+CMEE?" in double.commands


# --- ports by their place in the USB tree -----------------------------------------------------------------------------


def test_a_port_that_comes_back_under_another_name(double, tree):
    tree.tty("1-1.4", 2, "ttyUSB2", str(double.link.resolve()))
    tree.tty("1-1.4", 3, "ttyUSB3", "/dev/null")
    double.script["AT+CIMI"] = ["001010000000001", "OK"]

    def back():
        double.plug()
        tree.tty("1-1.4", 2, "ttyUSB7", str(double.link.resolve()))

    async def body():
        modem = await AtModem.open(DriverOptions(name="modem", port="usb:1-1.4:if02"))
        try:
            assert await modem.imsi() == "001010000000001"
            tree.gone("ttyUSB2")
            await asyncio.to_thread(double.unplug)
            with pytest.raises(PortGone):
                await modem.imsi()
            asyncio.get_running_loop().call_later(0.3, back)
            assert await modem.wait_ready(timeout=5.0) >= 0.2
            return await modem.imsi()
        finally:
            await modem.close()

    assert asyncio.run(asyncio.wait_for(body(), 10.0)) == "001010000000001"


def test_the_usb_layer_takes_the_device_from_its_drivers_and_gives_it_back(double, tree, monkeypatch):
    """No restart by command helps; the device behind the port is de-authorised and authorised, nothing else."""
    monkeypatch.setattr(usb, "_OFF", 0.05)
    monkeypatch.setattr(recovery, "_PING", 0.1)
    monkeypatch.setattr(recovery, "_BLIND", 0.1)
    monkeypatch.setattr(recovery, "_GOES_DOWN", 0.1)
    monkeypatch.setattr(recovery, "_COMES_BACK", 1.0)
    tree.tty("1-1.4", 2, "ttyUSB2", str(double.link.resolve()))
    tree.device("1-1.3")
    switch = tree.device("1-1.4") / "authorized"
    written = []
    write = Path.write_text

    def watched(path, text, *more, **kept):
        if path.name == "authorized":
            written.append((path.parent.name, text))
            if text == "1":
                double.hung = False
        return write(path, text, *more, **kept)

    monkeypatch.setattr(Path, "write_text", watched)

    async def body():
        modem = await AtModem.open(DriverOptions(name="modem", port="usb:1-1.4:if02"))
        try:
            await modem.wait_ready(timeout=5.0)
            double.hung = True
            return await modem.recover()
        finally:
            await modem.close()

    found = asyncio.run(asyncio.wait_for(body(), 20.0))
    assert found.layer == "usb"
    assert [step.outcome for step in found.steps] == ["failed", "not-available", "failed", "recovered"]
    assert written == [("1-1.4", "0"), ("1-1.4", "1")]
    assert switch.read_text() == "1"


def test_a_path_leads_to_its_usb_device_too(tree):
    tree.tty("1-1.4", 2, "ttyUSB2", "/dev/null")
    assert usb.device_folder("usb:1-1.4:if02") == tree.device("1-1.4")
    assert usb.device_folder("usb:1-9") is None
    assert usb.device_folder("/dev/null") is None


# --- the simulated modem ----------------------------------------------------------------------------------------------


def where(modem):
    """Return the device file the configured port leads to now."""
    return Path(modem.address).resolve()


def test_a_port_that_is_gone_for_ten_seconds_is_waited_for_and_no_lock_up(tmp_path):
    async def body():
        async with sim_modem.bench(tmp_path, "eg25", reenumerate=True) as bench:
            modem = bench.modem
            await modem.wait_ready(timeout=60)
            before = modem.port.generation
            await bench.do(lambda world: world.device.interrupt(10.0))
            await bench.clock.sleep(1.0)
            with pytest.raises(PortGone):
                await modem.command("AT")
            found = await modem.recover(power=bench)
            assert [(step.layer, step.outcome) for step in found.steps] == [("at", "recovered")]
            assert 9.0 < found.elapsed < 30.0
            assert modem.port.generation == before + 1 and where(modem).exists()
            await modem.wait_sim_ready(timeout=30)
            assert await modem.imsi() == "001010000000001"

    sim_modem.run(body)


def test_a_restart_in_the_middle_of_a_command_is_an_error_and_then_over(tmp_path):
    async def body():
        async with sim_modem.bench(tmp_path, "bg95") as bench:
            modem = bench.modem
            await modem.wait_ready(timeout=60)
            scan = asyncio.ensure_future(modem.command("AT+COPS=?", timeout=60.0))
            await bench.clock.sleep(2.0)
            await bench.do(lambda world: world.device.hardware_reset())
            with pytest.raises(ModemHung, match=r"AT\+COPS=\?"):
                await scan
            await modem.wait_ready(timeout=60)
            await modem.wait_sim_ready(timeout=60)
            assert await modem.imsi() == "001010000000001"
            assert modem.resets >= 1

    sim_modem.run(body)
