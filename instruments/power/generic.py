"""A supply that bench.toml describes: its commands as templates, checked before anything is opened.

```toml
[instruments.psu1]
driver = "scpi-supply"
resource = "TCPIP::192.0.2.10::5025::SOCKET"
options = { select = "INST:NSEL {n}", set_voltage = "VOLT {v:.3f}", output_on = "OUTP ON", sync = "*OPC?" }
```
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.errors import ConfigurationError
from bench.station.power import PowerAbilities, Span, TripCause
from instruments.power.dialects import TEMPLATES, Level, SupplyDialect, TripQuery, Watchdog
from instruments.power.supply import ScpiSupply
from instruments.power.tables import GENERIC
from instruments.scpi.session import Manners

_QUERIES = frozenset({"get_voltage", "get_current", "get_output", "measure_voltage", "measure_current", "get_power_on"})
_VALUES = frozenset({"set_voltage", "set_current", "set_delay", "set_over_voltage"})
_TUPLES = frozenset({"output_on", "output_off", "get_output", "clear_trip"})
_PLAIN = frozenset({"answer_voltage", "answer_current"})
_WATCHDOG = ("set_delay", "get_delay", "on", "off", "state")
_OTHER = (
    "timeout", "channels", "model", "sync", "errors", "pause", "watchdog", "sessions", "power_on_is_off",
    "set_over_voltage", "get_over_voltage", "trip_over_voltage", "trip_over_current",
)  # fmt: skip


class GenericScpiSupply(ScpiSupply):
    """Any supply that speaks VOLT, CURR, OUTP and MEAS after INSTrument:NSELect, or what its options say instead.

    Options, each a command with ``{n}`` for the channel and ``{v}`` for the value: ``select``, ``set_voltage``,
    ``get_voltage``, ``set_current``, ``get_current``, ``measure_voltage``, ``measure_current``; one or a list of them:
    ``output_on``, ``output_off``, ``get_output``, ``clear_trip``; ``set_over_voltage`` and ``get_over_voltage``,
    ``trip_over_voltage`` and ``trip_over_current`` (questions answered by yes); ``answer_voltage`` and
    ``answer_current``: what an answer begins with. ``watchdog``: a table of ``set_delay``, ``get_delay``, ``on``,
    ``off``, ``state``, ``shortest`` and ``longest`` (seconds). ``sync`` ('' where *OPC? is not answered), ``errors``,
    ``pause`` (seconds after a command), ``channels``, ``sessions``, ``model`` (a pattern for manufacturer,model).
    """

    dialect = GENERIC

    @classmethod
    def known_options(cls) -> tuple[str, ...]:
        """Return the names of this driver's options in bench.toml."""
        return (*_OTHER, *sorted(TEMPLATES - {"model"}))

    @classmethod
    def dialect_for(cls, extra: object, *, where: str = "") -> SupplyDialect:
        """Return the language that the options describe. Raises ConfigurationError."""
        return described(extra if isinstance(extra, Mapping) else {}, where=where)


def described(options: Mapping[str, Any], *, where: str = "") -> SupplyDialect:
    """Return the dialect of a supply described by options. Raises ConfigurationError for what cannot be a command."""
    changes: dict[str, Any] = {}
    for name in TEMPLATES - {"model"}:
        if name not in options:
            continue
        if name in _TUPLES:
            changes[name] = _lines(name, options[name], where)
        else:
            changes[name] = _template(name, options[name], where, empty=name in _PLAIN or name == "select")
    if "model" in options:
        changes["model"] = _pattern(options["model"], where)
    if "power_on_is_off" in options:
        changes["power_on_is_off"] = str(options["power_on_is_off"]).upper()
    changes["channels"] = _integer(options, "channels", GENERIC.channels, 1, 99, where)
    changes["manners"] = Manners(
        sync=_template("sync", options.get("sync", "*OPC?"), where, empty=True),
        errors=_template("errors", options.get("errors", "SYST:ERR?"), where, empty=True),
        pause=_number(options, "pause", 0.0, 0.0, 2.0, where),
    )
    causes: dict[str, TripCause] = {"trip_over_voltage": "over-voltage", "trip_over_current": "over-current"}
    changes["trips"] = tuple(
        TripQuery(_template(name, options[name], where), cause) for name, cause in causes.items() if name in options
    )
    able = PowerAbilities(
        sessions=_integer(options, "sessions", 1, 1, 64, where),
        power_on_state=bool(changes.get("power_on_off")),
    )
    if "set_over_voltage" in options:
        if "get_over_voltage" not in options:
            raise ConfigurationError("'set_over_voltage' without 'get_over_voltage'", where=where, hint="give both")
        changes["over_voltage"] = Level(
            set=_template("set_over_voltage", options["set_over_voltage"], where),
            get=_template("get_over_voltage", options["get_over_voltage"], where),
        )
        able = replace(able, over_voltage=Span(0.0, 1000.0))
    if "watchdog" in options:
        changes["watchdog"], span = _watchdog(options["watchdog"], where)
        able = replace(able, watchdog=span)
    return replace(GENERIC, **changes, abilities=able)


