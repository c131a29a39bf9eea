"""Which function, result form and code of SGP.32 is exercised by which test: a pytest plugin.

ES9+ and ES2+ are looked at where the SM-DP+ carries a function out (tests/coverage_smdpp.py), ESipa where eIM and IPA
do (coverage_esipa.py, coverage_coap.py), the card at its APDUs, in every test of this process: commands are put
together from STORE DATA blocks, responses from 61xx and GET RESPONSE, and both are decoded. In a full run (no path, no
-k, no -m, nothing deselected) an item without a test makes the run fail, and so does a message of ESipa, ES9+ or ES2+
that no literal bytes or no reading by pycrate holds (coverage_messages.py). ``--sgp32-coverage`` prints the table in
any run, ``--sgp32-coverage=FILE`` writes it. "(forced)": seen only on cards that were told which code to give.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coverage_coap
import coverage_esipa
import coverage_messages
import coverage_smdpp
import pytest

WORKER_OUTPUT = "sgp32_coverage"


@dataclass
class Table:
    """Item -> tests (in the order they came), and what went wrong while looking."""

    seen: dict[str, list[str]] = field(default_factory=dict)
    genuine: set[str] = field(default_factory=set)
    """Items of cards without ``EuiccOptions.force``: the code had its reason."""
    faults: list[str] = field(default_factory=list)

    def note(self, item: str, test: str, *, forced: bool = False) -> None:
        if not forced:
            self.genuine.add(item)
        tests = self.seen.setdefault(item, [])
        if test not in tests[-1:] and test not in tests:
            tests.append(test)

    def merge(self, other: dict[str, Any]) -> None:
        for item, tests in other["seen"].items():
            for test in tests:
                self.note(item, test, forced=item not in other["genuine"])
        self.faults += other["faults"]


@dataclass
class _Channel:
    command: bytearray = field(default_factory=bytearray)
    response: bytearray = field(default_factory=bytearray)
    complete: bool = False
    loading: bool = False


class Observer:
    """Follows the exchanges of one card and reports what each means."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._channels: dict[int, _Channel] = {}

    def exchange(self, command: bytes, answer: bytes) -> None:
        """Take one APDU and its response."""
        if len(command) < 4 or len(answer) < 2:
            return
        class_byte, instruction, p1, p2 = command[:4]
        number = 4 + (class_byte & 15) if class_byte & 0x40 else class_byte & 3
        channel = self._channels.setdefault(number, _Channel())
        if instruction == 0xE2:
            if p2 == 0:
                channel.command.clear()
            channel.response.clear()
            extended = len(command) > 7 and not command[4]
            at, length = (7, int.from_bytes(command[5:7], "big")) if extended else (5, sum(command[4:5]))
            channel.command += command[at : at + length]
            channel.complete = bool(p1 & 0x80)
        elif instruction == 0xA4 and p1 == 4:
            self._channels[number] = channel = _Channel(complete=True)
        elif instruction != 0xC0:
            channel.complete = False
            return
        if not channel.complete:
            return
        channel.response += answer[:-2]
        if answer[-2] == 0x61 or answer[-2] == 0x6C:
            return
        channel.complete = False
        if answer[-2] in (0x90, 0x91):
            self._finished(channel)

    def _finished(self, channel: _Channel) -> None:
        import coverage_items

        command, response = bytes(channel.command), bytes(channel.response)
        if not command:
            for item in templates(response):
                self._note(item)
            return
        channel.command.clear()
        unit = f"{command[0]:02X}"
        functions = coverage_items.functions()
        tag = int.from_bytes(command[:2], "big")
        if tag == 0xBF36 or (channel.loading and command[0] != 0xBF):
            channel.loading = True
            if tag != 0xBF36:
                self._note(f"BoundProfilePackage unit {unit}")
            if command[:1] == b"\xa0":
                self._note("BoundProfilePackage unit 87")
            if response[:2] == b"\xbf\x37":
                channel.loading = False
                tag = 0xBF36
        if tag in functions and (tag != 0xBF36 or response):
            for item in items_of(tag, command, response):
                self._note(item)


