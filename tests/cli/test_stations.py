"""bench stations: reservations refuse the runs of others with owner and note, end by themselves, and are given back."""

from __future__ import annotations

import datetime
import fcntl

import pytest
from command_line import Bench

from bench.errors import BenchError, ConfigurationError, StationHeld
from bench.station import reservations

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def lock_folder(tmp_path, monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("BENCH_OWNER", "anna")


def test_runs_of_others_are_refused_with_owner_and_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench.json("stations", "reserve", "sim", "--until", "2h", "--note", "do not\nunplug")
    assert (made["code"], made["owner"], made["note"]) == (0, "anna", "do not unplug")
    row = next(row for row in bench.json("stations")["stations"] if row["station"] == "sim")
    assert row["reserved"]["owner"] == "anna"
    assert "do not unplug" in bench.call("stations").output
    monkeypatch.setenv("BENCH_OWNER", "ben")
    refused = bench.call("run", "power-cycle-and-register", "--clock", "instant")
    assert isinstance(refused.exception, StationHeld)
    assert "reserved for anna until" in str(refused.exception)
    assert "do not unplug" in str(refused.exception)
    assert not (bench.home / "runs").exists()
    told = bench.json("doctor", "--station", "sim", "--no-services")
    assert [item["name"] for item in told["checks"] if item["state"] == "fail"] == ["sim reserved"]
    for line in (("reserve", "sim", "--until", "1h"), ("release", "sim")):
        assert isinstance(bench.call("stations", *line).exception, StationHeld)
    assert bench.json("stations", "release", "sim", "--force")["released"]["owner"] == "anna"
    assert bench.json("stations", "release", "sim")["released"] is None


EVERYTHING = """
[stations.lab]
power = { driver = "keysight-e36300", resource = "r", voltage = 3.8, current_limit = 1.0, voltage_max = 4.3 }
network = { driver = "rs-cmw500", resource = "r" }
attenuator = { driver = "mini-circuits-rcdat", resource = "http://192.0.2.1" }
modem = { driver = "at-modem", port = "/dev/ttyS0" }
switch = { driver = "numato-relay", port = "/dev/ttyS1" }
card = { at = "switch" }
data = { path = "host" }
[stations.lab.dut]
reset = "relay1:3"
battery = "relay1:4"
lines = { relay1 = { driver = "numato-lines", port = "/dev/ttyS2" } }
console = { app = "/dev/ttyS3", modem = "/dev/ttyS4" }
flash = { command = ["true"] }
"""


def test_everything_that_a_station_names_is_listed(bench: Bench) -> None:
    bench.configure(EVERYTHING)
    rows = {row["station"]: row["has"] for row in bench.json("stations")["stations"]}
    assert rows["lab"] == [
        "power", "network", "attenuator", "modem", "switch", "reader", "console:app", "console:modem", "lines:relay1",
        "card", "data", "reset", "battery", "flash",
    ]  # fmt: skip
    assert "attenuator" in rows["sim"] and "console:app" in rows["sim-device"]
    assert "console:app, console:modem, lines:relay1" in bench.call("stations").output


def test_the_owner_runs_changes_and_releases(bench: Bench) -> None:
    bench.json("stations", "reserve", "sim", "--until", "2h")
    later = bench.json("stations", "reserve", "sim", "--until", "3h", "--note", "longer")
    assert later["note"] == "longer"
    reservations.require(_key(bench), "sim")
    assert bench.json("stations", "release", "sim")["released"]["note"] == "longer"
    assert bench.call("stations", "reserve", "simm", "--until", "2h").exit_code != 0


def _key(bench: Bench) -> str:
    return f"station sim of {bench.home.absolute()}"


def test_it_ends_by_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    key = _key(bench)
    made = reservations.reserve(key, "sim", until=NOW + datetime.timedelta(days=3650), note="x")
    assert reservations.get(key) == made
    assert reservations.get(key, now=made.end) is None
    reservations.reserve(key, "sim", until=datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1))
    monkeypatch.setenv("BENCH_OWNER", "ben")
    reservations.require(key, "sim")
    assert reservations.reserve(key, "sim", until=NOW + datetime.timedelta(days=3650)).owner == "ben"


@pytest.mark.parametrize(
    ("text", "minutes"), [("4h", 240), ("30min", 30), ("1.5h", 90), ("2d", 2880), ("2026-11-21T13:00:00+00:00", 60)]
)
def test_times(text: str, minutes: int) -> None:
    assert reservations.until(text, now=NOW) == NOW + datetime.timedelta(minutes=minutes)


def test_a_time_of_day_is_the_next_one() -> None:
    for text in ("00:00", "12:00", "23:59"):
        assert datetime.timedelta(0) < reservations.until(text, now=NOW) - NOW <= datetime.timedelta(days=1)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2020-01-01", "90d", "-1h", "9e9h", "0h", "9" * 400 + "d"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigurationError):
        reservations.until(text, now=NOW)


def test_a_spoilt_file_is_no_reservation(bench: Bench) -> None:
    from bench.station import locks

    key = _key(bench)
    reservations.reserve(key, "sim", until=NOW + datetime.timedelta(days=3650))
    path = next(path for path in locks.folder().iterdir() if "reservation" in path.name)
    for text in ("", "{", "[]", '{"until": "never"}', '{"station":"s","owner":"o","until":"x","note":"","since":""}'):
        path.write_text(text)
        assert reservations.get(key) is None


def test_a_program_that_keeps_the_file_is_not_waited_for_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.station import locks

    monkeypatch.setattr(reservations, "_WITHIN", 0.05)
    key, end = _key(bench), NOW + datetime.timedelta(days=3650)
    reservations.reserve(key, "sim", until=end)
    path = next(path for path in locks.folder().iterdir() if "reservation" in path.name)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BenchError, match="another program keeps the file") as caught:
            reservations.reserve(key, "sim", until=end, note="later")
    assert f"sudo fuser -v {path}" in caught.value.hint
    assert reservations.reserve(key, "sim", until=end, note="later").note == "later"
