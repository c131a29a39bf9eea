"""A run as the screens show it, from journal events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.client.view import RunView


def events(*items: tuple[str, str, dict[str, Any], float]) -> RunView:
    view = RunView()
    for kind, step, data, time in items:
        view.apply({"type": kind, "step": step, "data": data, "t": time})
    return view


def test_a_run_that_failed_in_a_nested_step() -> None:
    view = events(
        ("run-start", "", {"run_id": "r1", "recipe": "job", "station": "sim", "simulated": True}, 10.0),
        ("step-start", "a", {}, 10.0),
        ("step-start", "a/b", {}, 11.0),
        ("measurement", "a/b", {"name": "x", "value": 1.5, "unit": "s"}, 12.0),
        ("step-end", "a/b", {"verdict": "fail", "elapsed": 2.0, "message": "no service"}, 13.0),
        ("step-end", "a", {"verdict": "fail", "elapsed": 3.0, "message": ""}, 13.0),
        ("run-end", "", {"device": "fail", "bench": "pass", "exit_code": 1}, 14.0),
    )
    assert [(s.path, s.depth, s.state, s.elapsed) for s in view.steps] == [
        ("a", 0, "fail", 3.0),
        ("a/b", 1, "fail", 2.0),
    ]
    assert view.state == "fail" and view.exit_code == 1 and view.elapsed == 4.0
    assert view.steps[1].measurements[0]["value"] == 1.5
    assert view.errors == ["a/b: no service"]


def test_the_worse_verdict_is_the_state() -> None:
    view = events(("run-end", "", {"device": "fail", "bench": "bench-error"}, 1.0))
    assert view.state == "bench-error"


def test_a_step_that_never_ended_is_aborted() -> None:
    view = events(("step-start", "a", {}, 0.0), ("run-end", "", {"device": "", "bench": "aborted"}, 1.0))
    assert view.steps[0].state == "aborted"


def test_the_same_step_name_twice_is_two_rows() -> None:
    view = events(
        ("step-start", "poll", {}, 0.0),
        ("step-end", "poll", {"verdict": "pass"}, 1.0),
        ("step-start", "poll", {}, 2.0),
    )
    assert [step.state for step in view.steps] == ["pass", "running"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.one_of(
                    st.sampled_from(["step-start", "step-end", "measurement", "run-end", "error", "verdict", "safe"]),
                    st.text(max_size=8),
                ),
                "step": st.one_of(st.none(), st.text(max_size=6)),
                "t": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)),
                "data": st.one_of(st.none(), st.dictionaries(st.text(max_size=8), st.text(max_size=5), max_size=4)),
            },
        ),
        max_size=20,
    )
)
def test_no_event_upsets_it(items: list[dict[str, Any]]) -> None:
    view = RunView()
    for item in items:
        view.apply(item)
    assert view.state in ("running", "pass", "inconclusive", "fail", "aborted", "error", "bench-error")