@functools.lru_cache(maxsize=2048)
def items_of(tag: int, command: bytes, response: bytes) -> tuple[str, ...]:
    """Return the items of one exchange; polling repeats itself."""
    import coverage_items

    return tuple(coverage_items.observed(coverage_items.functions()[tag], command, response))


def templates(fci: bytes) -> Iterator[str]:
    """Yield the proprietary templates of ISD-R's FCI."""
    from bench.rsp import tlv

    try:
        node = tlv.first(fci)
    except ValueError:
        return
    for tag, name in ((0xE0, ""), (0xE1, "IoT")):
        if node.find(tag) is not None:
            yield f"SELECT ISD-R: ISDRProprietaryApplicationTemplate{name}"


class Plugin:
    """The hooks. One a process; the controller of xdist merges what its workers saw."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.table = Table()
        self.test = ""
        self.deselected = False
        self._observers: dict[int, Observer] = {}
        self._undo: Callable[[], None] | None = None
        self._others = (coverage_smdpp.Watch(self.note), coverage_esipa.Watch(self.note))

    def note(self, item: str) -> None:
        """Note what the test that runs has shown."""
        if self.test:
            self.table.note(item, self.test)

    def watch(self) -> None:
        """Wrap the card's transmit, once some test module has imported the card."""
        for other in self._others:
            other.attach()
        module = sys.modules.get("fixtures.sim.euicc.card")
        if self._undo is not None or not hasattr(module, "VirtualEuicc"):
            return
        from fixtures.sim.euicc.card import VirtualEuicc

        original = VirtualEuicc.transmit

        @functools.wraps(original)
        def transmit(card: VirtualEuicc, command: bytes) -> bytes:
            answer = original(card, command)
            if self.test:
                try:
                    observer = card.__dict__.get("_coverage")
                    if observer is None:
                        forced = bool(card._core.options.force)
                        observer = card.__dict__["_coverage"] = Observer(
                            lambda item: self.table.note(item, self.test, forced=forced)
                        )
                    observer.exchange(bytes(command), answer)
                except Exception as error:  # the table must never change what a test sees
                    if len(self.table.faults) < 20:
                        self.table.faults.append(f"{self.test}: {error!r} at {bytes(command).hex()}")
            return answer

        setattr(VirtualEuicc, "transmit", transmit)  # noqa: B010
        self._undo = lambda: setattr(VirtualEuicc, "transmit", original)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.watch()
        # What random input happens to reach is no test of it.
        self.test = "" if "fuzz" in item.nodeid else item.nodeid
        try:
            return (yield)  # type: ignore[return-value]
        finally:
            self.test = ""

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.deselected = self.deselected or bool(items)

    def pytest_testnodedown(self, node: Any) -> None:
        self.table.merge(
            getattr(node, "workeroutput", {}).get(WORKER_OUTPUT, {"seen": {}, "genuine": [], "faults": []})
        )

    @property
    def full(self) -> bool:
        """Whether every test there is was to run."""
        config, option = self.config, self.config.option
        everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS or config.args == config.getini(
            "testpaths"
        )
        return (
            everything
            and not (option.keyword or option.markexpr or option.collectonly or self.deselected)
            and not (option.ignore or option.ignore_glob or option.deselect)
        )

    def missing(self) -> list[str]:
        seen = self.table.seen
        return [item for item in (*needed(), *holding()) if item not in seen]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        for other in self._others:
            other.undo()
        if self._undo is not None:
            self._undo()
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput[WORKER_OUTPUT] = {
                "seen": self.table.seen,
                "genuine": sorted(self.table.genuine),
                "faults": self.table.faults,
            }
            return
        if session.exitstatus == pytest.ExitCode.OK and (
            self.table.faults or wrong(self.table) or (self.full and self.missing())
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        target = self.config.getoption("sgp32_coverage")
        missing = self.missing() if self.full or target else []
        if target:
            lines = report(self.table, missing)
            if target == "-":
                terminalreporter.section("SGP.32 coverage")
                terminalreporter.write_line("\n".join(lines))
            else:
                Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")
        for title, lines in (
            ("SGP.32 coverage: answers that no type of the standard has", wrong(self.table)),
            ("SGP.32 coverage: faults of the table", self.table.faults),
            ("SGP.32 coverage: without a test", missing if self.full else []),
        ):
            if lines:
                terminalreporter.section(title)
                terminalreporter.write_line("\n".join(lines))


def needed() -> dict[str, str]:
    """Return every item of card, SM-DP+, eIM and IPA that needs a test."""
    import coverage_items

    return {
        **coverage_items.required(),
        **coverage_smdpp.required(),
        **coverage_esipa.required(),
        **coverage_coap.required(),
    }


def wrong(table: Table) -> list[str]:
    """Return what the card answered that is no message or no named code, with a test."""
    return [
        f"{item}: {tests[0]}"
        for item, tests in sorted(table.seen.items())
        if item.startswith("undecodable ") or "(no name)" in item
    ]


def holding() -> dict[str, str]:
    """Return what must hold the messages: literal bytes and pycrate, each as an item with the one it is needed for."""
    found: dict[str, str] = {}
    for item in needed():
        for how, messages in coverage_messages.messages_of(item).items():
            for message in messages:
                found.setdefault(f"{how}: {message}", item)
    return found


def report(table: Table, missing: list[str]) -> list[str]:
    """Return the table: number of tests, item, first test, and what holds the message; then what is missing."""
    wanted = needed()
    lines = []
    for item in wanted:
        tests = table.seen.get(item, [])
        how = "" if not tests or item in table.genuine else " (forced)"
        lines.append(f"{len(tests):5}  {item:90}  {tests[0] if tests else 'MISSING'}{how}")
        lines += _held(item, table)
    held = holding()
    extra = sorted(item for item in table.seen if item not in wanted and not item.startswith(_HOLDING))
    if extra:
        lines += ["", "seen beside the items:", *(f"{len(table.seen[i]):5}  {i:90}  {table.seen[i][0]}" for i in extra)]
    forced = sum(1 for item in wanted if item in table.seen and item not in table.genuine)
    tested = len(wanted) - sum(1 for item in missing if item in wanted)
    literal, pycrate = (
        [item in table.seen for item in held if item.startswith(f"{how}: ")]
        for how in (coverage_messages.LITERAL, coverage_messages.PYCRATE)
    )
    lines += ["", f"{tested} of {len(wanted)} items, {forced} of them forced only"]
    lines += [
        f"messages of ESipa, ES9+ and ES2+: {sum(literal)} of {len(literal)} held by literal bytes, "
        f"{sum(pycrate)} of {len(pycrate)} by pycrate"
    ]
    return lines


_HOLDING = (f"{coverage_messages.LITERAL}: ", f"{coverage_messages.PYCRATE}: ")
_LONGEST = 60
"""Characters of a literal that the table shows."""


def _held(item: str, table: Table) -> Iterator[str]:
    """Yield the lines that say what holds a message."""
    literals = coverage_messages.literals()
    for how, messages in coverage_messages.messages_of(item).items():
        for message in messages:
            tests = table.seen.get(f"{how}: {message}", [])
            text = literals.get(message, "") if how == coverage_messages.LITERAL else ""
            shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
            yield f"       {how:8} {message:82}  {tests[0] if tests else 'MISSING'}{f'  {shown}' if shown else ''}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sgp32-coverage",
        nargs="?",
        const="-",
        default="",
        metavar="FILE",
        help="print (or write to FILE) which test exercises which function, result form and code of SGP.32",
    )


def pytest_configure(config: pytest.Config) -> None:
    plugin = Plugin(config)
    coverage_messages.NOTE[:] = [plugin.note]
    config.pluginmanager.register(plugin, "sgp32-coverage")
