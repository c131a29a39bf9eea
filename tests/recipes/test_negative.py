"""The tables of misbehaviours: all expected reactions come, and each is missed when it does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from inert_servers import install
from recipe_bench import Bench
from sweeps import Sweep

from recipes import negative_eim, negative_smdp

pytestmark = pytest.mark.timeout(120)
pcscd = pytest.mark.skipif(shutil.which("pcscd") is None, reason="pcscd is not installed: .ci/setup test")

TABLES = {"negative-eim": negative_eim.TABLE, "negative-smdp": negative_smdp.TABLE}
SAME_WITHOUT = {
    "negative-eim": {"result-refused", "result-unanswered", "late", "drop-once", "busy-once", "cut-answer",
                     "notification-unanswered", "another-media-type", "expired-certificate"},
    "negative-smdp": {"bare-values", "late", "drop-once", "authentication-unanswered", "package-unanswered",
                      "notification-unanswered", "notification-refused"},
}  # fmt: skip
"""What is tolerated or tried again at once comes to the same as if nothing had been wrong."""


@pytest.mark.parametrize("recipe", TABLES)
def test_misbehaviours_have_their_reactions(recipe: str, tmp_path: Path, sweep: Sweep) -> None:
    """All of them with --whole, and in tests/campaigns/misbehaviour_matrix.py at every station and over every way."""
    rows = {TABLES[recipe][at].name for at in sweep(len(TABLES[recipe]), 1)}
    run = Bench(tmp_path).run(recipe, "sim", sets=(f"rows={','.join(sorted(rows))}",))
    assert (run.verdict, run.errors) == ("pass", "")
    assert rows <= set(run.steps) and {"as-ever"} <= set(run.steps)
    assert all(run.steps[name]["measurements"]["apdus"] < 400 for name in rows)


@pcscd
@pytest.mark.parametrize(
    ("recipe", "rows"),
    [
        ("negative-eim", "der-signature,old-counter-once,old-package-for-ever,no-acknowledgement,drop-before-package"),
        ("negative-smdp", "der-server-signature,expired-binding-certificate,bound-for-another-eid,package-unanswered"),
    ],
)
def test_with_the_card_at_a_switch_and_brainpool(recipe: str, rows: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, '[eim]\noptions = { curve = "brainpoolP256r1" }\n', ("card_curves=brainpoolP256r1",))
    run = bench.run(recipe, "sim-pcsc", sets=(f"rows={rows}",))
    assert (run.verdict, run.errors) == ("pass", "")


@pytest.mark.parametrize("recipe", TABLES)
def test_each_row_fails_where_its_reaction_does_not_come(recipe: str, tmp_path: Path) -> None:
    """The servers say that they misbehave and do not: every package is carried out, every download installs."""
    rows = [row.name for row in TABLES[recipe]]
    some = ",".join(rows[::5])
    (tmp_path / "bench").mkdir()
    bench = Bench(tmp_path / "bench")
    path = install(tmp_path / "site")
    run = bench.run(recipe, "sim", sets=(f"rows={some}",), environment={"PYTHONPATH": path})
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("fail", "fail", "pass"), run.errors
    failed = {name for name in rows if name in run.steps and run.steps[name]["verdict"] == "fail"}
    assert failed == set(some.split(",")) - SAME_WITHOUT[recipe], run.errors
    assert f"{len(failed)} of {len(some.split(','))} misbehaviours had not the expected reaction" in run.errors


def test_a_card_that_reacts_otherwise_fails(tmp_path: Path) -> None:
    """It has no highest counterValue: the package is carried out and the profile switched."""
    rows = "rows=wrong-eid,counter-too-high-always"
    world = ("card_reading=counter_maximum=4294967295",)
    run = Bench(tmp_path).run("negative-eim", "sim", sets=(rows,), world=world)
    assert (run.verdict, run.found["device"]) == ("fail", "fail"), run.errors
    assert "the card changed" in run.errors and "nobody said 'counterValueOutOfRange'" in run.errors
    assert (run.steps["wrong-eid"]["verdict"], run.steps["counter-too-high-always"]["verdict"]) == ("pass", "fail")
    assert "restore" in run.steps and "as-ever" not in run.steps
