"""Parameters of a recipe: declared once in its signature, read from text with units, checked before anything moves."""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from bench.engine.units import convert, dimension
from bench.errors import ConfigurationError

_NUMBER: Final = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([A-Za-zµΩ°%/]*)", re.ASCII)
_HEX: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]+")
_TRUE: Final = ("yes", "true", "on", "1")
_FALSE: Final = ("no", "false", "off", "0")
_LONGEST: Final = 65536


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number: ``Unit("s")``."""

    name: str


@dataclass(frozen=True, slots=True)
class Range:
    """The values allowed, bounds included."""

    lower: float
    upper: float


class Choices:
    """The texts (or numbers) allowed: ``Choices("LTE", "NB-IoT")``."""

    def __init__(self, *values: Any) -> None:
        self.values = values


class _FromRat(float):
    """A default that depends on the radio access technology: a float to the type checker, resolved when bound."""

    def __repr__(self) -> str:
        return "FROM_RAT"


FROM_RAT: Final[float] = _FromRat("nan")
"""Default of a time within which the device registers: by the slowest RAT the parameters allow (``RAT_SECONDS``)."""

RAT_SECONDS: Final[Mapping[str, float]] = {"GSM": 180.0, "LTE": 180.0, "LTE-M": 360.0, "NB-IoT": 720.0}
"""Cold search with attach, roaming included: 120, 120, 240 and 480 s at home, half as much again when roaming."""
FROM_RAT_TEXT: Final = "from RAT"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as declared."""

    name: str
    kind: type
    """bool, int, float or str."""
    many: bool = False
    """A tuple of these, written with commas."""
    optional: bool = False
    """None is allowed, written ``none``."""
    required: bool = False
    default: Any = None
    unit: str = ""
    lower: float | None = None
    upper: float | None = None
    choices: tuple[Any, ...] = ()

    def parse(self, given: object) -> Any:
        """Return the value of a text or of a value given by a program. Raises ValueError in plain words."""
        if self.optional and (given is None or (isinstance(given, str) and given.strip().lower() == "none")):
            return None
        if not self.many:
            return self._one(given)
        if isinstance(given, str):
            given = [part for part in given.split(",") if part.strip()] if given.strip() else []
        if not isinstance(given, Sequence) or isinstance(given, bytes):
            raise ValueError(f"{given!r} is no list; write values with commas between them")
        return tuple(self._one(item) for item in given)

    def describe(self) -> str:
        """Return kind, unit, limits and default in one line."""
        words = [{float: "number", int: "whole number", bool: "yes or no", str: "text"}[self.kind]]
        if self.many:
            words[0] = f"{words[0]}s with commas"
        if self.unit:
            words.append(f"in {self.unit}")
        if self.lower is not None and self.upper is not None:
            words.append(f"{self.lower:g} to {self.upper:g}")
        if self.choices:
            words.append("one of " + ", ".join(str(choice) or "(empty)" for choice in self.choices))
        words.append("must be given" if self.required else f"default {self.default_text()}")
        return ", ".join(words)

    def default_text(self) -> str:
        """Return the default as one would write it."""
        if self.default is FROM_RAT:
            return FROM_RAT_TEXT
        return self.text(self.default)

    def text(self, value: Any) -> str:
        """Return a value as text that ``parse`` takes back."""
        if value is None:
            return "none"
        if self.many:
            return ",".join(_plain_text(item) for item in value)
        if self.kind in (int, float) and self.unit:
            return f"{_plain_text(value)} {self.unit}"
        return _plain_text(value) if value != "" else '""'

    def _one(self, given: object) -> Any:
        value: Any
        if self.kind is bool:
            value = self._bool(given)
        elif self.kind is str:
            value = self._str(given)
        else:
            value = self._number(given)
        if self.choices and value not in self.choices:
            allowed = ", ".join(str(choice) or "(empty)" for choice in self.choices)
            near = difflib.get_close_matches(str(value), [str(choice) for choice in self.choices], n=1)
            raise ValueError(f"{value!r} is not among {allowed}" + (f"; did you mean {near[0]}?" if near else ""))
        if self.lower is not None and self.upper is not None and not self.lower <= value <= self.upper:
            unit = f" {self.unit}" if self.unit else ""
            raise ValueError(f"{value:g}{unit} is not within {self.lower:g} to {self.upper:g}{unit}")
        return value

    def _bool(self, given: object) -> bool:
        if isinstance(given, bool):
            return given
        word = given.strip().lower() if isinstance(given, str) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise ValueError(f"{given!r} is neither yes nor no")

    def _str(self, given: object) -> str:
        if not isinstance(given, str):
            raise ValueError(f"{given!r} is no text")
        text = given[1:-1] if len(given) >= 2 and given[0] == given[-1] == '"' else given
        if len(text) > _LONGEST:
            raise ValueError(f"{len(text)} characters are too many")
        if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text):
            raise ValueError(f"{text!r} holds control characters")
        return text

    def _number(self, given: object) -> float | int:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ValueError(f"{given!r} is no number")
        number = self._from_text(given.strip()) if isinstance(given, str) else given
        try:
            finite = math.isfinite(number)
        except OverflowError:
            finite = False
        if not finite:
            raise ValueError(f"{str(given)[:40]} is no finite number")
        if self.kind is float:
            return float(number)
        if number != int(number):
            raise ValueError(f"{number:g} is not a whole number")
        return int(number)

    def _from_text(self, text: str) -> float | int:
        if self.kind is int and _HEX.fullmatch(text) and len(text) < 40:
            return int(text, 16)
        found = _NUMBER.fullmatch(text) if len(text) < 200 else None
        if found is None:
            example = f", such as 2.5{' ' + self.unit if self.unit else ''}" if self.kind is float else ""
            comma = " with a point, not a comma" if re.fullmatch(r"[+-]?\d+,\d+.*", text) else ""
            raise ValueError(f"{text[:40]!r} is no number; write one{comma}{example}")
        digits, written = found.group(1), (found.group(2) or "").strip()
        number: float | int = int(digits) if re.fullmatch(r"[+-]?[0-9]{1,300}", digits) else float(digits)
        if not written or written == self.unit:
            return number
        converted = convert(number, written, self.unit) if self.unit else None
        if converted is None:
            units = ", ".join(dimension(self.unit)) if self.unit else "no unit"
            raise ValueError(f"{text!r} is in {written!r}; allowed: {units}")
        return converted


