"""What the morning report says of planted failures: rate, clusters with their conditions, nearest pass, comparison."""

from __future__ import annotations

import random
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.soak import book as books
from bench.soak import morning
from bench.soak.clusters import conditions
from bench.soak.compare import compare
from bench.soak.index import Index
from bench.soak.owner import Owner
from bench.soak.parquet import columns
from bench.soak.plan import loads
from bench.soak.schedule import Item
from bench.soak.signature import context_of, normalised, signature
from tests.soak.fake_runs import FakeRuns

PLAN = """
title = "planted <b>"
cycles = 3000
segment = 500
seed = 11
order = "shuffled"
[[recipes]]
recipe = "euicc-info"
name = "switch"
sweep = { hold = [1, 2, 5], band = ["B3", "B8", "B20"] }
ranges = { level = { from = -120.0, to = -80.0 } }
"""


def planted(item: Item) -> str:
    """Fail 2 % in all, for three causes with a condition each."""
    draw = random.Random(item.seed + 1).random()
    values = item.parameters
    if values["hold"] == 5 and draw < 0.02:
        return f"fail the card answered SW 6F00 at APDU {int(draw * 1e5)}"
    if values["band"] == "B20" and draw > 0.98:
        return f"fail rejected with cause 15 after {draw * 100:.1f} s"
    if item.index == 7:
        return "aside the <i>supply</i> came back late"
    if values["level"] < -110 and 0.5 < draw < 0.53:
        return "fail the device did not register within 180 s"
    return "pass"


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FakeRuns]:
    home = tmp_path_factory.mktemp("planted")
    (home / "plan.toml").write_text(PLAN)
    plan = loads(PLAN)
    folder = books.create(home / "home" / "runs", home / "plan.toml", plan, 11)
    fake = FakeRuns(plan, folder, home / "home" / "runs", lambda _s, item, _a: planted(item))
    Owner(folder, fake).run()
    return folder, fake


def test_the_report_names_three_causes_with_their_conditions(soak: tuple[Path, FakeRuns]) -> None:
    folder, _ = soak
    found = morning.write(folder)
    assert found["counted"] == 3000
    low, high = found["interval"]
    assert low <= 0.02 <= high
    told = {cluster["signature"]: [item["text"] for item in cluster["conditions"]] for cluster in found["clusters"]}
    assert len(told) == 3
    by_word = {
        word: next(value for key, value in told.items() if word in key) for word in ("6F00", "cause 15", "regist")
    }
    assert by_word["6F00"] == ["hold = 5"]
    assert by_word["cause 15"] == ["band = B20"]
    assert len(by_word["regist"]) == 1
    assert by_word["regist"][0].startswith("level <= -11")
    assert all(cluster["nearest_run"] for cluster in found["clusters"])
    assert morning.line_of(found).startswith("planted <b>: fail: ")
    assert ", 1 failed right after it and begun again;" in morning.line_of(found)
    assert [item["then"] for item in found["set_aside"]] == ["pass"]
    for rate in (found, *found["rates"]):  # equal failures in a row are one trial; of trials the interval is made
        cycles, events = rate.get("counted", rate["cycles"]), rate.get("failure_events", rate.get("events"))
        assert rate["trials"] == cycles - rate["failures"] + events


def test_the_report_is_whole_in_every_form(soak: tuple[Path, FakeRuns]) -> None:
    folder, _ = soak
    morning.write(folder)
    html = (folder / morning.REPORT).read_text()
    assert "planted &lt;b&gt;" in html
    assert "<b>" not in html
    assert "<th class=n>trials</th>" in html and "<th>recipe</th>" in html
    assert "<h2>Set aside</h2>" in html and "the &lt;i&gt;supply&lt;/i&gt; came back late" in html
    suite = ElementTree.parse(folder / morning.JUNIT).getroot()
    cases = {case.get("name") or "": case for case in suite.iter("testcase")}
    assert sum(name.startswith("cluster: ") for name in cases) == 3
    assert cases["hold: 5"].find("failure") is not None


