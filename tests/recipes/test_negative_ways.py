"""A sample of the campaign of misbehaviours: other ways of ESipa, a card in a switch, a device with its own IPA."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from inert_servers import install
from recipe_bench import Bench

from bench.station.interfaces import EimOrder
from recipes.device_job import Listed
from recipes.device_negative import DeviceNegative
from recipes.misbehaviours import Row

pytestmark = pytest.mark.timeout(240)
CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "misbehaviour_matrix.py"
EIM = "unknown-package,result-unheard,truncated-answer,oversized-answer,truncated-bpp,authentication-of-another-session"
SMDPP = "der-server-signature,old-package,authentication-unanswered"


def campaign() -> Any:
    spec = importlib.util.spec_from_file_location("misbehaviour_matrix", CAMPAIGN)
    assert spec is not None and spec.loader is not None
    sys.modules[spec.name] = made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("station", "way", "recipe", "rows"),
    [
        ("sim", "json", "negative-eim", EIM),
        ("sim", "coaps", "negative-eim", EIM),
        ("sim", "coaps", "negative-smdp", SMDPP),
        pytest.param(
            *("sim-pcsc", "json", "negative-smdp", SMDPP),
            marks=pytest.mark.skipif(shutil.which("pcscd") is None, reason="pcscd is not installed: .ci/setup test"),
        ),
        ("sim-device", "asn1", "negative-eim", "der-signature,late,drop-always,package-of-another-session"),
        ("sim-device", "json", "negative-smdp", SMDPP),
    ],
)
def test_a_sample(
    station: str, way: str, recipe: str, rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--station", station, "--way", way, "--recipe", recipe, "--rows", rows, "--home", str(tmp_path)]
    code = campaign().main(arguments)
    found = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (code, found["verdict"], found["errors"]) == (0, "pass", [])
    assert found["rows"] >= len(rows.split(","))


def test_a_device_without_what_the_rows_expect(tmp_path: Path) -> None:
    """The servers say that they misbehave and do not: the rows fail, and what nobody tells does not pass."""
    rows = "der-signature,drop-always,old-package"
    bench = Bench(tmp_path / "bench")
    path = install(tmp_path / "site")
    recipe = str(Path(__file__).parents[2] / "recipes" / "device_negative.py") + ":device_negative_eim"
    found = bench.run(
        recipe, "sim-device", sets=(f"rows={rows}",), world=("poll_interval=10",), environment={"PYTHONPATH": path}
    )
    assert (found.verdict, found.found["device"], found.found["bench"]) == ("fail", "fail", "pass"), found.errors
    verdicts = {name: found.steps[name]["verdict"] for name in rows.split(",")}
    assert verdicts == {"der-signature": "fail", "drop-always": "fail", "old-package": "inconclusive"}
    assert "the card changed" in found.errors


BOOTSTRAP, TARGET = Listed("8900101000000000019", True), Listed("8900101000000000027", False)
EXPIRED = EimOrder("7", "", "enable", "expired", {}, {"what": "unsigned error"})
DONE = EimOrder("7", "", "list", "done", {"code": 0}, {}, verified=True)
FAILED = EimOrder("7", "", "enable", "failed", {}, {"what": "unsigned error"})
ENABLE = Row("row", ({"name": "x"},), "enable", "failed", ("unsigned error",))
LIST = Row("row", ({"name": "x"},), "list", "done", ("replayError",), at_once=False, poll="broke")


@pytest.mark.parametrize(
    ("row", "after", "shown", "final", "said", "console", "problems", "unseen"),
    [
        (ENABLE, (BOOTSTRAP, TARGET), FAILED, FAILED, "", True, [], []),
        (LIST, (BOOTSTRAP, TARGET), DONE, DONE, "poll failed: it broke", True, [], ["replayError"]),
        (LIST, (BOOTSTRAP, TARGET), DONE, DONE, "", False, [], ["replayError", "broke"]),
        (LIST, (BOOTSTRAP, TARGET), DONE, DONE, "", True, ["nobody said 'broke'"], ["replayError"]),
        (ENABLE, (TARGET,), FAILED, FAILED, "", True, ["the card changed"], []),
        (ENABLE, (Listed(BOOTSTRAP.iccid, False), Listed(TARGET.iccid, True)), FAILED, FAILED, "", True,
         ["the card changed"], []),
        (ENABLE, (BOOTSTRAP, TARGET), EimOrder("7", "", "enable", "sent"), FAILED, "", True, ["the order is sent"], []),
        (ENABLE, (BOOTSTRAP, TARGET), FAILED, EXPIRED, "", True, ["the order is expired in the end"], []),
        (ENABLE, (BOOTSTRAP, TARGET), EimOrder("7", "", "enable", "failed"), EimOrder("7", "", "enable", "failed"), "",
         True, ["without a word", "nobody said"], []),
        (LIST, (BOOTSTRAP, TARGET), DONE, EimOrder("7", "", "list", "done"), "broke", True, ["not verified"],
         ["replayError"]),
    ],
)  # fmt: skip
def test_how_a_row_is_judged_on_a_device(
    row: Row,
    after: tuple[Listed, ...],
    shown: EimOrder,
    final: EimOrder,
    said: str,
    console: bool,
    problems: list[str],
    unseen: list[str],
) -> None:
    negative = DeviceNegative(None, None, "", type("Target", (), {"iccid": TARGET.iccid})())  # type: ignore[arg-type]
    found, missing = negative._judged(row, [BOOTSTRAP, TARGET], list(after), shown, final, said, has_console=console)
    assert len(found) == len(problems) and all(words in text for words, text in zip(problems, found, strict=True)), (
        found
    )
    assert missing == unseen
