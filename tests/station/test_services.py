"""Service processes: announced, ended, killed, dying, silent, surviving."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bench.errors import ConfigurationError, InstrumentError
from bench.station import drivers, services

ANNOUNCE = "import sys, json, time, signal; print(json.dumps({'https': 'x', 'pid': 1}), flush=True);"


class Definition:
    """A service whose program is a Python text."""

    def __init__(self, code: str) -> None:
        self.code = code

    def argv(self, home, options):
        return [sys.executable, "-c", self.code, *map(str, options.values())]

    def client(self, announcement, home):
        return ("client", announcement["https"])


@pytest.fixture
def service(monkeypatch):
    def use(code):
        monkeypatch.setattr(services, "load_service", lambda name, where="": Definition(code))

    return use


def start(tmp_path, **options):
    return services.start("double", home=tmp_path, log=tmp_path / "logs" / "double.log", **options)


def gone(group):
    """Whether no process of the group is left but those that wait for init to bury them."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, found = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(found) == group and state not in "ZX":
            return False
    return True


def test_a_service_announces_itself_and_ends_when_told(service, tmp_path):
    service("import sys; sys.stderr.write('hello'); sys.stderr.flush();" + ANNOUNCE + "time.sleep(100)")

    async def run():
        found = await start(tmp_path)
        assert found.announcement == {"https": "x", "pid": 1}
        assert found.client == ("client", "x")
        assert os.getpgid(found.pid) == found.pid
        assert found.running
        found.signal(0)
        code = await found.stop()
        assert not found.running
        assert gone(found.pid)
        return code

    assert asyncio.run(run()) == -signal.SIGTERM
    assert (tmp_path / "logs" / "double.log").read_text() == "hello"


def test_a_service_that_ignores_the_request_is_killed_with_its_children(service, tmp_path):
    service(
        "import subprocess, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen(['sleep', '100']);" + ANNOUNCE + "time.sleep(100)"
    )

    async def run():
        found = await start(tmp_path)
        began = time.monotonic()
        code = await found.stop(deadline=0.3)
        assert time.monotonic() - began < 3.0
        await asyncio.sleep(0.05)
        return code, gone(found.pid)

    assert asyncio.run(run()) == (-signal.SIGKILL, True)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.stderr.write('no such file: keys'); sys.exit(4)", "exit code 4.*\nno such file: keys"),
        ("import os; os.kill(os.getpid(), 11)", "ended by SIGSEGV"),
        ("print('not json')", "announced no JSON object but b'not json'"),
        ("print('[1]', flush=True); import time; time.sleep(9)", "announced no JSON object"),
        ("import time; time.sleep(9)", r"announced nothing within 0\.5 s"),
        ("import os, time; os.close(1); time.sleep(9)", "closed its output"),
        ("print('x' * (2 << 20), end='', flush=True); import time; time.sleep(9)", "more than it should"),
    ],
)
def test_a_service_that_fails_to_start_says_why_and_is_gone(service, tmp_path, code, message):
    service(code)

    async def run():
        with pytest.raises(InstrumentError, match=message) as caught:
            await start(tmp_path, deadline=0.5 if "within" in message else 5.0)
        assert "service double" in str(caught.value)

    asyncio.run(run())


def test_a_program_that_is_not_there(monkeypatch, tmp_path):
    definition = Definition("")
    definition.argv = lambda home, options: ["/no/such/program"]
    monkeypatch.setattr(services, "load_service", lambda name, where="": definition)
    with pytest.raises(InstrumentError, match="cannot be started"):
        asyncio.run(start(tmp_path))


def test_the_death_of_a_service_is_noticed_with_its_code(service, tmp_path):
    service(ANNOUNCE + "sys.stdin.read(); sys.exit(7)")

    async def run():
        found = await start(tmp_path)
        return await asyncio.wait_for(asyncio.shield(found.exited), 5.0)

    assert asyncio.run(run()) == 7


def test_what_it_writes_later_never_blocks_it(service, tmp_path):
    service(ANNOUNCE + "print('x' * 1000000, flush=True); sys.exit(9)")

    async def run():
        found = await start(tmp_path)
        return await asyncio.wait_for(asyncio.shield(found.exited), 5.0)

    assert asyncio.run(run()) == 9


def test_a_lifeline_ends_it_with_its_parent(service, tmp_path):
    service(ANNOUNCE + "assert '--with-parent' in sys.argv; sys.stdin.read(); sys.exit(3)")

    async def run():
        read, write = os.pipe()
        found = await start(tmp_path, lifeline=read)
        os.close(read)
        assert found.running
        os.close(write)
        return await asyncio.wait_for(asyncio.shield(found.exited), 5.0)

    assert asyncio.run(run()) == 3


def test_a_released_service_lives_on(service, tmp_path):
    service(ANNOUNCE + "time.sleep(100)")

    async def run():
        found = await start(tmp_path)
        found.release()
        return found.pid

    pid = asyncio.run(run())
    assert not gone(pid)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_cancelling_the_start_leaves_no_process(service, tmp_path):
    service("import os, time; open(os.environ['PIDFILE'], 'w').write(str(os.getpid())); time.sleep(100)")
    pid_file = tmp_path / "pid"
    os.environ["PIDFILE"] = str(pid_file)

    async def run():
        task = asyncio.ensure_future(start(tmp_path))
        async with asyncio.timeout(5.0):
            while not (pid_file.exists() and pid_file.read_text()):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        asyncio.run(run())
    finally:
        del os.environ["PIDFILE"]
    assert gone(int(pid_file.read_text()))


def test_an_unknown_service_or_driver_is_answered_with_a_suggestion():
    with pytest.raises(ConfigurationError, match="did you mean 'smdpp'"):
        drivers.load_service("smdp")
    with pytest.raises(ConfigurationError, match=r"x\.toml:3.*did you mean 'keysight-e36300'"):
        drivers.load_driver("keysight-e3600", where="x.toml:3")
    with pytest.raises(ConfigurationError, match="cannot be loaded: No module named"):
        drivers.load_driver("no.such.module:Driver")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        drivers.load_driver("instruments.power.keysight:NoSuchClass")


def test_the_entry_points_of_a_source_checkout_are_known_without_an_import():
    import subprocess

    code = "import sys, bench.station.drivers as d; d.known_drivers(); print('instruments' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert drivers.known_drivers()["keysight-e36300"] == "instruments.power.keysight:KeysightE36300"
