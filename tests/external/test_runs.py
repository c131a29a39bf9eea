"""The main job with a lab's own eIM and SM-DP+, whose REST dialect is not ours: judged by card and device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.external.foreign import TOKEN
from tests.external.lab import Lab, everything, foreign

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
    report = (Path(run["folder"]) / "report.html").read_text()
    assert "Lanes not recorded" in report
    assert "esipa" in report
    assert TOKEN.encode() not in everything(Path(run["folder"]))
    assert TOKEN.encode() not in everything(lab.home / "external")