def _plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if isinstance(value, float) else str(value)


# --- reading the signature ------------------------------------------------------------------------------------------


def declared(name: str, annotation: Any, default: Any, *, required: bool) -> Parameter:
    """Return the parameter of an annotation. Raises ValueError for a type that cannot be written as text."""
    unit, lower, upper = "", None, None
    choices: tuple[Any, ...] = ()
    optional = False
    annotation, extras = _unwrapped(annotation)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        if len(members) != 1:
            raise ValueError(f"a parameter has one type, {annotation} has several")
        annotation, more = _unwrapped(members[0])
        extras = [*extras, *more]
        origin = typing.get_origin(annotation)
    many = False
    if origin is tuple:
        arguments = typing.get_args(annotation)
        if len(arguments) != 2 or arguments[1] is not Ellipsis:
            raise ValueError("a list is declared as tuple[float, ...]")
        many = True
        annotation, more = _unwrapped(arguments[0])
        extras = [*extras, *more]
        origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        choices = typing.get_args(annotation)
        annotation = type(choices[0])
        if any(type(choice) is not annotation for choice in choices):
            raise ValueError("the values of a Literal have one type")
    if annotation not in (bool, int, float, str):
        raise ValueError(f"{getattr(annotation, '__name__', annotation)} is not bool, int, float or str")
    for extra in extras:
        if isinstance(extra, Unit):
            unit = extra.name
        elif isinstance(extra, Range):
            lower, upper = float(extra.lower), float(extra.upper)
        elif isinstance(extra, Choices):
            choices = extra.values
    if annotation in (bool, str) and (unit or lower is not None):
        raise ValueError("only a number has a unit or a range")
    parameter = Parameter(name, annotation, many, optional, required, default, unit, lower, upper, choices)
    if not required and default is not FROM_RAT:
        try:
            parameter.parse(default)
        except ValueError as error:
            raise ValueError(f"its default is not allowed: {error}") from None
    if default is FROM_RAT and (annotation is not float or unit not in ("s", "")):
        raise ValueError("FROM_RAT is a number of seconds")
    return parameter


