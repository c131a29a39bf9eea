"""The signature of a failure at the level of decoded functions, and whether a run shows it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench.reproduce.errors import ScenarioError

if TYPE_CHECKING:
    from bench.reproduce.course import Call, Course

_KEYS: Final = ("verdict", "step", "message", "call", "ordered")
_CALL: Final = ("function", "lane", "result", "step", "text", "at_least", "at_most")
VERDICTS: Final = ("fail", "pass", "inconclusive", "any")


@dataclass(frozen=True, slots=True)
class Expected:
    """A call that the failure shows: function, lane, result and step are patterns (* and ?), ``text`` an expression."""

    function: str = "*"
    lane: str = "*"
    result: str = "*"
    step: str = "*"
    text: str = ""
    """Regular expression, searched in the decoded answer."""
    at_least: int = 1
    at_most: int | None = None
    """0: it must not be seen."""

    def fits(self, call: Call) -> bool:
        """Whether a call is one of these."""
        return (
            like(call.function, self.function)
            and like(call.lane, self.lane)
            and like(call.result, self.result)
            and (self.step == "*" or any(like(step, self.step) for step in call.step.split(",")))
            and (not self.text or re.search(self.text, call.text) is not None)
        )

    @property
    def words(self) -> str:
        """For people."""
        most = "" if self.at_most is None else f", at most {self.at_most}"
        result = "" if self.result == "*" else f" with {self.result}"
        step = "" if self.step == "*" else f" in {self.step}"
        said = f" saying {self.text}" if self.text else ""
        return f"{self.function}{result}{step}{said} (at least {self.at_least}{most})"

    def table(self) -> dict[str, Any]:
        """As in the file."""
        made: dict[str, Any] = {
            name: value for name in ("function", "lane", "result", "step") if (value := getattr(self, name)) != "*"
        }
        made |= {"text": self.text} if self.text else {}
        made |= {"at_least": self.at_least} if self.at_least != 1 else {}
        return made | ({"at_most": self.at_most} if self.at_most is not None else {})


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a run shows the signature; ``missing``: what of it is not seen, in words."""

    shown: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """What the failure looks like. Everything that is named must be seen.

    ``verdict``: of the device, ``any`` where it may recover by itself. ``step``: pattern for the first step that did not
    pass. ``message``: regular expression for what it said. ``ordered``: the calls come in the order in which they are written.
    """  # noqa: E501

    verdict: str = "fail"
    step: str = ""
    message: str = ""
    calls: tuple[Expected, ...] = ()
    ordered: bool = False

    def match(self, course: Course) -> Match:
        """Compare with what a run showed."""
        missing = []
        if self.verdict not in ("any", course.verdict):
            missing.append(f"the device's verdict is {course.verdict or 'unknown'}, not {self.verdict}")
        if self.step and not like(course.failed_step, self.step):
            missing.append(f"the first step that failed is {course.failed_step or 'none'}, not {self.step}")
        if self.message and not re.search(self.message, course.message):
            missing.append(f"it says {course.message or 'nothing'!r}, not {self.message!r}")
        missing += _calls(self.calls, course.calls, self.ordered)
        return Match(not missing, tuple(missing))

    def table(self) -> dict[str, Any]:
        """As in the file."""
        made: dict[str, Any] = {"verdict": self.verdict}
        made |= {name: value for name in ("step", "message") if (value := getattr(self, name))}
        made |= {"ordered": True} if self.ordered else {}
        return made | ({"call": [item.table() for item in self.calls]} if self.calls else {})

    @classmethod
    def read(cls, table: Mapping[str, Any], where: str) -> Signature:
        """Read ``[signature]``. Raises ScenarioError."""
        place = f"{where}, signature"
        _keys(table, _KEYS, place)
        verdict = table.get("verdict", "fail")
        if verdict not in VERDICTS:
            raise ScenarioError(f"verdict = {verdict!r}", where=place, hint=f"one of {', '.join(VERDICTS)}")
        for key in ("step", "message"):
            if not isinstance(table.get(key, ""), str):
                raise ScenarioError(f"{key} = {table[key]!r} is no text", where=place, hint="a text")
        _expression(table.get("message", ""), place)
        calls = table.get("call", [])
        if not isinstance(calls, list) or not all(isinstance(item, Mapping) for item in calls):
            raise ScenarioError("'call' is no array of tables", where=place, hint="[[signature.call]]")
        ordered = table.get("ordered", False)
        if not isinstance(ordered, bool):
            raise ScenarioError(f"ordered = {ordered!r}", where=place, hint="true or false")
        found = tuple(_expected(item, f"{place}, call {number}") for number, item in enumerate(calls, 1))
        return cls(verdict, table.get("step", ""), table.get("message", ""), found, ordered)


@dataclass(slots=True)
class _Progress:
    at: int = 0
    missing: list[str] = field(default_factory=list)


def _calls(expected: Sequence[Expected], calls: Sequence[Call], ordered: bool) -> list[str]:
    progress = _Progress()
    for item in expected:
        fitting = [index for index, call in enumerate(calls) if item.fits(call)]
        later = [index for index in fitting if index >= progress.at] if ordered else fitting
        if len(later) < item.at_least and item.at_most != 0:
            seen = f"seen {len(fitting)} times" + (f", {len(later)} of them after what goes before" if ordered else "")
            progress.missing.append(f"{item.words} is {seen}")
        elif item.at_most is not None and len(fitting) > item.at_most:
            progress.missing.append(f"{item.words} is seen {len(fitting)} times")
        elif ordered and later and item.at_most != 0:
            progress.at = later[item.at_least - 1] + 1
    return progress.missing


def like(text: str, pattern: str) -> bool:
    """Match with * and ?; nothing else of a pattern is special, [ least of all."""
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]"))[4:-3], text, re.DOTALL) is not None


def _expected(table: Mapping[str, Any], where: str) -> Expected:
    _keys(table, _CALL, where)
    for key in ("function", "lane", "result", "step", "text"):
        if not isinstance(table.get(key, ""), str):
            raise ScenarioError(f"{key} = {table[key]!r} is no text", where=where, hint="a text")
    for key in ("at_least", "at_most"):
        value = table.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ScenarioError(f"{key} = {value!r} is no whole number from 0 up", where=where, hint="how often")
    if not table:
        raise ScenarioError("a call that says nothing", where=where, hint='function = "Enable*", result = "6985*"')
    _expression(table.get("text", ""), where)
    return Expected(
        table.get("function", "*"),
        table.get("lane", "*"),
        table.get("result", "*"),
        table.get("step", "*"),
        table.get("text", ""),
        table.get("at_least", 1),
        table.get("at_most"),
    )


def _expression(text: str, where: str) -> None:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ScenarioError(
            f"{text!r} is no regular expression: {error}", where=where, hint="escape ( [ . with \\"
        ) from None


def _keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    from bench.reproduce.conditions import near

    for key in table:
        if key not in known:
            raise ScenarioError(f"no {key!r} here", where=where, hint=near(key, known))
