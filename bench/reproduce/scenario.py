"""The scenario file: recipe, world, conditions on a time line, and the signature of the failure to look for (TOML)."""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bench.reproduce.conditions import Condition, near, read_condition
from bench.reproduce.errors import ScenarioError
from bench.reproduce.signature import Signature

SCHEMA: Final = 1
_KEYS: Final = (
    "schema", "title", "summary", "recipe", "station", "seed", "parameters", "world", "device", "case", "condition",
    "signature", "decisive", "expected",
)  # fmt: skip
_CASE: Final = ("owner", "notes", "delete_after", "files", "ignored")
DEVICE: Final = (
    "modem", "modem_firmware", "device_firmware", "card_vendor", "card_os", "profile", "ipa", "rat", "operator",
)  # fmt: skip
"""What the table field against station compares."""


@dataclass(frozen=True, slots=True)
class Case:
    """Whose case it is, and until when it may be kept."""

    owner: str = ""
    notes: str = ""
    delete_after: datetime.date | None = None
    files: tuple[str, ...] = ()
    """What it was imported from."""

    @property
    def text(self) -> str:
        """For people; empty when nothing is said."""
        until = "" if self.delete_after is None else f"to be deleted after {self.delete_after}"
        return "; ".join(part for part in (self.owner and f"of {self.owner}", until, self.notes) if part)

    def overdue(self, today: datetime.date) -> bool:
        """Whether the case must be deleted by now."""
        return self.delete_after is not None and today > self.delete_after


@dataclass(frozen=True, slots=True)
class Scenario:
    """One failure, as conditions and signature."""

    title: str
    recipe: str
    signature: Signature
    conditions: tuple[Condition, ...] = ()
    summary: str = ""
    station: str = "sim"
    seed: int | None = None
    """Seed of the first run, of the next one more; None: drawn."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    world: Mapping[str, Any] = field(default_factory=dict)
    """What the simulated world is, condition or not: modem, RAT, card."""
    device: Mapping[str, str] = field(default_factory=dict)
    """What failed in the field, by DEVICE; what is not known is left out."""
    case: Case = Case()
    decisive: tuple[str, ...] = ()
    """Names of conditions without which it does not fail; empty where nobody has found out."""
    expected: str = ""
    """What comes out, in a sentence for people."""
    source: str = ""
    """The file."""

    def only(self, names: Collection[str]) -> Scenario:
        """Return the scenario with those conditions alone, in their order."""
        return replace(self, conditions=tuple(item for item in self.conditions if item.name in names))

    def without(self, names: Collection[str]) -> Scenario:
        """Return the scenario without those conditions."""
        return replace(self, conditions=tuple(item for item in self.conditions if item.name not in names))

    def with_conditions(self, conditions: Sequence[Condition]) -> Scenario:
        """Return the scenario with other conditions."""
        return replace(self, conditions=tuple(conditions))

    def world_options(self) -> dict[str, Any]:
        """Return the simulated world's options: what it is, its conditions from the start, its time line."""
        options = dict(self.world)
        for item in self.conditions:
            if item.do == "world":
                options |= dict(item.figures["set"])
        faults = [item.fault() for item in self.conditions if item.event]
        return {**options, "faults": faults} if faults else options

    def run_parameters(self) -> dict[str, Any]:
        """Return the recipe's parameters with those that are conditions."""
        values = dict(self.parameters)
        for item in self.conditions:
            if item.do == "parameter":
                values |= dict(item.figures["set"])
        return values

    def text(self) -> str:
        """As a file: ``read_scenario`` reads the same scenario from it."""
        from bench.reproduce.toml_text import table_text

        case: dict[str, Any] = {
            key: value
            for key, value in (
                ("owner", self.case.owner),
                ("notes", self.case.notes),
                ("delete_after", self.case.delete_after),
                ("files", list(self.case.files)),
            )
            if value
        }
        head: dict[str, Any] = {"schema": SCHEMA, "title": self.title}
        head |= {"summary": self.summary} if self.summary else {}
        head |= {"recipe": self.recipe, "station": self.station}
        head |= {"seed": self.seed} if self.seed is not None else {}
        head |= {"expected": self.expected} if self.expected else {}
        head |= {"decisive": list(self.decisive)} if self.decisive else {}
        tables: dict[str, Any] = {
            "case": case,
            "device": dict(self.device),
            "parameters": dict(self.parameters),
            "world": dict(self.world),
        }
        return table_text(
            {**head, **{name: value for name, value in tables.items() if value}},
            lists={"condition": [_file_table(item) for item in self.conditions]},
            last={"signature": self.signature.table()},
        )


def _file_table(condition: Condition) -> dict[str, Any]:
    made = condition.table()
    if condition.do in ("eim-misbehave", "smdpp-misbehave"):
        made = {**made, "name": condition.figures["name"], "label": condition.name}
    elif condition.do in ("server-slow", "link-block") and "name" in condition.figures:
        made = {**made, "name": condition.name, "server": condition.figures["name"]}
    return made


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises ScenarioError with the file, the entry and the remedy."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ScenarioError(f"the scenario cannot be read: {reason}", where=str(path), hint="a TOML file") from error
    return parse_scenario(text, str(path))