def _unwrapped(annotation: Any) -> tuple[Any, list[Any]]:
    """Return the type within ``Annotated`` and its extras."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *extras = typing.get_args(annotation)
        return inner, extras
    return annotation, []


# --- binding --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bound:
    """The values of a run."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]
    """``given``, ``default`` or ``from RAT (NB-IoT)`` a parameter."""


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a mapping. Raises ConfigurationError for one without a name or given twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator or not name:
            raise ConfigurationError(f"'{text}' is no parameter", where="parameters", hint="write name=value")
        if name in found:
            raise ConfigurationError(f"'{name}' is given twice", where="parameters", hint="give it once")
        found[name] = value
    return found


def bind(parameters: Sequence[Parameter], given: Mapping[str, object] | Sequence[str], *, where: str = "") -> Bound:
    """Check what was given against the declaration and fill in defaults.

    Raises one ConfigurationError that names everything that is wrong.
    """
    items = dict(given) if isinstance(given, Mapping) else pairs(given)
    known = {parameter.name: parameter for parameter in parameters}
    complaints: list[str] = []
    for name in items:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known) or 'none'}"
            complaints.append(f"there is no parameter '{name}'; {hint}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    later: list[Parameter] = []
    for name, parameter in known.items():
        value = items.get(name, ...)
        if value is FROM_RAT or (value is ... and parameter.default is FROM_RAT) or _asks_for_rat(parameter, value):
            later.append(parameter)
        elif value is not ...:
            try:
                values[name] = parameter.parse(value)
                sources[name] = "given"
            except ValueError as error:
                complaints.append(f"{name}: {error}")
        elif parameter.required:
            complaints.append(f"{name} must be given: {parameter.describe()}")
        else:
            values[name], sources[name] = parameter.default, "default"
    if complaints:
        what = complaints[0] if len(complaints) == 1 else "\n  ".join(["parameters are wrong:", *complaints])
        raise ConfigurationError(what, where=where or "parameters", hint="" if len(complaints) > 1 else _help(where))
    rats = _rats(values)
    slowest = max(rats, key=lambda rat: RAT_SECONDS[rat])
    for parameter in later:
        seconds = RAT_SECONDS[slowest]
        if parameter.lower is not None and parameter.upper is not None:
            seconds = min(max(seconds, parameter.lower), parameter.upper)
        values[parameter.name], sources[parameter.name] = seconds, f"{FROM_RAT_TEXT} ({slowest})"
    return Bound({name: values[name] for name in known}, sources)


def _asks_for_rat(parameter: Parameter, value: object) -> bool:
    if parameter.default is not FROM_RAT or not isinstance(value, str):
        return False
    return value.strip().lower().replace("-", " ").replace("_", " ") == FROM_RAT_TEXT.lower()


def _rats(values: Mapping[str, Any]) -> list[str]:
    """Return the RATs that parameters named ``rat`` or ``..._rat`` allow; all when one of them leaves it open."""
    named = [value for name, value in values.items() if name == "rat" or name.endswith("_rat")]
    if not named or any(value not in RAT_SECONDS for value in named):
        return list(RAT_SECONDS)
    return cast("list[str]", named)


def _help(where: str) -> str:
    return f"bench recipes {where.removeprefix('recipe ')} explains them" if where.startswith("recipe ") else ""
