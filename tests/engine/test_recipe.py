"""Recipes: declaration, finding by name and file, checks against a station."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.engine.checks import check
from bench.engine.recipe import Recipe, Station, load, recipe
from bench.errors import ConfigurationError
from bench.station.config import CardConfig, DataConfig, PowerConfig, StationConfig, WorldConfig

from .double import RECIPES

HEAD = "from bench.engine.recipe import Station, recipe\n"
BODY = ' -> None:\n    """Doc."""\n'
ONE = '@recipe(title="T", needs=("power",))\nasync def {name}(station: Station, x: float = 1.0)' + BODY


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(HEAD + text)
    return path


def test_by_file_and_function(tmp_path: Path) -> None:
    path = write(tmp_path, ONE.format(name="only"))
    found = load(str(path))
    assert (found.name, found.title, found.needs, found.documentation) == ("only", "T", ("power",), "Doc.")
    assert [parameter.name for parameter in found.parameters] == ["x"]
    assert found.where == f"{path}:2"
    assert load(f"{path}:only").name == "only"


def test_by_installed_name_and_by_module() -> None:
    assert load("power-cycle-and-register").title == "Power-cycle and register"
    assert load("recipes.power_cycle_and_register:power_cycle_and_register").needs == ("power", "modem")


def test_helpers_beside_the_file_are_found_and_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "beside_helper.py").write_text("VALUE = 5.0\n")
    (tmp_path / "json.py").write_text("raise SystemError\n")
    path = write(tmp_path, "import json\nfrom beside_helper import VALUE\njson.dumps(VALUE)\n" + ONE.format(name="r"))
    assert load(str(path)).name == "r"


@pytest.mark.parametrize(
    ("text", "reference", "complaint"),
    [
        ("", "{}", "holds no recipe"),
        (ONE.format(name="a") + ONE.format(name="b"), "{}", "holds 2 recipes: a, b"),
        (ONE.format(name="alpha"), "{}:alhpa", "did you mean 'alpha'"),
        ("def broken(:\n", "{}", "mine.py:2"),
        ("import nothing_of_that_name\n", "{}", r"mine.py:2.*No module named 'nothing_of_that_name'"),
        ("1 / 0\n", "{}", r"mine.py:2.*ZeroDivisionError"),
        ('@recipe(title="T", needs=("pwoer",))\nasync def r(s: Station) -> None: ...\n', "{}", "did you mean 'power'"),
        (
            '@recipe(title="T", effects=("eats",))\nasync def r(s: Station) -> None: ...\n',
            "{}",
            "unknown effect 'eats'",
        ),
        ('@recipe(title="T")\ndef r(s: Station) -> None: ...\n', "{}", "no coroutine function"),
        ("from bench.engine.recipe import nonsense\n", "{}", "nonsense"),
    ],
)
def test_files_that_are_wrong_say_where(tmp_path: Path, text: str, reference: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(reference.format(path))
    import re

    assert re.search(complaint, str(caught.value)), str(caught.value)


def test_names_that_are_wrong() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'power-cycle-and-register'"):
        load("power-cycle-and-regster")
    with pytest.raises(ConfigurationError, match="no such file"):
        load("/nonexistent/x.py")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load("no.such.module:function")
    with pytest.raises(ConfigurationError, match="is not there"):
        load("bench.errors:BenchError")


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [
        ("", "station as its first argument"),
        ("station: Station, x", "has no type"),
        ("station: Station, *args: int", "cannot be given by name"),
        ("station: Station, x: dict = {}", "dict is not"),
        ("station: Station, x: Missing = 1", "annotations cannot be read"),
    ],
)
def test_signatures_that_are_wrong(tmp_path: Path, signature: str, complaint: str) -> None:
    text = f'@recipe(title="T")\nasync def r({signature}) -> None: ...\n'
    path = tmp_path / "s.py"
    path.write_text("from __future__ import annotations\n" + HEAD + text)
    with pytest.raises(ConfigurationError, match=complaint):
        _ = load(str(path)).parameters


def test_a_recipe_is_a_part_of_another() -> None:
    calls: list[Any] = []

    @recipe(title="Part")
    async def part(station: Station, x: int = 1) -> None:
        """Do."""
        calls.append((station, x))

    import asyncio

    asyncio.run(part("station", x=3))  # type: ignore[arg-type]
    assert calls == [("station", 3)]
    assert part.__name__ == "part"
    assert isinstance(part, Recipe)


def test_parameters_are_checked_by_mypy_where_recipes_call_each_other(tmp_path: Path) -> None:
    """The decorator keeps the signature: a wrong argument is a type error, and FROM_RAT is a float."""
    path = tmp_path / "typed.py"
    path.write_text(
        "from bench.engine.recipe import FROM_RAT, Station, recipe\n"
        '@recipe(title="a")\nasync def a(station: Station, hold: float = FROM_RAT) -> None: ...\n'
        '@recipe(title="b")\nasync def b(station: Station) -> None:\n'
        "    await a(station, hold=1.0)\n"
        '    await a(station, hold="long")\n'
        "    await a(station, hodl=1.0)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", str(tmp_path), str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    lines = [line.partition("typed.py:")[2] for line in found.stdout.splitlines() if "typed.py:" in line]
    assert [line.partition(":")[0] for line in lines if "error" in line] == ["7", "8"], found.stdout


# --- checks ---------------------------------------------------------------------------------------------------------

POWER = PowerConfig(voltage=3.8, voltage_max=4.3, current_limit=1.0, driver="d", resource="r")
STATION = StationConfig("s", power=POWER, safe=("power.off",), origin="bench.toml:1")
EID = "89049032123451234512345678901235"


def checked(name: str, station: StationConfig = STATION, **options: Any) -> None:
    given: dict[str, Any] = {"eid": "", "attended": False, "clock": None, **options}
    check(load(f"{RECIPES}:{name}"), station, **given)


def test_a_station_must_have_what_the_recipe_needs() -> None:
    checked("quick")
    with pytest.raises(ConfigurationError, match=r"bench.toml:1: recipe quick needs power.*add power"):
        checked("quick", replace(STATION, power=None))


def test_the_radio_is_not_the_host(tmp_path: Path) -> None:
    path = write(tmp_path, '@recipe(title="T", needs=("radio",))\nasync def r(s: Station) -> None: ...\n')
    on_host = replace(STATION, data=DataConfig("host"))
    with pytest.raises(ConfigurationError, match="not the radio"):
        check(load(str(path)), on_host, eid="", attended=False, clock=None)
    check(load(str(path)), replace(STATION, data=DataConfig("interface:w")), eid="", attended=False, clock=None)


def test_effects_person_eid_clock() -> None:
    with pytest.raises(ConfigurationError, match="cannot be undone"):
        checked("consumes")
    checked("consumes", replace(STATION, expendable=True))
    checked("consumes", eid=EID)
    with pytest.raises(ConfigurationError, match="is no EID"):
        checked("consumes", eid=EID[:-1] + "6")
    with pytest.raises(ConfigurationError, match="pinned to EID"):
        checked("quick", replace(STATION, card=CardConfig(eid="8" * 32)), eid=EID)
    with pytest.raises(ConfigurationError, match="unattended"):
        checked("asks")
    checked("asks", attended=True)
    with pytest.raises(ConfigurationError, match="no simulated world"):
        checked("quick", clock="instant")
    world = replace(STATION, world=WorldConfig("sim"))
    for good in ("instant", "real", "scaled:2.5"):
        checked("quick", world, clock=good)
    for bad in ("scaled", "scaled:0", "scaled:x", "instant:2", "slow"):
        with pytest.raises(ConfigurationError, match="is no clock"):
            checked("quick", world, clock=bad)
