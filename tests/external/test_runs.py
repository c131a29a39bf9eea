"""The main job with a lab's own eIM and SM-DP+, whose REST dialect is not ours: judged by card and device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from tests.external.foreign import TOKEN
from tests.external.lab import Lab, everything, foreign, output_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with foreign(tmp_path_factory.mktemp("lab")) as found:
        yield found


def test_main_job_with_both_servers_of_the_lab(lab: Lab) -> None:
    lab.write()
    run = lab.run("bootstrap-to-operational")
    assert run["verdict"] == "pass", run["errors"]
    steps = {step["step"] for step in run["steps"]}
    assert {"register-operational", "identity", "https", "known-everywhere"} <= steps
    missing = run["result"]["lanes_not_recorded"]
    assert set(missing) == {"esipa", "es9plus", "es2plus"}
    assert "the lab's own eIM" in missing["esipa"]
    report = wait_for(Path(run["folder"]) / "report.html")  # of a long record, by a process of its own
    assert "Lanes not recorded" in report
    assert "esipa" in report
    assert TOKEN.encode() not in everything(Path(run["folder"]))
    assert TOKEN.encode() not in everything(lab.home / "external")


def test_servers_that_are_busy_or_lose_answers_cost_nothing(lab: Lab) -> None:
    """Calls with a key are sent again with the same key: nothing is ordered twice."""
    lab.write()
    before = lab.ask("/requests")
    with lab.fault("lost-answers"):
        run = lab.run("profile-switch")
    assert run["verdict"] == "pass", run["errors"]
    after = lab.ask("/requests")
    jobs = after["jobs"][len(before["jobs"]) :]
    sent = [
        request
        for request in after["requests"][len(before["requests"]) :]
        if request["method"] == "POST" and request["path"].endswith("/jobs")
    ]
    assert len(jobs) >= 2  # there and back
    assert len(sent) == 2 * len(jobs)


def test_eim_of_the_lab_with_the_bundled_smdpp(lab: Lab) -> None:
    """... and a busy one; lane es9plus is recorded by the SM-DP+."""
    lab.write(smdpp=False)
    with lab.fault("busy-once"):
        run = lab.run("bootstrap-to-operational")
    assert run["verdict"] == "pass", run["errors"]
    assert set(run["result"]["lanes_not_recorded"]) == {"esipa"}


def test_done_says_the_eim_and_the_card_has_not_switched(lab: Lab) -> None:
    lab.write()
    with lab.fault("swallow-enable"):
        run = lab.run("bootstrap-to-operational")
    assert (run["verdict"], run["exit_code"], run["device"]) == ("fail", 1, "fail"), run["errors"]
    told = "\n".join(run["errors"])
    assert "the switch failed: the lab's own eIM says that its order is done, and the card has not done it" in told
    switch = next(step for step in run["steps"] if step["step"] == "switch")
    assert switch["verdict"] == "fail"


def test_failed_says_the_eim_and_the_card_has_switched(lab: Lab) -> None:
    lab.write()
    with lab.fault("says-failed"):
        run = lab.run("bootstrap-to-operational")
    # Neither passed nor failed: the device did what it must, and one party says otherwise.
    assert (run["verdict"], run["exit_code"]) == ("inconclusive", 5), run["errors"]
    assert (
        "the switch: the card has done it, and the lab's own eIM has the order as failed (the card did not answer"
        in ("\n".join(run["errors"]))
    )
    identity = next(step for step in run["steps"] if step["step"] == "identity")
    assert identity["verdict"] == "pass"


def test_token_that_is_refused_is_a_bench_error_with_its_remedy(lab: Lab) -> None:
    lab.write()
    with lab.fault("unauthorized"):
        run = lab.run("bootstrap-to-operational")
    assert (run["verdict"], run["exit_code"]) == ("bench-error", 3), run["errors"]
    told = "\n".join(run["errors"])
    assert "does not let the bench in (HTTP 401" in told
    assert "$LAB_TOKEN" in told
    assert TOKEN not in told  # the server repeated it
    assert TOKEN.encode() not in everything(Path(run["folder"]))


def test_order_that_may_have_been_taken_is_in_the_book_and_told_by_the_next_run(lab: Lab) -> None:
    lab.write(repeat="never", notifications=False)
    with lab.fault("lost-answers"):
        run = lab.run("bootstrap-to-operational")
    assert (run["verdict"], run["exit_code"]) == ("bench-error", 3), run["errors"]
    assert "whether the " in "\n".join(run["errors"])
    assert "look there before it is ordered again" in "\n".join(run["errors"])
    run = lab.run("bootstrap-to-operational")
    # The SM-DP+ of this template tells of no notifications: what nobody can know is not passed.
    assert (run["verdict"], run["exit_code"]) == ("inconclusive", 5), run["errors"]
    step = next(step for step in run["steps"] if step["step"] == "known-everywhere")
    assert "of its notifications nothing is known" in step["message"]
    text = (lab.folder / "smdpp.toml").read_text()
    (lab.folder / "smdpp.toml").write_text('judge_without = ["notifications"]\n' + text)
    run = lab.run("bootstrap-to-operational")
    assert run["verdict"] == "pass", run["errors"]


def test_recipes_that_need_the_bundled_servers_are_refused_beforehand(lab: Lab) -> None:
    lab.write()
    for recipe, word in (
        ("negative-eim", "misbehaviour"),
        ("memory-full", "packages"),
        ("eim-configuration", "replay"),
    ):
        done = lab.call("run", recipe, "--station", "sim")
        assert done.returncode == 2, output_of(done)
        assert word in output_of(done)
        assert 'kind = "bundled"' in output_of(done)
    done = lab.call("run", "fallback-to-bootstrap", "--station", "sim")
    assert done.returncode == 2
    assert "[operations.setFallbackAttribute]" in output_of(done)


def test_doctor_looks_at_the_servers_of_the_lab(lab: Lab) -> None:
    lab.write()
    done = lab.call("doctor", "--station", "sim")
    assert "eIM of the lab server" in done.stdout
    assert done.returncode == 0, done.stdout
    with lab.fault("unauthorized"):
        done = lab.call("doctor", "--station", "sim")
    assert done.returncode == 3
    assert "does not let the bench in" in done.stdout
    assert TOKEN not in output_of(done)
