"""``dut`` in bench.toml: the device under test, its consoles, its relays and GPIO lines, and what tells what of it.

::

    dut = { sample = "A7", poll_trigger = "power", reset = "relay1:3", battery = "relay1:0", console = { app = {
        port = "usb:1-1.2", patterns = { booted = "Booting", switched = "switched to (?P<iccid>\\\\d+)" } } } }

A line is ``INSTRUMENT:LINE``; with ``!`` before it acts while its output is off (a normally closed contact).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from bench.station.tables import Bounds, Document, build, did_you_mean

if TYPE_CHECKING:
    from bench.station.model import InstrumentConfig

OBSERVATIONS: Final = ("booted", "registered", "identity", "polled", "switched")
"""What a device is observed to do."""
SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "booted": ("at", "console"),
    "registered": ("at", "emulator", "console"),
    "identity": ("at", "emulator", "console"),
    "polled": ("eim", "console"),
    "switched": ("at", "emulator", "console", "eim"),
}
"""Who may tell of each, best first, when bench.toml names no other order (``dut.sources``)."""
LINES: Final = ("reset", "boot", "power_key", "battery")
_GROUPS: Final = ("plmn", "rat", "imsi", "iccid", "eid", "version")
_TOLD: Final = (*OBSERVATIONS, "firmware")
_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "poll": (), "version": (), "eid": (), "reboot": (), "add_eim": ("configuration",),
}  # fmt: skip
_LINE = re.compile(r"(?P<inverted>!?)(?P<instrument>[A-Za-z0-9_.-]+):(?P<line>[A-Za-z0-9_]+)")


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """``dut.console.NAME``: a serial console of the device.

    ``patterns``: regular expressions (one line each) by what they tell: an observation (``OBSERVATIONS``),
    ``firmware``, or any other name that a recipe waits for. Named groups ``plmn``, ``imsi``, ``iccid``, ``eid``,
    ``version`` are what they tell of it. ``commands``: lines to be typed for ``poll``, ``version``, ``eid``,
    ``reboot`` and ``add_eim`` (with ``{configuration}``).
    """

    name: str
    port: str
    driver: str = "console"
    baudrate: Annotated[int, Bounds(300, 4_000_000, "Bd")] = 115_200
    patterns: Mapping[str, object] = field(default_factory=dict)
    commands: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class LineConfig:
    """One output that acts on the device: ``instrument`` of ``dut.lines`` or [instruments], ``line`` of it."""

    instrument: str
    line: str
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class OutputsConfig:
    """``dut.lines.NAME``: a relay board or GPIO outputs, where they are not in [instruments]."""

    name: str
    driver: str
    port: str = ""
    serial: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class FlashConfig:
    """``dut.flash``: the program that puts an image into the device; ``{image}`` in it is the image's path."""

    command: tuple[str, ...]
    timeout: Annotated[float, Bounds(1.0, 7200.0, "s")] = 300.0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class DutConfig:
    """``dut``: what is known of the device under test.

    ``battery``: true for a device with a battery that no relay disconnects, or the line of the relay that connects it.
    ``poll_trigger``: what makes the device's own IPA poll: its ``timer``, ``power`` or ``console`` (command ``poll``).
    ``firmware``: the version it must have. ``eid``: the EID of the card in it, where the bench has no way to the card.
    """

    sample: str = ""
    firmware: str = ""
    eid: str = ""
    console: Mapping[str, ConsoleConfig] = field(default_factory=dict)
    lines: Mapping[str, OutputsConfig] = field(default_factory=dict)
    reset: LineConfig | None = None
    boot: LineConfig | None = None
    power_key: LineConfig | None = None
    battery: LineConfig | bool = False
    poll_trigger: Literal["timer", "power", "console"] = "timer"
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    flash: FlashConfig | None = None
    origin: str = ""

    def line(self, name: str) -> LineConfig | None:
        """Return the line called ``reset``, ``boot``, ``power_key`` or ``battery``."""
        found: Any = getattr(self, name)
        return found if isinstance(found, LineConfig) else None

    def sources_of(self, observation: str) -> tuple[str, ...]:
        """Return who may tell of an observation, in order."""
        return self.sources.get(observation, SOURCES[observation])


# --- reading it -------------------------------------------------------------------------------------------------------

_Path = tuple[str | int, ...]


def read(table: object, path: _Path, document: Document) -> DutConfig | None:
    """Return what a ``dut`` table says; complaints go to ``document``."""
    if not isinstance(table, dict):
        document.complain(path, "'dut' must be a table", 'write dut = { sample = "A7" }')
        return None
    rest = dict(table)
    given: dict[str, Any] = {
        "console": _consoles(rest.pop("console", {}), (*path, "console"), document),
        "lines": _outputs(rest.pop("lines", {}), (*path, "lines"), document),
        "sources": _sources(rest.pop("sources", {}), (*path, "sources"), document),
        "flash": None,
    }
    if "flash" in rest:
        given["flash"] = build(FlashConfig, rest.pop("flash"), (*path, "flash"), document)
    for name in LINES:
        given[name] = _line(name, rest.pop(name, None), (*path, name), document)
    found: DutConfig | None = build(DutConfig, rest, path, document, **given)
    if found is not None:
        _check(found, path, document)
    return found


