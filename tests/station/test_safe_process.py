"""``python -m bench.station.safe``: a process of its own, against a real socket, within a second."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from instrument_doubles import ScpiDouble, listener_that_is_closed

from bench.station import safe
from bench.station.drivers import SafeResult
from bench.station.interfaces import SafeAction

ROOM = Path(__file__).parent
KEYSIGHT = "instruments.power.keysight:KeysightE36300"


def off(resource, driver=KEYSIGHT, **options):
    return SafeAction("power.off", driver, {"name": "psu", "resource": resource, **options}, 1, 0.3)


def run(tmp_path, *actions, deadline=2.0):
    plan = tmp_path / "plan.json"
    plan.write_text(safe.dump(actions, deadline=deadline))
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bench.station.safe", str(plan)], capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, json.loads(done.stdout), time.monotonic() - start


@pytest.fixture
def double():
    with ScpiDouble() as found:
        found.on, found.voltage = True, 3.8
        yield found


def test_off_and_verified_within_the_two_seconds_there_are(double, tmp_path):
    double.decay = 0.1
    code, report, took = run(tmp_path, off(double.resource, serial="MY12345678"))
    assert code == 0 and report["safe"] is True
    (result,) = report["results"]
    assert result["verified"] is True and result["reading"] < 0.3
    assert not double.on
    assert took < 2.0


def test_it_imports_little(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(safe.dump([]))
    code = (
        "import sys, runpy; sys.argv = ['safe', sys.argv[1]]\n"
        "import bench.station.safe as s, instruments.power.keysight\n"
        "s.main([sys.argv[1]]); print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(plan)], capture_output=True, text=True, check=True)
    assert not {"pyvisa", "pydantic", "serial", "asn1tools", "cryptography", "aiohttp"} & set(done.stdout.split())


def test_what_fails_or_hangs_never_keeps_the_next_from_its_turn(double, tmp_path):
    with ScpiDouble() as mute, listener_that_is_closed() as port:
        mute.answer = lambda line: None
        code, report, took = run(
            tmp_path,
            off("x", driver="no.such:Driver"),
            off(mute.resource),
            off(f"TCPIP::127.0.0.1::{port}::SOCKET"),
            off(double.resource),
            deadline=0.5,
        )
    assert code == 3 and report["safe"] is False
    assert [result["verified"] for result in report["results"]] == [False, False, False, True]
    assert "cannot be loaded" in report["results"][0]["message"]
    assert "refused" in report["results"][2]["message"]
    assert not double.on
    assert took < 5.0


def test_the_actions_come_in_declared_order(tmp_path):
    with ScpiDouble() as first, ScpiDouble() as second:
        order = []
        for name, found in (("first", first), ("second", second)):
            real = found.supply

            def answer(line, name=name, real=real):
                if line.startswith("OUTP OFF"):
                    order.append(name)
                return real(line)

            found.answer = answer
        code, _, _ = run(tmp_path, off(second.resource), off(first.resource))
    assert code == 0 and order == ["second", "first"]


@pytest.mark.parametrize("text", ["", "{", '{"actions": 3}', '{"actions": [1]}'])
def test_a_plan_that_is_none_is_said_in_json(tmp_path, text):
    plan = tmp_path / "plan.json"
    plan.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "bench.station.safe", str(plan)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["safe"] is False


def test_a_plan_that_is_not_there():
    done = subprocess.run(
        [sys.executable, "-m", "bench.station.safe", "/no/plan"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "No such file" in json.loads(done.stdout)["error"]


def test_the_plan_can_come_by_stdin(double):
    done = subprocess.run(
        [sys.executable, "-m", "bench.station.safe", "-"],
        input=safe.dump([off(double.resource)]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and not double.on


# --- drivers without a way of their own -------------------------------------------------------------------------------


class Hanging:
    """A driver that hangs without an end."""

    @staticmethod
    def make_safe(action, *, deadline):
        time.sleep(60)


class Raising:
    """A driver that breaks."""

    @staticmethod
    def make_safe(action, *, deadline):
        raise ZeroDivisionError("oops")


class Plain:
    """A driver that knows only how to be opened."""

    volts = 3.8

    @classmethod
    async def open(cls, options):
        cls.options = options
        return cls()

    async def set_output(self, on):
        Plain.volts = 0.01

    async def wait_dead(self, *, timeout):
        return 0.0

    async def measure(self):
        from bench.station.interfaces import Reading

        return Reading(Plain.volts, 0.0)

    async def close(self):
        pass


def test_a_driver_that_hangs_or_breaks_is_left_behind(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOM))
    start = time.monotonic()
    hanging, raising, plain = safe.execute(
        [off("x", driver=f"test_safe_process:{name}") for name in ("Hanging", "Raising", "Plain")], deadline=0.2
    )
    assert time.monotonic() - start < 2.0
    assert not hanging.verified and "hung beyond 0.2 s" in hanging.message
    assert not raising.verified and "ZeroDivisionError: oops" in raising.message
    assert plain == SafeResult("power.off", True, 0.01, "0.010 V")