def parse_scenario(text: str, where: str = "scenario") -> Scenario:
    """Read a scenario from its text. Raises ScenarioError."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ScenarioError(f"no TOML: {error}", where=where, hint="correct that line") from error
    return from_table(table, where)


def from_table(table: Mapping[str, Any], where: str = "scenario") -> Scenario:
    """Read a scenario from its table. Raises ScenarioError."""
    for key in table:
        if key not in _KEYS:
            raise ScenarioError(f"a scenario has no {key!r}", where=where, hint=near(key, _KEYS))
    schema = table.get("schema", SCHEMA)
    if schema != SCHEMA or isinstance(schema, bool):
        raise ScenarioError(
            f"schema = {schema!r}, this bench reads {SCHEMA}", where=where, hint="a newer bench wrote it?"
        )
    for key in ("title", "recipe"):
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise ScenarioError(f"{key!r} is missing or no text", where=where, hint="title = ..., recipe = ...")
    for key in ("summary", "station", "expected"):
        if not isinstance(table.get(key, ""), str):
            raise ScenarioError(f"{key} = {table[key]!r} is no text", where=where, hint="a text")
    seed = table.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 1 << 32):
        raise ScenarioError(f"seed = {seed!r} is no number from 0 to 2^32-1", where=where, hint="seed = 7")
    tables = {key: table.get(key, {}) for key in ("parameters", "world", "device", "case", "signature")}
    for key, value in tables.items():
        if not isinstance(value, Mapping):
            raise ScenarioError(f"{key} = {value!r} is no table", where=where, hint=f"[{key}]")
    if "faults" in tables["world"]:
        raise ScenarioError(
            "world.faults: conditions stand as [[condition]]", where=where, hint="[[condition]] do = ..."
        )
    for key, value in tables["device"].items():
        if key not in DEVICE:
            raise ScenarioError(f"device has no {key!r}", where=where, hint=near(key, DEVICE))
        if not isinstance(value, str):
            raise ScenarioError(f"device.{key} = {value!r} is no text", where=where, hint="as it names itself")
    for key in ("parameters", "world"):
        for name, value in tables[key].items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ScenarioError(f"{key}.{name} = {value} is no figure", where=where, hint="a finite number")
    listed = table.get("condition", [])
    if not isinstance(listed, list) or not all(isinstance(item, Mapping) for item in listed):
        raise ScenarioError("'condition' is no array of tables", where=where, hint="[[condition]]")
    conditions = tuple(read_condition(item, number, where) for number, item in enumerate(listed, 1))
    names = [item.name for item in conditions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ScenarioError(f"two conditions are called {twice!r}", where=where, hint="minimising names them: one each")
    decisive = table.get("decisive", [])
    if not isinstance(decisive, list) or not all(isinstance(item, str) for item in decisive):
        raise ScenarioError("'decisive' is no list of names", where=where, hint='decisive = ["refresh-missed"]')
    for name in decisive:
        if name not in names:
            raise ScenarioError(f"decisive: there is no condition {name!r}", where=where, hint=near(name, names))
    return Scenario(
        title=table["title"],
        recipe=table["recipe"],
        signature=Signature.read(tables["signature"], where),
        conditions=conditions,
        summary=table.get("summary", ""),
        station=table.get("station", "sim"),
        seed=seed,
        parameters=dict(tables["parameters"]),
        world=dict(tables["world"]),
        device=dict(tables["device"]),
        case=_case(tables["case"], where),
        decisive=tuple(decisive),
        expected=table.get("expected", ""),
        source=where,
    )


def _case(table: Mapping[str, Any], where: str) -> Case:
    for key in table:
        if key not in _CASE:
            raise ScenarioError(f"case has no {key!r}", where=where, hint=near(key, _CASE))
    until = table.get("delete_after")
    if until is not None and (not isinstance(until, datetime.date) or isinstance(until, datetime.datetime)):
        raise ScenarioError(f"case.delete_after = {until!r} is no date", where=where, hint="delete_after = 2027-03-31")
    files = table.get("files", [])
    if not isinstance(files, list):
        raise ScenarioError("case.files is no list", where=where, hint='files = ["at.log"]')
    return Case(str(table.get("owner", "")), str(table.get("notes", "")), until, tuple(map(str, files)))


def find_scenario(name: str, places: Sequence[Path]) -> Path:
    """Return the file of a scenario: a path, or the name of one in ``places``. Raises ScenarioError."""
    path = Path(name)
    if path.is_file():
        return path
    known = {item.stem: item for place in places if place.is_dir() for item in sorted(place.glob("*.toml"))}
    if name in known:
        return known[name]
    hint = near(name, known) if known else "a path to a TOML file"
    raise ScenarioError(f"there is no scenario {name!r}", where=str(path), hint=hint)


__all__ = ["DEVICE", "Case", "Scenario", "find_scenario", "from_table", "parse_scenario", "read_scenario"]