def _named(value: object, path: _Path, document: Document) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    document.complain(path, f"'{path[-1]}' must be a table of names", "write { app = ... }")
    return {}


def _consoles(value: object, path: _Path, document: Document) -> dict[str, ConsoleConfig]:
    consoles = {}
    for name, table in _named(value, path, document).items():
        here = (*path, name)
        values = {"port": table} if isinstance(table, str) else table
        console: ConsoleConfig | None = build(ConsoleConfig, values, here, document, name=name)
        if console is not None:
            _check_console(console, here, document)
            consoles[name] = console
    return consoles


def _check_console(console: ConsoleConfig, path: _Path, document: Document) -> None:
    for name, pattern in console.patterns.items():
        try:
            if not isinstance(pattern, str):
                raise ValueError("it is no text")
            groups = re.compile(pattern).groupindex
        except (re.error, ValueError) as error:
            document.complain((*path, "patterns", name), f"pattern '{name}' is no regular expression: {error}")
            continue
        for group in groups:
            if name in _TOLD and group not in _GROUPS:
                hint = did_you_mean(group, _GROUPS)
                document.complain((*path, "patterns", name), f"pattern '{name}' has the unknown group '{group}'", hint)
    for name, command in console.commands.items():
        here = (*path, "commands", name)
        if name not in _COMMANDS:
            document.complain(here, f"unknown command '{name}'", did_you_mean(name, _COMMANDS))
        elif not isinstance(command, str):
            document.complain(here, f"command '{name}' must be a text")
        else:
            for part in _COMMANDS[name]:
                if f"{{{part}}}" not in command:
                    document.complain(here, f"command '{name}' does not contain {{{part}}}")


def _outputs(value: object, path: _Path, document: Document) -> dict[str, OutputsConfig]:
    found = {}
    for name, table in _named(value, path, document).items():
        outputs: OutputsConfig | None = build(OutputsConfig, table, (*path, name), document, name=name)
        if outputs is not None:
            found[name] = outputs
    return found


def _sources(value: object, path: _Path, document: Document) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, words in _named(value, path, document).items():
        if name not in OBSERVATIONS:
            document.complain((*path, name), f"unknown observation '{name}'", did_you_mean(name, OBSERVATIONS))
        elif not isinstance(words, list) or any(word not in SOURCES[name] for word in words):
            hint = f"a list of {', '.join(SOURCES[name])}"
            document.complain((*path, name), f"'{name}' cannot be told by {words!r}", hint)
        else:
            found[name] = tuple(words)
    return found


def _line(name: str, value: object, path: _Path, document: Document) -> LineConfig | bool | None:
    if name == "battery" and (value is None or isinstance(value, bool)):
        return bool(value)
    if value is None or value == "":
        return None
    match = _LINE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        document.complain(path, f"'{name}' is {value!r}, which is no line", "INSTRUMENT:LINE, such as relay1:3")
        return None
    return LineConfig(match["instrument"], match["line"], bool(match["inverted"]))


def _check(dut: DutConfig, path: _Path, document: Document) -> None:
    if dut.poll_trigger == "console" and not any("poll" in console.commands for console in dut.console.values()):
        document.complain(
            (*path, "poll_trigger"), "no console has the command 'poll'", 'commands = { poll = "ipa poll" }'
        )
    if dut.eid:
        from bench.rsp.ids import check_eid

        if not re.fullmatch(r"\d{32}", dut.eid) or not check_eid(dut.eid):
            document.complain((*path, "eid"), f"'{dut.eid}' is no EID", "32 digits whose check digits fit")
    if dut.flash is not None and not dut.flash.command:
        document.complain((*path, "flash", "command"), "'command' is empty", 'such as ["openocd", ..., "{image}"]')


def with_instruments(
    dut: DutConfig, instruments: Mapping[str, InstrumentConfig], path: _Path, document: Document
) -> DutConfig:
    """Return the device with the relay boards that its lines name taken from [instruments]."""
    lines = dict(dut.lines)
    for name in LINES:
        line = dut.line(name)
        if line is None or line.instrument in lines:
            continue
        found = instruments.get(line.instrument)
        if found is None:
            document.complain(
                (*path, name),
                f"there is no instrument '{line.instrument}'",
                did_you_mean(line.instrument, {**instruments, **lines}) or f"add [instruments.{line.instrument}]",
            )
            continue
        lines[line.instrument] = OutputsConfig(
            found.name, found.driver, found.port, found.serial, found.options, found.origin
        )
    return replace(dut, lines=lines)
