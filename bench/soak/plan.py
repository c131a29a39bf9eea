"""Soak plans: TOML, checked whole before anything is touched; every complaint names file and line.

Times are texts with a unit (``"90s"``, ``"30min"``, ``"12h"``) or numbers of seconds; sizes ``"20GB"`` or bytes.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from bench.engine.units import convert
from bench.errors import ConfigurationError
from bench.run.folder import read_json
from bench.station.tables import Bounds, Document, build, did_you_mean

USES: Final = ("downloads", "enables", "power_cuts", "bytes", "sms", "attaches")
"""What a cycle may use up of a sample; counted for its life by EID and IMEI."""
_QUANTITY: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", re.ASCII)
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_MOST_COMBINATIONS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """One ``[[recipes]]`` entry: a recipe with what varies."""

    recipe: str
    name: str = ""
    """What reports call it; the recipe's name when empty."""
    weight: Annotated[float, Bounds(0.001, 1e6)] = 1.0
    """Of ``order = "weighted"``: how often it is drawn, relative to the others."""
    repetitions: Annotated[int, Bounds(1, 1_000_000)] = 1
    """Of each combination in one round."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sweep: Mapping[str, Any] = field(default_factory=dict)
    """Parameter to list of values: every combination is run."""
    ranges: Mapping[str, Any] = field(default_factory=dict)
    """Parameter to ``{ from, to, step }``: drawn from the seed for each cycle."""
    uses: Mapping[str, Any] = field(default_factory=dict)
    """What one cycle uses at most (``USES``); what is not said is taken from the recipe's effects."""
    expect: str = ""
    """How long one cycle takes, until the first ones have been measured."""
    faults: tuple[Mapping[str, Any], ...] = ()
    """Fault time line of the simulated world for its cycles."""
    baseline: bool = True
    """The baseline is checked before and restored after it."""
    origin: str = ""

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.name or self.recipe


@dataclass(frozen=True, slots=True)
class Baseline:
    """``[baseline]``: recipes that check and restore the state from which every cycle starts."""

    check: str = "baseline-check"
    restore: str = "baseline-restore"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    within: str = "10min"
    """Station time for each of them."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Codes:
    """``[codes]``: a pool of activation codes, one a line; each is used once, also over resume."""

    file: str
    parameter: str = "activation_code"
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Budgets:
    """``[budgets]``: what one sample may use in this soak; a station whose sample reaches one stops."""

    downloads: Annotated[int, Bounds(1, 1e9)] | None = None
    enables: Annotated[int, Bounds(1, 1e9)] | None = None
    power_cuts: Annotated[int, Bounds(1, 1e9)] | None = None
    bytes: str = ""
    sms: Annotated[int, Bounds(1, 1e9)] | None = None
    attaches: Annotated[int, Bounds(1, 1e9)] | None = None
    attaches_per_hour: Annotated[int, Bounds(1, 1e6)] | None = None
    """More are not refused: the station waits."""
    life: Mapping[str, Any] = field(default_factory=dict)
    """The same figures over the life of the sample, all soaks together."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """``[stop]``: when the soak ends before its cycles and its time do, and what a pass needs."""

    consecutive_failures: Annotated[int, Bounds(1, 1e6)] | None = None
    target_failure_rate: Annotated[float, Bounds(1e-6, 0.999)] | None = None
    limit_failure_rate: Annotated[float, Bounds(1e-6, 0.999)] | None = None
    alpha: Annotated[float, Bounds(1e-4, 0.4)] = 0.05
    beta: Annotated[float, Bounds(1e-4, 0.4)] = 0.05
    first_cycle_within: str = "30min"
    observations: Annotated[int, Bounds(1, 1e9)] = 1
    """Cycles from the baseline with a decided result that a pass needs."""
    bench_errors: Annotated[int, Bounds(1, 1000)] = 3
    """In a row: then the station is quarantined; the others go on."""
    energy: str = ""
    disk_free: str = "1GB"
    """The soak ends when the runs folder's file system has less than this."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """``[keep]``: what becomes of traces; journals and results always stay."""

    quota: str = ""
    """Of all runs of this soak."""
    passes: Annotated[int, Bounds(0, 1e6)] = 20
    """So many runs without a failure keep their traces, spread over the soak; failures always do."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """``[tell]``: who is told, at the end and at once on stop, trip and quarantine."""

    webhook: str = ""
    """Gets a JSON object by POST."""
    mail: tuple[str, ...] = ()
    """Command that gets the text on standard input; ``{subject}`` is replaced."""
    within: Annotated[float, Bounds(1, 120, "s")] = 15.0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A soak plan. ``seconds`` and ``size`` read its texts."""

    recipes: tuple[Part, ...]
    title: str = ""
    stations: tuple[str, ...] = ("sim",)
    seed: Annotated[int, Bounds(0, 2**53)] | None = None
    order: Literal["fixed", "shuffled", "weighted"] = "fixed"
    """``fixed``: rounds as written; ``shuffled``: every round in an order of its own by the seed; ``weighted``: each
    cycle drawn by the weights."""
    cycles: Annotated[int, Bounds(1, 10_000_000)] | None = None
    """Of each station."""
    rounds: Annotated[int, Bounds(1, 1_000_000)] | None = None
    """Of each station: every combination with its repetitions so often; not for ``weighted``."""
    duration: str = ""
    deadline: str = ""
    """Local time ``HH:MM`` (the next one) or ISO 8601."""
    pause: str = ""
    """Between two cycles, in station time."""
    cycle_within: str = "2h"
    """Station time for one cycle; then the device has failed."""
    segment: Annotated[int, Bounds(1, 100_000)] = 50
    """Cycles in one run folder."""
    clock: str = ""
    """Simulated stations: instant, real or scaled:FACTOR; empty: as bench.toml says."""
    on_hangup: Literal["go-on", "stop"] = "go-on"
    """What the soak does when its terminal is closed."""
    eid: Mapping[str, Any] = field(default_factory=dict)
    """Station to EID of its card: allows what cannot be undone, and pins the card."""
    world: Mapping[str, Any] = field(default_factory=dict)
    """Options of simulated worlds."""
    baseline: Baseline | None = field(default_factory=Baseline)
    codes: Codes | None = None
    budgets: Budgets = field(default_factory=Budgets)
    stop: Stop = field(default_factory=Stop)
    keep: Keep = field(default_factory=Keep)
    tell: Tell = field(default_factory=Tell)
    origin: str = ""

    @property
    def name(self) -> str:
        """The title, else the file's name."""
        return self.title or Path(self.origin.rpartition(":")[0] or self.origin).stem


