"""The 60 test cases of cellular_model 10.5: each has a test that carries its number."""

from __future__ import annotations

import re
from pathlib import Path


def test_no_case_is_missing() -> None:
    names = re.findall(
        r"^def (test_t\d\d\w*)", "\n".join(p.read_text() for p in Path(__file__).parent.glob("*.py")), re.M
    )
    covered = {int(number) for name in names for number in re.findall(r"(?<=_t)\d\d(?=_)", name)}
    # one test may carry several: test_t11_t12_..., test_t22_t27_..., test_t25_t26_...
    assert sorted(set(range(1, 61)) - covered) == []
