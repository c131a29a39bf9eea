"""The table of commands: names and help of every command, also of other packages, without importing one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.cli import main


def test_the_list_imports_no_command_and_shows_the_help_of_foreign_ones() -> None:
    code = (
        "import sys; from bench.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "names = ('fixtures', 'cryptography', 'bench.cli.euicc', 'bench.cli.doctor', 'asyncio', 'instruments')\n"
        "print('IMPORTED', [name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert "IMPORTED []" in done.stdout
    words = " ".join(done.stdout.split())
    assert "pki Show and import the certificates of SM-DP+, eIM and simulated eUICCs." in words
    assert "euicc Look into the card of a station" in words
    assert "doctor Check configuration, drivers" in words


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main.bench, [name, "--help"])
    assert result.exit_code == 0, result.output
    group = "Commands:" in result.output
    assert group or "Example" in result.output


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ('def go():\n    """One line.\n\n    More."""\n', "One line."),
        ("def other(): ...\n", "(package_x.inner:go)"),
        ("def go(:\n", "(package_x.inner:go)"),
        ("raise SystemExit('imported')\n\nasync def go():\n    'Said.'\n", "Said."),
    ],
)
def test_help_is_read_from_the_source(source: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package_x"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "inner.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main._help_of("package_x.inner:go") == shown


def test_help_of_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "single_x.py").write_text('def go():\n    """Alone."""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main._help_of("single_x:go") == "Alone."
    assert main._help_of("no_such_package_x.cli:go") == "(no_such_package_x.cli:go is not installed)"
    assert main._help_of("single_x.more:go") == "(single_x.more:go)"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"name": "rsrp", "value": -85.0, "unit": "dBm", "lower": -110, "upper": None}, "rsrp = -85 dBm  (≥ -110)"),
        ({"name": "boot", "value": 13.7, "unit": "s", "upper": "12min"}, "boot = 13.7 s  (≤ 12min)"),
        ({"name": "n", "value": None, "lower": 1.5, "upper": 2}, "n = None  (≥ 1.5, ≤ 2)"),
    ],
)
def test_a_measurement_is_a_line_whatever_its_recipe_gave_as_limits(data: dict[str, Any], line: str) -> None:
    from bench.cli.output import measure

    assert measure(data) == line