def seconds(text: str) -> float | None:
    """Return a time in seconds, None for an empty text. Raises ValueError."""
    return _quantity(text, "s")


def size(text: str) -> float | None:
    """Return a size in bytes, None for an empty text. Raises ValueError."""
    return _quantity(text, "B")


def energy(text: str) -> float | None:
    """Return an energy in joules (``Wh`` too), None for an empty text. Raises ValueError."""
    found = _QUANTITY.fullmatch(text)
    if found and found[2] in ("Wh", "mWh", "kWh"):
        return float(found[1]) * {"mWh": 3.6, "Wh": 3600.0, "kWh": 3.6e6}[found[2]]
    return _quantity(text, "J")


def _quantity(text: str, unit: str) -> float | None:
    if not text:
        return None
    found = _QUANTITY.fullmatch(text)
    value = convert(float(found[1]), found[2] or unit, unit) if found else None
    if value is None or not math.isfinite(value):
        example = {"s": "90s, 30min or 12h", "B": "500MB or 20GB", "J": "500J or 2Wh"}[unit]
        raise ValueError(f"'{text}' is none: write {example}")
    return value


def deadline(text: str, now: datetime.datetime) -> datetime.datetime | None:
    """Return when a deadline is, after ``now`` (aware); None for an empty text. Raises ValueError."""
    if not text:
        return None
    found = _CLOCK.fullmatch(text)
    if found:
        moment = now.astimezone().replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
        return moment if moment > now else moment + datetime.timedelta(days=1)
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.astimezone()


def load(path: Path) -> Plan:
    """Read a plan. Raises ConfigurationError with everything that is wrong, each with file and line."""
    plan = parse(Document.read(path))
    # The copy in a soak's folder means the same files as the plan it was made of.
    about = read_json(path.with_name("soak.json"))
    base = Path(str(about["plan"])).parent if about.get("plan") else path.absolute().parent
    return replace(plan, recipes=tuple(replace(part, recipe=_from(base, part.recipe)) for part in plan.recipes))


def _from(base: Path, recipe: str) -> str:
    """Return a recipe named by a file as an absolute path, relative ones beside the plan."""
    path, separator, function = recipe.rpartition(":") if not recipe.endswith(".py") else (recipe, "", "")
    return f"{base / path}{separator}{function}" if path.endswith(".py") else recipe


def loads(text: str, name: str = "plan") -> Plan:
    """Read a plan from its text, as ``load``."""
    return parse(Document(text, name))


def parse(document: Document) -> Plan:
    """Return the plan of a document. Raises ConfigurationError."""
    made = build(Plan, document.table, (), document)
    if made is not None:
        _check(made, document)
    document.check()
    assert isinstance(made, Plan)
    if made.baseline is not None and document.table.get("baseline", {}).get("check") == "":
        return _without_baseline(made)
    return made


def _without_baseline(plan: Plan) -> Plan:
    return replace(plan, baseline=None)


