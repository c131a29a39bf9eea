"""What a run was asked to find out, as tables: on the page, on a terminal, in result.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.main import bench
from bench.report import results
from bench.report.facts import gather
from bench.report.html import render
from bench.run import folder as places
from bench.run import summary
from bench.run.journal import Journal

from .folders import Page, check_page, run_folder

CHECKS = {
    "modem": "Quectel EG25",
    "rows": [
        {"check": "bands", "verdict": "fail", "value": "band 71 is not allowed", "limit": "3,71", "source": "AT+QCFG"},
        {
            "check": "fplmn",
            "verdict": "pass",
            "value": "left alone",
            "limit": "60 s",
            "source": "EF.FPLMN",
            "took": 81.2,
        },
        {"check": "lock-up", "verdict": "skipped", "value": "", "limit": "300 s", "source": None, "took": None},
    ],
}
DIPS = [{"level": 3.4, "outcome": "survived", "boot": None}, {"level": 2.8, "outcome": "rebooted", "boot": 13.17}]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)


def folder_with(runs: Path, *found: tuple[str, object], end: bool = True) -> Path:
    folder = run_folder(runs, end=end)
    journal = Journal.open(folder / places.JOURNAL, background=False)
    for name, value in found:
        journal.write("result", {"name": name, "value": value}, step="start-state")
    journal.close()
    return folder


def page_of(folder: Path) -> Page:
    return check_page(render(gather(folder)))


def test_rows_are_a_table_with_verdict_value_limit_and_source() -> None:
    (made,) = results.tables("modem_qualification", CHECKS)
    assert made.title == "modem qualification"
    assert made.facts == [("modem", "Quectel EG25")]
    assert made.columns == ["check", "verdict", "value", "limit", "source", "took"]
    assert made.numeric == [False, False, False, False, False, True]
    assert made.rows[1] == ["fplmn", "pass", "left alone", "60 s", "EF.FPLMN", "81.2"]
    assert made.rows[2] == ["lock-up", "skipped", "", "300 s", "", ""]


def test_what_is_no_table_is_facts_and_several_lists_are_several_tables() -> None:
    assert results.tables("eid", "8904")[0].facts == [("eid", "8904")]
    assert results.tables("flashed", {"before": "1", "after": ["2", 3, True]})[0].facts == [
        ("before", "1"), ("after", "2, 3, yes"),
    ]  # fmt: skip
    both = results.tables("card", {"eid": "8904", "eims": [{"id": "a"}], "profiles": [{"iccid": "1"}], "rules": []})
    assert [made.title for made in both] == ["card: eims", "card: profiles"]
    assert [made.facts for made in both] == [[("eid", "8904"), ("rules", "")], []]
    (nested,) = results.tables("x", [{"figures": {"by_command": 1.5}, "none": None}, {"figures": {}, "none": []}])
    assert nested.columns == ["figures"] and nested.rows == [["by_command 1.5"], [""]]


def test_the_page_has_judged_tables_before_what_went_wrong_and_others_after(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path, ("modem_qualification", {"rows": []}), ("dips", DIPS), ("modem_qualification", CHECKS)
    )
    page = page_of(folder)
    text = page.text
    checks, wrong, other = (
        text.index("Checks modem qualification"),
        text.index("What went wrong"),
        text.index("Result dips"),
    )
    assert checks < wrong < other < text.index("Course")
    assert "check verdict value limit source took bands ✘ fail band 71 is not allowed 3,71 AT+QCFG" in text
    assert "fplmn ✔ pass left alone 60 s EF.FPLMN 81.2 lock-up – skipped 300 s" in text
    assert "level outcome boot 3.4 survived 2.8 rebooted 13.17" in text
    assert text.count("modem qualification") == 1  # the last value only, and not as a line of its step as well
    assert "modem_qualification" not in text


def test_a_run_without_results_has_neither_section(tmp_path: Path) -> None:
    text = page_of(run_folder(tmp_path)).text
    assert "Checks" not in text and "Result" not in text


def test_the_last_value_is_in_the_result_file(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ("dips", []), ("dips", DIPS))
    assert summary.result(folder)["results"] == {"dips": DIPS}
    assert summary.result(run_folder(tmp_path))["results"] == {}


@pytest.mark.parametrize("end", [True, False])
def test_show_ends_with_the_table_also_of_a_run_that_broke_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bool
) -> None:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = folder_with(tmp_path / "runs", ("modem_qualification", CHECKS), end=end)
    if end:  # what is recorded after the end is of no run: put the end behind it
        journal = folder / places.JOURNAL
        lines = journal.read_text().splitlines()
        last = next(line for line in lines if '"run-end"' in line)
        lines.remove(last)
        journal.write_text("\n".join([*lines, last]) + "\n")
    shown = CliRunner().invoke(bench, ["show", folder.name], catch_exceptions=False).output
    assert shown.count("  bands    ✘ fail     band 71 is not allowed  3,71   AT+QCFG") == 1, shown
    assert shown.count("  lock-up  – skipped") == 1


def test_lines_for_a_terminal() -> None:
    (made,) = results.tables("modem_qualification", CHECKS)
    assert results.lines(made, 76, {"pass": "+", "fail": "x"}) == [
        "modem qualification",
        "  modem: Quectel EG25",
        "  check    verdict  value                   limit  source    took",
        "  bands    x fail   band 71 is not allowed  3,71   AT+QCFG",
        "  fplmn    + pass   left alone              60 s   EF.FPLMN  81.2",
        "  lock-up  skipped                          300 s",
    ]
    assert results.lines(made, 54)[3:5] == [
        "  bands    fail     band 71 is   3,71   AT+QCFG",
        "                    not allowed",
    ]


@given(st.text(max_size=20), json_values, st.integers(1, 200))
def test_no_result_is_too_odd(name: str, value: Any, width: int) -> None:
    for made in results.tables(name, value):
        assert all(len(row) == len(made.columns) == len(made.numeric) for row in made.rows)
        assert all(line.isprintable() for line in results.lines(made, width))
        assert results._html(made)


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.text(max_size=60), min_size=1), min_size=1, max_size=6))
def test_lines_keep_to_the_width_where_columns_can_be_narrow_enough(rows: list[dict[str, str]]) -> None:
    for line in results.lines(results.tables("x", rows)[0], 60):
        assert len(line) <= 60


def test_long_tables_say_what_is_left_out() -> None:
    (made,) = results.tables("many", [{"n": number} for number in range(1000)])
    assert (len(made.rows), made.left_out) == (500, 500)
    assert results.lines(made)[-1] == "  and 500 more, in the journal"
    assert "and 500 more, in the journal" in results._html(made)
