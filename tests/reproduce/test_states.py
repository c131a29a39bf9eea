"""The campaign of the shipped scenarios goes on where it was killed, and only with results that still hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import scenarios
from tests.campaigns.states import Lines

NAME = "refresh-missed"


def lines(path: Path) -> Lines:
    return Lines(path, lambda line: tuple(line[name] for name in scenarios._KEY))


def test_good_results_of_this_commit_are_not_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []
    hits = {"20": 20, "3": 0}

    def played(*arguments: str) -> dict[str, Any]:
        asked.append(arguments)
        n = arguments[2]
        return {"hits": hits[n], "runs": int(n), "as_expected": True}

    monkeypatch.setattr(scenarios, "played", played)
    tree = ["abc"]
    monkeypatch.setattr(scenarios, "commit", lambda: tree[0])
    file = tmp_path / "state.jsonl"

    def judged(n: int = 20) -> int:
        """Return how many commands a judgement took."""
        asked.clear()
        scenarios.judge(NAME, n, 3, lines(file))
        return len(asked)

    hits["20"] = 18
    assert judged() == 2 and judged() == 2, "what was bad is played again"
    hits["20"] = 19
    assert judged() == 2
    assert judged() == 0
    assert [json.loads(line)["good"] for line in capsys.readouterr().out.splitlines()] == [False, False, True, True]
    tree[0] = "def"
    assert judged() == 2, "another commit"
    tree[0] = "def+"
    assert judged() == 2 and judged() == 2, "files differ from the commit"


def test_a_line_that_a_kill_cut_off_is_no_result(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    file.write_text('{"number": 1, "right": true}\n{"number": 2, "rig')
    state = Lines(file, lambda line: line["number"])
    assert state.again(1) == {"number": 1, "right": True}
    assert state.again(2) is None
    state.add({"number": 2, "right": False})
    assert Lines(file, lambda line: line["number"]).known[2] == {"number": 2, "right": False}
