"""modem-qualification: a table of what a buyer checks; each check fails for itself, and what cannot be seen is said."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recipe_bench import Bench, Summary

from bench.errors import ConfigurationError
from bench.report.html import write
from recipes.modem_qualification import band_numbers, chosen

pytestmark = pytest.mark.timeout(120)

CHECKS = ("firmware", "euicc", "bands", "plmn-selection", "fplmn", "attach-failure", "lock-up", "restart", "brown-out")
EID = "89049032123451234512345678901235"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("qualification"))


def table(run: Summary) -> dict[str, dict[str, Any]]:
    """The rows of the last result, by check."""
    lines = (Path(run.found["folder"]) / "journal.jsonl").read_text().splitlines()
    results = [event for event in map(json.loads, lines) if event["type"] == "result"]
    found = [event["data"]["value"] for event in results if event["data"]["name"] == "modem_qualification"][-1]
    return {row["check"]: row for row in found["rows"]}


def without(*checks: str) -> str:
    return "skip=" + ",".join(name for name in CHECKS if name not in checks)


def test_a_modem_that_qualifies(bench: Bench) -> None:
    run = bench.run("modem-qualification", "sim", sets=("bands=3,8,20", "firmware=EG25GG"))
    assert run.verdict == "pass", run.errors
    rows = table(run)
    assert tuple(rows) == CHECKS
    assert {name: row["verdict"] for name, row in rows.items() if row["verdict"] != "pass"} == {"lock-up": "skipped"}
    assert EID in rows["euicc"]["value"]
    assert rows["bands"]["figures"]["locked"] in (3, 7, 20)
    # Five attempts with T3411 between them, then T3402: cellular_model 2.6; the rejects ended in the middle of it.
    assert 60 < rows["attach-failure"]["figures"]["attach_again"] < 900
    assert rows["restart"]["figures"]["by_command"] > 5 and rows["restart"]["figures"]["by_power"] > 5
    assert {"fplmn/left-alone", "fplmn/clear", "brown-out/after", "table"} <= set(run.steps)
    assert "euicc           pass" in run.journal


def test_the_table_is_what_a_buyer_reads(bench: Bench) -> None:
    """On the page, on the terminal and in result.json: what is checked, with verdict, value, limit and source."""
    run = bench.run("modem-qualification", "sim", sets=(without("firmware", "bands", "restart"), "bands=3,71"))
    rows = table(run)
    for row in rows.values():
        assert row["verdict"] in ("pass", "fail", "skipped") and row["value"] and row["limit"] and row["source"], row
    folder = Path(run.found["folder"])
    assert json.loads((folder / "result.json").read_text())["results"]["modem_qualification"]["rows"] == list(
        rows.values()
    )
    shown = bench.call("show", "last", COLUMNS="200")
    head = shown.index("modem qualification\n  modem: Quectel EG25\n  firmware: EG25GGBR07A08M2G\n  check ")
    assert re.search(r"check +verdict +value +limit +source +seconds", shown[head:])
    assert re.search(r"bands +✘ fail +band 71 is not allowed +3,71 allowed, lock holds +the modem's band", shown[head:])
    assert re.search(r"euicc +– skipped +left out by skip +EID through the modem +ES10c.GetEID", shown[head:])
    assert shown.index("fail: device fail, bench pass") > head  # the verdict is the last that is read
    page = write(folder, bench.folder / "page.html").read_text()
    for row in rows.values():
        for name in ("check", "value", "limit", "source"):
            assert f'<td data-h="{name}">{html.escape(row[name])}</td>' in page, row
    assert page.index("<h2>Checks</h2>") < page.index("<h2>What went wrong</h2>")


def test_a_lock_up_ends_by_the_ladder(bench: Bench) -> None:
    hang = (f"faults={json.dumps([{'at': 60, 'do': 'modem-hang', 'until': 'supply'}])}",)
    run = bench.run("modem-qualification", "sim", sets=(without("lock-up"), "hangs_within=600"), world=hang)
    assert run.verdict == "pass", run.errors
    assert table(run)["lock-up"]["verdict"] == "pass"
    assert run.steps["lock-up/recover"]["measurements"]["layer"] == "supply"


def test_a_modem_that_does_not_qualify(bench: Bench) -> None:
    """Two checks fail, each with its words; those after them are made all the same."""
    sets = ("bands=3,71", "firmware=EG25GG", "sustained=60", "attach_again_within=20")
    run = bench.run("modem-qualification", "sim", sets=(without("bands", "attach-failure", "restart"), *sets))
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    rows = table(run)
    assert rows["bands"]["verdict"] == rows["attach-failure"]["verdict"] == "fail"
    assert rows["restart"]["verdict"] == "pass"
    assert "the modem does not qualify: bands: band 71 is not allowed; attach-failure: " in run.errors, run.errors
    assert "2 of 3 checks" in run.errors
    assert "not registered within 20 s" in rows["attach-failure"]["value"], rows["attach-failure"]


def test_lists_are_read_before_anything_is_switched() -> None:
    assert chosen(" fplmn ,brown-out,", CHECKS) == {"fplmn", "brown-out"}
    assert band_numbers("3, 8,20") == (3, 8, 20)
    assert band_numbers("") == ()
    with pytest.raises(ConfigurationError, match="no check is called fplnm"):
        chosen("fplnm", CHECKS)
    for wrong in ("x", "0", "3;8", "B3"):
        with pytest.raises(ConfigurationError, match="no list of bands"):
            band_numbers(wrong)
