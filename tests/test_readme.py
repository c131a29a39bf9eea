"""What the README and its pages name is there: commands and their options, recipes, pieces of bench.toml, files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from bench.cli.main import bench
from bench.station import config

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "bench/station/stations.md", "fixtures/servers.md")
TEXT = "\n".join((ROOT / page).read_text() for page in PAGES)
SPANS = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))]
TABLES = re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)


def commands() -> list[tuple[str, list[str]]]:
    """Return every command line in backticks; a name alone in the table is of the group that the row begins with."""
    found: list[tuple[str, list[str]]] = []
    for line in TEXT.splitlines():
        first = line.split("|")[1] if line.startswith("| `bench") else ""
        before: list[str] = []
        for span in re.findall(r"`([^`]+)`", first):
            words = span.split()
            if words[0] == "bench":
                before = words = words[1:]
            else:
                words = [*_group(before, words[0]), *words]
            found.append((span, words))
    return found + [(span, span.split()[1:]) for span in SPANS if span.startswith("bench ") and span not in dict(found)]


def _group(before: list[str], name: str) -> list[str]:
    """Return the innermost group along ``before`` that has a command of this name."""
    for end in range(len(before), 0, -1):
        at, rest = resolved(before[:end])
        if isinstance(at, click.Group) and not rest and at.get_command(click.Context(at), name) is not None:
            return before[:end]
    return []


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and what is left of them."""
    at: click.Command = bench
    while words and isinstance(at, click.Group):
        after = at.get_command(click.Context(at), words[0])
        if after is None:
            break
        at, words = after, words[1:]
    return at, words


@pytest.mark.parametrize(("span", "words"), commands(), ids=[span for span, _ in commands()])
def test_a_command_of_the_readme(span: str, words: list[str]) -> None:
    command, rest = resolved(words)
    assert command is not bench or not words, span
    assert not (isinstance(command, click.Group) and rest and rest[0][0] not in "-[" and rest[0].islower()), span
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for option in re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", " ".join(rest)):
        assert option in known, f"{span}: {option} is none of {sorted(known)}"
    if command.name == "run" and rest[:1] and rest[0].islower():
        assert rest[0] in {entry.name for entry in entry_points(group="bench.recipes")}, span


def test_there_are_commands_of_every_group() -> None:
    named = {words[0] for _, words in commands() if words}
    assert {"eim", "smdpp", "ipa", "euicc", "pki", "profile", "sim", "doctor", "soak", "reproduce"} <= named
    assert len(commands()) > 40


def test_the_pieces_of_bench_toml_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    station, switched = TABLES
    path.write_text(station)
    assert config.load(path).stations["meter"].card.at == "modem"
    kept = [line for line in station.splitlines() if not line.startswith(("card", "data"))]
    path.write_text("\n".join([*kept, switched]))
    assert config.load(path).stations["meter"].card.at == "switch"


@pytest.mark.parametrize("span", [span for span in SPANS if re.match(r"\[\w+\] ", span)])
def test_a_table_in_a_sentence_is_taken(span: str, tmp_path: Path) -> None:
    table, _, rest = span.partition("] ")
    tomllib.loads(f"{table}]\n{rest}")
    path = tmp_path / "bench.toml"
    path.write_text(f"{table}]\n{rest}\n")
    if "external" not in rest:
        config.load(path)


def test_files_and_programs() -> None:
    for name in re.findall(r"(\.ci/\w+)", TEXT):
        assert (ROOT / name).exists(), name
    for name in (span for span in SPANS if re.fullmatch(r"(?:recipes|bench|tests)/[\w/.]+", span)):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\[[^]]*\]\(([^)]+)\)", (ROOT / PAGES[0]).read_text()):
        assert (ROOT / name).exists(), name
    done = subprocess.run(
        [sys.executable, "-m", "bench.rsp.interpretation"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "signature_format" in done.stdout


def test_the_picture_is_the_latest_one() -> None:
    picture = ROOT / "bench/tui/screen.svg"
    assert picture.read_bytes() == (ROOT / "tests/tui/snapshots/run-120x36.svg").read_bytes(), (
        "copy it: it was made anew"
    )