def _watchdog(table: Any, where: str) -> tuple[Watchdog, Span]:
    if not isinstance(table, Mapping):
        raise ConfigurationError("'watchdog' must be a table", where=where, hint=f"with {', '.join(_WATCHDOG)}")
    for key in table:
        if key not in (*_WATCHDOG, "shortest", "longest"):
            raise ConfigurationError(f"'watchdog' has no '{key}'", where=where, hint=f"it has {', '.join(_WATCHDOG)}")
    missing = [key for key in _WATCHDOG if key not in table]
    if missing:
        raise ConfigurationError(
            f"'watchdog' lacks {', '.join(missing)}", where=where, hint="each is a command of the supply, or a question"
        )
    commands = {key: _template(key, table[key], where) for key in _WATCHDOG}
    span = Span(
        _number(table, "shortest", 1.0, 0.1, 3600.0, where), _number(table, "longest", 60.0, 0.1, 86400.0, where)
    )
    return Watchdog(**commands), span


def _lines(name: str, value: Any, where: str) -> tuple[str, ...]:
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or (not lines and name != "clear_trip"):
        raise ConfigurationError(
            f"'{name}' must be a command or a list of commands", where=where, hint=f'{name} = ["OUTP ON"]'
        )
    return tuple(_template(name, line, where) for line in lines)


def _template(name: str, value: Any, where: str, *, empty: bool = False) -> str:
    """Check one command: printable ASCII on one line, no place holders but {n} and {v}, a query where one belongs."""
    if not isinstance(value, str) or (not value.strip() and not empty):
        raise ConfigurationError(f"'{name}' must be a command", where=where, hint="such as 'VOLT {v:.3f}'")
    if not all(32 <= ord(character) < 127 for character in value):
        raise ConfigurationError(
            f"'{name}' may hold printable ASCII on one line only", where=where, hint="give a list for several commands"
        )
    try:
        used = {field for _, field, _, _ in string.Formatter().parse(value) if field is not None}
        if not used <= {"n", "v"}:
            raise ValueError("the only place holders are {n} and {v}")
        value.format(n=1, v=1.5)
    except (ValueError, LookupError, AttributeError) as error:
        raise ConfigurationError(
            f"'{name}' is no template: {error}", where=where, hint="{n} is the channel, {v:.3f} the value"
        ) from error
    if name in _VALUES and "v" not in used:
        raise ConfigurationError(f"'{name}' does not say where the value goes", where=where, hint="write {v:.3f}")
    if (name in _QUERIES or name.startswith(("get_", "trip_")) or name == "state") and "?" not in value:
        raise ConfigurationError(f"'{name}' must be a question", where=where, hint=f"'{value}?'")
    return value


def _pattern(value: Any, where: str) -> str:
    try:
        re.compile(str(value))
    except re.error as error:
        raise ConfigurationError(
            f"'model' is no pattern: {error}", where=where, hint="a regular expression for manufacturer,model of *IDN?"
        ) from error
    return str(value)


def _number(options: Mapping[str, Any], name: str, default: float, low: float, high: float, where: str) -> float:
    value = options.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigurationError(
            f"'{name}' must be {low:g} to {high:g}", where=where, hint=f"{name} = {default:g}, without quotes"
        )
    return float(value)


def _integer(options: Mapping[str, Any], name: str, default: int, low: int, high: int, where: str) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigurationError(
            f"'{name}' must be a whole number from {low} to {high}", where=where, hint=f"{name} = {default}"
        )
    return value
