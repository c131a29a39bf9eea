"""What stays of a minimised failure: scenario, recipe, and a pytest file that fails while the failure is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bench.reproduce.minimise import Minimised
from bench.reproduce.scenario import Scenario

_TEST: Final = '''"""{title}

{sentence}
Fails as long as the failure comes back, passes once it is gone: bench reproduce plays {file} {runs} times.
pytest --bench-station NAME plays it on another station than the scenario's, --bench-config and --bench-seed go with it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIO = Path(__file__).with_name("{file}")
RUNS = {runs}
"""So many runs without it say that its rate is below what was measured ({rate})."""
DEADLINE = 120.0 * RUNS


def test_{name}(pytestconfig: pytest.Config) -> None:
    def asked(option: str, argument: str) -> list[str]:  # options of the bench's pytest plugin
        value = pytestconfig.getoption(option, None)
        return [] if value is None else [argument, str(value)]

    bench = [sys.executable, "-m", "bench.cli.main", *asked("bench_config", "--config")]
    where = [*asked("bench_station", "--station"), *asked("bench_seed", "--seed")]
    done = subprocess.run(
        [*bench, "reproduce", str(SCENARIO), "-n", str(RUNS), *where, "--expect", "gone", "--json"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    assert not found["hits"], f"it is back in {{found['hits']}} of {{found['runs']}} runs: {{found['folders']}}"
    assert found["as_expected"], f"it does not pass, and fails in another way: {{found['otherwise']}}"
'''

_RECIPE: Final = '''"""{title}

{sentence}
The recipe and its parameters alone: bench reproduce {file} adds the conditions on a simulated bench.
"""

from bench.engine.recipe import Station, load, recipe

_ORIGINAL = load({recipe!r})
_PARAMETERS = {parameters!r}


@recipe(title={short!r}, needs=_ORIGINAL.needs, effects=_ORIGINAL.effects)
async def {name}(station: Station) -> None:
    """Carry out {recipe} with the parameters of the failure."""
    await _ORIGINAL(station, **_ORIGINAL.bind(_PARAMETERS).values)
'''


def identifier(text: str) -> str:
    """Return a name for Python and for files."""
    made = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60].rstrip("_")
    return made if made and made[0].isalpha() else f"case_{made}".rstrip("_")


def write(found: Minimised, folder: Path, name: str = "") -> list[Path]:
    """Write scenario, recipe and test into a folder; return the files. Raises OSError."""
    from dataclasses import replace

    from bench.reproduce.statistics import needed

    name = identifier(name or found.scenario.title)
    folder.mkdir(parents=True, exist_ok=True)
    scenario: Scenario = replace(found.scenario, summary=found.sentence)
    low = max(found.smallest.low, 0.01)
    runs = min(60, max(2, needed(low) if found.smallest.hits < found.smallest.n else 2))
    title, sentence = (text.replace("\\", "\\\\").replace('"""', "'''") for text in (scenario.title, found.sentence))
    file = folder / f"{name}.toml"
    file.write_text(scenario.text(), "utf-8")
    test = folder / f"test_{name}.py"
    test.write_text(
        _TEST.format(title=title, sentence=sentence, file=file.name, runs=runs, rate=found.smallest.text, name=name),
        "utf-8",
    )
    made = folder / f"{name}_recipe.py"
    made.write_text(
        _RECIPE.format(
            title=title, sentence=sentence, file=file.name, recipe=scenario.recipe, short=scenario.title[:80],
            parameters=scenario.run_parameters(), name=name,
        ),
        "utf-8",
    )  # fmt: skip
    return [file, test, made]