def _check(plan: Plan, document: Document) -> None:
    """Complain about what the types cannot say."""
    if not plan.recipes:
        document.complain(("recipes",), "there is no recipe", "add [[recipes]] with recipe = 'full-cycle'")
    if not plan.stations:
        document.complain(("stations",), "there is no station", "stations = ['sim']")
    if len(set(plan.stations)) < len(plan.stations):
        document.complain(("stations",), "a station is named twice")
    if not (plan.cycles or plan.rounds or plan.duration or plan.deadline):
        document.complain((), "nothing ends it", "add cycles, rounds, duration or deadline")
    if plan.order == "weighted" and plan.rounds:
        document.complain(("rounds",), "weighted order has no rounds", "use cycles, duration or deadline")
    for key in ("duration", "pause", "cycle_within"):
        _text(document, (key,), getattr(plan, key), seconds)
    _text(document, ("stop", "first_cycle_within"), plan.stop.first_cycle_within, seconds)
    _text(document, ("stop", "disk_free"), plan.stop.disk_free, size)
    _text(document, ("stop", "energy"), plan.stop.energy, energy)
    _text(document, ("keep", "quota"), plan.keep.quota, size)
    _text(document, ("budgets", "bytes"), plan.budgets.bytes, size)
    if plan.baseline is not None:
        _text(document, ("baseline", "within"), plan.baseline.within, seconds)
    try:
        deadline(plan.deadline, datetime.datetime.now().astimezone())
    except ValueError:
        document.complain(("deadline",), f"'{plan.deadline}' is no time", "write 06:30 or 2026-01-31T06:30")
    stop = plan.stop
    if (stop.target_failure_rate is None) != (stop.limit_failure_rate is None):
        document.complain(
            ("stop",), "the sequential test needs target_failure_rate and limit_failure_rate", "give both or neither"
        )
    elif (stop.target_failure_rate or 0.0) >= (stop.limit_failure_rate or 1.0):
        document.complain(("stop", "limit_failure_rate"), "it must be above target_failure_rate")
    _counts(document, ("budgets", "life"), plan.budgets.life)
    for station in plan.eid:
        if station not in plan.stations:
            document.complain(
                ("eid", station), f"'{station}' is no station of this plan", did_you_mean(station, plan.stations)
            )
    for number, part in enumerate(plan.recipes):
        _check_part(document, part, ("recipes", number))


def _text(document: Document, path: tuple[str | int, ...], text: str, read: Any) -> None:
    try:
        read(text)
    except ValueError as error:
        document.complain(path, f"'{path[-1]}': {error}")


def _counts(document: Document, path: tuple[str | int, ...], table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        if name not in USES:
            document.complain((*path, name), f"unknown key '{name}'", did_you_mean(name, USES))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e15:
            document.complain((*path, name), f"'{name}' must be a number from 0 on, not {value!r}")


def _check_part(document: Document, part: Part, path: tuple[str | int, ...]) -> None:
    if not part.recipe.strip():
        document.complain((*path, "recipe"), "it names no recipe", "bench recipes lists them")
    _counts(document, (*path, "uses"), part.uses)
    _text(document, (*path, "expect"), part.expect, seconds)
    combinations = 1
    for name, values in part.sweep.items():
        if not isinstance(values, list) or not values:
            document.complain((*path, "sweep", name), f"'{name}' must be a list of values", "write [1, 2, 5]")
        else:
            combinations *= len(values)
    if combinations * part.repetitions > _MOST_COMBINATIONS:
        document.complain((*path, "sweep"), f"{combinations} combinations are more than {_MOST_COMBINATIONS}")
    for name, given in part.ranges.items():
        _check_range(document, (*path, "ranges", name), name, given)
    tables = ("parameters", "sweep", "ranges")
    for at, kind in enumerate(tables):
        for other in tables[at + 1 :]:
            for name in set(getattr(part, kind)) & set(getattr(part, other)):
                document.complain((*path, other, name), f"'{name}' stands in {kind} and in {other}", "keep one")


def _check_range(document: Document, path: tuple[str | int, ...], name: str, given: Any) -> None:
    if not isinstance(given, dict) or not {"from", "to"} <= set(given) or set(given) - {"from", "to", "step"}:
        document.complain(path, f"'{name}' must be {{ from = ..., to = ... }}", "and step = ... if it has steps")
        return
    numbers = list(given.values())
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in numbers):
        document.complain(path, f"'{name}': from, to and step must be numbers")
    elif given["from"] > given["to"] or ("step" in given and given["step"] <= 0):
        document.complain(path, f"'{name}': from must not be above to, and step must be above 0")


def find(text: str) -> Path:
    """Return the file of a plan: a path, or the name of one that is installed. Raises ConfigurationError."""
    path = Path(text)
    if path.suffix == ".toml" or path.is_file():
        return path
    known = installed()
    if text in known:
        return known[text]
    raise ConfigurationError(
        f"there is no plan '{text}'", where="bench.plans", hint=did_you_mean(text, known) or "give a file.toml"
    )


def installed() -> dict[str, Path]:
    """Return the plans of installed packages (entry-point group ``bench.plans``: a package whose folder holds them)."""
    from importlib.util import find_spec

    from bench.station.entrypoints import entry_points_of

    found: dict[str, Path] = {}
    for package in entry_points_of("bench.plans").values():
        spec = find_spec(package.partition(":")[0])
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            for file in sorted(Path(place).glob("*.toml")):
                found.setdefault(file.stem, file)
    return found
