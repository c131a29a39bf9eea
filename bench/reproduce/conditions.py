"""What a condition may be: its kinds, their figures, who creates them on a bench, and the moment at which they begin.

Three sorts: of the world from the start (``world``), of the recipe (``parameter``), and events of the time line. The
time line's events are those of the simulated world (``bench sim up`` documents them); the table says as well which
instrument of a real station creates each, or what stands in for it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.reproduce.errors import ScenarioError

Creator = str
"""``power``, ``network``, ``server``, ``path`` (the data path's impairments), ``dut`` (lines, relays) or ``nobody``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of condition. ``sizes``: figures that minimising makes smaller, with the value that means nothing."""

    text: str
    creator: Creator
    stands_in: str = ""
    """What a real station can do instead where its creator is not there."""
    sizes: Mapping[str, float] | None = None
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_MISBEHAVE: Final = ("function", "eid", "count", "after", "parameters", "seconds")

KINDS: Final[Mapping[str, Kind]] = {
    "world": Kind("options of the simulated world from the start", "nobody",
                  "the modem, card and firmware that behave so, in the station", required=("set",)),
    "parameter": Kind("parameters of the recipe", "recipe", required=("set",)),
    "power-cut": Kind("the supply is cut", "power", sizes={"seconds": 0.0}, optional=("seconds",)),
    "power-restore": Kind("the supply is whole again", "power"),
    "brown-out": Kind("the voltage sags", "power", "set_voltage, slower than 10 ms",
                      sizes={"seconds": 0.0}, required=("volts", "seconds")),
    "back-feed": Kind("another source feeds the device", "nobody", "a lead by hand", required=("volts",),
                      optional=("ohms",)),
    "output-stuck": Kind("the supply's output does not follow", "nobody", optional=("stuck",)),
    "cell-off": Kind("a cell stops", "network", "an attenuator, or a box by hand", sizes={"seconds": 0.0},
                     optional=("cell", "seconds")),
    "cell-on": Kind("a cell transmits", "network", optional=("cell", "seconds")),
    "cell-silent": Kind("a network answers nothing", "network", "cell off, which the device sees as no coverage",
                        optional=("cell", "silent")),
    "cell-power": Kind("the received power changes", "network", "an attenuator", sizes={"seconds": 0.0},
                       required=("rsrp",), optional=("cell", "seconds")),
    "reject": Kind("a cell rejects", "network", required=("cause",),
                   optional=("cell", "integrity", "t3346", "esm", "procedure")),
    "network-detach": Kind("the network detaches the device", "network", "cell off and on", optional=("reattach",)),
    "modem-hang": Kind("the modem locks up", "nobody", "the modem held in reset (RESET_N), which no lock-up is",
                       optional=("until",)),
    "modem-reset": Kind("a pulse on RESET_N", "dut"),
    "power-key": Kind("a pulse on PWRKEY", "dut"),
    "urc-flood": Kind("unsolicited lines without end", "nobody", sizes={"seconds": 0.0},
                      optional=("rate", "seconds", "line")),
    "port-gone": Kind("the modem's ports disappear", "dut", "USB power off and on by a switched hub",
                      sizes={"seconds": 0.0}, optional=("seconds",)),
    "card-mute": Kind("the card answers nothing", "nobody", "the SIM switch opens its contacts"),
    "card-status": Kind("the card answers with an error", "nobody", "a recorded card (bench trace replay --play)",
                        required=("sw",), optional=("ins",)),
    "card-remove": Kind("the card is pulled out", "dut", "by hand, when asked"),
    "card-insert": Kind("the card is put back", "dut", "by hand, when asked"),
    "reader-mute": Kind("the card in a reader answers nothing", "nobody", optional=("reader",)),
    "reader-status": Kind("the card in a reader answers with an error", "nobody", required=("sw",),
                          optional=("reader", "ins")),
    "reader-power-cut": Kind("the card in a reader loses power", "nobody", sizes={"seconds": 0.0},
                             optional=("reader", "seconds")),
    "pcscd-kill": Kind("the PC/SC daemon is killed", "nobody"),
    "relays-stuck": Kind("relays do not move", "nobody", optional=("relays",)),
    "relays-silent": Kind("the SIM switch answers nothing", "nobody", optional=("silent",)),
    "scpi-silent": Kind("an instrument answers nothing", "nobody", sizes={"seconds": 0.0},
                        optional=("instrument", "seconds")),
    "scpi-answer": Kind("an instrument answers again", "nobody", optional=("instrument", "seconds")),
    "scpi-drop": Kind("an instrument's connections are cut", "nobody", optional=("instrument",)),
    "link-cut": Kind("every connection of the device breaks", "path", "cell off for a moment"),
    "link-block": Kind("the way to a server is closed without a word", "path", "a firewall rule behind the emulator",
                       sizes={"seconds": 0.0}, optional=("name", "apn", "seconds")),
    "link-delay": Kind("every answer is late", "path", "tc netem", sizes={"delay": 0.0, "seconds": 0.0},
                       required=("delay",), optional=("seconds",)),
    "server-slow": Kind("one server answers late", "server", sizes={"delay": 0.0, "seconds": 0.0},
                        required=("name", "delay"), optional=("seconds",)),
    "datagram-lose": Kind("datagrams are lost", "path", "tc netem", sizes={"count": 0.0}, optional=("count",)),
    "datagram-duplicate": Kind("datagrams arrive twice", "path", "tc netem", sizes={"count": 0.0},
                               optional=("count",)),
    "eim-misbehave": Kind("the eIM does something wrong", "server", required=("name",), optional=_MISBEHAVE),
    "smdpp-misbehave": Kind("the SM-DP+ does something wrong", "server", required=("name",), optional=_MISBEHAVE),
    "nat-forget": Kind("the operator's NAT forgets every binding", "path", "conntrack -D behind the emulator"),
}  # fmt: skip

_MOMENT_KEYS: Final = ("step", "apdu", "of", "phase", "ins", "urc", "log", "match", "count", "after", "seed")
_COMMON: Final = ("name", "do", "at", "source", "sure", "note")


@dataclass(frozen=True, slots=True)
class Moment:
    """When a condition begins. Without any field: at the start of the run.

    A step makes everything else relative to it: the ``apdu``-th APDU of the step, the ``count``-th line that the modem
    says (``urc``, a pattern with * and ?) or that the world logs (``log``, ``match``) within it, and ``after`` s later.
    """

    step: str = ""
    apdu: int | tuple[int, int] = 0
    of: str = ""
    phase: str = ""
    ins: str = ""
    urc: str = ""
    log: str = ""
    match: Mapping[str, Any] | None = None
    count: int = 1
    after: float | tuple[float, float] = 0.0

    @property
    def text(self) -> str:
        """In words."""
        parts = []
        later = _amount(self.after)
        if later:
            parts.append(f"{later} s after")
        if self.apdu:
            parts.append(f"APDU {_amount(self.apdu)}")
        if self.urc:
            parts.append(f"the modem's {self.urc!r}" + (f" number {self.count}" if self.count > 1 else ""))
        if self.log:
            parts.append(f"the world's {self.log!r} {dict(self.match or {})}")
        if self.step:
            parts.append(f"{'of' if (parts and not later) or len(parts) > 1 else ''} step {self.step}".strip())
        return " ".join(parts) or "the start"

    def table(self) -> dict[str, Any]:
        """As in the file."""
        made: dict[str, Any] = {}
        for name in ("step", "apdu", "of", "phase", "ins", "urc", "log", "match", "after"):
            value = getattr(self, name)
            if value:
                made[name] = list(value) if isinstance(value, tuple) else value
        if self.count != 1:
            made["count"] = self.count
        return made


START: Final = Moment()


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. ``figures``: everything that its kind takes, as in the file. ``source``: the line it came from."""

    name: str
    do: str
    figures: Mapping[str, Any]
    at: Moment = START
    source: str = ""
    sure: bool = True
    """Import is certain of it; else it is a suspicion, which minimising has to confirm."""
    note: str = ""

    @property
    def kind(self) -> Kind:
        """Of the table."""
        return KINDS[self.do]

    @property
    def event(self) -> bool:
        """Whether it stands on the time line, and is not there from the start."""
        return self.do not in ("world", "parameter")

    @property
    def text(self) -> str:
        """In words: what, how much, when."""
        if not self.event:
            settings = ", ".join(f"{name} = {value}" for name, value in self.figures.get("set", {}).items())
            return f"{'the world has' if self.do == 'world' else 'the recipe has'} {settings}"
        figures = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        return f"{self.kind.text}{f' ({figures})' if figures else ''} at {self.at.text}"

    def fault(self) -> dict[str, Any]:
        """Return the entry of the simulated world's time line (fixtures' fault schema)."""
        at = self.at
        made: dict[str, Any] = {"do": self.do, **self.figures}
        after = list(at.after) if isinstance(at.after, tuple) else at.after
        if at.apdu:
            made |= {"at": "apdu", "n": list(at.apdu) if isinstance(at.apdu, tuple) else at.apdu}
            made |= {name: getattr(at, name) for name in ("of", "phase", "ins") if getattr(at, name)}
        elif at.urc:
            made |= {"at": "log", "what": "urc", "like": {"line": at.urc}, "n": at.count, "later": after or 0.0}
        elif at.log:
            made |= {"at": "log", "what": at.log, "match": dict(at.match or {}), "n": at.count, "later": after or 0.0}
        else:
            made["at"] = after or "now"
        if at.step:
            made["step"] = at.step
        return made

    def table(self) -> dict[str, Any]:
        """As in the file."""
        made: dict[str, Any] = {"name": self.name, "do": self.do}
        if self.at != START:
            made["at"] = self.at.table()
        made |= dict(self.figures)
        if self.source:
            made["source"] = self.source
        if not self.sure:
            made["sure"] = False
        if self.note:
            made["note"] = self.note
        return made


def read_condition(table: Mapping[str, Any], number: int, where: str) -> Condition:
    """Read one ``[[condition]]``. Raises ScenarioError."""
    place = f"{where}, condition {number}"
    do = table.get("do")
    if not isinstance(do, str) or do not in KINDS:
        what = "a condition without 'do'" if do is None else f"no condition {do!r}"
        raise ScenarioError(what, where=place, hint=near(str(do), KINDS))
    kind = KINDS[do]
    name = table.get("name", f"{do}-{number}")
    if not isinstance(name, str) or not name.strip():
        raise ScenarioError(f"name = {name!r} is no text", where=place, hint="a word for people")
    figures = {key: value for key, value in table.items() if key not in _COMMON}
    if do in ("eim-misbehave", "smdpp-misbehave"):  # 'name' is the misbehaviour's own: the condition's is 'label'
        figures = {key: value for key, value in figures.items() if key != "label"}
        figures |= {"name": name} if "name" in table else {}
        name = str(table.get("label", f"{do}-{number}"))
    elif do in ("server-slow", "link-block") and "server" in figures:
        figures["name"] = figures.pop("server")
    known = (*kind.required, *kind.optional)
    for key, value in figures.items():
        if key not in known:
            shown = tuple(
                "server" if item == "name" and do in ("server-slow", "link-block") else item for item in known
            )
            raise ScenarioError(f"{do} has no {key!r}", where=place, hint=near(key, (*shown, *_COMMON)))
        if isinstance(value, float) and not math.isfinite(value):
            raise ScenarioError(f"{key} = {value} is no figure", where=place, hint="a finite number")
        if key in ("seconds", "volts", "delay", "rsrp", "rate", "ohms") and (
            isinstance(value, bool) or not isinstance(value, int | float) or (key != "rsrp" and value < 0)
        ):
            raise ScenarioError(f"{key} = {value!r} is no figure", where=place, hint="a number from 0 up")
    for key in kind.required:
        if key not in figures:
            raise ScenarioError(f"{do} needs {key!r}", where=place, hint=kind.text)
    if "set" in known and not (isinstance(figures["set"], Mapping) and figures["set"]):
        raise ScenarioError("'set' is a table of options", where=place, hint='set = { refresh = "ignored" }')
    at = _moment(table.get("at", {}), place)
    if do in ("world", "parameter") and at != START:
        raise ScenarioError(f"{do} holds from the start: it has no 'at'", where=place, hint="leave 'at' out")
    sure = table.get("sure", True)
    if not isinstance(sure, bool):
        raise ScenarioError(f"sure = {sure!r} is neither true nor false", where=place, hint="false: a suspicion")
    return Condition(name, do, figures, at, str(table.get("source", "")), sure, str(table.get("note", "")))


def _moment(value: object, where: str) -> Moment:
    if value == "start":
        return START
    if not isinstance(value, Mapping):
        raise ScenarioError(
            f"at = {value!r} is no moment", where=where, hint='"start", or { step = "download", apdu = 37 }'
        )
    for key in value:
        if key not in _MOMENT_KEYS:
            raise ScenarioError(f"at has no {key!r}", where=where, hint=near(str(key), _MOMENT_KEYS))
    for key in ("step", "of", "phase", "ins", "urc", "log"):
        if not isinstance(value.get(key, ""), str):
            raise ScenarioError(f"at: {key} = {value[key]!r} is no text", where=where, hint="a text")
    protocol = [key for key in ("apdu", "urc", "log") if value.get(key)]
    if len(protocol) > 1:
        raise ScenarioError(f"at names {' and '.join(protocol)}", where=where, hint="one of apdu, urc and log")
    if value.get("apdu") and value.get("after"):
        raise ScenarioError("at: 'after' counts seconds, 'apdu' APDUs", where=where, hint="one of the two")
    match = value.get("match")
    if match is not None and (not isinstance(match, Mapping) or not value.get("log")):
        raise ScenarioError(
            "at: 'match' is a table that goes with 'log'", where=where, hint='match = { state = "..." }'
        )
    count = value.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ScenarioError(f"at: count = {count!r} is no whole number from 1 up", where=where, hint="which of them")
    apdu = _range(value.get("apdu", 0), "apdu", where, whole=True)
    return Moment(
        step=value.get("step", ""),
        apdu=(int(apdu[0]), int(apdu[1])) if isinstance(apdu, tuple) else int(apdu),
        of=value.get("of", ""),
        phase=value.get("phase", ""),
        ins=value.get("ins", ""),
        urc=value.get("urc", ""),
        log=value.get("log", ""),
        match=dict(match) if match else None,
        count=count,
        after=_range(value.get("after", 0.0), "after", where, whole=False),
    )


def _range(value: object, name: str, where: str, *, whole: bool) -> float | tuple[float, float]:
    items = value if isinstance(value, list | tuple) else [value]
    good = [
        item
        for item in items
        if not isinstance(item, bool)
        and isinstance(item, int if whole else int | float)
        and math.isfinite(item)
        and item >= 0
    ]
    if len(good) != len(items) or len(items) not in (1, 2) or (len(items) == 2 and good[0] > good[1]):
        what = "APDUs from 1 up" if whole else "seconds from 0 up"
        raise ScenarioError(f"at: {name} = {value!r} is neither {what} nor [from, to]", where=where, hint=what)
    if isinstance(value, list | tuple):
        if len(items) == 1:
            return good[0]
        return good[0], good[1]
    return good[0]


def near(word: str, known: Any) -> str:
    """Return a did-you-mean."""
    found = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {found[0]}?" if found else f"there are {', '.join(sorted(known))}"


def _amount(value: float | tuple[float, float]) -> str:
    if isinstance(value, tuple):
        return f"{value[0]:g} to {value[1]:g}"
    return f"{value:g}" if value else ""
