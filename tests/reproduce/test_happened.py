"""What of a scenario came about, from the log of its world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.reproduce.conditions import Condition, Moment
from bench.reproduce.course import Course
from bench.reproduce.happened import absent, log_lines, refused
from bench.reproduce.play import Played, Reproduction
from bench.reproduce.scenario import Scenario
from bench.reproduce.signature import Match, Signature

CONDITIONS = (
    Condition("option", "world", {"set": {"refresh": "ignored"}}),
    Condition("lost", "card-remove", {}, Moment(step="switch/poll", apdu=(8, 9))),
    Condition("weak", "cell-power", {"rsrp": -119.0, "seconds": 30.0}, Moment(urc="+CEREG: 5*", after=2.0)),
    Condition("first", "nat-forget", {}, Moment(step="download")),
    Condition("second", "nat-forget", {}, Moment(step="switch")),
)


def written(**entry: Any) -> str:
    return json.dumps({"t_ns": 5, **entry}, separators=(",", ":"))


def test_what_came_is_what_the_world_has_written(tmp_path: Path) -> None:
    """As the world writes an entry: without its step, and with what it waited for in the log as at_line."""
    log = tmp_path / "world.jsonl"
    weak = {"do": "cell-power", "rsrp": -119.0, "seconds": 30.0, "at": "log", "at_line": "urc", "n": 1, "later": 2.0}
    log.with_name("world.jsonl.1").write_text(written(what="fault", do="card-remove", at="apdu", n=[8, 9]) + "\n")
    entries = [
        written(what="fault", **weak, like={"line": "+CEREG: 5*"}),
        written(what="urc", line="+CEREG: 5"),
        written(what="fault", do="nat-forget", at="now"),
        '{"t_ns":5,"what":"fault","do":"nat-for',
    ]
    log.write_text("\n".join(entries))
    assert absent(CONDITIONS, log_lines(log)) == ("second",), "one of two that are alike"
    assert absent(CONDITIONS, []) == ("lost", "weak", "first", "second")
    assert log_lines(tmp_path / "nothing") == []


def test_a_misbehaviour_that_a_server_refuses_is_told_with_its_words() -> None:
    why = json.dumps({"error": {"what": "no counterValue", "where": "wrong-counter", "hint": "replay or a number"}})
    taken = {"what": "misbehaviour", "server": "eim"}
    gone = {"what": "misbehaviour-failed", "server": "eim", "why": "connection refused"}
    assert refused([taken, gone]) is None
    assert refused([gone, {**gone, "status": 400, "why": why}]) == ("eim", "no counterValue", "replay or a number")
    assert refused([{**gone, "status": 502, "why": "[]"}]) == ("eim", "[]", "")


def test_a_reproduction_says_what_did_not_come_about() -> None:
    found = Reproduction(Scenario("a", "b", Signature(), CONDITIONS))
    for number in range(3):
        course = Course("pass", absent=("weak",) if number else ())
        found.played.append(Played(number, course, Match(False, ("a sign",))))
    assert "  condition weak did not come about in 2 of 3: its moment was not reached" in found.lines()
    assert found.data()["absent"] == {"weak": 2}