def test_the_index_filters_and_exports(soak: tuple[Path, FakeRuns]) -> None:
    folder, fake = soak
    with Index(fake.runs) as index:
        index.update()
        band = index.cycles("band=B8", f"soak={folder.name}")
        assert len(band) == 1000
        assert {cycle.data["parameters"]["band"] for cycle in band} == {"B8"}
        table = columns(index.cycles())
        assert len(table["parameters.level"]) == len(table["verdict"]) == 3000
        assert index.find_runs(soak=folder.name, limit=2) == sorted(run.name for run in fake.runs.iterdir())[:-3:-1]
        with pytest.raises(BenchError):
            index.cycles("a';--=1")
    fake.runs.parent.joinpath("index.sqlite").write_bytes(b"no database at all, but long enough to be one" * 100)
    with Index(fake.runs) as index:
        assert index.update() == 6
        assert sum(index.count().values()) == 3000


def test_compare_says_what_it_can_and_what_not(soak: tuple[Path, FakeRuns]) -> None:
    _, fake = soak
    with Index(fake.runs) as index:
        index.update()
        a, b = index.cycles("band=B8"), index.cycles("band=B20")
        c = index.cycles("band=B3")
    worse = compare("B8", a, "B20", b)
    assert worse.difference.lower > 0
    assert "fails more often" in worse.said
    same = compare("B8", a, "B3", c)
    assert "no difference is shown" in same.said
    assert same.detectable is not None
    assert 0.0 < same.detectable < 0.05
    assert compare("x", a[:4], "y", c[:4]).said.startswith("not enough runs")
    assert not any(item.differs for item in same.timings if item.name == "switch")


def test_chance_is_no_condition() -> None:
    draw = random.Random(3)

    def some(count: int) -> list[dict[str, object]]:
        return [
            {**{f"p{n}": draw.choice(["a", "b"]) for n in range(20)}, "level": draw.uniform(0, 1)} for _ in range(count)
        ]

    assert sum(bool(conditions(some(12), some(400))) for _ in range(50)) <= 3


def test_signatures_of_equal_failures_are_equal_and_codes_stay() -> None:
    one = signature(
        "cycle/round-3/switch", "/lib/x/job.py:12: EID 89049032123451234512345678901235: SW 6985 after 2.5 s"
    )
    two = signature("cycle/round-7/switch", "/usr/y/job.py:40: EID 89049032999999999999999999999999: SW 6985 after 9 s")
    assert one == two
    assert signature("switch", "SW 6985") != signature("switch", "SW 6F00")
    assert context_of("refused with SW 6985, then HTTP 503 and cause 15") == "SW 6985, HTTP 503, cause 15"


@settings(max_examples=25)
@given(st.text(max_size=300))
def test_every_message_has_a_signature(message: str) -> None:
    found = normalised(message)
    assert len(found) <= 300
    assert "\n" not in found


def test_numbers_are_written_as_people_do_and_stand_at_the_right_edge() -> None:
    assert [morning._n(value, "+.3g") for value in (-7.73e-05, 6.8e-07, 0.0618)] == ["-0.0001", "+0", "+0.0618"]
    assert morning._pairs({"bytes": 55_729_400.0, "power_cuts": 3}) == "55729400 bytes, 3 power cuts"
    table = morning._table(("name", "p50", "trend"), [("a", "0.27", morning._Bold("-0.0001")), ("7", "12", "")])
    assert table == (
        "<table><thead><tr><th>name</th><th class=n>p50</th><th class=n>trend</th></tr></thead>"
        "<tr><td>a</td><td class=n>0.27</td><td class=n><strong>-0.0001</strong></td></tr>"
        "<tr><td>7</td><td class=n>12</td><td class=n></td></tr></table>"
    )


def test_a_soak_that_goes_on_is_not_told_as_if_it_had_ended() -> None:
    found = {"title": "night", "simulated": False, "verdict": "pass", "stopped": "", "failures": 0, "counted": 9}
    more = {"rate": 0.0, "interval": [0.0, 0.3], "failure_events": 0, "clusters": [], "set_aside": []}
    told = dict.fromkeys(("off_baseline", "bench_errors", "interrupted", "resumes"), 0)
    assert morning.line_of({**found, **more, **told}).startswith("night: still running, so far pass: 0 of 9 cycles")
